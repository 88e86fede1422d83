"""One Zendesk account as a Connector: each method says which file does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

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
from acervo.crms.mapping import Place
from acervo.crms.pace import Pace
from acervo.crms.zendesk import access, asked, contacts, many_contacts, media, notes, schema, tickets
from acervo.crms.zendesk.api import OUR_SHARE, SMALLEST_PLAN_PER_MINUTE, ZENDESK_API_VERSION, Api
from acervo.crms.zendesk.records import Records
from acervo.crms.zendesk.uploads import TERMS, put, remove

_RELATES_TO = ("contact", "ticket")


class Zendesk:
    """Built from an OAuth client (`client_id`, and its secret as `secret`) or an old API token (`email`, and the token
    as `secret`), and what `ensure_schema` reported as options: `model`, `per_minute`; `subdomain` names the account,
    `language` is that of the labels it makes."""

    kind: ClassVar[str] = "zendesk"
    name: ClassVar[str] = "Zendesk"
    asks: ClassVar[tuple[Asked, ...]] = asked.ASKS
    access = staticmethod(asked.access)
    refuse = staticmethod(asked.refuse)
    secret_names: ClassVar[tuple[str, ...]] = ("secret",)
    uploads: ClassVar[UploadTerms | None] = TERMS

    def __init__(
        self, credentials: CrmCredentials, http: httpx.AsyncClient, *, pace: Pace | None = None
    ) -> None:
        """`pace`: for tests; otherwise the one all connectors of this connection share."""
        options = credentials.options
        self._api = Api(credentials, http, pace)
        self._records = Records(self._api.base_url)
        self._language = str(options.get("language") or "en")
        self._subdomain = str(options.get("subdomain") or urlsplit(self._api.base_url).netloc.split(".")[0])
        self._has_api_token = access.is_api_token(credentials.secrets)
        self._model: str | None = options.get("model")

    @property
    def usage(self) -> Mapping[str, int]:
        """Our allowance as Zendesk last told it: `minute_max`, `minute_left`."""
        return self._api.http.usage

    @classmethod
    def effort(cls, options: Mapping[str, Any]) -> Effort:
        per_minute = OUR_SHARE * float(options.get("per_minute") or SMALLEST_PLAN_PER_MINUTE)
        if options.get("model") == "activity":  # files of a customer that come together share a comment
            return Effort(per_minute, per_batch=8, per_person=4, per_stranger=1)
        return Effort(per_minute, per_batch=12, per_stranger=1)

    async def check(self) -> AccountInfo:
        """Which account this is, so that nobody writes into the wrong one."""
        user = await self._api.me()
        ends_on = access.API_TOKENS_END_ON if self._has_api_token else None
        return AccountInfo(
            account_id=self._subdomain,
            name=f"Zendesk {self._subdomain}",
            url=f"{self._api.base_url}/agent",
            api_version=ZENDESK_API_VERSION,
            facts={"role": user.get("role"), "access_ends_on": ends_on},
        )

    async def capabilities(self) -> Capabilities:
        return Capabilities(
            await self._known_model(),  # type: ignore[arg-type]  # one of the two
            relates_to=_RELATES_TO,
            max_text=media.MAX_TEXT,
        )

    async def ensure_schema(self, *, dry_run: bool = False, told: Told = untold) -> SchemaReport:
        report = await schema.ensure(self._api, language=self._language, dry_run=dry_run, told=told)
        if not dry_run:
            self._model = report.options["model"]
        return report

    async def fields(self, place: Place) -> Sequence[CrmField]:
        if place == "media" and await self._known_model() == "activity":
            raise CrmError(CrmErrorKind.UNSUPPORTED, "a note in Zendesk has no fields")
        return await schema.fields(self._api, place)

    async def find_contacts(self, phone: str) -> Sequence[ContactMatch]:
        return await contacts.find(self._api, self._records, phone)

    async def describe_contacts(self, contacts: Sequence[RecordRef]) -> Sequence[ContactCard]:
        return await _describe(self._api, self._records, [ref.record_id for ref in contacts])

    async def upsert_contact(self, draft: ContactDraft, *, known: RecordRef | None = None) -> RecordRef:
        return await contacts.upsert(self._api, self._records, draft, known)

    async def find_contacts_of(
        self, phones: Sequence[str]
    ) -> Mapping[str, Sequence[ContactMatch] | CrmError]:
        return await many_contacts.find(self._api, self._records, phones)

    async def upsert_contacts(self, wanted: Sequence[Wanted]) -> Mapping[str, RecordRef | CrmError]:
        return await people.upsert(many_contacts.Many(self._api, self._records), wanted)

    async def upsert_media(self, items: Sequence[MediaLink]) -> Sequence[WriteResult]:
        """Never raises for what Zendesk answers: what stopped everything is every item's error."""
        try:
            is_object = await self._known_model() == "object"
        except CrmError as error:
            return [WriteResult(item.media_id, error=error) for item in items]
        if is_object:
            return await media.upsert(self._api, self._records, items)
        return await notes.upsert(self._api, self._records, self._language, items)

    async def read_media(self, items: Sequence[MediaLink]) -> Sequence[RecordState]:
        if await self._known_model() == "object":
            return await media.read(self._api, self._records, items)
        return await notes.read(self._api, self._records, items)

    async def link(self, media: RecordRef, to: Sequence[RecordRef]) -> None:
        """Agents see the file in the thread of the ticket; a record also names the ticket tied last."""
        for ref in to:
            if ref.object_type != "ticket":
                raise CrmError(CrmErrorKind.UNSUPPORTED, f"Zendesk has no place for a {ref.object_type} here")
        for ref in to:
            is_record = media.object_type == "media"
            if is_record:
                media_id, values = await _tie(self._api, media.record_id, ref.record_id)
            else:
                media_id = media.record_id.partition("/")[2]
                values = await notes.values_of(self._api, media)
            is_told = await tickets.point_to(self._api, ref.record_id, values, media_id, self._language)
            if not is_told and not is_record:
                raise CrmError(CrmErrorKind.UNSUPPORTED, "a closed ticket in Zendesk takes no notes")

    async def unlink(self, media: RecordRef, from_: RecordRef) -> None:
        """The record names the ticket no longer; what was said in its thread is blacked out where we may."""
        if from_.object_type != "ticket":
            raise CrmError(CrmErrorKind.UNSUPPORTED, f"Zendesk has no place for a {from_.object_type} here")
        if media.object_type == "media":
            media_id = await _untie(self._api, media.record_id, from_.record_id)
        else:
            media_id = media.record_id.partition("/")[2]
        await tickets.take_back(self._api, from_.record_id, media_id)

    async def find_related(self, contact: RecordRef) -> Sequence[RelatedRef]:
        return await tickets.related(self._api, self._records, contact.record_id)

    async def erase_media(self, media: RecordRef, *, also: Sequence[str] = ()) -> EraseResult:
        if media.object_type == "note":
            return await notes.erase(self._api, media)
        return await _erase_record(self._api, media.record_id, also)

    async def upload(self, upload: Upload) -> Uploaded:
        return await put(self._api, self._language, upload)

    async def remove_upload(self, uploaded: Uploaded) -> EraseResult:
        return await remove(self._api, uploaded)

    async def _known_model(self) -> str:
        if self._model is None:
            self._model = "object" if await schema.has_room(self._api) else "activity"
        return self._model


_erase_record, _tie, _untie, _describe = media.erase, media.tie, media.untie, contacts.describe
"""`media` names an argument in the methods of the contract."""
