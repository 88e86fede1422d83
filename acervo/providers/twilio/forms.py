"""What Twilio posts: a form or JSON as parameters, and whether its signature fits them and our address."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from acervo.providers.contract import UnreadableWebhook, Webhook
from acervo.providers.untrusted import as_text, parse_object

MOST_PARAMETERS = 1000
"""Twilio sends about forty. Whoever sends a million wants our memory."""
LARGEST_FORM = 256 * 1024
"""Bytes. Decoding is dear and comes before anybody is known: 3 MB of percent signs would hold the door for seconds.
Twilio's own are below 64 KB; only what the debugger quotes may be more."""
DEFAULT_PORTS = {"https": 443, "http": 80}
FORM = "application/x-www-form-urlencoded"
BODY_HASH = "bodySHA256"

Pairs = Sequence[tuple[str, str]]


def parameters(webhook: Webhook) -> Mapping[str, str]:
    """What the body says, by name; of a repeated name the first. Raises UnreadableWebhook."""
    if not is_form(webhook):
        told = parse_object(webhook.body)
        return {name: text for name, value in told.items() if (text := as_text(value)) is not None}
    if webhook.body.lstrip().startswith((b"{", b"[")):
        raise UnreadableWebhook("The body is called a form, but is none.")
    found: dict[str, str] = {}
    try:
        for name, value in pairs(webhook.body):
            found.setdefault(as_text(name) or "", as_text(value) or "")
    except ValueError:
        raise UnreadableWebhook("The body is a form larger than any of Twilio's.") from None
    return found


def is_signed(webhook: Webhook, signature: str, tokens: Sequence[str]) -> bool:
    """Whether one of the auth tokens signed this body for this address, with or without its port: Twilio's servers do
    not agree among themselves whether the port belongs to the address."""
    try:
        texts = list(_signed_texts(webhook))
    except ValueError:
        return False
    given = signature.encode("utf-8", "replace")
    fits = [hmac.compare_digest(given, _digest(text, token)) for text in texts for token in tokens]
    return any(fits)


def signature(url: str, found: Pairs, token: str) -> str:
    """The signature of a form posted to `url`, as Twilio makes it."""
    return _digest(url + _flat(found), token).decode()


def is_form(webhook: Webhook) -> bool:
    """A body without a type is a form: Twilio's usual one."""
    declared = webhook.headers.get("content-type", FORM)
    return declared.partition(";")[0].strip().lower() == FORM


def pairs(body: bytes) -> Pairs:
    """Names and values as they were before they were encoded, blank ones too. Raises ValueError for too much."""
    if len(body) > LARGEST_FORM:
        raise ValueError("a form this large is none of Twilio's")
    return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS)


def _signed_texts(webhook: Webhook) -> Iterator[str]:
    """Everything the signature may stand for. Raises ValueError where there is nothing."""
    hashes = _body_hashes(webhook.url)
    if hashes and hashes != [hashlib.sha256(webhook.body).hexdigest()]:
        return  # whatever the body calls itself
    if not hashes and not is_form(webhook):
        return
    suffix = _flat(pairs(webhook.body)) if is_form(webhook) else ""
    for address in _addresses(webhook.url):
        yield address + suffix


def _flat(found: Pairs) -> str:
    """Names in order, each with its distinct values in order."""
    values: dict[str, set[str]] = defaultdict(set)
    for name, value in found:
        values[name].add(value)
    return "".join(name + value for name in sorted(values) for value in sorted(values[name]))


def _body_hashes(url: str) -> list[str]:
    """A body that is no form is signed through its hash in the address."""
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    return [value.lower() for name, value in query if name == BODY_HASH]


def _addresses(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    host = parts.netloc.rpartition(":")[0] if parts.port is not None else parts.netloc
    port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    yield urlunsplit(parts._replace(netloc=host))
    if port is not None:
        yield urlunsplit(parts._replace(netloc=f"{host}:{port}"))


def _digest(text: str, token: str) -> bytes:
    """Twilio's choice of SHA-1 is sound inside an HMAC, and is not ours to change."""
    return b64encode(hmac.new(token.encode(), text.encode("utf-8", "replace"), hashlib.sha1).digest())
