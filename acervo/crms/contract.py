"""What a CRM must offer, in types. Connectors know neither the database nor the web framework.

The file stays with us; a CRM gets a short stable link, metadata and text. Idempotency comes from our own ids
(`media_id`, `phone`), never from a CRM's search, which lags everywhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal, Protocol

import httpx

from acervo.crms.mapping import PLAIN, FieldMap, Place, TargetType
from acervo.crms.tokens import OwnToken, TokenKeeper


class CrmErrorKind(StrEnum):
    AUTH_EXPIRED = "auth_expired"
    AUTH_REVOKED = "auth_revoked"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    VALIDATION = "validation"
    AMBIGUOUS = "ambiguous"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    LOCKED = "locked"
    UNAVAILABLE = "unavailable"
    UNKNOWN_OUTCOME = "unknown_outcome"
    UNSUPPORTED = "unsupported"


RETRYABLE = frozenset(
    {
        CrmErrorKind.AUTH_EXPIRED,
        CrmErrorKind.RATE_LIMITED,
        CrmErrorKind.QUOTA_EXHAUSTED,
        CrmErrorKind.LOCKED,
        CrmErrorKind.UNAVAILABLE,
        CrmErrorKind.UNKNOWN_OUTCOME,
    }
)


class CrmError(Exception):
    """A CRM refused. Safe to log and show: no secret, phone number or text of ours is in it."""

    def __init__(
        self,
        kind: CrmErrorKind,
        detail: str = "",
        *,
        status: int | None = None,
        vendor_code: str | None = None,
        correlation_id: str | None = None,
        retry_after_s: float | None = None,
        existing_id: str | None = None,
    ) -> None:
        super().__init__(f"{kind}: {detail}" if detail else str(kind))
        self.kind = kind
        self.detail = detail
        self.status = status
        self.vendor_code = vendor_code
        self.correlation_id = correlation_id
        self.retry_after_s = retry_after_s
        self.existing_id = existing_id
        """The record already there, when a conflict names it: adopt it."""

    @property
    def is_retryable(self) -> bool:
        return self.kind in RETRYABLE


@dataclass(frozen=True, slots=True)
class CrmCredentials:
    """Everything a connector needs of its connection, handed in."""

    secrets: Mapping[str, str] = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    """Remembered answers of the CRM: portal id, object type ids, model."""
    api_base: str | None = None
    tokens: TokenKeeper = field(default_factory=OwnToken, repr=False)
    """Where the secrets only buy a token that ends: who keeps that token."""


@dataclass(frozen=True, slots=True)
class AccountInfo:
    account_id: str
    name: str
    url: str | None = None
    api_version: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


Told = Callable[[str], Awaitable[None]]
"""Somebody who wants to know of each field as it is made."""


async def untold(name: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """`object`: our own media object exists or can be made. `activity`: a note on the contact instead."""

    model: Literal["object", "activity"]
    relates_to: tuple[str, ...] = ("contact",)
    max_text: int = 30_000
    can_erase_person: bool = False


@dataclass(frozen=True, slots=True)
class SchemaReport:
    created: tuple[str, ...] = ()
    existing: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    """Fields a person made differently: left alone, named here."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """To be remembered with the connection (object type id, model)."""


@dataclass(frozen=True, slots=True)
class CrmField:
    """A field there is in the CRM, whoever made it."""

    name: str
    """As its API calls it."""
    label: str
    """As people see it."""
    type: TargetType
    is_writable: bool = True
    is_ours: bool = False
    limit: int | None = None
    """Most characters, where the CRM says so."""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordRef:
    object_type: str
    """contact, media, note, deal, ticket."""
    record_id: str
    url: str | None = None
    ours: str = field(default="", compare=False)
    """Of a file's record we know: the file's id with us."""


@dataclass(frozen=True, slots=True)
class ContactMatch:
    """A contact whose number is ours for certain: re-checked with libphonenumber, not the CRM's guess."""

    ref: RecordRef
    name: str | None = field(default=None, repr=False)
    matched_on: str = ""
    """Which of their fields held the number."""
    is_stamped: bool = False
    """Our own phone field is already set."""


@dataclass(frozen=True, slots=True)
class ContactCard:
    """What tells one contact from another, for a person who must choose: asked when it is looked at, and kept nowhere.
    What a CRM does not say is empty."""

    ref: RecordRef
    name: str = field(default="", repr=False)
    phones: tuple[str, ...] = field(default=(), repr=False)
    """As they are written there."""
    email: str = field(default="", repr=False)
    company: str = field(default="", repr=False)
    owner: str = field(default="", repr=False)
    """The colleague who looks after them."""
    created_at: datetime | None = None
    active_at: datetime | None = None
    """When something was last done with them."""


@dataclass(frozen=True, slots=True)
class ContactDraft:
    phone: str | None = field(repr=False)
    """E.164 with plus sign; None for a person known by user id only."""
    person_id: str
    """Our ULID: the key where there is no phone."""
    first_name: str | None = field(default=None, repr=False)
    last_name: str | None = field(default=None, repr=False)
    last_media_url: str | None = None
    last_media_at: datetime | None = None
    media_count: int | None = None
    consent: str | None = None
    field_map: FieldMap = PLAIN


@dataclass(frozen=True, slots=True)
class Wanted:
    """A contact that shall hold what the draft says: the known one, or one found or made by our keys."""

    draft: ContactDraft
    known: RecordRef | None = None


@dataclass(frozen=True, slots=True)
class MediaLink:
    """One file as a CRM shall know it: `crm/recommendation.md` section 3."""

    media_id: str
    """Our ULID, the key of the upsert."""
    title: str = field(repr=False)
    url: str
    kind: str
    mime: str
    size_bytes: int
    sha256: str
    direction: Literal["in", "out"]
    received_at: datetime
    duration_s: float | None = None
    chat: str | None = field(default=None, repr=False)
    tags: tuple[str, ...] = ()
    transcript: str | None = field(default=None, repr=False)
    consent: str = "unknown"
    caption: str | None = field(default=None, repr=False)
    contact: RecordRef | None = None
    known_ref: RecordRef | None = None
    """The record we wrote before, if any."""
    person: ContactDraft | None = field(default=None, repr=False)
    """Who it is from, for a CRM where no contact can be asked for: there the customer's facts travel with the file."""
    field_map: FieldMap = PLAIN
    """Where each field goes. It travels with the file, so that what is written is what was hashed."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    media_id: str
    ref: RecordRef | None = None
    created: bool = False
    error: CrmError | None = None


@dataclass(frozen=True, slots=True)
class RecordState:
    """What the CRM holds for a file of ours, read back for reconciliation."""

    media_id: str
    ref: RecordRef | None
    """None: it is not there."""
    values: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    """Our field names (`title`, `url`, `sha256`, …) to what is stored now."""
    copies: int = 1
    """More than one: somebody or something doubled it."""


@dataclass(frozen=True, slots=True)
class EraseResult:
    outcome: Literal["done", "partial", "impossible"]
    left: str = ""


@dataclass(frozen=True, slots=True)
class RelatedRef:
    ref: RecordRef
    title: str = field(default="", repr=False)
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class UploadTerms:
    """What a CRM takes where somebody wants the bytes themselves in it."""

    most_bytes: int
    hangs_on: tuple[str, ...]
    """Types of records that can hold a file, the best first: the file's own (`media`, `note`), or what it is tied to."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes of a file that go into the CRM, and the record they shall hang on."""

    media_id: str
    file_name: str
    """Made of the file's kind and id, so that it is unique and tells nothing: `voice-01KXVN….mp3`."""
    mime: str
    size_bytes: int
    """Of `content`, exactly."""
    content: Callable[[], AsyncIterator[bytes]] = field(repr=False)
    """From the beginning, each time it is called."""
    holder: RecordRef
    """Of a type that `UploadTerms.hangs_on` names."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Where the bytes are."""

    media_id: str
    file_name: str
    holder: RecordRef
    file_id: str = ""
    """The CRM's id of them. Empty: they may be there, but no answer said so."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What writing many files takes, in calls: for an estimate, as measured by `python -m bench backfill`."""

    calls_per_minute: float
    per_batch: float
    """Of a hundred files."""
    per_file: float = 0.0
    per_person: float = 0.0
    per_stranger: float = 0.0
    """For each person whose contact is not known yet, besides."""


class Connector(Protocol):
    """One account at one CRM. Every method raises CrmError and nothing else for what the CRM answers.
    Safe to call again after any failure, including a time-out whose outcome is unknown."""

    kind: ClassVar[str]
    name: ClassVar[str]
    secret_names: ClassVar[tuple[str, ...]]
    uploads: ClassVar[UploadTerms | None]
    """None: only the link goes into this CRM."""

    def __init__(self, credentials: CrmCredentials, http: httpx.AsyncClient) -> None: ...

    @classmethod
    def effort(cls, options: Mapping[str, Any]) -> Effort:
        """At an account of which this is remembered; `{}` before anything is."""
        ...

    async def check(self) -> AccountInfo: ...

    async def capabilities(self) -> Capabilities: ...

    async def ensure_schema(self, *, dry_run: bool = False, told: Told = untold) -> SchemaReport:
        """Create what is missing, report conflicts, never change what a person made. `told` hears of what is made by
        the names of the report, as it is made."""
        ...

    async def fields(self, place: Place) -> Sequence[CrmField]:
        """What there is to write into, ours and theirs. Raises CrmError UNSUPPORTED where files are notes, which have
        no fields, and NOT_FOUND before our object is made."""
        ...

    async def find_contacts(self, phone: str) -> Sequence[ContactMatch]:
        """Verified matches only: none, one or many. `phone` is E.164."""
        ...

    async def describe_contacts(self, contacts: Sequence[RecordRef]) -> Sequence[ContactCard]:
        """Those that are there, in any order; of one that was merged, the contact it lives on as, or nothing."""
        ...

    async def upsert_contact(self, draft: ContactDraft, *, known: RecordRef | None = None) -> RecordRef:
        """Fill gaps and roll-ups by our key; never overwrite a curated value. Stamps our phone field."""
        ...

    async def find_contacts_of(
        self, phones: Sequence[str]
    ) -> Mapping[str, Sequence[ContactMatch] | CrmError]:
        """`find_contacts` for many, in as few calls as the CRM allows. A number that is missing in the answer was
        not asked for, because of what another one says. At most 100. Never raises."""
        ...

    async def upsert_contacts(self, wanted: Sequence[Wanted]) -> Mapping[str, RecordRef | CrmError]:
        """`upsert_contact` for many, by `person_id`: one bad contact never spoils the others, and whoever is missing
        was not tried. Nobody twice, and no contact for two of them; at most 100. Never raises."""
        ...

    async def upsert_media(self, items: Sequence[MediaLink]) -> Sequence[WriteResult]:
        """One result per item, in order; one bad item never spoils the others. At most 100 items."""
        ...

    async def read_media(self, items: Sequence[MediaLink]) -> Sequence[RecordState]:
        """What the CRM holds now for these files (known_ref set where we know it)."""
        ...

    async def link(self, media: RecordRef, to: Sequence[RecordRef]) -> None: ...

    async def unlink(self, media: RecordRef, from_: RecordRef) -> None:
        """The file no longer leads to this deal, ticket… Safe to repeat. Raises CrmError UNSUPPORTED for what the CRM
        never takes away again."""
        ...

    async def find_related(self, contact: RecordRef) -> Sequence[RelatedRef]: ...

    async def erase_media(self, media: RecordRef, *, also: Sequence[str] = ()) -> EraseResult:
        """`also`: fields of their own making that may hold values of ours; only such that exist."""
        ...

    async def upload(self, upload: Upload) -> Uploaded:
        """The bytes into the CRM, private to its users and hung on the holder. Looks first, by the file's name, so that
        a repetition never doubles them. Raises CrmError UNSUPPORTED where `uploads` is None."""
        ...

    async def remove_upload(self, uploaded: Uploaded) -> EraseResult:
        """The bytes leave the CRM, as far as it lets go of them; what is not there is done. Without `file_id` they are
        looked for by name. Raises CrmError UNSUPPORTED where `uploads` is None."""
        ...
