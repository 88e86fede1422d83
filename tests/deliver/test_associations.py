"""A file on a deal or a ticket besides its contact: by rule, by hand, and off again."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync

from acervo.base import clock
from acervo.crms.contract import CrmError, CrmErrorKind
from acervo.crms.fake.adapter import FakeCrm
from acervo.deliver import associations
from acervo.deliver.withdrawal import CrmBusy
from acervo.models import AuditEntry, Connection, Delivery, RecordLink
from tests.deliver.conftest import PHONE, opener, refusing

BY = "member:01TEST"


@pytest.fixture
def customer(crm):
    return crm.account.add("contact", {"phone": PHONE, "first_name": "Lia"})


@pytest.fixture
def new_deal(crm, customer):
    def make(title="Reforma"):
        deal = crm.account.add("deal", {"title": title})
        crm.account.tie(deal, customer)
        return deal

    return make


@pytest.fixture
def delivered(crm, promised, person, customer, deliver):
    row = promised(person=person)
    assert deliver(crm).delivered == 1
    return Delivery.objects.select_related("media", "connection").get(pk=row.pk)


@pytest.fixture
def tie(crm, http, one_transaction):
    return lambda row, *wanted: async_to_sync(associations.tie)(
        row, wanted, by=BY, http=http, open_connector=opener(crm)
    )


@pytest.fixture
def untie(http, one_transaction):
    return lambda link, crm, through=FakeCrm: async_to_sync(associations.untie)(
        link.pk, http=http, open_connector=opener(crm, through)
    )


def deals_of(crm, row):
    [record] = [one for one in crm.account.live("media") if one.values["media_id"] == row.media.slug]
    return {one for one in record.tied_to if crm.account.records[one].object_type == "deal"}


def wants(crm, *kinds):
    assert associations.change_ties(crm, kinds, by=BY)


def test_without_a_rule_nothing_is_tied_and_no_call_is_spent(
    crm, promised, person, customer, new_deal, deliver
):
    new_deal()
    row = promised(person=person)

    class Watched(FakeCrm):
        async def find_related(self, contact):
            raise AssertionError("nobody wanted that")

    assert deliver(crm, Watched).delivered == 1
    assert deals_of(crm, row) == set()


def test_a_new_file_goes_onto_the_only_open_deal_where_that_is_wanted(
    crm, promised, person, new_deal, deliver
):
    deal = new_deal()
    wants(crm, "deal", "ticket")
    first, second = promised(person=person), promised(person=person)
    asked = []

    class Counted(FakeCrm):
        async def find_related(self, contact):
            asked.append(contact)
            return await super().find_related(contact)

    assert deliver(crm, Counted).delivered == 2
    assert len(asked) == 1, "once a contact, however many files"
    assert deals_of(crm, first) == deals_of(crm, second) == {deal.id}
    link = RecordLink.objects.get(media=first.media_id, object_type="deal")
    assert (link.record_id, link.reason) == (deal.id, "rule")


def test_of_several_open_deals_nobody_guesses(crm, promised, person, new_deal, deliver):
    new_deal(), new_deal("Outra")
    wants(crm, "deal")
    row = promised(person=person)
    assert deliver(crm).delivered == 1
    assert deals_of(crm, row) == set()
    assert not RecordLink.objects.filter(object_type="deal").exists()


def test_what_stands_in_the_crm_already_is_not_tied_by_a_later_rule(crm, delivered, new_deal, deliver):
    new_deal()
    wants(crm, "deal")
    Delivery.objects.filter(pk=delivered.pk).update(delivered_at=None, payload_hash=None, due_at=clock.now())
    assert deliver(crm).delivered == 1
    assert deals_of(crm, delivered) == set()


@pytest.mark.parametrize("kind", ["unsupported", "forbidden", "not_found", "validation"])
def test_a_rule_that_cannot_be_followed_holds_up_no_file(crm, promised, person, customer, deliver, kind):
    wants(crm, "deal")
    promised(person=person)
    assert deliver(crm, refusing(kind, on="find_related")).delivered == 1
    assert Connection.objects.get(pk=crm.pk).paused_at is None


def test_only_what_is_known_can_be_a_rule(crm):
    with pytest.raises(associations.UnknownTie):
        associations.change_ties(crm, ["company"], by=BY)
    wants(crm, "ticket", "deal")
    assert Connection.objects.get(pk=crm.pk).ties_to == ["deal", "ticket"]
    assert not associations.change_ties(crm, ["deal", "ticket"], by=BY)
    assert AuditEntry.objects.get(action="connection.ties_changed").details == {"ties_to": ["deal", "ticket"]}


def test_by_hand_a_file_is_tied_by_a_promise_and_not_by_the_page(crm, delivered, new_deal, tie, deliver):
    deal = new_deal()
    assert tie(delivered, f"deal:{deal.id}") == 1
    assert deals_of(crm, delivered) == set()
    assert deliver(crm).delivered == 1
    assert deals_of(crm, delivered) == {deal.id}
    assert tie(delivered, f"deal:{deal.id}") == 0
    assert AuditEntry.objects.filter(action="file.tied", by=BY).count() == 1


def test_what_the_crm_does_not_offer_cannot_be_tied(crm, delivered, new_deal, tie):
    stranger = crm.account.add("deal", {"title": "De outra pessoa"})
    with pytest.raises(associations.NotOffered):
        tie(delivered, f"deal:{stranger.id}")
    with pytest.raises(associations.NotOffered):
        tie(delivered)
    first, second = new_deal(), new_deal("Outra")
    tie(delivered, f"deal:{first.id}")
    with pytest.raises(associations.AlreadyTied):
        tie(delivered, f"deal:{second.id}")


def test_before_the_contact_is_known_nothing_can_be_offered(crm, promised, tie, person):
    row = Delivery.objects.select_related("media", "connection").get(pk=promised(person=person).pk)
    with pytest.raises(associations.NoContactYet):
        tie(row, "deal:1")


def test_taken_off_again_the_crm_lets_go_and_the_row_goes(crm, delivered, new_deal, tie, deliver, untie):
    deal = new_deal()
    tie(delivered, f"deal:{deal.id}")
    deliver(crm)
    link = RecordLink.objects.get(object_type="deal")
    assert associations.ask_untie(link, by=BY)
    assert not associations.ask_untie(link, by=BY)
    assert associations.to_untie(9, clock.now()) == [link.pk]
    untie(link, crm)
    untie(link, crm)
    assert deals_of(crm, delivered) == set()
    assert not RecordLink.objects.filter(object_type="deal").exists()
    deliver(crm)
    assert deals_of(crm, delivered) == set()
    assert AuditEntry.objects.filter(action="file.untied").count() == 1


def test_what_was_never_written_is_simply_not_tied(crm, prepared, new_deal):
    media = prepared()
    link = RecordLink.objects.create(
        workspace=crm.workspace, connection=crm, media=media, object_type="deal", record_id="1", reason="chosen",
        linked_by=BY, linked_at=clock.now(),
    )  # fmt: skip
    assert not associations.ask_untie(link, by=BY)
    assert not RecordLink.objects.exists()


def test_a_crm_that_never_lets_go_says_so_and_the_file_stays(crm, delivered, new_deal, tie, deliver, untie):
    tie(delivered, f"deal:{new_deal().id}")
    deliver(crm)
    link = RecordLink.objects.get(object_type="deal")
    associations.ask_untie(link, by=BY)
    with pytest.raises(CrmBusy):
        untie(link, crm, refusing("unavailable", on="unlink"))

    class Holding(FakeCrm):
        async def unlink(self, media, from_):
            raise CrmError(CrmErrorKind.UNSUPPORTED)

    untie(link, crm, Holding)
    link.refresh_from_db()
    assert link.untie_refusal == "unsupported"
    assert associations.to_untie(9, clock.now()) == []
    associations.keep_tied(link, by=BY)
    link.refresh_from_db()
    assert link.untie_asked_at is None
