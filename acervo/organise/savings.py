"""What files take in the store, what their copies add, and what the smaller copies spare whoever plays them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count, Exists, F, Max, OuterRef, QuerySet, Sum

from acervo.base import clock
from acervo.models import MediaFile, Member, Rendition, RenditionKind, UnmadeRendition

PLAYED: Final = (RenditionKind.MP3, RenditionKind.MP4)
"""Copies that stand in for the original; the others are previews beside it."""
THROWN_AWAY: Final = "not_smaller"
NO_FAILURE: Final = (THROWN_AWAY, "not_needed")
"""Made, measured, and not worth its bytes; every other reason is a failure."""


@dataclass(frozen=True, slots=True)
class Line:
    """Files or copies of one kind."""

    kind: str
    count: int
    size_bytes: int
    original_bytes: int = 0
    """Of the originals that these are copies of."""
    reason: str = ""

    @property
    def grown_bytes(self) -> int:
        """Negative where the copies are the smaller ones."""
        return self.size_bytes - self.original_bytes

    @property
    def spared_bytes(self) -> int:
        return -self.grown_bytes


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it, as it was at one moment."""

    counted_at: datetime
    originals: list[Line]
    compatible: list[Line]
    """Copies that are there because the original does not play everywhere."""
    smaller: list[Line]
    """Copies that are there because they are below 0.8 of the original."""
    previews: list[Line]
    thrown_away: list[Line]
    failed: list[Line]
    duplicates: Line
    """Files beyond the first of the same bytes from the same person."""

    @property
    def original_bytes(self) -> int:
        return _bytes(self.originals)

    @property
    def compatible_bytes(self) -> int:
        return _bytes(self.compatible)

    @property
    def smaller_bytes(self) -> int:
        return _bytes(self.smaller)

    @property
    def preview_bytes(self) -> int:
        return _bytes(self.previews)

    @property
    def copy_bytes(self) -> int:
        return self.compatible_bytes + self.smaller_bytes + self.preview_bytes

    @property
    def total_bytes(self) -> int:
        return self.original_bytes + self.copy_bytes

    @property
    def spared_bytes(self) -> int:
        """Fewer bytes on the way to a player, when each file with a smaller copy is played once."""
        return sum(line.spared_bytes for line in self.smaller)

    @property
    def grown_bytes(self) -> int:
        return sum(line.grown_bytes for line in self.compatible)


def figures(member: Member) -> Figures:
    """Four queries that read every row of the workspace: ask seldom, and say when it was."""
    at = clock.now()
    kept = MediaFile.objects.visible_to(member).kept()
    copies = _copies(kept)
    unmade = _unmade(kept)
    played = [(line, serves) for line, serves in copies if line.kind in PLAYED]
    return Figures(
        counted_at=at,
        originals=_originals(kept),
        compatible=[line for line, serves in played if serves],
        smaller=[line for line, serves in played if not serves],
        previews=_merged(line for line, _ in copies if line.kind not in PLAYED),
        thrown_away=[line for line in unmade if line.reason == THROWN_AWAY],
        failed=[line for line in unmade if line.reason not in NO_FAILURE],
        duplicates=_duplicates(kept),
    )


def without_a_copy(member: Member) -> QuerySet[MediaFile]:
    """Files of which some copy failed, those tried last first."""
    failed = UnmadeRendition.objects.filter(media=OuterRef("pk")).exclude(reason__in=NO_FAILURE)
    return MediaFile.objects.visible_to(member).filter(Exists(failed)).order_by("-pk")


def _originals(kept: QuerySet[MediaFile]) -> list[Line]:
    rows = kept.order_by().values_list("kind").annotate(n=Count("pk"), size=Sum("size_bytes"))
    return _largest_first(Line(kind, n, size or 0) for kind, n, size in rows)


def _copies(kept: QuerySet[MediaFile]) -> list[tuple[Line, bool]]:
    rows = (
        Rendition.objects.filter(media__in=kept)
        .order_by()
        .values_list("kind", "serves")
        .annotate(n=Count("pk"), size=Sum("size_bytes"), original=Sum("media__size_bytes"))
    )
    return [(Line(kind, n, size or 0, original or 0), serves) for kind, serves, n, size, original in rows]


def _unmade(kept: QuerySet[MediaFile]) -> list[Line]:
    rows = (
        UnmadeRendition.objects.filter(media__in=kept)
        .order_by()
        .values_list("kind", "reason")
        .annotate(n=Count("pk"), size=Sum("size_bytes"), original=Sum("media__size_bytes"))
    )
    return sorted(
        (Line(kind, n, size or 0, original or 0, reason) for kind, reason, n, size, original in rows),
        key=lambda line: (-line.count, line.kind),
    )


def _duplicates(kept: QuerySet[MediaFile]) -> Line:
    groups = (
        kept.exclude(sha256=None)
        .order_by()
        .values("person", "sha256")
        .annotate(n=Count("pk"), each=Max("size_bytes"))
        .filter(n__gt=1)
    )
    found = groups.aggregate(count=Sum(F("n") - 1), size=Sum((F("n") - 1) * F("each")))
    return Line("", found["count"] or 0, found["size"] or 0)


def _merged(lines: Iterable[Line]) -> list[Line]:
    by_kind: dict[str, Line] = {}
    for line in lines:
        known = by_kind.get(line.kind, Line(line.kind, 0, 0))
        by_kind[line.kind] = Line(line.kind, known.count + line.count, known.size_bytes + line.size_bytes)
    return _largest_first(by_kind.values())


def _largest_first(lines: Iterable[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: (-line.size_bytes, line.kind))


def _bytes(lines: Iterable[Line]) -> int:
    return sum(line.size_bytes for line in lines)
