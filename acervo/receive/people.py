"""Who is writing: from identifiers to persons, exactly once, merging when two turn out to be one.

The business-scoped user id decides; a phone number is second, because numbers are given to new people:
a number that comes with another user id moves to its new owner instead of merging two strangers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import connection as database

from acervo.base import clock, ids
from acervo.models import (
    Chat,
    ChatImport,
    ConsentAnswer,
    ContactDecision,
    DataKey,
    MediaFile,
    Message,
    Person,
    PersonIdentifier,
    RecordLink,
    Sending,
)
from acervo.models.audit import Deed
from acervo.providers.contract import Identity

Key = tuple[str, str]
USER_ID, PHONE = PersonIdentifier.Kind.USER_ID.value, PersonIdentifier.Kind.PHONE.value
NAME_LENGTH = 256


class Nobody(ValueError):
    """A message without any identifier of its sender."""


@dataclass(slots=True)
class Register:
    """The persons of one workspace that a batch of identities speaks of. Must live inside one transaction."""

    workspace_id: UUID
    owners: dict[Key, UUID] = field(default_factory=dict)
    user_ids: dict[UUID, str] = field(default_factory=dict)
    """Person to business-scoped user id, where known."""
    names: dict[UUID, str] = field(default_factory=dict)
    born: list[UUID] = field(default_factory=list)
    renamed: dict[UUID, str] = field(default_factory=dict)
    claimed: dict[Key, UUID] = field(default_factory=dict)
    merges: list[tuple[UUID, UUID]] = field(default_factory=list)

    @classmethod
    def load(cls, workspace_id: UUID, identities: Iterable[Identity]) -> Register:
        """Reads what is known. If somebody is new, takes the workspace's people lock first, so that two readers
        never make the same person twice."""
        wanted = sorted({key for identity in identities for key in keys(identity)})
        register = cls(workspace_id)
        register._read(wanted)
        if any(key not in register.owners for key in wanted):
            with database.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"acervo.people.{workspace_id}"]
                )
            register._read(wanted)
        return register

    def _read(self, wanted: Sequence[Key]) -> None:
        with database.cursor() as cursor:
            cursor.execute(
                """SELECT i.kind, i.value, p.id, p.name,
                          (SELECT value FROM acervo_personidentifier u WHERE u.person_id = p.id AND u.kind = 'user_id'
                           ORDER BY u.id DESC LIMIT 1)
                   FROM unnest(%s::text[], %s::text[]) AS w(kind, value)
                   JOIN acervo_personidentifier i ON i.workspace_id = %s AND i.kind = w.kind AND i.value = w.value
                   JOIN acervo_person p ON p.id = i.person_id""",
                [[kind for kind, _ in wanted], [value for _, value in wanted], self.workspace_id],
            )
            for kind, value, person_id, name, user_id in cursor.fetchall():
                self.owners[(kind, value)] = person_id
                self.names[person_id] = name
                if user_id:
                    self.user_ids[person_id] = user_id

    def person_of(self, identity: Identity) -> UUID:
        """The person behind an identity, made if need be. Raises Nobody."""
        by_user_id = self.owners.get((USER_ID, identity.user_id)) if identity.user_id else None
        by_phone = self.owners.get((PHONE, identity.phone)) if identity.phone else None
        person = self._decide(identity, by_user_id, by_phone)
        for key in keys(identity):
            if self.owners.get(key) != person:
                self.owners[key] = self.claimed[key] = person
        if identity.user_id:
            self.user_ids.setdefault(person, identity.user_id)
        if identity.name and self.names.get(person) != identity.name[:NAME_LENGTH]:
            self.names[person] = self.renamed[person] = identity.name[:NAME_LENGTH]
        return person

    def _decide(self, identity: Identity, by_user_id: UUID | None, by_phone: UUID | None) -> UUID:
        if by_user_id is not None:
            if by_phone not in (None, by_user_id) and by_phone not in self.user_ids:
                self._merge(by_phone, into=by_user_id)
            return by_user_id
        is_theirs = by_phone is not None and (identity.user_id is None or by_phone not in self.user_ids)
        if by_phone is not None and is_theirs:
            return by_phone
        if not keys(identity):
            raise Nobody("A message without an identifier of its sender.")
        person = ids.new()
        self.born.append(person)
        self.names[person] = ""
        return person

    def same(self, before: Identity, after: Identity) -> None:
        """The provider says that two identities are one person."""
        earlier, later = self.person_of(before), self.person_of(after)
        if earlier != later:
            first, second = sorted((earlier, later))
            self._merge(second, into=first)

    def _merge(self, loser: UUID | None, *, into: UUID) -> None:
        if loser is None:
            return
        self.merges.append((loser, into))
        for key, owner in self.owners.items():
            if owner == loser:
                self.owners[key] = into
                self.claimed[key] = into
        self.user_ids.setdefault(into, self.user_ids.pop(loser, ""))
        if not self.user_ids[into]:
            del self.user_ids[into]

    def survivor(self, person: UUID) -> UUID:
        """Where a person ended after this batch's merges."""
        merged = dict(self.merges)
        while person in merged:
            person = merged[person]
        return person

    def save(self) -> list[Deed]:
        """Write it all; the deeds are for the audit trail of the same transaction."""
        if self.born:
            at = clock.now()
            Person.objects.bulk_create(
                Person(id=pk, workspace_id=self.workspace_id, name=self.names.get(pk, ""), created_at=at)
                for pk in self.born
            )
        self._save_identifiers()
        self._save_names()
        for loser, into in self.merges:
            _move(loser, self.survivor(into))
        return [
            Deed("person.merged", "person", into, "identity", {"merged": ids.text(loser)})
            for loser, into in self.merges
        ]

    def _save_identifiers(self) -> None:
        rows = sorted(self.claimed.items())
        if not rows:
            return
        at = clock.now()
        PersonIdentifier.objects.bulk_create(
            [
                PersonIdentifier(
                    workspace_id=self.workspace_id, person_id=owner, kind=kind, value=value, created_at=at
                )
                for (kind, value), owner in rows
            ],
            update_conflicts=True,
            unique_fields=["workspace", "kind", "value"],
            update_fields=["person"],
        )

    def _save_names(self) -> None:
        changed = {pk: name for pk, name in self.renamed.items() if pk not in set(self.born)}
        if changed:
            rows = [Person(pk=pk, name=name) for pk, name in sorted(changed.items())]
            Person.objects.bulk_update(rows, ["name"])


def keys(identity: Identity) -> list[Key]:
    """The identifiers of an identity, most trusted first."""
    found = [(USER_ID, identity.user_id), (PHONE, identity.phone)]
    return [(kind, value[:160]) for kind, value in found if value]


def _move(loser: UUID, into: UUID) -> None:
    """All that belonged to one person belongs to the other; history stays, keys come along."""
    PersonIdentifier.objects.filter(person=loser).update(person=into)
    for chat in Chat.objects.filter(person=loser):
        home, _ = Chat.objects.get_or_create(
            connection_id=chat.connection_id, person_id=into, defaults={"workspace_id": chat.workspace_id}
        )
        Message.objects.filter(chat=chat).update(chat=home)
        MediaFile.objects.filter(chat=chat).update(chat=home)
        Sending.objects.filter(chat=chat).update(chat=home)
        chat.delete()
    MediaFile.objects.filter(person=loser).update(person=into, changed_at=clock.now())
    ChatImport.objects.filter(person=loser).update(person=into)
    ConsentAnswer.objects.filter(person=loser).update(person=into)
    has_current = DataKey.objects.filter(person=into, is_current=True).exists()
    DataKey.objects.filter(person=loser).update(person=into, **({"is_current": False} if has_current else {}))
    linked = RecordLink.objects.filter(person=into).values("connection_id", "object_type")
    for link in RecordLink.objects.filter(person=loser):
        if {"connection_id": link.connection_id, "object_type": link.object_type} not in list(linked):
            link.person_id = into
            link.save(update_fields=["person"])
    decided = ContactDecision.objects.standing().filter(person=into).values("connection_id")
    ContactDecision.objects.filter(person=loser).exclude(undone_at=None, connection__in=decided).update(
        person=into
    )
    loser_row = Person.objects.filter(pk=loser)
    name = loser_row.values_list("name", flat=True).first()
    loser_row.update(merged_into=into, merged_at=clock.now())
    if name:
        Person.objects.filter(pk=into, name="").update(name=name)
