"""One cast for every test: Alice administers, Bob is an agent on her side, Charlie should have no access."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.db.backends.signals import connection_created

from acervo.base import clock, ids
from acervo.keep import credentials
from acervo.models import (
    Chat,
    Connection,
    MediaFile,
    Member,
    Message,
    Person,
    PersonIdentifier,
    Role,
    Team,
    Workspace,
)
from acervo.providers import PROVIDERS
from tests import emptying

PASSWORD = "correct horse battery"
_HASHED = None


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """Our own PostgreSQL holds all tables already (`tests/model.py`): the database of the tests is a copy."""
    from django.conf import settings
    from django.db import connection

    if settings.EMBEDDED is not None:
        connection.settings_dict["TEST"]["TEMPLATE"] = connection.settings_dict["NAME"]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    from django.db import connection

    emptying.instead_of_flushing()
    opened: list[Any] = []

    def remember(connection: Any, **_: Any) -> None:
        opened.append(connection.connection)

    connection_created.connect(remember, weak=False)
    yield
    connection_created.disconnect(remember)
    # Threads that tests used still hold connections, and the database cannot be dropped under them.
    for theirs in opened:
        if theirs is not connection.connection:
            theirs.close()


@pytest.fixture
def workspace(db: None) -> Workspace:
    return Workspace.objects.create(name="Telecom Aurora")


@pytest.fixture
def other_workspace(db: None) -> Workspace:
    return Workspace.objects.create(name="Clinica Boreal")


def make_member(workspace: Workspace, name: str, role: str) -> Member:
    global _HASHED
    _HASHED = _HASHED or make_password(PASSWORD)
    member = Member(
        workspace=workspace, email=f"{name.lower()}@example.com", name=name, role=role, language="en"
    )
    member.password = _HASHED
    member.save()
    return member


@pytest.fixture
def alice(workspace: Workspace) -> Member:
    """Administrator."""
    return make_member(workspace, "Alice", Role.ADMINISTRATOR)


@pytest.fixture
def bob(workspace: Workspace) -> Member:
    """An agent of the same workspace, in no team."""
    return make_member(workspace, "Bob", Role.AGENT)


@pytest.fixture
def charlie(other_workspace: Workspace) -> Member:
    """Administrator of another workspace: nothing of ours exists for him."""
    return make_member(other_workspace, "Charlie", Role.ADMINISTRATOR)


@pytest.fixture
def team(workspace: Workspace, bob: Member, connection: Connection) -> Team:
    """Bob's team: sees voice notes of `connection` only."""
    found = Team.objects.create(workspace=workspace, name="Suporte", kinds=["voice"])
    found.channels.add(connection)
    bob.teams.add(found)
    return found


def make_connection(workspace: Workspace, kind: str = "fake", **facts: Any) -> Connection:
    purpose = "provider" if kind in PROVIDERS else "crm"
    secrets = facts.pop(
        "secrets", {"token": "t0k3n", "app_secret": "s3cr3t", "verify_token": "v3r1fy", "secret": "s"}
    )
    row = Connection(
        id=ids.new(),
        workspace=workspace,
        kind=kind,
        purpose=facts.pop("purpose", purpose),
        name=facts.pop("name", "Suporte"),
        account_id=facts.pop("account_id", "106500000000001"),
        created_by="test",
        **facts,
    )
    row.sealed_secrets = credentials.seal_secrets(row.pk, secrets)
    row.save(force_insert=True)
    return row


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    """A WhatsApp number of Meta's Cloud API."""
    return make_connection(workspace, "meta_cloud")


def make_person(
    workspace: Workspace, name: str = "Marina Duarte", phone: str | None = "+15555550142"
) -> Person:
    person = Person.objects.create(workspace=workspace, name=name)
    if phone:
        PersonIdentifier.objects.create(workspace=workspace, person=person, kind="phone", value=phone)
    return person


@pytest.fixture
def announced_file(workspace: Workspace, connection: Connection) -> Callable[..., MediaFile]:
    """`announced_file(kind="voice", person=…, **columns)`: a file we heard of and do not have yet."""
    return lambda **facts: make_file(connection, **facts)


def make_file(
    connection: Connection, *, kind: str = "voice", person: Person | None = None, **facts: Any
) -> MediaFile:
    now = clock.now()
    workspace = connection.workspace
    person = person or Person.objects.filter(workspace=workspace).first() or make_person(workspace)
    chat, _ = Chat.objects.get_or_create(
        connection=connection, person=person, defaults={"workspace": workspace}
    )
    sent_at = facts.pop("sent_at", now)
    message = Message.objects.create(
        workspace=workspace, connection=connection, chat=chat, provider_id=f"wamid.{ids.text(ids.new())}",
        direction="in", type=kind, text=facts.get("caption"), sent_at=sent_at,
    )  # fmt: skip
    columns: dict[str, Any] = {
        "provider_id": str(int.from_bytes(os.urandom(6), "big")),
        "announced_mime": "audio/ogg; codecs=opus",
        "received_at": now,
        "fetch_before": now + timedelta(days=7),
        "due_at": now,
        **facts,
    }
    return MediaFile.objects.create(
        workspace=workspace, connection=connection, chat=chat, person=person, message=message, kind=kind,
        direction="in", sent_at=sent_at, **columns,
    )  # fmt: skip


@pytest.fixture
def kept_file(workspace: Workspace, connection: Connection) -> Callable[..., MediaFile]:
    """`kept_file(body=b"…", kind=…, mime=…, **columns)`: a file in the vault, sealed and prepared."""
    return lambda body=b"OggS not really a voice note", **facts: keep(
        make_file(connection, **_split(facts)[0]), body, **_split(facts)[1]
    )


_PREPARED = ("mime", "width", "height", "duration_s", "waveform", "is_damaged", "is_mistyped")


def _split(facts: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        {name: value for name, value in facts.items() if name not in _PREPARED},
        {name: value for name, value in facts.items() if name in _PREPARED},
    )


def keep(media: MediaFile, body: bytes, **prepared: Any) -> MediaFile:
    """Really store the bytes of a file."""
    from asgiref.sync import async_to_sync

    from acervo.keep import keys, vault

    key = keys.for_people(media.workspace_id, [media.person_id])[media.person_id]
    place = vault.Place(media.workspace_id, media.pk, vault.ORIGINAL, "acervo", key)
    stored = async_to_sync(vault.store)(place, body)
    assert stored.sha256 == hashlib.sha256(body).hexdigest()
    now = clock.now()
    facts = {"mime": "audio/ogg", "duration_s": 5.0, **prepared}
    MediaFile.objects.filter(pk=media.pk).update(
        **stored.columns(), **facts, stored_at=now, prepared_at=now, changed_at=now
    )
    media.refresh_from_db()
    return media


@pytest.fixture(autouse=True)
def forgotten_keys() -> None:
    """Open keys are remembered by process; each test begins knowing none."""
    from acervo.keep import keys

    keys.forget()
