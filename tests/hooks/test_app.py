"""The door of webhooks: what is no knock leaves no trace, and what cannot be judged now is asked for again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from acervo.base import ids
from acervo.hooks import doors
from acervo.hooks.app import HookApp
from acervo.hooks.doors import Doors
from acervo.models import AuditEntry, Connection

pytestmark = pytest.mark.django_db(transaction=True)


async def knock(app: HookApp, path: str, *events: dict[str, Any]) -> list[Any]:
    """What the app sent back."""
    sent: list[Any] = []
    told = iter([*events, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(told)

    async def send(event: Any) -> None:
        sent.append(event)

    await app(
        {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}, receive, send
    )
    return sent


def address(connection: Connection) -> str:
    return f"/hooks/meta_cloud/{ids.text(connection.pk)}"


async def test_a_sender_who_hangs_up_in_the_middle_forged_nothing(connection: Connection) -> None:
    app = HookApp(None)  # type: ignore[arg-type]
    half = {"type": "http.request", "body": b"{", "more_body": True}
    assert await knock(app, address(connection), half) == []
    await asyncio.gather(*app._audits)
    assert not await AuditEntry.objects.aexists()


async def test_a_connection_whose_secrets_do_not_open_asks_the_provider_to_come_again(
    connection: Connection,
) -> None:
    await Connection.objects.filter(pk=connection.pk).aupdate(sealed_secrets=b"of another key")
    sent = await knock(HookApp(None), address(connection))  # type: ignore[arg-type]
    assert sent[0]["status"] == 503


async def test_guessed_addresses_push_no_real_door_out_of_memory(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Doors()
    assert await known.find("meta_cloud", ids.text(connection.pk))
    monkeypatch.setattr(doors, "FORGET_ABOVE", 4)
    for guess in ("x" * 10_000, "", *(ids.text(ids.new()) for _ in range(6))):
        assert await known.find("meta_cloud", guess) is None
        assert await known.find("no_such_kind", guess) is None
    assert len(known._known) <= 4
    assert ("meta_cloud", connection.pk) in known._known
