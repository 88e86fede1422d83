"""The simulated account over a real socket, as the demo starts it, and the page a person opens."""

import pathlib
import subprocess
import sys

import httpx
import pytest

from sandbox.hubspot import app, create_account
from sandbox.hubspot.properties import Property

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def served():
    command = [sys.executable, "-m", "sandbox.hubspot", "--port", "0", "--token", "pat-demo", "--demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        yield process.stdout.readline().strip()
        process.terminate()


async def test_it_serves_on_a_free_port_and_wants_its_token(served):
    async with httpx.AsyncClient(base_url=served) as http:
        assert (await http.get("/account-info/2026-03/details")).status_code == 401
        headers = {"Authorization": "Bearer pat-demo"}
        details = (await http.get("/account-info/2026-03/details", headers=headers)).json()
        assert details["uiDomain"] == served.removeprefix("http://")
        assert "Ana Souza" in (await http.get("/")).text


async def test_the_page_shows_contacts_with_their_files_and_escapes_them():
    account = create_account("pat-demo")
    ana = account.add_contact(firstname="<b>Ana</b>", phone="+55 11 5555-0101")
    account.properties["2-1"] = {
        name: Property(name, name) for name in ("wa_title", "wa_media_url", "wa_kind")
    }
    account.schemas["2-1"] = {"name": "whatsapp_media", "fullyQualifiedName": "p_whatsapp_media"}
    account.records["2-1"] = {}
    values = {"wa_title": "Voice <note>", "wa_media_url": "https://acervo.example/f/1", "wa_kind": "voice"}
    record = account.write("2-1", None, values, is_system=True)
    account.associate("2-1", record.id, "0-1", ana)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app(account)), base_url="http://crm.example"
    ) as http:
        for path in ("/", f"/contacts/1/record/0-1/{ana}", f"/contacts/1/record/2-1/{record.id}"):
            page = await http.get(path)
            assert page.status_code == 200
            assert "&lt;b&gt;Ana" in page.text
            assert '<a href="https://acervo.example/f/1">Voice &lt;note&gt;</a>' in page.text
        assert (await http.get("/contacts/1/record/0-1/999")).status_code == 404


async def test_limits_answer_429_with_the_policy_and_search_lags():
    moment = [1_000.0]
    account = create_account("pat", clock=lambda: moment[0], burst=5, searches=2, search_lag_s=10)
    account.add_contact(phone="+55 11 5555-0101")
    body = {"filterGroups": [{"filters": [{"propertyName": "phone", "operator": "HAS_PROPERTY"}]}]}
    headers = {"Authorization": "Bearer pat"}
    transport = httpx.ASGITransport(app(account))
    async with httpx.AsyncClient(transport=transport, base_url="http://crm.example", headers=headers) as http:
        path = "/crm/objects/2026-03/contacts/search"
        assert (await http.post(path, json=body)).json()["total"] == 0
        moment[0] += 11
        answers = [await http.post(path, json=body) for _ in range(3)]
        assert answers[0].json()["total"] == 1
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].json()["policyName"] == "SECONDLY"
        moment[0] += 2
        answers = [await http.get("/account-info/2026-03/details") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].json()["policyName"] == "TEN_SECONDLY_ROLLING"
