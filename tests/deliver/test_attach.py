"""Promises kept: each file once on the right record, whatever the CRM does meanwhile."""

import asyncio
import logging
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async

from acervo.base import clock
from acervo.base.database import in_thread
from acervo.crms.contract import ContactMatch, CrmError, CrmErrorKind, RecordRef, SchemaReport, WriteResult
from acervo.crms.fake.adapter import FakeCrm
from acervo.crms.fields import written
from acervo.deliver import fields, outbox, records
from acervo.models import AuditEntry, Connection, Delivery, MediaFile, PersonIdentifier, RecordLink
from tests.conftest import make_person
from tests.deliver.conftest import PHONE, make_crm, refusing

BY = "member:01TEST"


def held(crm):
    """Our ids of the files in the CRM, doubles included."""
    return sorted(record.values["media_id"] for record in crm.account.live("media"))


def fresh(row):
    return Delivery.objects.select_related("media").get(pk=row.pk)


def wait_over(crm):
    """As if the back-off had passed."""
    now = clock.now()
    Delivery.objects.filter(connection=crm, stopped_at=None).update(due_at=now)
    Connection.objects.filter(pk=crm.pk).update(breaker_open_until=None)


def test_a_file_arrives_once_on_a_new_contact_and_all_is_remembered(crm, promised, deliver, person):
    row = promised(person=person, caption="my contract")
    outcome = deliver(crm)
    assert (outcome.claimed, outcome.delivered, outcome.halted_by) == (1, 1, None)
    [contact], [record] = crm.account.live("contact"), crm.account.live("media")
    assert record.values == written(fields.media_link(MediaFile.objects.select_related(
        "connection", "workspace").get(pk=row.media_id)))  # fmt: skip
    assert contact.id in record.tied_to
    assert contact.values["phone_e164"] == PHONE
    assert contact.values["media_count"] == "1"
    links = {link.object_type: link for link in RecordLink.objects.filter(connection=crm)}
    assert (links["contact"].record_id, links["contact"].reason) == (contact.id, "created")
    assert (links["media"].record_id, links["media"].reason) == (record.id, "written")
    row = fresh(row)
    assert row.state == "delivered"
    assert row.claimed_until is None
    entry = AuditEntry.objects.get(action="file.delivered")
    assert (entry.by, entry.subject_id, entry.details["record"]) == (
        "system:deliver",
        row.media_id,
        record.id,
    )
    assert (Connection.objects.get(pk=crm.pk)).last_success_at
    assert (deliver(crm)).claimed == 0


def test_a_contact_typed_in_by_people_is_found_verified_and_completed(crm, promised, deliver, person):
    typed = crm.account.add(
        "contact", {"first_name": "Dona", "last_name": "Marina", "phone": "+1 (555) 555-0142"}
    )
    crm.account.add("contact", {"phone": "+1 555 555 0199"})
    promised(person=person)
    deliver(crm)
    assert len(crm.account.live("contact")) == 2
    assert typed.values["phone_e164"] == PHONE
    assert typed.values["first_name"] == "Dona"
    link = RecordLink.objects.get(person=person)
    assert (link.record_id, link.reason) == (typed.id, "matched_phone")


def test_a_person_without_a_number_gets_a_contact_by_our_id_and_keeps_it(crm, promised, deliver, workspace):
    nameless = make_person(workspace, name="", phone=None)
    for _ in range(2):
        promised(person=nameless)
        deliver(crm)
    [contact] = crm.account.live("contact")
    assert contact.values["person_id"]
    assert "phone_e164" not in contact.values
    assert len(held(crm)) == 2


def test_fields_are_ensured_once_before_the_first_write(crm, promised, deliver):
    asked = []

    class Counting(FakeCrm):
        async def ensure_schema(self, *, dry_run=False, told=None):
            asked.append(len(self.account.records))
            return SchemaReport(
                created=("media.title",), options={"model": "object", "object_type_id": "2-7"}
            )

    promised()
    deliver(crm, Counting)
    promised()
    deliver(crm, Counting)
    assert asked == [0]
    row = Connection.objects.get(pk=crm.pk)
    assert row.options["object_type_id"] == "2-7"
    assert row.options["schema_at"]
    assert (AuditEntry.objects.get(action="connection.fields_ensured")).details["created"] == 1


@pytest.mark.django_db(transaction=True)
async def test_deliveries_side_by_side_write_each_file_once(crm, deliver_async, promised, workspace):
    def prepare():
        people = [make_person(workspace, phone=f"+155555501{number}") for number in range(50, 56)]
        return [promised(person=person).media.slug for person in people * 3]

    class Slow(FakeCrm):
        async def upsert_media(self, items):
            await asyncio.sleep(0.01)
            return await super().upsert_media(items)

    async def side_by_side():
        return await asyncio.gather(*(deliver_async(crm, Slow, limit=5) for _ in range(3)))

    slugs = await in_thread(prepare)
    while any(outcome.claimed for outcome in await side_by_side()):
        pass
    assert held(crm) == sorted(slugs)
    assert len(crm.account.live("contact")) == 6
    assert await AuditEntry.objects.filter(action="file.delivered").acount() == len(slugs)


def test_one_bad_file_does_not_hold_up_the_others(crm, promised, deliver):
    good, bad, better = [promised() for _ in range(3)]

    class Picky(FakeCrm):
        async def _write(self, item):
            if item.media_id == bad.media.slug:
                error = CrmError(CrmErrorKind.VALIDATION, status=400, vendor_code="INVALID_OPTION")
                return WriteResult(item.media_id, error=error)
            return await super()._write(item)

    outcome = deliver(crm, Picky)
    assert (outcome.delivered, outcome.stopped, outcome.halted_by) == (2, 1, None)
    assert held(crm) == sorted([good.media.slug, better.media.slug])
    bad = fresh(bad)
    assert (bad.state, bad.refusal) == ("stopped", "validation")
    assert bad.refusal_facts == {"status": 400, "vendor_code": "INVALID_OPTION"}
    assert (AuditEntry.objects.get(action="delivery.stopped")).subject_id == bad.media_id
    assert (deliver(crm)).claimed == 0
    outbox.retry(bad, by=BY)
    assert (deliver(crm)).delivered == 1


def test_two_contacts_with_one_number_are_shown_and_never_guessed(crm, promised, deliver, person, workspace):
    first = crm.account.add("contact", {"phone": PHONE, "first_name": "Marina"})
    second = crm.account.add("contact", {"mobile": "555 555 0142", "first_name": "Oficina"})
    other = make_person(workspace, phone="+15555550143")
    unclear, clear = promised(person=person), promised(person=other)
    assert (deliver(crm)).delivered == 1
    row = fresh(unclear)
    assert (row.state, row.refusal) == ("stopped", "ambiguous")
    assert {candidate["record_id"] for candidate in row.refusal_facts["candidates"]} == {first.id, second.id}
    assert "Marina" not in str(row.refusal_facts)
    assert "0142" not in str(row.refusal_facts)
    assert held(crm) == [clear.media.slug]

    _choose(crm, person, second)
    outbox.retry(row, by=BY)
    assert (deliver(crm)).delivered == 1
    assert unclear.media.slug in {crm.account.records[pk].values["media_id"] for pk in second.tied_to}
    assert not first.tied_to
    promised(person=person)
    assert (deliver(crm)).delivered == 1, "the answer is remembered"


def test_a_choice_made_while_the_crm_was_asked_is_not_asked_again(crm, promised, deliver, person):
    crm.account.add("contact", {"phone": PHONE})
    chosen = crm.account.add("contact", {"mobile": PHONE})
    earlier = promised(person=person)
    deliver(crm)
    outbox.retry(earlier, by=BY)

    class Overtaken(FakeCrm):
        async def find_contacts(self, phone):
            found = await super().find_contacts(phone)
            await sync_to_async(_choose)(crm, person, chosen)
            return found

    assert (deliver(crm, Overtaken)).stopped == 0
    deliver(crm)
    assert len(held(crm)) == 1


def _choose(crm, person, contact):
    ref = RecordRef("contact", contact.id)
    records.settle_contact(crm, person.pk, ref, records.CHOSEN, by=BY, at=clock.now())


def test_a_contact_that_is_somebody_elses_already_is_not_taken(crm, promised, deliver, person, workspace):
    """Numbers are given to new people: the new owner's files must not land on the old owner's record."""
    promised(person=person)
    deliver(crm)
    newcomer = make_person(workspace, phone=None)
    PersonIdentifier.objects.filter(person=person).update(person=newcomer)
    theirs = promised(person=newcomer)
    deliver(crm)
    row = fresh(theirs)
    assert (row.state, row.refusal) == ("stopped", "ambiguous")
    assert len(held(crm)) == 1


@pytest.mark.parametrize("on", ["find_contacts", "upsert_contact", "upsert_media", "ensure_schema"])
@pytest.mark.parametrize("kind", ["auth_revoked", "auth_expired", "forbidden"])
def test_a_refused_account_is_paused_and_delivers_everything_once_reconnected(
    crm, promised, deliver, kind, on
):
    rows = [promised() for _ in range(3)]
    outcome = deliver(crm, refusing(kind, on=on, status=401, correlation_id="c-1"))
    assert (outcome.delivered, outcome.halted_by) == (0, kind)
    paused = Connection.objects.get(pk=crm.pk)
    assert (paused.paused_by, paused.pause_reason) == ("system:deliver", kind)
    entry = AuditEntry.objects.get(action="connection.paused")
    assert (entry.by, entry.reason, entry.details["correlation_id"]) == ("system:deliver", kind, "c-1")
    assert (deliver(crm)).claimed == 0
    assert not held(crm)

    paused.resume()
    assert (deliver(crm)).delivered == 3
    assert held(crm) == sorted(row.media.slug for row in rows)


def test_a_token_revoked_in_the_middle_of_a_batch_loses_and_doubles_nothing(crm, promised, deliver):
    rows = [promised() for _ in range(4)]
    crm.account.revokes_after = 2
    outcome = deliver(crm)
    assert (outcome.delivered, outcome.released) == (2, 2)
    paused = Connection.objects.get(pk=crm.pk)
    assert paused.paused_at
    crm.account.is_token_accepted, crm.account.revokes_after = True, None
    paused.resume()
    deliver(crm)
    assert held(crm) == sorted(row.media.slug for row in rows)


def test_an_answer_lost_after_the_crm_wrote_doubles_nothing(crm, promised, deliver):
    row = promised()
    crm.account.loses_next_answer = True
    assert (deliver(crm)).refused == 1
    assert (fresh(row)).refusal == "unknown_outcome"
    wait_over(crm)
    assert (deliver(crm)).delivered == 1
    assert held(crm) == [row.media.slug]


def test_a_contact_written_without_an_answer_is_not_doubled(crm, promised, deliver):
    class Deaf(FakeCrm):
        async def upsert_contact(self, draft, *, known=None):
            await super().upsert_contact(draft, known=known)
            raise CrmError(CrmErrorKind.UNKNOWN_OUTCOME)

    promised()
    deliver(crm, Deaf)
    wait_over(crm)
    assert (deliver(crm)).delivered == 1
    assert len(crm.account.live("contact")) == 1


def test_a_batch_whose_worker_dies_is_delivered_by_the_next(crm, promised, deliver, monkeypatch):
    row = promised()

    class Killed(FakeCrm):
        async def upsert_media(self, items):
            await super().upsert_media(items)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deliver(crm, Killed)
    assert (deliver(crm)).claimed == 0, "still in the dead worker's hands"
    later = clock.now() + outbox.LEASE + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert (deliver(crm)).delivered == 1
    assert held(crm) == [row.media.slug]


def test_who_lost_the_lease_neither_writes_nor_reports(crm, promised, deliver, monkeypatch):
    row = promised()

    class Slow(FakeCrm):
        async def find_contacts(self, phone):
            found = await super().find_contacts(phone)
            later = clock.now() + outbox.LEASE + timedelta(seconds=1)
            monkeypatch.setattr(clock, "now", lambda: later)
            assert [claimed.pk for claimed in await sync_to_async(outbox.claim)(crm.pk)] == [row.pk]
            return found

    outcome = deliver(crm, Slow)
    assert (outcome.delivered, outcome.released) == (0, 1)
    assert not held(crm)
    assert (fresh(row)).delivered_at is None


def test_a_locked_record_is_tried_again_later_and_later(crm, promised, deliver):
    row, waits = promised(), []
    locked = CrmError(CrmErrorKind.LOCKED, status=423)

    class Locked(FakeCrm):
        async def _write(self, item):
            return WriteResult(item.media_id, error=locked)

    for _ in range(6):
        before = clock.now()
        deliver(crm, Locked)
        row = fresh(row)
        waits.append((row.due_at - before).total_seconds())
        assert (row.state, row.attempts) == ("trying", len(waits))
        wait_over(crm)
    assert waits[0] >= 5
    assert waits[5] >= 4 * waits[0] * 0.99
    assert AuditEntry.objects.filter(action="delivery.refused").count() == 1, "the same again is no news"


def test_a_wait_the_crm_asks_for_is_kept(crm, promised, deliver):
    row, before = promised(), clock.now()
    error = CrmError(CrmErrorKind.LOCKED, retry_after_s=900)

    class Locked(FakeCrm):
        async def _write(self, item):
            return WriteResult(item.media_id, error=error)

    deliver(crm, Locked)
    assert (fresh(row)).due_at >= before + timedelta(seconds=900)


@pytest.mark.parametrize("kind", ["rate_limited", "quota_exhausted"])
def test_too_much_makes_the_whole_connection_wait_and_costs_no_attempt(crm, promised, deliver, kind):
    row, before = promised(), clock.now()
    assert (deliver(crm, refusing(kind, retry_after_s=7200))).halted_by == kind
    resting = Connection.objects.get(pk=crm.pk)
    assert resting.breaker_open_until >= before + timedelta(hours=2)
    assert resting.paused_at is None
    assert (fresh(row)).attempts == 0
    promised()
    assert (deliver(crm)).claimed == 0
    wait_over(crm)
    assert (deliver(crm)).delivered == 2
    assert (Connection.objects.get(pk=crm.pk)).failures == []


def test_a_crm_that_is_away_is_left_alone_longer_each_time(crm, promised, deliver):
    rests = []
    promised()
    for _ in range(5):
        before = clock.now()
        assert (deliver(crm, refusing("unavailable", on="find_contacts"))).halted_by == "unavailable"
        resting = Connection.objects.get(pk=crm.pk)
        rests.append((resting.breaker_open_until - before).total_seconds())
        wait_over(crm)
    assert rests[4] > 2 * rests[0]
    assert (deliver(crm)).delivered == 1


def test_a_contact_whose_calls_always_time_out_does_not_block_the_others(
    crm, promised, deliver, person, workspace
):
    other = make_person(workspace, phone="+15555550143")
    stuck, fine = promised(person=person), promised(person=other)

    class Stuck(FakeCrm):
        async def find_contacts(self, phone):
            if phone == PHONE:
                raise CrmError(CrmErrorKind.UNKNOWN_OUTCOME)
            return await super().find_contacts(phone)

    deliver(crm, Stuck)
    Connection.objects.filter(pk=crm.pk).update(breaker_open_until=None)
    deliver(crm, Stuck)
    assert held(crm) == [fine.media.slug]
    assert (fresh(stuck)).attempts == 1


def test_a_contact_deleted_by_a_person_is_not_made_anew_unasked(crm, promised, deliver, person):
    promised(person=person)
    deliver(crm)
    [contact] = crm.account.live("contact")
    contact.is_live = False
    later = promised(person=person)
    deliver(crm)
    row = fresh(later)
    assert (row.state, row.refusal) == ("stopped", "detached")
    assert row.refusal_facts == {"object_type": "contact", "record_id": contact.id}
    assert not crm.account.live("contact")

    outbox.retry(row, by=BY)
    assert (deliver(crm)).delivered == 1
    assert len(crm.account.live("contact")) == 1


def test_contacts_merged_in_the_crm_are_followed(crm, promised, deliver, person):
    promised(person=person)
    deliver(crm)
    [loser] = crm.account.live("contact")
    winner = crm.account.add("contact", {"first_name": "Marina"})
    crm.account.merge(winner.id, loser.id)
    promised(person=person)
    assert (deliver(crm)).delivered == 1
    link = RecordLink.objects.get(person=person)
    assert (link.record_id, link.reason) == (winner.id, "moved")


def test_many_files_of_one_person_cost_one_contact_write(crm, promised, deliver, person):
    writes = []

    class Counting(FakeCrm):
        async def upsert_contact(self, draft, *, known=None):
            writes.append(draft.media_count)
            return await super().upsert_contact(draft, known=known)

    for _ in range(6):
        promised(person=person)
    deliver(crm, Counting, limit=2)
    deliver(crm, Counting, limit=2)
    assert writes == [6], "made with the first batch; the rest can wait for the last"
    promised(person=person)
    while (deliver(crm, Counting, limit=2)).claimed:
        pass
    assert writes == [6, 7]
    assert crm.account.live("contact")[0].values["media_count"] == "7"


def test_a_file_that_did_not_change_costs_no_call(crm, promised, deliver):
    row = promised()
    deliver(crm)
    Delivery.objects.filter(pk=row.pk).update(delivered_at=None)
    outcome = deliver(crm, refusing("validation"))
    assert (outcome.unchanged, outcome.stopped) == (1, 0)
    assert (fresh(row)).delivered_at


def test_a_changed_file_is_written_again_to_the_same_record(crm, promised, deliver):
    row = promised()
    deliver(crm)
    MediaFile.objects.filter(pk=row.media_id).update(duration_s=61, changed_at=clock.now())
    assert outbox.renew([row.media_id]) == 1
    assert (deliver(crm)).delivered == 1
    [record] = crm.account.live("media")
    assert record.values["title"] == "Voice note 1:01"


def test_a_file_that_changes_while_it_is_written_is_written_again(crm, promised, deliver):
    row = promised()

    def change():
        MediaFile.objects.filter(pk=row.media_id).update(duration_s=61, changed_at=clock.now())
        return outbox.renew([row.media_id])

    class Overtaken(FakeCrm):
        async def upsert_media(self, items):
            results = await super().upsert_media(items)
            assert await sync_to_async(change)() == 0
            return results

    deliver(crm, Overtaken)
    assert (fresh(row)).delivered_at is None
    deliver(crm)
    [record] = crm.account.live("media")
    assert record.values["title"] == "Voice note 1:01"
    assert (fresh(row)).delivered_at


def test_a_deal_that_people_tied_to_the_file_is_tied_in_the_crm(crm, promised, deliver, workspace):
    row, deal = promised(), crm.account.add("deal", {"title": "Sofa"})
    RecordLink.objects.create(
        workspace=workspace, connection=crm, media=row.media, object_type="deal", record_id=deal.id,
        reason="chosen", linked_by=BY, linked_at=clock.now(),
    )  # fmt: skip
    deliver(crm)
    [record] = crm.account.live("media")
    assert record.id in deal.tied_to


def test_a_crm_without_contacts_and_fields_still_gets_the_file(crm, promised, deliver):
    unsupported = CrmError(CrmErrorKind.UNSUPPORTED)

    class Webhook(FakeCrm):
        async def ensure_schema(self, *, dry_run=False, told=None):
            raise unsupported

        async def find_contacts(self, phone):
            raise unsupported

        async def upsert_media(self, items):
            assert all(item.contact is None for item in items)
            return [WriteResult(item.media_id) for item in items]

    row = promised()
    assert (deliver(crm, Webhook)).delivered == 1
    assert (fresh(row)).delivered_at
    assert not RecordLink.objects.exists()


def test_a_search_that_still_shows_a_deleted_contact_is_waited_out(crm, promised, deliver):
    class Lagging(FakeCrm):
        async def find_contacts(self, phone):
            return [ContactMatch(RecordRef("contact", "999"))]

    row = promised()
    deliver(crm, Lagging)
    assert (fresh(row)).state == "trying"
    wait_over(crm)
    assert (deliver(crm)).delivered == 1


def test_an_answer_that_leaves_a_file_out_is_not_taken_for_a_yes(crm, promised, deliver):
    class Silent(FakeCrm):
        async def upsert_media(self, items):
            return (await super().upsert_media(items))[:1]

    promised()
    promised()
    outcome = deliver(crm, Silent)
    assert (outcome.delivered, outcome.refused) == (1, 1)


def test_another_workspaces_crm_never_receives_our_file(crm, promised, deliver, other_workspace):
    foreign = make_crm(other_workspace)
    promised()
    assert (deliver(foreign)).claimed == 0
    assert (deliver(crm)).delivered == 1
    assert not held(foreign)


def test_neither_log_nor_audit_tells_a_number_a_name_or_a_text(crm, promised, deliver, person, caplog):
    crm.account.add("contact", {"phone": PHONE})
    crm.account.add("contact", {"mobile": PHONE})
    with caplog.at_level(logging.DEBUG, logger="acervo"):
        promised(person=person, caption="secret words", file_name="secret.ogg")
        deliver(crm)
        deliver(crm, refusing("auth_revoked"))
    logged = " ".join(str(vars(record)) for record in caplog.records)
    audited = " ".join([str(vars(entry)) for entry in AuditEntry.objects.all()])
    assert "deliver.batch" in logged
    assert "delivery.stopped" in audited
    for told in (logged, audited):
        assert not any(word in told for word in ("0142", "Marina", "secret", crm.account.token))


def answering(kind, *, ref=None):
    """A CRM that refuses every file by itself, after writing it to `ref` if that is given."""

    class Answering(FakeCrm):
        async def upsert_media(self, items):
            return [WriteResult(item.media_id, ref=ref, error=CrmError(CrmErrorKind(kind))) for item in items]

    return Answering


def test_a_record_of_ours_that_a_person_removed_is_not_written_anew_unasked(crm, promised, deliver):
    row = promised()
    deliver(crm)
    [record] = crm.account.live("media")
    MediaFile.objects.filter(pk=row.media_id).update(duration_s=61, changed_at=clock.now())
    outbox.renew([row.media_id])
    deliver(crm, answering("not_found"))
    assert fresh(row).refusal_facts == {"object_type": "media", "record_id": record.id}
    outbox.retry(fresh(row), by=BY)
    assert not RecordLink.objects.filter(media=row.media_id).exists()


def test_a_file_written_but_not_tied_is_remembered_and_its_contact_asked_about(crm, promised, deliver):
    row = promised()
    deliver(crm, answering("not_found", ref=RecordRef("media", "77")))
    assert fresh(row).refusal == "detached"
    assert fresh(row).refusal_facts["object_type"] == "contact"
    assert RecordLink.objects.get(media=row.media_id).record_id == "77"


def test_the_link_follows_when_the_crm_writes_to_another_record(crm, promised, deliver):
    row = promised()
    deliver(crm)
    Delivery.objects.filter(pk=row.pk).update(delivered_at=None, payload_hash=None)

    class Moved(FakeCrm):
        async def upsert_media(self, items):
            return [WriteResult(item.media_id, ref=RecordRef("media", "77")) for item in items]

    deliver(crm, Moved)
    assert RecordLink.objects.get(media=row.media_id).record_id == "77"


def test_a_contact_the_crm_will_not_take_stops_only_that_persons_files(
    crm, promised, deliver, person, workspace
):
    class Picky(FakeCrm):
        async def upsert_contact(self, draft, *, known=None):
            if draft.phone == PHONE:
                raise CrmError(CrmErrorKind.VALIDATION, status=400)
            return await super().upsert_contact(draft, known=known)

    refused = promised(person=person)
    fine = promised(person=make_person(workspace, phone="+15555550143"))
    outcome = deliver(crm, Picky)
    assert (outcome.delivered, outcome.stopped) == (1, 1)
    assert fresh(refused).state == "stopped"
    assert fresh(fine).state == "delivered"


def test_a_known_contact_the_crm_will_not_take_stops_only_that_persons_files(crm, promised, deliver, person):
    promised(person=person)
    deliver(crm)
    refused = promised(person=person)
    deliver(crm, refusing("validation", on="upsert_contact"))
    assert fresh(refused).refusal == "validation"


@pytest.mark.parametrize(("kind", "state"), [("locked", "trying"), ("auth_revoked", "queued")])
def test_a_file_is_not_delivered_before_it_is_tied_to_its_deal(
    crm, promised, deliver, workspace, kind, state
):
    row = promised()
    RecordLink.objects.create(
        workspace=workspace, connection=crm, media=row.media, object_type="deal", record_id="9",
        reason="chosen", linked_by=BY, linked_at=clock.now(),
    )  # fmt: skip
    deliver(crm, refusing(kind, on="link"))
    assert fresh(row).state == state
    assert bool(Connection.objects.get(pk=crm.pk).paused_at) is (kind == "auth_revoked")
    assert RecordLink.objects.filter(media=row.media_id, object_type="media").exists()


def test_a_spent_quota_without_a_date_is_waited_out_for_an_hour(crm, promised, deliver):
    before = clock.now()
    promised()
    deliver(crm, refusing("quota_exhausted"))
    assert Connection.objects.get(pk=crm.pk).breaker_open_until >= before + timedelta(hours=1)


def test_when_nothing_went_through_the_connection_rests(crm, promised, deliver):
    promised()
    assert deliver(crm, answering("unavailable")).halted_by == "unavailable"
    assert Connection.objects.get(pk=crm.pk).state == "resting"


def test_a_connection_paused_by_hand_meanwhile_stays_paused_by_that_hand(crm, promised, deliver):
    class PausedMeanwhile(FakeCrm):
        async def upsert_media(self, items):
            row = await Connection.objects.aget(pk=crm.pk)
            await sync_to_async(row.pause)(by=BY, reason="by_hand", at=clock.now())
            raise CrmError(CrmErrorKind.AUTH_REVOKED)

    promised()
    deliver(crm, PausedMeanwhile)
    assert Connection.objects.get(pk=crm.pk).paused_by == BY
    assert not AuditEntry.objects.filter(action="connection.paused").exists()


def test_the_people_of_a_batch_are_settled_together(crm, promised, deliver, workspace):
    people = [make_person(workspace, phone=f"+155555501{number}") for number in range(50, 56)]
    for person in people * 2:
        promised(person=person)
    calls = []

    class Counting(FakeCrm):
        async def find_contacts_of(self, phones):
            calls.append(("find", len(phones)))
            return await super().find_contacts_of(phones)

        async def upsert_contacts(self, wanted):
            calls.append(("upsert", len(wanted)))
            return await super().upsert_contacts(wanted)

    assert deliver(crm, Counting).delivered == 12
    assert calls == [("find", 6), ("upsert", 6)]
    assert len(crm.account.live("contact")) == 6


def test_two_people_whose_numbers_are_one_line_do_not_make_two_contacts(crm, promised, deliver, workspace):
    first, second = (
        promised(person=make_person(workspace, phone=phone)) for phone in ("+5520985550142", "+552085550142")
    )
    assert deliver(crm).released == 1
    assert deliver(crm).stopped == 1
    assert len(crm.account.live("contact")) == 1
    states = {fresh(row).state: fresh(row).refusal for row in (first, second)}
    assert states == {"delivered": None, "stopped": "ambiguous"}


def test_two_people_of_a_batch_never_share_a_contact(crm, promised, deliver, workspace):
    """Their numbers differ, and somebody typed both into one contact."""
    crm.account.add("contact", {"phone": "+15555550150", "mobile": "+15555550151"})
    for number in (50, 51):
        promised(person=make_person(workspace, phone=f"+155555501{number}"))
    outcome = deliver(crm)
    assert (outcome.delivered, outcome.stopped) == (1, 1)
    assert RecordLink.objects.filter(connection=crm, object_type="contact").count() == 1


def test_people_after_a_halt_had_no_turn_and_come_again(crm, promised, deliver, workspace):
    rows = [promised(person=make_person(workspace, phone=f"+155555501{number}")) for number in (50, 51, 52)]
    seen = []

    class AwayForTheSecond(FakeCrm):
        async def upsert_contact(self, draft, *, known=None):
            seen.append(draft.phone)
            if len(seen) == 2:
                raise CrmError(CrmErrorKind.UNAVAILABLE)
            return await super().upsert_contact(draft, known=known)

    outcome = deliver(crm, AwayForTheSecond)
    assert (outcome.refused, outcome.released, outcome.halted_by) == (1, 2, "unavailable")
    assert len(seen) == 2
    assert RecordLink.objects.filter(connection=crm, object_type="contact").count() == 1
    assert sorted(fresh(row).attempts for row in rows) == [0, 0, 1]
    wait_over(crm)
    assert deliver(crm).delivered == 3
    assert len(crm.account.live("contact")) == 3


def test_a_number_that_cannot_be_one_does_not_spoil_the_batch(crm, promised, deliver, workspace):
    promised(person=make_person(workspace, phone="+9995550142"))
    promised(person=make_person(workspace, phone=PHONE))
    assert deliver(crm).delivered == 2
    assert sorted(one.values.get("phone_e164", "") for one in crm.account.live("contact")) == ["", PHONE]
