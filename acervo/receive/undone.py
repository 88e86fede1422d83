"""An import taken out again: what it brought, and nothing else, batch by batch and from wherever an interruption left it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F

from acervo.base import clock, ids
from acervo.base.database import alone, in_thread
from acervo.keep import keys, sweeper, vault
from acervo.models import (
    AuditEntry,
    Chat,
    ChatImport,
    CrmUpload,
    DataKey,
    Deed,
    Delivery,
    MediaFile,
    Message,
    Person,
    Rendition,
)
from acervo.receive import imports
from acervo.receive.imports import BY, record
from acervo.receive.known import ABSENT

log = logging.getLogger(__name__)

BATCH: Final = 500
Progress = Callable[[ChatImport], None]


async def undo(run_id: UUID, *, progress: Progress = lambda run: None) -> None:
    """Remove messages, files, copies and unkept promises of an import that somebody asked to undo. Returns at once when
    somebody else is at it, or the import itself still finishes its step. Raises StorageAway."""
    async with alone(f"acervo.chat_import.{run_id}") as is_alone:
        run = await in_thread(ChatImport.objects.get, pk=run_id)
        if not is_alone or run.state != "undoing":
            return
        while (objects := await in_thread(_take_out, run)) is not None:
            await vault.discard(objects)
            progress(run)
        object_key = await in_thread(imports.let_go_of_archive, run)
        if object_key:
            await vault.discard([object_key])
        await in_thread(_end, run)
        progress(run)


def _take_out(run: ChatImport) -> list[str] | None:
    """One batch of messages with all that hangs on them; the objects nobody owns any more, or None when none is left.
    Rows go first, so that no page leads to missing bytes; objects a crash leaves are the sweeper's."""
    with transaction.atomic():
        found = Message.objects.filter(chat_import=run).order_by("pk").select_for_update(no_key=True)
        rows = _few_enough(list(found[:BATCH]))
        if not rows:
            return None
        files = list(MediaFile.objects.filter(message__in=rows).order_by("pk").select_for_update(no_key=True))
        heirs = _hand_over(run, files)
        gone = [media for media in files if media.pk not in heirs]
        told = Delivery.objects.filter(media__in=gone, delivered_at__isnull=False).values("media").distinct()
        told_files = told.count()
        objects = [media.object_key for media in gone if media.object_key]
        copies = Rendition.objects.filter(media__in=gone, object_key__isnull=False)
        objects += [key for key in copies.values_list("object_key", flat=True) if key]
        uploads = CrmUpload.objects.filter(media__in=gone)
        uploads.take_out(by=run.undo_asked_by or BY, at=clock.now())
        MediaFile.objects.filter(pk__in=[media.pk for media in gone]).delete()
        _take_out_messages(rows)
        ChatImport.objects.filter(pk=run.pk).update(
            removed_files=F("removed_files") + len(gone), told_to_crm=F("told_to_crm") + told_files
        )
        deeds = [
            Deed("file.removed", "file", media.pk, "import_undone", {"import": str(run)}) for media in gone
        ]
        if deeds:
            AuditEntry.objects.record(run.workspace_id, BY, deeds)
    run.refresh_from_db()
    return objects


def _few_enough(rows: list[Message]) -> list[Message]:
    """The first of these messages: so many that a crash, after their rows and before the objects of their files are
    gone, leaves no more than the sweeper clears away by itself. One may always go."""
    files = MediaFile.objects.filter(message__in=rows, object_key__isnull=False)
    copies = Rendition.objects.filter(media__message__in=rows, object_key__isnull=False)
    objects = Counter(files.values_list("message", flat=True))
    objects.update(copies.values_list("media__message", flat=True))
    total = 0
    for place, row in enumerate(rows):
        total += objects[row.pk]
        if total > sweeper.FEW and place:
            return rows[:place]
    return rows


def _hand_over(run: ChatImport, files: Sequence[MediaFile]) -> set[UUID]:
    """A file that a message of another import points to goes to that message instead of going away."""
    wanted = {str(media.pk): media for media in files}
    if not wanted:
        return set()
    others = (
        Message.objects.filter(
            chat__person=run.person_id, extra__has_key="same_as", extra__same_as__in=list(wanted)
        )
        .exclude(chat_import=run)
        .order_by("pk")
        .select_for_update(of=("self",))
    )
    heirs: set[UUID] = set()
    for message in others:
        media = wanted[message.extra["same_as"]]
        if media.pk in heirs:
            continue
        heirs.add(media.pk)
        extra: dict[str, Any] = {name: value for name, value in message.extra.items() if name != "same_as"}
        Message.objects.filter(pk=message.pk).update(extra=extra)
        MediaFile.objects.filter(pk=media.pk).update(
            message=message,
            chat=message.chat_id,
            connection=message.connection_id,
            direction=message.direction,
            caption=message.text,
            sent_at=message.sent_at,
            received_at=message.sent_at,
            changed_at=clock.now(),
        )
    return heirs


def _take_out_messages(rows: Sequence[Message]) -> None:
    """Those that stood in an earlier import become again what they were there, as long as that one is still here."""
    origins = {row.pk: row.extra["was"]["import"] for row in rows if "was" in row.extra}
    alive = ChatImport.objects.filter(pk__in=set(origins.values()), undo_asked_at=None)
    standing = {str(pk) for pk in alive.values_list("pk", flat=True)}
    back = {pk for pk, origin in origins.items() if origin in standing}
    for row in rows:
        if row.pk in back:
            was = row.extra["was"]
            Message.objects.filter(pk=row.pk).update(
                type=ABSENT, text=was["text"], extra=was["extra"], chat_import=UUID(was["import"])
            )
    Message.objects.filter(pk__in=[row.pk for row in rows if row.pk not in back]).delete()


def _end(run: ChatImport) -> None:
    with transaction.atomic():
        person_id = run.person_id
        ended = ChatImport.objects.filter(pk=run.pk, undone_at=None).update(undone_at=clock.now())
        Chat.objects.filter(
            connection=run.connection_id, person=person_id, messages=None, files=None
        ).delete()
        run.refresh_from_db()
        if ended:
            if run.made_person and person_id is not None:
                _let_person_go(run, person_id)
            record(run, "import.undone", run.undo_asked_by or BY)
    log.info("import.undone", extra={"import": ids.text(run.pk), "files": run.removed_files})


def _let_person_go(run: ChatImport, person_id: UUID) -> None:
    """Whom the import made goes with it, unless they wrote to us meanwhile or stand in another import."""
    person = Person.objects.filter(pk=person_id, merged_into=None, chats=None, files=None, record_links=None)
    person = person.filter(merged=None)
    others = ChatImport.objects.filter(person=person_id, undone_at=None)
    if not person.exists() or others.exists():
        return
    keys.destroy(person_id, by=run.undo_asked_by or BY, reason="import_undone")
    DataKey.objects.filter(person=person_id).delete()
    ChatImport.objects.filter(person=person_id).update(person=None)
    person.delete()
    run.refresh_from_db()
