"""One kept file made ready: looked at in the sandbox, its facts and copies written down together; and made anew."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from acervo.base import clock, ids
from acervo.base.database import in_thread
from acervo.base.errors import TryLater
from acervo.base.filetypes import SNIFFED_BYTES, sniff
from acervo.keep import keys, vault
from acervo.keep.keys import OpenKey
from acervo.models import MediaFile, MediaPolicy, Rendition, RenditionKind, Sealing, UnmadeRendition
from acervo.prepare.facts import Facts
from acervo.prepare.inspection import is_mismatch
from acervo.prepare.isolation import ToolTimedOut
from acervo.prepare.made import NOT_NEEDED, NOT_SMALLER, TOO_MUCH, Made, Outcome, Unmade
from acervo.prepare.previews import Choose, examine, on_arrival
from acervo.prepare.wanted import Wish, wanted
from acervo.prepare.workroom import workroom

log = logging.getLogger(__name__)

PLAYED: Final = {RenditionKind.MP3, RenditionKind.MP4}

OnPrepared = Callable[[UUID], None]
"""Called inside the transaction that commits the facts: what comes next in the file's journey."""


@dataclass(frozen=True, slots=True)
class Due:
    """A file to be worked on, read in one go."""

    media: MediaFile
    policy: MediaPolicy
    there: set[str] = field(default_factory=set)
    """Kinds it has copies of."""


@dataclass(slots=True)
class Work:
    """What was made of one file and lies in the vault, not yet known to any row."""

    media: MediaFile
    outcome: Outcome
    wanted: set[str]
    """Kinds the policy wants of such a file, whether or not they were tried this time."""
    is_too_much: bool = False
    """The tools ran out of time: little is known of the file."""
    stored: list[tuple[Made, vault.Stored]] = field(default_factory=list)

    @property
    def made(self) -> set[str]:
        return {made.kind for made, _ in self.stored}

    @property
    def failed(self) -> set[str]:
        return {
            unmade.kind for unmade in self.outcome.unmade if unmade.reason not in (NOT_SMALLER, NOT_NEEDED)
        }

    @property
    def tried(self) -> set[str]:
        return self.made | {unmade.kind for unmade in self.outcome.unmade}

    def columns(self) -> dict[str, Any]:
        return self.outcome.facts.columns(self.media.size_bytes or 0)

    def rows(self, at: datetime) -> list[Rendition]:
        duration_s = self.outcome.facts.duration_s
        return [
            Rendition(
                media_id=self.media.pk, kind=made.kind, page=made.page, mime=made.mime, width=made.width,
                height=made.height, duration_s=duration_s if made.kind in PLAYED else None,
                serves=made.wish.serves, made_at=at, **where.columns(),
            )
            for made, where in self.stored
        ]  # fmt: skip

    def unmade_rows(self, at: datetime) -> list[UnmadeRendition]:
        return [
            UnmadeRendition(
                media_id=self.media.pk,
                kind=unmade.kind,
                reason=unmade.reason,
                size_bytes=unmade.size_bytes,
                tried_at=at,
            )
            for unmade in self.outcome.unmade
        ]

    def object_keys(self) -> list[str]:
        return [where.object_key for _, where in self.stored]


@dataclass(frozen=True, slots=True)
class Remade:
    """What became of the copies of one file."""

    bytes_before: int = 0
    """Of those that were replaced or dropped."""
    bytes_after: int = 0
    """Of those that came instead."""
    failed: bool = False
    """A copy the policy wants could not be made, or the file not be read; an older copy is then still there."""


async def prepare(media_id: UUID, on_prepared: OnPrepared, *, is_last_try: bool = True) -> None:
    """Safe to run twice and by two workers at once: whoever commits first wins, the other's objects are discarded.
    A file no tool can open is prepared too: it says so and can be downloaded. Raises ToolTimedOut, unless this is the
    last try: then the file counts as too much for the tools, and is kept without copies."""
    due = await in_thread(_unprepared, media_id)
    if due is None:
        return
    work = await work_on(due, on_arrival, is_last_try=is_last_try)
    if not await in_thread(_commit_prepared, work, on_prepared):
        await vault.discard(work.object_keys())


async def make_missing(media_id: UUID, kinds: Sequence[str], *, is_last_try: bool = True) -> None:
    """The named copies of a prepared file that its policy wants and that are not there yet. Safe to run twice and by
    two workers at once. Raises ToolTimedOut, unless this is the last try."""
    due = await in_thread(ready, media_id)
    missing = set(kinds) - due.there if due else set()
    if due and missing:
        work = await work_on(due, lambda wish: wish.kind in missing, is_last_try=is_last_try)
        # Whoever asks again is told at once, instead of waiting for what will not come.
        work.outcome.unmade += [Unmade(kind, NOT_NEEDED) for kind in sorted(missing - work.tried)]
        await vault.discard(await in_thread(_commit_missing, work))


async def remake(media_id: UUID, kinds: Sequence[str] = (), *, is_last_try: bool = True) -> Remade:
    """The copies the policy wants today, made anew; all of them, or those of `kinds`. Old ones are replaced in one
    transaction, those no longer wanted dropped, and the facts of the file written down again. What is made at first
    play is remade where it is there already. A copy that fails leaves the old one. Safe to run twice."""
    due = await in_thread(ready, media_id)
    if due is None:
        return Remade()

    def choose(wish: Wish) -> bool:
        return wish.kind in kinds if kinds else on_arrival(wish) or wish.kind in due.there

    work = await work_on(due, choose, is_last_try=is_last_try)
    remade, surplus = await in_thread(_commit_remade, work, set(kinds or RenditionKind.values))
    try:
        await vault.discard(surplus)
    except TryLater:
        log.warning("prepare.surplus_left", extra={"objects": len(surplus)})  # `keep.sweeper` finds them
    return remade


# ── the work ──


async def work_on(due: Due, choose: Choose, *, is_last_try: bool) -> Work:
    """Looked at, made and stored; the caller commits."""
    media = due.media
    with workroom() as folder:
        original, out_dir = folder / "original", folder / "made"
        out_dir.mkdir()
        await vault.copy_to(media, original)
        work = await _looked_at(media, due.policy, original, out_dir, choose, is_last_try=is_last_try)
        key = await _key(media) if work.outcome.made else None
        for made in work.outcome.made:
            what = f"{made.kind}-{made.page}" if made.page else made.kind
            place = vault.Place(media.workspace_id, media.pk, what, media.sealing or "", key)
            work.stored.append((made, await vault.store_file(place, made.path)))
    return work


async def _looked_at(
    media: MediaFile,
    policy: MediaPolicy,
    original: Path,
    out_dir: Path,
    choose: Choose,
    *,
    is_last_try: bool,
) -> Work:
    try:
        outcome = await examine(original, media.kind, policy, out_dir, choose=choose, is_last_try=is_last_try)
    except ToolTimedOut:
        if not is_last_try:
            raise
        log.warning("prepare.too_much", extra={"media": ids.text(media.pk)})
        return Work(media, _given_up(media, policy, original, choose), set(), is_too_much=True)
    return Work(media, outcome, {wish.kind for wish in wanted(outcome.facts, policy)})


def _given_up(media: MediaFile, policy: MediaPolicy, original: Path, choose: Choose) -> Outcome:
    with original.open("rb") as file:
        filetype = sniff(file.read(SNIFFED_BYTES))
    facts = Facts(filetype.mime, filetype.kind, is_mismatch=is_mismatch(media.kind, filetype.kind))
    unmade = [Unmade(wish.kind, TOO_MUCH) for wish in wanted(facts, policy) if choose(wish)]
    return Outcome(replace(facts, is_readable=False, is_damaged=True), unmade=unmade)


async def _key(media: MediaFile) -> OpenKey | None:
    if media.sealing == Sealing.STORAGE:
        return None
    opened = await in_thread(keys.for_people, media.workspace_id, [media.person_id])
    return opened[media.person_id]


# ── the rows ──


def _unprepared(media_id: UUID) -> Due | None:
    media = MediaFile.objects.openable().filter(pk=media_id, prepared_at=None).first()
    return Due(media, MediaPolicy.of(media.workspace_id)) if media else None


def ready(media_id: UUID) -> Due | None:
    media = MediaFile.objects.openable().filter(pk=media_id, prepared_at__isnull=False).first()
    return Due(media, MediaPolicy.of(media.workspace_id), _kinds_of(media)) if media else None


def _kinds_of(media: MediaFile) -> set[str]:
    return set(Rendition.objects.filter(media=media).values_list("kind", flat=True))


def _commit_prepared(work: Work, on_prepared: OnPrepared) -> bool:
    """Whether it was still to be done."""
    at = clock.now()
    with transaction.atomic():
        still_to_do = MediaFile.objects.openable().filter(pk=work.media.pk, prepared_at=None)
        if not still_to_do.update(**work.columns(), prepared_at=at, changed_at=at):
            return False
        Rendition.objects.bulk_create(work.rows(at))
        UnmadeRendition.objects.bulk_create(work.unmade_rows(at))
        on_prepared(work.media.pk)
    return True


def _commit_missing(work: Work) -> list[str]:
    """The objects that are of no use: somebody else made the same copies meanwhile."""
    at = clock.now()
    with transaction.atomic():
        if not MediaFile.objects.openable().select_for_update().filter(pk=work.media.pk).exists():
            return work.object_keys()
        there = _kinds_of(work.media)
        new = [row for row in work.rows(at) if row.kind not in there]
        Rendition.objects.bulk_create(new)
        UnmadeRendition.objects.filter(media=work.media, kind__in=work.tried | there).delete()
        UnmadeRendition.objects.bulk_create(row for row in work.unmade_rows(at) if row.kind not in there)
    used = {row.object_key for row in new}
    return [object_key for object_key in work.object_keys() if object_key not in used]


def _commit_remade(work: Work, kinds: set[str]) -> tuple[Remade, list[str]]:
    """What was done, and the objects no row names any more."""
    at = clock.now()
    with transaction.atomic():
        media = MediaFile.objects.openable().select_for_update().filter(pk=work.media.pk).first()
        if media is None:
            return Remade(), work.object_keys()
        old = list(Rendition.objects.filter(media=media, kind__in=kinds))
        over = [row for row in old if _is_over(row.kind, work)]
        Rendition.objects.filter(pk__in=[row.pk for row in over]).delete()
        Rendition.objects.bulk_create(work.rows(at))
        untold = work.tried if work.is_too_much else work.tried | (kinds - work.wanted)
        UnmadeRendition.objects.filter(media=media, kind__in=untold).delete()
        UnmadeRendition.objects.bulk_create(work.unmade_rows(at))
        _write_facts(media, work, at)
    remade = Remade(
        bytes_before=sum(row.size_bytes or 0 for row in over),
        bytes_after=sum(where.size_bytes for _, where in work.stored),
        failed=work.is_too_much or bool(work.failed),
    )
    return remade, [row.object_key for row in over if row.object_key]


def _is_over(kind: str, work: Work) -> bool:
    """An old copy goes when a new one came, or when it is not to be there; never because of a failure."""
    if kind in work.made:
        return True
    if kind in work.failed or not work.outcome.facts.is_readable:
        return False
    return kind not in work.wanted or kind in work.tried


def _write_facts(media: MediaFile, work: Work, at: datetime) -> None:
    """Only where something changed: pages and CRMs look again at what did."""
    if work.is_too_much:
        return
    changed = {name: value for name, value in work.columns().items() if _plain(getattr(media, name)) != value}
    if changed:
        MediaFile.objects.filter(pk=media.pk).update(**changed, changed_at=at)


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value
