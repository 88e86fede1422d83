"""A write that is sent twice happens once."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection

from acervo.api import tags
from acervo.base import clock
from acervo.models import AuditEntry, KeptAnswer, Tag

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


@pytest.fixture
def tag(program_of, alice, kept_file):
    """`tag("defeito", key=KEY)`: put a tag on one and the same file."""
    program, media = program_of(alice), kept_file()

    def ask(name, *, key=KEY, program=program):
        headers = {"Idempotency_Key": key} if key is not None else {}
        return program.post(f"/media/{media.slug}/tags", {"names": [name]}, **headers)

    return ask


@pytest.mark.django_db
def test_the_second_gets_the_answer_of_the_first_and_does_nothing(tag):
    first, second = tag("defeito"), tag("defeito")
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert "Idempotency-Replayed" not in first
    assert second["Idempotency-Replayed"] == "true"
    assert second["RateLimit"].startswith('"token"')
    assert AuditEntry.objects.filter(action="file.tagged").count() == 1


@pytest.mark.django_db
def test_the_answer_is_that_of_then(tag):
    tag("defeito")
    tag("urgente", key=None)
    assert tag("defeito").json()["tags"] == ["defeito"]


@pytest.mark.django_db
def test_the_same_key_with_another_request_is_a_mistake(tag):
    tag("defeito")
    answer = tag("urgente")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert not Tag.objects.filter(name="urgente").exists()


@pytest.mark.django_db
def test_each_token_has_its_own_keys(tag, program_of, alice):
    tag("defeito")
    assert tag("urgente", program=program_of(alice)).status_code == 200


@pytest.mark.django_db
def test_what_was_refused_may_be_tried_again_with_its_key(tag):
    assert tag("a;b").status_code == 422
    assert not KeptAnswer.objects.exists()
    assert tag("defeito").status_code == 200


@pytest.mark.django_db
def test_a_fault_keeps_nothing(tag, monkeypatch):
    whole = tags.journey.tag_file

    def breaks(*args, **more):
        whole(*args, **more)
        raise RuntimeError("after the write")

    monkeypatch.setattr(tags.journey, "tag_file", breaks)
    assert tag("defeito").status_code == 500
    assert not Tag.objects.exists()
    monkeypatch.undo()
    assert tag("defeito").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "two words", "x" * 129, "ação"])
def test_a_key_that_is_none_is_refused(tag, key):
    assert tag("defeito", key=key).json()["code"] == "idempotency_key_unusable"


@pytest.mark.django_db
def test_the_answer_is_sealed_and_forgotten_after_a_day(tag, monkeypatch):
    tag("segredo")
    (kept,) = KeptAnswer.objects.all()
    assert b"segredo" not in bytes(kept.sealed_body)
    assert KeptAnswer.objects.over(clock.now()).delete()[0] == 0
    at = clock.now() + timedelta(hours=24, seconds=1)
    monkeypatch.setattr(clock, "now", lambda: at)
    again = tag("segredo")
    assert "Idempotency-Replayed" not in again, "the key is free"
    later = at + timedelta(hours=24, seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert KeptAnswer.objects.over(clock.now()).delete()[0] == 1


@pytest.mark.django_db(transaction=True)
def test_two_that_arrive_together_are_one(tag, monkeypatch):
    """The second waits inside the database until the first has committed."""
    inside, go_on = threading.Event(), threading.Event()
    whole = tags.journey.tag_file

    def slowly(*args, **more):
        inside.set()
        assert go_on.wait(30)
        return whole(*args, **more)

    monkeypatch.setattr(tags.journey, "tag_file", slowly)
    answers = []

    def ask():
        try:
            answers.append(tag("defeito"))
        finally:
            connection.close()

    first, second = threading.Thread(target=ask), threading.Thread(target=ask)
    first.start()
    assert inside.wait(30)
    second.start()
    _wait_until_somebody_waits()
    go_on.set()
    for thread in (first, second):
        thread.join(60)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert sorted("Idempotency-Replayed" in answer for answer in answers) == [False, True]
    assert AuditEntry.objects.filter(action="file.tagged").count() == 1


def _wait_until_somebody_waits():
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with connection.cursor() as cursor:
        for _look in range(3000):
            cursor.execute(waiting)
            if cursor.fetchone()[0]:
                return
            cursor.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("nobody waited")
