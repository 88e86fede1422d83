"""What a message to a customer looks like in MessageBird's words."""

from __future__ import annotations

from typing import Any

from acervo.base.errors import AcervoError
from acervo.providers.asking import Reply
from acervo.providers.contract import Outcome, ProviderBusy
from acervo.providers.messagebird import errors
from acervo.providers.messagebird.reading import CONTACT
from acervo.providers.sending import NotSent, Outgoing, Sent, Template
from acervo.providers.untrusted import as_id, as_word, parse_object


def request(message: Outgoing, *, channel_id: str) -> dict[str, Any]:
    """The body of `POST /v1/send`. Raises NotSent for somebody who cannot be addressed."""
    told = {"to": _address(message), "from": channel_id, **_content(message)}
    return {**told, "replyTo": {"id": message.reply_to}} if message.reply_to else told


def sent(reply: Reply) -> Sent:
    """What an answer to it says. Raises OutsideWindow, NotSent, AccessLost, ProviderBusy."""
    if not 200 <= reply.status < 300:
        raise errors.send_refusal(reply)
    try:
        told = parse_object(reply.body)
    except AcervoError:
        told = {}
    message_id = as_id(told.get("id"))
    if message_id is None:
        # It was taken, perhaps: nobody may send it again by himself.
        raise ProviderBusy("MessageBird answered without a message id.", code=Outcome.TIMED_OUT)
    status = as_word(told.get("status")).lower()
    return Sent(message_id, "accepted" if status == "?" else status)


def _address(message: Outgoing) -> str:
    """By number; a business-scoped id in its place is tried as it stands (not documented for version 1)."""
    to = message.to
    user_id = None if (to.user_id or "").startswith(CONTACT) else to.user_id
    address = to.phone or user_id
    if not address:
        raise NotSent("This person has neither a number nor a user id at WhatsApp.")
    return address


def _content(message: Outgoing) -> dict[str, Any]:
    if message.template is not None:
        return {"type": "hsm", "content": {"hsm": _template(message.template)}}
    if not message.buttons:
        return {"type": "text", "content": {"text": message.text}}
    buttons = [{"id": button.id, "type": "reply", "title": button.title} for button in message.buttons]
    interactive = {"type": "button", "body": {"text": message.text}, "action": {"buttons": buttons}}
    return {"type": "interactive", "content": {"interactive": interactive}}


def _template(template: Template) -> dict[str, Any]:
    return {
        "namespace": template.options.get("namespace", ""),
        "templateName": template.name,
        "language": {"policy": "deterministic", "code": template.language},
        "params": [{"default": value} for value in template.values],
    }
