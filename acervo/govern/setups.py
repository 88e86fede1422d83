"""A number connected step by step: saved as it is typed, tried before it counts, and nothing started twice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import transaction

from acervo import providers
from acervo.base import clock
from acervo.base.errors import AcervoError, Refused
from acervo.base.http import media_session
from acervo.govern import connections, registration
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, Deed, Setup, Step, Workspace
from acervo.providers.contract import Health, Outcome, Provider, ProviderBusy

PATIENCE_S: Final = 20.0
"""A person waits for the answer."""


class SetupOver(Refused):
    """This setup was finished or discarded meanwhile."""

    code = "setup_over"


class NotThatFar(Refused):
    """This step comes after one that is not done yet."""

    code = "not_that_far"


class ReasonMissing(Refused):
    """Say why in a few words: decisions are written down with their reason."""

    code = "reason_missing"


class SecretsForAnother(Refused):
    """Secrets are sent only to the address they were given for. Paste them again for this one."""

    code = "secrets_for_another"


class AnotherAddress(Refused):
    """The provider tells another address until now. `facts` has its host; say that it may be replaced."""

    code = "another_address"


@dataclass(frozen=True, slots=True)
class Access:
    """What the second step asks for."""

    account_id: str
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Only those that are new; the others stay."""
    api_base: str | None = None


def begin(workspace: Workspace, kind: str, by: str) -> Setup:
    with transaction.atomic():
        setup = Setup.objects.create(workspace=workspace, kind=kind, begun_by=by)
        _record(setup, "setup.begun", by)
    return setup


def choose(setup: Setup, kind: str, by: str) -> None:
    """Another provider: what was typed for the old one means nothing to it. Raises NotThatFar once it is connected."""
    with transaction.atomic():
        row = _locked(setup)
        if row.connection_id is not None:
            raise NotThatFar("A connected number keeps its provider.")
        if row.kind != kind:
            Setup.objects.filter(pk=row.pk).update(
                kind=kind,
                account_id="",
                options={},
                api_base=None,
                sealed_secrets=None,
                changed_at=clock.now(),
            )
            _record(setup, "setup.provider_changed", by, kind)
    setup.refresh_from_db()


def note(setup: Setup, access: Access) -> None:
    """Keep what was typed, right or not. Raises SetupOver, PrivateHost, SecretsForAnother; then nothing is kept."""
    if access.api_base:
        connections.refuse_private(access.api_base)
    with transaction.atomic():
        row = _locked(setup)
        if row.connection_id is None:
            known = credentials.open_setup_secrets(row)
            given = {name: value for name, value in access.secrets.items() if value}
            if known and not set(known) <= set(given) and (row.api_base or "") != (access.api_base or ""):
                raise SecretsForAnother()
            row.sealed_secrets = credentials.seal_setup_secrets(row.pk, {**known, **given})
            row.api_base = access.api_base
        row.account_id, row.options = access.account_id, dict(access.options)
        row.name = access.name or row.name
        row.save(update_fields=["account_id", "options", "name", "sealed_secrets", "api_base", "changed_at"])
    setup.refresh_from_db()


def kept_secrets(setup: Setup) -> frozenset[str]:
    """Names of the secrets that are here, and need not be typed again."""
    known = (
        credentials.open_secrets(setup.connection)
        if setup.connection
        else credentials.open_setup_secrets(setup)
    )
    return frozenset(name for name, value in known.items() if value)


def tried(setup: Setup, secrets: Mapping[str, str]) -> Health:
    """What the provider says to the access as it is noted, with `secrets` in the place of those that are known."""
    if setup.connection is None:
        adapter = credentials.provider_with(setup, credentials.open_setup_secrets(setup))
    else:
        given = {name: value for name, value in secrets.items() if value}
        known = credentials.open_secrets(setup.connection)
        adapter = credentials.provider_with(setup, {**known, **given})
    return async_to_sync(_check)(adapter)


async def _check(adapter: Provider) -> Health:
    try:
        async with (
            asyncio.timeout(PATIENCE_S),
            media_session(settings.ACERVO_ALLOW_PRIVATE_HOSTS, limit=1) as session,
        ):
            return await adapter.check(session)
    except TimeoutError:
        return Health(is_alive=False, code=Outcome.TIMED_OUT)
    except AcervoError as error:
        return Health(is_alive=False, code=error.code)


def connect(setup: Setup, secrets: Mapping[str, str], by: str) -> Connection:
    """The access is good: the connection is made, or changed where an earlier try had made it. It takes files from now
    on. Raises AlreadyConnected, SecretMissing."""
    with transaction.atomic():
        row = _locked(setup)
        connection = _changed(row, row.connection, secrets, by) if row.connection else _made(row, by)
        Setup.objects.filter(pk=row.pk).update(
            connection=connection, sealed_secrets=None, changed_at=clock.now()
        )
    setup.refresh_from_db()
    return connection


def tell(setup: Setup, by: str, *, replaces: bool = False) -> None:
    """The provider learns our address by its API. Raises AnotherAddress unless `replaces`, where its old address would
    end; MustBePasted; and what the provider's refusal means."""
    async_to_sync(_tell)(_connection(setup), by, replaces=replaces)
    _set(setup, told_at=clock.now())


async def _tell(connection: Connection, by: str, *, replaces: bool) -> None:
    is_careful = providers.get(connection.kind).capabilities.knocks_at_one_address and not replaces
    try:
        async with asyncio.timeout(PATIENCE_S):
            if is_careful and (host := await registration.elsewhere(connection)):
                raise AnotherAddress(host=host)
            await registration.register(connection, by)
    except TimeoutError as error:
        raise ProviderBusy(code=Outcome.TIMED_OUT) from error


def settle(setup: Setup, by: str) -> None:
    """Somebody goes on from the webhook: it is told, or pasted."""
    _connection(setup)
    if _set(setup, settled_at=clock.now(), only_if={"settled_at": None}):
        _record(setup, "setup.webhook_settled", by)


def pass_test(setup: Setup, by: str) -> None:
    """Raises NotThatFar while no file of this number is kept."""
    connection = _connection(setup)
    if not connection.files.filter(stored_at__isnull=False).exists():
        raise NotThatFar("No file of this number is kept yet.")
    now = clock.now()
    unmet = {"tested_at": None}
    if _set(setup, tested_at=now, test_skipped_at=None, test_skip_reason=None, only_if=unmet):
        _record(setup, "setup.tested", by)


def skip_test(setup: Setup, reason: str, by: str) -> None:
    """Raises ReasonMissing."""
    _connection(setup)
    if not reason.strip():
        raise ReasonMissing()
    reason = reason.strip()[:200]
    if _set(setup, test_skipped_at=clock.now(), test_skip_reason=reason, only_if={"tested_at": None}):
        _record(setup, "setup.test_skipped", by, reason)


def finish(setup: Setup, legal_basis: str, on_revoke: str, by: str) -> None:
    """The last step: why files of this number may be kept, and what taking back does. Raises NotThatFar."""
    if setup.step != Step.PRIVACY:
        raise NotThatFar()
    with transaction.atomic():
        row = _locked(setup)
        connections.set_legal_basis(_connection(row), legal_basis, by)
        connections.change_on_revoke(_connection(row), on_revoke, by)
        Setup.objects.filter(pk=row.pk).update(finished_at=clock.now())
        _record(row, "setup.finished", by)
    setup.refresh_from_db()


def drop(setup: Setup, by: str) -> None:
    """What was typed is forgotten. A number that is connected already is removed on its own page, which says what
    becomes of its files. Raises NotThatFar for it."""
    with transaction.atomic():
        row = _locked(setup)
        if row.connection_id is not None:
            raise NotThatFar("It is connected: remove the number instead.")
        end(row, by)
    setup.refresh_from_db()


def end(setup: Setup, by: str) -> None:
    """In the transaction of the caller."""
    now = clock.now()
    Setup.objects.unfinished().filter(pk=setup.pk).update(
        dropped_at=now, dropped_by=by, sealed_secrets=None, changed_at=now
    )
    _record(setup, "setup.dropped", by)


def _made(row: Setup, by: str) -> Connection:
    return connections.connect(
        row.workspace,
        kind=row.kind,
        name=row.name or providers.get(row.kind).name,
        account_id=row.account_id,
        secrets=credentials.open_setup_secrets(row),
        options={name: value for name, value in row.options.items() if value != ""},
        api_base=row.api_base,
        by=by,
    )


def _changed(row: Setup, connection: Connection, secrets: Mapping[str, str], by: str) -> Connection:
    connections.correct(
        connection, name=row.name or connection.name, account_id=row.account_id, options=row.options, by=by
    )
    if any(secrets.values()):
        connections.reconnect(connection, secrets, by)
    return connection


def _locked(setup: Setup) -> Setup:
    row = (
        Setup.objects.select_for_update(of=("self",))
        .select_related("workspace", "connection")
        .get(pk=setup.pk)
    )
    if row.is_over:
        raise SetupOver()
    return row


def _connection(setup: Setup) -> Connection:
    if setup.is_over:
        raise SetupOver()
    connection = setup.connection
    if connection is None or connection.removed_at is not None:
        raise NotThatFar()
    return connection


@transaction.atomic
def _set(setup: Setup, *, only_if: Mapping[str, Any] | None = None, **facts: Any) -> bool:
    found = Setup.objects.unfinished().filter(pk=setup.pk, **(only_if or {}))
    changed = found.update(**facts, changed_at=clock.now())
    setup.refresh_from_db()
    return bool(changed)


def _record(setup: Setup, action: str, by: str, reason: str = "") -> None:
    deed = Deed(action, "setup", setup.pk, reason[:200], {"kind": setup.kind})
    AuditEntry.objects.record(setup.workspace_id, by, [deed])
