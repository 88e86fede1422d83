"""What we say by ourselves, in the customer's language: our own words, or those a workspace chose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import phonenumbers
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from acervo.models import AnswerPolicy, PersonIdentifier, SendingPurpose, Workspace
from acervo.providers.sending import Button

OURS: Final[Mapping[str, object]] = {
    SendingPurpose.FILE_NOT_TAKEN: _(
        "We could not receive the file you sent. Could you please send it again? If it is large, a shorter "
        "or smaller version helps."
    ),
    SendingPurpose.CONSENT_ASKED: _(
        "May we keep the messages and files you send us here, so that we can help you? You can change your "
        "mind at any time."
    ),
}
YES, NO = _("Yes, you may"), _("No, thank you")
PORTUGUESE: Final = frozenset({55, 351, 244, 258, 238, 245, 239, 670})
SPANISH: Final = frozenset(
    {34, 52, 54, 56, 57, 51, 58, 591, 593, 595, 598, 502, 503, 504, 505, 506, 507, 53, 240}
)
ENGLISH: Final = frozenset({1, 44, 61, 64, 353, 27})
"""Calling codes of countries that mostly speak it; elsewhere the workspace's own language is the better guess."""
BY_CODE: Final[Mapping[int, str]] = (
    dict.fromkeys(PORTUGUESE, "pt-br") | dict.fromkeys(SPANISH, "es") | dict.fromkeys(ENGLISH, "en")
)


def languages() -> list[str]:
    """Those that a wording exists in."""
    return [code.lower() for code, _name in settings.LANGUAGES]


def language_for(person_id: UUID, workspace_id: UUID) -> str:
    """A guess from the country of their number; people who read a text before it leaves can choose another."""
    known = PersonIdentifier.objects.filter(person=person_id, kind=PersonIdentifier.Kind.PHONE)
    phone = known.order_by("-id").values_list("value", flat=True).first()
    own = Workspace.objects.values_list("language", flat=True).get(pk=workspace_id).lower()
    guess = BY_CODE.get(_calling_code(phone), own) if phone else own
    return guess if guess in languages() else own


def said(workspace_id: UUID, purpose: str, language: str) -> str:
    """What a workspace says."""
    return text(AnswerPolicy.of(workspace_id), purpose, language)


def text(policy: AnswerPolicy, purpose: str, language: str) -> str:
    """The workspace's own words, else ours."""
    chosen = policy.wordings.get(purpose, {}).get(language)
    return chosen or default(purpose, language)


def default(purpose: str, language: str) -> str:
    with translation.override(language):
        return str(OURS[purpose])


def consent_titles(language: str) -> tuple[str, str]:
    """Yes and no, as buttons say it."""
    with translation.override(language):
        return str(YES), str(NO)


def consent_buttons(sending_id: UUID, yes: str, no: str) -> tuple[Button, Button]:
    """Their ids name the question: the answer proves itself."""
    return Button(f"consent:yes:{sending_id.hex}", yes), Button(f"consent:no:{sending_id.hex}", no)


def _calling_code(phone: str) -> int:
    try:
        return phonenumbers.parse(phone, None).country_code or 0
    except phonenumbers.NumberParseException:
        return 0
