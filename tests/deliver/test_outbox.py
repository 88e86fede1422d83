"""Promises: made once, claimed by one, taken up again by whoever may."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from acervo.base import clock
from acervo.deliver import outbox, parcels
from acervo.models import AuditEntry, Delivery, MediaFile
from tests.conftest import make_connection, make_person
from tests.deliver.conftest import make_crm

BY = "member:01TEST"


def test_a_file_promised_twice_is_promised_once(crm, prepared):
    file = prepared()
    assert outbox.promise([file.pk]) == 1
    assert outbox.promise([file.pk]) == 0
    assert Delivery.objects.filter(media=file).count() == 1


def test_the_database_refuses_a_second_promise(promised):
    row = promised()
    with pytest.raises(IntegrityError, match="file_is_promised_to_a_crm_once"), transaction.atomic():
        Delivery.objects.create(
            workspace_id=row.workspace_id, connection_id=row.connection_id, media_id=row.media_id,
            promised_at=row.promised_at, due_at=row.due_at,
        )  # fmt: skip


def test_a_file_is_promised_to_every_crm_of_its_workspace_and_to_no_other(
    crm, workspace, other_workspace, prepared
):
    second, foreign = make_crm(workspace), make_crm(other_workspace)
    file = prepared()
    assert outbox.promise([file.pk]) == 2
    assert set(file.deliveries.values_list("connection", flat=True)) == {crm.pk, second.pk}
    assert not Delivery.objects.filter(connection=foreign).exists()


def test_a_paused_crm_is_promised_too_and_a_removed_one_is_not(crm, workspace, prepared):
    crm.pause(by=BY, reason="by_hand", at=clock.now())
    removed = make_crm(workspace, removed_at=clock.now(), removed_by=BY)
    file = prepared()
    assert outbox.promise([file.pk]) == 1
    assert not Delivery.objects.filter(connection=removed).exists()


def test_a_file_that_is_not_kept_and_prepared_is_not_promised(crm, announced_file, prepared):
    raw = prepared()
    MediaFile.objects.filter(pk=raw.pk).update(prepared_at=None)
    assert outbox.promise([announced_file().pk, raw.pk]) == 0


def test_a_promise_of_a_transaction_that_fails_was_never_made(crm, prepared):
    file = prepared()

    def promise_and_fail():
        with transaction.atomic():
            outbox.promise([file.pk])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        promise_and_fail()
    assert not Delivery.objects.exists()


def test_what_is_claimed_is_not_claimed_again_until_its_lease_is_over(crm, promised, monkeypatch):
    row = promised()
    assert [claimed.pk for claimed in outbox.claim(crm.pk)] == [row.pk]
    assert outbox.claim(crm.pk) == []
    later = clock.now() + outbox.LEASE + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert [claimed.pk for claimed in outbox.claim(crm.pk)] == [row.pk]


def test_a_lease_that_passed_to_another_is_not_prolonged(crm, promised, monkeypatch):
    promised()
    first = outbox.claim(crm.pk)
    later = clock.now() + outbox.LEASE + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    second = outbox.claim(crm.pk)
    assert outbox.prolong(first) == set()
    assert outbox.prolong(second) == {second[0].pk}


def test_a_contact_has_one_writer_at_a_time(crm, promised, workspace, person):
    first = promised(person=person)
    assert [row.pk for row in outbox.claim(crm.pk)] == [first.pk]
    promised(person=person)
    others = promised(person=make_person(workspace, phone="+15555550143"))
    assert [row.pk for row in outbox.claim(crm.pk)] == [others.pk]


@pytest.mark.django_db(transaction=True)
def test_many_who_claim_at_once_never_share_a_file_nor_a_person(crm, promised, workspace):
    people = [make_person(workspace, phone=f"+155555501{number:02}") for number in range(8)]
    for person in people * 3:
        promised(person=person)
    start = threading.Barrier(4)

    def claim(_):
        start.wait()
        try:
            return outbox.claim(crm.pk, limit=4)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        hauls = list(threads.map(claim, range(4)))
    claimed = [row.pk for haul in hauls for row in haul]
    assert claimed
    assert len(claimed) == len(set(claimed))
    holders = [{row.media.person_id for row in haul} for haul in hauls]
    assert sum(map(len, holders)) == len(set().union(*holders))


@pytest.mark.parametrize(
    "stop",
    [
        {"paused_at": clock.now(), "paused_by": BY, "pause_reason": "by_hand"},
        {"removed_at": clock.now(), "removed_by": BY},
        {"breaker_open_until": clock.now() + timedelta(hours=1)},
    ],
    ids=["paused", "removed", "resting"],
)
def test_nothing_is_claimed_for_a_connection_that_may_not_be_written_to(crm, promised, stop):
    promised()
    assert outbox.due_connections() == [crm.pk]
    type(crm).objects.filter(pk=crm.pk).update(**stop)
    assert outbox.claim(crm.pk) == []
    assert outbox.due_connections() == []


def test_another_workspaces_file_is_never_handed_to_a_crm_even_if_a_row_says_so(
    crm, prepared, other_workspace
):
    foreign = prepared(make_connection(other_workspace, "meta_cloud"))
    now = clock.now()
    Delivery.objects.create(
        workspace=crm.workspace, connection=crm, media=foreign, promised_at=now, due_at=now
    )
    assert outbox.claim(crm.pk) == []


def delivered(row, crm):
    parcel = parcels.load([row])[0]
    Delivery.objects.filter(pk=row.pk).update(delivered_at=clock.now(), payload_hash=parcel.payload_hash)


def test_a_file_that_changed_is_due_again_and_one_that_did_not_is_left_alone(crm, promised):
    changed, same = promised(), promised()
    delivered(changed, crm)
    delivered(same, crm)
    MediaFile.objects.filter(pk=changed.media_id).update(kind="audio")
    assert outbox.renew([changed.media_id, same.media_id]) == 1
    changed.refresh_from_db()
    same.refresh_from_db()
    assert changed.delivered_at is None
    assert same.delivered_at is not None


def test_a_change_nobody_told_us_of_is_found_by_its_moment(promised, crm):
    changed, earlier = promised(), promised()
    since = clock.now() + timedelta(seconds=1)
    for row in (changed, earlier):
        delivered(row, crm)
        MediaFile.objects.filter(pk=row.media_id).update(kind="audio")
    MediaFile.objects.filter(pk=changed.media_id).update(changed_at=since + timedelta(seconds=1))
    assert outbox.renew_changed(since) == 1
    assert outbox.renew_changed(since) == 0
    assert Delivery.objects.get(delivered_at=None).pk == changed.pk


def stop(row, refusal, **facts):
    now = clock.now()
    Delivery.objects.filter(pk=row.pk).update(
        stopped_at=now, refusal=refusal, refused_at=now, refusal_facts=facts, attempts=3
    )


def test_a_stopped_promise_is_due_again_when_somebody_asks_and_it_is_written_who(crm, promised):
    row = promised()
    stop(row, "validation")
    assert outbox.claim(crm.pk) == []
    outbox.retry(row, by=BY)
    assert [claimed.pk for claimed in outbox.claim(crm.pk)] == [row.pk]
    entry = AuditEntry.objects.get(action="delivery.retried")
    assert (entry.by, entry.reason, entry.subject_id) == (BY, "validation", row.media_id)


def test_asking_for_a_promise_already_kept_changes_nothing(crm, promised):
    row = promised()
    delivered(row, crm)
    outbox.retry(row, by=BY)
    row.refresh_from_db()
    assert row.delivered_at
    assert not AuditEntry.objects.exists()
