"""Earlier files for one CRM: counted, promised in portions after everything fresh, paused, ended, and accounted for."""

from datetime import timedelta

import pytest

from acervo.base import clock, ids
from acervo.crms.fake.adapter import FakeCrm
from acervo.deliver import backfill, outbox, review
from acervo.deliver.backfill import BackfillOver, BackfillRuns, NothingToBackfill
from acervo.models import AuditEntry, Backfill, Delivery, MediaFile
from acervo.organise import address
from tests.conftest import make_person
from tests.deliver.conftest import PHONE, make_crm, refusing

BY = "member:01TEST"


def ask(crm, query=""):
    return backfill.ask(crm, query=query, by=BY, chosen_by=address.found_in)


def go_on(crm):
    return backfill.go_on(crm.pk, chosen_by=address.found_in)


@pytest.fixture
def portions(monkeypatch):
    """`portions(n)`: so many files a look, and the next one as soon as fewer than that are open."""

    def small(size):
        monkeypatch.setattr(backfill, "PORTION", size)
        monkeypatch.setattr(backfill, "LOW", 1)

    return small


@pytest.fixture
def run_out(deliver):
    """`run_out(crm)`: what the job of a connection does, until nothing is left to do."""

    def all_of_it(crm, through=FakeCrm, limit=100):
        outcomes = []
        while True:
            outcomes.append(deliver(crm, through, limit=limit))
            if not go_on(crm) and not outcomes[-1].claimed:
                return outcomes

    return all_of_it


def held(crm):
    return sorted(record.values["media_id"] for record in crm.account.live("media"))


def test_files_people_and_calls_are_counted_before_anything_starts(workspace, prepared, person):
    crm = make_crm(workspace)
    outbox.promise([prepared(person=person).pk])
    for _ in range(3):
        prepared(person=person)
    prepared(person=make_person(workspace, phone="+15555550143"), kind="video")
    found = backfill.look(crm, "", address.found_in)
    assert (found.files, found.people, found.strangers, found.already) == (4, 2, 2, 1)
    assert found.calls >= 4
    assert found.seconds > 0
    assert backfill.look(crm, "kind=video", address.found_in).files == 1
    assert not Backfill.objects.exists()
    assert Delivery.objects.filter(connection=crm).count() == 1


def test_a_run_writes_every_file_once_and_says_what_became_of_it(workspace, prepared, portions, run_out):
    crm = make_crm(workspace)
    people = [make_person(workspace, phone=f"+1555555014{n}") for n in range(4)]
    files = [prepared(person=people[n % 4]) for n in range(12)]
    portions(5)
    run = ask(crm)
    assert (run.total, run.people) == (12, 4)
    run_out(crm)
    run.refresh_from_db()
    assert (run.state, run.promised, run.written, run.unchanged) == ("finished", 12, 12, 0)
    assert held(crm) == sorted(file.slug for file in files)
    assert len(crm.account.live("contact")) == 4
    assert not Delivery.objects.filter(backfill__isnull=False).exists()
    told = AuditEntry.objects.filter(subject_id=run.pk).order_by("number")
    actions = list(told.values_list("action", flat=True))
    assert actions == ["backfill.started", "backfill.finished"]
    assert go_on(crm) == 0


def test_the_files_of_a_person_come_together(workspace, prepared, portions):
    crm = make_crm(workspace)
    anna, bruno = (make_person(workspace, phone=f"+1555555014{n}") for n in range(2))
    for n in range(8):
        prepared(person=anna if n % 2 else bruno)
    portions(2)
    ask(crm)
    assert go_on(crm) == 4, "the two newest, and as many of the same people"
    whose = [row.media.person_id for row in outbox.claim(crm.pk)]
    assert sorted(set(map(whose.index, whose))) == [0, whose.count(whose[0])]


def test_what_arrives_meanwhile_goes_first(workspace, prepared, portions):
    crm = make_crm(workspace)
    for _ in range(6):
        prepared()
    portions(6)
    ask(crm)
    assert go_on(crm) == 6
    fresh = prepared()
    outbox.promise([fresh.pk])
    assert [row.media_id for row in outbox.claim(crm.pk, 1)] == [fresh.pk]


def test_files_that_came_after_it_was_asked_for_are_not_its_business(workspace, prepared, run_out):
    crm = make_crm(workspace)
    old = prepared()
    run = ask(crm)
    prepared()
    run_out(crm)
    assert held(crm) == [old.slug]
    run.refresh_from_db()
    assert run.total == run.written == 1


def test_only_what_the_query_names_is_promised(workspace, prepared, run_out):
    crm = make_crm(workspace)
    video = prepared(kind="video")
    prepared(kind="voice")
    ask(crm, "kind=video")
    run_out(crm)
    assert held(crm) == [video.slug]


def test_nobody_may_open_it_so_no_crm_hears_of_it(workspace, prepared, run_out):
    crm = make_crm(workspace)
    kept, hidden = prepared(), prepared()
    MediaFile.objects.filter(pk=hidden.pk).update(erase_asked_at=clock.now())
    assert ask(crm).total == 1
    run_out(crm)
    assert held(crm) == [kept.slug]


def test_one_run_at_a_time_and_none_for_nothing(workspace, prepared, run_out):
    crm = make_crm(workspace)
    with pytest.raises(NothingToBackfill):
        ask(crm)
    prepared()
    ask(crm)
    with pytest.raises(BackfillRuns):
        ask(crm)
    run_out(crm)
    with pytest.raises(NothingToBackfill):
        ask(crm)


def test_while_it_is_paused_only_fresh_promises_are_kept(workspace, prepared, portions, run_out):
    crm = make_crm(workspace)
    old = [prepared() for _ in range(6)]
    portions(3)
    run = ask(crm)
    go_on(crm)
    backfill.pause(run, BY)
    backfill.pause(run, BY)
    fresh = prepared()
    outbox.promise([fresh.pk])
    run_out(crm)
    assert held(crm) == [fresh.slug]
    assert run.state == "paused"
    assert crm.pk not in outbox.due_connections()
    backfill.resume(run, BY)
    assert crm.pk in outbox.due_connections()
    run_out(crm)
    assert len(held(crm)) == len(old) + 1
    assert AuditEntry.objects.filter(action="backfill.paused").count() == 1


def test_ending_it_takes_back_what_was_not_tried_and_leaves_what_was_written(
    workspace, prepared, portions, deliver
):
    crm = make_crm(workspace)
    for n in range(6):
        prepared(person=make_person(workspace, phone=f"+1555555014{n}"))
    portions(6)
    run = ask(crm)
    go_on(crm)
    deliver(crm, limit=2)
    [in_hand] = outbox.claim(crm.pk, 1)
    backfill.cancel(run, BY)
    assert (run.state, run.promised, run.written) == ("cancelled", 3, 2)
    assert [row.pk for row in Delivery.objects.filter(connection=crm, delivered_at=None)] == [in_hand.pk]
    assert go_on(crm) == 0
    for turn in (backfill.pause, backfill.resume, backfill.cancel):
        with pytest.raises(BackfillOver):
            turn(run, BY)
    assert ask(crm).total == 3, "another run takes up what this one left"


def test_the_report_says_why_and_a_person_who_takes_it_up_comes_first(
    workspace, prepared, person, run_out, portions
):
    crm = make_crm(workspace)
    for name in ("Ana", "Anna"):
        crm.account.add("contact", {"first_name": name, "phone": PHONE})
    unclear = prepared(person=person)
    clear = prepared(person=make_person(workspace, phone="+15555550143"))
    run = ask(crm)
    run_out(crm)
    run.refresh_from_db()
    assert run.state == "finished"
    found = backfill.report(run)
    assert (found.written, found.waiting, found.trying, found.queued, found.to_come) == (
        1,
        {"ambiguous": 1},
        {},
        0,
        0,
    )
    row = Delivery.objects.get(media=unclear, connection=crm)
    review.choose_offered(row, crm.account.live("contact")[0].id, by=BY)
    assert backfill.report(run).taken_up == 1
    run_out(crm)
    assert held(crm) == sorted([unclear.slug, clear.slug])
    assert backfill.report(run).done == 2


def test_a_crm_that_is_away_ends_nothing_and_is_counted_once(workspace, prepared, run_out):
    crm = make_crm(workspace)
    prepared()
    run = ask(crm)
    run_out(crm, refusing("unavailable"))
    run.refresh_from_db()
    assert run.state == "running"
    assert backfill.report(run).trying == {"unavailable": 1}
    type(crm).objects.filter(pk=crm.pk).update(breaker_open_until=None)
    Delivery.objects.update(due_at=clock.now())
    run_out(crm)
    run.refresh_from_db()
    assert (run.state, run.written) == ("finished", 1)


def test_a_file_the_crm_holds_already_is_counted_as_unchanged(workspace, prepared, deliver):
    crm = make_crm(workspace)
    prepared()
    run = ask(crm)
    go_on(crm)
    row = Delivery.objects.get(connection=crm)
    deliver(crm)
    Delivery.objects.filter(pk=row.pk).update(delivered_at=None, backfill=run)
    Backfill.objects.filter(pk=run.pk).update(written=0)
    deliver(crm)
    run.refresh_from_db()
    assert (run.written, run.unchanged) == (0, 1)


def test_a_file_that_changes_afterwards_is_fresh(workspace, prepared, run_out, portions):
    crm = make_crm(workspace)
    file = prepared()
    run = ask(crm)
    run_out(crm)
    MediaFile.objects.filter(pk=file.pk).update(caption="changed", changed_at=clock.now())
    outbox.renew([file.pk])
    row = Delivery.objects.get(connection=crm)
    assert (row.delivered_at, row.backfill_id) == (None, None)
    run.refresh_from_db()
    assert backfill.report(run).written == 1


def test_a_resting_connection_gets_no_new_promises(workspace, prepared):
    crm = make_crm(workspace)
    prepared()
    ask(crm)
    type(crm).objects.filter(pk=crm.pk).update(breaker_open_until=clock.now() + timedelta(hours=1))
    assert go_on(crm) == 0
    assert not Delivery.objects.filter(connection=crm).exists()


def test_the_pace_is_told_once_something_was_written(workspace, prepared, portions, deliver):
    crm = make_crm(workspace)
    for _ in range(4):
        prepared()
    run = ask(crm)
    assert backfill.pace(run, backfill.turns([run])[run.pk]) is None
    go_on(crm)
    deliver(crm, limit=1)
    run.refresh_from_db()
    found = backfill.pace(run, backfill.turns([run])[run.pk])
    assert found is not None
    assert found.per_minute > 0
    assert ids.text(run.pk) == str(run)
