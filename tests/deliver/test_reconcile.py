"""What the CRM holds against what we said it holds."""

from datetime import timedelta

import pytest

from acervo.base import clock
from acervo.crms.contract import CrmError, CrmErrorKind
from acervo.crms.fake.adapter import FakeCrm
from acervo.deliver import outbox
from acervo.models import AuditEntry, Connection, Delivery
from tests.deliver.conftest import refusing


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
