"""What the CRM holds against what we said it holds."""

from datetime import timedelta

import pytest

from acervo.base import clock
from acervo.crms.contract import CrmError, CrmErrorKind
from acervo.crms.fake.adapter import FakeCrm
from acervo.deliver import outbox, reconcile, repairs
from acervo.models import AuditEntry, Connection, Delivery, Discrepancy, MediaFile, Reconciliation
from tests.deliver.conftest import refusing

BY = "member:01TEST"


@pytest.fixture
def delivered(promised, deliver, crm):
    def make(**facts):
        row = promised(**facts)
        assert (deliver(crm)).delivered == 1
        return row

    return make


def record_of(crm, row):
    [record] = [one for one in crm.account.live("media") if one.values["media_id"] == row.media.slug]
    return record


def fresh(row):
    return Delivery.objects.select_related("media").get(pk=row.pk)


def test_what_is_as_written_is_marked_verified(crm, delivered, compare):
    row = delivered()
    findings = compare(crm)
    assert (findings.intact, findings.drifted, findings.deleted) == (1, 0, 0)
    row = fresh(row)
    assert row.verified_at
    assert row.state == "delivered"


@pytest.mark.parametrize(("value", "found"), [("Something else", "drifted"), ("", "cleared")])
def test_what_drifted_is_written_again_and_the_reason_is_kept(crm, delivered, compare, deliver, value, found):
    row = delivered()
    record_of(crm, row).values["title"] = value
    assert getattr(compare(crm), found) == 1
    entry = AuditEntry.objects.get(action="delivery.renewed")
    assert (entry.subject_id, entry.reason, entry.details["fields"]) == (row.media_id, found, ["title"])
    assert (deliver(crm)).delivered == 1
    assert record_of(crm, row).values["title"] == "Voice note 0:42"
    assert (compare(crm)).intact == 1


def test_what_a_person_deleted_is_not_brought_back_unasked(crm, delivered, compare, deliver):
    row = delivered()
    gone = record_of(crm, row)
    gone.is_live = False
    assert (compare(crm)).deleted == 1
    row = fresh(row)
    assert (row.state, row.refusal) == ("stopped", "detached")
    assert row.refusal_facts == {"object_type": "media", "record_id": gone.id}
    assert (deliver(crm)).claimed == 0

    outbox.retry(row, by="member:01TEST")
    assert (deliver(crm)).delivered == 1
    assert record_of(crm, row).id != gone.id


def test_what_is_there_twice_is_shown_until_it_is_not(crm, delivered, compare):
    row = delivered()
    double = crm.account.add("media", record_of(crm, row).values)
    assert (compare(crm)).doubled == 1
    compare(crm)
    row = fresh(row)
    assert (row.state, row.refusal, row.refusal_facts) == ("delivered", "doubled", {"copies": 2})
    assert AuditEntry.objects.filter(action="delivery.doubled").count() == 1
    double.is_live = False
    assert (compare(crm)).intact == 1
    assert (fresh(row)).refusal is None


def test_each_round_looks_at_those_not_looked_at_for_longest(crm, delivered, compare, monkeypatch):
    rows = [delivered() for _ in range(3)]
    seen, start = [], clock.now()
    for minute in range(4):
        now = start + timedelta(minutes=minute)
        monkeypatch.setattr(clock, "now", lambda now=now: now)
        compare(crm, limit=1)
        row = Delivery.objects.get(verified_at=now)
        seen.append(row.pk)
    assert set(seen[:3]) == {row.pk for row in rows}
    assert seen[3] == seen[0]


def test_what_was_renewed_meanwhile_is_left_to_the_renewal(crm, delivered, compare):
    row = delivered()
    record_of(crm, row).is_live = False

    class Overtaken(FakeCrm):
        async def read_media(self, items):
            states = await super().read_media(items)
            await Delivery.objects.filter(pk=row.pk).aupdate(delivered_at=None)
            return states

    assert (compare(crm, Overtaken)).deleted == 0
    assert (fresh(row)).state == "queued"


def test_a_revoked_token_pauses_the_connection_and_judges_nothing(crm, delivered, compare):
    row = delivered()
    findings = compare(crm, refusing("auth_revoked", on="read_media"))
    assert findings.halted_by == "auth_revoked"
    assert (fresh(row)).state == "delivered"
    assert (Connection.objects.get(pk=crm.pk)).paused_at
    assert (compare(crm)).intact == 0, "a paused connection is not read either"


def test_a_crm_that_cannot_be_read_back_is_taken_at_its_word(crm, delivered, compare):
    row = delivered()

    class Webhook(FakeCrm):
        async def read_media(self, items):
            raise CrmError(CrmErrorKind.UNSUPPORTED)

    compare(crm, Webhook)
    assert (fresh(row)).state == "delivered"
    assert (Connection.objects.get(pk=crm.pk)).state == "live"


def test_where_nothing_was_delivered_nothing_is_asked(crm, promised, compare):
    promised()
    assert compare(crm, refusing("auth_revoked", on="read_media")).halted_by is None


# ── passes, and what people say ──


def passes():
    return list(Reconciliation.objects.order_by("began_at"))


def open_of(row):
    return Discrepancy.objects.open().filter(media=row.media_id).first()


def policy(crm, wanted):
    assert repairs.change_repairs(crm, wanted, by=BY)


def test_a_pass_looks_at_everything_once_and_keeps_its_result(crm, delivered, compare):
    rows = [delivered() for _ in range(3)]
    record_of(crm, rows[1]).values["title"] = ""
    first = compare(crm, limit=2)
    assert not first.is_over
    assert compare(crm, limit=2).is_over
    [run] = passes()
    assert (run.total, run.looked_at, run.intact, run.cleared) == (3, 3, 2, 1)
    assert run.finished_at
    assert not reconcile.is_due(crm)


def test_what_came_after_it_began_is_for_the_next_pass(crm, delivered, compare):
    [delivered() for _ in range(2)]
    compare(crm, limit=1)
    late = delivered()
    assert compare(crm, limit=1).is_over
    assert fresh(late).verified_at is None
    compare(crm)
    assert [run.looked_at for run in passes()] == [2, 3]


def test_the_clock_begins_another_pass_only_after_a_rest(crm, delivered, compare, monkeypatch):
    delivered()
    assert reconcile.is_due(crm)
    compare(crm)
    assert not reconcile.is_due(crm)
    later = clock.now() + reconcile.REST + timedelta(minutes=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert reconcile.is_due(crm)


def test_a_pass_that_was_halted_goes_on_where_it_was(crm, delivered, compare):
    delivered()
    assert compare(crm, refusing("rate_limited", on="read_media")).halted_by == "rate_limited"
    Connection.objects.filter(pk=crm.pk).update(breaker_open_until=None)
    assert passes()[0].halted_by == "rate_limited"
    assert reconcile.is_due(crm)
    assert compare(crm).intact == 1
    [run] = passes()
    assert (run.halted_by, bool(run.finished_at)) == (None, True)


def test_what_stood_there_is_kept_field_by_field_although_it_is_written_again(
    crm, delivered, compare, deliver
):
    row = delivered()
    record_of(crm, row).values |= {"title": "Outra coisa", "chat": "x" * 400}
    compare(crm)
    [found] = Discrepancy.objects.all()
    assert (found.fault, found.settlement) == ("drifted", "rewritten")
    assert found.stood["title"] == "Outra coisa"
    assert len(found.stood["chat"]) == 255
    assert deliver(crm).delivered == 1
    assert record_of(crm, row).values["title"] != "Outra coisa"


def test_asked_first_nothing_is_written_until_somebody_says(crm, delivered, compare, deliver):
    policy(crm, "ask")
    row = delivered()
    record_of(crm, row).values["title"] = "Outra coisa"
    compare(crm)
    compare(crm)
    assert (fresh(row)).state == "delivered"
    assert Discrepancy.objects.count() == 1
    assert AuditEntry.objects.filter(action="delivery.drifted").count() == 1
    assert repairs.rewrite(Discrepancy.objects.all(), by=BY) == 1
    assert repairs.rewrite(Discrepancy.objects.all(), by=BY) == 0
    assert deliver(crm).delivered == 1
    assert compare(crm).intact == 1


def test_only_what_was_emptied_is_written_again_where_that_is_wanted(crm, delivered, compare):
    policy(crm, "emptied")
    emptied, changed, both = delivered(), delivered(), delivered()
    record_of(crm, emptied).values["title"] = ""
    record_of(crm, changed).values["title"] = "Outra coisa"
    record_of(crm, both).values |= {"title": "", "chat": "Outra coisa"}
    compare(crm)
    assert [fresh(row).state for row in (emptied, changed, both)] == ["queued", "delivered", "delivered"]
    assert open_of(emptied) is None
    assert open_of(changed).stood == {"title": "Outra coisa"}
    assert set(open_of(both).stood) == {"title", "chat"}


def test_left_as_it_is_it_is_not_found_again_until_it_changes(crm, delivered, compare):
    policy(crm, "ask")
    row = delivered()
    record_of(crm, row).values["title"] = "Outra coisa"
    compare(crm)
    assert repairs.leave(Discrepancy.objects.all(), by=BY) == 1
    assert compare(crm).intact == 1
    record_of(crm, row).values["title"] = "Ainda outra"
    assert compare(crm).drifted == 1
    assert open_of(row).stood == {"title": "Ainda outra"}


def test_put_right_in_the_crm_it_is_settled_by_itself(crm, delivered, compare):
    policy(crm, "ask")
    row = delivered()
    was = record_of(crm, row).values["title"]
    record_of(crm, row).values["title"] = ""
    compare(crm)
    record_of(crm, row).values["title"] = was
    compare(crm)
    assert Discrepancy.objects.get().settlement == "gone"


def test_a_deleted_record_is_made_anew_only_when_somebody_says(crm, delivered, compare, deliver):
    row = delivered()
    record_of(crm, row).is_live = False
    compare(crm)
    assert deliver(crm).claimed == 0
    assert open_of(row).fault == "deleted"
    assert repairs.rewrite(Discrepancy.objects.all(), by=BY) == 1
    assert deliver(crm).delivered == 1


def test_a_link_to_a_file_that_nobody_may_open_is_counted_and_shown(crm, delivered, compare):
    row = delivered()
    MediaFile.objects.filter(pk=row.media_id).update(hidden_at=clock.now())
    assert compare(crm).closed == 1
    assert open_of(row).fault == "closed"
    assert repairs.rewrite(Discrepancy.objects.all(), by=BY) == 0


def test_two_that_look_at_once_count_a_file_once(crm, delivered, compare):
    row = delivered()

    class Overtaken(FakeCrm):
        async def read_media(self, items):
            states = await super().read_media(items)
            await Delivery.objects.filter(pk=row.pk).aupdate(verified_at=clock.now())
            return states

    compare(crm, Overtaken)
    assert passes()[0].looked_at == 0
    assert passes()[0].finished_at


def test_an_unknown_way_to_repair_is_refused(crm):
    with pytest.raises(repairs.UnknownRepairs):
        repairs.change_repairs(crm, "never", by=BY)
    assert not repairs.change_repairs(crm, "always", by=BY)


def test_our_own_address_is_noted_once_a_pass(crm, delivered, compare):
    delivered()
    compare(crm)
    reconcile.note_address(crm.pk, "silent")
    reconcile.note_address(crm.pk, "ok")
    assert passes()[0].address_code == "silent"
