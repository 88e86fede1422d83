"""Secrets of connections, engines and hooks: sealed in the row, opened only to build the adapter that needs them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import transaction

from acervo import crms, providers, transcribers
from acervo.base import clock, sealed
from acervo.base.database import alone, in_thread
from acervo.crms.contract import Connector, CrmCredentials, CrmError, CrmErrorKind
from acervo.crms.tokens import AskForToken, KeptToken
from acervo.models import Connection, Embed, Setup, Subscription, Transcriber
from acervo.providers.contract import Credentials, Provider
from acervo.transcribers.contract import Engine, EngineSettings, Surroundings

if TYPE_CHECKING:
    import httpx

_TOKEN = "access token"  # noqa: S105  (a name beside the secrets; no adapter's secret has a space in its name)
_LOOK_AGAIN_S = 0.5
_LOOKS = 80
"""Forty seconds: longer than one question for a token may take."""


PREVIOUS = "_previous"
"""How the name of a secret ends that was replaced and still counts."""


def seal_secrets(connection_id: UUID, secrets: Mapping[str, str]) -> bytes:
    """Bound to the connection: copied to another row they do not open."""
    return _seal(connection_id, secrets)


def open_secrets(connection: Connection) -> dict[str, str]:
    """Raises `sealed.SealedElsewhere` when the master key is another one or the row was tampered with."""
    opened = _open(connection.pk, connection.sealed_secrets)
    opened.pop(_TOKEN, None)
    return opened


def seal_setup_secrets(setup_id: UUID, secrets: Mapping[str, str]) -> bytes:
    """Bound to the setup, as above to the connection."""
    return sealed.seal(_master_key(), json.dumps(dict(secrets)).encode(), _setup_bond(setup_id))


def open_setup_secrets(setup: Setup) -> dict[str, str]:
    """Empty where nothing was typed yet. Raises `sealed.SealedElsewhere`, as above."""
    if setup.sealed_secrets is None:
        return {}
    raw = sealed.unseal(_master_key(), bytes(setup.sealed_secrets), _setup_bond(setup.pk))
    opened: dict[str, str] = json.loads(raw)
    return opened


def provider(connection: Connection) -> Provider:
    """The adapter of a WhatsApp account. Secrets of before a change count until their time is over."""
    secrets = open_secrets(connection)
    if connection.previous_until and connection.previous_until <= clock.now():
        secrets = {name: value for name, value in secrets.items() if not name.endswith(PREVIOUS)}
    return provider_with(connection, secrets)


def provider_with(account: Connection | Setup, secrets: Mapping[str, str]) -> Provider:
    """The adapter of an account with secrets that are not in its row: to try them out."""
    return providers.get(account.kind)(
        Credentials(
            account_id=account.account_id,
            secrets=secrets,
            options=account.options,
            api_base=account.api_base,
            allowed_hosts=_named_hosts(account.api_base),
        )
    )


def connector(connection: Connection, http: httpx.AsyncClient) -> Connector:
    """The adapter of a CRM account, riding on the caller's HTTP client."""
    return crms.get(connection.kind)(
        CrmCredentials(
            secrets=open_secrets(connection),
            options=connection.options,
            api_base=connection.api_base,
            tokens=SharedToken(connection),
        ),
        http,
    )


class SharedToken:
    """The access token of a connection, sealed beside its secrets: one for all workers, and lost with the secrets
    that bought it when somebody connects anew."""

    def __init__(self, connection: Connection) -> None:
        self._pk = connection.pk
        self._secrets, self._kept = _opened(connection.pk, connection.sealed_secrets)

    async def get(self, ask: AskForToken, *, refused: str | None = None) -> str:
        """As `TokenKeeper` promises, across processes. Raises CrmError UNAVAILABLE when whoever asks takes too long."""
        return self._good(refused) or await self._replaced(ask, refused)

    async def _replaced(self, ask: AskForToken, refused: str | None) -> str:
        for _look in range(_LOOKS):
            # The claim spans a question to the CRM, so it is not a row's lock, which a transaction would hold.
            async with alone(f"acervo.access_token.{self._pk}") as is_ours:
                _, self._kept = await in_thread(self._read)
                if found := self._good(refused):
                    return found
                if is_ours:
                    token = await ask()
                    self._kept = KeptToken(token.value, token.good_until(clock.now().timestamp()))
                    await in_thread(self._store, self._kept)
                    return token.value
            await asyncio.sleep(_LOOK_AGAIN_S)
        raise CrmError(CrmErrorKind.UNAVAILABLE, "another worker is asking for access")

    def _good(self, refused: str | None) -> str | None:
        kept = self._kept
        return kept.value if kept and kept.is_good(clock.now().timestamp(), refused) else None

    def _read(self) -> tuple[dict[str, str], KeptToken | None]:
        return _opened(self._pk, Connection.objects.values_list("sealed_secrets", flat=True).get(pk=self._pk))

    def _store(self, token: KeptToken) -> None:
        """Unless the secrets were changed meanwhile: then this token is another account's, perhaps."""
        with transaction.atomic():
            row = Connection.objects.select_for_update().only("sealed_secrets").get(pk=self._pk)
            secrets, _ = _opened(row.pk, row.sealed_secrets)
            if secrets != self._secrets:
                return
            beside: dict[str, Any] = {**secrets, _TOKEN: [token.value, token.until]}
            row.sealed_secrets = _seal(row.pk, beside)
            row.save(update_fields=["sealed_secrets"])


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


def seal_embed_secret(connection_id: UUID, secret: str) -> bytes:
    """Bound to the panel of the connection, as above to the connection."""
    return sealed.seal(_master_key(), secret.encode(), _embed_bond(connection_id))


def open_embed_secret(embed: Embed) -> str:
    """Empty where there is none. Raises `sealed.SealedElsewhere`, as above."""
    if embed.sealed_secret is None:
        return ""
    bond = _embed_bond(embed.connection_id)
    return sealed.unseal(_master_key(), bytes(embed.sealed_secret), bond).decode()


def engine(transcriber: Transcriber, surroundings: Surroundings) -> Engine:
    """The engine a workspace lets listen."""
    settings = EngineSettings(
        model=transcriber.model, api_base=transcriber.api_base, secrets=open_engine_secrets(transcriber)
    )
    return transcribers.get(transcriber.engine)(settings, surroundings)


def seal_answer(answer_id: UUID, body: bytes) -> bytes:
    """An answer of the API that may be asked for again: it may hold a secret that is shown once."""
    return sealed.seal(_master_key(), body, _answer_bond(answer_id))


def open_answer(answer_id: UUID, sealed_body: bytes | memoryview) -> bytes:
    """Raises `sealed.SealedElsewhere`, as above."""
    return sealed.unseal(_master_key(), bytes(sealed_body), _answer_bond(answer_id))


def seal_hook_secrets(subscription_id: UUID, secret: str, previous: str = "") -> bytes:
    """Bound to the subscription, as above to the connection."""
    content = {"secret": secret, **({f"secret{PREVIOUS}": previous} if previous else {})}
    return sealed.seal(_master_key(), json.dumps(content).encode(), _hook_bond(subscription_id))


def open_hook_secrets(subscription: Subscription) -> list[str]:
    """Those that count now, the newest first. Raises `sealed.SealedElsewhere`, as above."""
    raw = sealed.unseal(_master_key(), bytes(subscription.sealed_secrets or b""), _hook_bond(subscription.pk))
    opened: dict[str, str] = json.loads(raw)
    is_over = subscription.previous_until is None or subscription.previous_until <= clock.now()
    return [secret for name, secret in opened.items() if not (is_over and name.endswith(PREVIOUS))]


def _seal(connection_id: UUID, content: Mapping[str, Any]) -> bytes:
    return sealed.seal(_master_key(), json.dumps(dict(content)).encode(), _bond(connection_id))


def _open(connection_id: UUID, sealed_secrets: bytes | memoryview) -> dict[str, Any]:
    opened: dict[str, Any] = json.loads(
        sealed.unseal(_master_key(), bytes(sealed_secrets), _bond(connection_id))
    )
    return opened


def _opened(
    connection_id: UUID, sealed_secrets: bytes | memoryview
) -> tuple[dict[str, str], KeptToken | None]:
    secrets = _open(connection_id, sealed_secrets)
    kept = secrets.pop(_TOKEN, None)
    return secrets, KeptToken(*kept) if kept else None


def _master_key() -> sealed.NamedKey:
    return sealed.NamedKey(settings.ACERVO_MASTER_KEY_ID, settings.ACERVO_MASTER_KEY)


def _named_hosts(api_base: str | None) -> tuple[str, ...]:
    host = urlsplit(api_base).hostname if api_base else None
    return (host,) if host else ()


def _bond(connection_id: UUID) -> bytes:
    return f"connection/{connection_id}".encode()


def _setup_bond(setup_id: UUID) -> bytes:
    return f"setup/{setup_id}".encode()


def _embed_bond(connection_id: UUID) -> bytes:
    return f"embed/{connection_id}".encode()


def _engine_bond(workspace_id: UUID) -> bytes:
    return f"transcriber/{workspace_id}".encode()


def _answer_bond(answer_id: UUID) -> bytes:
    return f"answer/{answer_id}".encode()


def _hook_bond(subscription_id: UUID) -> bytes:
    return f"subscription/{subscription_id}".encode()
