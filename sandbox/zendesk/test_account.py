"""The simulated account over a real socket, the page a person opens, and the rules it keeps like Zendesk."""

import pathlib
import re
import subprocess
import sys

import httpx
import pytest

from sandbox.zendesk import app, create_account
from sandbox.zendesk.account import CLIENT_ID, MEDIA
from sandbox.zendesk.calls import Refusal

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def served():
    command = [sys.executable, "-m", "sandbox.zendesk", "--port", "0", "--secret", "demo-secret", "--demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        yield process.stdout.readline().strip()
        process.terminate()


def wanted(secret):
    return {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_secret": secret,
        "scope": "read write",
    }


async def test_it_serves_on_a_free_port_sells_tokens_and_knows_anonymous_users(served):
    async with httpx.AsyncClient(base_url=served) as http:
        anonymous = await http.get("/api/v2/users/me")
        assert (anonymous.status_code, anonymous.json()["user"]["id"]) == (200, None)
        assert (await http.post("/oauth/tokens", json=wanted("wrong"))).json()["error"] == "invalid_client"
        sold = await http.post("/oauth/tokens", json=wanted("demo-secret"))
        assert sold.status_code == 201
        headers = {"Authorization": f"Bearer {sold.json()['access_token']}"}
        assert (await http.get("/api/v2/users/me", headers=headers)).json()["user"]["role"] == "admin"
        refused = await http.get("/api/v2/user_fields", headers={"Authorization": "Bearer x"})
        assert refused.status_code == 401
        assert "Ana Souza" in (await http.get("/")).text


async def test_the_page_shows_customers_with_their_files_and_escapes_them():
    account = create_account("s")
    ana = account.people.add(name="<b>Ana</b>", phone="+55 11 5555-0101")
    ticket = account.desk.add(ana.id, "<i>Entrega</i>")
    account.objects.create({"key": MEDIA, "title": "M", "title_pluralized": "M"})
    target = {"relationship_target_type": "zen:user"}
    account.objects.define(MEDIA, {"key": "contact", "type": "lookup", "title": "C", **target})
    account.objects.define(MEDIA, {"key": "media_url", "type": "text", "title": "U"})
    fields = {"contact": str(ana.id), "media_url": "https://acervo.example/m/1"}
    record, _ = account.objects.upsert(MEDIA, "01A", {"name": "Voice <note>", "custom_object_fields": fields})
    transport = httpx.ASGITransport(app(account))
    async with httpx.AsyncClient(transport=transport, base_url="http://crm.example") as http:
        for path in (
            "/",
            f"/agent/users/{ana.id}",
            f"/agent/tickets/{ticket.id}",
            f"/agent/custom-objects/{MEDIA}/records/{record.id}",
        ):
            page = await http.get(path)
            assert page.status_code == 200
            assert "&lt;b&gt;Ana" in page.text
            assert "&lt;i&gt;Entrega" in page.text
            assert '<a href="https://acervo.example/m/1">Voice &lt;note&gt;</a>' in page.text
        assert (await http.get("/agent/users/999")).status_code == 404


async def test_a_limit_answers_429_with_the_seconds_and_search_lags():
    moment = [1_000.0]
    account = create_account("s", clock=lambda: moment[0], per_minute=3, search_lag_s=10)
    account.people.add(name="Ana", phone="(11) 5555-0101")
    token, _ = account.sell_token(CLIENT_ID, "s", None)
    headers = {"Authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(app(account))
    async with httpx.AsyncClient(transport=transport, base_url="http://crm.example", headers=headers) as http:
        query = "/api/v2/users/search?query=phone:*1155550101"
        assert (await http.get(query)).json()["count"] == 0
        moment[0] += 11
        assert (await http.get(query)).json()["count"] == 1
        assert (await http.get("/api/v2/users/search?query=phone:1155550101")).json()["count"] == 1
        refused = await http.get(query)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "49")
        moment[0] += 3600
        assert (await http.get(query)).status_code == 401


def test_a_merge_loses_what_zendesk_loses():
    account = create_account("s")
    ana = account.people.add(name="Ana", phone="+55 11 5555-0101")
    old = account.people.add(name="Velha", phone="+55 11 5555-0102", external_id="wa:1")
    ticket = account.desk.add(old.id, "Entrega")
    account.merge(ana.id, old.id)
    assert ana.all_numbers == ("+55 11 5555-0101", "+55 11 5555-0102")
    assert ana.external_id is None
    assert not old.is_active
    assert account.people.by_external_id("wa:1") is None
    assert ticket.requester_id == ana.id


async def test_a_file_is_uploaded_hung_on_a_note_and_shown_to_whoever_opens_the_page(served):
    async with httpx.AsyncClient(base_url=served) as http:
        sold = await http.post("/oauth/tokens", json=wanted("demo-secret"))
        headers = {"Authorization": f"Bearer {sold.json()['access_token']}"}
        url = "/api/v2/uploads?filename=voice-1.mp3"
        kind = {"Content-Type": "audio/mpeg"}
        uploaded = await http.post(url, content=b"sound" * 1000, headers={**headers, **kind})
        assert uploaded.status_code == 201
        assert "voice-1.mp3" not in (await http.get("/")).text
        (ticket,) = (
            await http.get(f"/api/v2/users/{await bruno(http)}/tickets/requested", headers=headers)
        ).json()["tickets"]
        token = uploaded.json()["upload"]["token"]
        note = {"html_body": "<p>x</p>", "public": False, "uploads": [token]}
        path = f"/api/v2/tickets/{ticket['id']}"
        told = await http.put(path, json={"ticket": {"comment": note}}, headers=headers)
        (event,) = told.json()["audit"]["events"]
        (shown,) = event["attachments"]
        assert (shown["file_name"], shown["size"]) == ("voice-1.mp3", 5000)
        assert "voice-1.mp3" in (await http.get("/")).text
        content = await http.get(shown["content_url"])
        assert (content.content, content.headers["Content-Type"]) == (b"sound" * 1000, "audio/mpeg")
        assert (await http.put(path, json={"ticket": {"comment": note}}, headers=headers)).status_code == 422


async def bruno(http):
    return re.search(r'id="user-(\d+)"><h2>Bruno', (await http.get("/")).text)[1]


def test_an_upload_nobody_took_is_forgotten_after_an_hour():
    moment = [1_000.0]
    files = create_account("s", clock=lambda: moment[0]).desk.files
    first, _ = files.upload("a.mp3", "audio/mpeg", b"x")
    moment[0] += 3000
    second, kept = files.upload("b.mp3", "audio/mpeg", b"y")
    moment[0] += 700
    for token in (first, "unknown"):
        with pytest.raises(Refusal):
            files.take([token])
        with pytest.raises(Refusal):
            files.drop(token)
    assert files.take([second]) == [kept]
