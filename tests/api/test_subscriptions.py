"""REST hooks as Zapier, Make and n8n use them: subscribe, be told, look at samples, unsubscribe."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from standardwebhooks import Webhook

from acervo.base import clock
from acervo.govern import api_tokens, subscriptions
from acervo.models import ApiToken, Event, EventKind, Happened, MediaFile, Role, Subscription
from acervo.notify import calling
from tests.conftest import make_file

pytestmark = pytest.mark.django_db
WISH = {"target_url": "https://hooks.example.com/catch/1", "events": ["media.ready"]}


@pytest.fixture
def zapier(program_of, alice):
    return program_of(alice)


@pytest.fixture
def tell(monkeypatch):
    """`tell()`: everything that is due, and the calls that were made."""

    async def here(do, *args, **kwargs):
        return await sync_to_async(do)(*args, **kwargs)

    monkeypatch.setattr(calling, "in_thread", here)

    @async_to_sync
    async def told():
        calls = []
        transport = httpx.MockTransport(lambda request: calls.append(request) or httpx.Response(200))
        await calling.notify_due(httpx.AsyncClient(transport=transport))
        return calls

    return told


def happen(workspace, media, kind=EventKind.READY):
    Event.objects.record(workspace.pk, [Happened(kind, media.pk)])


def test_whoever_subscribes_is_told_and_can_prove_by_whom(zapier, workspace, kept_file, tell):
    made = zapier.post("/subscriptions", {**WISH, "detail": "full"})
    assert made.status_code == 201
    assert made.json()["name"] == "hooks.example.com"
    happen(workspace, kept_file())
    (call,) = tell()
    read = Webhook(made.json()["secret"]).verify(call.content.decode(), dict(call.headers))
    assert read["data"]["person"]["name"] == "Marina Duarte"
    again = zapier.get(f"/subscriptions/{made.json()['id']}").json()
    assert again["state"] == "live"
    assert "secret" not in again


def test_a_secret_of_ones_own_is_taken(zapier, workspace, kept_file, tell):
    secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    zapier.post("/subscriptions", {**WISH, "secret": secret})
    happen(workspace, kept_file())
    (call,) = tell()
    Webhook(secret).verify(call.content.decode(), dict(call.headers))


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"target_url": "https://10.0.0.7/x"}, "hook_address_private"),
        ({"target_url": "http://hooks.example.com/x"}, "hook_address_private"),
        ({"target_url": "nothing"}, "hook_address"),
        ({"secret": "whsec_short"}, "hook_secret"),
        ({"events": []}, "not_as_described"),
        ({"events": ["media.sold"]}, "not_as_described"),
    ],
)
def test_what_cannot_be_is_refused_with_a_code(zapier, wrong, code):
    answer = zapier.post("/subscriptions", {**WISH, **wrong})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json().get("detail") or answer.json()["errors"]
    assert not Subscription.objects.exists()


def test_the_same_request_twice_subscribes_once(zapier):
    first, second = [zapier.post("/subscriptions", WISH, Idempotency_Key="one") for _ in range(2)]
    assert first.json() == second.json()
    assert Subscription.objects.count() == 1


def test_unsubscribing_ends_it_however_often(zapier, workspace, kept_file, tell):
    made = zapier.post("/subscriptions", WISH).json()
    happen(workspace, kept_file())
    for _ in range(2):
        assert zapier.delete(f"/subscriptions/{made['id']}").status_code == 204
    assert tell() == []
    assert zapier.get("/subscriptions").json()["items"] == []
    assert zapier.get(f"/subscriptions/{made['id']}").json()["state"] == "ended"


def test_nobody_finds_the_hooks_of_another_workspace(zapier, program_of, charlie):
    made = zapier.post("/subscriptions", WISH).json()
    theirs = program_of(charlie)
    assert theirs.get("/subscriptions").json()["items"] == []
    for answer in (
        theirs.get(f"/subscriptions/{made['id']}"),
        theirs.delete(f"/subscriptions/{made['id']}"),
        theirs.post(f"/subscriptions/{made['id']}/samples", {"event": "media.ready"}),
    ):
        assert answer.status_code == 404
    assert Subscription.objects.get().ended_at is None


def test_only_those_who_connect_systems_subscribe(program_of, bob, alice):
    assert program_of(bob).post("/subscriptions", WISH).json()["code"] == "role_too_narrow"
    assert program_of(alice, "media:read").post("/subscriptions", WISH).json()["code"] == "scope_missing"


def test_a_sample_is_on_its_way(zapier, tell):
    made = zapier.post("/subscriptions", WISH).json()
    sample = zapier.post(f"/subscriptions/{made['id']}/samples", {"event": "media.ready"})
    assert sample.status_code == 202
    (call,) = tell()
    assert call.headers["webhook-id"] == sample.json()["id"]


def test_a_hook_ends_with_its_token(zapier, program_of, alice):
    made = zapier.post("/subscriptions", WISH).json()
    assert made["expiration_date"]
    other = program_of(alice)
    other.post("/subscriptions", WISH)
    api_tokens.revoke(zapier.row, "test")
    assert [row.state for row in Subscription.objects.order_by("pk")] == ["ended", "silent"]
    ApiToken.objects.filter(pk=other.row.pk).update(expires_at=clock.now() - timedelta(seconds=1))
    subscriptions.end_orphans()
    assert {row.state for row in Subscription.objects.all()} == {"ended"}


def test_a_hook_ends_once_its_maker_may_not_connect_systems_any_more(
    zapier, alice, workspace, kept_file, tell
):
    """Somebody who is an agent from today on sees a part of the files; a hook would go on telling of all."""
    zapier.post("/subscriptions", WISH)
    alice.role = Role.AGENT
    alice.save()
    subscriptions.end_orphans()
    assert Subscription.objects.get().state == "ended"
    happen(workspace, kept_file())
    assert tell() == []


def test_hooks_of_people_and_of_good_tokens_stay(zapier, workspace):
    zapier.post("/subscriptions", WISH)
    subscriptions.subscribe(
        workspace.pk, subscriptions.Wish(WISH["target_url"], ["media.ready"]), by="member:x"
    )
    subscriptions.end_orphans()
    assert {row.state for row in Subscription.objects.all()} == {"silent"}


def test_what_happened_is_listed_newest_first_page_by_page(zapier, workspace, connection, kept_file):
    files = [kept_file() for _ in range(5)]
    for media in files:
        happen(workspace, media)
    happen(workspace, files[0], EventKind.ERASED)
    seen, after = [], ""
    while True:
        page = zapier.get("/events", {"type": "media.ready", "limit": 2, "after": after}).json()
        seen += [event["data"]["media"]["id"] for event in page["items"]]
        if not (after := page["next"] or ""):
            break
    assert seen == [media.slug for media in reversed(files)]
    assert zapier.get("/events").json()["items"][0]["type"] == "media.erased"


def test_events_show_what_the_token_may_see(
    program_of, alice, bob, team, charlie, workspace, connection, kept_file
):
    spoken = kept_file(kind="voice", caption="Olá")
    film = make_file(connection, kind="video")
    for media in (spoken, film):
        happen(workspace, media)
    (seen,) = program_of(bob).get("/events").json()["items"]
    assert seen["data"]["media"]["id"] == spoken.slug
    assert program_of(charlie).get("/events").json()["items"] == []
    without_people = program_of(alice, "media:read").get("/events").content.decode()
    assert "Marina" not in without_people
    assert "Marina" in program_of(alice).get("/events").content.decode()


def test_that_there_was_a_hidden_file_is_told_to_those_who_decide(
    program_of, alice, everybody, workspace, kept_file
):
    media = kept_file()
    happen(workspace, media)
    MediaFile.objects.filter(pk=media.pk).update(hidden_at=clock.now())
    (seen,) = program_of(alice).get("/events").json()["items"]
    assert seen["data"] == {"media": {"id": media.slug, "state": "hidden"}}
    assert program_of(everybody["manager"]).get("/events").json()["items"] == []


def test_samples_are_real_where_something_happened_and_invented_elsewhere(zapier, workspace, kept_file):
    invented = zapier.get("/events/media.ready/samples").json()
    assert [event["is_sample"] for event in invented] == [True]
    media = kept_file()
    happen(workspace, media)
    (real,) = zapier.get("/events/media.ready/samples").json()
    assert real["data"]["media"]["id"] == media.slug
    assert real.keys() == invented[0].keys()
    assert real["data"].keys() == invented[0]["data"].keys()
    assert zapier.get("/events/media.sold/samples").status_code == 422
