"""Addresses of others that are told what happens here: made, changed, paused, resumed, ended, tried. Each change says by
whom; `journey` sends what became due."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from django.db import transaction

from acervo.base import clock, ids, signing
from acervo.base.errors import Refused
from acervo.govern.connections import PrivateHost, refuse_private
from acervo.keep import credentials
from acervo.models import (
    Ability,
    ApiToken,
    AuditEntry,
    Deed,
    Detail,
    Event,
    EventDelivery,
    EventKind,
    Subscription,
    by_token,
)
from acervo.notify import promises

BY_HAND: Final = "by_hand"
UNSUBSCRIBED: Final = "unsubscribed"
BOTH_FOR: Final = timedelta(hours=24)
"""So long a replaced secret signs beside the new one."""
MOST: Final = 100
"""Live subscriptions of a workspace."""
LONGEST_URL: Final = 500
LONGEST_NAME: Final = 80


class NoAddress(Refused):
    """This is no address that can be called: write all of it, such as https://example.com/hooks."""

    code = "hook_address"


class PrivateAddress(Refused):
    """This address is not https, or lies in a private network that the operator did not name."""

    code = "hook_address_private"


class NothingChosen(Refused):
    """Choose at least one event."""

    code = "hook_events"


class TooMany(Refused):
    """This workspace has as many hooks as it may have. Remove some first."""

    code = "too_many_hooks"


class Ended(Refused):
    """This hook has ended."""

    code = "hook_ended"


class NotASecret(Refused):
    """A secret of the scheme begins with whsec_ and holds 24 to 64 bytes."""

    code = "hook_secret"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants a subscription to be."""

    url: str
    events: Collection[str]
    name: str = ""
    """Empty: the host of the address."""
    detail: str = Detail.FACTS

    @property
    def columns(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "events": [kind for kind in EventKind.values if kind in set(self.events)],
            "name": (self.name or urlsplit(self.url).hostname or "")[:LONGEST_NAME],
            "detail": self.detail,
        }


def subscribe(workspace_id: UUID, wish: Wish, by: str, *, secret: str = "") -> tuple[Subscription, str]:
    """The subscription and its secret, ours or the one that was brought along. Raises NoAddress, PrivateAddress,
    NothingChosen, NotASecret and TooMany; then nothing is made."""
    _refuse(wish)
    if secret and not signing.is_secret(secret):
        raise NotASecret()
    secret = secret or signing.new_secret()
    row = Subscription(id=ids.new(), workspace_id=workspace_id, created_by=by, **wish.columns)
    row.sealed_secrets = credentials.seal_hook_secrets(row.pk, secret)
    with transaction.atomic():
        if Subscription.objects.filter(workspace=workspace_id, ended_at=None).count() >= MOST:
            raise TooMany()
        row.save(force_insert=True)
        _record(row, "subscription.made", by, details={"events": row.events, "detail": row.detail})
    return row, secret


def change(subscription: Subscription, wish: Wish, by: str) -> list[str]:
    """Names of what is different now. What is promised already is told to the new address. Raises as `subscribe`."""
    _refuse(wish)
    with transaction.atomic():
        row = _locked(subscription)
        changed = [name for name, value in wish.columns.items() if getattr(row, name) != value]
        for name in changed:
            setattr(row, name, wish.columns[name])
        if "url" in changed:
            _forgive(row)
        if changed:
            row.save()
            _record(row, "subscription.changed", by, ",".join(changed), _without_address(row, changed))
    return changed


def pause(subscription: Subscription, by: str) -> None:
    """Nothing is told; what happens is promised all the same."""
    with transaction.atomic():
        row = _locked(subscription)
        if row.paused_at:
            return
        row.paused_at, row.paused_by, row.pause_reason = clock.now(), by, BY_HAND
        row.save(update_fields=["paused_at", "paused_by", "pause_reason"])
        _record(row, "subscription.paused", by, BY_HAND)


def resume(subscription: Subscription, by: str, *, drops_waiting: bool = False) -> int:
    """What waited is due now, or dropped if somebody wants that; returns how many events that were."""
    at = clock.now()
    with transaction.atomic():
        row = _locked(subscription)
        row.paused_at = row.paused_by = row.pause_reason = None
        _forgive(row)
        row.save()
        waiting = EventDelivery.objects.open().filter(subscription=row)
        if drops_waiting:
            count = waiting.update(stopped_at=at, refusal="dropped", refused_at=at, claimed_until=None)
        else:
            count = waiting.update(due_at=at, attempts=0)
        details = {"events": count, "dropped": drops_waiting}
        _record(row, "subscription.resumed", by, details=details)
    return count


def renew_secret(subscription: Subscription, by: str) -> str:
    """A new secret. For a day everything is signed with the old one, too. Raises SealedElsewhere."""
    with transaction.atomic():
        row = _locked(subscription)
        old, new = credentials.open_hook_secrets(row)[0], signing.new_secret()
        row.sealed_secrets = credentials.seal_hook_secrets(row.pk, new, old)
        row.previous_until = clock.now() + BOTH_FOR
        row.save(update_fields=["sealed_secrets", "previous_until"])
        _record(row, "subscription.secret_renewed", by)
    return new


def erase_ended() -> None:
    """Old secrets whose day is over sign nothing any more; now they are gone."""
    over = Subscription.objects.filter(previous_until__lte=clock.now(), ended_at=None)
    for pk in over.values_list("pk", flat=True):
        with transaction.atomic():
            row = Subscription.objects.select_for_update(no_key=True).get(pk=pk)
            if row.ended_at is None and row.previous_until and row.previous_until <= clock.now():
                row.sealed_secrets = credentials.seal_hook_secrets(
                    row.pk, credentials.open_hook_secrets(row)[0]
                )
                row.previous_until = None
                row.save(update_fields=["sealed_secrets", "previous_until"])


def end(subscription: Subscription, by: str, reason: str = BY_HAND) -> None:
    """It is told nothing any more, and its secret is erased. Its log stays for a month. Safe to do twice."""
    with transaction.atomic():
        row = Subscription.objects.select_for_update(no_key=True).get(pk=subscription.pk)
        if row.ended_at:
            return
        promises.end(row, by, reason, clock.now())
        _record(row, "subscription.ended", by, reason)


def end_of_token(token: ApiToken, by: str) -> None:
    """What a program subscribed to ends with the token it did that with."""
    made = Subscription.objects.filter(
        workspace=token.workspace_id, created_by=by_token(token), ended_at=None
    )
    for row in made:
        end(row, by, UNSUBSCRIBED)


def end_orphans() -> None:
    """Of tokens that expired, or whose member was locked out or may not connect systems any more."""
    made = Subscription.objects.filter(ended_at=None, created_by__startswith="token:")
    tokens = [
        ids.parse(author.removeprefix("token:")) for author in made.values_list("created_by", flat=True)
    ]
    known = ApiToken.objects.filter(pk__in=tokens).live(clock.now()).select_related("member")
    live = {token.pk for token in known if token.acting().can(Ability.CONNECT)}
    for token in ApiToken.objects.filter(pk__in=tokens).exclude(pk__in=live):
        end_of_token(token, "system:tick")


def sample(subscription: Subscription, kind: str, by: str) -> EventDelivery:
    """An invented event goes the way of a real one, to this address alone. Raises Ended."""
    at = clock.now()
    with transaction.atomic():
        row = _locked(subscription)
        event = Event.objects.create(
            workspace_id=row.workspace_id, kind=EventKind(kind), at=at, is_sample=True
        )
        made = EventDelivery.objects.create(subscription=row, event=event, promised_at=at, due_at=at)
        Subscription.objects.filter(pk=row.pk).update(rests_until=None)
        _record(row, "subscription.sampled", by, details={"event": kind})
    return made


def replay(subscription: Subscription, events: Collection[UUID] | None, by: str) -> int:
    """Tell these events once more, whatever became of them; None: all that were given up or not taken yet. Returns how
    many. The `webhook-id` stays, so that whoever took one knows it again. Raises Ended."""
    at = clock.now()
    with transaction.atomic():
        row = _locked(subscription)
        chosen = EventDelivery.objects.filter(subscription=row)
        chosen = (
            chosen.filter(delivered_at=None).exclude(refusal=None)
            if events is None
            else chosen.filter(event__in=events)
        )
        count = chosen.update(due_at=at, attempts=0, claimed_until=None, delivered_at=None, stopped_at=None)
        if count:
            Subscription.objects.filter(pk=row.pk).update(rests_until=None)
            _record(row, "subscription.replayed", by, details={"events": count})
    return count


def _refuse(wish: Wish) -> None:
    if not wish.events or not set(wish.events) <= set(EventKind.values):
        raise NothingChosen()
    if wish.detail not in Detail.values:
        raise Refused(code="unknown_choice")
    if not _is_address(wish.url):
        raise NoAddress()
    try:
        refuse_private(wish.url)
    except PrivateHost as error:
        raise PrivateAddress() from error


def _is_address(url: str) -> bool:
    """Whole, callable as it stands, and without a name and password, which would end up in a list."""
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        httpx.URL(url)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and not parts.username
        )
    except (ValueError, httpx.InvalidURL):
        return False


def _locked(subscription: Subscription) -> Subscription:
    row = Subscription.objects.select_for_update(no_key=True).get(pk=subscription.pk)
    if row.ended_at:
        raise Ended()
    return row


def _forgive(row: Subscription) -> None:
    row.failures, row.failing_since, row.rests_until = 0, None, None


def _without_address(row: Subscription, changed: Collection[str]) -> dict[str, Any]:
    """An address may hold a key of the other side: the audit says that it changed, not to what."""
    return {name: getattr(row, name) for name in changed if name in ("events", "detail")}


def _record(
    row: Subscription, action: str, by: str, reason: str = "", details: Mapping[str, Any] | None = None
) -> None:
    deed = Deed(action, "subscription", row.pk, reason, dict(details or {}))
    AuditEntry.objects.record(row.workspace_id, by, [deed])
