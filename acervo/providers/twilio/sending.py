"""A text, buttons or a template to a customer."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import aiohttp

from acervo.providers.asking import Reply
from acervo.providers.contract import Credentials, Outcome, ProviderBusy
from acervo.providers.sending import NotSent, Outgoing, Sent
from acervo.providers.twilio import errors, identity
from acervo.providers.twilio.api import CONTENT, Api, told
from acervo.providers.untrusted import as_id, as_word

CONTENT_PATH: Final = "/v1/Content"
REMEMBERED: Final = 256
LANGUAGE: Final = "en"
"""Of a content without a template's: Twilio asks for one, and shows it to nobody."""

contents: dict[tuple[str, str], str] = {}
"""Twilio takes buttons only as a content made beforehand. Those of this process are made once a wording."""


async def send(api: Api, session: aiohttp.ClientSession, message: Outgoing, credentials: Credentials) -> Sent:
    """Raises OutsideWindow, NotSent, AccessLost, ProviderBusy."""
    to = identity.address_of(message.to)
    if to is None:
        raise NotSent("This person has neither a number nor a user id.")
    form = {"To": to, **_sender(credentials)}
    if message.template is not None:
        values = {str(place): value for place, value in enumerate(message.template.values, start=1)}
        form |= {"ContentSid": message.template.name, "ContentVariables": json.dumps(values)}
    elif message.buttons:
        form["ContentSid"] = await _content(api, session, message)
    else:
        form["Body"] = message.text or ""
    reply = await api.ask(session, "POST", f"{api.account_path}/Messages.json", form=form)
    if not 200 <= reply.status < 300:
        raise errors.send_refusal(reply)
    return _sent(reply)


def _sender(credentials: Credentials) -> dict[str, str]:
    """A messaging service chooses among its senders; without one it is our number."""
    service = credentials.options.get("messaging_service_sid")
    found = {"From": f"{identity.CHANNEL}{credentials.account_id}"}
    callback = credentials.options.get("status_callback")
    return (
        found
        | ({"MessagingServiceSid": str(service)} if service else {})
        | ({"StatusCallback": str(callback)} if callback else {})
    )


async def _content(api: Api, session: aiohttp.ClientSession, message: Outgoing) -> str:
    """A quick-reply content; inside the 24 hours it needs nobody's approval."""
    actions = [{"title": button.title, "id": button.id} for button in message.buttons]
    reply_types: dict[str, Any] = {"twilio/quick-reply": {"body": message.text, "actions": actions}}
    wording = hashlib.sha256(json.dumps(reply_types).encode()).hexdigest()
    key = (api.account_sid, wording)
    if key not in contents:
        asked = {"friendly_name": f"acervo_{wording[:16]}", "language": LANGUAGE, "types": reply_types}
        reply = await api.ask(session, "POST", CONTENT_PATH, host=CONTENT, json=asked)
        if not 200 <= reply.status < 300:
            raise errors.send_refusal(reply)
        if len(contents) >= REMEMBERED:
            contents.clear()
        contents[key] = _sid(reply)
    return contents[key]


def _sent(reply: Reply) -> Sent:
    return Sent(message_id=_sid(reply), status=as_word(told(reply).get("status")).lower())


def _sid(reply: Reply) -> str:
    sid = as_id(told(reply).get("sid"))
    if sid is None:
        # It was taken, or something between us and Twilio made the answer up: nobody repeats this by itself.
        raise ProviderBusy(f"{errors.VENDOR} answered without an id.", code=Outcome.TIMED_OUT)
    return sid
