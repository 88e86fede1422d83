"""Files over the API: found, read, tagged, opened for a few minutes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from acervo.base import clock, ids
from acervo.deliver import fields
from acervo.govern import api_tokens
from acervo.models import Ability, AuditEntry, FileTag, MediaFile, Role, Tag, Transcript
from acervo.organise import tags
from acervo.organise.address import found_in
from acervo.play import links
from acervo.web import file_tags
from tests.conftest import make_connection, make_file, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def files(connection):
    """Five, the last one the newest, two of them of the same moment."""
    now = clock.now()
    moments = [now - timedelta(minutes=back) for back in (4, 3, 2, 2, 1)]
    return [make_file(connection, received_at=moment) for moment in moments]


def pages(program, asked):
    """All pages of a list, one after another."""
    found, after = [], None
    while True:
        answer = program.get("/media", asked | ({"after": after} if after else {}))
        assert answer.status_code == 200
        found.append([item["id"] for item in answer.json()["items"]])
        after = answer.json()["next"]
        if after is None:
            return found


def test_files_come_the_newest_first_page_by_page_none_twice(program_of, alice, files):
    found = pages(program_of(alice), {"limit": 2})
    assert [len(page) for page in found] == [2, 2, 1]
    expected = sorted(files, key=lambda row: (row.received_at, row.pk), reverse=True)
    assert [slug for page in found for slug in page] == [row.slug for row in expected]


def test_what_arrives_while_somebody_reads_shifts_nothing(program_of, alice, files, connection):
    program = program_of(alice)
    first = program.get("/media", {"limit": 3}).json()
    make_file(connection)
    second = program.get("/media", {"limit": 3, "after": first["next"]}).json()
    found = [item["id"] for item in first["items"] + second["items"]]
    assert len(set(found)) == len(found) == 5


def test_a_file_is_told_with_its_facts(program_of, alice, kept_file):
    row = kept_file(caption="Olá", file_name="recado.ogg")
    told = program_of(alice).get(f"/media/{row.slug}").json()
    assert (told["id"], told["state"], told["kind"], told["direction"]) == (row.slug, "ready", "voice", "in")
    assert (told["caption"], told["file_name"], told["mime"]) == ("Olá", "recado.ogg", "audio/ogg")
    assert (told["sha256"], told["size_bytes"]) == (row.sha256, row.size_bytes)
    assert told["url"].endswith(f"/m/{row.slug}")
    assert told["person"] == {"id": ids.text(row.person_id), "name": "Marina Duarte"}
    assert [copy["what"] for copy in told["copies"]] == ["original"]
    assert told["transcript"] is None
    assert "+1555" not in str(told), "phone numbers need another scope"


def test_what_is_said_comes_with_the_file(program_of, alice, kept_file):
    row = kept_file()
    Transcript.objects.create(
        workspace=row.workspace,
        media=row,
        asked_by="test",
        made_at=clock.now(),
        engine="fake",
        text="bom dia",
    )
    assert program_of(alice).get(f"/media/{row.slug}").json()["transcript"]["text"] == "bom dia"


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"kind": ["video", "image"]}, 2),
        ({"kind": "video"}, 1),
        ({"q": "caixa"}, 1),
        ({"q": "marina caixa"}, 1),
        ({"capture": "kept"}, 0),
        ({"crm": "none"}, 3),
        ({"tag": "DEFEITO"}, 1),
        ({"tag": "nothing"}, 0),
    ],
)
def test_files_are_found_by_the_librarys_own_wishes(program_of, alice, connection, asked, count):
    film = make_file(connection, kind="video", caption="a caixa amassada")
    make_file(connection, kind="image")
    make_file(connection, kind="voice")
    program = program_of(alice)
    program.post(f"/media/{film.slug}/tags", {"names": ["defeito"]})
    assert len(program.get("/media", asked).json()["items"]) == count


def test_since_and_before_are_moments(program_of, alice, files):
    program, middle = program_of(alice), files[2].received_at.isoformat().replace("+00:00", "Z")
    assert len(program.get("/media", {"since": middle}).json()["items"]) == 3
    assert len(program.get("/media", {"before": middle}).json()["items"]) == 2


def test_nothing_of_another_workspace_exists(program_of, charlie, files, kept_file):
    program, row = program_of(charlie), kept_file()
    assert program.get("/media").json() == {"items": [], "next": None}
    assert program.get("/media", {"person": ids.text(row.person_id)}).json()["items"] == []
    before = AuditEntry.objects.count()
    for answer in (
        program.get(f"/media/{row.slug}"),
        program.post(f"/media/{row.slug}/link"),
        program.post(f"/media/{row.slug}/tags", {"names": ["x"]}),
        program.delete(f"/media/{row.slug}/tags?name=x"),
    ):
        assert answer.status_code == 404
    assert AuditEntry.objects.count() == before


def test_an_agents_program_sees_what_the_team_shows(program_of, bob, team, connection, kept_file):
    voice, picture = kept_file(kind="voice"), make_file(connection, kind="image")
    program = program_of(bob)
    assert [item["id"] for item in program.get("/media").json()["items"]] == [voice.slug]
    assert program.get(f"/media/{picture.slug}").status_code == 404


# ── links ──


def test_a_link_opens_what_the_token_may_see_and_is_written_down(program_of, alice, kept_file):
    row, program = kept_file(), program_of(alice)
    answer = program.post(f"/media/{row.slug}/link", {"lives_s": 120, "download": True})
    assert answer.status_code == 201
    told = answer.json()
    address, key = told["url"].split("?key=")
    assert address.endswith(f"/play/{row.slug}/original")
    assert key.endswith("&download=1")
    assert links.read(key.removesuffix("&download=1"), row.slug, "original").member == alice
    given = AuditEntry.objects.of("file", row.pk).get(action="file.link_given")
    assert given.by == f"token:{ids.text(program.row.pk)}"


def test_a_link_ends_with_its_token(program_of, alice, kept_file):
    row, program = kept_file(), program_of(alice)
    key = program.post(f"/media/{row.slug}/link").json()["url"].split("?key=")[1]
    assert links.read(key, row.slug, "original") is not None
    api_tokens.revoke(program.row, "test")
    assert links.read(key, row.slug, "original") is None


def test_a_link_has_no_more_rights_than_its_token(program_of, alice, kept_file):
    row, program = kept_file(), program_of(alice, role="agent")
    key = program.post(f"/media/{row.slug}/link").json()["url"].split("?key=")[1]
    MediaFile.objects.filter(pk=row.pk).update(hidden_at=clock.now())
    holder = links.read(key, row.slug, "original")
    assert not MediaFile.objects.visible_to(holder.member).filter(pk=row.pk).exists()
    assert MediaFile.objects.visible_to(alice).filter(pk=row.pk).exists()


@pytest.mark.parametrize("what", ["mp4", "page-7", "captions.txt", "original.exe"])
def test_there_is_no_link_to_what_is_not_there(program_of, alice, kept_file, what):
    answer = program_of(alice).post(f"/media/{kept_file(kind='image').slug}/link", {"what": what})
    assert answer.status_code == 404


def test_nobody_gets_a_link_to_what_is_in_quarantine(program_of, alice, kept_file):
    row = kept_file()
    MediaFile.objects.filter(pk=row.pk).update(scanned_at=clock.now(), infection="Eicar")
    program = program_of(alice)
    answer = program.post(f"/media/{row.slug}/link")
    assert (answer.status_code, answer.json()["code"]) == (409, "held")
    assert program.get(f"/media/{row.slug}").json()["copies"] == []
    assert not AuditEntry.objects.filter(action="file.link_given").exists()


# ── tags ──


def test_tags_are_put_on_and_taken_off_and_written_down(program_of, bob, kept_file):
    row, program = kept_file(), program_of(bob)
    changed_at = row.changed_at
    put = program.post(f"/media/{row.slug}/tags", {"names": [" defeito ", "Garantia  2026", "DEFEITO"]})
    assert put.json() == {"media": row.slug, "tags": ["DEFEITO", "Garantia 2026"]}
    again = program.post(f"/media/{row.slug}/tags", {"names": ["Defeito"]})
    assert again.json()["tags"] == ["DEFEITO", "Garantia 2026"], "as it was written first"
    off = program.delete(f"/media/{row.slug}/tags?name=defeito")
    assert off.json()["tags"] == ["Garantia 2026"]
    assert program.delete(f"/media/{row.slug}/tags?name=defeito").status_code == 200, "no mistake"
    story = [(entry.action, entry.by) for entry in AuditEntry.objects.of("file", row.pk).order_by("number")]
    by = f"token:{ids.text(program.row.pk)}"
    assert story == [("file.tagged", by), ("file.tagged", by), ("file.untagged", by)]
    assert "defeito" not in str(list(AuditEntry.objects.values_list("details", flat=True))).lower()
    assert MediaFile.objects.get(pk=row.pk).changed_at > changed_at


def test_a_tag_on_no_file_is_forgotten(program_of, alice, kept_file):
    one, other, program = kept_file(), kept_file(), program_of(alice)
    for row in (one, other):
        program.post(f"/media/{row.slug}/tags", {"names": ["defeito"]})
    program.delete(f"/media/{one.slug}/tags?name=defeito")
    assert [tag["name"] for tag in program.get("/tags").json()["items"]] == ["defeito"]
    program.delete(f"/media/{other.slug}/tags?name=defeito")
    assert program.get("/tags").json()["items"] == []


def test_a_word_on_a_hidden_file_is_known_to_those_who_decide_alone(program_of, everybody, kept_file):
    """Among all tags of the workspace, and among those that a file's page offers."""
    hidden, beside = kept_file(), kept_file()
    tags.put(hidden, ["fraude"], "test")
    tags.put(beside, ["defeito"], "test")
    MediaFile.objects.filter(pk=hidden.pk).update(hidden_at=clock.now())
    for role, member in everybody.items():
        told = {tag["name"] for tag in program_of(member).get("/tags").json()["items"]}
        assert ("fraude" in told) == member.can(Ability.DECIDE), role
        assert "defeito" in told
    assert "fraude" not in file_tags.shown(everybody[Role.AGENT], kept_file()).offered
    tags.put(beside, ["Fraude"], "test")
    assert "fraude" in file_tags.shown(everybody[Role.AGENT], kept_file()).offered


@pytest.mark.parametrize("name", ["a;b", "  ", "x" * 41, "line\nbreak", "\u0000", "\ud800"])
def test_a_tag_that_cannot_be_one_is_refused(program_of, alice, kept_file, name):
    row = kept_file()
    answer = program_of(alice).post(f"/media/{row.slug}/tags", {"names": ["fine", name]})
    assert answer.status_code == 422
    assert not Tag.objects.exists()


def test_a_file_has_thirty_tags_at_most(program_of, alice, kept_file):
    row, program = kept_file(), program_of(alice)
    assert program.post(f"/media/{row.slug}/tags", {"names": [f"t{n}" for n in range(30)]}).status_code == 200
    answer = program.post(f"/media/{row.slug}/tags", {"names": ["one more"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_tags")
    assert FileTag.objects.filter(media=row).count() == 30


def test_whoever_may_not_edit_puts_no_tags(program_of, everybody, kept_file):
    answer = program_of(everybody["auditor"]).post(f"/media/{kept_file().slug}/tags", {"names": ["x"]})
    assert answer.json()["code"] == "role_too_narrow"


def test_tags_go_to_the_crm_and_into_the_librarys_address(program_of, alice, workspace, kept_file):
    row, other = kept_file(), kept_file()
    program_of(alice).post(f"/media/{row.slug}/tags", {"names": ["urgente", "defeito"]})
    fresh = MediaFile.objects.select_related("workspace", "connection").get(pk=row.pk)
    assert fields.media_link(fresh).tags == ("defeito", "urgente")
    assert set(found_in(workspace.pk, "tag=Defeito")) == {row}
    assert other not in found_in(workspace.pk, "tag=urgente&kind=voice")


def test_an_agent_hears_of_no_tag_that_is_on_files_of_others(program_of, alice, bob, team, connection):
    picture, voice = make_file(connection, kind="image"), make_file(connection, kind="voice")
    program = program_of(alice)
    program.post(f"/media/{picture.slug}/tags", {"names": ["receita"]})
    program.post(f"/media/{voice.slug}/tags", {"names": ["queixa"]})
    assert [tag["name"] for tag in program_of(bob).get("/tags").json()["items"]] == ["queixa"]


def test_two_workspaces_have_a_tag_of_one_name_each(program_of, alice, charlie, other_workspace, kept_file):
    number = make_connection(other_workspace, "meta_cloud", account_id="106500000000009")
    theirs = make_file(number, person=make_person(other_workspace, "Outra", None))
    ours = kept_file()
    for member, row in ((alice, ours), (charlie, theirs)):
        assert program_of(member).post(f"/media/{row.slug}/tags", {"names": ["defeito"]}).status_code == 200
    assert Tag.objects.count() == 2
    assert len(program_of(charlie).get("/media", {"tag": "defeito"}).json()["items"]) == 1
