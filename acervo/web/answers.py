"""Messages to a contact: written, watched, stopped, sent once more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from acervo import journey, providers
from acervo.answer import asking, window, wording
from acervo.answer.asking import Wish
from acervo.base import clock, ids
from acervo.base.errors import Refused
from acervo.models import (
    Ability,
    Chat,
    Direction,
    MediaFile,
    Member,
    Person,
    Sending,
    SendingPurpose,
    by_member,
)
from acervo.models.media import TAKEN_BACK
from acervo.providers.sending import LONGEST_BUTTON, Button, Template
from acervo.web import words
from acervo.web.authors import names_of
from acervo.web.guards import MemberRequest, for_members, needs

TEXT, TEMPLATE, CONSENT, NOT_TAKEN = "text", "template", "consent", "not_taken"
MODES: Final = (TEXT, CONSENT, TEMPLATE)
PURPOSES: Final = {CONSENT: SendingPurpose.CONSENT_ASKED, NOT_TAKEN: SendingPurpose.FILE_NOT_TAKEN}
SHOWN: Final = 20
FIELD_OF: Final = {"text_missing": "text", "text_too_long": "text", "template_incomplete": "template_name"}
"""Where a refusal is said; others are said above the form."""


@dataclass(frozen=True, slots=True)
class Row:
    """A message of ours as pages show it."""

    sending: Sending
    status: words.Status
    what: words.Words
    who: words.Words
    why: words.Words
    may_repeat: bool
    may_cancel: bool

    @property
    def at(self) -> datetime:
        """The last that is known of it."""
        row = self.sending
        moments = (row.read_at, row.delivered_at, row.failed_at, row.sent_at, row.accepted_at, row.tried_at)
        return next((at for at in moments if at), row.asked_at)


@dataclass(slots=True)
class Form:
    """What is typed, and what is wrong with it."""

    mode: str
    values: dict[str, str] = field(default_factory=dict)
    error: words.Words = ""
    wrong: str = ""
    """The field the error belongs to."""


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.ANSWER)
def write(request: MemberRequest, chat: UUID) -> HttpResponse:
    """One page to write from: a text while the window is open, a question about consent, or a template."""
    found = _visible(request.user, chat)
    media = _file(request.user, found, request.POST.get("file") or request.GET.get("file", ""))
    if request.method == "POST":
        return _send(request, found, media)
    asked = request.GET.get("as", TEXT)
    mode = asked if asked in (*MODES, NOT_TAKEN) else TEXT
    return _page(request, found, media, Form(mode, _suggested(request, found, mode)))


@require_POST
@for_members
@needs(Ability.ANSWER)
def send_again(request: MemberRequest, chat: UUID, sending: UUID) -> HttpResponse:
    row = _sending(request.user, chat, sending)
    try:
        journey.answer_again(row, by_member(request.user))
    except Refused as error:
        messages.error(request, str(words.refusal(error.code)))
    else:
        messages.success(request, _("It is being sent once more."))
    return _back(row)


@require_POST
@for_members
@needs(Ability.ANSWER)
def cancel(request: MemberRequest, chat: UUID, sending: UUID) -> HttpResponse:
    row = _sending(request.user, chat, sending)
    try:
        asking.cancel(row, by_member(request.user))
    except Refused as error:
        messages.error(request, str(words.refusal(error.code)))
    else:
        messages.success(request, _("Stopped. It does not leave."))
    return _back(row)


def about_file(member: Member, media: MediaFile) -> list[Row]:
    return rows(member, Sending.objects.visible_to(member).filter(media=media))


def with_person(member: Member, person: Person) -> list[Row]:
    return rows(member, Sending.objects.visible_to(member).filter(chat__person=person))


def rows(member: Member, found: Any) -> list[Row]:
    """The newest first."""
    newest = list(found.order_by("-asked_at", "-id")[:SHOWN])
    names = names_of(member, (row.asked_by for row in newest))
    stuck = [row.pk for row in newest if row.may_be_repeated]
    repeated = Sending.objects.visible_to(member).filter(repeats__in=stuck).values_list("repeats", flat=True)
    open_to = set(stuck) - set(repeated) if stuck else set()
    return [_row(row, names, may_repeat=row.pk in open_to, member=member) for row in newest]


def may_answer(member: Member, media: MediaFile) -> bool:
    """Whether there is somebody to answer, and this member may."""
    is_theirs = media.direction == Direction.INBOUND and not media.message.chat_import_id
    return is_theirs and member.can(Ability.ANSWER) and media.connection.removed_at is None


def chats_of(member: Member, person: Person) -> list[Chat]:
    """Those one can write in."""
    found = Chat.objects.visible_to(member).filter(person=person, connection__removed_at=None)
    return list(found.select_related("connection").order_by("created_at"))


def _row(row: Sending, names: Mapping[str, words.Words], *, may_repeat: bool, member: Member) -> Row:
    state = row.state
    what = _("Template %(name)s") % {"name": row.said} if row.template else row.said
    why = words.sending_trouble(row.refusal, state) if state in ("failed", "unknown", "delayed") else ""
    may_act = member.can(Ability.ANSWER)
    return Row(
        sending=row,
        status=words.SENDING_STATES[state],
        what=what,
        who=names[row.asked_by],
        why=why,
        may_repeat=may_act and may_repeat,
        may_cancel=may_act and row.may_be_cancelled,
    )


def _visible(member: Member, chat: UUID) -> Chat:
    """A chat of somebody whom the member may see at all."""
    found = get_object_or_404(
        Chat.objects.visible_to(member).select_related("connection", "person"),
        pk=chat,
        connection__removed_at=None,
    )
    get_object_or_404(Person.objects.visible_to(member), pk=found.person_id)
    return found


def _sending(member: Member, chat: UUID, sending: UUID) -> Sending:
    return get_object_or_404(Sending.objects.visible_to(member), pk=sending, chat=_visible(member, chat))


def _file(member: Member, chat: Chat, asked: str) -> MediaFile | None:
    if not asked:
        return None
    try:
        pk = ids.parse(asked)
    except ValueError:
        raise Http404 from None
    return get_object_or_404(MediaFile.objects.visible_to(member), pk=pk, chat=chat)


def _back(row: Sending) -> HttpResponse:
    return redirect("file", row.media_id) if row.media_id else redirect("write", row.chat_id)


# ── the page ──


def _suggested(request: MemberRequest, chat: Chat, mode: str) -> dict[str, str]:
    """What stands in the form before anybody typed."""
    language = request.GET.get("language", "")
    if language not in wording.languages():
        language = wording.language_for(chat.person_id, chat.workspace_id)
    values = {"language": language}
    if mode in PURPOSES:
        values["text"] = wording.said(chat.workspace_id, PURPOSES[mode], language)
    if mode in (CONSENT, TEMPLATE):
        values["yes"], values["no"] = wording.consent_titles(language)
    return values


def _page(
    request: MemberRequest, chat: Chat, media: MediaFile | None, form: Form, *, status: int = 200
) -> HttpResponse:
    closes_at = window.closes_at(chat.pk)
    is_open = closes_at is not None and clock.now() < closes_at
    modes = (*MODES, NOT_TAKEN) if media is not None and media.gone_at else MODES
    names = {
        TEXT: _("Text"),
        CONSENT: _("Ask for consent"),
        TEMPLATE: _("Template"),
        NOT_TAKEN: _("File not received"),
    }
    adapter = providers.get(chat.connection.kind)
    return render(
        request,
        "write.html",
        {
            "chat": chat,
            "person": chat.person,
            "numbers": list(chat.person.identifiers.filter(kind="phone").values_list("value", flat=True)),
            "media": media,
            "form": form,
            "modes": [(mode, names[mode]) for mode in modes],
            "closes_at": closes_at,
            "is_open": is_open,
            "is_paused": chat.connection.paused_at is not None,
            "pause_reason": words.pause_reason(chat.connection.pause_reason, is_crm=False),
            "wordings": wording.languages(),
            "options": [
                (name, words.TEMPLATE_OPTIONS.get(name, name), form.values.get(f"option_{name}", ""))
                for name in adapter.capabilities.template_options
            ],
            "longest_text": asking.LONGEST_TEXT,
            "longest_button": LONGEST_BUTTON,
            "sending_id": form.values.get("id") or ids.text(ids.new()),
            "answers": rows(request.user, Sending.objects.visible_to(request.user).filter(chat=chat)),
        },
        status=status,
    )


def _send(request: MemberRequest, chat: Chat, media: MediaFile | None) -> HttpResponse:
    form = Form(request.POST.get("as", TEXT), {name: str(value) for name, value in request.POST.items()})
    try:
        sending = journey.answer(_wish(chat, media, form), by_member(request.user))
    except Refused as error:
        form.error, form.wrong = words.refusal(error.code), FIELD_OF.get(error.code, "")
        return _page(request, chat, media, form, status=422)
    messages.success(request, _("On its way. What becomes of it is shown here."))
    return _back(sending)


def _wish(chat: Chat, media: MediaFile | None, form: Form) -> Wish:
    """Raises Refused for a form that nobody typed."""
    typed = form.values
    try:
        pk = ids.parse(typed.get("id", ""))
    except ValueError:
        raise Refused(code="unknown_choice") from None
    purpose = PURPOSES.get(form.mode, SendingPurpose.BY_HAND)
    if typed.get("asks_consent"):
        purpose = SendingPurpose.CONSENT_ASKED
    buttons: tuple[Button, ...] = ()
    if purpose == SendingPurpose.CONSENT_ASKED:
        buttons = wording.consent_buttons(pk, typed.get("yes", "").strip(), typed.get("no", "").strip())
    text, template = typed.get("text", "").replace("\r\n", "\n").strip(), None
    if form.mode == TEMPLATE:
        template = _template(typed)
    return Wish(
        chat,
        text=None if template else text,
        template=template,
        buttons=buttons,
        purpose=purpose,
        media=media if media is not None and media.refusal != TAKEN_BACK else None,
        id=pk,
    )


def _template(typed: Mapping[str, str]) -> Template:
    values = [line.strip() for line in typed.get("template_values", "").splitlines()]
    options = {
        name.removeprefix("option_"): value.strip()
        for name, value in typed.items()
        if name.startswith("option_") and value.strip()
    }
    return Template(
        typed.get("template_name", "").strip(),
        typed.get("template_language", "").strip(),
        tuple(value for value in values if value),
        options,
    )
