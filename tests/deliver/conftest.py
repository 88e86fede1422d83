"""A simulated CRM beside the workspace, promises to it, and calls that ride on no network."""

import httpx
import pytest
from asgiref.sync import async_to_sync, sync_to_async

from acervo.base import clock, ids
from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind
from acervo.crms.fake.account import ACCOUNTS, FakeAccount
from acervo.crms.fake.adapter import FakeCrm
from acervo.deliver import (
    account,
    associations,
    attach,
    candidates,
    contacts,
    outbox,
    reconcile,
    review,
    uploading,
    withdrawal,
)
from acervo.models import Delivery, MediaFile
from tests.conftest import make_connection, make_file, make_person

PHONE = "+15555550142"


def make_crm(workspace, **facts):
    token = f"token-{ids.text(ids.new())}"
    row = make_connection(
        workspace,
        "fake",
        purpose="crm",
        name="Simulated CRM",
        account_id=token[-12:],
        secrets={"token": token},
        **facts,
    )
    row.account = FakeAccount(token)
    return row


@pytest.fixture
def crm(workspace):
    """A CRM connection; `.account` is what the simulated CRM holds."""
    row = make_crm(workspace)
    yield row
    ACCOUNTS.pop(row.account.token)


@pytest.fixture
def prepared(connection):
    """`prepared(**columns)`: a kept and prepared file, as a row only; no bytes are needed here."""

    def make(connection=connection, person=None, **facts):
        now = clock.now()
        file = make_file(connection, person=person, kind=facts.pop("kind", "voice"), **facts)
        MediaFile.objects.filter(pk=file.pk).update(
            object_key=f"test/{file.pk}", size_bytes=9471, sealed_bytes=9471, sha256="a" * 64, sealing="storage",
            stored_at=now, prepared_at=now, mime="audio/ogg", duration_s=42.4,
        )  # fmt: skip
        file.refresh_from_db()
        return file

    return make


@pytest.fixture
def promised(crm, prepared):
    """`promised(**columns)`: a prepared file, and the promise of it to `crm`."""

    def make(**facts):
        file = prepared(**facts)
        outbox.promise([file.pk])
        return Delivery.objects.select_related("media").get(connection=crm, media=file)

    return make


@pytest.fixture
def person(workspace):
    return make_person(workspace, phone=PHONE)


@pytest.fixture
def http():
    def refuse(request):
        raise AssertionError("the simulated CRM needs no network")

    return httpx.AsyncClient(transport=httpx.MockTransport(refuse))


@pytest.fixture
def deliver_async(http):
    """`await deliver_async(crm)`: one batch, with its database work in threads, as in a worker."""

    async def one_batch(crm, through=FakeCrm, **options):
        return await attach.deliver(crm.pk, http=http, open_connector=opener(crm, through), **options)

    return one_batch


@pytest.fixture
def deliver(deliver_async, one_transaction):
    """`deliver(crm)`: one batch through the simulated CRM, or `through` another connector class."""
    return async_to_sync(deliver_async)


@pytest.fixture
def compare(http, one_transaction):
    @async_to_sync
    async def one_round(crm, through=FakeCrm, limit=100):
        return await reconcile.reconcile(crm.pk, http=http, limit=limit, open_connector=opener(crm, through))

    return one_round


@pytest.fixture
def one_transaction(monkeypatch):
    """Database work goes to the test's own thread, whose transaction is rolled back: emptying every table after
    each test would take a hundred times longer."""

    async def here(do, *args, **kwargs):
        return await sync_to_async(do)(*args, **kwargs)

    for module in (
        account,
        associations,
        attach,
        candidates,
        contacts,
        reconcile,
        review,
        uploading,
        withdrawal,
    ):
        monkeypatch.setattr(module, "in_thread", here)


def opener(crm, through=FakeCrm):
    return lambda connection, http: through(
        CrmCredentials(secrets={"token": crm.account.token}, options=connection.options), http
    )


def refusing(kind, *, on="upsert_media", **facts):
    """A CRM of which one whole call is refused."""

    async def refuse(self, *args, **kwargs):
        raise CrmError(CrmErrorKind(kind), **facts)

    return type("RefusingCrm", (FakeCrm,), {on: refuse})
