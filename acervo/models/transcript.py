"""What was said in a file: by which engine, in which language, corrected by whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.db.models import F, Q

from acervo.base import clock, ids
from acervo.models.media import MediaFile
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class Transcriber(models.Model):
    """The engine a workspace lets listen to its files. Without a row nothing is transcribed."""

    workspace = models.OneToOneField(
        Workspace, on_delete=models.CASCADE, primary_key=True, related_name="transcriber"
    )
    engine = models.CharField(max_length=24)
    """A key of `acervo.transcribers.ENGINES`."""
    model = models.CharField(max_length=200)
    """The engine's name for it, or the folder it lies in."""
    api_base = models.CharField(max_length=300, blank=True)
    language = models.CharField(max_length=8, blank=True)
    """ISO 639-1; empty: the engine finds out."""
    sealed_secrets = models.BinaryField(editable=False, null=True)
    """`base.sealed`: JSON of name to secret."""
    is_automatic = models.BooleanField(default=True)
    """Files are transcribed when they are prepared; otherwise when somebody asks."""
    longest_s = models.PositiveIntegerField(default=1800)
    """Longer recordings wait until somebody asks."""
    paused_at = models.DateTimeField(null=True)
    pause_reason = models.CharField(max_length=32, null=True)
    changed_at = models.DateTimeField(auto_now=True)
    changed_by = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="transcriber_pause_has_a_time_and_a_reason_or_neither",
                condition=Q(paused_at=None, pause_reason=None)
                | Q(paused_at__isnull=False, pause_reason__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.engine} of {self.workspace_id}"


class Transcripts(models.QuerySet["Transcript"]):
    def visible_to(self, member: Member) -> Self:
        return self.filter(media__in=MediaFile.objects.visible_to(member))

    def made(self) -> Self:
        return self.filter(made_at__isnull=False)


class Transcript(models.Model):
    """Of one file. Asked for, then made or refused; what people corrected stays when it is made again by hand only."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    media = models.OneToOneField(MediaFile, on_delete=models.CASCADE, related_name="transcript")
    asked_at = models.DateTimeField(default=clock.now)
    asked_by = models.CharField(max_length=64)
    attempts = models.PositiveIntegerField(default=0)
    heard_s = models.FloatField(default=0)
    """How far a long recording has come."""
    refusal = models.CharField(max_length=32, null=True)
    """Why the last try failed; worded by `web.words`."""
    refused_at = models.DateTimeField(null=True)
    stopped_at = models.DateTimeField(null=True)
    """When trying ended without a transcript; somebody may ask again."""
    made_at = models.DateTimeField(null=True)
    engine = models.CharField(max_length=24, blank=True)
    model = models.CharField(max_length=200, blank=True)
    language = models.CharField(max_length=8, blank=True)
    text = models.TextField(blank=True)
    """Of all segments, as corrected; a generated column `search` stands beside it."""
    edited_at = models.DateTimeField(null=True)

    objects = Transcripts.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="transcript_is_not_both_made_and_stopped",
                condition=Q(made_at=None) | Q(stopped_at=None),
            ),
            models.CheckConstraint(
                name="made_transcript_names_its_engine", condition=Q(made_at=None) | ~Q(engine="")
            ),
            models.CheckConstraint(
                name="transcript_refusal_has_a_time_and_a_reason_or_neither",
                condition=Q(refusal=None, refused_at=None)
                | Q(refusal__isnull=False, refused_at__isnull=False),
            ),
            models.CheckConstraint(
                name="stopped_transcript_says_why", condition=Q(stopped_at=None) | Q(refusal__isnull=False)
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["asked_at"], name="transcript_waiting", condition=Q(made_at=None, stopped_at=None)
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)

    @property
    def state(self) -> str:
        """made, stopped, trying (refused before) or waiting."""
        if self.made_at:
            return "made"
        if self.stopped_at:
            return "stopped"
        return "trying" if self.refusal else "waiting"


class TranscriptSegment(models.Model):
    """Some seconds of speech."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    transcript = models.ForeignKey(Transcript, on_delete=models.CASCADE, related_name="segments")
    position = models.PositiveIntegerField()
    start_s = models.FloatField()
    end_s = models.FloatField()
    text = models.TextField()
    confidence = models.FloatField(null=True)
    """From 0 to 1, where the engine says; null once a person corrected it."""
    edited_at = models.DateTimeField(null=True)
    edited_by = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["transcript", "position"], name="transcript_has_one_segment_at_a_position"
            ),
            models.CheckConstraint(
                name="segment_ends_after_it_starts",
                condition=Q(start_s__gte=0, end_s__gte=F("start_s")),
            ),
            models.CheckConstraint(
                name="segment_edit_has_a_time_and_an_author_or_neither",
                condition=Q(edited_at=None, edited_by="") | (Q(edited_at__isnull=False) & ~Q(edited_by="")),
            ),
            models.CheckConstraint(
                name="segment_confidence_is_a_share",
                condition=Q(confidence=None) | Q(confidence__gte=0, confidence__lte=1),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.position} of {ids.text(self.transcript_id)}"


class TranscriptEdit(models.Model):
    """A correction, kept as long as the transcript: what stood there before, and who changed it."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    segment = models.ForeignKey(TranscriptSegment, on_delete=models.CASCADE, related_name="edits")
    before = models.TextField()
    after = models.TextField()
    by = models.CharField(max_length=64)
    at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering: ClassVar = ["at", "id"]

    def __str__(self) -> str:
        return ids.text(self.id)
