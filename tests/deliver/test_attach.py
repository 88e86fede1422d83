"""Promises kept: each file once on the right record, whatever the CRM does meanwhile."""

import asyncio
import logging
from datetime import timedelta

import pytest

from acervo.base import clock
from acervo.base.database import in_thread
from acervo.crms.contract import ContactMatch, CrmError, CrmErrorKind, RecordRef, SchemaReport, WriteResult
from acervo.crms.fake.adapter import FakeCrm
from acervo.crms.fields import written
from acervo.deliver import fields, outbox
from acervo.models import AuditEntry, Connection, Delivery, MediaFile, PersonIdentifier, RecordLink
from tests.conftest import make_person
from tests.deliver.conftest import PHONE, make_crm, refusing

pytestmark = pytest.mark.django_db(transaction=True)

BY = "member:01TEST"


def held(crm):
    """Our ids of the files in the CRM, doubles included."""
    return sorted(record.values["media_id"] for record in crm.account.live("media"))


async def fresh(row):
    return await Delivery.objects.select_related("media").aget(pk=row.pk)


async def wait_over(crm):
    """As if the back-off had passed."""
    now = clock.now()
    await Delivery.objects.filter(connection=crm, stopped_at=None).aupdate(due_at=now)
    await Connection.objects.filter(pk=crm.pk).aupdate(breaker_open_until=None)


@pytest.fixture
def make(promised):
    async def promise(**facts):
        return await in_thread(promised, **facts)

    return promise


async def test_a_file_arrives_once_on_a_new_contact_and_all_is_remembered(crm, make, deliver, person):
    row = await make(person=person, caption="my contract")
    outcome = await deliver(crm)
    assert (outcome.claimed, outcome.delivered, outcome.halted_by) == (1, 1, None)
    [contact], [record] = crm.account.live("contact"), crm.account.live("media")
    assert record.values == written(fields.media_link(await MediaFile.objects.select_related(
        "connection", "workspace").aget(pk=row.media_id)))  # fmt: skip
    assert contact.id in record.tied_to
    assert contact.values["phone_e164"] == PHONE
    assert contact.values["media_count"] == "1"
    links = {link.object_type: link async for link in RecordLink.objects.filter(connection=crm)}
    assert (links["contact"].record_id, links["contact"].reason) == (contact.id, "created")
    assert (links["media"].record_id, links["media"].reason) == (record.id, "written")
    row = await fresh(row)
    assert row.state == "delivered"
    assert row.claimed_until is None
    entry = await AuditEntry.objects.aget(action="file.delivered")
    assert (entry.by, entry.subject_id, entry.details["record"]) == (
        "system:deliver",
        row.media_id,
        record.id,
    )
    assert (await Connection.objects.aget(pk=crm.pk)).last_success_at
    assert (await deliver(crm)).claimed == 0


async def test_a_contact_typed_in_by_people_is_found_verified_and_completed(crm, make, deliver, person):
    typed = crm.account.add(
        "contact", {"first_name": "Dona", "last_name": "Marina", "phone": "+1 (555) 555-0142"}
    )
    crm.account.add("contact", {"phone": "+1 555 555 0199"})
    await make(person=person)
    await deliver(crm)
    assert len(crm.account.live("contact")) == 2
    assert typed.values["phone_e164"] == PHONE
    assert typed.values["first_name"] == "Dona"
    link = await RecordLink.objects.aget(person=person)
    assert (link.record_id, link.reason) == (typed.id, "matched_phone")


async def test_a_person_without_a_number_gets_a_contact_by_our_id_and_keeps_it(crm, make, deliver, workspace):
    nameless = await in_thread(make_person, workspace, name="", phone=None)
    for _ in range(2):
        await make(person=nameless)
        await deliver(crm)
    [contact] = crm.account.live("contact")
    assert contact.values["person_id"]
    assert "phone_e164" not in contact.values
    assert len(held(crm)) == 2


async def test_fields_are_ensured_once_before_the_first_write(crm, make, deliver):
    asked = []

    class Counting(FakeCrm):
        async def ensure_schema(self, *, dry_run=False):
            asked.append(len(self.account.records))
            return SchemaReport(
                created=("media.title",), options={"model": "object", "object_type_id": "2-7"}
            )

    await make()
    await deliver(crm, Counting)
    await make()
    await deliver(crm, Counting)
    assert asked == [0]
    row = await Connection.objects.aget(pk=crm.pk)
    assert row.options["object_type_id"] == "2-7"
    assert row.options["schema_at"]
    assert (await AuditEntry.objects.aget(action="connection.fields_ensured")).details["created"] == 1


async def test_two_deliveries_at_once_write_each_file_once(crm, make, deliver, workspace):
    people = [
        await in_thread(make_person, workspace, phone=f"+155555501{number}") for number in range(50, 56)
    ]
    rows = [await make(person=person) for person in people * 3]

    class Slow(FakeCrm):
        async def upsert_media(self, items):
            await asyncio.sleep(0.01)
            return await super().upsert_media(items)

    while any(
        outcome.claimed for outcome in await asyncio.gather(*(deliver(crm, Slow, limit=5) for _ in range(3)))
    ):
        pass
    assert held(crm) == sorted(row.media.slug for row in rows)
    assert len(crm.account.live("contact")) == len(people)
    assert await AuditEntry.objects.filter(action="file.delivered").acount() == len(rows)


async def test_one_bad_file_does_not_hold_up_the_others(crm, make, deliver):
    good, bad, better = [await make() for _ in range(3)]

    class Picky(FakeCrm):
        async def _write(self, item):
            if item.media_id == bad.media.slug:
                error = CrmError(CrmErrorKind.VALIDATION, status=400, vendor_code="INVALID_OPTION")
                return WriteResult(item.media_id, error=error)
            return await super()._write(item)

    outcome = await deliver(crm, Picky)
    assert (outcome.delivered, outcome.stopped, outcome.halted_by) == (2, 1, None)
    assert held(crm) == sorted([good.media.slug, better.media.slug])
    bad = await fresh(bad)
    assert (bad.state, bad.refusal) == ("stopped", "validation")
    assert bad.refusal_facts == {"status": 400, "vendor_code": "INVALID_OPTION"}
    assert (await AuditEntry.objects.aget(action="delivery.stopped")).subject_id == bad.media_id
    assert (await deliver(crm)).claimed == 0
    await in_thread(outbox.retry, bad, by=BY)
    assert (await deliver(crm)).delivered == 1


async def test_two_contacts_with_one_number_are_shown_and_never_guessed(
    crm, make, deliver, person, workspace
):
    first = crm.account.add("contact", {"phone": PHONE, "first_name": "Marina"})
    second = crm.account.add("contact", {"mobile": "555 555 0142", "first_name": "Oficina"})
    other = await in_thread(make_person, workspace, phone="+15555550143")
    unclear, clear = await make(person=person), await make(person=other)
    assert (await deliver(crm)).delivered == 1
    row = await fresh(unclear)
    assert (row.state, row.refusal) == ("stopped", "ambiguous")
    assert {candidate["record_id"] for candidate in row.refusal_facts["candidates"]} == {first.id, second.id}
    assert "Marina" not in str(row.refusal_facts)
    assert "0142" not in str(row.refusal_facts)
    assert held(crm) == [clear.media.slug]

    await in_thread(outbox.choose_record, row, second.id, by=BY)
    assert (await deliver(crm)).delivered == 1
    assert unclear.media.slug in {crm.account.records[pk].values["media_id"] for pk in second.tied_to}
    assert not first.tied_to
    await make(person=person)
    assert (await deliver(crm)).delivered == 1, "the answer is remembered"


async def test_a_choice_made_while_the_crm_was_asked_is_not_asked_again(crm, make, deliver, person):
    crm.account.add("contact", {"phone": PHONE})
    chosen = crm.account.add("contact", {"mobile": PHONE})
    earlier = await make(person=person)
    await deliver(crm)
    await make(person=person)

    class Overtaken(FakeCrm):
        async def find_contacts(self, phone):
            found = await super().find_contacts(phone)
            await in_thread(outbox.choose_record, earlier, chosen.id, by=BY)
            return found

    assert (await deliver(crm, Overtaken)).stopped == 0
    await deliver(crm)
    assert len(held(crm)) == 2


async def test_a_contact_that_is_somebody_elses_already_is_not_taken(crm, make, deliver, person, workspace):
    """Numbers are given to new people: the new owner's files must not land on the old owner's record."""
    await make(person=person)
    await deliver(crm)
    newcomer = await in_thread(make_person, workspace, phone=None)
    await PersonIdentifier.objects.filter(person=person).aupdate(person=newcomer)
    theirs = await make(person=newcomer)
    await deliver(crm)
    row = await fresh(theirs)
    assert (row.state, row.refusal) == ("stopped", "ambiguous")
    assert len(held(crm)) == 1


@pytest.mark.parametrize("on", ["find_contacts", "upsert_contact", "upsert_media", "ensure_schema"])
@pytest.mark.parametrize("kind", ["auth_revoked", "auth_expired", "forbidden"])
async def test_a_refused_account_is_paused_and_delivers_everything_once_reconnected(
    crm, make, deliver, kind, on
):
    rows = [await make() for _ in range(3)]
    outcome = await deliver(crm, refusing(kind, on=on, status=401, correlation_id="c-1"))
    assert (outcome.delivered, outcome.halted_by) == (0, kind)
    paused = await Connection.objects.aget(pk=crm.pk)
    assert (paused.paused_by, paused.pause_reason) == ("system:deliver", kind)
    entry = await AuditEntry.objects.aget(action="connection.paused")
    assert (entry.by, entry.reason, entry.details["correlation_id"]) == ("system:deliver", kind, "c-1")
    assert (await deliver(crm)).claimed == 0
    assert not held(crm)

    await in_thread(paused.resume)
    assert (await deliver(crm)).delivered == 3
    assert held(crm) == sorted(row.media.slug for row in rows)


async def test_a_token_revoked_in_the_middle_of_a_batch_loses_and_doubles_nothing(crm, make, deliver):
    rows = [await make() for _ in range(4)]
    crm.account.revokes_after = 2
    outcome = await deliver(crm)
    assert (outcome.delivered, outcome.released) == (2, 2)
    paused = await Connection.objects.aget(pk=crm.pk)
    assert paused.paused_at
    crm.account.is_token_accepted, crm.account.revokes_after = True, None
    await in_thread(paused.resume)
    await deliver(crm)
    assert held(crm) == sorted(row.media.slug for row in rows)


async def test_an_answer_lost_after_the_crm_wrote_doubles_nothing(crm, make, deliver):
    row = await make()
    crm.account.loses_next_answer = True
    assert (await deliver(crm)).refused == 1
    assert (await fresh(row)).refusal == "unknown_outcome"
    await wait_over(crm)
    assert (await deliver(crm)).delivered == 1
    assert held(crm) == [row.media.slug]


async def test_a_contact_written_without_an_answer_is_not_doubled(crm, make, deliver):
    class Deaf(FakeCrm):
        async def upsert_contact(self, draft, *, known=None):
            await super().upsert_contact(draft, known=known)
            raise CrmError(CrmErrorKind.UNKNOWN_OUTCOME)

    await make()
    await deliver(crm, Deaf)
    await wait_over(crm)
    assert (await deliver(crm)).delivered == 1
    assert len(crm.account.live("contact")) == 1


async def test_a_batch_whose_worker_dies_is_delivered_by_the_next(crm, make, deliver, monkeypatch):
    row = await make()

    class Killed(FakeCrm):
        async def upsert_media(self, items):
            await super().upsert_media(items)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await deliver(crm, Killed)
    assert (await deliver(crm)).claimed == 0, "still in the dead worker's hands"
    later = clock.now() + outbox.LEASE + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert (await deliver(crm)).delivered == 1
    assert held(crm) == [row.media.slug]


async def test_who_lost_the_lease_neither_writes_nor_reports(crm, make, deliver, monkeypatch):
    row = await make()

    class Slow(FakeCrm):
        async def find_contacts(self, phone):
            found = await super().find_contacts(phone)
            later = clock.now() + outbox.LEASE + timedelta(seconds=1)
            monkeypatch.setattr(clock, "now", lambda: later)
            assert [claimed.pk for claimed in await in_thread(outbox.claim, crm.pk)] == [row.pk]
            return found

    outcome = await deliver(crm, Slow)
    assert (outcome.delivered, outcome.released) == (0, 1)
    assert not held(crm)
    assert (await fresh(row)).delivered_at is None


async def test_a_locked_record_is_tried_again_later_and_later(crm, make, deliver):
    row, waits = await make(), []
    locked = CrmError(CrmErrorKind.LOCKED, status=423)

    class Locked(FakeCrm):
        async def _write(self, item):
            return WriteResult(item.media_id, error=locked)

    for _ in range(6):
        before = clock.now()
        await deliver(crm, Locked)
        row = await fresh(row)
        waits.append((row.due_at - before).total_seconds())
        assert (row.state, row.attempts) == ("trying", len(waits))
        await wait_over(crm)
    assert waits[0] >= 5
    assert waits[5] >= 4 * waits[0] * 0.99
    assert await AuditEntry.objects.filter(action="delivery.refused").acount() == 1, (
        "the same again is no news"
    )


async def test_a_wait_the_crm_asks_for_is_kept(crm, make, deliver):
    row, before = await make(), clock.now()
    error = CrmError(CrmErrorKind.LOCKED, retry_after_s=900)

    class Locked(FakeCrm):
        async def _write(self, item):
            return WriteResult(item.media_id, error=error)

    await deliver(crm, Locked)
    assert (await fresh(row)).due_at >= before + timedelta(seconds=900)


@pytest.mark.parametrize("kind", ["rate_limited", "quota_exhausted"])
async def test_too_much_makes_the_whole_connection_wait_and_costs_no_attempt(crm, make, deliver, kind):
    row, before = await make(), clock.now()
    assert (await deliver(crm, refusing(kind, retry_after_s=7200))).halted_by == kind
    resting = await Connection.objects.aget(pk=crm.pk)
    assert resting.breaker_open_until >= before + timedelta(hours=2)
    assert resting.paused_at is None
    assert (await fresh(row)).attempts == 0
    await make()
    assert (await deliver(crm)).claimed == 0
    await wait_over(crm)
    assert (await deliver(crm)).delivered == 2
    assert (await Connection.objects.aget(pk=crm.pk)).failures == []


async def test_a_crm_that_is_away_is_left_alone_longer_each_time(crm, make, deliver):
    rests = []
    await make()
    for _ in range(5):
        before = clock.now()
        assert (await deliver(crm, refusing("unavailable", on="find_contacts"))).halted_by == "unavailable"
        resting = await Connection.objects.aget(pk=crm.pk)
        rests.append((resting.breaker_open_until - before).total_seconds())
        await wait_over(crm)
    assert rests[4] > 2 * rests[0]
    assert (await deliver(crm)).delivered == 1


async def test_a_contact_whose_calls_always_time_out_does_not_block_the_others(
    crm, make, deliver, person, workspace
):
    other = await in_thread(make_person, workspace, phone="+15555550143")
    stuck, fine = await make(person=person), await make(person=other)

    class Stuck(FakeCrm):
        async def find_contacts(self, phone):
            if phone == PHONE:
                raise CrmError(CrmErrorKind.UNKNOWN_OUTCOME)
            return await super().find_contacts(phone)

    await deliver(crm, Stuck)
    await Connection.objects.filter(pk=crm.pk).aupdate(breaker_open_until=None)
    await deliver(crm, Stuck)
    assert held(crm) == [fine.media.slug]
    assert (await fresh(stuck)).attempts == 1


async def test_a_contact_deleted_by_a_person_is_not_made_anew_unasked(crm, make, deliver, person):
    await make(person=person)
    await deliver(crm)
    [contact] = crm.account.live("contact")
    contact.is_live = False
    later = await make(person=person)
    await deliver(crm)
    row = await fresh(later)
    assert (row.state, row.refusal) == ("stopped", "detached")
    assert row.refusal_facts == {"object_type": "contact", "record_id": contact.id}
    assert not crm.account.live("contact")

    await in_thread(outbox.retry, row, by=BY)
    assert (await deliver(crm)).delivered == 1
    assert len(crm.account.live("contact")) == 1


async def test_contacts_merged_in_the_crm_are_followed(crm, make, deliver, person):
    await make(person=person)
    await deliver(crm)
    [loser] = crm.account.live("contact")
    winner = crm.account.add("contact", {"first_name": "Marina"})
    crm.account.merge(winner.id, loser.id)
    await make(person=person)
    assert (await deliver(crm)).delivered == 1
    link = await RecordLink.objects.aget(person=person)
    assert (link.record_id, link.reason) == (winner.id, "moved")


async def test_many_files_of_one_person_cost_one_contact_write(crm, make, deliver, person):
    writes = []

    class Counting(FakeCrm):
        async def upsert_contact(self, draft, *, known=None):
            writes.append(draft.media_count)
            return await super().upsert_contact(draft, known=known)

    for _ in range(6):
        await make(person=person)
    await deliver(crm, Counting, limit=2)
    await deliver(crm, Counting, limit=2)
    assert writes == [6], "made with the first batch; the rest can wait for the last"
    await make(person=person)
    while (await deliver(crm, Counting, limit=2)).claimed:
        pass
    assert writes == [6, 7]
    assert crm.account.live("contact")[0].values["media_count"] == "7"


async def test_a_file_that_did_not_change_costs_no_call(crm, make, deliver):
    row = await make()
    await deliver(crm)
    await Delivery.objects.filter(pk=row.pk).aupdate(delivered_at=None)
    outcome = await deliver(crm, refusing("validation"))
    assert (outcome.unchanged, outcome.stopped) == (1, 0)
    assert (await fresh(row)).delivered_at


async def test_a_changed_file_is_written_again_to_the_same_record(crm, make, deliver):
    row = await make()
    await deliver(crm)
    await MediaFile.objects.filter(pk=row.media_id).aupdate(duration_s=61, changed_at=clock.now())
    assert await in_thread(outbox.renew, [row.media_id]) == 1
    assert (await deliver(crm)).delivered == 1
    [record] = crm.account.live("media")
    assert record.values["title"] == "Voice note 1:01"


async def test_a_file_that_changes_while_it_is_written_is_written_again(crm, make, deliver):
    row = await make()

    def change():
        MediaFile.objects.filter(pk=row.media_id).update(duration_s=61, changed_at=clock.now())
        return outbox.renew([row.media_id])

    class Overtaken(FakeCrm):
        async def upsert_media(self, items):
            results = await super().upsert_media(items)
            assert await in_thread(change) == 0
            return results

    await deliver(crm, Overtaken)
    assert (await fresh(row)).delivered_at is None
    await deliver(crm)
    [record] = crm.account.live("media")
    assert record.values["title"] == "Voice note 1:01"
    assert (await fresh(row)).delivered_at


async def test_a_deal_that_people_tied_to_the_file_is_tied_in_the_crm(crm, make, deliver, workspace):
    row, deal = await make(), crm.account.add("deal", {"title": "Sofa"})
    await RecordLink.objects.acreate(
        workspace=workspace, connection=crm, media=row.media, object_type="deal", record_id=deal.id,
        reason="chosen", linked_by=BY, linked_at=clock.now(),
    )  # fmt: skip
    await deliver(crm)
    [record] = crm.account.live("media")
    assert record.id in deal.tied_to


async def test_a_crm_without_contacts_and_fields_still_gets_the_file(crm, make, deliver):
    unsupported = CrmError(CrmErrorKind.UNSUPPORTED)

    class Webhook(FakeCrm):
        async def ensure_schema(self, *, dry_run=False):
            raise unsupported

        async def find_contacts(self, phone):
            raise unsupported

        async def upsert_media(self, items):
            assert all(item.contact is None for item in items)
            return [WriteResult(item.media_id) for item in items]

    row = await make()
    assert (await deliver(crm, Webhook)).delivered == 1
    assert (await fresh(row)).delivered_at
    assert not await RecordLink.objects.aexists()


async def test_a_search_that_still_shows_a_deleted_contact_is_waited_out(crm, make, deliver):
    class Lagging(FakeCrm):
        async def find_contacts(self, phone):
            return [ContactMatch(RecordRef("contact", "999"))]

    row = await make()
    await deliver(crm, Lagging)
    assert (await fresh(row)).state == "trying"
    await wait_over(crm)
    assert (await deliver(crm)).delivered == 1


async def test_an_answer_that_leaves_a_file_out_is_not_taken_for_a_yes(crm, make, deliver):
    class Silent(FakeCrm):
        async def upsert_media(self, items):
            return (await super().upsert_media(items))[:1]

    await make()
    await make()
    outcome = await deliver(crm, Silent)
    assert (outcome.delivered, outcome.refused) == (1, 1)


async def test_another_workspaces_crm_never_receives_our_file(crm, make, deliver, other_workspace):
    foreign = await in_thread(make_crm, other_workspace)
    await make()
    assert (await deliver(foreign)).claimed == 0
    assert (await deliver(crm)).delivered == 1
    assert not held(foreign)


async def test_neither_log_nor_audit_tells_a_number_a_name_or_a_text(crm, make, deliver, person, caplog):
    crm.account.add("contact", {"phone": PHONE})
    crm.account.add("contact", {"mobile": PHONE})
    with caplog.at_level(logging.DEBUG, logger="acervo"):
        await make(person=person, caption="secret words", file_name="secret.ogg")
        await deliver(crm)
        await deliver(crm, refusing("auth_revoked"))
    logged = " ".join(str(vars(record)) for record in caplog.records)
    audited = " ".join([str(vars(entry)) async for entry in AuditEntry.objects.all()])
    assert "deliver.batch" in logged
    assert "delivery.stopped" in audited
    for told in (logged, audited):
        assert not any(word in told for word in ("0142", "Marina", "secret", crm.account.token))
