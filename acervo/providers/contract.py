"""What a WhatsApp provider must offer, in types. Adapters know neither the database nor the web framework.

An adapter is a class built from `Credentials`; it answers four questions:
`handshake`/`verify` (is this knock genuine?), `read` (what does it announce?), `resolve` + `download_request`
(where are the bytes, and how are they asked for?) and `check` (is this connection alive?).
The bytes themselves are fetched by `acervo.fetch`, which guards the socket for every provider alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Protocol

import aiohttp

from acervo.base.errors import Gone, NeedsPerson, Refused, TryLater
from acervo.providers.asked import Asked


class Kind(StrEnum):
    """What the sender's app called the file. What the bytes are is found out later, in `prepare`."""

    VOICE = "voice"
    AUDIO = "audio"
    VIDEO = "video"
    IMAGE = "image"
    STICKER = "sticker"
    DOCUMENT = "document"


class Direction(StrEnum):
    INBOUND = "in"
    OUTBOUND = "out"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A knock at the door, exactly as it arrived. Header names are lower case."""

    method: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    url: str = field(default="", repr=False)
    """The public address knocked at, from our configuration and never from the Host header."""
    received_at: datetime | None = None
    """When it knocked; told to `read`, for vendors whose messages carry no moment of their own."""


@dataclass(frozen=True, slots=True)
class Identity:
    """How a sender can be known. Either may be missing, never both; the business-scoped id comes first."""

    user_id: str | None = field(default=None, repr=False)
    """Business-scoped user id (BSUID): stable within one business portfolio."""
    parent_user_id: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    """E.164 with plus sign."""
    name: str | None = field(default=None, repr=False)
    username: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AnnouncedFile:
    """A file the provider says it holds for us. sha256 is lower-case hex, whatever the provider sent."""

    provider_id: str = field(repr=False)
    """Empty only together with `refusal` (a file the provider lost before it gave it an id) or `is_placeholder`."""
    kind: Kind
    mime: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    file_name: str | None = field(default=None, repr=False)
    url: str | None = field(default=None, repr=False)
    """A ready link, when the provider gave one; it may die before we use it (see `url_expires_at`)."""
    url_expires_at: datetime | None = None
    is_animated: bool = False
    refusal: str | None = None
    """Set when the provider itself could not get the file (Meta 131052): a code from `Outcome`."""
    is_placeholder: bool = False
    """The message had a file whose id comes later, under the same message id, or never (Meta's history)."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One message, of any type. Messages without files are announced too: they place files in their chat."""

    account_id: str
    """The receiving account at the provider (Meta: phone_number_id)."""
    message_id: str = field(repr=False)
    direction: Direction
    sender: Identity
    """The customer: who wrote an inbound message, or to whom an outbound one went."""
    sent_at: datetime
    type: str
    """The provider's message type after normalisation: text, image, audio, …, system, unsupported."""
    text: str | None = field(default=None, repr=False)
    """Body of a text, or caption of a file."""
    files: tuple[AnnouncedFile, ...] = ()
    reply_to: str | None = field(default=None, repr=False)
    group_id: str | None = None
    is_forwarded: bool = False
    is_history: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Facts worth keeping that have no column: referral, button id, location… JSON-ready."""


@dataclass(frozen=True, slots=True)
class IdentityChange:
    """Two identities turned out to be the same person (number change, user id update)."""

    account_id: str | None
    before: Identity
    after: Identity
    at: datetime


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """What became of a message we sent."""

    account_id: str
    message_id: str = field(repr=False)
    status: str
    at: datetime
    error_code: str | None = None
    refusal: str | None = None
    """What that means, where we know a word for it: `outside_window`."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """The sender took a message back, or edited it (`edited` then carries the new form)."""

    account_id: str
    message_id: str = field(repr=False)
    at: datetime
    edited: Announcement | None = None
    sender: Identity | None = None
    """The customer of that chat, where told: then this may come before the message itself and is not lost."""
    direction: Direction = Direction.INBOUND
    """Of the message that was taken back."""


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """Something about the account itself: quality, ban, limits. `summary` is safe to log."""

    account_id: str | None
    type: str
    severity: str
    """info, warning or critical."""
    summary: str
    at: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of the payload we could not read. It stays on the receipt and can be replayed."""

    pointer: str
    """JSON pointer into the body, e.g. `/entry/0/changes/2`."""
    type: str
    reason: str
    """Safe to log: no values of the payload."""


Event = Announcement | IdentityChange | StatusUpdate | Revocation | AccountEvent


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything a payload said: nothing in it is dropped, it is either an event or listed as unread."""

    events: tuple[Event, ...] = ()
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What differs between providers, as data. `kind == …` outside an adapter is a fault of the layout."""

    declares_sha256: bool
    declares_size: bool
    file_lifetime: timedelta
    """How long a received file can be fetched by its id."""
    short_file_lifetime: timedelta | None = None
    """The lifetime when the account keeps nothing at the provider (Meta No Storage)."""
    has_handshake: bool = False
    media_hosts: tuple[str, ...] = ()
    """Exact host names files may come from."""
    credential_hosts: tuple[str, ...] = ()
    """Exact host names that may ever see the credentials."""
    download_failures_per_hour: int | None = None
    """The provider blocks us after so many failed downloads an hour; our breaker stays below."""
    signs_body: bool = True
    """False: the provider signs nothing. A secret header and a secret address are all that tells it from a stranger."""
    address_secret: str | None = None
    """The secret whose value is the last segment of the webhook address."""
    own_secrets: tuple[str, ...] = ()
    """Those of `secret_names` that we make up ourselves; nobody is asked for them."""
    signature_life: timedelta | None = None
    """How long a signature counts after it was made, where that is short: a clock that is wrong by more refuses all
    webhooks. None: for hours, or for ever."""
    acknowledgement: tuple[str, str] = ("", "")
    """Content type and body of the 200 that answers a webhook, where the vendor reads it."""
    returns_button_ids: bool = True
    """Whether a pressed button comes back with our id; elsewhere only with its label."""
    template_options: tuple[str, ...] = ()
    """What a template needs here besides its name, language and values."""
    history_files: timedelta | None = None
    """Files of the past older than this, when the past is told, are never offered."""
    knocks_at_one_address: bool = False
    """Registering our address ends another that was there; elsewhere it is added to those there are."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Everything an adapter needs of its connection, handed in; it reads neither settings nor rows."""

    account_id: str
    secrets: Mapping[str, str] = field(repr=False)
    """Named as in the adapter's `secret_names`. A name ending in `_previous` is accepted during rotation."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Not secret: waba_id, …"""
    api_base: str | None = None
    """Replaces the provider's own base URL (sandbox, tests, regional hosts)."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts trusted besides the provider's own, because the operator named them for `api_base`."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where the bytes are now, and what the provider promises about them."""

    url: str = field(repr=False)
    expires_at: datetime | None = None
    mime: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    usage: Usage | None = None
    """The allowance as told by this very answer, if it told it."""
    is_open: bool = False
    """The link itself is the permission: no credentials go along, not even to a host that may see them."""


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """How to ask for the bytes. `fetch` follows redirects by hand and never carries `headers` to a host
    outside `credential_hosts`."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    allowed_hosts: tuple[str, ...]
    credential_hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """Is the connection alive, in facts the page can word."""

    is_alive: bool
    code: str
    """`ok`, or an `Outcome`."""
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready words and numbers of the vendor, named as in `web.health_words.FACTS`. Some are understood everywhere:
    `token_expires_at` (ISO), `permissions_missing`, and `unwell`: the names of those facts a person should look at."""


class Outcome(StrEnum):
    """Why a file or a connection is not well. Kept on rows; worded by `acervo.web.words`."""

    EXPIRED = "expired"
    """The provider no longer has it, or never gave it to us."""
    LOST_AT_PROVIDER = "lost_at_provider"
    TOKEN_REVOKED = "token_revoked"  # noqa: S105  (a word, not a password)
    FORBIDDEN = "forbidden"
    BLOCKED = "blocked"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    TIMED_OUT = "timed_out"
    URL_DIED = "url_died"
    WRONG_HASH = "wrong_hash"
    WRONG_SIZE = "wrong_size"
    NOT_MEDIA = "not_media"
    TOO_LARGE = "too_large"
    FORBIDDEN_HOST = "forbidden_host"
    UNKNOWN = "unknown"


class MediaGone(Gone):
    """The provider no longer has this file."""

    code = Outcome.EXPIRED


class AccessLost(NeedsPerson):
    """The provider no longer accepts our access. Reconnect it under Integrations."""

    code = Outcome.TOKEN_REVOKED


class ProviderBusy(TryLater):
    """The provider asks us to wait, or is not well."""

    code = Outcome.UNAVAILABLE


class ForgedWebhook(Refused):
    """The signature does not fit the body."""

    code = "forged"


class UnreadableWebhook(Refused):
    """The body is not what this provider sends."""

    code = "unreadable"


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of the provider's allowance is spent, from its answer headers; percentages 0-100."""

    percent: float
    regain_after_s: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)


class Provider(Protocol):
    """One connection at one provider."""

    kind: ClassVar[str]
    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    secret_names: ClassVar[tuple[str, ...]]
    """Required secrets, in the order a person is asked for them."""
    asks: ClassVar[tuple[Asked, ...]]
    """Everything a person is asked for, in order; empty where no page offers this provider."""

    def __init__(self, credentials: Credentials) -> None: ...

    def handshake(self, webhook: Webhook) -> str:
        """The body to answer a GET with. Raises ForgedWebhook."""
        ...

    def verify(self, webhook: Webhook) -> None:
        """Raises ForgedWebhook unless the raw bytes are signed with a current or previous secret.
        With no secret configured everything is refused."""
        ...

    def read(self, webhook: Webhook) -> Reading:
        """Every event of the payload. Raises UnreadableWebhook only when the body as a whole cannot be parsed;
        a part that cannot be read is listed in `unread` and never stops its neighbours. Pure: no I/O."""
        ...

    async def resolve(self, session: aiohttp.ClientSession, file: AnnouncedFile) -> Resolved:
        """Ask the provider where the bytes are now. Raises MediaGone, AccessLost, ProviderBusy."""
        ...

    def download_request(self, resolved: Resolved) -> DownloadRequest:
        """How the bytes are asked for."""
        ...

    def download_refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Exception:
        """The error a failed download answer means. `body` is at most its first 4 KiB."""
        ...

    def usage(self, headers: Mapping[str, str]) -> Usage | None:
        """The allowance as told by answer headers, if they tell it."""
        ...

    async def check(self, session: aiohttp.ClientSession) -> Health:
        """Whether the connection is alive. Never raises for an answer of the provider."""
        ...
