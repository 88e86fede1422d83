"""The sandbox from another process: the handles under `/_sandbox/` as methods."""

from __future__ import annotations

from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

import aiohttp

from sandbox.whatsapp.faults import Fault
from sandbox.whatsapp.phone import Phone
from sandbox.whatsapp.shelf import Announced


class RemoteSandbox:
    """`async with RemoteSandbox(url) as sandbox: await sandbox.add(data, "image/jpeg")`."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(raise_for_status=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def add(
        self,
        data: bytes,
        mime: str,
        *,
        phone: Phone | None = None,
        file_name: str = "whatsapp",
        life_s: float | None = None,
    ) -> Announced:
        """Put a file on the shelf."""
        added = await self.add_copies(data, mime, 1, phone=phone, file_name=file_name, life_s=life_s)
        return added[0]

    async def add_copies(
        self,
        data: bytes,
        mime: str,
        copies: int,
        *,
        phone: Phone | None = None,
        file_name: str = "whatsapp",
        life_s: float | None = None,
    ) -> list[Announced]:
        """The same bytes under `copies` media ids."""
        query = {
            "mime": mime,
            "copies": str(copies),
            "file_name": file_name,
            "phone_number_id": (phone or Phone()).phone_number_id,
        }
        if life_s is not None:
            query["life_s"] = str(life_s)
        added = await self._call("POST", "media", params=query, data=data)
        return [Announced(**one) for one in added]

    async def add_phone(self, phone: Phone) -> None:
        await self._call("POST", "phones", json=asdict(phone))

    async def fault(self, fault: Fault) -> None:
        await self._call("POST", "faults", json=asdict(fault))

    async def clear_faults(self) -> None:
        await self._call("DELETE", "faults")

    async def revoke(self, token: str) -> None:
        await self._call("POST", "tokens", json={"token": token, "revoked": True})

    async def restore(self, token: str) -> None:
        await self._call("POST", "tokens", json={"token": token, "revoked": False})

    async def forward(self, seconds: float) -> None:
        """Let time pass: links and ids die."""
        await self._call("POST", "time", json={"forward_s": seconds})

    async def set_usage(self, percent: int) -> None:
        await self._call("POST", "usage", json={"percent": percent})

    async def desk(self) -> dict[str, Any]:
        """`sent` and `registered`."""
        told: dict[str, Any] = await self._call("GET", "desk")
        return told

    async def set_late(self, to: str, *, is_late: bool = True) -> None:
        """Whether more than 24 hours have passed since this customer wrote."""
        await self._call("POST", "late", json={"to": to, "late": is_late})

    async def statistics(self) -> dict[str, Any]:
        told: dict[str, Any] = await self._call("GET", "stats")
        return told

    async def clear_statistics(self) -> None:
        await self._call("DELETE", "stats")

    async def _call(self, method: str, handle: str, **options: Any) -> Any:
        if self._session is None:
            raise RuntimeError("Use the sandbox inside `async with`.")
        async with self._session.request(method, f"{self.base_url}/_sandbox/{handle}", **options) as answer:
            return await answer.json()
