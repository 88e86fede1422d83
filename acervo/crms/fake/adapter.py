"""The contract, kept in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import httpx

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
    WriteResult,
    untold,
)
from acervo.crms.fake.account import ACCOUNTS, FakeAccount, FakeRecord, FakeUpload
from acervo.crms.fields import CONTACT_FIELDS, KINDS, MEDIA_FIELDS, canonical, placed, placed_roll_ups
from acervo.crms.mapping import Place
from acervo.crms.pace import Pace, RollingLimit
from acervo.crms.people import OneByOne
from acervo.crms.phones import is_same_line

_TYPED = ("phone", "mobile")
_OURS = {
    "contact": {one.name: one.name for one in CONTACT_FIELDS},
    "media": {one.name: one.name for one in MEDIA_FIELDS},
}


class FakeCrm(OneByOne):
    """Its account is found by token and made when there is none yet."""

    kind: ClassVar[str] = "fake"
    name: ClassVar[str] = "Simulated CRM"
    secret_names: ClassVar[tuple[str, ...]] = ("token",)
    uploads: ClassVar[UploadTerms | None] = UploadTerms(most_bytes=1_000_000, hangs_on=("media",))

    def __init__(
        self, credentials: CrmCredentials, http: httpx.AsyncClient | None = None, *, pace: Pace | None = None
    ) -> None:
        token = credentials.secrets["token"]
        self.account = ACCOUNTS.get(token) or FakeAccount(token)
        self._pace = pace or Pace({"burst": RollingLimit(1_000_000, 10)})

    @classmethod
    def effort(cls, options: Mapping[str, Any]) -> Effort:
        return Effort(calls_per_minute=6_000_000, per_batch=0, per_file=1, per_person=1, per_stranger=1)

    async def check(self) -> AccountInfo:
        await self._knock()
        return AccountInfo(account_id="fake", name=self.name, api_version="1")

    async def capabilities(self) -> Capabilities:
        return Capabilities(self.account.model, relates_to=("contact", "deal"))

    async def ensure_schema(self, *, dry_run: bool = False, told: Told = untold) -> SchemaReport:
        await self._knock()
        wanted = [f"contact.{field.name}" for field in CONTACT_FIELDS] + [
            f"media.{field.name}" for field in MEDIA_FIELDS
        ]
        created = tuple(name for name in wanted if name not in self.account.fields)
        existing = tuple(name for name in wanted if name in self.account.fields)
        for name in () if dry_run else created:
            self.account.fields.add(name)
            await told(name)
        return SchemaReport(created=created, existing=existing, options={"model": self.account.model})

    async def fields(self, place: Place) -> Sequence[CrmField]:
        await self._knock()
        if place == "media" and self.account.model == "activity":
            raise CrmError(CrmErrorKind.UNSUPPORTED, "a note has no fields")
        ours = {one.name: one for one in (CONTACT_FIELDS if place == "contact" else MEDIA_FIELDS)}
        made = [
            CrmField(one.name, one.en, one.type, is_ours=True, choices=one.choices) for one in ours.values()
        ]
        theirs = self.account.own_fields[place]
        return [*made, *(CrmField(name, name.replace("_", " "), type_) for name, type_ in theirs.items())]

    async def find_contacts(self, phone: str) -> Sequence[ContactMatch]:
        await self._knock()
        contacts = self.account.live("contact")
        if stamped := [one for one in contacts if is_same_line(one.values.get("phone_e164"), phone)]:
            return [_match(one, "phone_e164") for one in stamped]
        held = (
            (one, name) for one in contacts for name in _TYPED if is_same_line(one.values.get(name), phone)
        )
        return [_match(one, name) for one, name in dict(reversed(list(held))).items()]

    async def describe_contacts(self, contacts: Sequence[RecordRef]) -> Sequence[ContactCard]:
        await self._knock()
        wanted = {self.account.merged.get(ref.record_id, ref.record_id) for ref in contacts}
        return [_card(one) for one in self.account.live("contact") if one.id in wanted]

    async def upsert_contact(self, draft: ContactDraft, *, known: RecordRef | None = None) -> RecordRef:
        await self._knock()
        if known:
            record = self.account.get("contact", known.record_id)
        else:
            record = self._ours(draft) or self.account.add("contact", {})
        _complete(record, draft)
        self.account.after_person()
        return RecordRef("contact", record.id)

    async def upsert_media(self, items: Sequence[MediaLink]) -> Sequence[WriteResult]:
        return [await self._write(item) for item in items]

    async def read_media(self, items: Sequence[MediaLink]) -> Sequence[RecordState]:
        await self._knock()
        return [self._state(item) for item in items]

    async def link(self, media: RecordRef, to: Sequence[RecordRef]) -> None:
        await self._knock()
        record = self.account.get("media", media.record_id)
        for ref in to:
            self.account.tie(record, self.account.get(ref.object_type, ref.record_id))

    async def unlink(self, media: RecordRef, from_: RecordRef) -> None:
        await self._knock()
        record = self.account.get("media", media.record_id)
        record.tied_to.discard(from_.record_id)
        if other := self.account.records.get(from_.record_id):
            other.tied_to.discard(record.id)

    async def find_related(self, contact: RecordRef) -> Sequence[RelatedRef]:
        await self._knock()
        tied = self.account.get("contact", contact.record_id).tied_to
        return [
            RelatedRef(RecordRef("deal", deal.id), title=deal.values["title"])
            for deal in self.account.live("deal")
            if deal.id in tied
        ]

    async def erase_media(self, media: RecordRef, *, also: Sequence[str] = ()) -> EraseResult:
        await self._knock()
        record = self.account.records.get(media.record_id)
        if record:
            record.values.clear()
            record.is_live = False
        return EraseResult("done")

    async def upload(self, upload: Upload) -> Uploaded:
        await self._knock()
        holder = self.account.get(upload.holder.object_type, upload.holder.record_id)
        file_id = self._file_id(upload.file_name)
        if not file_id:
            content = b"".join([piece async for piece in upload.content()])
            file_id = f"file-{len(self.account.uploads) + 1}"
            self.account.uploads[file_id] = FakeUpload(upload.file_name, holder.id, content)
            self.account.after_upload()
        return Uploaded(upload.media_id, upload.file_name, upload.holder, file_id)

    async def remove_upload(self, uploaded: Uploaded) -> EraseResult:
        await self._knock()
        self.account.uploads.pop(uploaded.file_id or self._file_id(uploaded.file_name), None)
        return EraseResult("done")

    def _file_id(self, file_name: str) -> str:
        return next((key for key, one in self.account.uploads.items() if one.file_name == file_name), "")

    async def _knock(self) -> None:
        await self._pace.take(("burst",), until=self._pace.now() + 25)
        self.account.knock()

    async def _write(self, item: MediaLink) -> WriteResult:
        try:
            await self._knock()
            self.account.before_write()
            if item.kind not in KINDS:
                raise CrmError(CrmErrorKind.VALIDATION, "kind is not one of the options")
            contact = self.account.get("contact", item.contact.record_id) if item.contact else None
            record = next(iter(self._copies(item)), None)
            created = record is None
            record = record or self.account.add("media", {})
            record.values |= {one.name: one.text for one in placed(item, _OURS["media"])}
            if contact:
                self.account.tie(record, contact)
            self.account.after_write()
        except CrmError as error:
            return WriteResult(item.media_id, error=error)
        return WriteResult(item.media_id, ref=RecordRef("media", record.id), created=created)

    def _copies(self, item: MediaLink) -> list[FakeRecord]:
        return [one for one in self.account.live("media") if one.values.get("media_id") == item.media_id]

    def _state(self, item: MediaLink) -> RecordState:
        copies = self._copies(item)
        if not copies:
            return RecordState(item.media_id, ref=None, copies=0)
        ref = RecordRef("media", copies[0].id)
        names = item.field_map.names("media", _OURS["media"])
        values = {ours: copies[0].values.get(theirs) for ours, theirs in names.items()}
        return RecordState(
            item.media_id, ref=ref, values=canonical(values, item.field_map), copies=len(copies)
        )

    def _ours(self, draft: ContactDraft) -> FakeRecord | None:
        keys = {("phone_e164", draft.phone), ("person_id", draft.person_id)}
        return next(
            (
                one
                for one in self.account.live("contact")
                if any(v and one.values.get(k) == v for k, v in keys)
            ),
            None,
        )


def _card(record: FakeRecord) -> ContactCard:
    values = record.values
    name = " ".join(part for part in (values.get("first_name"), values.get("last_name")) if part)
    return ContactCard(
        RecordRef("contact", record.id),
        name=name,
        phones=tuple(values[name] for name in _TYPED if values.get(name)),
        company=values.get("company", ""),
        owner=values.get("owner", ""),
    )


def _match(record: FakeRecord, matched_on: str) -> ContactMatch:
    return ContactMatch(
        RecordRef("contact", record.id),
        name=record.values.get("first_name"),
        matched_on=matched_on,
        is_stamped=bool(record.values.get("phone_e164")),
    )


def _complete(record: FakeRecord, draft: ContactDraft) -> None:
    values = record.values
    if not values.get("first_name") and not values.get("last_name"):
        values |= {"first_name": draft.first_name or "", "last_name": draft.last_name or ""}
    if draft.phone and not values.get("phone_e164"):
        values["phone_e164"] = draft.phone
    if draft.phone and not any(values.get(name) for name in _TYPED):
        values["phone"] = draft.phone
    if not draft.phone:
        values["person_id"] = draft.person_id
    values |= {one.name: one.text for one in placed_roll_ups(draft, _OURS["contact"])}
