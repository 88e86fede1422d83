"""One HubSpot account as a Connector: each method says which file does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import httpx

from acervo.crms import people
from acervo.crms.asked import Asked
from acervo.crms.contract import (
    AccountInfo,
    Capabilities,
    ContactCard,
    ContactDraft,
    ContactMatch,
    CrmCredentials,
    CrmError,
    CrmErrorKind,
    CrmField,
    Effort,
    EraseResult,
    MediaLink,
    RecordRef,
    RecordState,
    RelatedRef,
    SchemaReport,
    Told,
    Upload,
    Uploaded,
    UploadTerms,
    Wanted,
    WriteResult,
    untold,
)
from acervo.crms.hubspot import asked, contacts, many_contacts, media, notes, related, schema
from acervo.crms.hubspot.api import HUBSPOT_API_VERSION, LANES, Api
from acervo.crms.hubspot.records import Records
from acervo.crms.hubspot.uploads import TERMS, Uploads
from acervo.crms.mapping import Place
from acervo.crms.pace import Pace

_PATHS = {"contact": "contacts", "deal": "deals", "ticket": "tickets", "note": "notes"}
_UNDECIDED = "undecided"


class HubSpot:
    """Built from a static token (service key or project app) and what `ensure_schema` reported as options:
    `model`, `media_type_id`, `portal_id`, `ui_domain`; `language` is that of the labels it makes."""

    kind: ClassVar[str] = "hubspot"
    name: ClassVar[str] = "HubSpot"
    asks: ClassVar[tuple[Asked, ...]] = asked.ASKS
    access = staticmethod(asked.access)
    secret_names: ClassVar[tuple[str, ...]] = ("token",)
    uploads: ClassVar[UploadTerms | None] = TERMS

    def __init__(
        self, credentials: CrmCredentials, http: httpx.AsyncClient, *, pace: Pace | None = None
    ) -> None:
        """`pace`: for tests; otherwise the one all connectors of this connection share."""
        options = credentials.options
        self._api = Api(credentials, http, pace)
        self._language = str(options.get("language") or "en")
        self._uploads = Uploads(self._api, self._language)
        self._portal_id: str | None = options.get("portal_id")
        self._ui_domain: str | None = options.get("ui_domain")
        self._scheme = "http" if (credentials.api_base or "").startswith("http://") else "https"
        self._media_type: str | None = _UNDECIDED
        if options.get("model") == "activity":
            self._media_type = None
        elif options.get("media_type_id"):
            self._media_type = str(options["media_type_id"])

    @property
    def usage(self) -> Mapping[str, int]:
        """Our allowance as HubSpot last told it: `burst_left`, `daily_left`, …"""
        return self._api.http.usage

    @classmethod
    def effort(cls, options: Mapping[str, Any]) -> Effort:
        per_minute = 60 * LANES[0][1] / LANES[0][2]
        per_stranger = 1 / many_contacts.SEARCHED
        if options.get("model") == "activity":  # each note is a call, and a contact's notes are listed before
            return Effort(per_minute, per_batch=6, per_file=1, per_person=3, per_stranger=per_stranger)
        return Effort(per_minute, per_batch=7, per_stranger=per_stranger)

    async def check(self) -> AccountInfo:
        """Which portal this is, so that nobody writes into the wrong one."""
        account = await self._api.account()
        portal_id = str(account["portalId"])
        domain = account.get("uiDomain")
        return AccountInfo(
            account_id=portal_id,
            name=f"HubSpot {portal_id}",
            url=f"{self._scheme}://{domain}" if domain else None,
            api_version=HUBSPOT_API_VERSION,
            facts={
                "account_type": account.get("accountType"),
                "data_hosting": account.get("dataHostingLocation"),
                "time_zone": account.get("timeZone"),
            },
        )

    async def capabilities(self) -> Capabilities:
        if self._media_type == _UNDECIDED:
            try:
                await schema.find_media_type(self._api)
            except CrmError as error:
                if error.kind is not CrmErrorKind.FORBIDDEN:
                    raise
                return Capabilities("activity", relates_to=("contact", "deal", "ticket"))
        model = "activity" if self._media_type is None else "object"
        return Capabilities(model, relates_to=("contact", "deal", "ticket"))  # type: ignore[arg-type]

    async def ensure_schema(self, *, dry_run: bool = False, told: Told = untold) -> SchemaReport:
        report = await schema.ensure(self._api, language=self._language, dry_run=dry_run, told=told)
        self._portal_id = report.options["portal_id"]
        self._ui_domain = report.options["ui_domain"]
        if not dry_run:
            self._media_type = report.options["media_type_id"]
        return report

    async def fields(self, place: Place) -> Sequence[CrmField]:
        if place == "contact":
            return await schema.fields(self._api, "contacts")
        type_id = await self._media_type_id()
        if type_id is None:
            raise CrmError(CrmErrorKind.UNSUPPORTED, "a note in HubSpot has no fields of yours")
        return await schema.fields(self._api, type_id)

    async def find_contacts(self, phone: str) -> Sequence[ContactMatch]:
        return await contacts.find(self._api, self._records(), phone)

    async def describe_contacts(self, contacts: Sequence[RecordRef]) -> Sequence[ContactCard]:
        return await _describe(self._api, self._records(), [ref.record_id for ref in contacts])

    async def upsert_contact(self, draft: ContactDraft, *, known: RecordRef | None = None) -> RecordRef:
        return await contacts.upsert(self._api, self._records(), draft, known)

    async def find_contacts_of(
        self, phones: Sequence[str]
    ) -> Mapping[str, Sequence[ContactMatch] | CrmError]:
        return await many_contacts.find(self._api, self._records(), phones)

    async def upsert_contacts(self, wanted: Sequence[Wanted]) -> Mapping[str, RecordRef | CrmError]:
        return await people.upsert(many_contacts.Many(self._api, self._records()), wanted)

    async def upsert_media(self, items: Sequence[MediaLink]) -> Sequence[WriteResult]:
        """Never raises for what HubSpot answers: what stopped everything is every item's error."""
        try:
            type_id = await self._media_type_id()
        except CrmError as error:
            return [WriteResult(item.media_id, error=error) for item in items]
        if type_id is None:
            return await notes.upsert(self._api, self._records(), self._language, items)
        return await media.upsert(self._api, self._records(), type_id, items)

    async def read_media(self, items: Sequence[MediaLink]) -> Sequence[RecordState]:
        type_id = await self._media_type_id()
        if type_id is None:
            return await notes.read(self._api, self._records(), items)
        return await media.read(self._api, self._records(), type_id, items)

    async def link(self, media: RecordRef, to: Sequence[RecordRef]) -> None:
        from_type = await self._path(media)
        for ref in to:
            await self._api.associate(from_type, media.record_id, await self._path(ref), ref.record_id)

    async def unlink(self, media: RecordRef, from_: RecordRef) -> None:
        try:
            await self._api.dissociate(
                await self._path(media), media.record_id, await self._path(from_), from_.record_id
            )
        except CrmError as error:
            if error.kind is not CrmErrorKind.NOT_FOUND:
                raise

    async def find_related(self, contact: RecordRef) -> Sequence[RelatedRef]:
        return await related.find(self._api, self._records(), contact.record_id)

    async def erase_media(self, media: RecordRef, *, also: Sequence[str] = ()) -> EraseResult:
        if media.object_type == "note":
            return await notes.erase(self._api, media.record_id)
        return await _erase_record(self._api, await self._path(media), media.record_id, also)

    async def upload(self, upload: Upload) -> Uploaded:
        return await self._uploads.send(await self._path(upload.holder), upload)

    async def remove_upload(self, uploaded: Uploaded) -> EraseResult:
        return await self._uploads.remove(await self._path(uploaded.holder), uploaded)

    async def _path(self, ref: RecordRef) -> str:
        if path := _PATHS.get(ref.object_type):
            return path
        if ref.object_type == "media" and (type_id := await self._media_type_id()):
            return type_id
        raise CrmError(CrmErrorKind.UNSUPPORTED, f"HubSpot has no place for a {ref.object_type} here")

    async def _media_type_id(self) -> str | None:
        """The id of our object in this account; None where notes take its place."""
        if self._media_type == _UNDECIDED:
            try:
                found = await schema.find_media_type(self._api)
            except CrmError as error:
                if error.kind is not CrmErrorKind.FORBIDDEN:
                    raise
                self._media_type = None
            else:
                if found is None:
                    raise CrmError(
                        CrmErrorKind.NOT_FOUND, "the WhatsApp fields are not set up in HubSpot yet"
                    )
                self._media_type = found
        return self._media_type

    def _records(self) -> Records:
        media_type = None if self._media_type == _UNDECIDED else self._media_type
        return Records(self._portal_id, self._ui_domain, media_type, self._scheme)


_erase_record, _describe = media.erase, contacts.describe
"""`media` and `contacts` name arguments in methods of the contract."""
