"""A chat export written into the tables and the vault: batch by batch, from where it stands, in little memory."""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F

from acervo.base import clock, ids
from acervo.base.database import alone, in_thread
from acervo.base.errors import AcervoError, NeedsPerson, Refused
from acervo.keep import keys, vault
from acervo.keep.storage import SMALL_BYTES
from acervo.keep.vault import Stored
from acervo.models import AuditEntry, Chat, ChatImport, Deed, Sealing
from acervo.models import Message as MessageRow
from acervo.providers.chat_export import archive
from acervo.providers.chat_export.archive import Archive, Damaged
from acervo.receive import imports
from acervo.receive.batches import Batch, Batches
from acervo.receive.imports import BY, LIMITS, record
from acervo.receive.known import ABSENT, Captured, Item, kept_files
from acervo.receive.sealed_file import buffered
from acervo.receive.written import NewFile, write

log = logging.getLogger(__name__)

AT_ONCE: Final = 16
"""Files stored side by side: a folder syncs small ones in groups of as many."""

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
        if run.state == "finished":  # whoever finished it died before its archive was gone
            await _forget_archive(run)
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
        batches = await in_thread(Batches, run, opened)
        if not await _Walk(run, opened, on_kept, progress).through(iter(batches)):
            return
        await in_thread(_finish, run)
    finally:
        await asyncio.to_thread(opening.__exit__, None, None, None)
    await _forget_archive(run)
    progress(run)


class _Walk:
    """One import at work."""

    def __init__(self, run: ChatImport, opened: Archive, on_kept: OnKept, progress: Progress) -> None:
        self.run, self.archive, self.on_kept, self.progress = run, opened, on_kept, progress

    async def through(self, batches: Iterator[Batch]) -> bool:
        """Batch by batch. While one is stored and written, the next one is read and hashed. False when it may not go
        on to the end."""
        following = asyncio.create_task(self._read(batches))
        try:
            while (ready := await asyncio.shield(following)) is not None:
                following = asyncio.create_task(self._read(batches))
                if not await self._write(*ready):
                    return False
            return True
        finally:
            # A thread reads the archive: whatever happened, it must be out before somebody closes that.
            await asyncio.wait([following])
            if not following.cancelled():
                following.exception()

    async def _read(self, batches: Iterator[Batch]) -> tuple[Batch, _News | None] | None:
        """The next batch, and what of it is not here yet; None after the last one."""
        batch = await asyncio.to_thread(next, batches, None)
        if batch is None:
            return None
        news = await in_thread(self._news, batch)
        if news is not None:
            await asyncio.to_thread(self._hash, news.items)
        return batch, news

    async def _write(self, batch: Batch, news: _News | None) -> bool:
        """False when it may not go on."""
        if news is None:
            return False
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

    def _news(self, batch: Batch) -> _News | None:
        """What of a batch is not here yet; None when somebody wants the import undone. `self.run` is left alone: the
        batch before may be on its way into the tables."""
        run = ChatImport.objects.get(pk=self.run.pk)
        if run.state != "running" or run.person_id is None:
            return None
        chat, _ = Chat.objects.get_or_create(
            connection_id=run.connection_id,
            person_id=run.person_id,
            defaults={"workspace_id": run.workspace_id},
        )
        rows = MessageRow.objects.filter(
            connection=run.connection_id, provider_id__in=[item.key for item in batch.items]
        )
        here = {key: (pk, type_) for key, pk, type_ in rows.values_list("provider_id", "pk", "type")}
        news = _News(chat.pk, run.person_id)
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

    def _commit(self, batch: Batch, news: _News, files: list[NewFile]) -> bool:
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
