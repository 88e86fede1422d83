"""Messages of ours in Graph's JSON, and what its answers to them mean; Meta's own API and its partners' alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from acervo.base.errors import AcervoError
from acervo.providers.asking import Reply
from acervo.providers.contract import Identity, Outcome, ProviderBusy
from acervo.providers.meta_cloud import errors
from acervo.providers.sending import NotSent, Outgoing, OutsideWindow, Sent, Template
from acervo.providers.untrusted import as_id, as_mapping, as_sequence, as_word, parse_object

LONGEST_TEXT = 4096
LONGEST_BUTTONED_TEXT = 1024
"""Characters of the text above buttons (interactive messages page, read 2026-03)."""

LATE_CODES = frozenset({131047, 470})
"""More than 24 hours have passed; 470 is what the on-premise product said."""
SEND_LIMITS = frozenset({131048, 131056})
"""Too much to everybody (marked as spam), too much to this person: send-side only, and they pass."""


def as_graph(message: Outgoing) -> dict[str, Any]:
    """The body of `POST …/messages`. Raises NotSent for what can be said without asking."""
    said: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        **_address(message.to),
    }
    if message.reply_to:
        said["context"] = {"message_id": message.reply_to}
    if message.template is not None:
        payloads = [button.id for button in message.buttons]
        return {**said, "type": "template", "template": _template(message.template, payloads)}
    text = message.text or ""
    if not text.strip() or len(text) > (LONGEST_BUTTONED_TEXT if message.buttons else LONGEST_TEXT):
        raise NotSent("The text is empty or too long.", code="text_length")
    if not message.buttons:
        return {**said, "type": "text", "text": {"body": text}}
    replies = [
        {"type": "reply", "reply": {"id": button.id, "title": button.title}} for button in message.buttons
    ]
    shown = {"type": "button", "body": {"text": text}, "action": {"buttons": replies}}
    return {**said, "type": "interactive", "interactive": shown}


def sent(answer: Reply, *, vendor: str = "Meta") -> Sent:
    """The message Graph took. Raises OutsideWindow, NotSent, AccessLost, ProviderBusy."""
    if answer.status != 200:
        raise _refusal(answer, vendor)
    try:
        told = as_mapping(next(iter(as_sequence(parse_object(answer.body).get("messages"))), None))
    except AcervoError:
        told = {}
    message_id = as_id(told.get("id"))
    if message_id is None:
        raise ProviderBusy(f"{vendor} answered without a message id.", code=Outcome.TIMED_OUT)
    word = as_word(told.get("message_status"))
    return Sent(message_id, "accepted" if word == "?" else word)


def _address(to: Identity) -> dict[str, str]:
    """By phone number where known: between two of the same person Meta itself prefers it."""
    if to.phone:
        return {"to": to.phone}
    if to.user_id:
        return {"recipient": to.user_id}
    raise NotSent("Neither a number nor a user id of this person is known.", code="no_address")


def _template(template: Template, payloads: list[str]) -> dict[str, Any]:
    components: list[dict[str, Any]] = []
    if template.values:
        values = [{"type": "text", "text": value} for value in template.values]
        components.append({"type": "body", "parameters": values})
    for index, payload in enumerate(payloads):
        components.append(
            {
                "type": "button",
                "sub_type": "quick_reply",
                "index": str(index),
                "parameters": [{"type": "payload", "payload": payload}],
            }
        )
    said: dict[str, Any] = {"name": template.name, "language": {"code": template.language}}
    return {**said, "components": components} if components else said


def _refusal(answer: Reply, vendor: str) -> AcervoError:
    error = errors.GraphError.of(answer.body)
    facts: Mapping[str, Any] = {"http_status": answer.status, "vendor_code": error.code}
    detail = f"{vendor} answered HTTP {answer.status}" + (f", code {error.code}." if error.code else ".")
    if error.code in LATE_CODES:
        return OutsideWindow(**facts)
    if error.code in SEND_LIMITS:
        wait_s = errors.wanted_wait_s(answer.headers)
        return ProviderBusy(detail, after_s=wait_s, code=Outcome.RATE_LIMITED, **facts)
    is_known = error.code in errors.BY_CODE and error.code != errors.UNAVAILABLE_OBJECT
    if error.code is not None and not is_known and answer.status < 500:
        return NotSent(detail, **facts)  # whatever is wrong with the message or its template
    return errors.refusal(answer.status, answer.headers, answer.body, vendor=vendor)
