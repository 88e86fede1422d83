"""What each CRM was promised, what became of it and why; the records it hangs on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, Self, cast

from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404
from ninja import Router
from ninja.responses import Status
from pydantic import Field

from acervo import journey, models
from acervo.api.access import ApiRequest, needs
from acervo.api.shapes import USUAL, WRITABLE, After, Limit, Moment, Page, Sent, Shape, Ulid, newest_first
from acervo.crms.contract import RecordRef
from acervo.models import Ability, Scope
from acervo.web import words

router = Router(tags=["deliveries"])
READ = needs(Scope.DELIVERIES_READ)
WRITE = needs(Scope.DELIVERIES_WRITE, Ability.RETRY)

URL_PATTERN: Final = r"^https?://[!-~]+$"
State = Literal["delivered", "stopped", "trying", "queued"]
STATES: Final[dict[str, Q]] = {
    "delivered": Q(delivered_at__isnull=False),
    "stopped": Q(stopped_at__isnull=False),
    "trying": Q(delivered_at=None, stopped_at=None, refusal__isnull=False),
    "queued": Q(delivered_at=None, stopped_at=None, refusal=None),
}


class Candidate(Shape):
    """A contact in the CRM that may be the sender."""

    record: str
    url: str | None


class Refusal(Shape):
    code: str
    """Such as `ambiguous`, `validation` or `rate_limited`."""
    why: str
    """What happened, what is safe, and what to do."""
    at: Moment
    candidates: list[Candidate]
    """Where the CRM has several contacts with the sender's number: choose one at `/deliveries/{delivery}/choose`."""


class Delivery(Shape):
    """One file, promised to one CRM."""

    id: Ulid
    media: Ulid
    connection: Ulid
    state: State
    """delivered; queued; trying (refused before, tried again by itself); stopped (somebody has to act)."""
    attempts: int
    promised_at: Moment
    due_at: Moment | None
    """When it is tried next; null: it is not."""
    delivered_at: Moment | None
    verified_at: Moment | None
    """When the record was last found as it was written."""
    refusal: Refusal | None

    @classmethod
    def of(cls, row: models.Delivery) -> Self:
        is_open = not row.delivered_at and not row.stopped_at
        return cls(
            id=row.pk,
            media=row.media_id,
            connection=row.connection_id,
            state=cast(State, row.state),
            attempts=row.attempts,
            promised_at=row.promised_at,
            due_at=row.due_at if is_open else None,
            delivered_at=row.delivered_at,
            verified_at=row.verified_at,
            refusal=_refusal(row),
        )


class Choice(Sent):
    record: Annotated[str, Field(min_length=1, max_length=128), WRITABLE]
    """One of the candidates."""


class PersonWish(Sent):
    """A contact in a CRM, known by its id there."""

    connection: Ulid
    """A CRM."""
    record: Annotated[str, Field(min_length=1, max_length=128), WRITABLE]
    url: Annotated[str, Field(max_length=500, pattern=URL_PATTERN)] | None = None
    """Where the CRM shows it."""


class CrmRecord(Shape):
    """A record in a CRM that a person or a file belongs to."""

    id: Ulid
    connection: Ulid
    person: Ulid | None
    media: Ulid | None
    type: str
    """contact, media, note, deal, ticket…"""
    record: str
    """Its id at the CRM."""
    url: str | None
    reason: str
    """matched_phone, created, chosen, written or moved."""
    since: Moment

    @classmethod
    def of(cls, row: models.RecordLink) -> Self:
        return cls(
            id=row.pk,
            connection=row.connection_id,
            person=row.person_id,
            media=row.media_id,
            type=row.object_type,
            record=row.record_id,
            url=row.url,
            reason=row.reason,
            since=row.linked_at,
        )


@router.get(
    "/deliveries",
    auth=READ,
    response=Page[Delivery],
    summary="List deliveries",
    operation_id="list_deliveries",
)
def list_deliveries(
    request: ApiRequest,
    state: State | None = None,
    connection: Ulid | None = None,
    media: Ulid | None = None,
    limit: Limit = USUAL,
    after: After = "",
) -> Any:
    """The newest promise first. `state=stopped` are those that wait for somebody."""
    found = models.Delivery.objects.visible_to(request.auth.member)
    if state:
        found = found.filter(STATES[state])
    return newest_first(_of(found, connection=connection, media=media), Delivery.of, after=after, limit=limit)


@router.get(
    "/deliveries/{delivery}",
    auth=READ,
    response=Delivery,
    summary="One delivery",
    operation_id="get_delivery",
)
def get_delivery(request: ApiRequest, delivery: Ulid) -> Delivery:
    return Delivery.of(_visible(request.auth.member, delivery))


@router.post(
    "/deliveries/{delivery}/retry",
    auth=WRITE,
    response={202: Delivery},
    summary="Try a delivery again",
    operation_id="retry_delivery",
)
def retry_delivery(request: ApiRequest, delivery: Ulid) -> Status[Delivery]:
    """Now, whatever stood in the way; with it goes all of the same person that stopped for the same reason. One that is
    delivered stays as it is."""
    return _act(request, delivery, journey.retry_delivery)


@router.post(
    "/deliveries/{delivery}/choose",
    auth=WRITE,
    response={202: Delivery},
    summary="Choose the contact",
    operation_id="choose_record",
)
def choose_record(request: ApiRequest, delivery: Ulid, choice: Choice) -> Status[Delivery]:
    """Where a CRM has several contacts with the sender's number. All files of that person follow. 422
    `record_not_offered`: it is none of the candidates."""

    def choose(row: models.Delivery, by: str) -> None:
        journey.choose_record(row, choice.record, by=by)

    return _act(request, delivery, choose)


@router.get(
    "/links",
    auth=READ,
    response=Page[CrmRecord],
    summary="List CRM records",
    operation_id="list_links",
    tags=["links"],
)
def list_links(
    request: ApiRequest,
    person: Ulid | None = None,
    media: Ulid | None = None,
    connection: Ulid | None = None,
    record: Annotated[str, Field(max_length=128), WRITABLE] | None = None,
    limit: Limit = USUAL,
    after: After = "",
) -> Any:
    """Which records in the CRMs our people and files belong to, the newest first. From a record to its files:
    `?record=…`, then `/media?person=…`."""
    found = _of(models.RecordLink.objects.visible_to(request.auth.member), connection=connection, media=media)
    if person:
        found = found.filter(person=person)
    if record:
        found = found.filter(record_id=record)
    return newest_first(found, CrmRecord.of, after=after, limit=limit)


@router.post(
    "/people/{person}/link",
    auth=needs(Scope.PEOPLE_WRITE, Ability.RETRY),
    response={200: CrmRecord},
    summary="Say which contact a person is",
    operation_id="link_person",
    tags=["links"],
)
def link_person(request: ApiRequest, person: Ulid, wish: PersonWish) -> Status[CrmRecord]:
    """For whoever knows better than the phone number. It replaces what was found before; what waited for an answer goes on,
    and what was delivered follows. 422 `record_of_another`: it is somebody else's already."""
    member = request.auth.member
    somebody = get_object_or_404(models.Person.objects.visible_to(member), pk=person)
    crms = models.Connection.objects.visible_to(member).crms().filter(removed_at=None)
    ref = RecordRef("contact", wish.record, wish.url)
    link = journey.link_person(get_object_or_404(crms, pk=wish.connection), somebody, ref, by=request.auth.by)
    return Status(200, CrmRecord.of(link))


@router.get(
    "/links/{link}",
    auth=READ,
    response=CrmRecord,
    summary="One CRM record",
    operation_id="get_link",
    tags=["links"],
)
def get_link(request: ApiRequest, link: Ulid) -> CrmRecord:
    return CrmRecord.of(get_object_or_404(models.RecordLink.objects.visible_to(request.auth.member), pk=link))


def _act(request: ApiRequest, delivery: Ulid, act: Callable[..., Any]) -> Status[Delivery]:
    row = _visible(request.auth.member, delivery)
    act(row, by=request.auth.by)
    return Status(202, Delivery.of(_visible(request.auth.member, delivery)))


def _visible(member: models.Member, delivery: Ulid) -> models.Delivery:
    return get_object_or_404(models.Delivery.objects.visible_to(member), pk=delivery)


def _of(found: QuerySet[Any], *, connection: Ulid | None, media: Ulid | None) -> QuerySet[Any]:
    """Narrowed by what was given."""
    given = {"connection": connection, "media": media}
    return found.filter(**{name: value for name, value in given.items() if value})


def _refusal(row: models.Delivery) -> Refusal | None:
    """Of a promise that is still to be kept."""
    if row.refusal is None or row.refused_at is None or row.delivered_at:
        return None
    offered = row.refusal_facts.get("candidates", ()) if row.stopped_at else ()
    return Refusal(
        code=row.refusal,
        why=str(words.crm_refusal(row.refusal)),
        at=row.refused_at,
        candidates=[Candidate(record=one["record_id"], url=one.get("url")) for one in offered],
    )
