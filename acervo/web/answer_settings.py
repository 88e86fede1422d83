"""What is said by itself, and in which words: read by those who operate, changed by those who configure."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from acervo.answer import wording
from acervo.answer.asking import LONGEST_TEXT
from acervo.base.errors import Refused
from acervo.govern import answers as govern
from acervo.govern.answers import WORDED, Answers
from acervo.govern.media_rules import ChangedMeanwhile
from acervo.models import Ability, SendingPurpose, by_member
from acervo.web import words
from acervo.web.guards import MemberRequest, for_members, needs


@dataclass(frozen=True, slots=True)
class Wording:
    """One text of ours in one language, as a field."""

    name: str
    language: str
    value: str
    ours: str


@require_http_methods(["GET", "POST"])
@for_members
@needs(Ability.OPERATE)
def settings_answers(request: MemberRequest) -> HttpResponseBase:
    if request.method == "POST":
        return _save(request)
    return _page(request, Answers.of(request.user.workspace_id))


@needs(Ability.CONFIGURE)
def _save(request: MemberRequest) -> HttpResponse:
    typed = Answers(
        request.POST.get("tells_not_taken") == "yes",
        {
            purpose: {
                code: request.POST.get(f"{purpose}-{code}", "").replace("\r\n", "\n")
                for code in wording.languages()
            }
            for purpose in WORDED
        },
    )
    workspace_id = request.user.workspace_id
    try:
        changed = govern.change(
            workspace_id, typed, seen=request.POST.get("seen", ""), by=by_member(request.user)
        )
    except Refused as error:
        status = 409 if isinstance(error, ChangedMeanwhile) else 422
        return _page(request, typed, error=words.refusal(error.code), status=status)
    messages.success(request, _("Saved.") if changed else _("Nothing was changed."))
    return redirect("settings_answers")


def _page(
    request: MemberRequest, shown: Answers, *, error: words.Words = "", status: int = 200
) -> HttpResponse:
    return render(
        request,
        "settings_answers.html",
        {
            "shown": shown,
            "seen": Answers.of(request.user.workspace_id).version,
            "error": error,
            "longest_text": LONGEST_TEXT,
            "not_taken": _wordings(shown, SendingPurpose.FILE_NOT_TAKEN),
            "consent": _wordings(shown, SendingPurpose.CONSENT_ASKED),
            "can_change": request.user.can(Ability.CONFIGURE),
        },
        status=status,
    )


def _wordings(shown: Answers, purpose: str) -> list[Wording]:
    texts = shown.wordings[purpose]
    return [
        Wording(f"{purpose}-{code}", code, texts.get(code, ""), wording.default(purpose, code))
        for code in wording.languages()
    ]
