"""The files of the simulated account: forms of any bytes, names, duplicates, and what the page shows of them."""

import json

import httpx
import pytest

from sandbox.forms import parts
from sandbox.hubspot import app, create_account

EVERY_BYTE = bytes(range(256)) * 3 + b"\r\n--x\r\n\r\n\n\r"
PRIVATE = {"access": "PRIVATE"}


@pytest.fixture
def account():
    return create_account("pat-files")


@pytest.fixture
async def http(account):
    headers = {"Authorization": "Bearer pat-files"}
    transport = httpx.ASGITransport(app(account))
    async with httpx.AsyncClient(transport=transport, base_url="http://crm.example", headers=headers) as http:
        yield http


async def sent(http, content=EVERY_BYTE, name="voice-1.mp3", folder="/Acervo", **options):
    form = {"folderPath": folder, "options": json.dumps({**PRIVATE, **options})}
    return await http.post("/files/2026-03/files", data=form, files={"file": (name, content, "audio/mpeg")})


async def test_what_comes_in_is_kept_byte_by_byte_and_is_found_at_its_place(account, http):
    answer = await sent(http)
    assert answer.status_code == 201
    assert account.files.by_id[answer.json()["id"]].content == EVERY_BYTE
    there = await http.get("/files/2026-03/files/stat/Acervo/voice-1.mp3")
    assert there.json()["file"] == answer.json()
    assert (await http.get("/files/2026-03/files/stat/voice-1.mp3")).status_code == 404


async def test_a_second_file_of_one_name_is_named_anew_or_takes_the_place(http):
    first = (await sent(http)).json()
    second = (await sent(http, b"other")).json()
    assert (first["path"], second["path"]) == ("/Acervo/voice-1.mp3", "/Acervo/voice-1-1.mp3")
    third = (await sent(http, b"third", overwrite=True)).json()
    assert (third["path"], third["id"] == first["id"]) == ("/Acervo/voice-1.mp3", False)
    assert (await http.delete(f"/files/2026-03/files/{first['id']}/gdpr-delete")).status_code == 404


async def test_duplicates_are_told_by_their_bytes(http):
    first = (await sent(http)).json()
    near = {"duplicateValidationScope": "EXACT_FOLDER", "duplicateValidationStrategy": "RETURN_EXISTING"}
    assert (await sent(http, name="voice-2.mp3", **near)).json()["id"] == first["id"]
    assert (await sent(http, folder="/Other", **near)).json()["id"] != first["id"]
    refused = await sent(http, name="voice-3.mp3", duplicateValidationStrategy="REJECT")
    assert refused.status_code == 400


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"data": {"options": json.dumps(PRIVATE)}}, 400),
        ({"data": {"folderPath": "/a", "folderId": "1", "options": json.dumps(PRIVATE)}}, 400),
        ({"data": {"folderPath": "/a", "options": json.dumps({"access": "SECRET"})}}, 400),
        ({"data": {"folderPath": "/a", "options": "{"}}, 400),
        ({"files": {"other": ("a.mp3", b"a")}}, 400),
        ({"files": {"file": ("a.mp3", bytes(1001))}}, 413),
    ],
)
async def test_a_form_that_hubspot_would_not_take_is_refused(account, http, change, status):
    account.files.most_bytes = 1000
    form = {
        "data": {"folderPath": "/a", "options": json.dumps(PRIVATE)},
        "files": {"file": ("a.mp3", b"a")},
    } | change
    answer = await http.post("/files/2026-03/files", **form)
    assert (answer.status_code, answer.json()["category"]) == (status, "VALIDATION_ERROR")
    assert not account.files.by_id


@pytest.mark.parametrize(
    "content", [b"", b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nhalf"], ids=["empty", "cut off"]
)
def test_half_a_form_is_none(content):
    with pytest.raises(ValueError, match="form"):
        parts("multipart/form-data; boundary=x", content)


async def test_without_the_scope_nothing_of_it_is_reached(account, http):
    file_id = (await sent(http)).json()["id"]
    account.has_files_scope = False
    answers = [
        await sent(http),
        await http.get("/files/2026-03/files/stat/Acervo/voice-1.mp3"),
        await http.delete(f"/files/2026-03/files/{file_id}/gdpr-delete"),
    ]
    assert {(answer.status_code, answer.json()["category"]) for answer in answers} == {
        (403, "MISSING_SCOPES")
    }


async def test_the_page_shows_what_hangs_on_a_note_and_gives_it_out(account, http):
    file_id = (await sent(http)).json()["id"]
    ana = account.add_contact(firstname="Ana", phone="+55 11 5555-0101")
    note = account.add("notes", hs_note_body="<p>Oi</p>", hs_attachment_ids=f"404;{file_id}")
    account.associate("0-46", note, "0-1", ana)
    page = await http.get("/")
    shown = f"/files/{account.portal_id}/show/{file_id}"
    assert f'<a href="{shown}">voice-1.mp3</a> {len(EVERY_BYTE):,} bytes, private' in page.text
    given = await http.get(shown)
    assert (given.content, given.headers["content-disposition"]) == (EVERY_BYTE, "attachment")
    assert (await http.get(f"/files/{account.portal_id}/show/404")).status_code == 404
