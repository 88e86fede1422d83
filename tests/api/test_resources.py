"""People, chats, connections, deliveries and the CRM's records over the API."""

from __future__ import annotations

import pytest

from acervo.base import clock, ids
from acervo.models import AuditEntry, Delivery, RecordLink
from tests.conftest import make_connection, make_file, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def crm(workspace):
    return make_connection(
        workspace, "hubspot", account_id="4242", name="HubSpot", secrets={"token": "s3cr3t-token"}
    )


@pytest.fixture
def promise(workspace, crm, kept_file):
    """`promise(stopped_at=…)`: one to the CRM, about a file of its own."""

    def made(**facts):
        media = facts.pop("media", None) or kept_file()
        now = clock.now()
        return Delivery.objects.create(
            workspace=workspace, connection=crm, media=media, promised_at=now, due_at=now, **facts
        )

    return made


def ambiguous():
    offered = [{"record_id": "11", "url": "https://crm.example/11"}, {"record_id": "12", "url": None}]
    return {
        "refusal": "ambiguous",
        "refused_at": clock.now(),
        "stopped_at": clock.now(),
        "refusal_facts": {"candidates": offered},
    }


def test_people_are_found_by_name_and_by_number(program_of, alice, workspace):
    marina, outra = make_person(workspace), make_person(workspace, "Bianca Luz", None)
    program = program_of(alice)
    assert [row["name"] for row in program.get("/people").json()["items"]] == ["Bianca Luz", "Marina Duarte"]
    (found,) = program.get("/people", {"phone": "+15555550142"}).json()["items"]
    assert (found["id"], found["phones"]) == (ids.text(marina.pk), ["+15555550142"])
    (found,) = program.get("/people", {"q": "bian"}).json()["items"]
    assert (found["id"], found["phones"]) == (ids.text(outra.pk), [])


def test_a_person_is_told_with_what_they_sent(program_of, alice, kept_file):
    row = kept_file()
    told = program_of(alice).get(f"/people/{ids.text(row.person_id)}").json()
    assert (told["files"], told["consent"]) == (1, None)
    assert told["newest_file_at"].endswith("Z")


def test_chats_are_found_by_person_and_number(program_of, alice, kept_file, connection):
    row, program = kept_file(), program_of(alice)
    asked = {"person": ids.text(row.person_id), "connection": ids.text(connection.pk)}
    (chat,) = program.get("/chats", asked).json()["items"]
    assert program.get(f"/chats/{chat['id']}").json() == chat
    assert program.get("/chats", {"person": ids.text(ids.new())}).json()["items"] == []


def test_an_agent_sees_no_chat_with_whom_the_team_does_not_show(program_of, bob, team, connection, workspace):
    voice = make_file(connection, kind="voice")
    picture = make_file(connection, kind="image", person=make_person(workspace, "Outra", None))
    program = program_of(bob)
    assert [chat["id"] for chat in program.get("/chats").json()["items"]] == [ids.text(voice.chat_id)]
    assert program.get(f"/chats/{ids.text(picture.chat_id)}").status_code == 404


def test_connections_are_told_without_their_secrets(program_of, alice, connection, crm):
    program = program_of(alice)
    told = program.get("/connections").json()["items"]
    assert {row["name"] for row in told} == {"Suporte", "HubSpot"}
    assert [row["kind"] for row in program.get("/connections", {"purpose": "crm"}).json()["items"]] == [
        "hubspot"
    ]
    said = str(told)
    assert not any(secret in said for secret in ("t0k3n", "s3cr3t", "v3r1fy"))


def test_a_delivery_says_why_it_is_not_there(program_of, alice, promise):
    row = promise(**ambiguous())
    told = program_of(alice).get(f"/deliveries/{ids.text(row.pk)}").json()
    assert (told["state"], told["due_at"], told["refusal"]["code"]) == ("stopped", None, "ambiguous")
    assert told["refusal"]["why"] == "Several records in the CRM have this number. Choose the right one."
    assert [one["record"] for one in told["refusal"]["candidates"]] == ["11", "12"]


def test_deliveries_are_found_by_state_connection_and_file(program_of, alice, promise, crm):
    rows = {
        "delivered": promise(delivered_at=clock.now()),
        "stopped": promise(**ambiguous()),
        "trying": promise(refusal="unavailable", refused_at=clock.now()),
        "queued": promise(),
    }
    program = program_of(alice)
    for state, row in rows.items():
        (found,) = program.get("/deliveries", {"state": state}).json()["items"]
        assert (found["id"], found["state"]) == (ids.text(row.pk), state)
    assert len(program.get("/deliveries", {"connection": ids.text(crm.pk)}).json()["items"]) == 4
    (found,) = program.get("/deliveries", {"media": rows["queued"].media.slug}).json()["items"]
    assert found["state"] == "queued"


def test_a_delivery_is_tried_again_by_whom(program_of, alice, promise):
    row = promise(refusal="validation", refused_at=clock.now(), stopped_at=clock.now())
    program = program_of(alice)
    answer = program.post(f"/deliveries/{ids.text(row.pk)}/retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "trying")
    entry = AuditEntry.objects.get(action="delivery.retried")
    assert entry.by == f"token:{ids.text(program.row.pk)}"


def test_one_of_the_candidates_is_chosen_and_no_other(program_of, alice, promise):
    row, program = promise(**ambiguous()), program_of(alice)
    where = f"/deliveries/{ids.text(row.pk)}/choose"
    assert program.post(where, {"record": "13"}).json()["code"] == "record_not_offered"
    assert program.post(where, {"record": "11"}).status_code == 202
    (link,) = program.get("/links", {"person": ids.text(row.media.person_id)}).json()["items"]
    assert (link["record"], link["reason"], link["url"]) == ("11", "chosen", "https://crm.example/11")


def test_whoever_may_not_retry_may_not(program_of, everybody, promise):
    row = promise(**ambiguous())
    for role in ("dpo", "auditor"):
        program = program_of(everybody[role])
        assert program.get(f"/deliveries/{ids.text(row.pk)}").status_code == 200
        assert program.post(f"/deliveries/{ids.text(row.pk)}/retry").json()["code"] == "role_too_narrow"


def test_a_person_is_told_to_be_a_contact(program_of, alice, promise, crm):
    waiting = promise(**ambiguous())
    person, program = waiting.media.person, program_of(alice)
    wish = {"connection": ids.text(crm.pk), "record": "77", "url": "https://crm.example/77"}
    answer = program.post(f"/people/{ids.text(person.pk)}/link", wish)
    assert (answer.status_code, answer.json()["record"], answer.json()["reason"]) == (200, "77", "chosen")
    waiting.refresh_from_db()
    assert waiting.stopped_at is None, "what waited for the answer goes on"
    entry = AuditEntry.objects.get(action="person.linked")
    assert (entry.subject_id, entry.details["record"]) == (person.pk, "77")
    moved = program.post(f"/people/{ids.text(person.pk)}/link", wish | {"record": "78"})
    assert moved.json()["record"] == "78"
    assert RecordLink.objects.filter(person=person).count() == 1


def test_a_contact_of_somebody_else_is_not_taken_from_them(program_of, alice, workspace, crm, kept_file):
    one, other, program = kept_file().person, make_person(workspace, "Outra", None), program_of(alice)
    wish = {"connection": ids.text(crm.pk), "record": "77"}
    program.post(f"/people/{ids.text(one.pk)}/link", wish)
    answer = program.post(f"/people/{ids.text(other.pk)}/link", wish)
    assert (answer.status_code, answer.json()["code"]) == (422, "record_of_another")


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "http://", "//crm.example", "https://crm.example/a b"]
)
def test_an_address_that_could_do_harm_is_refused(program_of, alice, crm, kept_file, url):
    wish = {"connection": ids.text(crm.pk), "record": "77", "url": url}
    answer = program_of(alice).post(f"/people/{ids.text(kept_file().person_id)}/link", wish)
    assert answer.status_code == 422


def test_a_person_is_linked_in_a_crm_and_nowhere_else(program_of, alice, connection, kept_file):
    wish = {"connection": ids.text(connection.pk), "record": "77"}
    answer = program_of(alice).post(f"/people/{ids.text(kept_file().person_id)}/link", wish)
    assert answer.status_code == 404


def test_links_are_read_from_the_record_to_the_person(program_of, alice, charlie, workspace, crm, kept_file):
    media = kept_file()
    facts = {"workspace": workspace, "connection": crm, "linked_by": "test", "linked_at": clock.now()}
    RecordLink.objects.create(
        person=media.person, object_type="contact", record_id="9", reason="created", **facts
    )
    written = RecordLink.objects.create(
        media=media, object_type="media", record_id="10", reason="written", **facts
    )
    program = program_of(alice)
    (found,) = program.get("/links", {"record": "9"}).json()["items"]
    assert (found["person"], found["media"]) == (ids.text(media.person_id), None)
    assert program.get(f"/links/{ids.text(written.pk)}").json()["media"] == media.slug
    assert program_of(charlie).get(f"/links/{ids.text(written.pk)}").status_code == 404


def test_lists_by_id_have_pages_too(program_of, alice, workspace):
    people = [make_person(workspace, f"Pessoa {n}", None) for n in range(5)]
    program, found, after = program_of(alice), [], ""
    while True:
        page = program.get("/people", {"limit": 2, "after": after}).json()
        found += [row["id"] for row in page["items"]]
        if not page["next"]:
            break
        after = page["next"]
    assert found == [ids.text(person.pk) for person in sorted(people, key=lambda row: row.pk, reverse=True)]
    assert program.get("/people", {"after": "x"}).json()["code"] == "place_unknown"


def test_nothing_of_another_workspace_is_listed_or_found(program_of, charlie, promise, connection):
    row = promise(**ambiguous())
    program = program_of(charlie)
    for what in ("people", "chats", "connections", "deliveries", "links", "tags"):
        assert program.get(f"/{what}").json() == {"items": [], "next": None}
    for where in (
        f"/people/{ids.text(row.media.person_id)}",
        f"/chats/{ids.text(row.media.chat_id)}",
        f"/connections/{ids.text(connection.pk)}",
        f"/deliveries/{ids.text(row.pk)}",
    ):
        assert program.get(where).status_code == 404
    assert program.post(f"/deliveries/{ids.text(row.pk)}/retry").status_code == 404
