"""The transcript of a file: read along, searched, corrected, taken away as text or captions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from babel.numbers import format_percent
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from acervo import journey
from acervo.base import ids
from acervo.base.errors import Refused
from acervo.govern import transcribers
from acervo.models import (
    Ability,
    AuditEntry,
    Deed,
    MediaFile,
    Member,
    Transcriber,
    Transcript,
    TranscriptEdit,
    TranscriptSegment,
    by_member,
)
from acervo.prepare import corrections, webvtt
from acervo.prepare.hearing import hearable
from acervo.prepare.transcripts import HasCorrections
from acervo.web import words
from acervo.web.authors import names_of
from acervo.web.guards import MemberRequest, for_members, needs
from acervo.web.tags import locale

DOUBTFUL: Final = 0.6
"""Below this confidence a passage asks to be listened to."""
LONGEST_SEGMENT_S: Final = 45.0
"""Engines that tell times speak of half a minute at most; a longer passage comes from one that does not."""
MOST_EDITS: Final = 100
FORMS: Final[dict[str, tuple[str, Callable[[Iterable[TranscriptSegment]], str]]]] = {
    "vtt": ("text/vtt", webvtt.captions),
    "txt": ("text/plain", webvtt.plain),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A passage as the page shows it."""

    segment: TranscriptSegment
    corrected_by: words.Words = ""
    is_open: bool = False
    """Its form is shown."""
    is_fresh: bool = False
    """It was just saved or left: the keyboard goes on from here."""
    trouble: words.Words = ""
    typed: str = ""

    @property
    def slug(self) -> str:
        return ids.text(self.segment.pk)

    @property
    def doubt(self) -> str:
        """How certain the engine was, where it was not."""
        certain = self.segment.confidence
        return _percent(certain) if certain is not None and certain < DOUBTFUL else ""


@dataclass(frozen=True, slots=True)
class Edit:
    edit: TranscriptEdit
    who: words.Words


@dataclass(frozen=True, slots=True)
class Shown:
    """The panel of the file's page."""

    state: str
    """made, silent, stopped, trying, working, waiting, paused, unasked or off."""
    transcript: Transcript | None = None
    lines: Sequence[Line] = ()
    edits: Sequence[Edit] = ()
    reason: words.Words = ""
    language: str = ""
    engine: words.Words = ""
    certainty: str = ""
    """Of all that the engine said and nobody corrected: "93%"."""
    has_times: bool = True

    @property
    def is_edited(self) -> bool:
        return bool(self.transcript and self.transcript.edited_at)

    @property
    def edit_count(self) -> int:
        return len(self.edits)


def shown(member: Member, media: MediaFile, *, editing: str = "") -> Shown | None:
    """None for a file that has nothing to hear. `editing` is the passage whose form stands open without JavaScript."""
    row = Transcript.objects.visible_to(member).filter(media=media).first()
    if row is None:
        if not hearable().filter(pk=media.pk).exists():
            return None
        return Shown("unasked" if transcribers.of(media.workspace_id) else "off")
    if row.made_at is None:
        return _unmade(row, transcribers.of(media.workspace_id))
    return _made(member, row, editing if member.can(Ability.EDIT) else "")


def _unmade(row: Transcript, engine: Transcriber | None) -> Shown:
    if row.state == "stopped":
        return Shown("stopped", row, reason=words.transcript_trouble(row.refusal))
    if engine is None:
        return Shown("off", row)
    if engine.paused_at:
        return Shown("paused", row, reason=words.transcript_trouble(engine.pause_reason))
    if row.refusal:
        return Shown("trying", row, reason=words.transcript_trouble(row.refusal))
    return Shown("working" if row.attempts else "waiting", row)


def _made(member: Member, row: Transcript, editing: str) -> Shown:
    segments = list(row.segments.all())
    edits = list(
        TranscriptEdit.objects.filter(segment__transcript=row)
        .select_related("segment")
        .order_by("-at", "-id")[:MOST_EDITS]
    )
    names = names_of(
        member, {edit.by for edit in edits} | {line.edited_by for line in segments if line.edited_by}
    )
    lines = [Line(one, names.get(one.edited_by, ""), is_open=ids.text(one.pk) == editing) for one in segments]
    return Shown(
        state="made" if segments else "silent",
        transcript=row,
        lines=lines,
        edits=[Edit(edit, names[edit.by]) for edit in edits],
        language=language_name(row.language),
        engine=words.ENGINES.get(row.engine, row.engine),
        certainty=_certainty(segments),
        has_times=all(one.end_s - one.start_s <= LONGEST_SEGMENT_S for one in segments),
    )


def language_name(code: str) -> str:
    """In the reader's language; empty for one nobody told."""
    return str(locale().languages.get(code, code)).capitalize()


def _certainty(segments: Iterable[TranscriptSegment]) -> str:
    """By time: a short doubtful "hm" weighs little."""
    known = [(one.confidence, one.end_s - one.start_s) for one in segments if one.confidence is not None]
    total_s = sum(length_s for _certain, length_s in known)
    return _percent(sum(certain * length_s for certain, length_s in known) / total_s) if total_s else ""


def _percent(share: float) -> str:
    return str(format_percent(share, locale=locale()))


# ── what people do ──


@require_POST
@for_members
@needs(Ability.EDIT)
def ask(request: MemberRequest, file: UUID) -> HttpResponse:
    media = _visible(request.user, file)
    try:
        journey.ask_transcript(media, by_member(request.user), is_sure=bool(request.POST.get("is_sure")))
    except HasCorrections:
        messages.error(request, _("Nothing was changed: say that the corrections may go, then ask again."))
    except Refused as error:
        messages.error(request, str(words.transcript_trouble(error.code)))
    else:
        messages.success(
            request, _("The recording is on its way to the engine. The text appears here by itself.")
        )
    return redirect("file", file)


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.EDIT)
def segment(request: MemberRequest, file: UUID, segment: UUID) -> HttpResponse:
    """One passage: its form, and what becomes of it. Without htmx the page itself shows both."""
    one = _visible_segment(request.user, file, segment)
    if request.method == "POST":
        return _correct(request, file, one)
    if not request.htmx:
        return redirect(f"{resolve_url('file', file)}?correct={ids.text(one.pk)}#s-{ids.text(one.pk)}")
    is_left = "leave" in request.GET
    return _line(request, file, Line(one, _author(request.user, one), is_open=not is_left, is_fresh=is_left))


def _correct(request: MemberRequest, file: UUID, one: TranscriptSegment) -> HttpResponse:
    text = request.POST.get("text")
    seen = request.POST.get("seen")
    try:
        if text is not None:
            corrections.correct(one.pk, text, by_member(request.user), seen=seen)
    except Refused as error:
        return _refused(request, file, one, error, text or "")
    if not request.htmx:
        return redirect(f"{resolve_url('file', file)}#s-{ids.text(one.pk)}")
    one = _visible_segment(request.user, file, one.pk)
    return _line(request, file, Line(one, _author(request.user, one), is_fresh=True))


def _refused(
    request: MemberRequest, file: UUID, one: TranscriptSegment, error: Refused, typed: str
) -> HttpResponse:
    said = {
        "changed_meanwhile": _(
            "Somebody else changed this passage meanwhile: it now reads as below the field. Save again to replace it."
        ),
        "too_long": _("A passage holds a few seconds of speech, not this much text. Nothing was saved."),
    }.get(error.code, words.transcript_trouble(error.code))
    if not request.htmx:
        messages.error(request, str(said))
        return redirect(f"{resolve_url('file', file)}?correct={ids.text(one.pk)}#s-{ids.text(one.pk)}")
    one.refresh_from_db()
    line = Line(one, _author(request.user, one), is_open=True, trouble=said, typed=typed)
    return _line(request, file, line, status=409 if error.code == "changed_meanwhile" else 422)


def _line(request: MemberRequest, file: UUID, line: Line, *, status: int = 200) -> HttpResponse:
    return render(request, "_segment.html", {"line": line, "media_pk": file}, status=status)


@require_GET
@for_members
def download(request: MemberRequest, file: UUID, form: str) -> HttpResponse:
    """As captions or as plain text, to take away. That it was taken is written down."""
    media = _visible(request.user, file)
    row = get_object_or_404(Transcript.objects.visible_to(request.user).made(), media=media)
    if form not in FORMS:
        raise Http404
    mime, write = FORMS[form]
    answer = HttpResponse(write(row.segments.exclude(text="")), content_type=f"{mime}; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{media.slug}.{form}"'
    answer["X-Content-Type-Options"] = "nosniff"
    deed = Deed("transcript.downloaded", "file", media.pk, form)
    AuditEntry.objects.record(media.workspace_id, by_member(request.user), [deed])
    return answer


def _visible(member: Member, file: UUID) -> MediaFile:
    return get_object_or_404(MediaFile.objects.visible_to(member), pk=file)


def _visible_segment(member: Member, file: UUID, segment: UUID) -> TranscriptSegment:
    visible = Transcript.objects.visible_to(member).made().filter(media=file)
    return get_object_or_404(TranscriptSegment.objects.filter(transcript__in=visible), pk=segment)


def _author(member: Member, one: TranscriptSegment) -> words.Words:
    return names_of(member, [one.edited_by])[one.edited_by] if one.edited_by else ""
