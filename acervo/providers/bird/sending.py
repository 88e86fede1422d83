"""What a message to a customer looks like in Bird's words."""

from __future__ import annotations

from typing import Any

from acervo.base.errors import AcervoError
from acervo.providers.asking import Reply
from acervo.providers.bird import errors
from acervo.providers.bird.reading import CONTACT, USER_ID
from acervo.providers.contract import Identity, Outcome, ProviderBusy
from acervo.providers.sending import NotSent, Outgoing, Sent, Template
from acervo.providers.untrusted import as_id, as_word, parse_object

LATEST = "latest"


def request(message: Outgoing) -> dict[str, Any]:
    """The body of `POST …/messages`. Raises NotSent for somebody who cannot be addressed."""
    told: dict[str, Any] = {"receiver": {"contacts": [_contact(message.to)]}}
    if message.template is not None:
        told["template"] = _template(message.template)
    else:
        told["body"] = {"type": "text", "text": _text(message)}
    if message.reply_to:
        told["replyTo"] = {"id": message.reply_to, "type": "message"}
    return told


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
        raise ProviderBusy("Bird answered without a message id.", code=Outcome.TIMED_OUT)
    status = as_word(told.get("status")).lower()
    return Sent(message_id, "accepted" if status == "?" else status)


def _contact(to: Identity) -> dict[str, str]:
    if to.phone:
        return {"identifierKey": "phonenumber", "identifierValue": to.phone}
    if to.user_id and not to.user_id.startswith(CONTACT):
        return {"identifierKey": USER_ID, "identifierValue": to.user_id}
    raise NotSent("This person has neither a number nor a user id at WhatsApp.")


def _text(message: Outgoing) -> dict[str, Any]:
    """A reply button has a label and no id: its answer comes back as that label, so the question must be known."""
    actions = [{"type": "reply", "reply": {"text": button.title}} for button in message.buttons]
    return {"text": message.text, **({"actions": actions} if actions else {})}


def _template(template: Template) -> dict[str, Any]:
    """Placeholders have names at Bird: `keys` in the options, by commas; without them they are counted from 1."""
    keys = [key.strip() for key in template.options.get("keys", "").split(",") if key.strip()]
    keys += [str(number) for number in range(len(keys) + 1, len(template.values) + 1)]
    return {
        "projectId": template.name,
        "version": template.options.get("version", LATEST),
        "locale": template.language,
        "parameters": [
            {"type": "string", "key": key, "value": value}
            for key, value in zip(keys, template.values, strict=False)
        ],
    }
