"""What of an export is not done yet: its messages in the order of the file, in batches that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings

from acervo.models import ChatImport, Direction, SizeLimit
from acervo.providers.chat_export import archive, messages
from acervo.providers.chat_export.archive import Archive
from acervo.providers.chat_export.headers import Order
from acervo.receive.imports import LIMITS, moment_in
from acervo.receive.known import ABSENT, MISSING, TOO_LARGE, Item, Keys

LARGEST: Final = 500
"""Messages."""
LARGEST_BYTES: Final = 16 * 1024**2
"""So much of files goes into one transaction; a larger one goes alone. Two batches are in memory at once."""
MOST_FILES: Final = 64


@dataclass(slots=True)
class Batch:
    items: list[Item] = field(default_factory=list)
    passed: int = 0
    """Messages, with those that leave no trace."""
    after_line: int = 0
    size_bytes: int = 0
    files: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.items) >= LARGEST or self.size_bytes >= LARGEST_BYTES or self.files >= MOST_FILES

    def add(self, item: Item) -> None:
        self.items.append(item)
        self.passed += 1
        self.after_line = item.line
        self.files += bool(item.file_name)
        self.size_bytes += item.size_bytes


class Batches:
    """Of one import, from where it stands."""

    def __init__(self, run: ChatImport, opened: Archive) -> None:
        self._run, self._archive = run, opened
        self._after_line = run.after_line
        self._sizes = opened.sizes
        self._names = archive.Names(self._sizes)
        self._limits = SizeLimit.of(run.workspace_id)
        self._keys = Keys(run.person_id)
        self._is_group = len(run.report["authors"]) > 2

    def __iter__(self) -> Iterator[Batch]:
        """What is done is read, too: its messages are counted for the keys of later ones."""
        text, order = self._run.report["text"], Order(self._run.date_order)
        batch = Batch()
        for said in messages.messages(self._archive.lines(text, LIMITS), order):
            if said.kind == messages.SYSTEM:
                continue
            item = self._item(said)
            if said.line <= self._after_line:
                continue
            batch.add(item)
            if batch.is_full:
                yield batch
                batch = Batch()
        if batch.items:
            yield batch

    def _item(self, said: messages.Message) -> Item:
        direction = Direction.OUTBOUND if said.author == self._run.us else Direction.INBOUND
        sent_at = moment_in(self._run.time_zone, said.sent_at)
        extra: dict[str, Any] = {"claimed": {"author": said.author, "at": said.literal, "line": said.line}}
        if said.is_edited:
            extra["claimed"]["edited"] = True
        type_, text, file_name, size_bytes = said.kind, said.text or None, "", 0
        if said.kind in (messages.OMITTED, messages.UNSEEN):
            type_, extra["absent"] = ABSENT, {"kind": said.omitted}
        elif said.attachment is not None:
            file_name = self._names.find(said.attachment) or ""
            size_bytes = self._sizes.get(file_name, 0)
            if not file_name or size_bytes > self._limit_bytes(said.kind):
                extra["absent"] = {"kind": said.kind, "name": said.attachment, "why": MISSING}
                if file_name:
                    extra["absent"] |= {"why": TOO_LARGE, "size_bytes": size_bytes}
                # Somebody may only have typed the name: the text stays as it stood.
                type_, text, file_name, size_bytes = ABSENT, said.whole, "", 0
        is_media = bool(file_name) or type_ == ABSENT
        author = said.author or "" if self._is_group else ""
        key = self._keys.of(sent_at, direction, author, said.text, is_media=is_media)
        return Item(said.line, key, sent_at, direction, type_, text, extra, file_name, size_bytes)

    def _limit_bytes(self, kind: str) -> int:
        """As for files that a provider announces."""
        standing: int = settings.ACERVO_MAX_FILE_BYTES
        return min(self._limits.get(kind, standing), standing)
