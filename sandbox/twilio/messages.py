"""Messages as Twilio lists them, and webhooks as it posts and signs them."""

from __future__ import annotations

import hmac
import secrets
import time
from base64 import b64encode
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, urlencode

from sandbox.twilio.account import Account
from sandbox.whatsapp.messages import Customer, SignedWebhook
from sandbox.whatsapp.shelf import Announced

SIGNATURE_HEADER = "X-Twilio-Signature"
VERSION = "2010-04-01"
PLACES = {
    "image/webp": "sticker",
    "text/vcard": "contacts",
}


def message(
    customer: Customer,
    *,
    account: Account | None = None,
    base_url: str = "",
    text: str | None = None,
    files: tuple[Announced, ...] = (),
    message_sid: str | None = None,
    more: Mapping[str, str] | None = None,
    at: float | None = None,
) -> dict[str, Any]:
    """An inbound message, as parameters of its webhook under `said` and as a row of the list. `base_url`: of the
    sandbox that holds the files. `more`: further parameters, such as ButtonPayload."""
    account = account or Account()
    sid = message_sid or f"MM{secrets.token_hex(16)}"
    media = {media_sid(file.media_id): file.mime.partition(";")[0] for file in files}
    said = {
        "SmsMessageSid": sid,
        "NumMedia": str(len(media)),
        "ProfileName": customer.name,
        "MessageType": _type(list(media.values())),
        "SmsSid": sid,
        **({"WaId": customer.phone} if customer.phone else {}),
        "SmsStatus": "received",
        "Body": text or "",
        "To": f"whatsapp:{account.number}",
        "NumSegments": "1",
        "ReferralNumMedia": "0",
        "MessageSid": sid,
        "AccountSid": account.account_sid,
        "From": f"whatsapp:+{customer.phone}" if customer.phone else f"whatsapp:{customer.user_id}",
        "ApiVersion": VERSION,
        **({"ExternalUserId": f"whatsapp:{customer.user_id}"} if customer.user_id else {}),
        **({"ProfileUsername": customer.username.removeprefix("@")} if customer.username else {}),
        **(more or {}),
    }
    for index, (place, mime) in enumerate(media.items()):
        said[f"MediaContentType{index}"] = mime
        said[f"MediaUrl{index}"] = f"{base_url}{media_path(account, sid, place)}"
    return {"said": said, "media": media, "at": time.time() if at is None else at}


def row_of(made: Mapping[str, Any]) -> dict[str, Any]:
    """The message as the list tells it: without profile, type and buttons."""
    said = made["said"]
    moment = formatdate(made["at"], usegmt=False, localtime=False).replace("-0000", "+0000")
    return {
        "sid": said["MessageSid"],
        "account_sid": said["AccountSid"],
        "api_version": VERSION,
        "body": said["Body"],
        "date_created": moment,
        "date_sent": moment,
        "date_updated": moment,
        "direction": "inbound",
        "error_code": None,
        "from": said["From"],
        "to": said["To"],
        "num_media": said["NumMedia"],
        "num_segments": "1",
        "status": "received",
    }


def status(sent: Mapping[str, Any], word: str, *, error_code: str | None = None) -> dict[str, str]:
    """Parameters that tell what became of a message of ours, a row as the sandbox keeps it."""
    return {
        "ChannelPrefix": "whatsapp",
        "ApiVersion": VERSION,
        "MessageStatus": word,
        "SmsSid": sent["sid"],
        "SmsStatus": word,
        "To": sent["to"],
        "From": sent["from"],
        "MessageSid": sent["sid"],
        "AccountSid": sent["account_sid"],
        **({"ErrorCode": error_code} if error_code else {}),
    }


def webhook(made: Mapping[str, Any], url: str, *, account: Account | None = None) -> SignedWebhook:
    """One message on its way to `url`."""
    return signed(made["said"], url, account=account)


def signed(said: Mapping[str, str], url: str, *, account: Account | None = None) -> SignedWebhook:
    """Any parameters as a form, signed over the address and themselves. What follows a `#` in the address is for
    Twilio alone."""
    body = urlencode(said)
    pairs = sorted(set(parse_qsl(body, keep_blank_values=True)))
    text = url.partition("#")[0] + "".join(name + value for name, value in pairs)
    key = (account or Account()).auth_token.encode()
    signature = b64encode(hmac.digest(key, text.encode(), "sha1")).decode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "I-Twilio-Idempotency-Token": secrets.token_hex(16),
        SIGNATURE_HEADER: signature,
    }
    return SignedWebhook(body.encode(), headers)


def media_sid(media_id: str) -> str:
    """The shelf counts; Twilio's ids are 32 hexadecimal digits."""
    return f"ME{int(media_id):032x}"


def media_id(sid: str) -> str:
    return str(int(sid[2:], 16))


def media_path(account: Account, message_sid: str, media: str) -> str:
    return f"/{VERSION}/Accounts/{account.account_sid}/Messages/{message_sid}/Media/{media}"


def _type(mimes: list[str]) -> str:
    if not mimes:
        return "text"
    family = mimes[0].partition("/")[0]
    return PLACES.get(mimes[0]) or (family if family in ("audio", "video", "image") else "document")
