"""Objects nobody owns are found and deleted; everything that may yet be owned stays."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync

from acervo.base import clock, ids
from acervo.keep import sweeper, vault
from acervo.keep.sweeper import TooManyOrphans
from acervo.keep.vault import Place
from acervo.models import Chat, Connection, MediaFile, Message, Person, Rendition, Workspace
from tests.keep.conftest import names

DAYS_AGO = (clock.now() - timedelta(days=3)).timestamp()


@pytest.fixture
def workspace(db):
    return Workspace.objects.create(name="Sample", sealing="storage")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "files"


def put(root, workspace_id, *, is_old=True):
    """An object as a killed process leaves it: written, and no row."""
    place = Place(workspace_id, ids.new(), vault.ORIGINAL, "storage", None)
    stored = async_to_sync(vault.store)(place, b"bytes")
    if is_old:
        os.utime(root / stored.object_key, (DAYS_AGO, DAYS_AGO))
    return stored


def own(workspace, stored):
    """The file whose bytes these are."""
    now = clock.now()
    line = Connection.objects.create(
        workspace=workspace, purpose="provider", kind="fake", name="Line", account_id=str(ids.new()),
        sealed_secrets=b"x", created_by="command:test",
    )  # fmt: skip
    person = Person.objects.create(workspace=workspace)
    chat = Chat.objects.create(workspace=workspace, connection=line, person=person)
    message = Message.objects.create(
        workspace=workspace,
        connection=line,
        chat=chat,
        provider_id="1",
        direction="in",
        type="audio",
        sent_at=now,
    )
    return MediaFile.objects.create(
        workspace=workspace, connection=line, chat=chat, person=person, message=message, direction="in",
        kind="voice", provider_id="1", sent_at=now, received_at=now, fetch_before=now, due_at=now, stored_at=now,
        **stored.columns(),
    )  # fmt: skip


def sweep(**options):
    return async_to_sync(sweeper.sweep)(**options)


def listed(folder):
    return async_to_sync(names)(folder)


def test_only_old_objects_without_a_row_are_deleted(workspace, folder, root):
    owned, of_rendition = put(root, workspace.pk), put(root, workspace.pk)
    media = own(workspace, owned)
    Rendition.objects.create(
        media=media, kind="mp3", mime="audio/mpeg", made_at=clock.now(), **of_rendition.columns()
    )
    orphan, young = put(root, workspace.pk), put(root, workspace.pk, is_old=False)
    swept = sweep()
    assert (swept.seen, swept.young, swept.orphans, swept.orphan_bytes, swept.deleted) == (4, 1, 1, 5, 1)
    assert listed(folder) == {owned.object_key, of_rendition.object_key, young.object_key}
    assert orphan.object_key not in listed(folder)
    assert sweep().orphans == 0


def test_a_dry_run_counts_and_deletes_nothing(workspace, folder, root):
    orphan = put(root, workspace.pk)
    leftover = root / f"{orphan.object_key}#1"
    leftover.write_bytes(b"half")
    os.utime(leftover, (DAYS_AGO, DAYS_AGO))
    swept = sweep(dry_run=True)
    assert (swept.orphans, swept.leftovers, swept.deleted) == (1, 1, 0)
    assert leftover.exists()
    swept = sweep()
    assert (swept.orphans, swept.leftovers, swept.deleted) == (1, 1, 1)
    assert not leftover.exists()


def test_objects_of_workspaces_this_database_does_not_know_are_left_alone(workspace, folder, root):
    """Another installation shares the bucket, or the database is the wrong one."""
    foreign = put(root, ids.new())
    assert sweep().seen == 0
    assert listed(folder) == {foreign.object_key}


def test_more_orphans_than_crashes_explain_stop_the_sweep(workspace, folder, root, monkeypatch):
    """An old backup of the database must not cost the files that came after it."""
    monkeypatch.setattr(sweeper, "FEW", 2)
    for _ in range(3):
        put(root, workspace.pk)
    with pytest.raises(TooManyOrphans):
        sweep()
    assert len(listed(folder)) == 3
    assert sweep(is_sure=True).deleted == 3


def test_pages_of_the_listing_are_all_judged(workspace, folder, root, monkeypatch):
    monkeypatch.setattr(sweeper, "_PAGE", 2)
    own(workspace, put(root, workspace.pk))
    for _ in range(4):
        put(root, workspace.pk)
    assert sweep().deleted == 4
    assert len(listed(folder)) == 1
