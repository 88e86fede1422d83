"""What becomes of a hearing, on its row: begun, tried again, ended with a reason, or written down. One worker's word counts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet

from acervo.base import clock, ids
from acervo.base.errors import AcervoError, TryLater
from acervo.base.sealed import SealedElsewhere
from acervo.models import AuditEntry, Deed, MediaFile, Transcriber, Transcript, TranscriptSegment
from acervo.prepare.isolation import ToolTimedOut
from acervo.transcribers.contract import EngineUnusable, Heard, RateLimited, UnusableAnswer

log = logging.getLogger(__name__)

MayI = Callable[[UUID, UUID, str], bool]
"""`govern.consent.allows`: workspace, person, purpose."""

BY: Final = "system:transcribe"
PURPOSE: Final = "transcribe"
NO_CONSENT: Final = "no_consent"
NOT_CONFIGURED: Final = "not_configured"
NOTHING_TO_HEAR: Final = "nothing_to_hear"
FAULT: Final = "error"
MOST_ATTEMPTS: Final = 150
"""Of an engine that is away: with the waits below, a day."""
LONGEST_WAIT_S: Final = 600.0
MOST_FAULTS: Final = 5
SHORTEST_S: Final = 0.1
"""Less than any word; engines refuse it."""
HAS_SOUND: Final = Q(mime__startswith="audio/") | (
    # Files prepared before codecs were remembered may have sound.
    Q(mime__startswith="video/") & (Q(audio_codec__isnull=False) | Q(video_codec=None))
)


@dataclass(frozen=True, slots=True)
class Work:
    """A transcript to be made, as it stood when the work began."""

    row: Transcript
    media: MediaFile
    transcriber: Transcriber

    @property
    def unmade(self) -> QuerySet[Transcript]:
        """The row, unless somebody finished it or asked anew in the meantime."""
        return Transcript.objects.filter(
            pk=self.row.pk, asked_at=self.row.asked_at, made_at=None, stopped_at=None
        )


def hearable() -> QuerySet[MediaFile]:
    """Prepared files with sound that may be opened."""
    return MediaFile.objects.openable().filter(
        HAS_SOUND, prepared_at__isnull=False, duration_s__gte=SHORTEST_S
    )


def begin(transcript_id: UUID, may_i: MayI) -> Work | None:
    """None where there is nothing to do, now or ever."""
    with transaction.atomic():
        rows = Transcript.objects.filter(pk=transcript_id, made_at=None, stopped_at=None)
        row = rows.select_for_update(of=("self",)).select_related("media").first()
        if row is None or not row.media.is_openable or row.media.prepared_at is None:
            return None
        if not hearable().filter(pk=row.media_id).exists():  # asked for before anybody could know
            _stop(row, NOTHING_TO_HEAR)
            return None
        transcriber = Transcriber.objects.filter(pk=row.workspace_id).first()
        if transcriber is None:
            _stop(row, NOT_CONFIGURED)
            return None
        if transcriber.paused_at:
            return None
        if not may_i(row.workspace_id, row.media.person_id, PURPOSE):
            _stop(row, NO_CONSENT)
            return None
        rows.update(attempts=F("attempts") + 1, heard_s=0, refusal=None, refused_at=None)
        touch(row.media_id)
    row.attempts += 1
    return Work(row, row.media, transcriber)


def settle(work: Work, error: AcervoError, *, is_last_try: bool) -> bool:
    """Write down why it failed. Whether the same should be tried again."""
    log.warning("transcript.refused", extra={"transcript": ids.text(work.row.pk), "code": error.code})
    if isinstance(error, EngineUnusable | SealedElsewhere):
        _pause(work, error.code)
        return False
    if not isinstance(error, TryLater) or _is_enough(work, error, is_last_try=is_last_try):
        with transaction.atomic():
            _stop(work.row, error.code)
        return False
    if error.after_s is None:
        error.after_s = min(2.0 ** min(work.row.attempts + 1, 10), LONGEST_WAIT_S)
    _refuse(work, error.code)
    return True


def _is_enough(work: Work, error: TryLater, *, is_last_try: bool) -> bool:
    if isinstance(error, UnusableAnswer | ToolTimedOut):
        return is_last_try  # it may be this very file
    return not isinstance(error, RateLimited) and work.row.attempts >= MOST_ATTEMPTS


def note_fault(work: Work) -> None:
    """Our own fault: shown as one, and not repeated for ever."""
    if work.row.attempts < MOST_FAULTS:
        _refuse(work, FAULT)
        return
    with transaction.atomic():
        _stop(work.row, FAULT)


def _refuse(work: Work, code: str) -> None:
    work.unmade.update(refusal=code, refused_at=clock.now())
    touch(work.media.pk)


def _stop(row: Transcript, code: str) -> None:
    at = clock.now()
    unmade = Transcript.objects.filter(pk=row.pk, asked_at=row.asked_at, made_at=None, stopped_at=None)
    if not unmade.update(stopped_at=at, refusal=code, refused_at=at):
        return
    touch(row.media_id)
    AuditEntry.objects.record(row.workspace_id, BY, [Deed("transcript.stopped", "file", row.media_id, code)])


def _pause(work: Work, code: str) -> None:
    """No file fares better until somebody acts, so none is spent on finding that out again. The one that met it waits
    with all others. Settings changed since this work began are not judged by it."""
    transcriber, at = work.transcriber, clock.now()
    with transaction.atomic():
        _refuse(work, code)
        same = Transcriber.objects.filter(
            pk=transcriber.pk, changed_at=transcriber.changed_at, paused_at=None
        )
        if same.update(paused_at=at, pause_reason=code):
            deed = Deed("transcriber.paused", "workspace", transcriber.workspace_id, code)
            AuditEntry.objects.record(transcriber.workspace_id, BY, [deed])


def commit(work: Work, heard: Heard) -> None:
    at, row = clock.now(), work.row
    with transaction.atomic():
        written = work.unmade.update(
            made_at=at, engine=work.transcriber.engine, model=work.transcriber.model, language=heard.language,
            text="\n".join(said.text for said in heard.segments), heard_s=work.media.duration_s or 0,
            refusal=None, refused_at=None,
        )  # fmt: skip
        if not written:
            return
        TranscriptSegment.objects.bulk_create(
            TranscriptSegment(
                transcript=row, position=position, start_s=said.start_s, end_s=said.end_s, text=said.text,
                confidence=said.confidence,
            )
            for position, said in enumerate(heard.segments)
        )  # fmt: skip
        touch(work.media.pk)
        details = {"segments": len(heard.segments), "attempts": row.attempts}
        deed = Deed("transcript.made", "file", work.media.pk, work.transcriber.engine, details)
        AuditEntry.objects.record(row.workspace_id, BY, [deed])
    log.info("transcript.made", extra={"transcript": ids.text(row.pk), "segments": len(heard.segments)})


def touch(media_id: UUID) -> None:
    """Open pages learn of it."""
    MediaFile.objects.filter(pk=media_id).update(changed_at=clock.now())


def write_progress(work: Work, second: float) -> None:
    if work.unmade.update(heard_s=second):
        touch(work.media.pk)
