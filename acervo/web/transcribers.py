"""The engine that writes down what is said: chosen, tried, paused, and let loose on what is here already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from asgiref.sync import async_to_sync
from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from acervo import journey, transcribers
from acervo.base.errors import AcervoError
from acervo.govern import transcribers as govern
from acervo.govern.connections import PrivateHost
from acervo.govern.transcribers import Choice
from acervo.models import Ability, Transcriber, by_member
from acervo.prepare import unheard
from acervo.prepare.transcripts import try_out
from acervo.transcribers.contract import LANGUAGES
from acervo.web import words
from acervo.web.guards import MemberRequest, for_members, needs
from acervo.web.tags import locale, number

MOST_MINUTES: Final = 120
"""Longer recordings are prepared up to here."""
USUAL_MINUTES: Final = 30
USUAL_ADDRESS: Final = "https://api.openai.com/v1"
FIRST_LANGUAGES: Final = ("pt", "es", "en")


class EngineForm(forms.Form):
    """The engine as text, checked once, with what is wrong said beside the field."""

    engine = forms.ChoiceField()
    api_base = forms.CharField(required=False, max_length=300, strip=True)
    model = forms.CharField(required=False, max_length=200, strip=True)
    key = forms.CharField(required=False, max_length=500, strip=True)
    is_without_key = forms.BooleanField(required=False)
    language = forms.ChoiceField(required=False)
    is_automatic = forms.ChoiceField()
    longest_minutes = forms.IntegerField(min_value=1, max_value=MOST_MINUTES)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        one_of = {"required": _("Choose one of these."), "invalid_choice": _("Choose one of these.")}
        for name, values in (
            ("engine", transcribers.OFFERED),
            ("language", ("", *LANGUAGES)),
            ("is_automatic", ("yes", "no")),
        ):
            field = self.fields[name]
            field.choices = [(value, value) for value in values]  # type: ignore[attr-defined]
            field.error_messages |= one_of
        self.fields["longest_minutes"].error_messages |= dict.fromkeys(
            ("required", "invalid", "min_value", "max_value"),
            _("Write a whole number from 1 to %(most)s.") % {"most": number(MOST_MINUTES)},
        )

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or {}
        if said.get("engine") == "openai":
            self._check_server(said)
        elif said.get("engine") == "faster_whisper" and not said.get("model", "").startswith("/"):
            self.add_error("model", _("Write the whole path of the model's folder on the server, from / on."))
        return said

    def _check_server(self, said: dict[str, Any]) -> None:
        if not said.get("model"):
            self.add_error("model", _("Write the model's name as the server knows it, such as whisper-1."))
        if not _is_address(said.get("api_base", "")):
            self.add_error("api_base", _("Write a whole address, such as https://api.openai.com/v1."))
        if not (said.get("key") or "").isprintable():
            self.add_error("key", _("A key has no line breaks. Paste it again."))

    @property
    def choice(self) -> Choice:
        """Of a form that is valid."""
        said = self.cleaned_data
        return Choice(
            engine=said["engine"],
            model=said["model"],
            api_base=said["api_base"],
            language=said["language"],
            is_automatic=said["is_automatic"] == "yes",
            longest_s=60 * said["longest_minutes"],
            secrets={"key": said["key"]},
            is_without_key=said["is_without_key"],
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of trying the engine."""

    text: str = ""
    trouble: words.Words = ""


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.CONFIGURE)
def engine(request: MemberRequest) -> HttpResponse:
    if request.method == "GET":
        return _page(request)
    form = EngineForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        journey.configure_transcriber(request.user.workspace_id, form.choice, by_member(request.user))
    except govern.KeyForAnother:
        form.add_error(
            "key", _("A key is only sent to the address it was given for. Paste the key of this one.")
        )
    except PrivateHost:
        form.add_error("api_base", words.TRANSCRIPT_TROUBLES["private_address"])  # type: ignore[arg-type]
    else:
        messages.success(request, _("Saved. Try the engine before you rely on it."))
        return redirect("settings_transcripts")
    return _page(request, form, status=422)


@require_POST
@for_members
@needs(Ability.CONFIGURE)
def try_engine(request: MemberRequest) -> HttpResponse:
    """Give the engine, as it is saved, two seconds of speech, and show what it says."""
    row = govern.of(request.user.workspace_id)
    if row is None:
        return redirect("settings_transcripts")
    try:
        heard = async_to_sync(try_out)(row)
    except AcervoError as error:
        return _page(request, trial=Trial(trouble=words.transcript_trouble(error.code)))
    return _page(request, trial=Trial(text=" ".join(said.text for said in heard.segments)))


@require_POST
@for_members
@needs(Ability.CONFIGURE)
def pause(request: MemberRequest) -> HttpResponse:
    govern.pause(request.user.workspace_id, by_member(request.user))
    messages.success(request, _("The engine is paused. What arrives waits for it."))
    return redirect("settings_transcripts")


@require_POST
@for_members
@needs(Ability.CONFIGURE)
def resume(request: MemberRequest) -> HttpResponse:
    journey.resume_transcripts(request.user.workspace_id, by_member(request.user))
    messages.success(request, _("The engine goes on. What waited is on its way."))
    return redirect("settings_transcripts")


@require_POST
@for_members
@needs(Ability.CONFIGURE)
def remove(request: MemberRequest) -> HttpResponse:
    govern.remove(request.user.workspace_id, by_member(request.user))
    messages.success(request, _("Transcription is off, and the key is gone. Transcripts that are here stay."))
    return redirect("settings_transcripts")


@require_POST
@for_members
@needs(Ability.CONFIGURE)
def transcribe_all(request: MemberRequest) -> HttpResponse:
    if govern.of(request.user.workspace_id) is None:
        return redirect("settings_transcripts")
    count = journey.transcribe_all(request.user.workspace_id, by_member(request.user))
    said = ngettext("%(count)s file is on its way to the engine.", "%(count)s files are on their way to the engine.", count)  # fmt: skip
    messages.success(request, said % {"count": number(count)})
    return redirect("settings_transcripts")


def _page(
    request: MemberRequest,
    form: EngineForm | None = None,
    *,
    status: int = 200,
    trial: Trial | None = None,
) -> HttpResponse:
    row = govern.of(request.user.workspace_id)
    tally = unheard.tally(request.user.workspace_id)
    return render(
        request,
        "settings_transcripts.html",
        {
            "engine": row,
            "status": _status(row),
            "reason": words.transcript_trouble(row.pause_reason) if row and row.paused_at else "",
            "engine_name": words.ENGINES.get(row.engine, row.engine) if row else "",
            "engines": [(kind, words.ENGINES[kind]) for kind in transcribers.OFFERED],
            "typed": _typed(form, row),
            "errors": {name: said[0] for name, said in form.errors.items()} if form else {},
            "languages_spoken": _languages(),
            "has_key": bool(row and row.sealed_secrets),
            "tally": tally,
            "all_asked": tally.made + tally.waiting,
            "at_once": unheard.AT_ONCE,
            "trial": trial,
            "most_minutes": MOST_MINUTES,
        },
        status=status,
    )


def _status(row: Transcriber | None) -> words.Status:
    if row is None:
        return words.Status(_("Off"), "", "ban")
    return (
        words.Status(_("Paused"), "bad", "pause")
        if row.paused_at
        else words.Status(_("On"), "ok", "circle-check")
    )


def _typed(form: EngineForm | None, row: Transcriber | None) -> dict[str, str]:
    """What the fields hold: what was typed, else what is saved, else what is usual. Never a key."""
    if form is not None:
        return {name: form.data.get(name, "") for name in form.fields if name != "key"}
    if row is None:
        usual = {"engine": "openai", "api_base": USUAL_ADDRESS, "model": "whisper-1", "language": "", "is_automatic": "yes"}  # fmt: skip
        return {**usual, "longest_minutes": str(USUAL_MINUTES)}
    return {
        "engine": row.engine,
        "api_base": row.api_base,
        "model": row.model,
        "language": row.language,
        "is_automatic": "yes" if row.is_automatic else "no",
        "longest_minutes": str(max(row.longest_s // 60, 1)),
    }


def _languages() -> list[tuple[str, str]]:
    """In the reader's language, those most spoken here first."""
    names = {code: str(locale().languages.get(code, code)).capitalize() for code in LANGUAGES}
    others = sorted((code for code in LANGUAGES if code not in FIRST_LANGUAGES), key=lambda code: names[code])
    return [(code, names[code]) for code in (*FIRST_LANGUAGES, *others)]


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and not parts.username
        )
    except ValueError:
        return False
