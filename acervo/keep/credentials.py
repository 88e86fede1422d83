"""Secrets of connections and engines: sealed in the row, opened only to build the adapter that needs them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings

from acervo import crms, providers, transcribers
from acervo.base import sealed
from acervo.crms.contract import Connector, CrmCredentials
from acervo.models import Connection, Transcriber
from acervo.providers.contract import Credentials, Provider
from acervo.transcribers.contract import Engine, EngineSettings, Surroundings

if TYPE_CHECKING:
    import httpx


def seal_secrets(connection_id: UUID, secrets: Mapping[str, str]) -> bytes:
    """Bound to the connection: copied to another row they do not open."""
    return sealed.seal(_master_key(), json.dumps(dict(secrets)).encode(), _bond(connection_id))


def open_secrets(connection: Connection) -> dict[str, str]:
    """Raises `sealed.SealedElsewhere` when the master key is another one or the row was tampered with."""
    raw = sealed.unseal(_master_key(), bytes(connection.sealed_secrets), _bond(connection.pk))
    opened: dict[str, str] = json.loads(raw)
    return opened


def provider(connection: Connection) -> Provider:
    """The adapter of a WhatsApp account."""
    return providers.get(connection.kind)(
        Credentials(
            account_id=connection.account_id,
            secrets=open_secrets(connection),
            options=connection.options,
            api_base=connection.api_base,
            allowed_hosts=_named_hosts(connection.api_base),
        )
    )


def connector(connection: Connection, http: httpx.AsyncClient) -> Connector:
    """The adapter of a CRM account, riding on the caller's HTTP client."""
    return crms.get(connection.kind)(
        CrmCredentials(
            secrets=open_secrets(connection), options=connection.options, api_base=connection.api_base
        ),
        http,
    )


def seal_engine_secrets(workspace_id: UUID, secrets: Mapping[str, str]) -> bytes:
    """Bound to the workspace, as above to the connection."""
    return sealed.seal(_master_key(), json.dumps(dict(secrets)).encode(), _engine_bond(workspace_id))


def open_engine_secrets(transcriber: Transcriber) -> dict[str, str]:
    """Empty for an engine without any. Raises `sealed.SealedElsewhere`, as above."""
    if transcriber.sealed_secrets is None:
        return {}
    bond = _engine_bond(transcriber.workspace_id)
    raw = sealed.unseal(_master_key(), bytes(transcriber.sealed_secrets), bond)
    opened: dict[str, str] = json.loads(raw)
    return opened


def engine(transcriber: Transcriber, surroundings: Surroundings) -> Engine:
    """The engine a workspace lets listen."""
    settings = EngineSettings(
        model=transcriber.model, api_base=transcriber.api_base, secrets=open_engine_secrets(transcriber)
    )
    return transcribers.get(transcriber.engine)(settings, surroundings)


def _master_key() -> sealed.NamedKey:
    return sealed.NamedKey(settings.ACERVO_MASTER_KEY_ID, settings.ACERVO_MASTER_KEY)


def _named_hosts(api_base: str | None) -> tuple[str, ...]:
    host = urlsplit(api_base).hostname if api_base else None
    return (host,) if host else ()


def _bond(connection_id: UUID) -> bytes:
    return f"connection/{connection_id}".encode()


def _engine_bond(workspace_id: UUID) -> bytes:
    return f"transcriber/{workspace_id}".encode()
