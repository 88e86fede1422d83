"""Who a person is in a CRM: asked, answered by somebody, remembered, and taken back."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync

from acervo.base import clock
from acervo.base.database import alone
from acervo.crms.contract import CrmError, CrmErrorKind
from acervo.crms.fake.adapter import FakeCrm
from acervo.deliver import candidates, outbox, review, undecided
from acervo.deliver.review import Choice
from acervo.deliver.undecided import BeingTakenOut, DecidedMeanwhile
from acervo.models import AuditEntry, ContactDecision, Delivery, RecordLink, Verdict
from tests.conftest import make_person
from tests.deliver.conftest import PHONE, make_crm, opener

BY, SECOND = "member:01TEST", "member:02TEST"


@pytest.fixture
def pair(crm):
    """Two contacts with the number of the person."""
    return [
        crm.account.add("contact", {"first_name": name, "phone": PHONE, "company": "Aurora"})
        for name in ("Lia", "Loja da Lia")
    ]


@pytest.fixture
def stopped(crm, promised, person, pair, deliver):
    """Two files of one person that wait for an answer."""
    rows = [promised(person=person), promised(person=person)]
    assert deliver(crm).stopped == 2
    return rows


@pytest.fixture
def decide(http, one_transaction):
    def answer(crm, person, verdict, record="", *, by=BY, through=FakeCrm, reason="", then=lambda: None):
        choice = Choice(crm.pk, person.pk, Verdict(verdict), record, reason)
        return async_to_sync(review.decide)(
            choice, by=by, http=http, then=then, open_connector=opener(crm, through)
        )

    return answer


@pytest.fixture
def look(http, one_transaction):
    def ask(crm, person, through=FakeCrm, besides=""):
        return async_to_sync(candidates.look)(
            crm.pk, person.pk, besides=besides, http=http, open_connector=opener(crm, through)
        )

    return ask


def waiting():
    return undecided.waiting(Delivery.objects.all())


def fresh(row):
    return Delivery.objects.get(pk=row.pk)


def contact_of(crm, row):
    [record] = [one for one in crm.account.live("media") if one.values["media_id"] == row.media.slug]
    return {one for one in record.tied_to if crm.account.records[one].object_type == "contact"}


def test_a_person_waits_once_however_many_files_do(crm, stopped, person):
    [one] = waiting()
    assert (one.connection_id, one.person_id, one.files) == (crm.pk, person.pk, 2)
    assert undecided.count(Delivery.objects.all()) == 1


def test_what_comes_meanwhile_waits_too_without_asking_the_crm(crm, stopped, promised, person, deliver):
    row = promised(person=person)
    assert (row.state, row.refusal) == ("stopped", "ambiguous")
    others = promised(person=make_person(crm.workspace, phone="+15555550143"))
    assert others.state == "queued"
    assert deliver(crm).claimed == 1
    assert waiting()[0].files == 3


def test_the_candidates_are_shown_as_the_crm_has_them_now(crm, stopped, person, pair, look):
    found = look(crm, person)
    assert [one.card.name for one in found.candidates] == ["Lia", "Loja da Lia"]
    assert [one.card.company for one in found.candidates] == ["Aurora", "Aurora"]
    assert {one.matched_on for one in found.candidates} == {"phone"}
    pair[1].values["phone"] = ""
    assert [one.matched_on for one in look(crm, person).candidates] == ["phone", ""]
    pair[1].is_live = False
    found = look(crm, person)
    assert ([one.card.name for one in found.candidates], found.gone) == (["Lia"], 1)


def test_another_contact_can_be_named_and_stands_first(crm, stopped, person, look):
    other = crm.account.add("contact", {"first_name": "Lia", "last_name": "Antiga"})
    found = look(crm, person, besides=f"https://crm.example/contacts/77/record/0-1/{other.id}?tab=1")
    assert found.candidates[0].card.ref.record_id == other.id
    assert len(found.candidates) == 3


@pytest.mark.parametrize(
    ("pasted", "meant"),
    [
        ("4711", "4711"),
        (" 003Aa00000XyZ12AAA ", "003Aa00000XyZ12AAA"),
        ("https://app.example/contacts/26/record/0-1/9001?x=1", "9001"),
        ("https://a.example/lightning/r/Contact/003Aa00000XyZ12AAA/view", "003Aa00000XyZ12AAA"),
        ("https://a.example/agent/users/360000000101/requested_tickets", "360000000101"),
    ],
)
def test_an_address_or_an_id_names_a_record(pasted, meant):
    assert candidates.record_in(pasted) == meant


@pytest.mark.parametrize("pasted", ["", "Lia", "../../etc", "12", "a b c 123", "https://a.example/view"])
def test_what_names_no_record_is_refused(pasted):
    with pytest.raises(candidates.NotARecord):
        candidates.record_in(pasted)


def test_the_chosen_contact_is_stamped_remembered_and_gets_everything(
    crm, stopped, person, pair, decide, deliver
):
    decision = decide(crm, person, "chosen", pair[1].id, reason="  she  told me ")
    assert pair[1].values["phone_e164"] == PHONE
    assert (decision.record_id, decision.reason) == (pair[1].id, "she told me")
    link = RecordLink.objects.get(person=person, connection=crm)
    assert (link.record_id, link.reason, link.linked_by) == (pair[1].id, "chosen", BY)
    assert deliver(crm).delivered == 2
    assert contact_of(crm, stopped[0]) == {pair[1].id}
    assert waiting() == []
    told = AuditEntry.objects.get(action="person.decided")
    assert (told.subject_id, told.reason, told.details["files"]) == (person.pk, "she told me", 2)
    assert AuditEntry.objects.filter(action="delivery.record_chosen", by=BY).count() == 2


def test_what_was_offered_can_be_chosen_without_asking_the_crm_first(crm, stopped, person, pair, deliver):
    with pytest.raises(review.RecordNotOffered):
        review.choose_offered(stopped[0], "999", by=BY)
    review.choose_offered(stopped[0], pair[1].id, by=BY)
    review.choose_offered(stopped[0], pair[0].id, by=SECOND)
    assert ContactDecision.objects.get().record_id == pair[1].id
    assert "phone_e164" not in pair[1].values
    assert deliver(crm).delivered == 2
    assert contact_of(crm, stopped[0]) == {pair[1].id}
    assert pair[1].values["phone_e164"] == PHONE


def test_a_new_contact_is_made_beside_the_others(crm, stopped, person, pair, decide, deliver):
    decision = decide(crm, person, "new")
    assert decision.record_id not in {one.id for one in pair}
    assert deliver(crm).delivered == 2
    assert contact_of(crm, stopped[0]) == {decision.record_id}
    assert RecordLink.objects.get(person=person).reason == "created"


def test_no_new_contact_is_made_where_the_key_is_somebody_elses(crm, stopped, person, pair, decide):
    pair[0].values["phone_e164"] = PHONE
    with pytest.raises(review.NoNewContact):
        decide(crm, person, "new")
    assert not ContactDecision.objects.exists()
    assert len(waiting()) == 1


def test_left_out_nothing_is_written_neither_now_nor_later(crm, stopped, person, promised, decide, deliver):
    decide(crm, person, "left_out", reason="a supplier")
    later = promised(person=person)
    assert [fresh(row).refusal for row in (*stopped, later)] == ["left_out"] * 3
    outbox.retry(fresh(later), by=BY)
    assert deliver(crm).claimed == 0
    assert (waiting(), crm.account.live("media")) == ([], [])
    assert AuditEntry.objects.filter(action="delivery.left_out").count() == 2


def test_a_contact_that_is_gone_meanwhile_is_said_and_nothing_decided(crm, stopped, person, pair, decide):
    pair[0].is_live = False
    with pytest.raises(review.ContactGone):
        decide(crm, person, "chosen", pair[0].id)
    assert not ContactDecision.objects.exists()
    assert not RecordLink.objects.exists()
    assert len(waiting()) == 1


def test_a_crm_that_is_away_is_said_and_nothing_decided(crm, stopped, person, pair, decide):
    class Away(FakeCrm):
        async def upsert_contact(self, draft, *, known=None):
            raise CrmError(CrmErrorKind.UNAVAILABLE)

    with pytest.raises(CrmError):
        decide(crm, person, "chosen", pair[0].id, through=Away)
    assert len(waiting()) == 1
    assert decide(crm, person, "chosen", pair[0].id)


def test_the_second_to_decide_is_told_and_changes_nothing(crm, stopped, person, pair, decide):
    decide(crm, person, "chosen", pair[0].id)
    with pytest.raises(DecidedMeanwhile):
        decide(crm, person, "chosen", pair[1].id, by=SECOND)
    assert RecordLink.objects.get(person=person).record_id == pair[0].id
    assert "phone_e164" not in pair[1].values


def test_while_one_decides_another_does_not_touch_the_crm(crm, stopped, person, pair, decide, http):
    async def both():
        async with alone(f"acervo.review.{crm.pk}.{person.pk}"):
            choice = Choice(crm.pk, person.pk, Verdict.CHOSEN, pair[0].id)
            await review.decide(choice, by=BY, http=http, open_connector=opener(crm))

    with pytest.raises(review.BeingDecided):
        async_to_sync(both)()
    assert "phone_e164" not in pair[0].values


def test_what_starts_the_deliveries_runs_in_the_same_transaction(crm, stopped, person, pair, decide):
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        decide(crm, person, "chosen", pair[0].id, then=fail)
    assert not ContactDecision.objects.exists()
    assert len(waiting()) == 1


def take_out(decision, crm, http, through=FakeCrm):
    async_to_sync(review.take_out)(decision.pk, http=http, open_connector=opener(crm, through))


def test_taken_back_the_person_waits_again_and_what_was_written_leaves(
    crm, stopped, person, pair, decide, deliver, http
):
    decision = decide(crm, person, "chosen", pair[0].id)
    deliver(crm)
    assert review.undo(decision, by=SECOND).taken_out_at is None
    assert waiting()[0].files == 2
    with pytest.raises(BeingTakenOut):
        decide(crm, person, "chosen", pair[1].id)
    take_out(decision, crm, http)
    take_out(decision, crm, http)
    assert crm.account.live("media") == []
    decision.refresh_from_db()
    assert (decision.undone_by, bool(decision.taken_out_at)) == (SECOND, True)
    decide(crm, person, "chosen", pair[1].id)
    assert deliver(crm).delivered == 2
    assert contact_of(crm, stopped[0]) == {pair[1].id}
    assert AuditEntry.objects.get(action="person.decision_undone").by == SECOND


def test_a_lost_job_that_takes_out_is_found_by_the_clock(crm, stopped, person, pair, decide, deliver):
    decision = decide(crm, person, "chosen", pair[0].id)
    deliver(crm)
    review.undo(decision, by=BY)
    assert review.to_take_out(10, clock.now()) == [decision.pk]
    assert review.to_take_out(10, decision.decided_at) == []


def test_taken_back_before_anything_was_written_there_is_nothing_to_take_out(
    crm, stopped, person, pair, decide
):
    decision = decide(crm, person, "chosen", pair[0].id)
    assert review.undo(decision, by=BY).taken_out_at
    with pytest.raises(DecidedMeanwhile):
        review.undo(decision, by=SECOND)
    assert decide(crm, person, "chosen", pair[1].id).record_id == pair[1].id


def test_somebody_left_out_is_asked_about_again_once_that_is_taken_back(crm, stopped, person, decide):
    decision = decide(crm, person, "left_out")
    review.undo(decision, by=BY)
    assert [fresh(row).refusal for row in stopped] == ["ambiguous"] * 2
    assert waiting()[0].files == 2


def test_a_decision_is_not_taken_back_while_a_file_is_being_written(crm, stopped, person, pair, decide):
    decision = decide(crm, person, "chosen", pair[0].id)
    assert outbox.claim(crm.pk)
    with pytest.raises(review.BeingDecided):
        review.undo(decision, by=BY)


def test_a_contact_that_was_deleted_in_the_crm_is_asked_about_and_can_be_replaced(
    crm, promised, person, deliver, decide, look
):
    first = promised(person=person)
    deliver(crm)
    [contact] = crm.account.live("contact")
    contact.is_live = False
    row = promised(person=person)
    assert deliver(crm).stopped == 1
    assert fresh(row).refusal == "detached"
    assert look(crm, person).candidates == []
    decision = decide(crm, person, "new")
    assert decision.record_id != contact.id
    assert deliver(crm).delivered == 1
    assert RecordLink.objects.get(person=person, object_type="contact").record_id == decision.record_id
    assert fresh(first).state == "delivered"


def test_a_person_without_a_number_is_chosen_by_hand(crm, promised, workspace, deliver, decide, look):
    somebody = make_person(workspace, "lia.oficial", phone=None)
    promised(person=somebody)
    deliver(crm)
    [made] = crm.account.live("contact")
    made.is_live = False
    promised(person=somebody)
    assert deliver(crm).stopped == 1
    other = crm.account.add("contact", {"first_name": "Lia", "phone": "+15555550177"})
    assert look(crm, somebody).candidates == []
    assert [one.card.name for one in look(crm, somebody, besides=other.id).candidates] == ["Lia"]
    decide(crm, somebody, "chosen", other.id)
    assert deliver(crm).delivered == 1
    assert other.values["person_id"]


def test_each_crm_is_answered_for_itself(crm, workspace, stopped, person, pair, decide):
    second = make_crm(workspace)
    for one in pair:
        second.account.add("contact", dict(one.values))
    row = Delivery.objects.create(
        workspace=workspace, connection=second, media=stopped[0].media, promised_at=clock.now(), due_at=clock.now(),
        stopped_at=clock.now(), refusal="ambiguous", refused_at=clock.now(),
    )  # fmt: skip
    decide(crm, person, "chosen", pair[0].id)
    assert [one.connection_id for one in waiting()] == [second.pk]
    assert fresh(row).state == "stopped"
