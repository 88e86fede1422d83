"""From receipts to rows: drains the journal in batches, reads every part, writes each fact exactly once."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Func, IntegerField

from acervo.base import clock
from acervo.base.sealed import SealedElsewhere
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, Deed, Receipt
from acervo.providers.contract import (
    AccountEvent,
    Announcement,
    Direction,
    IdentityChange,
    Provider,
    Reading,
    Revocation,
    StatusUpdate,
    Unread,
    UnreadableWebhook,
    Webhook,
)
from acervo.providers.sending import LONGEST_BUTTON
from acervo.receive import probed, reported, taken_back
from acervo.receive.announced import Announced, write
from acervo.receive.people import Nobody, Register, keys
from acervo.receive.reported import Report
from acervo.receive.withdrawn import REVOKED, Withdrawal, withdraw

log = logging.getLogger(__name__)

BATCH = 200
BATCH_BYTES = 8 * 1024 * 1024
"""Of bodies read at once: a history webhook has up to 3 MB, and grows tenfold when parsed."""
LATER = (OperationalError, InterfaceError)
"""The database is away, or two readers met crosswise: the same batch is read again, nothing is wrong with it."""


@dataclass(slots=True)
class Drained:
    """What one transaction of reading brought."""

    receipts: int = 0
    new_files: list[UUID] = field(default_factory=list)
    """Announced for the first time and not lost already: their journey begins."""
    withdrawn: list[UUID] = field(default_factory=list)
    """Taken back by their senders, to be hidden or erased everywhere."""


@dataclass(slots=True)
class Heard:
    """What a batch said about messages of ours, for those who sent them."""

    statuses: list[tuple[Connection, StatusUpdate]] = field(default_factory=list)
    pressed: list[tuple[UUID, str]] = field(default_factory=list)
    """Inbound messages that may be pressed buttons, by connection and the provider's id."""


Listen = Callable[[Heard], Mapping[UUID, list[Deed]]]
"""Called inside the transaction, once the batch's messages are written; what it did, by workspace."""


def nobody_listens(heard: Heard) -> Mapping[UUID, list[Deed]]:
    return {}


@dataclass(slots=True)
class _Batch:
    """What the receipts of one workspace said, sorted by what has to be done about it."""

    workspace_id: UUID
    announced: list[Announced] = field(default_factory=list)
    identity_changes: list[IdentityChange] = field(default_factory=list)
    withdrawals: list[Withdrawal] = field(default_factory=list)
    heard: Heard = field(default_factory=Heard)
    reports: list[Report] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)


def drain(limit: int = BATCH, *, listen: Listen = nobody_listens) -> Drained:
    """Read the oldest waiting receipts that no other reader holds. Must run inside a transaction:
    the caller goes on with `new_files` and `withdrawn` in the same one."""
    receipts = _take(limit)
    if not receipts:
        return Drained()
    try:
        with transaction.atomic():
            return _read_all(receipts, listen)
    except LATER:
        raise
    except Exception as error:  # noqa: BLE001  (whatever it is, it must not keep the others waiting for ever)
        log.warning(
            "receipts.batch_refused", extra={"receipts": len(receipts), "reason": type(error).__name__}
        )
        return _read_singly(receipts, listen)


def write_reading(connection: Connection, reading: Reading, listen: Listen = nobody_listens) -> Drained:
    """Facts that came by no webhook, such as a provider's own list. What was told before changes nothing. Must run inside
    a transaction, as `drain`."""
    batch = _Batch(connection.workspace_id)
    source = Receipt(id=None, received_at=clock.now())
    unread = [*reading.unread, *_sort_events(source, connection, reading, _Adapters(), batch)]
    drained = Drained()
    _write(batch, defaultdict(list), drained)
    deeds = batch.deeds + list(listen(batch.heard).get(connection.workspace_id, ()))
    if deeds:
        AuditEntry.objects.record(connection.workspace_id, by="system:reader", deeds=deeds)
    if unread:
        log.warning("reading.unread", extra={"connection": str(connection.pk), "parts": len(unread)})
    return drained


def _take(limit: int) -> list[Receipt]:
    """Locked, oldest first, at most BATCH_BYTES of bodies but always one."""
    size = Func(F("body"), function="octet_length", output_field=IntegerField())
    waiting = Receipt.objects.waiting().select_for_update(skip_locked=True).order_by("id")
    chosen: list[UUID] = []
    total_bytes = 0
    for pk, body_bytes in waiting.annotate(body_bytes=size).values_list("pk", "body_bytes")[:limit]:
        total_bytes += body_bytes
        if chosen and total_bytes > BATCH_BYTES:
            break
        chosen.append(pk)
    return list(Receipt.objects.filter(pk__in=chosen).order_by("id")) if chosen else []


def _read_singly(receipts: list[Receipt], listen: Listen) -> Drained:
    """A batch fails as a whole: find the receipt that spoils it, list it as unread, let its neighbours through."""
    total = Drained()
    for receipt in receipts:
        try:
            with transaction.atomic():
                one = _read_all([receipt], listen)
        except LATER:
            raise
        except Exception as error:
            log.exception("receipt.not_written", extra={"receipt": str(receipt.pk)})
            reason = f"could not be written down ({type(error).__name__})"
            _mark_read([receipt], {receipt.pk: [Unread("", "receipt", reason)]})
            one = Drained(receipts=1)
        total.receipts += one.receipts
        total.new_files += one.new_files
        total.withdrawn += one.withdrawn
    return total


def _read_all(receipts: list[Receipt], listen: Listen) -> Drained:
    adapters = _Adapters()
    count = len(receipts)
    receipts = probed.set_aside(receipts, adapters.connection, adapters.provider)
    batches: dict[UUID, _Batch] = {}
    unread: dict[UUID | None, list[Unread]] = {}
    for receipt in receipts:
        batch = batches.setdefault(receipt.workspace_id, _Batch(receipt.workspace_id))
        unread[receipt.pk] = _sort(receipt, adapters, batch)
    drained = Drained(count)
    heard = Heard()
    deeds: dict[UUID, list[Deed]] = {}
    for workspace_id, batch in sorted(batches.items()):
        _write(batch, unread, drained)
        deeds[workspace_id] = batch.deeds
        heard.statuses += batch.heard.statuses
        heard.pressed += batch.heard.pressed
    for workspace_id, done in listen(heard).items():
        deeds.setdefault(workspace_id, []).extend(done)
    _mark_read(receipts, unread)
    _touch(receipts)
    for workspace_id, done in sorted(deeds.items()):
        if done:
            AuditEntry.objects.record(workspace_id, by="system:reader", deeds=done)
    return drained


class _Adapters:
    """Connections and their adapters, looked up once per batch."""

    def __init__(self) -> None:
        self._connections: dict[UUID, Connection] = {}
        self._providers: dict[UUID, Provider] = {}
        self._accounts: dict[tuple[UUID, str, str], Connection | None] = {}

    def connection(self, receipt: Receipt) -> Connection:
        pk = receipt.connection_id
        if pk not in self._connections:
            self._connections[pk] = Connection.objects.get(pk=pk)
        return self._connections[pk]

    def provider(self, connection: Connection) -> Provider:
        if connection.pk not in self._providers:
            self._providers[connection.pk] = credentials.provider(connection)
        return self._providers[connection.pk]

    def account(self, connection: Connection, account_id: str) -> Connection | None:
        """The connection of an account named in a payload: always of the same workspace and provider."""
        key = (connection.workspace_id, connection.kind, account_id)
        if key not in self._accounts:
            self._accounts[key] = Connection.objects.filter(
                workspace=connection.workspace_id,
                kind=connection.kind,
                account_id=account_id,
                removed_at=None,
            ).first()
        return self._accounts[key]


def _sort(receipt: Receipt, adapters: _Adapters, batch: _Batch) -> list[Unread]:
    """Put each event of a receipt where it belongs; what cannot be read is returned, never dropped."""
    connection = adapters.connection(receipt)
    try:
        reading = adapters.provider(connection).read(
            Webhook("POST", receipt.headers, bytes(receipt.body), received_at=receipt.received_at)
        )
    except UnreadableWebhook as error:
        return [Unread("", "webhook", str(error))]
    except SealedElsewhere:
        return [Unread("", "webhook", "the connection's secrets do not open")]
    except Exception as error:  # a fault of our parser costs one receipt, is seen, and can be replayed
        log.exception("receipt.parser_failed", extra={"receipt": str(receipt.pk)})
        return [Unread("", "webhook", f"our parser failed ({type(error).__name__})")]
    return list(reading.unread) + _sort_events(receipt, connection, reading, adapters, batch)


def _sort_events(
    receipt: Receipt, connection: Connection, reading: Reading, adapters: _Adapters, batch: _Batch
) -> list[Unread]:
    unread: list[Unread] = []
    capabilities = adapters.provider(connection).capabilities
    for event in reading.events:
        if isinstance(event, AccountEvent):
            about = adapters.account(connection, event.account_id) if event.account_id else None
            batch.reports.append(Report(receipt.pk, about or connection, event, receipt.received_at))
            continue
        if isinstance(event, IdentityChange):
            batch.identity_changes.append(event)
            continue
        account = adapters.account(connection, event.account_id or "")
        if account is None:
            if not isinstance(event, StatusUpdate):
                unread.append(Unread("", "message", "unknown_account"))
        elif isinstance(event, StatusUpdate):
            batch.heard.statuses.append((account, event))
        elif isinstance(event, Announcement):
            if keys(event.sender):
                batch.announced.append(
                    Announced(receipt.pk, account, capabilities, event, receipt.received_at)
                )
                if may_be_pressed(event):
                    batch.heard.pressed.append((account.pk, event.message_id[:256]))
            else:
                unread.append(Unread("", event.type, "no sender"))
        elif isinstance(event, Revocation):
            item = Withdrawal(receipt.pk, account, capabilities, event, receipt.received_at)
            batch.withdrawals.append(item)
            if (heard_of := item.heard_of()) is not None:
                batch.announced.append(heard_of)
    return unread


def may_be_pressed(event: Announcement) -> bool:
    """A button of ours, or nothing but its label: cheap, and asked of everything that comes in."""
    is_short = event.text is not None and len(event.text) <= LONGEST_BUTTON and not event.files
    return event.direction is Direction.INBOUND and (is_short or bool(event.extra.get("button")))


def _write(batch: _Batch, unread: dict[UUID | None, list[Unread]], drained: Drained) -> None:
    changes = batch.identity_changes
    register = Register.load(
        batch.workspace_id,
        [item.event.sender for item in batch.announced] + [i for c in changes for i in (c.before, c.after)],
    )
    people = {item: register.person_of(item.event.sender) for item in batch.announced}
    for change in changes:
        try:
            register.same(change.before, change.after)
        except Nobody:
            log.info("identity.change_without_identifiers")
    batch.deeds += register.save()
    new_files = write(
        batch.workspace_id, [(item, register.survivor(people[item])) for item in batch.announced]
    )
    batch.deeds += reported.write(batch.reports)
    deeds, unknown = withdraw(batch.withdrawals)
    batch.deeds += deeds
    for item in unknown:  # it stays on its receipt, and can be read again once the message is here
        unread[item.receipt_id].append(Unread("", "withdrawal", "its message is not known yet"))
    revoked = [deed.subject_id for deed in deeds if deed.action == REVOKED and deed.subject_id]
    obeyed = taken_back.obey(revoked, new_files)
    batch.deeds += obeyed.deeds
    drained.withdrawn += obeyed.files
    drained.new_files += [media for media in new_files if media not in obeyed.gone]


def _mark_read(receipts: list[Receipt], unread: dict[UUID | None, list[Unread]]) -> None:
    at = clock.now()
    whole = [receipt.pk for receipt in receipts if not unread.get(receipt.pk)]
    Receipt.objects.filter(pk__in=whole).update(read_at=at, unread=[])
    for receipt in receipts:
        if parts := unread.get(receipt.pk):
            listed = [
                {"pointer": part.pointer, "type": part.type[:64], "reason": part.reason[:200]}
                for part in parts
            ]
            Receipt.objects.filter(pk=receipt.pk).update(read_at=at, unread=listed)


def _touch(receipts: list[Receipt]) -> None:
    latest: dict[UUID, Any] = defaultdict(lambda: None)
    for receipt in receipts:
        known = latest[receipt.connection_id]
        latest[receipt.connection_id] = max(known, receipt.received_at) if known else receipt.received_at
    for pk, at in sorted(latest.items()):
        Connection.objects.filter(pk=pk).exclude(last_event_at__gte=at).update(last_event_at=at)
