"""Connections made, changed, paused and removed: by whom, why, and never with a secret in sight."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from acervo import crms, providers
from acervo.base import clock, ids
from acervo.base.errors import Refused
from acervo.base.http import is_allowed_private, is_public_address
from acervo.fetch import forgotten
from acervo.govern import embeds
from acervo.keep import credentials
from acervo.models import (
    AuditEntry,
    Connection,
    Deed,
    MediaFile,
    OnRevoke,
    Purpose,
    Setup,
    Workspace,
)
from acervo.providers.contract import Outcome
from acervo.providers.recovery import Forgets

FORGETS: Final[Mapping[str, bool | str]] = {"nothing": False, "proven": True, "all": forgotten.ALL}

PREVIOUS_FOR = timedelta(days=7)
"""How long a replaced secret still counts: enough to change it everywhere, and no door left open for ever."""


BEING_SET_UP = "being_set_up"
"""Why a CRM is paused until somebody has seen what is made there and lets it go."""
NUMBER_REMOVED = "number_removed"
"""Why a file is lost that still waited when its number was removed."""


class AlreadyConnected(Refused):
    """This account is connected already. Remove that connection first, or reconnect it."""

    code = "already_connected"


class PrivateHost(Refused):
    """This address lies in a private network. Name its host in ACERVO_ALLOW_PRIVATE_HOSTS if that is meant."""

    code = "private_host"


class SecretMissing(Refused):
    """A secret this connection needs was not given."""

    code = "secret_missing"


class UnknownChoice(Refused):
    """This is none of the answers that may be given."""

    code = "unknown_choice"


def connect(
    workspace: Workspace,
    *,
    kind: str,
    name: str,
    account_id: str,
    secrets: Mapping[str, str],
    by: str,
    options: Mapping[str, Any] | None = None,
    api_base: str | None = None,
) -> Connection:
    """A new connection, ready at once. Raises AlreadyConnected, PrivateHost and SecretMissing; then nothing is made."""
    purpose = Purpose.PROVIDER if kind in providers.PROVIDERS else Purpose.CRM
    secrets = {**_own_secrets(kind, purpose), **secrets}
    _refuse_missing(kind, purpose, secrets)
    if api_base:
        refuse_private(api_base)
    row = Connection(
        id=ids.new(), workspace=workspace, purpose=purpose, kind=kind, name=name, account_id=account_id,
        options=dict(options or {}), api_base=api_base, created_by=by,
    )  # fmt: skip
    row.sealed_secrets = credentials.seal_secrets(row.pk, secrets)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            record(row, "connection.made", by, kind)
    except IntegrityError as error:
        if "account_is_connected_once_in_its_workspace" in str(error):
            raise AlreadyConnected() from error
        raise
    return row


def reconnect(connection: Connection, secrets: Mapping[str, str], by: str) -> None:
    """New secrets for a connection that stays what it is; it resumes. The old app secret stays good for verifying
    while both are in use (`<name>_previous`), so that no webhook is refused during a rotation."""
    given = {name: value for name, value in secrets.items() if value}
    _replace_secrets(connection, given)
    with transaction.atomic():
        connection.save(update_fields=["sealed_secrets", "previous_until"])
        if connection.pause_reason != BEING_SET_UP:
            connection.resume()
        _hope_again(connection)
        _make_due(connection)
        record(connection, "connection.reconnected", by, ",".join(sorted(given)))


def has_previous(connection: Connection) -> bool:
    """Whether secrets of before the last change still count."""
    if connection.previous_until and connection.previous_until <= clock.now():
        return False
    return any(name.endswith(credentials.PREVIOUS) for name in credentials.open_secrets(connection))


def end_previous(connection: Connection, by: str) -> None:
    """From now on only the new secrets count; the old ones are erased."""
    known = credentials.open_secrets(connection)
    kept = {name: value for name, value in known.items() if not name.endswith(credentials.PREVIOUS)}
    if kept == known:
        return
    connection.sealed_secrets = credentials.seal_secrets(connection.pk, kept)
    connection.previous_until = None
    with transaction.atomic():
        connection.save(update_fields=["sealed_secrets", "previous_until"])
        record(connection, "connection.previous_ended", by, "")


def erase_ended() -> None:
    """Old secrets whose time is over count no more already; now they are gone."""
    for connection in Connection.objects.filter(previous_until__lte=clock.now(), removed_at=None):
        end_previous(connection, "system:tick")


def correct(
    connection: Connection, *, name: str, account_id: str, options: Mapping[str, Any], by: str
) -> None:
    """What was mistyped when it was made. Raises AlreadyConnected."""
    merged = {key: value for key, value in {**connection.options, **options}.items() if value != ""}
    wanted = {"name": name, "account_id": account_id, "options": merged}
    changed = [field for field, value in wanted.items() if getattr(connection, field) != value]
    if not changed:
        return
    for field in changed:
        setattr(connection, field, wanted[field])
    try:
        with transaction.atomic():
            connection.save(update_fields=changed)
            record(connection, "connection.changed", by, ",".join(changed))
    except IntegrityError as error:
        if "account_is_connected_once_in_its_workspace" in str(error):
            raise AlreadyConnected() from error
        raise


def rename(connection: Connection, name: str, by: str) -> None:
    correct(connection, name=name, account_id=connection.account_id, options={}, by=by)


def set_legal_basis(connection: Connection, legal_basis: str, by: str) -> None:
    """Why files of this number may be kept."""
    if connection.legal_basis == legal_basis:
        return
    connection.legal_basis = legal_basis
    details = {"kind": connection.kind, "legal_basis": legal_basis}
    with transaction.atomic():
        connection.save(update_fields=["legal_basis"])
        deed = Deed("connection.privacy_set", "connection", connection.pk, "", details)
        AuditEntry.objects.record(connection.workspace_id, by, [deed])


def replace_own(connection: Connection, by: str) -> None:
    """New values for the secrets that we made up; the old ones count beside them."""
    made = _own_secrets(connection.kind, connection.purpose)
    _replace_secrets(connection, made)
    with transaction.atomic():
        connection.save(update_fields=["sealed_secrets", "previous_until"])
        record(connection, "connection.own_secrets_renewed", by, ",".join(sorted(made)))


def put_own_back(connection: Connection) -> None:
    """The provider did not say that it took the new ones: the old are current again, and the new count beside them, in
    case it took them all the same."""
    known = credentials.open_secrets(connection)
    names = providers.get(connection.kind).capabilities.own_secrets
    old = {
        name: known[f"{name}{credentials.PREVIOUS}"]
        for name in names
        if f"{name}{credentials.PREVIOUS}" in known
    }
    _replace_secrets(connection, old)
    connection.save(update_fields=["sealed_secrets", "previous_until"])


def pause(connection: Connection, by: str, reason: str = "by_hand") -> None:
    """Nothing is fetched or delivered; webhooks are still journalled, so nothing acknowledged is lost."""
    with transaction.atomic():
        connection.pause(by=by, reason=reason, at=clock.now())
        record(connection, "connection.paused", by, reason)


def resume(connection: Connection, by: str) -> None:
    """Go on where it stopped: what waited is due at once."""
    with transaction.atomic():
        connection.resume()
        _make_due(connection)
        record(connection, "connection.resumed", by, "")


def remove(connection: Connection, by: str) -> None:
    """The door closes and its secrets are erased; files already kept stay, and those that still waited are stated as
    lost, since nobody can fetch them any more."""
    at = clock.now()
    with transaction.atomic():
        found = Connection.objects.filter(pk=connection.pk, removed_at=None)
        if not found.update(removed_at=at, removed_by=by, **_erased(connection)):
            return
        lost = _give_up_waiting(connection, at)
        deeds = [Deed("file.lost", "file", pk, NUMBER_REMOVED) for pk in lost]
        setups = Setup.objects.unfinished().filter(connection=connection)
        dropped = [Deed("setup.dropped", "setup", pk) for pk in setups.values_list("pk", flat=True)]
        setups.update(dropped_at=at, dropped_by=by, changed_at=at)
        embeds.close(connection, at, by)
        removed = Deed(
            "connection.removed",
            "connection",
            connection.pk,
            "",
            {"kind": connection.kind, "lost": len(lost)},
        )
        AuditEntry.objects.record(connection.workspace_id, by, [*deeds, *dropped, removed])


def _erased(connection: Connection) -> dict[str, Any]:
    return {"sealed_secrets": credentials.seal_secrets(connection.pk, {}), "previous_until": None}


def _give_up_waiting(connection: Connection, at: datetime) -> list[UUID]:
    if connection.purpose != Purpose.PROVIDER:
        return []
    waiting = MediaFile.objects.awaited().filter(connection=connection).select_for_update(no_key=True)
    found = list(waiting.order_by("id").values_list("pk", flat=True))
    MediaFile.objects.filter(pk__in=found).update(
        refusal=NUMBER_REMOVED, refused_at=at, gone_at=at, changed_at=at, claimed_until=None
    )
    return found


def change_on_revoke(connection: Connection, wanted: str, by: str) -> bool:
    """What becomes of files that are taken back from now on; whether that is a change. Raises UnknownChoice."""
    if wanted not in OnRevoke.values:
        raise UnknownChoice()
    with transaction.atomic():
        row = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        if row.on_revoke == wanted:
            return False
        details = {"kind": row.kind, "from": row.on_revoke, "to": wanted}
        row.on_revoke = connection.on_revoke = wanted
        row.save(update_fields=["on_revoke"])
        deed = Deed("connection.on_revoke_changed", "connection", row.pk, "", details)
        AuditEntry.objects.record(row.workspace_id, by, [deed])
    return True


def change_forgets(connection: Connection, wanted: str, by: str) -> bool:
    """Whether the provider's own copies are deleted once ours are safe: of no file, of proven ones, or of all; whether
    that is a change. Holds for files that become ready from then on. Raises UnknownChoice, also for a provider that
    deletes nothing."""
    if wanted not in FORGETS or (FORGETS[wanted] and not issubclass(providers.get(connection.kind), Forgets)):
        raise UnknownChoice()
    with transaction.atomic():
        row = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        if row.options.get(forgotten.OPTION, False) == FORGETS[wanted]:
            return False
        row.options = connection.options = {**row.options, forgotten.OPTION: FORGETS[wanted]}
        row.save(update_fields=["options"])
        record(row, "connection.forgets_changed", by, wanted)
    return True


def webhook_url(connection: Connection) -> str:
    """The address to give to the provider. Where its last segment is a secret, so is all of it: never log it."""
    address = f"{settings.ACERVO_BASE_URL}/hooks/{connection.kind}/{ids.text(connection.pk)}"
    secret = providers.get(connection.kind).capabilities.address_secret
    return f"{address}/{credentials.open_secrets(connection)[secret]}" if secret else address


def refuse_private(address: str) -> None:
    """Raises PrivateHost for an address in a private network that the operator did not name. The guards of
    `base.http` check again at every connection, since names can change their address."""
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port
    if is_allowed_private(host, port, settings.ACERVO_ALLOW_PRIVATE_HOSTS):
        return
    if not is_public_address(address):
        raise PrivateHost(f"{parts.scheme}://{host} is refused: it must be https and public, or named.")


def _own_secrets(kind: str, purpose: str) -> dict[str, str]:
    """Those that we make up ourselves: 128 bits, and nothing that an address would have to escape."""
    if purpose != Purpose.PROVIDER:
        return {}
    return {name: token_hex(16) for name in providers.get(kind).capabilities.own_secrets}


def _refuse_missing(kind: str, purpose: str, secrets: Mapping[str, str]) -> None:
    adapter: Any = providers.get(kind) if purpose == Purpose.PROVIDER else crms.get(kind)
    missing = [name for name in adapter.secret_names if not secrets.get(name)]
    if missing:
        raise SecretMissing(f"{adapter.name} needs: {', '.join(missing)}.")


def _replace_secrets(connection: Connection, given: Mapping[str, str]) -> None:
    """In the row at hand, not saved: the new values, and beside them those they replace."""
    known = credentials.open_secrets(connection)
    previous = {
        f"{name}{credentials.PREVIOUS}": known[name]
        for name in given
        if name in known and known[name] != given[name]
    }
    connection.sealed_secrets = credentials.seal_secrets(connection.pk, {**known, **previous, **given})
    if previous:
        connection.previous_until = clock.now() + PREVIOUS_FOR


def _hope_again(connection: Connection) -> None:
    """A provider may say of a file that a token may not see what it says of one that expired (Meta, code 100):
    before its deadline such a file is asked for once more with the new access. Not where a failed try is counted
    against the number: there the provider's word is taken."""
    if connection.purpose != Purpose.PROVIDER:
        return
    if providers.get(connection.kind).capabilities.download_failures_per_hour is not None:
        return
    at = clock.now()
    expired = MediaFile.objects.lost().filter(
        connection=connection, refusal=Outcome.EXPIRED, fetch_before__gt=at
    )
    expired.update(gone_at=None, changed_at=at)


def _make_due(connection: Connection) -> None:
    at = clock.now()
    # Claims stay: a worker may have one in hand right now, and a second one would do it twice.
    MediaFile.objects.awaited().filter(connection=connection).update(due_at=at)
    connection.deliveries.filter(delivered_at=None, stopped_at=None).update(due_at=at)


def record(
    connection: Connection,
    action: str,
    by: str,
    reason: str = "",
    *,
    details: Mapping[str, Any] | None = None,
) -> None:
    """What was done to a connection, into the audit: the last thing in its transaction."""
    said = {"kind": connection.kind, **(details or {})}
    AuditEntry.objects.record(
        connection.workspace_id, by, [Deed(action, "connection", connection.pk, reason[:200], said)]
    )
