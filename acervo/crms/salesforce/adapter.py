"""One Salesforce account as a Connector: each method says which file does the work."""

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
from acervo.crms.mapping import Place as Where
from acervo.crms.pace import Pace
from acervo.crms.salesforce import asked, contacts, many_contacts, media, related, schema
from acervo.crms.salesforce.api import API_VERSION, LANES, Api
from acervo.crms.salesforce.places import CUSTOM_OBJECT, TASKS, Place
from acervo.crms.salesforce.records import Records, record_id
from acervo.crms.salesforce.uploads import UPLOADS, remove, send

_RELATES_TO = ("contact", "deal", "ticket", "campaign")


class Salesforce:
    """Built from an External Client App: `client_id` and `client_secret`, which may be a private key (then
    `options["username"]` is needed too), and the My Domain address as `api_base`. `ensure_schema` reports `model`
    and `org_id` as options; `language` is that of the labels it makes, `trusted_url` our own address."""

    kind: ClassVar[str] = "salesforce"
    name: ClassVar[str] = "Salesforce"
    asks: ClassVar[tuple[Asked, ...]] = asked.ASKS
    access = staticmethod(asked.access)
    secret_names: ClassVar[tuple[str, ...]] = ("client_id", "client_secret")
    uploads: ClassVar[UploadTerms | None] = UPLOADS

    def __init__(
        self, credentials: CrmCredentials, http: httpx.AsyncClient, *, pace: Pace | None = None
    ) -> None:
        """`pace`: for tests; otherwise the one all connectors of this connection share."""
        options = credentials.options
        self._api = Api(credentials, http, pace)
        self._records = Records(credentials.api_base or "")
        self._language = str(options.get("language") or "en")
        self._trusted_url: str | None = options.get("trusted_url")
        self._place: Place | None = {"object": CUSTOM_OBJECT, "activity": TASKS}.get(
            str(options.get("model"))
        )

    @property
    def usage(self) -> Mapping[str, int]:
        """Our allowance as Salesforce last told it: `daily_used` of `daily_max`."""
        return self._api.http.usage

    @classmethod
    def effort(cls, options: Mapping[str, Any]) -> Effort:
        per_minute = 60 * LANES[0][1] / LANES[0][2]
        return Effort(per_minute, per_batch=5, per_stranger=1 / many_contacts.SEARCHED)

    async def check(self) -> AccountInfo:
        """Which organisation this is, so that nobody writes into the wrong one."""
        organisation = await schema.account(self._api)
        return AccountInfo(
            account_id=str(organisation["Id"]),
            name=str(organisation.get("Name") or "Salesforce"),
            url=self._records.home,
            api_version=API_VERSION,
            facts={
                "edition": organisation.get("OrganizationType"),
                "is_sandbox": organisation.get("IsSandbox"),
                "instance": organisation.get("InstanceName"),
            },
        )

    async def capabilities(self) -> Capabilities:
        place = await self._where()
        return Capabilities("object" if place is CUSTOM_OBJECT else "activity", relates_to=_RELATES_TO)

    async def ensure_schema(self, *, dry_run: bool = False, told: Told = untold) -> SchemaReport:
        report = await schema.ensure(
            self._api, language=self._language, trusted_url=self._trusted_url, dry_run=dry_run, told=told
        )
        self._place = CUSTOM_OBJECT if report.options["model"] == "object" else TASKS
        return report

    async def fields(self, place: Where) -> Sequence[CrmField]:
        """A task has fields too: they are the account's, and every task has them."""
        return await schema.fields(self._api, "Contact" if place == "contact" else (await self._where()))

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
        """Never raises for what Salesforce answers: what stopped everything is every item's error."""
        try:
            place = await self._where()
        except CrmError as error:
            return [WriteResult(item.media_id, error=error) for item in items]
        return await media.upsert(self._api, self._records, place, items)

    async def read_media(self, items: Sequence[MediaLink]) -> Sequence[RecordState]:
        return await media.read(self._api, self._records, await self._where(), items)

    async def link(self, media: RecordRef, to: Sequence[RecordRef]) -> None:
        if unknown := [ref.object_type for ref in to if ref.object_type not in _RELATES_TO]:
            raise CrmError(CrmErrorKind.UNSUPPORTED, f"Salesforce has no place for a {unknown[0]} here")
        wanted = {ref.object_type: record_id(ref) for ref in to}
        if wanted:
            await _tie(self._api, self._place_of(media), record_id(media), wanted)

    async def unlink(self, media: RecordRef, from_: RecordRef) -> None:
        if from_.object_type not in _RELATES_TO:
            raise CrmError(
                CrmErrorKind.UNSUPPORTED, f"Salesforce has no place for a {from_.object_type} here"
            )
        await _untie(self._api, self._place_of(media), record_id(media), from_.object_type, record_id(from_))

    async def find_related(self, contact: RecordRef) -> Sequence[RelatedRef]:
        return await related.find(self._api, self._records, contact)

    async def erase_media(self, media: RecordRef, *, also: Sequence[str] = ()) -> EraseResult:
        return await _erase(self._api, self._place_of(media), record_id(media), also)

    async def upload(self, upload: Upload) -> Uploaded:
        return await send(self._api, self._place_of(upload.holder), upload)

    async def remove_upload(self, uploaded: Uploaded) -> EraseResult:
        return await remove(self._api, uploaded)

    def _place_of(self, media: RecordRef) -> Place:
        """By what the record is: an account may have grown out of tasks since it was written."""
        return TASKS if media.object_type == TASKS.object_type else CUSTOM_OBJECT

    async def _where(self) -> Place:
        if self._place is None:
            has_objects = schema.has_custom_objects(await schema.account(self._api))
            self._place = CUSTOM_OBJECT if has_objects else TASKS
        return self._place


_tie, _untie, _erase, _describe = media.tie, media.untie, media.erase, contacts.describe
"""`media` and `contacts` name arguments in methods of the contract."""
