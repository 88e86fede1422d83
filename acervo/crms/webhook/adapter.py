"""A system nobody wrote an adapter for, as a Connector: each file is one signed message, and may be one of a hundred."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NoReturn
from urllib.parse import urlsplit

import httpx

from acervo.crms import batches
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
    WriteResult,
    untold,
)
from acervo.crms.mapping import Place
from acervo.crms.pace import Pace
from acervo.crms.people import OF_THE_ACCOUNT, OneByOne
from acervo.crms.webhook import answers, asked, letters
from acervo.crms.webhook.api import AT_ONCE, LANES, Post


class Webhook(OneByOne):
    """Built from the address (`api_base`), the secret that signs, and `per_call`: how many files a message carries."""

    kind: ClassVar[str] = "webhook"
    name: ClassVar[str] = "Webhook"
    asks: ClassVar[tuple[Asked, ...]] = asked.ASKS
    access = staticmethod(asked.access)
    secret_names: ClassVar[tuple[str, ...]] = ("secret",)
    is_fieldless: ClassVar[bool] = True
    uploads: ClassVar[UploadTerms | None] = None

    def __init__(
        self, credentials: CrmCredentials, http: httpx.AsyncClient, *, pace: Pace | None = None
    ) -> None:
        """`pace`: for tests; otherwise the one all connectors of this connection share."""
        self._post = Post(credentials, http, pace)
        self._url = credentials.api_base or ""
        self._per_call = _per_call(credentials.options)

    @classmethod
    def effort(cls, options: Mapping[str, Any]) -> Effort:
        per_minute = 60 * LANES[0][1] / LANES[0][2]
        per_call = _per_call(options)
        return Effort(per_minute, per_batch=100 / per_call if per_call > 1 else 0, per_file=per_call == 1)

    async def check(self) -> AccountInfo:
        """A signed `ping`, which only a receiver that is meant to get files answers with 2xx."""
        await self._post.send(letters.ping(), effect="read")
        return AccountInfo(asked.account_of(self._url), urlsplit(self._url).hostname or self.name)

    async def capabilities(self) -> Capabilities:
        return Capabilities("object", relates_to=())

    async def upsert_media(self, items: Sequence[MediaLink]) -> Sequence[WriteResult]:
        """Never raises for what the receiver answers: what stopped everything is every item's error."""
        distinct = list({item.media_id: item for item in items}.values())
        done = await (self._one_by_one(distinct) if self._per_call == 1 else self._together(distinct))
        return [done[item.media_id] for item in items]

    async def read_media(self, items: Sequence[MediaLink]) -> Sequence[RecordState]:
        """Only of a receiver that says what it holds; most do not. Raises CrmError UNSUPPORTED for those."""
        states: list[RecordState] = []
        for piece in batches.chunks(items, letters.MOST):
            answer = await self._post.send(letters.check(piece), effect="read")
            states += answers.states(piece, answer)
        return states

    async def erase_media(self, media: RecordRef, *, also: Sequence[str] = ()) -> EraseResult:
        await self._post.send(letters.erased(media.ours or media.record_id), effect="repeatable")
        return EraseResult("done")

    # ── what a single address cannot be asked ──

    async def ensure_schema(self, *, dry_run: bool = False, told: Told = untold) -> SchemaReport:
        _unsupported("a webhook has no fields to be made")

    async def fields(self, place: Place) -> Sequence[CrmField]:
        _unsupported("a webhook has no fields of its own")

    async def find_contacts(self, phone: str) -> Sequence[ContactMatch]:
        _unsupported("a webhook has no contacts: the customer travels with the file")

    async def describe_contacts(self, contacts: Sequence[RecordRef]) -> Sequence[ContactCard]:
        _unsupported("a webhook has no contacts")

    async def upsert_contact(self, draft: ContactDraft, *, known: RecordRef | None = None) -> RecordRef:
        _unsupported("a webhook has no contacts: the customer travels with the file")

    async def link(self, media: RecordRef, to: Sequence[RecordRef]) -> None:
        _unsupported("a webhook has no deals or tickets")

    async def unlink(self, media: RecordRef, from_: RecordRef) -> None:
        _unsupported("a webhook has no deals or tickets")

    async def find_related(self, contact: RecordRef) -> Sequence[RelatedRef]:
        _unsupported("a webhook has no deals or tickets")

    async def upload(self, upload: Upload) -> Uploaded:
        _unsupported("a webhook gets the link, and fetches what it wants by the API")

    async def remove_upload(self, uploaded: Uploaded) -> EraseResult:
        _unsupported("a webhook gets no bytes")

    # ── files ──

    async def _one_by_one(self, items: Sequence[MediaLink]) -> dict[str, WriteResult]:
        """A few side by side; what would meet the next ones as well stops before them."""
        done: dict[str, WriteResult] = {}
        halt: CrmError | None = None
        for piece in batches.chunks(items, AT_ONCE):
            if halt:
                done |= {item.media_id: WriteResult(item.media_id, error=halt) for item in piece}
                continue
            results = await asyncio.gather(*map(self._write, piece))
            done |= {result.media_id: result for result in results}
            errors = [result.error for result in results if result.error]
            halt = next((error for error in errors if error.kind in OF_THE_ACCOUNT), None)
        return done

    async def _write(self, item: MediaLink) -> WriteResult:
        try:
            answer = await self._post.send(letters.upserted(item), effect="repeatable")
        except CrmError as error:
            return answers.refused(item, error)
        return answers.written(item, answer)

    async def _together(self, items: Sequence[MediaLink]) -> dict[str, WriteResult]:
        async def write(batch: Sequence[MediaLink]) -> Mapping[str, WriteResult | CrmError]:
            answer = await self._post.send(letters.upserted_many(batch), effect="repeatable")
            return answers.written_many(batch, answer)

        done: dict[str, WriteResult] = {}
        for piece in batches.chunks(items, self._per_call):
            outcomes = await batches.send(piece, lambda item: item.media_id, write)
            for item in piece:
                outcome = outcomes[item.media_id]
                done[item.media_id] = (
                    answers.refused(item, outcome) if isinstance(outcome, CrmError) else outcome
                )
        return done


def _per_call(options: Mapping[str, Any]) -> int:
    return min(max(int(options.get("per_call") or 1), 1), letters.MOST)


def _unsupported(detail: str) -> NoReturn:
    raise CrmError(CrmErrorKind.UNSUPPORTED, detail)
