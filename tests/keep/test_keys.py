"""One key per person, wrapped twice; made once by whoever comes first, and gone when destroyed."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import async_to_sync
from django.db import DatabaseError, connection, transaction

from acervo.base import ids
from acervo.base.sealed import SealedElsewhere
from acervo.keep import keys, vault
from acervo.keep.keys import KeyDestroyed
from acervo.keep.vault import Place
from acervo.models import AuditEntry, DataKey, MediaFile, Person, Workspace

BY = "member:01TEST"


@pytest.fixture
def workspace(db):
    return Workspace.objects.create(name="Clínica Sample")


@pytest.fixture
def person(workspace):
    return Person.objects.create(workspace=workspace)


def key_of(person):
    return keys.for_people(person.workspace_id, [person.pk])[person.pk]


def test_a_person_gets_one_key_and_keeps_it(person):
    first = key_of(person)
    keys.forget()
    assert key_of(person) == first == keys.open_key(first.id)
    assert first.workspace_id == person.workspace_id
    assert len(first.key) == 32


def test_each_person_has_a_key_of_their_own(workspace):
    people = [Person.objects.create(workspace=workspace) for _ in range(3)]
    opened = keys.for_people(workspace.pk, [person.pk for person in people] * 2)
    assert set(opened) == {person.pk for person in people}
    assert len({key.key for key in opened.values()}) == 3


def test_a_batch_of_known_people_costs_one_query(workspace, django_assert_num_queries):
    people = [Person.objects.create(workspace=workspace).pk for _ in range(20)]
    keys.for_people(workspace.pk, people)
    fill_memory(workspace, people)
    with django_assert_num_queries(1):
        keys.for_people(workspace.pk, people)


def fill_memory(workspace, people):
    """What the commit of a real transaction does; a test's never commits."""
    wrapper = keys._workspace_wrapper(workspace.pk)
    keys._workspace_keys.put(workspace.pk, wrapper)
    for key in keys.for_people(workspace.pk, people).values():
        keys._data_keys.put(key.id, key)


def test_no_key_lies_open_in_the_database(person):
    opened = key_of(person)
    row = DataKey.objects.get(pk=opened.id)
    workspace = Workspace.objects.get(pk=person.workspace_id)
    assert opened.key not in bytes(row.wrapped_key)
    assert len(bytes(workspace.wrapped_key)) > 32


def test_a_wrapped_key_moved_to_another_row_does_not_open(workspace):
    first, second = [key_of(Person.objects.create(workspace=workspace)) for _ in range(2)]
    stolen = DataKey.objects.get(pk=first.id).wrapped_key
    DataKey.objects.filter(pk=second.id).update(wrapped_key=stolen)
    keys.forget()
    with pytest.raises(SealedElsewhere):
        keys.open_key(second.id)


def test_another_master_key_opens_nothing_and_says_which_is_needed(person, settings):
    opened = key_of(person)
    needed = settings.ACERVO_MASTER_KEY_ID
    settings.ACERVO_MASTER_KEY, settings.ACERVO_MASTER_KEY_ID = os.urandom(32), "other"
    keys.forget()
    with pytest.raises(SealedElsewhere, match=needed):
        keys.open_key(opened.id)


def test_a_key_follows_its_person_into_a_merge(workspace, person):
    opened = key_of(person)
    other = Person.objects.create(workspace=workspace)
    DataKey.objects.filter(pk=opened.id).update(person=other, is_current=False)
    keys.forget()
    assert keys.open_key(opened.id) == opened


def test_a_destroyed_key_is_gone_and_its_files_say_so(person, folder):
    opened, media_id = key_of(person), ids.new()
    place = Place(person.workspace_id, media_id, vault.ORIGINAL, "acervo", opened)
    stored = async_to_sync(vault.store)(place, b"a voice note")
    row = MediaFile(id=media_id, **stored.columns())
    assert async_to_sync(vault.read_all)(row) == b"a voice note"

    assert keys.destroy(person.pk, by=BY, reason="request 12") == [opened.id]
    keys.forget()
    with pytest.raises(KeyDestroyed):
        keys.open_key(opened.id)
    with pytest.raises(KeyDestroyed):
        async_to_sync(vault.read_all)(row)
    assert DataKey.objects.get(pk=opened.id).wrapped_key is None


def test_destruction_is_told_once_in_the_audit_chain(person):
    opened = key_of(person)
    keys.destroy(person.pk, by=BY, reason="request 12")
    assert keys.destroy(person.pk, by=BY, reason="request 12") == []
    entry = AuditEntry.objects.get(action="data_key.destroyed")
    assert (entry.subject_id, entry.by, entry.reason) == (opened.id, BY, "request 12")


def test_who_writes_again_after_erasure_gets_a_new_key(person):
    old = key_of(person)
    keys.destroy(person.pk, by=BY, reason="request 12")
    assert key_of(person).id != old.id


@pytest.mark.django_db(transaction=True)
def test_a_destroyed_key_leaves_memory_at_the_commit():
    person = Person.objects.create(workspace=Workspace.objects.create(name="Sample"))
    opened = key_of(person)
    assert keys.at_hand(opened.id) == opened
    keys.destroy(person.pk, by=BY, reason="request 12")
    assert keys.at_hand(opened.id) is None


@pytest.mark.django_db(transaction=True)
def test_a_key_whose_row_was_rolled_back_is_not_remembered():
    person = Person.objects.create(workspace=Workspace.objects.create(name="Sample"))
    with transaction.atomic():
        rolled_back = key_of(person)
        transaction.set_rollback(True)
    assert keys.at_hand(rolled_back.id) is None
    assert key_of(person).key != rolled_back.key


@pytest.mark.django_db(transaction=True)
def test_racing_creations_give_one_key():
    workspace = Workspace.objects.create(name="Sample")
    people = [Person.objects.create(workspace=workspace).pk for _ in range(5)]
    start = threading.Barrier(4)

    def race(order):
        try:
            start.wait(timeout=10)
            return keys.for_people(workspace.pk, order)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        orders = [people, people[::-1], people, people[::-1]]
        results = list(pool.map(race, orders))
    keys.forget()
    for result in results:
        assert result == keys.for_people(workspace.pk, people)
    assert DataKey.objects.count() == 5


def test_the_least_used_key_leaves_a_full_memory_and_every_key_in_time(monkeypatch):
    memory = keys._Memory(2)
    first, second, third = ids.new(), ids.new(), ids.new()
    memory.put(first, 1)
    memory.put(second, 2)
    assert memory.get(first) == 1
    memory.put(third, 3)
    assert [memory.get(key) for key in (first, second, third)] == [1, None, 3]
    later = keys.time.monotonic() + keys.CACHE_S + 1
    monkeypatch.setattr(keys.time, "monotonic", lambda: later)
    assert memory.get(first) is None


def test_the_database_refuses_a_second_current_key(person):
    key_of(person)
    with pytest.raises(DatabaseError), transaction.atomic():
        DataKey.objects.create(workspace_id=person.workspace_id, person=person, wrapped_key=b"x")
