"""A transcript put right by people: what stood there before stays readable, and who changed it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db import transaction

from acervo.base import clock, ids
from acervo.base.errors import Refused
from acervo.models import AuditEntry, Deed, MediaFile, Transcript, TranscriptEdit, TranscriptSegment
from acervo.transcribers import answers

LONGEST_TEXT: Final = answers.LONGEST_TEXT


class ChangedMeanwhile(Refused):
    """Somebody else changed this passage in the meantime."""

    code = "changed_meanwhile"


class TooLong(Refused):
    """A passage holds a few seconds of speech, not this much text."""

    code = "too_long"


def correct(segment_id: UUID, text: str, by: str, *, seen: str | None = None) -> None:
    """`seen` is what the person saw when they began: anything else there now is not overwritten. An empty text says
    that nothing was said. Raises ChangedMeanwhile and TooLong."""
    text = answers.clean(text)
    if len(text) > LONGEST_TEXT:
        raise TooLong()
    with transaction.atomic():
        # The transcript is locked, not the segment: its whole text is written anew.
        transcript = Transcript.objects.select_for_update().filter(segments=segment_id).first()
        segment = TranscriptSegment.objects.filter(pk=segment_id).first()
        if transcript is None or segment is None or seen not in (None, segment.text):
            raise ChangedMeanwhile()
        if text == segment.text:
            return
        _write(transcript, segment, text, by)


def _write(transcript: Transcript, segment: TranscriptSegment, text: str, by: str) -> None:
    at = clock.now()
    TranscriptEdit.objects.create(segment=segment, before=segment.text, after=text, by=by, at=at)
    TranscriptSegment.objects.filter(pk=segment.pk).update(
        text=text, confidence=None, edited_at=at, edited_by=by
    )
    whole = transcript.segments.exclude(text="").values_list("text", flat=True)
    Transcript.objects.filter(pk=transcript.pk).update(text="\n".join(whole), edited_at=at)
    MediaFile.objects.filter(pk=transcript.media_id).update(changed_at=at)
    details = {"segment": ids.text(segment.pk), "position": segment.position}
    deed = Deed("transcript.corrected", "file", transcript.media_id, "", details)
    AuditEntry.objects.record(transcript.workspace_id, by, [deed])
