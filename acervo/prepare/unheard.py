"""Files that nobody listened to yet: counted, asked for together, and brought to the queue a few at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from acervo.base import clock
from acervo.models import AuditEntry, ChatImport, Deed, Kind, MediaFile, Transcriber, Transcript
from acervo.prepare.hearing import NO_CONSENT, hearable
from acervo.prepare.transcripts import NotConfigured

AT_ONCE: Final = 10_000
"""Asked for by one press of a button; counts stop here too."""
BATCH: Final = 1_000
SPOKEN: Final = (Kind.VOICE, Kind.AUDIO, Kind.VIDEO)
"""What may have sound, before anybody looked into it."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How far a workspace's transcripts are. No number goes beyond AT_ONCE + 1."""

    without: int
    """Files with sound that have none, or whose last try was given up."""
    waiting: int
    made: int


def tally(workspace_id: UUID) -> Tally:
    rows = Transcript.objects.filter(workspace=workspace_id)
    return Tally(
        without=_counted(without(workspace_id)),
        waiting=_counted(rows.filter(made_at=None, stopped_at=None)),
        made=_counted(rows.made()),
    )


def without(workspace_id: UUID) -> QuerySet[MediaFile]:
    """Files of a workspace that could have a transcript and have none. Those of people who refused do not count."""
    given_up = Q(transcript__stopped_at__isnull=False) & ~Q(transcript__refusal=NO_CONSENT)
    return hearable().filter(Q(transcript=None) | given_up, workspace=workspace_id)


def ask_for_all(workspace_id: UUID, by: str) -> int:
    """The newest files that have none are asked for, at most AT_ONCE of them. Returns how many."""
    with transaction.atomic():
        newest = without(workspace_id).order_by("-received_at", "-id").values_list("pk", flat=True)
        pks = list(newest[:AT_ONCE])
        for start in range(0, len(pks), BATCH):
            _ask(workspace_id, pks[start : start + BATCH], by)
        deed = Deed("transcriber.backfilled", "workspace", workspace_id, "", {"files": len(pks)})
        AuditEntry.objects.record(workspace_id, by, [deed])
    return len(pks)


def of_import(run: ChatImport) -> QuerySet[MediaFile]:
    """Files an exported chat brought that nobody asked a transcript of, as far as they have sound, or may have."""
    brought = MediaFile.objects.kept().filter(message__chat_import=run, transcript=None)
    known = hearable().filter(message__chat_import=run)
    return brought.filter(Q(pk__in=known) | Q(prepared_at=None, kind__in=SPOKEN))


def ask_for_import(run: ChatImport, by: str) -> int:
    """All of them are asked for; those that are not prepared yet are heard once they are. Returns how many. Raises
    NotConfigured."""
    if not Transcriber.objects.filter(pk=run.workspace_id).exists():
        raise NotConfigured()
    with transaction.atomic():
        pks = list(of_import(run).order_by("-received_at", "-id").values_list("pk", flat=True))
        for start in range(0, len(pks), BATCH):
            _ask(run.workspace_id, pks[start : start + BATCH], by)
        deed = Deed("transcriber.backfilled", "import", run.pk, "", {"files": len(pks)})
        AuditEntry.objects.record(run.workspace_id, by, [deed])
    return len(pks)


def waiting(limit: int, *, busy: Sequence[UUID] = ()) -> list[UUID]:
    """Transcripts that could be made now, those asked for first first; without those that are `busy` already."""
    found = Transcript.objects.filter(
        made_at=None,
        stopped_at=None,
        workspace__transcriber__paused_at=None,
        workspace__transcriber__isnull=False,
        media__prepared_at__isnull=False,
        media__in=MediaFile.objects.openable(),
    )
    return list(found.exclude(pk__in=busy).order_by("asked_at").values_list("pk", flat=True)[:limit])


def _ask(workspace_id: UUID, files: Sequence[UUID], by: str) -> None:
    Transcript.objects.filter(media__in=files, stopped_at__isnull=False).update(
        asked_at=clock.now(),
        asked_by=by,
        attempts=0,
        heard_s=0,
        refusal=None,
        refused_at=None,
        stopped_at=None,
    )
    Transcript.objects.bulk_create(
        [Transcript(workspace_id=workspace_id, media_id=pk, asked_by=by) for pk in files],
        ignore_conflicts=True,
    )


def _counted(rows: QuerySet[MediaFile] | QuerySet[Transcript]) -> int:
    return rows.order_by().values("pk")[: AT_ONCE + 1].count()
