"""The API's own description, tried on the API: schemathesis asks every operation, as every role and as a stranger.

A short run belongs to the suite; the long one is `make test ARGS="tests/api/test_description.py --hypothesis-profile=long"`.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import hypothesis
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from acervo.api import access
from acervo.api.main import api
from acervo.api.reference import reference
from acervo.base import clock, ids
from acervo.govern import subscriptions
from acervo.govern.subscriptions import Wish
from acervo.management.commands.api import markdown
from acervo.models import Delivery, Event, EventKind, MediaFile, RecordLink, Role, Scope, Transcript
from acervo.models.subscription import Happened
from acervo.organise import tags
from tests.conftest import keep, make_connection, make_file, make_person

EXAMPLES = 25 if hypothesis.settings.default.max_examples <= 100 else hypothesis.settings.default.max_examples
CHECKS = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
)
CANARY = "CANARIO"
DOCUMENT = json.loads(json.dumps(api.get_openapi_schema()))
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {found.ok().definition.raw["operationId"]: found.ok() for found in SCHEMA.get_all_operations()}


def test_the_description_is_openapi_3_1():
    assert DOCUMENT["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_operation_says_what_it_needs_and_what_it_is_for():
    for name, operation in OPERATIONS.items():
        raw = operation.definition.raw
        (guard,) = raw["security"]
        assert set(guard["Bearer"]) <= set(Scope.values), name
        assert guard["Bearer"] or name == "me"
        assert raw["summary"][0].isupper(), name
        assert {"401", "429"} <= set(raw["responses"]), name


def test_every_scope_opens_something():
    used = {scope for found in OPERATIONS.values() for scope in found.definition.raw["security"][0]["Bearer"]}
    assert used == set(Scope.values)


def test_the_reference_page_is_what_the_code_says():
    written = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    assert written == markdown(reference()), "run `make api`"


@pytest.fixture(autouse=True)
def one_connection():
    """As Django's own test client does: the end of a request must not close the connection of the test."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


def archive(workspace, word):
    """One of everything, each with a word that only this workspace has: of a voice note, and with more to it of a picture
    that somebody else sent and of a voice note that was hidden. Returns the ids by the name of a parameter."""
    number = make_connection(workspace, "meta_cloud", name=word, account_id=f"number-{word}")
    crm = make_connection(workspace, "hubspot", name=word, account_id=f"crm-{word}", secrets={"token": word})
    person, other = make_person(workspace, word, None), make_person(workspace, f"{word}-IMAGE", None)
    voice = keep(make_file(number, kind="voice", person=person, caption=word, file_name=word), b"OggS")
    shown = keep(make_file(number, kind="image", person=other, caption=f"{word}-IMAGE"), b"JPEG")
    hidden = keep(make_file(number, kind="voice", person=person, caption=f"{word}-HIDDEN"), b"OggS")
    MediaFile.objects.filter(pk=hidden.pk).update(hidden_at=clock.now())
    ties = [tie(crm, word, "contact", person=person), tie(crm, f"{word}-IMAGE", "contact", person=other)]
    promises = []
    for media, said in ((voice, word), (shown, f"{word}-IMAGE"), (hidden, f"{word}-HIDDEN")):
        promises.append(_surround(media, crm, said))
        ties += [tie(crm, said, kind, media=media) for kind in ("media", "ticket")]
    wish = Wish(f"https://{word}.example.com/{word}", ["media.ready"], word)
    hook, _secret = subscriptions.subscribe(workspace.pk, wish, "test")
    rows = {
        "media": [voice, shown, hidden], "person": [person, other], "chat": [voice.chat, shown.chat],
        "delivery": promises, "connection": [number, crm], "link": ties, "subscription": [hook],
    }  # fmt: skip
    return {name: [ids.text(row.pk) for row in its] for name, its in rows.items()}


def tie(crm, record, kind, **to):
    return RecordLink.objects.create(
        workspace=crm.workspace, connection=crm, object_type=kind, record_id=record, reason="created",
        linked_by="test", linked_at=clock.now(), **to,
    )  # fmt: skip


def _surround(media, crm, word):
    """All that hangs on a file: what is said in it, a tag, an event, and a promise that waits for a choice."""
    at = clock.now()
    Transcript.objects.create(
        workspace=media.workspace, media=media, asked_by="test", made_at=at, engine="fake", text=word
    )
    tags.put(media, [word], "test")
    facts = {"connection": ids.text(crm.pk), "record": word, "object_type": "media"}
    Event.objects.record(media.workspace_id, [Happened(EventKind.DELIVERED, media.pk, facts)])
    return Delivery.objects.create(
        workspace=media.workspace, connection=crm, media=media, promised_at=at, due_at=at, refusal="ambiguous",
        refused_at=at, stopped_at=at, refusal_facts={"candidates": [{"record_id": word, "url": None}]},
    )  # fmt: skip


@pytest.fixture
def ground(workspace, other_workspace, everybody, bob, charlie, team, program_of, monkeypatch):
    """Two companies, and a program of each role in one of them; the third sort is an agent in a team of voice notes."""
    monkeypatch.setattr(access, "REQUESTS_A_WINDOW", 10**9)
    ours, theirs = archive(workspace, f"{CANARY}-OURS"), archive(other_workspace, f"{CANARY}-THEIRS")
    team.channels.set([])
    programs = {role: program_of(everybody[role]) for role in Role.values}
    programs |= {"team": program_of(bob), "stranger": program_of(charlie)}
    known = {name: ours[name] + theirs[name] + [ids.text(ids.new())] for name in ours}
    return programs, known


def must_not_see(role: str) -> list[str]:
    """Words that no answer to this role may hold."""
    if role == "stranger":
        return [f"{CANARY}-OURS"]
    unseen = [f"{CANARY}-THEIRS"]
    if role not in (Role.ADMINISTRATOR, Role.DPO):
        unseen.append(f"{CANARY}-OURS-HIDDEN")
    if role == "team":
        unseen.append(f"{CANARY}-OURS-IMAGE")
    return unseen


@pytest.mark.django_db
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_as_described_for_whoever_asks(name, ground):
    programs, known = ground
    operation, application = OPERATIONS[name], get_wsgi_application()
    is_written_by_us = operation.method.upper() == "GET"

    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(data=st.data())
    def ask(data):
        mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]), label="mode")
        case = data.draw(operation.as_strategy(generation_mode=mode), label="case")
        role = data.draw(st.sampled_from(sorted(programs)), label="role")
        if mode is GenerationMode.POSITIVE:
            _with_real_ids(case, known, data)
        headers = {"Authorization": f"Bearer {programs[role].token}"}
        response = case.call(app=application, base_url="http://127.0.0.1:8000", headers=headers)
        case.validate_response(response, checks=checks_of(case, response.request.url), headers=headers)
        if is_written_by_us:  # what somebody sends may well be given back to them
            for word in must_not_see(role):
                assert word not in response.text

    ask()


def checks_of(case, address):
    """A parameter that is a list of nothing is not sent: what is wrong with it never reaches whoever should refuse it."""
    sent = {name for name, _ in parse_qsl(urlsplit(address).query, keep_blank_values=True)}
    is_whole = set(case.query or {}) <= sent
    return [check for check in CHECKS if is_whole or check is not checks.negative_data_rejection]


def test_what_was_never_sent_need_not_be_refused():
    operation = OPERATIONS["list_tags"]
    for asked, address, must_refuse in (
        ({"after": "", "": []}, "http://127.0.0.1/api/v1/tags?after=", False),
        ({"after": "", "": ""}, "http://127.0.0.1/api/v1/tags?after=&=", True),
        ({}, "http://127.0.0.1/api/v1/tags", True),
    ):
        found = checks_of(operation.Case(query=asked), address)
        assert (checks.negative_data_rejection in found) is must_refuse


def _with_real_ids(case, known, data):
    """Ids by chance are nobody's: most of those that are asked for are ours, or theirs."""
    for part in (case.path_parameters, case.query, case.body):
        if not isinstance(part, dict):
            continue
        for parameter in part:
            if parameter in known and data.draw(st.integers(0, 3), label="real") > 0:
                chosen = data.draw(st.sampled_from(known[parameter]), label=parameter)
                part[parameter] = [chosen] if isinstance(part[parameter], list) else chosen


@pytest.mark.django_db
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_operation_answers_without_a_token(name):
    operation, application = OPERATIONS[name], get_wsgi_application()

    @hypothesis.settings(
        max_examples=3, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy())
    def ask(case):
        for headers in ({}, {"Authorization": "Bearer acv_" + "x" * 43}):
            answer = case.call(app=application, base_url="http://127.0.0.1:8000", headers=headers)
            assert answer.status_code == 401

    ask()
