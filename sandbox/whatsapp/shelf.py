"""The files the simulated Cloud API holds: ids that live for days, links that live for minutes."""

from __future__ import annotations

import base64
import hashlib
import itertools
import secrets
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.whatsapp.phone import Phone

DAY_S = 86_400.0
ID_LIFE_S = 7 * DAY_S  # Meta, Media page, April 2026
NO_STORAGE_LIFE_S = 3_600.0  # Meta, No Storage page
URL_LIFE_S = 300.0  # recorded answers: `ext` is `Date` plus 300 s exactly
MEDIA_PATH = "/whatsapp_business/attachments/"


@dataclass(frozen=True, slots=True)
class Announced:
    """What Meta says of a file: enough to build a webhook, without the bytes."""

    media_id: str
    mime: str
    sha256: str
    """Lower-case hex, as in the look-up; webhooks carry `sha256_base64`."""
    size_bytes: int
    url: str = field(repr=False)

    @property
    def sha256_base64(self) -> str:
        return base64.b64encode(bytes.fromhex(self.sha256)).decode()


@dataclass(frozen=True, slots=True)
class Item:
    """A file on the shelf."""

    media_id: str
    phone_number_id: str
    data: bytes = field(repr=False)
    mime: str
    sha256: str
    adler32: int
    file_name: str
    dies_at: float
    """Unix seconds, on the shelf's clock."""


class MediaShelf:
    """Files by media id. Bytes are shared between copies, so that a bench can hold a million of them."""

    def __init__(
        self,
        *,
        base_url: str = "",
        id_life_s: float = ID_LIFE_S,
        url_life_s: float = URL_LIFE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.base_url = base_url
        self.link_base: str | None = None
        """Where links pretend to lead; None: here."""
        self.id_life_s = id_life_s
        self.url_life_s = url_life_s
        self._clock = clock
        self._forwarded_s = 0.0
        self._items: dict[str, Item] = {}
        self._key = secrets.token_bytes(32)
        # Microseconds since 1970: ids stay unique when the sandbox restarts against the same archive.
        self._ids = itertools.count(time.time_ns() // 1_000)

    def __len__(self) -> int:
        return len(self._items)

    def now(self) -> float:
        """Unix seconds on the shelf's clock, which `forward` moves."""
        return self._clock() + self._forwarded_s

    def forward(self, seconds: float) -> None:
        """Let time pass: links and ids die as if `seconds` had gone by."""
        self._forwarded_s += seconds

    def add(
        self,
        data: bytes,
        mime: str,
        *,
        phone: Phone | None = None,
        file_name: str = "whatsapp",
        life_s: float | None = None,
    ) -> str:
        """Put a file on the shelf; its media id. `life_s` replaces the life of the id."""
        return self.add_copies(data, mime, 1, phone=phone, file_name=file_name, life_s=life_s)[0]

    def add_copies(
        self,
        data: bytes,
        mime: str,
        count: int,
        *,
        phone: Phone | None = None,
        file_name: str = "whatsapp",
        life_s: float | None = None,
    ) -> list[str]:
        """The same bytes under `count` media ids."""
        phone = phone or Phone()
        if life_s is None:
            life_s = self.id_life_s if phone.keeps_files else min(self.id_life_s, NO_STORAGE_LIFE_S)
        sha256 = hashlib.sha256(data).hexdigest()
        adler32 = zlib.adler32(data)
        dies_at = self.now() + life_s
        added = [str(next(self._ids)) for _ in range(count)]
        for media_id in added:
            self._items[media_id] = Item(
                media_id, phone.phone_number_id, data, mime, sha256, adler32, file_name, dies_at
            )
        return added

    def get(self, media_id: str) -> Item | None:
        """The living file with this id."""
        item = self._items.get(media_id)
        return item if item is not None and self.now() < item.dies_at else None

    def delete(self, media_id: str) -> bool:
        return self._items.pop(media_id, None) is not None

    def announce(self, media_id: str, *, source: str | None = None) -> Announced:
        """What Meta says of this file now, with a fresh link. Raises KeyError."""
        item = self._items[media_id]
        return Announced(media_id, item.mime, item.sha256, len(item.data), self.url(media_id, source=source))

    def url(self, media_id: str, *, source: str | None = None) -> str:
        """A fresh link, dying `url_life_s` from now. `source=webhook` is how Meta marks links in webhooks."""
        expires = int(self.now() + self.url_life_s)
        mark = f"&source={source}" if source else ""
        sealed = self._hash(media_id, str(expires))
        return (
            f"{self.link_base or self.base_url}{MEDIA_PATH}?mid={media_id}{mark}&ext={expires}&hash={sealed}"
        )

    def open(self, media_id: str, expires: str, sealed: str) -> Item | None:
        """The file behind a link, unless the link is dead or not ours, or the file is gone."""
        if not expires.isascii() or not expires.isdigit() or self.now() >= int(expires):
            return None
        if sealed != self._hash(media_id, expires):
            return None
        return self.get(media_id)

    def _hash(self, media_id: str, expires: str) -> str:
        digest = hashlib.blake2b(f"{media_id}:{expires}".encode(), key=self._key, digest_size=19)
        return "AT" + digest.hexdigest()
