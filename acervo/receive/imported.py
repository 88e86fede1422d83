"""A chat export written into the tables and the vault: batch by batch, from where it stands, in little memory."""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F

from acervo.base import clock, ids
from acervo.base.database import alone, in_thread
from acervo.base.errors import AcervoError, NeedsPerson, Refused
from acervo.keep import keys, vault
from acervo.keep.storage import SMALL_BYTES
from acervo.keep.vault import Stored
from acervo.models import AuditEntry, Chat, ChatImport, Deed, Direction, Sealing
from acervo.models import Message as MessageRow
from acervo.providers.chat_export import archive, messages
from acervo.providers.chat_export.archive import Archive, Damaged
from acervo.providers.chat_export.headers import Order
from acervo.receive import imports
from acervo.receive.imports import BY, LIMITS, moment_in, record
from acervo.receive.known import ABSENT, Captured, Item, Keys, kept_files
from acervo.receive.sealed_file import buffered
from acervo.receive.written import NewFile, write

log = logging.getLogger(__name__)

BATCH: Final = 500
BATCH_BYTES: Final = 32 * 1024**2
"""So much of files goes into one transaction; a larger one goes alone."""
BATCH_FILES: Final = 64
AT_ONCE: Final = 4

OnKept = Callable[[list[UUID]], None]
"""Called inside the transaction that commits the files: what comes next in their journey."""
Progress = Callable[[ChatImport], None]


class ArchiveAway(NeedsPerson):
    """The archive of this import is not here: run the command again, with the file it read before."""

    code = "archive_away"


async def go_on(
    run_id: UUID, on_kept: OnKept, *, path: Path | None = None, progress: Progress = lambda run: None
) -> None:
    """From where the import stands to its end, reading the uploaded archive, or the one at `path`. Returns early when
    somebody wants it undone, and at once when somebody else goes on with it. What hinders it for good is written on
    the row; raises TryLater."""
    async with alone(f"acervo.chat_import.{run_id}") as is_alone:
        if not is_alone:
            return
        run = await in_thread(ChatImport.objects.get, pk=run_id)
        if run.state != "running":
            return
        try:
            await _read_on(run, on_kept, path, progress)
        except (Refused, NeedsPerson) as error:
            log.warning("import.stopped", extra={"import": ids.text(run_id), "code": error.code})
            await in_thread(_stop, run, error)


async def _read_on(run: ChatImport, on_kept: OnKept, path: Path | None, progress: Progress) -> None:
    if path is None and run.object_key is None:
        raise ArchiveAway()
    source: Path | io.BufferedReader = path if path is not None else buffered(run)
    opening = archive.opened(source, LIMITS, name=run.archive_name)
    opened = await asyncio.to_thread(opening.__enter__)
    try:
        walk = _Walk(run, opened, on_kept, progress)
        with closing(walk.batches()) as batches:
            while batch := await asyncio.to_thread(next, batches, None):
                if not await walk.write(batch):
                    return
        await in_thread(_finish, run)
    finally:
        await asyncio.to_thread(opening.__exit__, None, None, None)
    await _forget_archive(run)
    progress(run)


@dataclass(slots=True)
class _Batch:
    items: list[Item] = field(default_factory=list)
    passed: int = 0
    """Messages, with those that leave no trace."""
    after_line: int = 0
    size_bytes: int = 0
    files: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.items) >= BATCH or self.size_bytes >= BATCH_BYTES or self.files >= BATCH_FILES


class _Walk:
    """One import at work."""

    def __init__(self, run: ChatImport, opened: Archive, on_kept: OnKept, progress: Progress) -> None:
        self.run, self.archive, self.on_kept, self.progress = run, opened, on_kept, progress
        self.sizes = opened.sizes
        self.names = archive.Names(self.sizes)
        self.is_group = len(run.report["authors"]) > 2

    def batches(self) -> Generator[_Batch, None, None]:
        """What is not done yet. What is, is read too: its messages are counted for the keys of later ones."""
        text, order = self.run.report["text"], Order(self.run.date_order)
        made, batch, after = Keys(self.run.person_id), _Batch(), self.run.after_line
        for said in messages.messages(self.archive.lines(text, LIMITS), order):
            if said.kind == messages.SYSTEM:
                continue
            item = self._item(said, made)
            if said.line <= after:
                continue
            batch.items.append(item)
            batch.passed += 1
            batch.after_line = said.line
            batch.files += bool(item.file_name)
            batch.size_bytes += item.size_bytes
            if batch.is_full:
                yield batch
                batch = _Batch()
        if batch.items:
            yield batch

    def _item(self, said: messages.Message, made: Keys) -> Item:
        direction = Direction.OUTBOUND if said.author == self.run.us else Direction.INBOUND
        sent_at = moment_in(self.run.time_zone, said.sent_at)
        extra: dict[str, Any] = {"claimed": {"author": said.author, "at": said.literal, "line": said.line}}
        if said.is_edited:
            extra["claimed"]["edited"] = True
        type_, text, file_name, size_bytes = said.kind, said.text or None, "", 0
        if said.kind in (messages.OMITTED, messages.UNSEEN):
            type_, extra["absent"] = ABSENT, {"kind": said.omitted}
        elif said.attachment is not None:
            file_name = self.names.find(said.attachment) or ""
            size_bytes = self.sizes.get(file_name, 0)
            if not file_name or size_bytes > settings.ACERVO_MAX_FILE_BYTES:
                why = "too_large" if file_name else "missing"
                # Somebody may only have typed the name: the text stays as it stood.
                type_, text, file_name, size_bytes = ABSENT, said.whole, "", 0
                extra["absent"] = {"kind": said.kind, "name": said.attachment, "why": why}
        is_media = bool(file_name) or type_ == ABSENT
        author = said.author or "" if self.is_group else ""
        key = made.of(sent_at, direction, author, said.text, is_media=is_media)
        return Item(said.line, key, sent_at, direction, type_, text, extra, file_name, size_bytes)

    async def write(self, batch: _Batch) -> bool:
        """False when it may not go on."""
        news = await in_thread(self._news, batch)
        if news is None:
            return False
        await asyncio.to_thread(self._hash, news.items)
        await in_thread(self._recognise, news)
        files = await self._store(news)
        try:
            is_written = await in_thread(self._commit, batch, news, files)
        except BaseException:
            await self._discard(files)
            raise
        if not is_written:
            await self._discard(files)
            return False
        await self._discard([file for file in files if not file.is_owned])
        self.progress(self.run)
        return True

    def _news(self, batch: _Batch) -> _News | None:
        """What of a batch is not here yet; None when somebody wants the import undone."""
        self.run.refresh_from_db()
        if self.run.state != "running" or self.run.person_id is None:
            return None
        chat, _ = Chat.objects.get_or_create(
            connection_id=self.run.connection_id,
            person_id=self.run.person_id,
            defaults={"workspace_id": self.run.workspace_id},
        )
        rows = MessageRow.objects.filter(
            connection=self.run.connection_id, provider_id__in=[item.key for item in batch.items]
        )
        here = {key: (pk, type_) for key, pk, type_ in rows.values_list("provider_id", "pk", "type")}
        news = _News(chat.pk, self.run.person_id)
        for item in batch.items:
            pk, type_ = here.get(item.key, (None, ""))
            if pk is None:
                news.items.append(item)
            elif type_ == ABSENT and item.file_name:
                news.filled[item.key] = pk
                news.items.append(item)
        return news

    def _hash(self, items: Sequence[Item]) -> None:
        """Every file whose message is new: small ones are held from here on, larger ones read once more later."""
        for item in items:
            if item.file_name:
                sha256, body = hashlib.sha256(), bytearray()
                for chunk in self.archive.read(item.file_name):
                    sha256.update(chunk)
                    if item.size_bytes <= SMALL_BYTES:
                        body += chunk
                item.sha256 = sha256.hexdigest()
                item.body = bytes(body) if item.size_bytes <= SMALL_BYTES else None

    def _recognise(self, news: _News) -> None:
        """Leave out what was captured, and point to files that the person had sent before."""
        if not news.items:
            return
        captured = Captured.around(news.chat_id, news.items)
        news.items = [item for item in news.items if item.key in news.filled or not captured.has(item)]
        kept = kept_files(news.person_id, [item.sha256 for item in news.items if item.sha256])
        first: dict[str, UUID] = {}
        for item in news.items:
            if not item.file_name:
                continue
            same = kept.get(item.sha256) or first.get(item.sha256)
            if same is None:
                same = news.file_ids[item.key] = first[item.sha256] = ids.new()
            else:
                item.extra["same_as"] = str(same)

    async def _store(self, news: _News) -> list[NewFile]:
        chosen = [item for item in news.items if item.key in news.file_ids]
        if not chosen:
            return []
        key = await in_thread(self._key)
        places, done = asyncio.Semaphore(AT_ONCE), list[NewFile]()

        async def one(item: Item) -> None:
            async with places:
                done.append(NewFile(news.file_ids[item.key], item, await self._put(item, news, key)))

        try:
            async with asyncio.TaskGroup() as group:
                for item in chosen:
                    group.create_task(one(item))
        except BaseException as error:
            await self._discard(done)
            if isinstance(error, ExceptionGroup):
                raise error.exceptions[0] from error
            raise
        return sorted(done, key=lambda file: file.item.line)

    def _key(self) -> keys.OpenKey | None:
        """Asked for anew each time: nothing is sealed with a key that was just destroyed."""
        workspace, person = self.run.workspace, self.run.person_id
        if workspace.sealing != Sealing.ACERVO or person is None:
            return None
        return keys.for_people(workspace.pk, [person])[person]

    async def _put(self, item: Item, news: _News, key: keys.OpenKey | None) -> Stored:
        def verify(size_bytes: int, sha256: str) -> None:
            if sha256 != item.sha256:
                raise Damaged("A file of this archive changed while it was read.")

        sealing = Sealing.ACERVO if key else Sealing.STORAGE
        place = vault.Place(
            self.run.workspace_id, news.file_ids[item.key], vault.ORIGINAL, sealing.value, key
        )
        if item.body is not None:
            body, item.body = item.body, None
            return await vault.store(place, body, verify=verify)
        return await vault.store(place, self._chunks(item.file_name), verify=verify)

    async def _chunks(self, name: str) -> AsyncIterator[bytes]:
        with closing(self.archive.read(name)) as pieces:
            while piece := await asyncio.to_thread(next, pieces, b""):
                yield piece

    def _commit(self, batch: _Batch, news: _News, files: list[NewFile]) -> bool:
        """All of a batch or nothing of it, and only from where we know that the import stands."""
        with transaction.atomic():
            here = ChatImport.objects.filter(
                pk=self.run.pk, after_line=self.run.after_line, finished_at=None, undo_asked_at=None
            )
            if not here.update(after_line=batch.after_line):
                return False
            done = write(self.run, news.chat_id, news.items, news.filled, files)
            here = ChatImport.objects.filter(pk=self.run.pk)
            here.update(
                done=F("done") + batch.passed,
                new_messages=F("new_messages") + done.messages,
                known_messages=F("known_messages") + batch.passed - done.messages,
                new_files=F("new_files") + len(done.files),
                new_bytes=F("new_bytes") + done.size_bytes,
                linked_files=F("linked_files") + done.linked,
                missing_files=F("missing_files") + done.missing,
            )
            deeds = [
                Deed("file.imported", "file", file.id, "", {"size_bytes": file.stored.size_bytes, "import": str(self.run)})
                for file in done.files
            ]  # fmt: skip
            if deeds:
                AuditEntry.objects.record(self.run.workspace_id, BY, deeds)
                self.on_kept([file.id for file in done.files])
        self.run.refresh_from_db()
        return True

    async def _discard(self, files: Sequence[NewFile]) -> None:
        try:
            await vault.discard([file.stored.object_key for file in files])
        except AcervoError as error:  # the sweeper will find them
            log.warning("import.surplus_left", extra={"objects": len(files), "reason": error.code})


@dataclass(slots=True)
class _News:
    """What of a batch is to be written."""

    chat_id: UUID
    person_id: UUID
    items: list[Item] = field(default_factory=list)
    filled: dict[str, UUID] = field(default_factory=dict)
    """Messages of an earlier export whose file was not in it, by key."""
    file_ids: dict[str, UUID] = field(default_factory=dict)


def _finish(run: ChatImport) -> None:
    with transaction.atomic():
        unfinished = ChatImport.objects.filter(
            pk=run.pk, after_line=run.after_line, finished_at=None, undo_asked_at=None
        )
        finished = unfinished.update(finished_at=clock.now())
        run.refresh_from_db()
        if finished:
            record(run, "import.finished", BY)


def _stop(run: ChatImport, error: AcervoError) -> None:
    with transaction.atomic():
        going = ChatImport.objects.filter(pk=run.pk, finished_at=None, undo_asked_at=None, refusal=None)
        if going.update(refusal=error.code[:32], refused_at=clock.now()):
            run.refresh_from_db()
            record(run, "import.stopped", BY)


async def _forget_archive(run: ChatImport) -> None:
    """The uploaded archive has done its service."""
    object_key = await in_thread(imports.let_go_of_archive, run)
    if object_key:
        await vault.discard([object_key])
