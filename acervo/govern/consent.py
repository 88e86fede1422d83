"""May this be done with what this person sent? What the workspace's settings and the person's own answers say."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q

from acervo import providers
from acervo.base import ids
from acervo.models import Chat, ConsentAnswer, Deed, Direction, Message, Sending, SendingPurpose

TRANSCRIBE: Final = "transcribe"
PURPOSES: Final = (TRANSCRIBE,)
ANSWERED_WITHIN: Final = timedelta(days=7)
"""So long a label alone still answers the question before it, where a provider returns no more of a button."""
Pressed = tuple[UUID, str]
"""A message by its connection and the provider's id."""


def allows(workspace_id: UUID, person_id: UUID, purpose: str) -> bool:
    """Asked before every use that a person may refuse. A workspace that configured the use allows it, unless the person
    answered no; the whole ledger of consent, once it is here, is read in this place and in no other."""
    assert purpose in PURPOSES, f"{purpose} is no purpose"  # noqa: S101
    answer = standing(person_id)
    return answer is None or answer.is_given


def standing(person_id: UUID) -> ConsentAnswer | None:
    """The newest answer of a person; None for one who was not asked, or has not answered."""
    answers = ConsentAnswer.objects.filter(person=person_id).newest_first()
    return answers.select_related("message", "sending").first()


def hear(pressed: Collection[Pressed]) -> Mapping[UUID, list[Deed]]:
    """Messages that may answer a question of ours: what they answer is written down with them as the proof, once.
    Returns the deeds by workspace. Must run inside the transaction that wrote the messages."""
    deeds: dict[UUID, list[Deed]] = {}
    accounts = {account for account, _ in pressed}
    if not Sending.objects.filter(
        connection__in=accounts, purpose=SendingPurpose.CONSENT_ASKED, tried_at__isnull=False
    ).exists():
        return deeds
    found = Message.objects.filter(
        connection__in=accounts, provider_id__in={name for _, name in pressed}, direction=Direction.INBOUND
    )
    for message in found.select_related("chat", "connection").order_by("pk"):
        question = _question(message)
        if question is not None and (deed := _write_down(message, *question)):
            deeds.setdefault(message.workspace_id, []).append(deed)
    return deeds


def _question(message: Message) -> tuple[Sending, bool] | None:
    """The question of this chat that a message answers, and whether it says yes. By the button's id; else by its label in
    a reply to the question. Typed words are no consent, except where a provider passes on nothing but the label."""
    asked = Sending.objects.filter(
        chat=message.chat_id, purpose=SendingPurpose.CONSENT_ASKED, tried_at__isnull=False
    ).order_by("-asked_at")
    button = str(message.extra.get("button", {}).get("id") or "")
    for sending in asked:
        if button and (said := _said(sending, button=button)) is not None:
            return sending, said
    label_is_enough = not providers.get(message.connection.kind).capabilities.returns_button_ids
    is_button = bool(button) or message.type == "button" or label_is_enough
    replied = Q(provider_id=message.reply_to) if message.reply_to else Q(pk__in=[])
    recent = Q(asked_at__gt=message.sent_at - ANSWERED_WITHIN, asked_at__lte=message.sent_at)
    newest = asked.filter(replied | (recent if is_button else Q(pk__in=[]))).first()
    if newest is None or not (is_button or message.reply_to):
        return None
    said = _said(newest, title=message.text or "")
    return None if said is None else (newest, said)


def _said(sending: Sending, *, button: str = "", title: str = "") -> bool | None:
    """Yes is the first button, no the second; None for what is neither."""
    for place, known in enumerate(sending.buttons[:2]):
        if (button and known["id"] == button) or (title and known["title"].casefold() == title.casefold()):
            return place == 0
    return None


def _write_down(message: Message, question: Sending, is_given: bool) -> Deed | None:
    person_id = Chat.objects.values_list("person_id", flat=True).get(pk=message.chat_id)
    moment = "given_at" if is_given else "refused_at"
    answer, is_new = ConsentAnswer.objects.get_or_create(
        message=message,
        defaults={
            "workspace_id": message.workspace_id,
            "person_id": person_id,
            "sending": question,
            moment: message.sent_at,
        },
    )
    if not is_new:
        return None
    details = {"message": ids.text(message.pk), "sending": ids.text(question.pk)}
    return Deed("consent.given" if answer.is_given else "consent.refused", "person", person_id, "", details)
