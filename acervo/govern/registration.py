"""Our webhook address told to the provider by its own API, where it has one, so that nobody has to paste it."""

from __future__ import annotations

from django.conf import settings

from acervo.base.database import in_thread
from acervo.base.errors import Refused
from acervo.base.http import media_session
from acervo.govern import connections
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, Deed
from acervo.providers.recovery import Registers


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
    await in_thread(_record, connection, by)


async def is_registered(connection: Connection) -> bool:
    """Whether the provider knocks at our address now. Raises as `register` does."""
    adapter, url = await in_thread(_opened, connection)
    if not isinstance(adapter, Registers):
        raise MustBePasted()
    async with media_session(settings.ACERVO_ALLOW_PRIVATE_HOSTS, limit=1) as session:
        return await adapter.registered(session) == url


def _opened(connection: Connection) -> tuple[object, str]:
    return credentials.provider(connection), connections.webhook_url(connection)


def _record(connection: Connection, by: str) -> None:
    deed = Deed("connection.registered", "connection", connection.pk, "", {"kind": connection.kind})
    AuditEntry.objects.record(connection.workspace_id, by, [deed])
