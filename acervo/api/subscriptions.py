"""REST hooks: subscribe, unsubscribe, try; and what happened lately, for those who would rather ask."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from django.shortcuts import get_object_or_404
from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field

from acervo import journey, models
from acervo.api.access import ApiRequest, needs
from acervo.api.shapes import (
    USUAL,
    WRITABLE,
    After,
    Limit,
    Moment,
    Page,
    Sent,
    Shape,
    Ulid,
    newest_first,
)
from acervo.govern import subscriptions as govern
from acervo.govern.subscriptions import LONGEST_NAME, LONGEST_URL, UNSUBSCRIBED, Wish
from acervo.models import Ability, Detail, EventKind, Scope
from acervo.notify import payloads

router = Router(tags=["subscriptions"])
SUBSCRIBE = needs(Scope.SUBSCRIPTIONS_WRITE, Ability.CONNECT)
READ = needs(Scope.MEDIA_READ)
MOST_SAMPLES = 10


class SubscriptionWish(Sent):
    target_url: Annotated[str, Field(min_length=1, max_length=LONGEST_URL), WRITABLE]
    """Where messages are posted: https, and on the public internet unless the operator named the host."""
    events: Annotated[list[EventKind], Field(min_length=1, max_length=len(EventKind.values))]
    name: Annotated[str, Field(max_length=LONGEST_NAME), WRITABLE] = ""
    """Left out: the host of the address."""
    detail: Literal["facts", "full"] = "facts"
    """`facts`: nothing that says who somebody is, or what they said. `full`: with contact, captions, transcripts and tags."""
    secret: Annotated[str, Field(max_length=100), WRITABLE] = ""
    """A signing secret of your own (`whsec_…`, 24 to 64 bytes). Left out: one is made."""


class Subscription(Shape):
    """An address that is told of events. On the pages: a hook."""

    id: Ulid
    name: str
    target_url: str
    events: list[EventKind]
    detail: Detail
    state: str
    """live, silent (nothing was told yet), failing (tried again by itself), paused, disabled (took nothing for five days)
    or ended."""
    created_at: Moment
    last_success_at: Moment | None
    failing_since: Moment | None

    @classmethod
    def of(cls, row: models.Subscription, **facts: Any) -> Self:
        return cls(
            id=row.pk,
            name=row.name,
            target_url=row.url,
            events=[EventKind(kind) for kind in row.events],
            detail=Detail(row.detail),
            state=row.state,
            created_at=row.created_at,
            last_success_at=row.last_success_at,
            failing_since=row.failing_since,
            **facts,
        )


class NewSubscription(Subscription):
    secret: str
    """Messages are signed with it (Standard Webhooks). Told this once."""
    expiration_date: Moment | None
    """It ends with the token it was made with; null: when somebody ends it."""


class SampleWish(Sent):
    event: EventKind


class Sample(Shape):
    id: str
    """The `webhook-id` under which it arrives."""


class Event(Shape):
    """What happened, in the very shape in which it is posted to subscribers."""

    id: str
    """The same for every subscriber and every try: what was seen once need not be taken again."""
    type: EventKind
    timestamp: str
    """When it happened, in UTC."""
    is_sample: bool
    data: dict[str, Any]
    """`media`, `person`, `connection`, `crm`, `record`, `consent`, `step`, `reason`, as far as the event has them; as things are
    now, not as they were then."""


@router.get(
    "/subscriptions",
    auth=SUBSCRIBE,
    response=Page[Subscription],
    summary="List subscriptions",
    operation_id="list_subscriptions",
)
def list_subscriptions(request: ApiRequest, limit: Limit = USUAL, after: After = "") -> Any:
    """Those that have not ended, the newest first, whoever made them."""
    found = models.Subscription.objects.visible_to(request.auth.member).filter(ended_at=None)
    return newest_first(found, Subscription.of, after=after, limit=limit)


@router.post(
    "/subscriptions",
    auth=SUBSCRIBE,
    response={201: NewSubscription},
    summary="Subscribe",
    operation_id="subscribe",
)
def subscribe(request: ApiRequest, wish: SubscriptionWish) -> Status[NewSubscription]:
    """The address is told what happens from now on. It ends with the token it was made with."""
    row, secret = govern.subscribe(
        request.auth.member.workspace_id,
        Wish(url=wish.target_url, events=wish.events, name=wish.name, detail=wish.detail),
        request.auth.by,
        secret=wish.secret,
    )
    return Status(201, NewSubscription.of(row, secret=secret, expiration_date=request.auth.token.expires_at))


@router.get(
    "/subscriptions/{subscription}",
    auth=SUBSCRIBE,
    response=Subscription,
    summary="One subscription",
    operation_id="get_subscription",
)
def get_subscription(request: ApiRequest, subscription: Ulid) -> Subscription:
    return Subscription.of(_visible(request, subscription))


@router.delete(
    "/subscriptions/{subscription}",
    auth=SUBSCRIBE,
    response={204: None},
    summary="Unsubscribe",
    operation_id="unsubscribe",
)
def unsubscribe(request: ApiRequest, subscription: Ulid) -> Status[None]:
    """It is told nothing any more. One that ended before stays ended."""
    govern.end(_visible(request, subscription), request.auth.by, UNSUBSCRIBED)
    return Status(204, None)


@router.post(
    "/subscriptions/{subscription}/samples",
    auth=SUBSCRIBE,
    response={202: Sample},
    summary="Send a sample",
    operation_id="send_sample",
)
def send_sample(request: ApiRequest, subscription: Ulid, wish: SampleWish) -> Status[Sample]:
    """An invented event goes to this address, in the way of a real one."""
    made = journey.send_sample(_visible(request, subscription), wish.event, request.auth.by)
    return Status(202, Sample(id=str(made.event)))


@router.get(
    "/events", auth=READ, response=Page[Event], summary="List what happened", operation_id="list_events"
)
def list_events(
    request: ApiRequest,
    event_type: Annotated[EventKind | None, Query(alias="type")] = None,
    limit: Limit = USUAL,
    after: After = "",
) -> Any:
    """The newest first, of the last 30 days: for programs that ask every few minutes instead of being told. Names and
    numbers are in it for tokens with `people:read`."""
    found = models.Event.objects.visible_to(request.auth.member)
    if event_type:
        found = found.filter(kind=event_type)
    told = newest_first(found, lambda row: row, after=after, limit=limit)
    return told | {"items": payloads.told(told["items"], _detail(request))}


@router.get(
    "/events/{event_type}/samples",
    auth=READ,
    response=list[Event],
    summary="Samples of an event",
    operation_id="list_event_samples",
)
def list_event_samples(
    request: ApiRequest,
    event_type: EventKind,
    limit: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] = 3,
) -> Any:
    """The newest that happened; an invented one where none did. A plain list, as no-code tools want it."""
    found = models.Event.objects.visible_to(request.auth.member).filter(kind=event_type).order_by("-pk")
    return payloads.told(list(found[:limit]) or [payloads.invented(event_type)], _detail(request))


def _visible(request: ApiRequest, subscription: Ulid) -> models.Subscription:
    return get_object_or_404(models.Subscription.objects.visible_to(request.auth.member), pk=subscription)


def _detail(request: ApiRequest) -> Detail:
    """Who may not look at people is not told of them here either."""
    return Detail.FULL if Scope.PEOPLE_READ in request.auth.token.scopes else Detail.FACTS
