"""Promise 7: the audit trail is written once, in a chain, and nobody changes it."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.db.utils import IntegrityError

from acervo.base import ids
from acervo.govern.audit import verify
from acervo.models import AuditEntry, Deed, Workspace


@pytest.fixture
def story(workspace: Workspace) -> Workspace:
    for number in range(3):
        AuditEntry.objects.record(
            workspace.pk, "test", [Deed("file.kept", "file", ids.new(), "", {"n": number})]
        )
    return workspace


def test_entries_are_numbered_and_chained(story: Workspace) -> None:
    entries = list(AuditEntry.objects.filter(workspace_id=story.pk).order_by("number"))
    assert [entry.number for entry in entries] == [1, 2, 3]
    assert entries[0].previous_hash == "0" * 64
    assert [entry.previous_hash for entry in entries[1:]] == [entry.hash for entry in entries[:-1]]
    assert verify(story.pk).broken_at is None


@pytest.mark.parametrize(
    "statement",
    ["UPDATE acervo_auditentry SET reason = 'x'", "DELETE FROM acervo_auditentry"],
)
def test_no_entry_is_changed_or_removed(story: Workspace, statement: str) -> None:
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_the_trail_is_not_emptied(story: Workspace) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            cursor.execute("TRUNCATE acervo_auditentry")


def test_a_change_behind_our_back_is_found(story: Workspace) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE acervo_auditentry DISABLE TRIGGER audit_is_never_changed")
        cursor.execute("UPDATE acervo_auditentry SET details = '{\"n\": 9}' WHERE number = 2")
        cursor.execute("ALTER TABLE acervo_auditentry ENABLE TRIGGER audit_is_never_changed")
    assert verify(story.pk).broken_at == 2


def test_each_workspace_has_a_chain_of_its_own(story: Workspace, other_workspace: Workspace) -> None:
    AuditEntry.objects.record(other_workspace.pk, "test", [Deed("file.kept", "file", ids.new())])
    assert AuditEntry.objects.get(workspace_id=other_workspace.pk).number == 1


def test_an_entry_is_rolled_back_with_its_deed(story: Workspace) -> None:
    with transaction.atomic():
        AuditEntry.objects.record(story.pk, "test", [Deed("file.kept", "file", ids.new())])
        transaction.set_rollback(True)
    assert verify(story.pk).entries == 3
