"""What was said in a file, written down by the workspace's engine: asked for, heard, kept; or refused, with the reason."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import F

from acervo.base import clock
from acervo.base.database import in_thread
from acervo.base.errors import AcervoError, Refused
from acervo.base.http import crm_client
from acervo.keep import credentials
from acervo.models import (
    AuditEntry,
    Deed,
    MediaFile,
    Transcriber,
    Transcript,
    TranscriptEdit,
    TranscriptSegment,
)
from acervo.prepare import listening, webvtt
from acervo.prepare.hearing import (
    BY,
    NOT_CONFIGURED,
    NOTHING_TO_HEAR,
    MayI,
    Work,
    begin,
    commit,
    hearable,
    note_fault,
    settle,
    touch,
    write_progress,
)
from acervo.prepare.listening import listen, run_alone
from acervo.transcribers.contract import (
    EngineAway,
    Heard,
    Surroundings,
)

HTTP_TIMEOUT_S: Final = 30.0
"""For whatever an engine does not time itself."""
PROGRESS_EVERY_S: Final = 2.0
TRY_S: Final = 60.0
"""Somebody waits for it on the settings page."""


class NotConfigured(Refused):
    """No engine is set up to transcribe."""

    code = NOT_CONFIGURED


class NothingToHear(Refused):
    """This file has no sound that could be transcribed."""

    code = NOTHING_TO_HEAR


class HasCorrections(Refused):
    """People corrected this transcript, and transcribing again would throw that away."""

    code = "has_corrections"


# ── asking ──


def ask_automatically(files: Sequence[UUID]) -> list[UUID]:
    """Rows for those of these files that their workspaces want transcribed on arrival; ids of the new transcripts.
    Runs inside the caller's transaction. While an engine is paused its files wait, as those of a paused number do.
    What comes from an exported chat did not arrive: years of it would cost an engine days, so somebody has to ask."""
    wanted = hearable().filter(
        pk__in=files,
        message__chat_import=None,
        transcript=None,
        workspace__transcriber__is_automatic=True,
        duration_s__lte=F("workspace__transcriber__longest_s"),
    )
    rows = [
        Transcript(workspace_id=workspace_id, media_id=pk, asked_by=BY)
        for pk, workspace_id in wanted.values_list("pk", "workspace_id")
    ]
    Transcript.objects.bulk_create(rows, ignore_conflicts=True)
    return [row.pk for row in rows]


def ask(media: MediaFile, by: str, *, is_sure: bool = False) -> UUID:
    """Somebody wants this file transcribed, perhaps again: what was there before is gone at once. Returns the
    transcript. Raises NotConfigured, NothingToHear, and HasCorrections unless `is_sure`."""
    if not Transcriber.objects.filter(pk=media.workspace_id).exists():
        raise NotConfigured()
    if not hearable().filter(pk=media.pk).exists():
        raise NothingToHear()
    with transaction.atomic():
        facts = {"workspace_id": media.workspace_id, "asked_by": by}
        row, is_new = Transcript.objects.select_for_update().get_or_create(media=media, defaults=facts)
        if not is_new and row.state not in ("made", "stopped"):
            return row.pk  # on its way already
        corrections = TranscriptEdit.objects.filter(segment__transcript=row).count()
        if corrections and not is_sure:
            raise HasCorrections()
        if not is_new:
            _forget(row, by)
        touch(media.pk)
        details = {"again": not is_new, "corrections": corrections}
        AuditEntry.objects.record(
            media.workspace_id, by, [Deed("transcript.asked", "file", media.pk, "", details)]
        )
    return row.pk


def _forget(row: Transcript, by: str) -> None:
    row.segments.all().delete()
    Transcript.objects.filter(pk=row.pk).update(
        asked_at=clock.now(), asked_by=by, attempts=0, heard_s=0, refusal=None, refused_at=None, stopped_at=None,
        made_at=None, engine="", model="", language="", text="", edited_at=None,
    )  # fmt: skip


# ── hearing ──


async def transcribe(transcript_id: UUID, may_i: MayI, *, is_last_try: bool = False) -> None:
    """Safe to run twice. Raises TryLater when the same should be tried again; everything else is written on the row:
    why it ended, or, for what concerns every file, that the engine is paused until somebody acts."""
    work = await in_thread(begin, transcript_id, may_i)
    if work is None:
        return
    try:
        heard = await _hear(work)
    except AcervoError as error:
        if await in_thread(settle, work, error, is_last_try=is_last_try):
            raise
    except Exception:
        await in_thread(note_fault, work)
        raise
    else:
        await in_thread(commit, work, heard)


async def _hear(work: Work) -> Heard:
    async with (
        crm_client(settings.ACERVO_ALLOW_PRIVATE_HOSTS, timeout_s=HTTP_TIMEOUT_S) as http,
        _Progress(work) as progress,
    ):
        engine = credentials.engine(work.transcriber, Surroundings(http, run_alone))
        return await listen(work.media, engine, language=work.transcriber.language, on_progress=progress.tell)


async def try_out(transcriber: Transcriber) -> Heard:
    """What the engine makes of two seconds of speech of our own. Raises the errors of `transcribe`; nothing is written."""
    async with crm_client(settings.ACERVO_ALLOW_PRIVATE_HOSTS, timeout_s=HTTP_TIMEOUT_S) as http:
        engine = credentials.engine(transcriber, Surroundings(http, run_alone))
        try:
            async with asyncio.timeout(TRY_S):
                return await listening.try_out(engine, language=transcriber.language)
        except TimeoutError as error:
            raise EngineAway("no answer in time") from error


@dataclass(slots=True)
class _Progress:
    """Writes down now and then how far a long sound has come."""

    work: Work
    second: float = 0.0
    _writing: asyncio.Task[Any] | None = field(default=None, repr=False)

    def tell(self, second: float) -> None:
        self.second = max(self.second, second)

    async def __aenter__(self) -> Self:
        self._writing = asyncio.create_task(self._write())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writing:
            self._writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writing

    async def _write(self) -> None:
        written = 0.0
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            if self.second > written:
                written = self.second
                with contextlib.suppress(DatabaseError):  # the next one may be told
                    await in_thread(write_progress, self.work, written)


# ── reading ──


def captions(media_id: UUID) -> str | None:
    """The file's transcript as WebVTT; None where there is none, or nobody speaks."""
    segments = TranscriptSegment.objects.filter(
        transcript__media=media_id, transcript__made_at__isnull=False
    ).exclude(text="")
    found = list(segments)
    return webvtt.captions(found) if found else None
