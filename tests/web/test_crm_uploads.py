"""Copies of files in a CRM, on its page: how many, why some stopped, and all of them out again."""

import re

import pytest

from acervo.base import clock, ids
from acervo.crms.fake.account import ACCOUNTS, FakeAccount
from acervo.deliver import mapping
from acervo.models import AuditEntry, Connection, CrmUpload, Delivery, RecordLink
from tests.conftest import make_connection

TOKEN = "copies-page"


@pytest.fixture
def crm(workspace):
    row = make_connection(
        workspace, "fake", purpose="crm", account_id="fake", name="CRM", secrets={"token": TOKEN}
    )
    row.account = FakeAccount(TOKEN)
    yield row
    ACCOUNTS.pop(TOKEN)


@pytest.fixture
def client(page_of, alice):
    return page_of(alice)


@pytest.fixture
def in_crm(crm, kept_file):
    """A file whose link lies in the CRM."""

    def make(**facts):
        file, now = kept_file(**facts), clock.now()
        Delivery.objects.create(
            workspace=crm.workspace, connection=crm, media=file, promised_at=now, due_at=now, delivered_at=now
        )
        RecordLink.objects.create(
            workspace=crm.workspace, connection=crm, media=file, object_type="media",
            record_id=file.slug, reason="written", linked_by="test", linked_at=now,
        )  # fmt: skip
        return file

    return make


def upload_of(crm, file, **facts):
    now = clock.now()
    return CrmUpload.objects.create(
        workspace=crm.workspace, connection=crm, media=file, asked_at=now, asked_by="test", due_at=now, **facts
    )  # fmt: skip


def there(crm, file):
    return upload_of(
        crm, file, holder_type="media", holder_id="1", file_name="a.mp3", file_id="7",
        size_bytes=2_000_000, uploaded_at=clock.now(),
    )  # fmt: skip


def address(crm, end=""):
    return f"/settings/connections/{ids.text(crm.pk)}/copies{end}"


def want(client, crm, *kinds):
    sent = {"seen": str(mapping.current(crm.pk)[0]), "reason": "the clinic's records stand alone"}
    sent |= {f"bytes.{kind}": "1" for kind in kinds}
    assert client.post(address(crm).replace("copies", "mapping"), sent).status_code == 302


def test_a_kind_is_ticked_in_the_mapping_with_a_reason_and_unticked_again(client, crm):
    want(client, crm, "voice")
    assert mapping.current(crm.pk)[1].kinds_with_bytes == ["voice"]
    assert AuditEntry.objects.get(action="mapping.changed").details["changed"] == ["kind.voice"]
    shown = client.get(address(crm).replace("copies", "mapping")).content.decode()
    assert 'name="bytes.voice" value="1" checked' in shown
    assert 'name="bytes.video" value="1" checked' not in shown
    want(client, crm)
    assert mapping.current(crm.pk)[1].kinds_with_bytes == []


def test_what_waits_goes_no_further_once_its_kind_is_unticked(client, crm, in_crm):
    want(client, crm, "voice")
    upload_of(crm, in_crm())
    lies_there = there(crm, in_crm())
    want(client, crm)
    assert list(CrmUpload.objects.all()) == [lies_there]
    assert CrmUpload.objects.get().state == "there"


def test_ticking_writes_no_record_anew(client, crm, in_crm):
    in_crm()
    want(client, crm, "voice")
    assert mapping.outdated(crm.pk) == 0


def test_before_anything_is_ticked_it_says_so(client, crm):
    shown = client.get(address(crm)).content.decode()
    assert "no kind is ticked" in shown
    assert "Take all copies out" not in shown


def test_earlier_files_are_counted_and_copied_when_asked(client, crm, in_crm):
    in_crm(kind="voice")
    in_crm(kind="image")
    want(client, crm, "voice")
    assert "1 earlier file of these kinds" in client.get(address(crm)).content.decode()
    assert client.post(address(crm, "/earlier")).status_code == 302
    row = CrmUpload.objects.get()
    assert (row.media.kind, row.asked_by.startswith("member:")) == ("voice", True)
    assert "earlier file" not in client.get(address(crm)).content.decode()


def test_what_stopped_says_why_and_is_tried_again(client, crm, in_crm):
    stopped = {"stopped_at": clock.now(), "refused_at": clock.now()}
    upload_of(crm, in_crm(), refusal="too_large", **stopped)
    upload_of(crm, in_crm(), refusal="forbidden", **stopped)
    shown = client.get(address(crm)).content.decode()
    assert "larger than the CRM takes" in shown
    assert "missing permission" in shown
    client.post(address(crm, "/retry"))
    assert not CrmUpload.objects.filter(stopped_at__isnull=False).exists()


def test_all_come_out_only_when_somebody_means_it(client, crm, in_crm):
    row = there(crm, in_crm())
    shown = client.get(address(crm)).content.decode()
    assert "Take all copies out" in shown
    client.post(address(crm, "/remove"))
    row.refresh_from_db()
    assert row.remove_asked_at is None
    client.post(address(crm, "/remove"), {"sure": "1"})
    row.refresh_from_db()
    assert (row.state, row.remove_asked_by.startswith("member:")) == ("leaving", True)


def test_a_webhook_has_links_only(client, crm):
    Connection.objects.filter(pk=crm.pk).update(kind="webhook")
    assert "Only links go to" in client.get(address(crm)).content.decode()


def on_its_page(client, file):
    """The panel of the CRMs on the file's page."""
    shown = client.get(f"/m/{file.slug}")
    assert shown.status_code == 200
    return shown.content.decode().partition('id="in-crm"')[2].partition("</section>")[0]


def test_the_files_page_says_how_its_copy_stands(client, crm, in_crm):
    file = in_crm()
    assert "cop" not in on_its_page(client, file).lower()
    row = upload_of(crm, file)
    assert "Copy to come" in on_its_page(client, file)
    now = clock.now()
    CrmUpload.objects.filter(pk=row.pk).update(refusal="too_large", refused_at=now, stopped_at=now)
    shown = on_its_page(client, file)
    assert "No copy" in shown
    assert "larger than the CRM" in shown


def test_the_files_page_shows_the_copy_that_is_there(client, crm, in_crm):
    file = in_crm()
    there(crm, file)
    shown = on_its_page(client, file)
    assert "Copy there" in shown
    assert re.search(r"2\WMB", shown)
