"""One kept file made ready: looked at in the sandbox, its facts and copies written down together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

from django.db import transaction

from acervo.base import clock, ids
from acervo.base.database import in_thread
from acervo.base.filetypes import SNIFFED_BYTES, sniff
from acervo.keep import keys, vault
from acervo.keep.keys import OpenKey
from acervo.models import MediaFile, Rendition, Sealing
from acervo.prepare.inspection import Facts, inspect
from acervo.prepare.isolation import ToolTimedOut
from acervo.prepare.previews import Made, make
from acervo.prepare.workroom import workroom

log = logging.getLogger(__name__)

OnPrepared = Callable[[UUID], None]
"""Called inside the transaction that commits the facts: what comes next in the file's journey."""


async def prepare(media_id: UUID, on_prepared: OnPrepared, *, is_last_try: bool = True) -> None:
    """Safe to run twice and by two workers at once: whoever commits first wins, the other's objects are discarded.
    A file no tool can open is prepared too: it says so and can be downloaded. Raises ToolTimedOut, unless this is the
    last try: then the file counts as too much for the tools, and is kept without copies."""
    media = await in_thread(_unprepared, media_id)
    if media is None:
        return
    stored: list[tuple[Made, vault.Stored]] = []
    with workroom() as folder:
        original, out_dir = folder / "original", folder / "made"
        out_dir.mkdir()
        await vault.copy_to(media, original)
        facts, made = await _look(media, original, out_dir, is_last_try=is_last_try)
        key = await _key(media) if made else None
        for item in made:
            place = vault.Place(media.workspace_id, media.pk, item.kind, media.sealing or "", key)
            stored.append((item, await vault.store(place, item.path.read_bytes())))
    if not await in_thread(_commit, media, facts, stored, on_prepared):
        await vault.discard([where.object_key for _, where in stored])


async def make_missing(media_id: UUID, kinds: Sequence[str], *, is_last_try: bool = True) -> None:
    """The named copies of a prepared file that are not there yet. Safe to run twice."""
    raise NotImplementedError


async def _look(
    media: MediaFile, original: Path, out_dir: Path, *, is_last_try: bool
) -> tuple[Facts, list[Made]]:
    try:
        facts = await inspect(original, media.kind)
        return facts, await make(original, facts, out_dir)
    except ToolTimedOut:
        if not is_last_try:
            raise
        log.warning("prepare.too_much", extra={"media": ids.text(media.pk)})
    with original.open("rb") as file:
        filetype = sniff(file.read(SNIFFED_BYTES))
    return Facts(filetype.mime, filetype.kind, is_readable=False, is_damaged=True), []


async def _key(media: MediaFile) -> OpenKey | None:
    if media.sealing == Sealing.STORAGE:
        return None
    opened = await in_thread(keys.for_people, media.workspace_id, [media.person_id])
    return opened[media.person_id]


def _unprepared(media_id: UUID) -> MediaFile | None:
    return MediaFile.objects.kept().filter(pk=media_id, prepared_at=None).first()


def _commit(
    media: MediaFile, facts: Facts, stored: list[tuple[Made, vault.Stored]], on_prepared: OnPrepared
) -> bool:
    """Whether it was still to be done."""
    at = clock.now()
    with transaction.atomic():
        written = (
            MediaFile.objects.kept()
            .filter(pk=media.pk, prepared_at=None)
            .update(
                mime=facts.mime,
                width=facts.width,
                height=facts.height,
                duration_s=facts.duration_s,
                waveform=facts.waveform,
                is_damaged=facts.is_damaged,
                is_mistyped=facts.is_mismatch,
                prepared_at=at,
                changed_at=at,
            )
        )
        if not written:
            return False
        Rendition.objects.bulk_create(
            Rendition(
                media=media, kind=item.kind, mime=item.mime, width=item.width, height=item.height,
                duration_s=item.duration_s, made_at=at, **where.columns(),
            )
            for item, where in stored
        )  # fmt: skip
        on_prepared(media.pk)
    return True
