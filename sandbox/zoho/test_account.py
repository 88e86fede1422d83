"""The simulated organisation over a real socket, as anybody may start it, and the page a person opens."""

import pathlib
import subprocess
import sys

import httpx
import pytest

from sandbox.zoho import app, create_account

ROOT = pathlib.Path(__file__).parents[2]
CLIENT = {"client_id": "1000.SIMULATED", "client_secret": "simulated-secret"}


@pytest.fixture
def served():
    command = [sys.executable, "-m", "sandbox.zoho", "--port", "0", "--refresh-token", "1000.demo", "--demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        yield process.stdout.readline().strip()
        process.terminate()


async def test_it_serves_on_a_free_port_and_wants_a_token_bought_from_it(served):
    async with httpx.AsyncClient(base_url=served) as http:
        assert (await http.get("/crm/v8/org")).status_code == 401
        form = {"grant_type": "refresh_token", "refresh_token": "1000.demo", **CLIENT}
        wrong = await http.post("/oauth/v2/token", data={**form, "client_secret": "x"})
        assert (wrong.status_code, wrong.json()) == (200, {"error": "invalid_client"})
        token = (await http.post("/oauth/v2/token", data=form)).json()["access_token"]
        headers = {"Authorization": f"Zoho-oauthtoken {token}"}
        assert (await http.get("/crm/v8/org", headers=headers)).json()["org"][0]["zgid"]
        assert "Ana Souza" in (await http.get("/")).text


async def test_the_page_shows_contacts_with_their_files_and_escapes_them():
    account = create_account("1000.demo", edition="free")
    ana = account.add_contact(Last_Name="<b>Ana</b>", Phone="+55 11 5555-0101")
    parent = {"id": ana, "module": {"api_name": "Contacts"}}
    note = account.add("Notes", Note_Title="Voice <note>", Note_Content="0:42", Parent_Id=parent)
    transport = httpx.ASGITransport(app(account))
    async with httpx.AsyncClient(transport=transport, base_url="http://crm.example") as http:
        for path in ("/", f"/crm/org1/tab/Contacts/{ana}", f"/crm/org1/tab/Notes/{note}"):
            page = await http.get(path)
            assert page.status_code == 200
            assert "&lt;b&gt;Ana" in page.text
            assert "Voice &lt;note&gt;" in page.text
        assert (await http.get("/crm/org1/tab/Contacts/999")).status_code == 404


async def test_a_file_is_kept_byte_for_byte_shown_and_handed_out_until_its_record_is_deleted():
    account = create_account("1000.demo")
    ana = account.add_contact(Last_Name="Ana", Phone="+55 11 5555-0101")
    parent = {"id": ana, "module": {"api_name": "Contacts"}}
    note = account.add("Notes", Note_Title="Voice", Note_Content="0:42", Parent_Id=parent)
    content = bytes(range(256)) + b"\r\n--\r\n\n\r" * 3
    account.tokens["t"] = account.clock() + 60
    headers = {"Authorization": "Zoho-oauthtoken t"}
    path = f"/crm/v8/Notes/{note}/Attachments"
    transport = httpx.ASGITransport(app(account))
    async with httpx.AsyncClient(transport=transport, base_url="http://crm.example") as http:
        sent = {"file": ("<b>.bin", content, "audio/ogg")}
        answer = await http.post(path, files=sent, headers=headers)
        file_id = answer.json()["data"][0]["details"]["id"]
        (row,) = (await http.get(f"{path}?fields=File_Name,Size", headers=headers)).json()["data"]
        assert row == {"id": file_id, "File_Name": "<b>.bin", "Size": str(len(content))}
        assert "&lt;b&gt;.bin" in (await http.get("/")).text
        download = await http.get(f"/crm/org1/files/{file_id}")
        assert (download.content, download.headers["content-type"]) == (content, "audio/ogg")
        account.delete(note)
        assert (await http.get(f"/crm/org1/files/{file_id}")).status_code == 404
        assert (await http.get(f"{path}?fields=id", headers=headers)).json()["code"] == "INVALID_DATA"


@pytest.mark.parametrize(
    ("name", "size_bytes", "status", "code"),
    [
        ("a.mp3", 20 * 1024 * 1024 + 1, 413, "FILE_SIZE_MORE_THAN_ALLOWED_SIZE"),
        ("a.exe", 10, 415, "INVALID_DATA"),
        ("a.mp3", 0, 400, "MANDATORY_NOT_FOUND"),
    ],
)
async def test_what_zoho_does_not_take_is_refused_and_not_kept(name, size_bytes, status, code):
    account = create_account("1000.demo")
    ana = account.add_contact(Last_Name="Ana")
    account.tokens["t"] = account.clock() + 60
    transport = httpx.ASGITransport(app(account))
    async with httpx.AsyncClient(transport=transport, base_url="http://crm.example") as http:
        answer = await http.post(
            f"/crm/v8/Contacts/{ana}/Attachments",
            files={"file": (name, bytes(size_bytes), "audio/mpeg")},
            headers={"Authorization": "Zoho-oauthtoken t"},
        )
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not account.files.held


async def test_the_eleventh_token_in_ten_minutes_is_refused_and_the_first_ends_after_an_hour():
    moment = [1_000.0]
    account = create_account("1000.demo", clock=lambda: moment[0])
    form = {"grant_type": "refresh_token", "refresh_token": "1000.demo", **CLIENT}
    transport = httpx.ASGITransport(app(account))
    async with httpx.AsyncClient(transport=transport, base_url="http://crm.example") as http:
        answers = [await http.post("/oauth/v2/token", data=form) for _ in range(11)]
        assert [answer.status_code for answer in answers] == [200] * 10 + [400]
        headers = {"Authorization": f"Zoho-oauthtoken {answers[0].json()['access_token']}"}
        moment[0] += 3599
        assert (await http.get("/crm/v8/org", headers=headers)).status_code == 200
        moment[0] += 2
        assert (await http.get("/crm/v8/org", headers=headers)).status_code == 401
