"""Who is who: the user id decides, numbers move, and two that are one become one."""

from __future__ import annotations

import pytest
from django.db import transaction

from acervo.models import Connection, DataKey, MediaFile, Person, PersonIdentifier, Workspace
from acervo.providers.contract import Identity
from acervo.receive.people import Nobody, Register
from tests.conftest import make_file, make_person

pytestmark = pytest.mark.django_db


def person_of(workspace: Workspace, *identities: Identity) -> list[Person]:
    with transaction.atomic():
        register = Register.load(workspace.pk, identities)
        found = [register.person_of(identity) for identity in identities]
        register.save()
        found = [register.survivor(pk) for pk in found]
    return [Person.objects.get(pk=pk) for pk in found]


def test_the_same_identity_is_the_same_person_in_one_batch_and_in_the_next(workspace: Workspace) -> None:
    marina = Identity(user_id="BR.1", phone="+5511955550101", name="Marina")
    first, again = person_of(workspace, marina, marina)
    (later,) = person_of(workspace, marina)
    assert first == again == later
    assert later.name == "Marina"


def test_either_identifier_alone_is_enough(workspace: Workspace) -> None:
    (whole,) = person_of(workspace, Identity(user_id="BR.1", phone="+5511955550101"))
    assert person_of(workspace, Identity(user_id="BR.1"), Identity(phone="+5511955550101")) == [whole, whole]


def test_a_person_known_by_phone_gets_the_user_id_that_comes_with_it(workspace: Workspace) -> None:
    (known,) = person_of(workspace, Identity(phone="+5511955550101"))
    (same,) = person_of(workspace, Identity(user_id="BR.1", phone="+5511955550101"))
    assert same == known


def test_a_number_given_to_somebody_else_moves_and_merges_no_strangers(workspace: Workspace) -> None:
    (before,) = person_of(workspace, Identity(user_id="BR.1", phone="+5511955550101"))
    (after,) = person_of(workspace, Identity(user_id="BR.2", phone="+5511955550101"))
    assert before != after
    assert person_of(workspace, Identity(phone="+5511955550101")) == [after]
    assert person_of(workspace, Identity(user_id="BR.1")) == [before]


def test_a_phone_person_and_a_user_id_person_that_meet_become_one(
    workspace: Workspace, connection: Connection
) -> None:
    (by_id,) = person_of(workspace, Identity(user_id="BR.1"))
    (by_phone,) = person_of(workspace, Identity(phone="+5511955550101", name="Marina"))
    media = make_file(connection, person=by_phone)
    key = DataKey.objects.create(workspace=workspace, person=by_phone, wrapped_key=b"x")
    (one,) = person_of(workspace, Identity(user_id="BR.1", phone="+5511955550101"))
    assert one == by_id
    media.refresh_from_db()
    key.refresh_from_db()
    by_phone.refresh_from_db()
    assert media.person == key.person == by_phone.merged_into == by_id
    assert media.chat.person == by_id
    assert key.is_current


def test_an_identity_change_of_the_provider_merges_and_keeps_the_older(workspace: Workspace) -> None:
    before, after = Identity(user_id="BR.1"), Identity(user_id="BR.9", phone="+5511955550109")
    (old,), (new,) = person_of(workspace, before), person_of(workspace, after)
    with transaction.atomic():
        register = Register.load(workspace.pk, [before, after])
        register.same(before, after)
        deeds = register.save()
    assert person_of(workspace, after) == [old]
    assert [deed.action for deed in deeds] == ["person.merged"]
    assert Person.objects.get(pk=new.pk).merged_into == old


def test_somebody_without_any_identifier_is_nobody(workspace: Workspace) -> None:
    with pytest.raises(Nobody):
        Register.load(workspace.pk, []).person_of(Identity(name="?"))


def test_two_workspaces_know_the_same_number_as_two_people(
    workspace: Workspace, other_workspace: Workspace
) -> None:
    marina = Identity(phone="+5511955550101")
    assert person_of(workspace, marina) != person_of(other_workspace, marina)
    assert PersonIdentifier.objects.count() == 2


def test_merging_two_with_keys_keeps_one_current(workspace: Workspace, connection: Connection) -> None:
    by_id, by_phone = make_person(workspace, phone=None), make_person(workspace, phone="+5511955550101")
    PersonIdentifier.objects.create(workspace=workspace, person=by_id, kind="user_id", value="BR.1")
    for person in (by_id, by_phone):
        DataKey.objects.create(workspace=workspace, person=person, wrapped_key=b"x")
        make_file(connection, person=person)
    person_of(workspace, Identity(user_id="BR.1", phone="+5511955550101"))
    assert DataKey.objects.filter(person=by_id).count() == 2
    assert DataKey.objects.get(person=by_id, is_current=True)
    assert MediaFile.objects.filter(person=by_id).count() == 2
