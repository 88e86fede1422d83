"""Our webhook address told to the provider by its own API, where it has one, so that nobody has to paste it."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

from acervo import providers
from acervo.base.database import in_thread
from acervo.base.errors import AcervoError, Refused
from acervo.base.http import media_session
from acervo.govern import connections
from acervo.keep import credentials
from acervo.models import Connection
from acervo.providers.contract import Outcome, ProviderBusy
from acervo.providers.recovery import Registers, Unregisters

PATIENCE_S: Final = 20.0
DOORS_REMEMBER_S: Final = 6.0
"""Longer than a door goes by what it knew (`hooks.doors`)."""


class MustBePasted(Refused):
    """This provider takes no address through its API: paste it on its pages."""

    code = "must_be_pasted"


async def register(connection: Connection, by: str) -> None:
    """From now on the provider knocks at our address. Safe to repeat. Raises MustBePasted, and what the provider's
    refusal means: AccessLost, ProviderBusy."""
    adapter, url = await in_thread(_opened, connection)
    if not isinstance(adapter, Registers):
        raise MustBePasted()
    async with media_session(settings.ACERVO_ALLOW_PRIVATE_HOSTS, limit=1) as session:
        await adapter.register(session, url)
    await in_thread(connections.record, connection, "connection.registered", by)


def can_renew(kind: str) -> bool:
    """Whether there are secrets that we made up and the provider learns from us alone."""
    adapter = providers.get(kind)
    is_told = issubclass(adapter, Registers)
    return is_told and bool(adapter.capabilities.own_secrets) and not adapter.capabilities.has_handshake


async def renew(connection: Connection, by: str) -> None:
    """New values for the secrets that we made up. Both count at every door before the provider learns the new ones, and
    the old ones are current again if it does not take them. Raises as `register` does."""
    await in_thread(connections.replace_own, connection, by)
    await asyncio.sleep(DOORS_REMEMBER_S)
    try:
        await register(connection, by)
    except AcervoError:
        await in_thread(connections.put_own_back, connection)
        raise


def can_unregister(kind: str) -> bool:
    return issubclass(providers.get(kind), Unregisters)


async def unregister(connection: Connection, by: str) -> None:
    """The provider knocks at our address no more. Safe to repeat. Raises as `register` does."""
    adapter, url = await in_thread(_opened, connection)
    if not isinstance(adapter, Unregisters):
        raise MustBePasted()
    try:
        async with (
            asyncio.timeout(PATIENCE_S),
            media_session(settings.ACERVO_ALLOW_PRIVATE_HOSTS, limit=1) as session,
        ):
            await adapter.unregister(session, url)
    except TimeoutError as error:
        raise ProviderBusy(code=Outcome.TIMED_OUT) from error
    await in_thread(connections.record, connection, "connection.unregistered", by)


async def is_registered(connection: Connection) -> bool:
    """Whether the provider knocks at our address now. Raises as `register` does."""
    adapter, url = await in_thread(_opened, connection)
    if not isinstance(adapter, Registers):
        raise MustBePasted()
    async with media_session(settings.ACERVO_ALLOW_PRIVATE_HOSTS, limit=1) as session:
        return await adapter.registered(session) == url


async def elsewhere(connection: Connection) -> str:
    """The host of another address at which the provider knocks now, without the rest: an address may hold a secret.
    Empty when it is ours or there is none. Raises as `register` does."""
    adapter, url = await in_thread(_opened, connection)
    if not isinstance(adapter, Registers):
        raise MustBePasted()
    async with media_session(settings.ACERVO_ALLOW_PRIVATE_HOSTS, limit=1) as session:
        there = await adapter.registered(session)
    return (urlsplit(there).hostname or "") if there and there != url else ""


def _opened(connection: Connection) -> tuple[object, str]:
    return credentials.provider(connection), connections.webhook_url(connection)
