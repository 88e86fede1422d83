"""The bytes themselves in a CRM: only where somebody wants them, once, and out again without a trace of ours."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from acervo.base import clock
from acervo.base.errors import NeedsPerson, TryLater
from acervo.crms.contract import CrmError, CrmErrorKind, EraseResult, RecordRef, UploadTerms
from acervo.crms.fake.adapter import FakeCrm
from acervo.deliver import associations, mapping, outbox, uploading, uploads, withdrawal
from acervo.deliver.mapping import Rules, Switch
from acervo.models import (
    AuditEntry,
    Connection,
    CrmUpload,
    Delivery,
    MappingVersion,
    MediaFile,
    RecordLink,
    Rendition,
)
from tests.deliver.conftest import make_crm, opener, refusing

pytestmark = pytest.mark.django_db

BY = "member:01TEST"
SOUND, PLAYABLE = b"OggS the original", b"ID3 what plays everywhere"


@pytest.fixture(autouse=True)
def bytes_of(monkeypatch):
    """What lies in the vault, by row; the rows of these tests have none."""

    async def read(row):
        yield (PLAYABLE if isinstance(row, Rendition) else SOUND)[:4]
        yield (PLAYABLE if isinstance(row, Rendition) else SOUND)[4:]

    monkeypatch.setattr(uploading.vault, "read", read)


@pytest.fixture
def upload(crm, http, one_transaction):
    """`upload()`: everything that is due goes in or out; how many files that were."""

    @async_to_sync
    async def all_of_it(through=FakeCrm, crm=crm):
        count = 0
        while await uploading.go_on(crm.pk, http=http, open_connector=opener(crm, through)):
            count += 1
        return count

    return all_of_it


def want_bytes(crm, *kinds, **changes):
    newest = MappingVersion.objects.filter(connection=crm).count()
    rules = Rules(kinds={kind: Switch(with_bytes=True, **changes) for kind in kinds})
    MappingVersion.objects.create(
        workspace=crm.workspace, connection=crm, number=newest + 1, rules=mapping.written(rules),
        reason="because", made_by="test",
    )  # fmt: skip


def in_crm(crm):
    return sorted(one.content for one in crm.account.uploads.values())


def the_upload():
    return CrmUpload.objects.select_related("connection", "media").get()


def wait_over():
    CrmUpload.objects.update(due_at=clock.now(), claimed_until=None)


def add_playable(media):
    return Rendition.objects.create(
        media=media, kind="mp3", mime="audio/mpeg", object_key=f"test/{media.pk}.mp3",
        size_bytes=len(PLAYABLE), sealed_bytes=len(PLAYABLE), sha256="b" * 64, sealing="storage",
        made_at=clock.now(),
    )  # fmt: skip


@pytest.fixture
def there(crm, promised, deliver, upload):
    """A voice note whose bytes are in the CRM."""
    want_bytes(crm, "voice")
    delivery = promised()
    deliver(crm)
    assert upload() == 1
    return delivery


def test_only_the_link_goes_until_somebody_wants_more(crm, promised, deliver, upload):
    promised()
    deliver(crm)
    assert not CrmUpload.objects.exists()
    assert upload() == 0
    assert not crm.account.uploads


def test_the_bytes_follow_the_link_and_hang_on_the_files_record(there, crm):
    [held] = crm.account.uploads.values()
    record = RecordLink.objects.get(media=there.media_id, reason="written")
    assert (held.content, held.holder_id) == (SOUND, record.record_id)
    assert held.file_name == f"voice-{there.media.slug}.ogg"
    row = the_upload()
    assert (row.state, row.holder_id, row.size_bytes) == ("there", record.record_id, 9471)
    entry = AuditEntry.objects.get(action="file.uploaded")
    assert (entry.by, entry.subject_id) == ("system:deliver", there.media_id)


def test_what_plays_everywhere_goes_where_there_is_such_a_copy(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    delivery = promised()
    add_playable(delivery.media)
    deliver(crm)
    upload()
    assert in_crm(crm) == [PLAYABLE]
    assert the_upload().file_name == f"voice-{delivery.media.slug}.mp3"


def test_only_kinds_that_are_wanted_go(crm, promised, deliver, upload):
    want_bytes(crm, "image")
    promised(kind="voice")
    wanted = promised(kind="image")
    deliver(crm)
    assert upload() == 1
    assert the_upload().media_id == wanted.media_id


def test_kinds_that_do_not_go_at_all_leave_no_bytes_either(crm):
    want_bytes(crm, "voice", go="none")
    assert mapping.current(crm.pk)[1].kinds_with_bytes == []


def test_a_file_that_goes_again_is_not_uploaded_again(there, crm, deliver, upload):
    MediaFile.objects.filter(pk=there.media_id).update(duration_s=99.0, changed_at=clock.now())
    outbox.renew([there.media_id])
    assert deliver(crm).delivered == 1
    assert upload() == 0
    assert in_crm(crm) == [SOUND]


def test_a_lost_answer_doubles_nothing(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    promised()
    deliver(crm)
    crm.account.loses_next_upload = True
    upload()
    row = the_upload()
    assert (row.state, row.refusal, row.attempts) == ("trying", "unknown_outcome", 1)
    assert row.due_at > clock.now()
    wait_over()
    assert upload() == 1
    assert in_crm(crm) == [SOUND]
    assert (the_upload().state, the_upload().refusal) == ("there", None)


def test_a_worker_that_dies_holds_it_no_longer_than_its_lease(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    promised()
    deliver(crm)
    assert uploading._take(crm.pk)
    assert upload() == 0
    CrmUpload.objects.update(claimed_until=clock.now() - timedelta(seconds=1))
    assert upload() == 1
    assert in_crm(crm) == [SOUND]


def test_what_is_too_large_for_the_crm_stops_and_says_so(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    promised()
    deliver(crm)
    small = type("SmallCrm", (FakeCrm,), {"uploads": UploadTerms(100, ("media",))})
    upload(small)
    row = the_upload()
    assert (row.state, row.refusal) == ("stopped", "too_large")
    assert row.refusal_facts == {"size_bytes": 9471, "most_bytes": 100}
    assert upload(small) == 0
    assert uploads.retry(crm, by=BY) == 1
    assert upload() == 1


def test_bytes_that_may_not_go_stop_no_link(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    promised()
    deliver(crm)
    upload(refusing(CrmErrorKind.FORBIDDEN, on="upload", status=403))
    assert (the_upload().state, the_upload().refusal) == ("stopped", "forbidden")
    assert Connection.objects.get(pk=crm.pk).paused_at is None
    promised()
    assert deliver(crm).delivered == 1


def test_an_account_that_lets_nobody_in_is_paused_and_the_bytes_wait(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    promised()
    deliver(crm)
    assert upload(refusing(CrmErrorKind.AUTH_REVOKED, on="upload")) == 1
    assert Connection.objects.get(pk=crm.pk).paused_at
    row = the_upload()
    assert (row.state, row.claimed_until, row.attempts) == ("queued", None, 0)


def test_an_account_that_has_had_enough_rests(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    promised()
    deliver(crm)
    upload(refusing(CrmErrorKind.RATE_LIMITED, on="upload", retry_after_s=60))
    assert Connection.objects.get(pk=crm.pk).breaker_open_until
    assert upload() == 0


def failing(error):
    async def read(row):
        yield b"Og"
        raise error

    return read


def test_our_own_storage_is_waited_for_and_what_is_damaged_stops(crm, promised, deliver, upload, monkeypatch):
    want_bytes(crm, "voice")
    promised()
    deliver(crm)
    monkeypatch.setattr(uploading.vault, "read", failing(TryLater("away", code="storage_away", after_s=30)))
    upload()
    assert (the_upload().state, the_upload().refusal) == ("trying", "storage_away")
    wait_over()
    monkeypatch.setattr(uploading.vault, "read", failing(NeedsPerson("broken", code="object_damaged")))
    upload()
    assert (the_upload().state, the_upload().refusal) == ("stopped", "object_damaged")
    assert not crm.account.uploads


def test_infected_and_taken_back_files_wait(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    infected, hidden = promised(), promised()
    deliver(crm)
    MediaFile.objects.filter(pk=infected.media_id).update(infection="Eicar-Test", scanned_at=clock.now())
    MediaFile.objects.filter(pk=hidden.media_id).update(hidden_at=clock.now())
    assert upload() == 0
    assert not crm.account.uploads


def test_what_a_scanner_finds_later_leaves_the_crm(there, crm, upload):
    uploads.take_out_infected()
    assert upload() == 0
    assert in_crm(crm) == [SOUND]
    MediaFile.objects.filter(pk=there.media_id).update(infection="Eicar-Test", scanned_at=clock.now())
    uploads.take_out_infected()
    assert upload() == 1
    assert not crm.account.uploads


def test_a_paused_crm_gets_no_bytes(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    promised()
    deliver(crm)
    Connection.objects.filter(pk=crm.pk).update(
        paused_at=clock.now(), paused_by="test", pause_reason="by_hand"
    )
    assert upload() == 0
    assert uploads.due_connections() == []


def test_due_bytes_wake_a_worker_of_their_own(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    promised()
    deliver(crm)
    assert outbox.due_connections() == []
    assert uploads.due_connections() == [crm.pk]
    upload()
    assert uploads.due_connections() == []


def test_earlier_files_follow_when_somebody_says_so(crm, promised, deliver, upload):
    for _ in range(3):
        promised()
    deliver(crm)
    assert uploads.ask_earlier(crm, by=BY) == 0
    want_bytes(crm, "voice")
    assert uploads.earlier(crm).count() == 3
    assert uploads.ask_earlier(crm, by=BY) == 3
    assert uploads.ask_earlier(crm, by=BY) == 0
    assert upload() == 3
    entry = AuditEntry.objects.get(action="connection.uploads_asked")
    assert (entry.by, entry.details) == (BY, {"files": 3})


def test_what_arrives_today_does_not_wait_for_a_mountain(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    old = promised()
    deliver(crm)
    CrmUpload.objects.update(asked_at=clock.now() - timedelta(days=1))
    new = promised()
    deliver(crm)
    task = uploading._take(crm.pk)
    assert task
    assert task.row.media_id == new.media_id != old.media_id


def test_removed_on_demand_and_the_links_stay(there, crm, upload):
    assert uploads.ask_removal(crm, by=BY) == 1
    assert the_upload().state == "leaving"
    assert upload() == 1
    assert not crm.account.uploads
    assert not CrmUpload.objects.exists()
    assert len(crm.account.live("media")) == 1
    assert AuditEntry.objects.get(action="connection.upload_removal_asked").by == BY
    assert AuditEntry.objects.filter(action="file.upload_removed").count() == 1


def test_bytes_on_their_way_while_somebody_wants_them_out_come_out(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    promised()
    deliver(crm)

    async def asked_meanwhile(self, one):
        done = await FakeCrm.upload(self, one)
        await sync_to_async(uploads.ask_removal)(crm, by=BY)
        return done

    upload(type("Meanwhile", (FakeCrm,), {"upload": asked_meanwhile}))
    assert not crm.account.uploads
    assert not CrmUpload.objects.exists()


def test_what_was_never_tried_is_simply_wanted_no_more(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    promised()
    deliver(crm)
    assert uploads.ask_removal(crm, by=BY) == 0
    assert not CrmUpload.objects.exists()


def test_a_file_that_is_taken_back_leaves_with_its_bytes(there, crm, http, one_transaction):
    MediaFile.objects.filter(pk=there.media_id).update(hidden_at=clock.now())
    withdraw(crm, there.media_id, http)
    assert not crm.account.uploads
    assert not crm.account.live("media")
    assert not CrmUpload.objects.exists()


def test_bytes_whose_answer_was_lost_leave_too(crm, promised, deliver, upload, http, one_transaction):
    want_bytes(crm, "voice")
    delivery = promised()
    deliver(crm)
    crm.account.loses_next_upload = True
    upload()
    assert crm.account.uploads
    MediaFile.objects.filter(pk=delivery.media_id).update(hidden_at=clock.now())
    withdraw(crm, delivery.media_id, http)
    assert not crm.account.uploads


def test_taking_back_waits_for_bytes_that_are_on_their_way(there, crm, http, one_transaction):
    CrmUpload.objects.update(claimed_until=clock.now() + timedelta(minutes=5))
    MediaFile.objects.filter(pk=there.media_id).update(hidden_at=clock.now())
    with pytest.raises(withdrawal.StillBeingWritten):
        withdraw(crm, there.media_id, http)
    assert crm.account.uploads


def test_bytes_a_crm_does_not_let_go_of_are_named_and_the_record_goes(there, crm, http, one_transaction):
    MediaFile.objects.filter(pk=there.media_id).update(hidden_at=clock.now())
    withdraw(crm, there.media_id, http, refusing(CrmErrorKind.FORBIDDEN, on="remove_upload", status=403))
    assert not crm.account.live("media")
    assert (the_upload().state, the_upload().refusal) == ("stuck", "forbidden")
    assert AuditEntry.objects.get(action="file.upload_left").reason == "forbidden"


def test_bytes_in_a_crm_that_is_connected_no_longer_are_named_as_left(there, crm, http, one_transaction):
    Connection.objects.filter(pk=crm.pk).update(removed_at=clock.now(), removed_by="test")
    MediaFile.objects.filter(pk=there.media_id).update(hidden_at=clock.now())
    withdraw(crm, there.media_id, http)
    left = AuditEntry.objects.filter(subject_id=there.media_id, reason="forbidden")
    assert {entry.action for entry in left} == {"file.upload_left", "file.left_in_crm"}
    assert the_upload().state == "stuck"


def test_a_crm_that_is_busy_is_asked_again_before_its_record_goes(there, crm, http, one_transaction):
    MediaFile.objects.filter(pk=there.media_id).update(hidden_at=clock.now())
    with pytest.raises(withdrawal.CrmBusy):
        withdraw(crm, there.media_id, http, refusing(CrmErrorKind.LOCKED, on="remove_upload"))
    assert len(crm.account.live("media")) == 1
    wait_over()
    withdraw(crm, there.media_id, http)
    assert not crm.account.live("media")
    assert not crm.account.uploads


def test_what_a_crm_keeps_is_written_down(there, crm, upload):
    async def partial(self, uploaded):
        await FakeCrm.remove_upload(self, uploaded)
        return EraseResult("partial", "15 days in the recycle bin")

    uploads.ask_removal(crm, by=BY)
    upload(type("Keeper", (FakeCrm,), {"remove_upload": partial}))
    entry = AuditEntry.objects.get(action="file.upload_removed")
    assert (entry.reason, entry.details["left"]) == ("kept_a_while", "15 days in the recycle bin")


def test_a_record_somebody_deleted_and_wants_again_gets_its_bytes_again(there, crm, deliver, upload):
    record = RecordLink.objects.get(media=there.media_id, reason="written")
    crm.account.records[record.record_id].is_live = False
    crm.account.uploads.clear()
    detach(record)
    outbox.retry(Delivery.objects.get(), by=BY)
    assert deliver(crm).delivered == 1
    assert upload() == 2  # out of where it hung, then in
    assert in_crm(crm) == [SOUND]


TICKETS = type("TicketCrm", (FakeCrm,), {"uploads": UploadTerms(1_000_000, ("deal",))})


@pytest.fixture
def hangs_on_deals(monkeypatch):
    """A CRM whose own records hold no files, as Zendesk's."""
    monkeypatch.setattr(uploads, "terms", lambda connection: TICKETS.uploads)


def tie(crm, delivery):
    deal = crm.account.add("deal", {"title": "Router"})
    link = RecordLink.objects.create(
        workspace=crm.workspace, connection=crm, media=delivery.media, object_type="deal",
        record_id=deal.id, reason="chosen", linked_by="test", linked_at=clock.now(),
    )  # fmt: skip
    outbox.renew([delivery.media_id])
    return link


def test_bytes_wait_for_a_record_that_can_hold_them(hangs_on_deals, crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    delivery = promised()
    deliver(crm)
    assert not CrmUpload.objects.exists()
    link = tie(crm, delivery)
    deliver(crm)
    assert upload(TICKETS) == 1
    assert [one.holder_id for one in crm.account.uploads.values()] == [link.record_id]


def test_off_the_deal_the_bytes_go_with_it(
    hangs_on_deals, crm, promised, deliver, upload, http, one_transaction
):
    want_bytes(crm, "voice")
    delivery = promised()
    deliver(crm)
    link = tie(crm, delivery)
    deliver(crm)
    upload(TICKETS)
    assert associations.ask_untie(link, by=BY)
    async_to_sync(associations.untie)(link.pk, http=http, open_connector=opener(crm, TICKETS))
    assert not crm.account.uploads
    assert not CrmUpload.objects.exists()


def test_untied_before_they_went_they_are_asked_for_once_it_is_tied_again(
    hangs_on_deals, crm, promised, deliver, upload
):
    want_bytes(crm, "voice")
    delivery = promised()
    deliver(crm)
    link = tie(crm, delivery)
    deliver(crm)
    link.delete()
    assert upload(TICKETS) == 0
    assert not CrmUpload.objects.exists()


def test_the_best_holder_is_taken():
    terms = UploadTerms(1, ("note", "ticket"))
    ticket, note = RecordRef("ticket", "7"), RecordRef("note", "7/x")
    assert uploads.holder_of(terms, [ticket, note]) == note
    assert uploads.holder_of(terms, [RecordRef("media", "1"), ticket]) == ticket
    assert uploads.holder_of(terms, [RecordRef("deal", "1")]) is None


def test_the_standing_counts_every_file_once(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    for _ in range(4):
        promised()
    deliver(crm)
    first, second, third, fourth = CrmUpload.objects.order_by("pk")
    CrmUpload.objects.filter(pk=first.pk).update(
        uploaded_at=clock.now(), file_id="1", holder_id="1", holder_type="media", file_name="a.mp3", size_bytes=5
    )  # fmt: skip
    CrmUpload.objects.filter(pk=second.pk).update(
        stopped_at=clock.now(), refused_at=clock.now(), refusal="too_large"
    )
    CrmUpload.objects.filter(pk=third.pk).update(remove_asked_at=clock.now(), remove_asked_by=BY)
    assert uploads.standing(crm) == uploads.Standing(1, 5, 1, 1, {"too_large": 1})
    MediaFile.objects.filter(pk=fourth.media_id).update(hidden_at=clock.now())
    assert uploads.standing(crm).waiting == 0


def test_another_workspaces_crm_gets_none_of_our_bytes(crm, promised, deliver, upload, other_workspace):
    theirs = make_crm(other_workspace)
    want_bytes(crm, "voice")
    want_bytes(theirs, "voice")
    promised()
    deliver(crm)
    assert upload(crm=theirs) == 0
    assert not theirs.account.uploads


def withdraw(crm, media_id, http, through=FakeCrm):
    async_to_sync(withdrawal.withdraw)(media_id, http=http, open_connector=opener(crm, through))


def test_nothing_of_it_is_asked_of_a_webhook(crm):
    Connection.objects.filter(pk=crm.pk).update(kind="webhook")
    assert uploads.terms(Connection.objects.get(pk=crm.pk)) is None


def lose_an_answer(crm, upload, through=FakeCrm):
    """The bytes are there, and nobody told us."""
    crm.account.loses_next_upload = True
    upload(through)
    assert (the_upload().state, len(crm.account.uploads)) == ("trying", 1)
    wait_over()


def holders(crm):
    return [one.holder_id for one in crm.account.uploads.values()]


def test_bytes_that_may_hang_on_what_the_file_is_tied_to_no_longer_come_out(
    hangs_on_deals, crm, promised, deliver, upload
):
    want_bytes(crm, "voice")
    delivery = promised()
    deliver(crm)
    link = tie(crm, delivery)
    deliver(crm)
    lose_an_answer(crm, upload, TICKETS)
    assert associations.ask_untie(link, by=BY)
    upload(TICKETS)
    assert not crm.account.uploads
    assert not CrmUpload.objects.exists()


def test_bytes_that_may_hang_elsewhere_leave_there_before_they_go_again(
    hangs_on_deals, crm, promised, deliver, upload
):
    want_bytes(crm, "voice")
    delivery = promised()
    deliver(crm)
    first = tie(crm, delivery)
    deliver(crm)
    lose_an_answer(crm, upload, TICKETS)
    first.delete()
    second = tie(crm, delivery)
    upload(TICKETS)
    assert holders(crm) == [second.record_id]
    assert (the_upload().state, the_upload().holder_id) == ("there", second.record_id)


def test_a_copy_made_between_two_tries_doubles_nothing(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    delivery = promised()
    deliver(crm)
    lose_an_answer(crm, upload)
    add_playable(delivery.media)
    upload()
    assert in_crm(crm) == [PLAYABLE]


def test_bytes_that_outlive_their_record_move_to_the_new_one(there, crm, deliver, upload):
    record = RecordLink.objects.get(media=there.media_id, reason="written")
    crm.account.records[record.record_id].is_live = False
    detach(record)
    outbox.retry(Delivery.objects.get(), by=BY)
    assert deliver(crm).delivered == 1
    upload()
    new = RecordLink.objects.get(media=there.media_id, reason="written")
    assert holders(crm) == [new.record_id] != [record.record_id]


def test_bytes_that_outlive_their_record_leave_with_a_file_that_is_taken_back_before_there_is_a_new_one(
    there, crm, upload, http, one_transaction
):
    detach(RecordLink.objects.get(media=there.media_id, reason="written"))
    outbox.retry(Delivery.objects.get(), by=BY)
    MediaFile.objects.filter(pk=there.media_id).update(hidden_at=clock.now())
    withdraw(crm, there.media_id, http)
    upload()
    assert not crm.account.uploads
    assert not CrmUpload.objects.exists()


def detach(record):
    Delivery.objects.update(
        delivered_at=None, stopped_at=clock.now(), refused_at=clock.now(), refusal="detached",
        refusal_facts={"object_type": "media", "record_id": record.record_id},
    )  # fmt: skip


def test_a_refused_way_in_does_not_stop_the_way_out(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    promised()
    deliver(crm)

    async def refused_meanwhile(self, one):
        await sync_to_async(uploads.ask_removal)(crm, by=BY)
        raise CrmError(CrmErrorKind.FORBIDDEN, status=403)

    upload(type("Meanwhile", (FakeCrm,), {"upload": refused_meanwhile}))
    assert not CrmUpload.objects.exists()
    assert not AuditEntry.objects.filter(action="file.upload_left").exists()


def test_bytes_that_arrive_after_their_row_went_come_out_again(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    promised()
    deliver(crm)

    async def forgotten_meanwhile(self, one):
        done = await FakeCrm.upload(self, one)
        await sync_to_async(CrmUpload.objects.all().delete)()
        return done

    assert upload(type("Meanwhile", (FakeCrm,), {"upload": forgotten_meanwhile})) == 2
    assert not crm.account.uploads
    assert not CrmUpload.objects.exists()


def test_an_upload_ends_before_its_lease(crm, promised, deliver, upload, monkeypatch):
    assert uploading.LEASE.total_seconds() > uploading.LONGEST_S
    monkeypatch.setattr(uploading, "LONGEST_S", 0.01)
    want_bytes(crm, "voice")
    promised()
    deliver(crm)

    async def never(self, one):
        await asyncio.Event().wait()

    upload(type("Slow", (FakeCrm,), {"upload": never}))
    assert (the_upload().state, the_upload().refusal) == ("trying", "unknown_outcome")


def test_an_account_that_takes_no_more_files_today_still_takes_links(crm, promised, deliver, upload):
    want_bytes(crm, "voice")
    promised()
    promised()
    deliver(crm)
    assert upload(refusing(CrmErrorKind.QUOTA_EXHAUSTED, on="upload", retry_after_s=3600)) == 1
    assert CrmUpload.objects.filter(due_at__gt=clock.now()).count() == 2
    promised()
    assert deliver(crm).delivered == 1


def test_kinds_that_are_unticked_go_no_further(crm, promised, deliver, upload):
    want_bytes(crm, "voice", "image")
    promised(kind="image")
    deliver(crm)
    upload()
    promised()
    deliver(crm)
    crm.account.loses_next_upload = True
    upload()
    promised()
    deliver(crm)
    uploads.drop_unwanted(crm, Rules(), by=BY)
    wait_over()
    upload()
    assert the_upload().media.kind == "image"
    assert len(crm.account.uploads) == 1
