"""Promises kept at a receiver of one's own: the customer in each file, once, kept true, and let go of."""

import json

import httpx
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from standardwebhooks import Webhook as Verifier

from acervo.base import clock, database, ids, signing
from acervo.deliver import attach, outbox, reconcile, withdrawal
from acervo.deliver.refusals import DETACHED
from acervo.keep import credentials
from acervo.models import Delivery, Discrepancy, MediaFile, Person, Reconciliation, RecordLink
from sandbox.webhook import Fault, ReceiverTransport, create_receiver
from tests.conftest import make_connection, make_person
from tests.deliver.conftest import PHONE

pytestmark = pytest.mark.django_db
SECRET = signing.new_secret()


@pytest.fixture
def receiver():
    return create_receiver(SECRET, per_10_s=10_000)


@pytest.fixture
def webhook(workspace):
    return make_connection(
        workspace,
        "webhook",
        name="In-house",
        account_id=f"crm.example {ids.text(ids.new())}",
        secrets={"secret": SECRET},
        options={"per_call": 1},
        api_base=f"https://crm.example/acervo?for={ids.text(ids.new())}",
    )


@pytest.fixture
def http(receiver):
    """The receiver, and what came to it, verified by the reference library."""

    class Verified(ReceiverTransport):
        letters = []

        async def handle_async_request(self, request):
            Verifier(SECRET).verify(request.content, dict(request.headers))
            self.letters.append(json.loads(request.content))
            return await super().handle_async_request(request)

    transport = Verified(receiver)
    client = httpx.AsyncClient(transport=transport)
    client.letters = transport.letters
    return client


@pytest.fixture
def run(http, one_transaction, monkeypatch):
    async def here(do, *args, **kwargs):
        return await sync_to_async(do)(*args, **kwargs)

    monkeypatch.setattr(credentials, "in_thread", here)
    monkeypatch.setattr(database, "in_thread", here)
    monkeypatch.setattr("acervo.crms.http.ATTEMPTS", 1)
    return lambda do, *args: async_to_sync(do)(*args, http=http)


@pytest.fixture
def person(workspace):
    return make_person(workspace, phone=PHONE, name="Ana Souza")


def test_files_arrive_with_their_customer_although_nobody_can_be_looked_up(
    receiver, webhook, prepared, person, run
):
    files = [prepared(person=person) for _ in range(5)]
    outbox.promise([file.pk for file in files])
    outcome = run(attach.deliver, webhook.pk)
    assert (outcome.delivered, outcome.halted_by) == (5, None)
    assert set(receiver.files) == {file.slug for file in files}
    for kept in receiver.files.values():
        contact = kept.data["contact"]
        assert (contact["phone_e164"], contact["person_id"]) == (PHONE, ids.text(person.pk))
        assert (contact["first_name"], contact["last_name"], contact["media_count"]) == ("Ana", "Souza", 5)
    links = RecordLink.objects.filter(connection=webhook)
    assert set(links.values_list("record_id", flat=True)) == {one.id for one in receiver.files.values()}
    assert not links.filter(person__isnull=False).exists()


def test_in_batches_they_arrive_by_one_message(receiver, webhook, prepared, http, run):
    webhook.options = {"per_call": 100}
    webhook.save(update_fields=["options"])
    files = [prepared() for _ in range(7)]
    outbox.promise([file.pk for file in files])
    assert run(attach.deliver, webhook.pk).delivered == 7
    assert [letter["type"] for letter in http.letters] == ["media.upserted_many"]
    assert len(receiver.files) == 7


def test_what_did_not_change_costs_no_message_and_a_new_name_does(webhook, prepared, person, http, run):
    first = prepared(person=person)
    outbox.promise([first.pk])
    run(attach.deliver, webhook.pk)
    second = prepared(person=person)  # the roll-ups of the first are old now; the second tells the new ones
    outbox.promise([second.pk])
    run(attach.deliver, webhook.pk)
    assert [letter["data"]["contact"]["media_count"] for letter in http.letters] == [1, 2]
    assert outbox.renew([first.pk, second.pk]) == 0
    Person.objects.filter(pk=person.pk).update(name="Ana Lima")
    assert outbox.renew([first.pk, second.pk]) == 2
    run(attach.deliver, webhook.pk)
    assert [letter["data"]["contact"]["last_name"] for letter in http.letters[2:]] == ["Lima", "Lima"]


def test_a_file_that_was_taken_back_is_erased_there_by_its_id(receiver, webhook, prepared, http, run):
    file = prepared()
    outbox.promise([file.pk])
    run(attach.deliver, webhook.pk)
    MediaFile.objects.filter(pk=file.pk).update(hidden_at=clock.now())
    run(withdrawal.withdraw, file.pk)
    assert http.letters[-1]["type"] == "media.erased"
    assert http.letters[-1]["data"] == {"media_id": file.slug}
    assert not receiver.files
    assert not RecordLink.objects.exists()


def test_a_file_whose_answer_was_lost_is_one_and_is_erased_even_before_it_is_told_again(
    receiver, webhook, prepared, run
):
    told_again, taken_back = prepared(), prepared()
    receiver.faults.add(Fault("timeout_after_commit", type_has="upserted", times=2))
    outbox.promise([told_again.pk, taken_back.pk])
    outcome = run(attach.deliver, webhook.pk)
    assert outcome.delivered == 0
    assert len(receiver.files) == 2
    MediaFile.objects.filter(pk=taken_back.pk).update(hidden_at=clock.now())
    run(withdrawal.withdraw, taken_back.pk)
    assert set(receiver.files) == {told_again.slug}
    webhook.refresh_from_db()
    webhook.breaker_open_until = None
    webhook.save(update_fields=["breaker_open_until"])
    Delivery.objects.update(due_at=clock.now())
    assert run(attach.deliver, webhook.pk).delivered == 1
    (kept,) = receiver.files.values()
    assert RecordLink.objects.get().record_id == kept.id


@pytest.mark.parametrize(
    ("status", "reason"), [(401, "auth_revoked"), (403, "forbidden"), (410, "forbidden")]
)
def test_a_receiver_that_wants_no_more_is_left_alone_until_somebody_acts(
    receiver, webhook, prepared, run, status, reason
):
    receiver.faults.add(Fault("status", status, times=10_000))
    outbox.promise([prepared().pk])
    run(attach.deliver, webhook.pk)
    webhook.refresh_from_db()
    assert webhook.pause_reason == reason
    assert Delivery.objects.get().stopped_at is None


def test_a_file_it_does_not_want_says_why_in_its_own_word(receiver, webhook, prepared, run):
    receiver.faults.add(Fault("status", 422, "upserted", code="customer_unknown"))
    outbox.promise([prepared().pk])
    assert run(attach.deliver, webhook.pk).stopped == 1
    row = Delivery.objects.get()
    assert (row.refusal, row.refusal_facts["vendor_code"]) == ("validation", "customer_unknown")


def test_a_pass_finds_what_the_receiver_lost_and_what_it_changed(receiver, webhook, prepared, run):
    intact, changed, lost = (prepared() for _ in range(3))
    outbox.promise([intact.pk, changed.pk, lost.pk])
    run(attach.deliver, webhook.pk)
    receiver.files[changed.slug].data["title"] = "Mine"
    receiver.erase(lost.slug)
    found = run(reconcile.reconcile, webhook.pk)
    assert (found.intact, found.drifted, found.deleted) == (1, 1, 1)
    assert Delivery.objects.get(media=lost).refusal == DETACHED
    run(attach.deliver, webhook.pk)
    assert receiver.files[changed.slug].data["title"] != "Mine"


def test_a_receiver_that_only_takes_is_taken_at_its_word(receiver, webhook, prepared, run):
    receiver.tells = False
    outbox.promise([prepared().pk])
    run(attach.deliver, webhook.pk)
    found = run(reconcile.reconcile, webhook.pk)
    assert found.halted_by == "unsupported"
    assert Reconciliation.objects.get().finished_at
    webhook.refresh_from_db()
    assert webhook.paused_at is None
    assert not Discrepancy.objects.exists()
