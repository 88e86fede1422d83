"""Chats that WhatsApp exported: uploaded, looked into, brought in, watched, and taken out again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID
from zoneinfo import available_timezones

from asgiref.sync import async_to_sync
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from acervo import journey
from acervo.base.errors import AcervoError, Refused
from acervo.govern import transcribers
from acervo.models import Ability, ChatImport, Connection, MediaFile, Member, Message, by_member
from acervo.prepare import unheard
from acervo.receive import imports as importing
from acervo.receive.imports import AlreadyImported, Choice
from acervo.web import words
from acervo.web.authors import names_of
from acervo.web.cards import Card, card, with_facts
from acervo.web.guards import MemberRequest, for_members, needs
from acervo.web.tags import number

SHOWN: Final = 30
SAMPLE: Final = 12
LISTED: Final = 100


@dataclass(frozen=True, slots=True)
class Row:
    """An import as the pages show it."""

    run: ChatImport
    status: words.Status
    who: words.Words
    trouble: words.Words

    @property
    def percent(self) -> int:
        if self.run.state == "finished":
            return 100
        return min(100 * self.run.done // max(self.run.total, 1), 100)

    @property
    def is_moving(self) -> bool:
        return self.run.state in ("running", "undoing")


@dataclass(frozen=True, slots=True)
class Claim:
    """A message as the export has it: its author is a claim."""

    message: Message
    author: str
    literal: str
    kind: words.Words
    same: UUID | None
    """The file it points to."""


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONNECT)
def imports(request: MemberRequest) -> HttpResponseBase:
    """The imports there were, and a form for another one."""
    if request.method == "POST":
        return _upload(request)
    zone = request.user.workspace.time_zone
    return _list(request, {"contact": "", "phone": "", "connection": "", "time_zone": zone})


@require_GET
@for_members
@needs(Ability.CONNECT)
def chat_import(request: MemberRequest, run: UUID) -> HttpResponse:
    return _page(request, _visible(request.user, run), {})


@require_POST
@for_members
@needs(Ability.CONNECT)
def begin(request: MemberRequest, run: UUID) -> HttpResponse:
    row = _visible(request.user, run)
    typed = {name: request.POST.get(name, "") for name in ("us", "time_zone", "date_order")}
    choice = Choice(**typed, delivers="deliver" in request.POST)
    try:
        journey.begin_import(row, choice, by_member(request.user))
    except Refused as refused:
        return _page(request, row, {**typed, "error": words.refusal(refused.code)}, status=422)
    messages.success(request, _("The chat is being brought in. You may leave this page."))
    return redirect("chat_import", row.pk)


@require_POST
@for_members
@needs(Ability.CONNECT)
def resume(request: MemberRequest, run: UUID) -> HttpResponse:
    return _turn(request, run, journey.resume_import, _("It goes on where it stood."))


@require_POST
@for_members
@needs(Ability.CONNECT)
def undo(request: MemberRequest, run: UUID) -> HttpResponse:
    return _turn(request, run, journey.take_back_import, _("What this import brought is being removed."))


@require_POST
@for_members
@needs(Ability.CONNECT)
def transcribe(request: MemberRequest, run: UUID) -> HttpResponse:
    row = _visible(request.user, run)
    try:
        count = journey.transcribe_import(row, by_member(request.user))
    except Refused as refused:
        return _page(request, row, {"error": words.refusal(refused.code)}, status=422)
    said = ngettext("%(count)s file is on its way to the engine.", "%(count)s files are on their way to the engine.", count)  # fmt: skip
    messages.success(request, said % {"count": number(count)})
    return redirect("chat_import", row.pk)


def _upload(request: MemberRequest) -> HttpResponse:
    typed = {
        name: request.POST.get(name, "").strip() for name in ("contact", "phone", "connection", "time_zone")
    }
    upload = request.FILES.get("archive")
    numbers = _numbers(request.user)
    connection = next((one for one in numbers if str(one.pk) == typed["connection"]), None)
    if connection is None or upload is None:
        missing = _("Choose the archive that WhatsApp exported.") if connection else _("Choose the number.")
        return _list(request, {**typed, "error": missing}, status=422)
    try:
        with _on_disk(upload) as path:
            row = _asked(request, connection, path, str(upload.name), typed)
    except AlreadyImported as refused:
        error = words.refusal(refused.code)
        known = _known(request.user, connection, refused)
        return _list(request, {**typed, "error": error, "known": known}, status=422)
    except AcervoError as refused:
        return _list(request, {**typed, "error": words.refusal(refused.code)}, status=422)
    return redirect("chat_import", row.pk)


def _asked(
    request: MemberRequest, connection: Connection, path: Path, name: str, typed: dict[str, str]
) -> ChatImport:
    """Looked through before anything is written; what is hostile is refused here."""
    look = importing.look(path, name=name)
    try:
        row = importing.ask(
            connection,
            look,
            name=typed["contact"] or look.contact,
            phone=typed["phone"],
            archive_name=name,
            time_zone=typed["time_zone"],
            by=by_member(request.user),
        )
    except AlreadyImported as refused:
        known = _known(request.user, connection, refused)
        if known is None or not importing.lacks_archive(known):
            raise
        row = known
    async_to_sync(importing.keep_archive)(row, path)
    return row


def _known(member: Member, connection: Connection, refused: AlreadyImported) -> ChatImport | None:
    """The import that is here already."""
    known = ChatImport.objects.visible_to(member).filter(connection=connection, undone_at=None)
    return known.filter(archive_sha256=refused.facts.get("archive_sha256", "")).first()


@contextmanager
def _on_disk(upload: UploadedFile) -> Iterator[Path]:
    """Django keeps small uploads in memory; a zip is looked at where one can seek and come back."""
    if hasattr(upload, "temporary_file_path"):
        yield Path(upload.temporary_file_path())
        return
    with tempfile.NamedTemporaryFile(prefix="acervo-upload-") as file:
        shutil.copyfileobj(upload, file)
        file.flush()
        yield Path(file.name)


def _list(request: MemberRequest, typed: dict[str, Any], status: int = 200) -> HttpResponse:
    found = list(
        ChatImport.objects.visible_to(request.user)
        .select_related("connection", "person")
        .order_by("-asked_at")[:SHOWN]
    )
    return render(
        request,
        "imports.html",
        {
            "typed": typed,
            "numbers": _numbers(request.user),
            "zones": _zones(),
            "rows": _rows(request.user, found),
        },
        status=status,
    )


def _page(request: MemberRequest, run: ChatImport, typed: dict[str, Any], status: int = 200) -> HttpResponse:
    report = run.report
    (row,) = _rows(request.user, [run])
    is_here = run.state not in ("waiting", "undone")
    kept_out = importing.too_large(run)
    is_heard = run.state == "finished" and transcribers.of(run.workspace_id) is not None
    return render(
        request,
        "import.html",
        {
            "row": row,
            "report": report,
            "typed": {"us": run.us, "time_zone": run.time_zone, "date_order": run.date_order, **typed},
            "authors": list(report["authors"].items()),
            "has_several_authors": len(report["authors"]) > 1,
            "is_ambiguous": len(report["readings"]) > 1,
            "rule": words.DATE_RULES.get(report["date_rule"], ""),
            "readings": [
                (one["order"], words.DATE_ORDERS[one["order"]], *map(_local, (one["first"], one["last"])))
                for one in report["readings"]
            ],
            "zones": _zones(),
            "sample": _claims(request.user, run.messages.all())[:SAMPLE] if is_here else [],
            "absent": _claims(request.user, importing.missing(run)) if is_here else [],
            "too_large": _claims(request.user, kept_out) if is_here else [],
            "too_large_files": kept_out.count() if is_here else 0,
            "unheard": unheard.of_import(run).count() if is_heard else 0,
            "linked": _linked(request.user, run) if is_here else [],
            "files": MediaFile.objects.visible_to(request.user).filter(message__chat_import=run).count(),
        },
        status=status,
    )


def _rows(member: Member, found: list[ChatImport]) -> list[Row]:
    names = names_of(member, [run.asked_by for run in found])
    return [
        Row(run, words.IMPORT_STATES[run.state], names[run.asked_by], words.refusal(run.refusal))
        for run in found
    ]


def _claims(member: Member, messages: QuerySet[Message]) -> list[Claim]:
    """In the order of the file; the newest ones."""
    found = messages.filter(workspace=member.workspace_id)
    rows = sorted(found.order_by("-sent_at", "-pk")[:LISTED], key=lambda one: _line(one), reverse=True)
    return [_claim(message) for message in rows]


def _claim(message: Message) -> Claim:
    claimed, absent = message.extra.get("claimed", {}), message.extra.get("absent", {})
    kind = words.MESSAGE_TYPES.get(message.type) or words.KINDS.get(message.type)
    kind = kind or words.KINDS.get(absent.get("kind", ""), "")
    same = message.extra.get("same_as")
    return Claim(
        message,
        claimed.get("author") or "",
        claimed.get("at", ""),
        kind or absent.get("name", ""),
        same and UUID(same),
    )


def _line(message: Message) -> int:
    return int(message.extra.get("claimed", {}).get("line", 0))


def _linked(member: Member, run: ChatImport) -> list[Card]:
    """Files kept before, to which messages of this import point."""
    pointing = Message.objects.filter(chat_import=run, extra__has_key="same_as")
    wanted = {message.extra["same_as"] for message in pointing.order_by("-sent_at")[:LISTED]}
    return [card(media) for media in with_facts(MediaFile.objects.visible_to(member)).filter(pk__in=wanted)]


def _numbers(member: Member) -> list[Connection]:
    return list(Connection.objects.visible_to(member).providers().filter(removed_at=None).order_by("name"))


def _zones() -> list[str]:
    return sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/"))


def _local(written: str) -> datetime:
    return datetime.fromisoformat(written)


def _visible(member: Member, run: UUID) -> ChatImport:
    visible = ChatImport.objects.visible_to(member).select_related("connection", "person")
    return get_object_or_404(visible, pk=run)


def _turn(
    request: MemberRequest, run: UUID, turn: Callable[[ChatImport, str], None], said: str
) -> HttpResponse:
    row = _visible(request.user, run)
    turn(row, by_member(request.user))
    messages.success(request, said)
    return redirect("chat_import", row.pk)
