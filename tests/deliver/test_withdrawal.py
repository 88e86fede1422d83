"""A file that was taken back leaves the CRM: its record goes, and nothing brings it back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from acervo.base import clock
from acervo.crms.contract import CrmErrorKind
from acervo.crms.fake.adapter import FakeCrm
from acervo.deliver import withdrawal
from acervo.models import AuditEntry, Connection, Delivery, MediaFile, RecordLink
from tests.deliver.conftest import opener, refusing

pytestmark = pytest.mark.django_db


@pytest.fixture
def record(crm, promised, deliver):
    """What the CRM holds of a file that was then hidden."""
    delivery = promised()
    deliver(crm)
    MediaFile.objects.filter(pk=delivery.media_id).update(hidden_at=clock.now())
    return RecordLink.objects.get(media=delivery.media_id, reason="written")


@pytest.fixture
def withdraw(crm, http, one_transaction, monkeypatch):
    async def here(do, *args):
        return await sync_to_async(do)(*args)

    monkeypatch.setattr(withdrawal, "in_thread", here)

    @async_to_sync
    async def one(media_id, through=FakeCrm):
        await withdrawal.withdraw(media_id, http=http, open_connector=opener(crm, through))

    return one


def test_the_record_goes_and_nothing_is_promised_any_more(crm, record, withdraw):
    assert crm.account.records[record.record_id].is_live
    withdraw(record.media_id)
    withdraw(record.media_id)
    assert not crm.account.records[record.record_id].is_live
    assert not RecordLink.objects.filter(media=record.media_id).exists()
    assert not Delivery.objects.exists()
    assert AuditEntry.objects.filter(action="file.removed_from_crm").count() == 1


def test_what_people_tied_it_to_there_stays(crm, record, withdraw):
    deal = RecordLink.objects.create(
        workspace=record.workspace, connection=crm, media=record.media, object_type="deal", record_id="777",
        reason="chosen", linked_by="test", linked_at=clock.now(),
    )  # fmt: skip
    withdraw(record.media_id)
    assert list(RecordLink.objects.filter(media=record.media_id)) == [deal]


def test_a_file_that_nobody_took_back_is_left_alone(crm, record, withdraw):
    MediaFile.objects.update(hidden_at=None)
    withdraw(record.media_id)
    assert crm.account.records[record.record_id].is_live
    assert Delivery.objects.exists()


def test_it_waits_for_whoever_is_just_writing_the_file(crm, record, withdraw):
    Delivery.objects.update(delivered_at=None, claimed_until=clock.now() + timedelta(minutes=5))
    with pytest.raises(withdrawal.StillBeingWritten):
        withdraw(record.media_id)
    assert Delivery.objects.exists()


def test_a_crm_that_is_busy_or_paused_is_asked_again(crm, record, withdraw):
    with pytest.raises(withdrawal.CrmBusy) as busy:
        withdraw(record.media_id, refusing(CrmErrorKind.RATE_LIMITED, on="erase_media", retry_after_s=9))
    assert busy.value.after_s == 9
    Connection.objects.filter(pk=crm.pk).update(
        paused_at=clock.now(), paused_by="test", pause_reason="by_hand"
    )
    with pytest.raises(withdrawal.CrmBusy):
        withdraw(record.media_id)
    assert RecordLink.objects.filter(pk=record.pk).exists()


def test_a_record_that_is_gone_there_is_well(crm, record, withdraw):
    withdraw(record.media_id, refusing(CrmErrorKind.NOT_FOUND, on="erase_media"))
    assert not RecordLink.objects.filter(pk=record.pk).exists()


def test_a_crm_that_refuses_keeps_its_record_and_the_trail_says_so(crm, record, withdraw):
    withdraw(record.media_id, refusing(CrmErrorKind.FORBIDDEN, on="erase_media"))
    left = AuditEntry.objects.get(action="file.left_in_crm")
    assert (left.reason, left.details["record"]) == ("forbidden", record.record_id)
