"""The receiver that the guide shows is run as it stands there, and does what the guide says."""

import asyncio
import logging
import re
import threading
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from acervo.base import signing
from acervo.base.http import crm_client
from acervo.crms.conformance import a_draft, an_item
from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind, RecordRef
from acervo.crms.webhook.adapter import Webhook

GUIDE = Path(__file__).parents[2] / "docs/guides/connect-webhook.md"


@pytest.fixture
def shown(monkeypatch):
    """The names of the program in the guide, its address, and the secret it was given."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    secret = signing.new_secret()
    monkeypatch.setenv("SECRET", secret)
    (program,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    names = {"__name__": "receiver"}
    exec(compile(program, str(GUIDE), "exec"), names)  # the text of our own guide
    server = make_server("127.0.0.1", 0, names["app"])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield names, f"http://127.0.0.1:{server.port}/acervo", secret
    server.shutdown()
    server.server_close()
    thread.join(10)


def talk(address, secret, do):
    async def through():
        async with crm_client(("127.0.0.1",), timeout_s=10) as http:
            return await do(Webhook(CrmCredentials(secrets={"secret": secret}, api_base=address), http))

    return asyncio.run(through())


def test_it_keeps_a_file_with_its_customer_once_and_lets_it_go(shown):
    names, address, secret = shown
    item = an_item(person=a_draft(), title="Olá")

    async def live(connector):
        await connector.check()
        for _ in range(2):
            (result,) = await connector.upsert_media([item])
            assert not result.error
        kept = dict(names["files"])
        await connector.erase_media(RecordRef("media", item.media_id))
        return kept

    kept = talk(address, secret, live)
    assert list(kept) == [item.media_id]
    assert (kept[item.media_id]["title"], kept[item.media_id]["contact"]["first_name"]) == ("Olá", "Ana")
    assert not names["files"]


def test_it_takes_nothing_that_we_did_not_sign(shown):
    names, address, _secret = shown
    with pytest.raises(CrmError) as refusal:
        talk(address, signing.new_secret(), lambda connector: connector.check())
    assert (refusal.value.kind, refusal.value.vendor_code) == (CrmErrorKind.AUTH_REVOKED, "signature")
    assert not names["files"]
