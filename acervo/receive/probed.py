"""Webhooks we sent ourselves to try the way in: recognised by their id, noted, and gone, so that nothing counts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

from django.db import connection as database

from acervo.base import ids
from acervo.base.sealed import SealedElsewhere
from acervo.models import Connection, Probe, Receipt
from acervo.providers.contract import Provider, Webhook
from acervo.providers.probing import MARK, Probes

LARGEST_BODY = 1024
"""Bytes. Ours are a tenth of it; nothing larger is looked into."""
CLOCKS_DIFFER = timedelta(minutes=1)
"""Who asks and who writes receipts may be two machines."""

FIND = """
SELECT received_at FROM acervo_receipt
WHERE connection_id = %s AND received_at >= %s AND octet_length(body) <= %s AND position(%s::bytea IN body) > 0 LIMIT 1
"""

ProviderOf = Callable[[Connection], Provider]
ConnectionOf = Callable[[Receipt], Connection]


def set_aside(
    receipts: Sequence[Receipt], connection_of: ConnectionOf, provider_of: ProviderOf
) -> list[Receipt]:
    """The receipts that are no probes of ours. Of those that are, the probe knows when it arrived and the receipt is
    deleted. Inside the caller's transaction, which holds the receipts."""
    named = {
        receipt: probe
        for receipt in receipts
        if len(receipt.body) <= LARGEST_BODY
        and MARK in bytes(receipt.body)
        and (probe := _probe_named_in(receipt, connection_of, provider_of))
    }
    if not named:
        return list(receipts)
    # An id that we never gave out for this number is a stranger's, whatever it is called.
    ours = set(Probe.objects.filter(pk__in=named.values()).values_list("pk", "connection"))
    arrived = {receipt: pk for receipt, pk in named.items() if (pk, receipt.connection_id) in ours}
    for receipt, pk in arrived.items():
        Probe.objects.filter(pk=pk, journalled_at=None).update(journalled_at=receipt.received_at)
    Receipt.objects.filter(pk__in=[receipt.pk for receipt in arrived]).delete()
    return [receipt for receipt in receipts if receipt not in arrived]


def has_arrived(probe: Probe) -> bool:
    """Whether the journal has, or had, the webhook of this probe; the probe then knows when it arrived."""
    if _is_noted(probe):
        return True
    since = probe.asked_at - CLOCKS_DIFFER
    with database.cursor() as cursor:
        mark = ids.text(probe.pk).encode()
        cursor.execute(FIND, [probe.connection_id, since, LARGEST_BODY, mark])
        found = cursor.fetchone()
    if found:
        Probe.objects.filter(pk=probe.pk, journalled_at=None).update(journalled_at=found[0])
    return _is_noted(probe)  # a reader may have taken the receipt in between


def _is_noted(probe: Probe) -> bool:
    probe.refresh_from_db(fields=["journalled_at"])
    return probe.journalled_at is not None


def _probe_named_in(receipt: Receipt, connection_of: ConnectionOf, provider_of: ProviderOf) -> UUID | None:
    try:
        provider = provider_of(connection_of(receipt))
    except SealedElsewhere:
        return None
    if not isinstance(provider, Probes):
        return None
    try:
        return ids.parse(provider.probed(Webhook("POST", receipt.headers, bytes(receipt.body))) or "")
    except ValueError:
        return None
