"""What goes wrong is told to a program as a problem, never as a page, and to people in their language."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import Client

from acervo.api import media as media_door
from acervo.api.main import api
from acervo.base import ids

pytestmark = pytest.mark.django_db
PROBLEM = "application/problem+json"


@pytest.mark.parametrize("path", ["/api/", "/api/v2/media", "/api/v1/", "/api/v1/nothing", "/api/v1/media/"])
def test_an_address_that_leads_nowhere_is_a_problem(path):
    answer = Client().get(path)
    assert (answer.status_code, answer["Content-Type"], answer.json()["code"]) == (404, PROBLEM, "not_found")


def test_a_method_that_is_not_taken_is_a_problem(program_of, alice):
    answer = program_of(alice).delete("/connections")
    assert (answer.status_code, answer["Content-Type"], answer["Allow"]) == (405, PROBLEM, "GET")


@pytest.mark.parametrize("query", ["=", "=1", "after=&=", "Limit=1", "limit%5B%5D=1"])
def test_a_parameter_of_another_name_or_of_none_is_a_problem(program_of, alice, query):
    answer = program_of(alice).get(f"/tags?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "parameter_unknown")


@pytest.mark.parametrize("headers", [{}, {"HTTP_IDEMPOTENCY_KEY": "once"}])
def test_a_body_that_is_too_long_is_a_problem_and_no_fault(program_of, alice, kept_file, headers):
    answer = Client().post(
        f"/api/v1/media/{kept_file().slug}/tags",
        b'{"names": ["' + b"x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE + b'"]}',
        content_type="application/json",
        HTTP_AUTHORIZATION=f"Bearer {program_of(alice).token}",
        **headers,
    )
    assert (answer.status_code, answer["Content-Type"], answer.json()["code"]) == (413, PROBLEM, "too_large")
    assert "413" in api.get_openapi_schema()["paths"]["/api/v1/media/{media}/tags"]["post"]["responses"]


@pytest.mark.parametrize("path", ["/me", "/tags", "/media"])
def test_more_parameters_than_anybody_needs_are_a_problem_and_no_fault(program_of, alice, path):
    asked = "&".join(["kind=voice"] * (settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1))
    answer = program_of(alice).get(f"{path}?{asked}")
    assert (answer.status_code, answer["Content-Type"], answer.json()["code"]) == (
        422,
        PROBLEM,
        "not_as_described",
    )


def test_a_body_that_is_not_json_is_a_problem(program_of, alice, kept_file):
    program = program_of(alice)
    answer = Client().post(
        f"/api/v1/media/{kept_file().slug}/tags",
        "{not json",
        "application/json",
        headers={"Authorization": f"Bearer {program.token}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "unreadable")


def test_what_is_wrong_is_named_by_its_place_and_not_repeated(program_of, alice, kept_file):
    answer = program_of(alice).post(f"/media/{kept_file().slug}/tags", {"names": ["ok", "s3cret" * 20]})
    assert (answer.status_code, answer["Content-Type"]) == (422, PROBLEM)
    (wrong,) = answer.json()["errors"]
    assert (wrong["where"], wrong["code"]) == ("body.names.1", "string_too_long")
    assert "s3cret" not in answer.content.decode()


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "many"},
        {"after": "nowhere"},
        {"kind": "hologram"},
        {"since": "yesterday"},
        {"since": "5"},
        {"since": "2026-13-01T00:00:00Z"},
        {"person": "x"},
        {"q": "x" * 201},
    ],
)
def test_a_wish_that_is_not_understood_is_refused(program_of, alice, asked):
    answer = program_of(alice).get("/media", asked)
    assert (answer.status_code, answer["Content-Type"]) == (422, PROBLEM)


def test_a_filter_with_a_slip_of_the_pen_does_not_show_everything(program_of, alice):
    answer = program_of(alice).get("/media", {"tags": "defeito"})
    assert (answer.status_code, answer.json()["code"]) == (422, "parameter_unknown")
    assert [wrong["where"] for wrong in answer.json()["errors"]] == ["query.tags"]


def test_a_field_that_does_not_exist_is_named(program_of, alice, kept_file):
    answer = program_of(alice).post(f"/media/{kept_file().slug}/link", {"lives": 60})
    assert [wrong["where"] for wrong in answer.json()["errors"]] == ["body.lives"]


def test_our_own_fault_is_told_without_a_word_of_it(program_of, alice, monkeypatch, caplog):
    def breaks(*_args, **_more):
        raise RuntimeError("+15555550142 broke it")

    monkeypatch.setattr(media_door.search, "found", breaks)
    answer = program_of(alice).get("/media")
    assert (answer.status_code, answer["Content-Type"], answer.json()["code"]) == (500, PROBLEM, "fault")
    assert "broke it" not in answer.content.decode()
    assert "api.fault" in caplog.messages


def test_a_database_that_is_away_asks_to_come_back(program_of, alice, monkeypatch):
    def away(*_args, **_more):
        raise OperationalError("connection refused")

    monkeypatch.setattr(media_door.search, "found", away)
    answer = program_of(alice).get("/media")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


def test_people_read_problems_in_their_language_and_programs_the_same_code(program_of, alice):
    program = program_of(alice)
    asked = f"/media/{ids.text(ids.new())}"
    english = program.get(asked, Accept_Language="en-GB,en;q=0.9")
    assert english.json()["title"] == "This does not exist, or is not yours to see."
    assert english["Content-Language"] == "en"
    own = program.get(asked)
    assert own["Content-Language"] == "en", "that of the member"
    other = program.get(asked, Accept_Language="es")
    assert other["Content-Language"] == "es"
    assert english.json()["code"] == own.json()["code"] == other.json()["code"] == "not_found"


def test_no_answer_may_be_kept_or_framed(program_of, alice):
    answer = program_of(alice).get("/me")
    assert "no-store" in answer["Cache-Control"]
    assert "default-src 'none'" in answer["Content-Security-Policy"]
