"""Subscribers that are down, slow, gone, or lead astray: nothing is lost, nobody else waits, nothing is told twice over."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import httpx
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from standardwebhooks import Webhook, WebhookVerificationError

from acervo.base import clock
from acervo.base.http import crm_client
from acervo.govern import subscriptions
from acervo.models import AuditEntry, EventDelivery, EventTry, Subscription
from acervo.notify import calling, promises
from tests.notify.conftest import client, no_jitter, settled

pytestmark = pytest.mark.django_db


def test_what_happens_is_told_once_to_everybody_who_listens(
    subscribe, happen, notify, subscriber, kept_file, other_workspace
):
    listening, other = subscribe("media.ready"), subscribe("media.erased")
    theirs = subscriptions.subscribe(
        other_workspace.pk, subscriptions.Wish("https://theirs.example.com", ["media.ready"]), by="test"
    )[0]
    event = happen(kept_file())
    notify()
    notify()
    assert subscriber.message_ids == [str(event)]
    assert settled(listening) == {"told": 1}
    assert settled(other) == settled(theirs) == {}
    (told,) = subscriber.bodies
    assert (told["id"], told["type"], told["is_sample"]) == (str(event), "media.ready", False)


def test_nobody_is_told_what_happened_before_they_subscribed(
    subscribe, happen, notify, subscriber, kept_file
):
    happen(kept_file())
    subscribe("media.ready")
    notify()
    assert subscriber.calls == []


def test_the_reference_library_takes_our_signature(subscribe, happen, notify, subscriber, kept_file):
    subscription = subscribe("media.ready", detail="full")
    happen(kept_file(caption="Olá, é a luz vermelha ⚠"))
    notify()
    (call,) = subscriber.calls
    read = Webhook(subscription.secret).verify(call.content.decode(), dict(call.headers))
    assert read["data"]["media"]["caption"] == "Olá, é a luz vermelha ⚠"
    with pytest.raises(WebhookVerificationError):
        Webhook(subscription.secret).verify(
            call.content.decode().replace("vermelha", "verde"), dict(call.headers)
        )


def test_a_replaced_secret_signs_for_a_day(subscribe, happen, notify, subscriber, kept_file):
    subscription = subscribe("media.ready")
    renewed = subscriptions.renew_secret(subscription, "test")

    def verifies(secret, call):
        try:
            Webhook(secret).verify(call.content.decode(), dict(call.headers))
        except WebhookVerificationError:
            return False
        return True

    happen(kept_file())
    notify()
    assert [verifies(secret, subscriber.calls[0]) for secret in (subscription.secret, renewed)] == [
        True,
        True,
    ]
    assert len(subscriber.calls[0].headers["webhook-signature"].split()) == 2
    Subscription.objects.filter(pk=subscription.pk).update(previous_until=clock.now())
    happen(kept_file())
    notify()
    assert [verifies(secret, subscriber.calls[1]) for secret in (subscription.secret, renewed)] == [
        False,
        True,
    ]
    subscriptions.erase_ended()
    subscription.refresh_from_db()
    assert subscription.previous_until is None
    happen(kept_file())
    notify()
    assert [verifies(secret, subscriber.calls[2]) for secret in (subscription.secret, renewed)] == [
        False,
        True,
    ]


def test_a_subscriber_that_is_down_for_an_hour_misses_nothing_and_is_left_alone(
    subscribe, happen, notify, subscriber, kept_file, hand
):
    subscription, media = subscribe("media.ready"), kept_file()
    began = hand.at

    def down(request):
        if hand.at < began + timedelta(hours=1):
            raise httpx.ConnectError("refused")
        return httpx.Response(200)

    subscriber.answer = down
    events = []
    while hand.at < began + timedelta(hours=1, minutes=10):
        if len(events) < 60:
            events.append(happen(media))
        notify()
        hand.move(seconds=30)
    assert settled(subscription) == {"told": 60}
    while_down = [row for row in EventTry.objects.all() if row.code == "unreachable"]
    assert 12 <= len(while_down) <= 40, "asked every few minutes, with one event at a time"
    taken = EventTry.objects.filter(code="ok")
    assert taken.count() == 60
    assert taken.latest("at").at <= began + timedelta(hours=1, minutes=6), "all at once when it is back"
    assert set(subscriber.message_ids) == {str(event) for event in events}
    subscription.refresh_from_db()
    assert (subscription.failures, subscription.failing_since, subscription.rests_until) == (0, None, None)


def test_one_event_that_is_never_taken_is_given_up_after_three_days(
    subscribe, happen, notify, subscriber, kept_file, hand, monkeypatch
):
    no_jitter(monkeypatch)
    subscription = subscribe("media.ready")
    poison, began = happen(kept_file()), hand.at
    subscriber.answer = lambda request: httpx.Response(
        400 if request.headers["webhook-id"] == str(poison) else 200
    )
    others = 0
    while settled(subscription).get("stopped", 0) == 0:
        happen(kept_file() if not others else _any_file())
        others += 1
        notify()
        hand.move(hours=1)
        assert hand.at < began + timedelta(days=5)
    given_up = EventDelivery.objects.get(event=poison)
    assert (given_up.state, given_up.refusal) == ("stopped", "not_taken")
    assert given_up.tries.count() == given_up.attempts == len(promises.PATIENCE_S) + 1
    assert timedelta(days=2) < given_up.stopped_at - began < timedelta(days=4)
    assert settled(subscription)["told"] == others
    subscription.refresh_from_db()
    assert subscription.state == "live"


def _any_file():
    from acervo.models import MediaFile

    return MediaFile.objects.first()


def test_a_subscriber_that_takes_nothing_for_five_days_is_switched_off_and_can_have_it_all_later(
    subscribe, happen, notify, subscriber, kept_file, hand
):
    subscription, media = subscribe("media.ready"), kept_file()
    subscriber.answer = lambda request: httpx.Response(503)
    happened = 0
    while hand.at and not Subscription.objects.get(pk=subscription.pk).paused_at:
        happen(media)
        happened += 1
        for _ in range(6):
            notify()
            hand.move(hours=1)
        assert happened < 40
    subscription.refresh_from_db()
    assert (subscription.state, subscription.pause_reason) == ("disabled", "failing")
    assert AuditEntry.objects.filter(action="subscription.disabled", subject_id=subscription.pk).count() == 1
    calls = len(subscriber.calls)
    happen(media)
    notify()
    assert len(subscriber.calls) == calls, "it is not called any more"
    subscriber.answer = lambda request: httpx.Response(200)
    waiting = subscription.deliveries.open().count()
    assert subscriptions.resume(subscription, "test") == waiting
    subscriptions.replay(subscription, None, "test")
    notify()
    assert settled(subscription) == {"told": happened + 1}


def test_gone_ends_the_subscription_at_once(subscribe, happen, notify, subscriber, kept_file):
    subscription, media = subscribe("media.ready"), kept_file()
    subscriber.answer = lambda request: httpx.Response(410)
    happen(media)
    notify()
    subscription.refresh_from_db()
    assert (subscription.state, subscription.end_reason, subscription.sealed_secrets) == (
        "ended",
        "gone",
        None,
    )
    assert AuditEntry.objects.filter(action="subscription.ended", reason="gone").count() == 1
    happen(media)
    notify()
    assert len(subscriber.calls) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.Response(302, headers={"Location": "http://127.0.0.1/"}), "redirected"),
        (httpx.Response(404), "not_taken"),
        (httpx.Response(500), "server_error"),
        (httpx.ReadTimeout("slow"), "timed_out"),
        (httpx.RemoteProtocolError("cut"), "broken_off"),
    ],
)
def test_what_is_not_taken_says_why_and_is_tried_again(
    subscribe, happen, notify, subscriber, kept_file, hand, answer, code
):
    subscription = subscribe("media.ready")

    def answering(request):
        if isinstance(answer, Exception):
            raise answer
        return answer

    subscriber.answer = answering
    happen(kept_file())
    notify()
    assert len(subscriber.calls) == 1, "a redirect is not followed"
    (row,) = subscription.deliveries.all()
    assert (row.state, row.refusal, row.attempts) == ("trying", code, 1)
    hand.move(seconds=10)
    subscriber.answer = lambda request: httpx.Response(200)
    notify()
    assert settled(subscription) == {"told": 1}
    assert len(set(subscriber.message_ids)) == 1, "the same id, so that whoever took it knows it again"


def test_nobody_gets_a_pause_of_years(subscribe, happen, notify, subscriber, kept_file, hand):
    subscription = subscribe("media.ready")
    subscriber.answer = lambda request: httpx.Response(503, headers={"Retry-After": "99999999"})
    happen(kept_file())
    notify()
    hand.move(seconds=promises.LONGEST_REST_S + 1)
    subscriber.answer = lambda request: httpx.Response(200)
    notify()
    assert settled(subscription) == {"told": 1}


def test_an_address_that_asks_for_a_pause_gets_it(subscribe, happen, notify, subscriber, kept_file, hand):
    subscription, media = subscribe("media.ready"), kept_file()
    subscriber.answer = lambda request: httpx.Response(429, headers={"Retry-After": "900"})
    for _ in range(6):
        happen(media)
    notify()
    asked = len(subscriber.calls)
    assert asked == promises.AT_ONCE
    hand.move(seconds=890)
    notify()
    assert len(subscriber.calls) == asked
    subscriber.answer = lambda request: httpx.Response(200)
    hand.move(seconds=60)
    notify()
    assert settled(subscription) == {"told": 6}


@pytest.mark.parametrize("url", ["https://127.0.0.1:9/x", "https://localhost:9/x", "https://[::1]:9/x"])
def test_a_private_address_is_refused_at_the_moment_of_calling(
    subscribe, happen, kept_file, one_transaction, url
):
    """It was public when it was entered, and leads into our own network now (DNS rebinding)."""
    subscription = subscribe("media.ready")
    Subscription.objects.filter(pk=subscription.pk).update(url=url)
    happen(kept_file())
    async_to_sync(_tell_guarded)(subscription)
    (row,) = subscription.deliveries.all()
    assert (row.refusal, row.tries.get().http_status) == ("private_address", None)


async def _tell_guarded(subscription):
    async with crm_client((), timeout_s=5) as http:
        await calling.tell_batch(subscription.pk, http)


def test_a_subscriber_whose_secret_does_not_open_is_not_called_unsigned(
    subscribe, happen, notify, subscriber, kept_file
):
    subscription = subscribe("media.ready")
    Subscription.objects.filter(pk=subscription.pk).update(sealed_secrets=b"of another key")
    happen(kept_file())
    notify()
    assert subscriber.calls == []
    assert subscription.deliveries.get().refusal == "sealed_elsewhere"


# ── side by side ──


async def _subscribed(workspace, url):
    make = sync_to_async(subscriptions.subscribe)
    return (await make(workspace.pk, subscriptions.Wish(url, ["media.ready"]), by="test"))[0]


@pytest.mark.django_db(transaction=True)
async def test_a_slow_subscriber_holds_up_nobody(workspace, connection, announced_file, monkeypatch):
    slow, quick = [await _subscribed(workspace, f"https://{name}.example.com") for name in ("slow", "quick")]
    media = await sync_to_async(announced_file)()
    for _ in range(12):
        await sync_to_async(_happen)(workspace, media)
    let_go, side_by_side, most = asyncio.Event(), Counter(), Counter()

    async def answering(request):
        host = request.url.host
        side_by_side[host] += 1
        most[host] = max(most[host], side_by_side[host])
        if host.startswith("slow"):
            await let_go.wait()
        side_by_side[host] -= 1
        return httpx.Response(200)

    monkeypatch.setattr(calling, "CALL_S", 60.0)
    telling = asyncio.create_task(calling.notify_due(client(answering)))
    while await sync_to_async(settled)(quick) != {"told": 12}:
        await asyncio.sleep(0.02)
    assert (await sync_to_async(settled)(slow))["waiting"] == 12
    let_go.set()
    await telling
    assert await sync_to_async(settled)(slow) == {"told": 12}
    assert max(most.values()) == promises.AT_ONCE


@pytest.mark.django_db(transaction=True)
async def test_two_workers_tell_nothing_twice(workspace, connection, announced_file):
    subscription = await _subscribed(workspace, "https://hooks.example.com")
    media = await sync_to_async(announced_file)()
    for _ in range(40):
        await sync_to_async(_happen)(workspace, media)
    told = []

    async def answering(request):
        told.append(request.headers["webhook-id"])
        await asyncio.sleep(0)
        return httpx.Response(200)

    await asyncio.gather(*(calling.notify_due(client(answering)) for _ in range(2)))
    assert len(told) == len(set(told)) == 40
    assert await sync_to_async(settled)(subscription) == {"told": 40}


@pytest.mark.django_db(transaction=True)
async def test_what_a_worker_held_when_it_died_is_told_after_its_lease_under_the_same_id(
    workspace, connection, announced_file, monkeypatch
):
    subscription = await _subscribed(workspace, "https://hooks.example.com")
    media = await sync_to_async(announced_file)()
    for _ in range(3):
        await sync_to_async(_happen)(workspace, media)
    seen, reached = [], asyncio.Event()

    async def hangs(request):
        seen.append(request.headers["webhook-id"])
        reached.set()
        await asyncio.Event().wait()

    dying = asyncio.create_task(calling.notify_due(client(hangs)))
    await reached.wait()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)

    async def takes(request):
        seen.append(request.headers["webhook-id"])
        return httpx.Response(200)

    before = list(seen)
    await calling.notify_due(client(takes))
    assert seen == before, "they are still in the hands of the dead"
    later = clock.now() + promises.LEASE
    monkeypatch.setattr(clock, "now", lambda: later)
    await calling.notify_due(client(takes))
    assert await sync_to_async(settled)(subscription) == {"told": 3}
    assert len(set(seen)) == 3
    assert set(before) <= set(seen[len(before) :])


@pytest.mark.django_db(transaction=True)
async def test_a_fault_of_ours_about_one_subscriber_stops_no_other(
    workspace, connection, announced_file, monkeypatch
):
    troubled, well = [
        await _subscribed(workspace, f"https://{name}.example.com") for name in ("troubled", "well")
    ]
    await sync_to_async(_happen)(workspace, await sync_to_async(announced_file)())
    write = calling._write

    def faulty(batch):
        if batch[0].subscription_id == troubled.pk:
            raise RuntimeError("ours")
        return write(batch)

    monkeypatch.setattr(calling, "_write", faulty)
    await calling.notify_due(client(lambda request: httpx.Response(200)))
    assert await sync_to_async(settled)(well) == {"told": 1}
    assert await sync_to_async(settled)(troubled) == {"waiting": 1}


def _happen(workspace, media):
    from acervo.models import Event, EventKind, Happened

    Event.objects.record(workspace.pk, [Happened(EventKind.READY, media.pk)])
