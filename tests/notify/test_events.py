"""Facts become events in their own transaction: by the deeds of the audit trail, and by the journey."""

from __future__ import annotations

import pytest
from django.db import transaction

from acervo import journey
from acervo.base import clock
from acervo.models import AuditEntry, Deed, Event, EventDelivery, EventKind
from acervo.models.subscription import ANNOUNCED
from acervo.notify import promises
from acervo.web import words

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("action", "kind"), ANNOUNCED.items())
def test_a_deed_that_others_may_hear_of_is_an_event(workspace, subscribe, kept_file, action, kind):
    media, subscription = kept_file(), subscribe(*EventKind.values)
    details = {"connection": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "record": "7", "segments": 3, "secret": "x"}
    AuditEntry.objects.record(workspace.pk, "test", [Deed(action, "file", media.pk, "because", details)])
    event = Event.objects.get()
    assert (event.kind, event.subject_id) == (kind, media.pk)
    assert event.facts == {
        "deed": action, "reason": "because", "connection": details["connection"], "record": "7",
    }  # fmt: skip
    assert subscription.deliveries.get().event == event


def test_every_announced_deed_is_one_that_happens():
    assert set(ANNOUNCED) <= set(words.ACTIONS)
    assert set(ANNOUNCED.values()) | {EventKind.READY} == set(EventKind)


def test_other_deeds_are_nobodys_business(workspace, subscribe, kept_file):
    subscribe(*EventKind.values)
    AuditEntry.objects.record(workspace.pk, "test", [Deed("file.played", "file", kept_file().pk)])
    assert not Event.objects.exists()


def test_a_fact_that_is_undone_was_never_an_event(workspace, subscribe, kept_file):
    subscribe(*EventKind.values)
    media = kept_file()
    with transaction.atomic():
        AuditEntry.objects.record(workspace.pk, "test", [Deed("file.kept", "file", media.pk)])
        transaction.set_rollback(True)
    assert not Event.objects.exists()
    assert not EventDelivery.objects.exists()


def test_three_tags_put_on_at_once_are_one_event(workspace, kept_file):
    journey.tag_file(kept_file(), ["defeito", "urgente", "garantia"], by="test")
    assert [event.kind for event in Event.objects.all()] == ["media.tagged"]


def test_a_prepared_file_is_ready_and_one_of_an_old_chat_is_not_news(
    subscribe, kept_file, workspace, connection
):
    from acervo.models import ChatImport

    subscribe("media.ready")
    arrived, imported = kept_file(), kept_file()
    run = ChatImport.objects.create(
        workspace=workspace, connection=connection, person=imported.person, archive_name="x.zip",
        archive_sha256="0" * 64, time_zone="UTC", asked_by="test",
    )  # fmt: skip
    imported.message.chat_import = run
    imported.message.save()
    for media in (arrived, imported):
        journey._prepared(media.pk)
    assert [event.subject_id for event in Event.objects.filter(kind="media.ready")] == [arrived.pk]


def test_events_are_forgotten_after_a_month(subscribe, happen, kept_file, hand):
    subscription, media = subscribe("media.ready"), kept_file()
    happen(media)
    hand.move(days=29)
    young = happen(media)
    assert promises.forget(100) == 0
    hand.move(days=2)
    assert promises.forget(100) == 1
    assert Event.objects.get() == young
    assert subscription.deliveries.count() == 1
    promises.end(subscription, "test", "by_hand", clock.now())
    hand.move(days=31)
    promises.forget(100)
    assert not type(subscription).objects.exists()
