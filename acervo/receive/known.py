"""What of an export is here already: imported before, or captured while it happened."""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from acervo.models import Direction, MediaFile
from acervo.models import Message as MessageRow
from acervo.providers.chat_export.messages import DELETED

NEAR: Final = timedelta(minutes=1)
"""Android writes whole minutes, and cuts the seconds off."""
MINUTES_REMEMBERED: Final = 4096
ABSENT: Final = "absent_file"
"""The type of a message whose file the export does not hold."""
MISSING, TOO_LARGE = "missing", "too_large"
"""Why it does not: the archive has no such file, or the file is over the workspace's limit for its kind."""
MEDIA: Final = "media"


@dataclass(slots=True)
class Item:
    """A message of the export on its way into the tables."""

    line: int
    key: str
    sent_at: datetime
    direction: Direction
    type: str
    text: str | None
    extra: dict[str, Any]
    file_name: str = ""
    """In the archive; empty where the export does not hold the file."""
    size_bytes: int = 0
    sha256: str = ""
    body: bytes | None = None
    """Of a small file."""

    @property
    def is_media(self) -> bool:
        return bool(self.file_name) or self.type == ABSENT

    @property
    def is_missing(self) -> bool:
        """The archive does not hold the file."""
        return self.type == ABSENT and self.extra["absent"].get("why") != TOO_LARGE


class Keys:
    """One key a message, the same whichever export of the chat it stands in, and whether or not its file is there: by
    minute, side and text, and counted where these are equal. Fed with every message in the order of the file."""

    def __init__(self, person_id: UUID | None) -> None:
        self._person_id = person_id
        self._seen: OrderedDict[datetime, tuple[str, Counter[str]]] = OrderedDict()

    def of(self, sent_at: datetime, direction: str, author: str, text: str, *, is_media: bool) -> str:
        minute = sent_at.replace(second=0, microsecond=0)
        found = self._seen.get(minute)
        if found is None:
            found = self._seen[minute] = (f"{self._person_id}\n{minute.isoformat()}\n", Counter())
            if len(self._seen) > MINUTES_REMEMBERED:
                self._seen.popitem(last=False)
        what = f"{direction}\n{author}\n{MEDIA if is_media else 'text ' + ' '.join(text.split())}"
        begin, seen = found
        seen[what] += 1
        whole = f"{begin}{what}\n{seen[what]}"
        return f"export:{hashlib.sha256(whole.encode(errors='replace')).hexdigest()}"


@dataclass(slots=True)
class Captured:
    """Messages of the chat that came through WhatsApp itself, around those of a batch. Each answers for one."""

    rows: Sequence[Mapping[str, Any]]
    files: dict[UUID, list[tuple[str | None, str]]] = field(default_factory=dict)
    """Message to hash and kind of each of its files."""
    taken: set[UUID] = field(default_factory=set)

    @classmethod
    def around(cls, chat_id: UUID, items: Sequence[Item]) -> Captured:
        moments = [item.sent_at for item in items]
        found = MessageRow.objects.filter(
            chat=chat_id,
            chat_import=None,
            sent_at__gte=min(moments) - NEAR,
            sent_at__lte=max(moments) + 2 * NEAR,
        )
        rows = list(found.order_by("sent_at", "pk").values("id", "sent_at", "direction", "text"))
        captured = cls(rows)
        files = MediaFile.objects.filter(message__in=[row["id"] for row in rows])
        for message_id, sha256, announced, kind in files.values_list(
            "message_id", "sha256", "announced_sha256", "kind"
        ):
            captured.files.setdefault(message_id, []).append((sha256 or announced, kind))
        return captured

    def has(self, item: Item) -> bool:
        """Whether one of them is this message: of the same side and minute, with the same file or the same text."""
        for row in self.rows:
            if row["id"] not in self.taken and self._is(row, item):
                self.taken.add(row["id"])
                return True
        return False

    def _is(self, row: Mapping[str, Any], item: Item) -> bool:
        passed = row["sent_at"] - item.sent_at
        if row["direction"] != item.direction or not -NEAR <= passed < 2 * NEAR:
            return False
        files = self.files.get(row["id"], [])
        if item.type == DELETED:
            return True
        if item.type == ABSENT:
            kind = item.extra.get("absent", {}).get("kind")
            return any(not kind or kind == its or {kind, its} == {"voice", "audio"} for _, its in files)
        if item.file_name:
            return any(sha256 == item.sha256 for sha256, _ in files)
        return not files and _words(row["text"]) == _words(item.text)


def kept_files(person_id: UUID, hashes: Sequence[str]) -> dict[str, UUID]:
    """Files of this person with these bytes that are here, by hash; the oldest of each."""
    found = MediaFile.objects.kept().filter(person=person_id, sha256__in=set(hashes))
    return {sha256: pk for sha256, pk in found.order_by("-pk").values_list("sha256", "pk") if sha256}


def _words(text: str | None) -> str:
    return " ".join((text or "").split())
