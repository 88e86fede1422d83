"""A CRM account by what a person gave for it: asked whose it is before anything is kept. Pages and commands alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
from asgiref.sync import async_to_sync
from django.conf import settings

from acervo import crms
from acervo.base.errors import Refused
from acervo.base.http import crm_client
from acervo.crms.asked import Access, Asked, Given, Unfit
from acervo.crms.contract import AccountInfo, CrmError, CrmErrorKind
from acervo.govern import connections
from acervo.keep import credentials
from acervo.models import Connection, Workspace

PATIENCE_S: Final = 25.0
"""A person waits for the answer."""


class AnotherAccount(Refused):
    """These secrets belong to another account than this connection's. Connect that one by itself."""

    code = "another_account"


@dataclass(frozen=True, slots=True)
class Known:
    """An access that works, and whose account it is."""

    kind: str
    access: Access
    account: AccountInfo


def asks(kind: str) -> tuple[Asked, ...]:
    """Empty for a CRM that nobody connects by hand."""
    adapter: Any = crms.get(kind)
    found: tuple[Asked, ...] = getattr(adapter, "asks", ())
    return found


def offers(kind: str) -> dict[str, str]:
    """New values for the secrets that we make up, by name: for somebody to take, kept nowhere."""
    return {one.name: one.offer() for one in asks(kind) if one.offer}


def tried(kind: str, values: Mapping[str, str], api_base: str | None) -> Known:
    """What the CRM says to it. Raises PrivateHost, Unfit and CrmError; nothing is kept."""
    if api_base:
        connections.refuse_private(api_base)
    address = settings.ACERVO_BASE_URL
    given = Given(values, api_base, address if address.startswith("https://") else None)
    return async_to_sync(_tried)(kind, given)


async def _tried(kind: str, given: Given) -> Known:
    adapter: Any = crms.get(kind)
    async with waited_for() as http:
        access: Access = await adapter.access(given, http)
        if access.api_base:  # it may be made of what was typed
            connections.refuse_private(access.api_base)
        account: AccountInfo = await adapter(access.credentials(), http).check()
    refuse = getattr(adapter, "refuse", None)
    if refuse:
        refuse(account)
    return Known(kind, access, account)


def connect(
    workspace: Workspace, known: Known, *, name: str, by: str, options: Mapping[str, Any] | None = None
) -> Connection:
    """Raises AlreadyConnected and PrivateHost."""
    return connections.connect(
        workspace,
        kind=known.kind,
        name=name,
        account_id=known.account.account_id,
        secrets=known.access.secrets,
        options={**known.access.options, **(options or {})},
        api_base=known.access.api_base,
        by=by,
    )


def refuse_others(connection: Connection, secrets: Mapping[str, str]) -> None:
    """New secrets for a connection are asked whose they are before they replace what works. Raises CrmError, and
    AnotherAccount."""
    new = {name: one for name, one in secrets.items() if one}
    old = credentials.open_secrets(connection)
    beside = {f"{name}{credentials.PREVIOUS}": old[name] for name in new if name in old}
    access = Access({**old, **beside, **new}, connection.options, connection.api_base)
    account = async_to_sync(_account)(connection.kind, access)
    if account.account_id != connection.account_id:
        raise AnotherAccount()


async def _account(kind: str, access: Access) -> AccountInfo:
    async with waited_for() as http:
        return await crms.get(kind)(access.credentials(), http).check()


@asynccontextmanager
async def waited_for() -> AsyncIterator[httpx.AsyncClient]:
    """To ask a CRM while a person waits. Raises CrmError UNAVAILABLE once that takes too long."""
    async with crm_client(settings.ACERVO_ALLOW_PRIVATE_HOSTS, timeout_s=PATIENCE_S) as http:
        try:
            async with asyncio.timeout(PATIENCE_S):
                yield http
        except (TimeoutError, httpx.HTTPError) as error:
            raise CrmError(CrmErrorKind.UNAVAILABLE, "no answer in time") from error


__all__ = [
    "AnotherAccount",
    "Known",
    "Unfit",
    "asks",
    "connect",
    "offers",
    "refuse_others",
    "tried",
    "waited_for",
]
