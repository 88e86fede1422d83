"""The simulated organisation over a real socket, as a person starts it, and the rules Salesforce keeps."""

import pathlib
import subprocess
import sys

import httpx
import pytest

from sandbox.forms import Part, parts
from sandbox.salesforce import app, content, create_org
from sandbox.salesforce.fields import FieldDef, Refusal
from sandbox.salesforce.org import MEDIA
from sandbox.salesforce.soql import run

ROOT = pathlib.Path(__file__).parents[2]
DATA = "/services/data/v67.0"


@pytest.fixture
def served():
    names = ["--client-id", "app", "--client-secret", "demo", "--demo"]
    command = [sys.executable, "-m", "sandbox.salesforce", "--port", "0", *names]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        yield process.stdout.readline().strip()
        process.terminate()


def test_it_serves_on_a_free_port_and_wants_a_session(served):
    with httpx.Client(base_url=served) as http:
        assert http.get(f"{DATA}/sobjects/Contact/describe").json()[0]["errorCode"] == "INVALID_SESSION_ID"
        form = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "wrong"}
        assert http.post("/services/oauth2/token", data=form).json()["error"] == "invalid_client"
        given = http.post("/services/oauth2/token", data={**form, "client_secret": "demo"}).json()
        assert "expires_in" not in given
        headers = {"Authorization": f"Bearer {given['access_token']}"}
        answer = http.get(f"{DATA}/sobjects/Contact/describe", headers=headers)
        assert answer.headers["Sforce-Limit-Info"] == "api-usage=1/15000"
        assert "Ana Souza" in http.get("/").text


async def test_the_page_shows_contacts_with_their_files_and_escapes_them():
    org = create_org("app", "secret")
    ana = org.add("Contact", FirstName="<b>Ana</b>", LastName="Souza")
    org.objects[MEDIA] = {name: FieldDef(name) for name in ("Name", "Url__c", "Contact__c")}
    org.records[MEDIA] = {}
    record = org.add(MEDIA, Name="Voice <note>", Url__c="https://acervo.example/f/1", Contact__c=ana)
    transport = httpx.ASGITransport(app(org))
    async with httpx.AsyncClient(transport=transport, base_url="http://crm.example") as http:
        for path in ("/", f"/{ana}", f"/{record}"):
            page = await http.get(path)
            assert page.status_code == 200
            assert "&lt;b&gt;Ana" in page.text
            assert '<a href="https://acervo.example/f/1">Voice &lt;note&gt;</a>' in page.text
        assert (await http.get("/003000000000999AAA")).status_code == 404


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("SELECT Id FROM Nothing", "INVALID_TYPE"),
        ("SELECT Id, Height FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Id = 'short'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Contact WHERE LastName = 'open", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE LastName LIKE 'a'", "MALFORMED_QUERY"),
        ("SELECT Id FROM ContentDocumentLink", "MALFORMED_QUERY"),
        ("SELECT Id FROM ContentDocumentLink WHERE IsDeleted = false", "MALFORMED_QUERY"),
    ],
)
def test_a_query_that_is_wrong_is_refused_as_salesforce_does(soql, code):
    with pytest.raises(Refusal) as refusal:
        run(create_org("app", "secret"), soql, with_deleted=True)
    assert refusal.value.code == code


def test_a_merged_contact_is_deleted_and_names_its_master_and_hands_on_what_hung_on_it():
    org = create_org("app", "secret")
    winner, loser = (org.add("Contact", LastName=name) for name in ("Ana", "Ana S."))
    case = org.add("Case", Subject="Broken", ContactId=loser)
    org.merge(winner, loser)
    soql = f"SELECT Id, IsDeleted, MasterRecordId FROM Contact WHERE Id = '{loser}'"
    (row,) = run(org, soql, with_deleted=True)
    assert (row["IsDeleted"], row["MasterRecordId"]) == (True, winner)
    assert not run(org, soql, with_deleted=False)
    assert org.find(case).values["ContactId"] == winner


@pytest.mark.parametrize("sent", [b"", b"\r", b"\r\n", b"\r\n--b", b"--b\r\n", bytes(range(256))])
def test_a_form_is_taken_apart_to_the_byte(sent):
    head = b'--bound\r\nContent-Disposition: form-data; name="VersionData"; filename="a.mp3"\r\n'
    body = head + b"Content-Type: audio/mpeg\r\n\r\n" + sent + b"\r\n--bound--\r\n"
    assert parts("multipart/form-data; boundary=bound", body) == {
        "VersionData": Part("audio/mpeg", "a.mp3", sent)
    }


@pytest.mark.parametrize("body", [b"", b"--bound\r\nContent-Disposition: form-data\r\n\r\ncut of"])
def test_a_form_that_was_cut_off_is_none(body):
    with pytest.raises(ValueError, match="no end"):
        parts("multipart/form-data; boundary=bound", body)


def an_org_with_a_file():
    org = create_org("app", "secret")
    ana = org.add("Contact", LastName="Souza")
    task = org.add("Task", Subject="Voice note", WhoId=ana)
    return org, ana, task


@pytest.mark.parametrize(("has_sites", "visibility"), [(False, "AllUsers"), (True, "InternalUsers")])
def test_where_customers_have_a_site_a_file_on_a_record_is_not_for_them(has_sites, visibility):
    org, _, task = an_org_with_a_file()
    org.has_sites = has_sites
    values = {"PathOnClient": "a.mp3", "FirstPublishLocationId": task}
    content.publish(org, values, Part("audio/mpeg", "a.mp3", b"sound"))
    soql = f"SELECT Visibility FROM ContentDocumentLink WHERE LinkedEntityId = '{task}'"
    assert [row["Visibility"] for row in run(org, soql, with_deleted=False)] == [visibility]


async def test_the_page_shows_files_that_hang_on_records_and_gives_them_out():
    org, ana, task = an_org_with_a_file()
    values = {"PathOnClient": "<i>.mp3", "FirstPublishLocationId": task}
    version = content.publish(org, values, Part("audio/mpeg", "a.mp3", b"sound"))
    transport = httpx.ASGITransport(app(org))
    async with httpx.AsyncClient(transport=transport, base_url="http://crm.example") as http:
        page = (await http.get(f"/{ana}")).text
        assert f'<a href="/files/{version.id}">&lt;i&gt;.mp3</a> (5 bytes)' in page
        file = await http.get(f"/files/{version.id}")
        assert (file.content, file.headers["Content-Type"]) == (b"sound", "audio/mpeg")
        assert file.headers["Content-Disposition"].startswith("attachment")
        org.delete(version.values["ContentDocumentId"])
        assert (await http.get(f"/files/{version.id}")).status_code == 404
        assert version.id not in (await http.get(f"/{ana}")).text


def test_a_file_stays_when_the_record_it_hung_on_is_deleted():
    org, _, task = an_org_with_a_file()
    values = {"PathOnClient": "a.mp3", "FirstPublishLocationId": task}
    content.publish(org, values, Part("audio/mpeg", "a.mp3", b"sound"))
    org.delete(task)
    assert org.live_of("ContentDocument")
    assert not content.held(org, "a.mp3")
