"""What a workspace wants made of its files, and how large they may be."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from acervo.models.media import Kind
from acervo.models.workspace import Workspace


class When(models.TextChoices):
    NEVER = "never", "never"
    NEEDED = "needed", "needed"
    """Where the original does not play or show everywhere, or is a video above the cap."""
    ALWAYS = "always", "always"
    """Also where the original would do, if the copy is below 0.8 of its size."""


class MadeAt(models.TextChoices):
    ARRIVAL = "arrival", "arrival"
    FIRST_PLAY = "first_play", "first_play"
    """Made when somebody first asks for it, then kept."""


class MediaPolicy(models.Model):
    """One row a workspace once somebody changed something; until then `MediaPolicy.of` gives the defaults."""

    workspace = models.OneToOneField(
        Workspace, on_delete=models.CASCADE, primary_key=True, related_name="media_policy"
    )
    mp3 = models.CharField(max_length=8, choices=When, default=When.NEEDED)
    mp3_at = models.CharField(max_length=10, choices=MadeAt, default=MadeAt.ARRIVAL)
    mp4 = models.CharField(max_length=8, choices=When, default=When.NEEDED)
    mp4_at = models.CharField(max_length=10, choices=MadeAt, default=MadeAt.ARRIVAL)
    pages = models.CharField(max_length=8, choices=When, default=When.NEEDED)
    """Pictures of document pages."""
    pages_at = models.CharField(max_length=10, choices=MadeAt, default=MadeAt.ARRIVAL)
    video_cap_kbps = models.PositiveIntegerField(default=2500, validators=[MinValueValidator(200)])
    """A video of more kilobits a second is made smaller."""
    video_cap_side = models.PositiveIntegerField(default=1280, validators=[MinValueValidator(240)])
    """A video whose longer side has more pixels is made smaller."""
    changed_at = models.DateTimeField(auto_now=True)
    changed_by = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="media_policy_says_known_words",
                condition=Q(mp3__in=When.values, mp4__in=When.values, pages__in=When.values)
                & Q(mp3_at__in=MadeAt.values, mp4_at__in=MadeAt.values, pages_at__in=MadeAt.values),
            ),
            models.CheckConstraint(
                name="media_policy_caps_are_sensible",
                condition=Q(video_cap_kbps__gte=200, video_cap_side__gte=240),
            ),
        ]

    def __str__(self) -> str:
        return f"media policy of {self.workspace_id}"

    @classmethod
    def of(cls, workspace_id: UUID) -> MediaPolicy:
        """The workspace's own, or an unsaved one with the defaults."""
        return cls.objects.filter(pk=workspace_id).first() or cls(workspace_id=workspace_id)


class SizeLimit(models.Model):
    """The largest file of a kind that a workspace fetches by itself; without a row the installation's limit holds."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="size_limits")
    kind = models.CharField(max_length=12, choices=Kind)
    max_bytes = models.PositiveBigIntegerField()
    changed_at = models.DateTimeField(auto_now=True)
    changed_by = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["workspace", "kind"], name="workspace_has_one_limit_a_kind"),
            models.CheckConstraint(name="size_limit_is_positive", condition=Q(max_bytes__gte=1)),
            models.CheckConstraint(name="size_limit_kind_is_known", condition=Q(kind__in=Kind.values)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} up to {self.max_bytes}"

    @classmethod
    def of(cls, workspace_id: UUID) -> dict[str, int]:
        """A workspace's limits in bytes, by kind; the others have the installation's."""
        return dict(cls.objects.filter(workspace=workspace_id).values_list("kind", "max_bytes"))
