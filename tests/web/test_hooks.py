"""Hooks on pages: added, tried, looked into, told again, ended; and nothing of another workspace."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from acervo.base import clock, ids
from acervo.govern import subscriptions
from acervo.govern.subscriptions import Wish
from acervo.models import AuditEntry, Event, EventDelivery, EventKind, EventTry, Happened, Subscription

pytestmark = pytest.mark.django_db
URL = "https://hooks.example.com/catch/1"
ADDED = {"url": f" {URL} ", "name": "", "events": ["media.ready", "media.erased"], "detail": "facts"}


@pytest.fixture
def hook(workspace):
    return subscriptions.subscribe(workspace.pk, Wish(URL, ["media.ready"], "Zapier"), by="test")[0]


@pytest.fixture
def told(workspace, hook, kept_file):
    """`told(code="timed_out")`: an event, and what came of telling it."""

    def make(code="ok", **facts):
        media = kept_file()
        Event.objects.record(workspace.pk, [Happened(EventKind.READY, media.pk)])
        row = EventDelivery.objects.order_by("-event_id").first()
        is_ok = code == "ok"
        moments = {"delivered_at": clock.now()} if is_ok else {"refusal": code, "refused_at": clock.now()}
        EventDelivery.objects.filter(pk=row.pk).update(attempts=1, **moments, **facts)
        status = {"ok": 204, "server_error": 500}.get(code)
        EventTry.objects.create(delivery=row, at=clock.now(), took_ms=37, code=code, http_status=status)
        row.refresh_from_db()
        return row

    return make


def text_of(response):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def test_a_hook_is_added_and_its_secret_is_shown_once(page_of, alice):
    page = page_of(alice)
    answer = page.post(reverse("new_hook"), ADDED)
    (secret,) = set(re.findall(r"whsec_[A-Za-z0-9+/=]+", answer.content.decode()))
    row = Subscription.objects.get()
    assert (row.url, row.name, row.events) == (URL, "hooks.example.com", ["media.ready", "media.erased"])
    assert "no-store" in answer.headers["Cache-Control"]
    assert "whsec_" not in page.get(reverse("hook", args=[row.pk])).content.decode()
    entry = AuditEntry.objects.get(action="subscription.made")
    assert URL not in str(entry.details)
    assert secret not in str(entry.details)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"url": "http://hooks.example.com"}, "must begin with https"),
        ({"url": "https://10.0.0.7/x"}, "must begin with https"),
        ({"url": "https://localhost/x"}, "must begin with https"),
        ({"url": "hooks.example.com"}, "no address that can be called"),
        ({"url": ""}, "no address that can be called"),
        ({"url": "https://name:word@example.com/"}, "no address that can be called"),
        ({"url": "https://exa mple.com/"}, "no address that can be called"),
        ({"events": []}, "Choose at least one event"),
        ({"events": ["media.sold"]}, "Choose at least one event"),
        ({"detail": "all"}, "Choose one of the answers"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(page_of, alice, wrong, said):
    answer = page_of(alice).post(reverse("new_hook"), {**ADDED, "name": "Zapier", **wrong})
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert 'value="Zapier"' in answer.content.decode()
    assert not Subscription.objects.exists()


def test_an_address_in_the_own_network_is_taken_when_the_operator_named_it(page_of, alice, settings):
    settings.ACERVO_ALLOW_PRIVATE_HOSTS = ("n8n.internal:5678",)
    page_of(alice).post(reverse("new_hook"), {**ADDED, "url": "http://n8n.internal:5678/webhook/1"})
    assert Subscription.objects.get().url == "http://n8n.internal:5678/webhook/1"


def test_the_log_tells_each_try_and_leads_to_the_file(page_of, alice, hook, told):
    told(), told("server_error", stopped_at=clock.now())
    answer = page_of(alice).get(reverse("hook", args=[hook.pk]))
    said = text_of(answer)
    for words in ("HTTP 204", "HTTP 500", "37 ms", "It answered with an error of its own", "Not told"):
        assert words in said
    assert f'href="/m/{ids.text(Event.objects.first().subject_id)}"' in answer.content.decode()


def test_the_log_is_filtered_and_goes_on(page_of, alice, hook, told, monkeypatch):
    from acervo.web import event_log

    monkeypatch.setattr(event_log, "PAGE_SIZE", 2)
    rows = [told("ok" if number else "timed_out") for number in range(4)]
    page = page_of(alice)
    here = reverse("hook", args=[hook.pk])
    failed = page.get(here, {"state": "trying"}).content.decode()
    assert [row for row in rows if ids.text(row.event_id) in failed] == rows[:1]
    first = page.get(here).content.decode()
    (older,) = set(re.findall(r'href="(/settings/hooks/[^"]*before=[^"]*)"', first))
    second = page.get(older.replace("&amp;", "&")).content.decode()
    shown = lambda html: [row for row in rows if f"again-{ids.text(row.event_id)}" in html]  # noqa: E731
    assert (shown(first), shown(second)) == (rows[2:], rows[:2])
    assert "Nothing fits these filters" in text_of(page.get(here, {"event": "media.erased"}))


def test_one_event_is_told_again_or_all_that_were_not_taken(page_of, alice, hook, told):
    well, failed, given_up = told(), told("timed_out"), told("server_error", stopped_at=clock.now())
    page, address = page_of(alice), reverse("replay_events", args=[hook.pk])
    page.post(address)
    for row in (well, failed, given_up):
        row.refresh_from_db()
    assert well.delivered_at
    assert [(row.stopped_at, row.attempts) for row in (failed, given_up)] == [(None, 0)] * 2
    page.post(address, {"event": ids.text(well.event_id)})
    well.refresh_from_db()
    assert (well.delivered_at, well.attempts) == (None, 0)
    assert AuditEntry.objects.filter(action="subscription.replayed").count() == 2
    assert page.post(address, {"event": "nonsense"}).status_code == 404


def test_a_sample_goes_the_way_of_a_real_event(page_of, alice, hook):
    page = page_of(alice)
    page.post(reverse("sample_hook", args=[hook.pk]), {"event": "media.erased"})
    event = Event.objects.get()
    assert (event.kind, event.is_sample, event.deliveries.get().subscription) == ("media.erased", True, hook)
    assert "Sample" in text_of(page.get(reverse("hook", args=[hook.pk])))
    page.post(reverse("sample_hook", args=[hook.pk]), {"event": "media.sold"})
    assert Event.objects.count() == 1


def test_what_waited_while_it_was_paused_is_told_or_let_go(page_of, alice, workspace, hook, kept_file):
    page = page_of(alice)
    for way, state in (("", "waiting"), ("drop", "stopped")):
        page.post(reverse("pause_hook", args=[hook.pk]))
        Event.objects.record(workspace.pk, [Happened(EventKind.READY, kept_file().pk)])
        said = text_of(page.get(reverse("hook", args=[hook.pk])))
        assert "Resume, and tell the" in said
        page.post(reverse("resume_hook", args=[hook.pk]), {"waiting": way})
        assert EventDelivery.objects.order_by("-event_id").first().state == state
    hook.refresh_from_db()
    assert hook.paused_at is None


def test_a_hook_that_was_switched_off_says_so_where_people_look(page_of, alice, hook):
    Subscription.objects.filter(pk=hook.pk).update(
        paused_at=clock.now(), paused_by="system:notify", pause_reason="failing"
    )
    page = page_of(alice)
    for address in (reverse("hooks"), reverse("hook", args=[hook.pk])):
        assert "It took nothing for five days" in text_of(page.get(address))
    assert "Zapier" in text_of(page.get(reverse("health")))


def test_a_removed_hook_is_told_nothing_and_its_secret_is_gone(page_of, alice, hook, told):
    row = told("timed_out")
    page = page_of(alice)
    assert "1 event that waits is not told any more" in text_of(
        page.get(reverse("remove_hook", args=[hook.pk]))
    )
    page.post(reverse("remove_hook", args=[hook.pk]))
    hook.refresh_from_db()
    row.refresh_from_db()
    assert (hook.state, hook.sealed_secrets, row.state) == ("ended", None, "stopped")
    assert "It was removed by hand" in text_of(page.get(reverse("hooks")))
    assert page.post(reverse("pause_hook", args=[hook.pk])).status_code == 404


def test_a_renewed_secret_is_shown_once(page_of, alice, hook):
    answer = page_of(alice).post(reverse("renew_hook_secret", args=[hook.pk]))
    assert "whsec_" in answer.content.decode()
    assert "signs beside the new one until" in text_of(answer)


def test_a_changed_address_is_in_the_audit_by_name_only(page_of, alice, hook):
    page_of(alice).post(
        reverse("edit_hook", args=[hook.pk]), {**ADDED, "url": "https://other.example.com/secret-key"}
    )
    entry = AuditEntry.objects.get(action="subscription.changed")
    assert "url" in entry.reason
    assert "secret-key" not in entry.reason + str(entry.details)


def test_the_empty_list_says_what_hooks_are_for(page_of, alice):
    assert "Nobody is told yet" in text_of(page_of(alice).get(reverse("hooks")))


def test_an_address_is_whole_only_for_those_who_may_change_it(page_of, everybody, hook):
    for role, sees in (("administrator", True), ("auditor", False), ("manager", False)):
        for address in (reverse("hooks"), reverse("hook", args=[hook.pk])):
            page = page_of(everybody[role]).get(address).content.decode()
            assert ("/catch/1" in page, "hooks.example.com" in page) == (sees, True)
