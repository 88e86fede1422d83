"""One Zoho account as a Connector: each method says which file does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

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
from acervo.crms.zoho import asked, contacts, many_contacts, media, notes, related, schema, uploads
from acervo.crms.zoho.api import API_VERSION, LANES, Api
from acervo.crms.zoho.centres import centre_of
from acervo.crms.zoho.names import CONTACTS, LOOKUPS, Names
from acervo.crms.zoho.uploads import TERMS

Model = Literal["object", "activity"]


class Zoho:
    """Built from a refresh token and the client it belongs to, the option `data_centre`, and what `ensure_schema`
    reported as options: `model`, `module`, `fields`, `choices`, `edition`…; `language` is that of what it writes
    for people."""

    kind: ClassVar[str] = "zoho"
    name: ClassVar[str] = "Zoho CRM"
    asks: ClassVar[tuple[Asked, ...]] = asked.ASKS
    access = staticmethod(asked.access)
    secret_names: ClassVar[tuple[str, ...]] = ("client_id", "client_secret", "refresh_token")
    uploads: ClassVar[UploadTerms | None] = TERMS

    def __init__(
        self, credentials: CrmCredentials, http: httpx.AsyncClient, *, pace: Pace | None = None
    ) -> None:
        """`pace`: for tests; otherwise the one all connectors of this connection share."""
        options = credentials.options
        self._api = Api(credentials, http, pace)
        self._language = str(options.get("language") or "en")
        self._pages = centre_of(credentials).pages
        self._names = Names.remembered(options, self._pages)
        self._model: Model | None = options.get("model")
        self._moved: dict[str, str] = {}
        """Contacts merged away, as met by this connector: files written after them go to the survivor."""

    @property
    def usage(self) -> Mapping[str, int]:
        """`credits_left`, once Zoho tells it: when half of a day's credits are used."""
        return self._api.http.usage

    @classmethod
    def effort(cls, options: Mapping[str, Any]) -> Effort:
        per_minute = 60 * LANES[0][1] / LANES[0][2]
        if options.get("model") == "activity":  # a contact's notes are listed before new ones are made
            return Effort(per_minute, per_batch=6, per_person=3, per_stranger=3)
        return Effort(per_minute, per_batch=7, per_stranger=3)

    async def check(self) -> AccountInfo:
        """Which organisation this is, so that nobody writes into the wrong one."""
        org = await self._api.org()
        org_id = str(org["zgid"])
        return AccountInfo(
            account_id=org_id,
            name=str(org.get("company_name") or f"Zoho {org_id}"),
            url=f"{self._pages}/crm/org{org_id}",
            api_version=API_VERSION,
            facts={
                "edition": schema.edition_of(org),
                "country": org.get("country_code"),
                "time_zone": org.get("time_zone"),
            },
        )

    async def capabilities(self) -> Capabilities:
        model = self._model or await self._likely_model()
        if model == "object":
            return Capabilities(
                "object", relates_to=tuple(kind for kind in LOOKUPS if kind in self._names.media)
            )
        return Capabilities("activity", relates_to=LOOKUPS)

    async def ensure_schema(self, *, dry_run: bool = False, told: Told = untold) -> SchemaReport:
        report = await schema.ensure(self._api, language=self._language, dry_run=dry_run, told=told)
        if not dry_run:
            self._model = report.options["model"]
            self._names = Names.remembered(report.options, self._pages)
        return report

    async def fields(self, place: Place) -> Sequence[CrmField]:
        if place == "contact":
            return await schema.fields(self._api, CONTACTS, self._names.contact)
        if await self._decided() == "activity":
            raise CrmError(CrmErrorKind.UNSUPPORTED, "a note in Zoho has no fields")
        return await schema.fields(self._api, self._names.module, self._names.media)

    async def find_contacts(self, phone: str) -> Sequence[ContactMatch]:
        return await contacts.find(self._api, self._names, phone)

    async def describe_contacts(self, contacts: Sequence[RecordRef]) -> Sequence[ContactCard]:
        return await _describe(self._api, self._names, [ref.record_id for ref in contacts])

    async def upsert_contact(self, draft: ContactDraft, *, known: RecordRef | None = None) -> RecordRef:
        return await contacts.upsert(self._api, self._names, draft, known, self._moved)

    async def find_contacts_of(
        self, phones: Sequence[str]
    ) -> Mapping[str, Sequence[ContactMatch] | CrmError]:
        return await many_contacts.find(self._api, self._names, phones)

    async def upsert_contacts(self, wanted: Sequence[Wanted]) -> Mapping[str, RecordRef | CrmError]:
        return await people.upsert(many_contacts.Many(self._api, self._names, self._moved), wanted)

    async def upsert_media(self, items: Sequence[MediaLink]) -> Sequence[WriteResult]:
        """Never raises for what Zoho answers: what stopped everything is every item's error."""
        try:
            if await self._decided() == "activity":
                return await notes.upsert(self._api, self._names, self._language, items, self._moved)
            return await media.upsert(self._api, self._names, items, self._moved)
        except CrmError as error:
            return [WriteResult(item.media_id, error=error) for item in items]

    async def read_media(self, items: Sequence[MediaLink]) -> Sequence[RecordState]:
        if await self._decided() == "activity":
            return await notes.read(self._api, self._names, items)
        return await media.read(self._api, self._names, items)

    async def link(self, media: RecordRef, to: Sequence[RecordRef]) -> None:
        if media.object_type == "note":
            await notes.link(self._api, self._names, media.record_id, to)
        else:
            await _link_record(self._api, self._names, _ours(media), to)

    async def unlink(self, media: RecordRef, from_: RecordRef) -> None:
        if media.object_type == "note":
            await notes.unlink(self._api, self._names, media.record_id, from_)
        else:
            await _unlink_record(self._api, self._names, _ours(media), from_)

    async def find_related(self, contact: RecordRef) -> Sequence[RelatedRef]:
        return await related.find(self._api, self._names, contact.record_id)

    async def erase_media(self, media: RecordRef, *, also: Sequence[str] = ()) -> EraseResult:
        if media.object_type == "note":
            return await notes.erase(self._api, self._names, media.record_id)
        return await _erase_record(self._api, self._names, _ours(media), also)

    async def upload(self, upload: Upload) -> Uploaded:
        return await uploads.add(self._api, self._names, upload)

    async def remove_upload(self, uploaded: Uploaded) -> EraseResult:
        return await uploads.remove(self._api, self._names, uploaded)

    async def _likely_model(self) -> Model:
        """Before the fields are set up: by the module, if somebody made it, or else by the edition."""
        if await schema.find_module(self._api):
            return "object"
        edition = schema.edition_of(await self._api.org())
        return "activity" if edition in schema.EDITIONS_WITHOUT_MODULES else "object"

    async def _decided(self) -> Model:
        if self._model is None:
            found = await schema.find_module(self._api)
            if found is None and await self._likely_model() == "object":
                raise CrmError(CrmErrorKind.NOT_FOUND, "the WhatsApp fields are not set up in Zoho yet")
            self._model = "object" if found else "activity"
            if found:
                self._names = replace(self._names, media_tab=found.get("module_name"))
        return self._model


def _ours(ref: RecordRef) -> str:
    if ref.object_type != "media":
        raise CrmError(CrmErrorKind.UNSUPPORTED, f"a {ref.object_type} is not a file of ours")
    return ref.record_id


_link_record, _unlink_record, _erase_record = media.link, media.unlink, media.erase
_describe = contacts.describe
"""`media` names an argument in the methods of the contract."""
