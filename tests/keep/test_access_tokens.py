"""A token that ends is got once for all workers, kept sealed, and never outlives the secrets that bought it."""

import asyncio
from datetime import timedelta

import pytest

from acervo.base import clock
from acervo.base.database import in_thread
from acervo.crms.contract import CrmError, CrmErrorKind
from acervo.crms.tokens import AccessToken
from acervo.govern import connections
from acervo.keep import credentials
from acervo.models import Connection
from tests.conftest import make_connection

pytestmark = pytest.mark.django_db(transaction=True)


class Shop:
    """Where tokens are asked for."""

    def __init__(self, lifetime_s=3600.0):
        self.sold = []
        self.lifetime_s = lifetime_s

    async def ask(self):
        await asyncio.sleep(0)
        self.sold.append(f"t0k3n-{len(self.sold) + 1}")
        return AccessToken(self.sold[-1], self.lifetime_s)


@pytest.fixture
def crm(workspace):
    return make_connection(workspace, "fake", purpose="crm", secrets={"token": "s3cr3t"})


async def worker(crm):
    """A keeper as another process would have it: built from the row as it is now."""
    return credentials.SharedToken(await in_thread(Connection.objects.get, pk=crm.pk))


async def test_workers_that_need_a_token_together_ask_for_one(crm, monkeypatch):
    monkeypatch.setattr(credentials, "_LOOK_AGAIN_S", 0.01)
    shop, workers = Shop(), [await worker(crm) for _ in range(4)]
    assert set(await asyncio.gather(*(one.get(shop.ask) for one in workers))) == {"t0k3n-1"}
    assert await (await worker(crm)).get(shop.ask) == "t0k3n-1"
    assert shop.sold == ["t0k3n-1"]


async def test_a_refused_token_is_replaced_once_for_all(crm):
    shop, early, late = Shop(lifetime_s=None), await worker(crm), await worker(crm)
    for one in (early, late):
        await one.get(shop.ask)
    assert await early.get(shop.ask, refused="t0k3n-1") == "t0k3n-2"
    assert await late.get(shop.ask, refused="t0k3n-1") == "t0k3n-2"
    assert shop.sold == ["t0k3n-1", "t0k3n-2"]


async def test_a_token_is_replaced_before_its_end(crm, monkeypatch):
    shop = Shop(lifetime_s=600.0)
    await (await worker(crm)).get(shop.ask)
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(seconds=530))
    assert await (await worker(crm)).get(shop.ask) == "t0k3n-1"
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(seconds=545))
    assert await (await worker(crm)).get(shop.ask) == "t0k3n-2"


async def test_it_lies_sealed_beside_the_secrets_and_is_none_of_them(crm):
    await (await worker(crm)).get(Shop().ask)
    row = await Connection.objects.aget(pk=crm.pk)
    assert b"t0k3n-1" not in bytes(row.sealed_secrets)
    assert credentials.open_secrets(row) == {"token": "s3cr3t"}


async def test_new_secrets_forget_the_token(crm):
    shop = Shop()
    await (await worker(crm)).get(shop.ask)
    row = await in_thread(Connection.objects.get, pk=crm.pk)
    await in_thread(connections.reconnect, row, {"token": "n3w"}, "test")
    assert await (await worker(crm)).get(shop.ask) == "t0k3n-2"
    opened = await in_thread(lambda: credentials.open_secrets(Connection.objects.get(pk=crm.pk)))
    assert opened["token"] == "n3w"


async def test_secrets_changed_while_asking_do_not_get_the_old_ones_token(crm):
    shop = Shop()

    async def ask():
        row = await in_thread(Connection.objects.get, pk=crm.pk)
        await in_thread(connections.reconnect, row, {"token": "n3w"}, "test")
        return await shop.ask()

    await (await worker(crm)).get(ask)
    assert await (await worker(crm)).get(shop.ask) == "t0k3n-2"


async def test_who_fails_to_get_one_leaves_the_way_free(crm):
    async def fail():
        raise CrmError(CrmErrorKind.AUTH_REVOKED)

    with pytest.raises(CrmError):
        await (await worker(crm)).get(fail)
    assert await (await worker(crm)).get(Shop().ask) == "t0k3n-1"


async def test_waiting_for_another_ends(crm, monkeypatch):
    monkeypatch.setattr(credentials, "_LOOK_AGAIN_S", 0.001)
    monkeypatch.setattr(credentials, "_LOOKS", 3)
    begun, leave = asyncio.Event(), asyncio.Event()

    async def slow():
        begun.set()
        await leave.wait()
        return AccessToken("slow")

    first = asyncio.create_task((await worker(crm)).get(slow))
    await begun.wait()
    with pytest.raises(CrmError) as refusal:
        await (await worker(crm)).get(Shop().ask)
    assert refusal.value.kind is CrmErrorKind.UNAVAILABLE
    leave.set()
    assert await first == "slow"
