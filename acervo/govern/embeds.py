"""Our panel inside a CRM: turned on and off, whom it trusts, which pages may frame it, and the keys that open it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_urlsafe
from typing import Any, Final
from urllib.parse import urlsplit

from django.db import transaction

from acervo.base import clock, ids
from acervo.base.errors import Refused
from acervo.base.http import is_public_address
from acervo.base.tokens import digest
from acervo.crms import embedding
from acervo.crms.embedding import Trust
from acervo.keep import credentials
from acervo.models import AuditEntry, Connection, Deed, Embed, EmbedKey, EmbedSession, ShownTo

KEY_PREFIX: Final = "emb_"
MOST_KEYS: Final = 2
MOST_ORIGINS: Final = 10
SESSIONS_KEPT: Final = timedelta(days=30)
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]{1,5})?")
_APP_ID: Final = re.compile(r"[A-Za-z0-9_-]{0,64}")
_KEY_BYTES: Final = 32


class NoPanelHere(Refused):
    """This CRM shows no page of others."""

    code = "no_panel_here"


class NotAnOrigin(Refused):
    """A page is named as https:// and its host, without a path and without a star."""

    code = "not_an_origin"


class NotAPublicKey(Refused):
    """This is no RSA public key in PEM."""

    code = "not_a_public_key"


class NotAnAppId(Refused):
    """The number of an app has letters and digits only."""

    code = "not_an_app_id"


class TooManyKeys(Refused):
    """Two keys are good already: revoke the one that is no longer used."""

    code = "too_many_keys"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an administrator chose. An empty secret leaves the one there is."""

    shown_to: str
    more_origins: Sequence[str] = ()
    app_id: str = ""
    public_key: str = ""
    secret: str = field(default="", repr=False)


def of(connection: Connection) -> Embed:
    """As it is, or as it would be: not saved, where nobody touched it yet."""
    return Embed.objects.filter(connection=connection).first() or Embed(connection=connection)


def trust_of(connection: Connection, embed: Embed) -> Trust:
    return Trust(
        account_id=connection.account_id,
        options=connection.options,
        api_base=connection.api_base,
        app_id=embed.app_id,
        public_key=embed.public_key,
        secret=credentials.open_embed_secret(embed),
    )


def origins(connection: Connection, embed: Embed) -> tuple[str, ...]:
    """Every page that may frame the panel of this account, exactly; none for a CRM without one."""
    known = embedding.find(connection.kind)
    own = known.origins(trust_of(connection, embed)) if known else ()
    return tuple(dict.fromkeys([*own, *embed.more_origins]))


def turn_on(connection: Connection, by: str) -> None:
    """Raises NoPanelHere."""
    if embedding.find(connection.kind) is None:
        raise NoPanelHere()
    with transaction.atomic():
        embed = _locked(connection, by)
        if embed.turned_on_at:
            return
        _save(embed, by, turned_on_at=clock.now(), turned_on_by=by)
        _record(connection, "embed.turned_on", by)


def turn_off(connection: Connection, by: str) -> None:
    """Panels that are open end at once, and so do links they were given."""
    with transaction.atomic():
        embed = _locked(connection, by)
        if embed.turned_on_at is None:
            return
        _save(embed, by, turned_on_at=None, turned_on_by=None)
        _record(connection, "embed.turned_off", by)


def change(connection: Connection, wanted: Wanted, by: str) -> bool:
    """Whether that is a change. Raises NoPanelHere, NotAnOrigin, NotAPublicKey and NotAnAppId; then nothing is saved."""
    facts = _checked(connection, wanted)
    with transaction.atomic():
        embed = _locked(connection, by)
        changed = [name for name, value in facts.items() if getattr(embed, name) != value]
        if wanted.secret:
            facts["sealed_secret"] = credentials.seal_embed_secret(connection.pk, wanted.secret)
            changed.append("secret")
        if not changed:
            return False
        _save(embed, by, **facts)
        _record(connection, "embed.changed", by, {"changed": sorted(changed)})
    return True


def make_key(connection: Connection, by: str) -> str:
    """The key, which nobody can tell again. Raises TooManyKeys."""
    token = KEY_PREFIX + token_urlsafe(_KEY_BYTES)
    with transaction.atomic():
        _locked(connection, by)
        if EmbedKey.objects.good().filter(connection=connection).count() >= MOST_KEYS:
            raise TooManyKeys()
        key = EmbedKey.objects.create(connection=connection, token_sha256=digest(token), made_by=by)
        _record(connection, "embed.key_made", by, {"key": ids.text(key.pk)})
    return token


def revoke_key(key: EmbedKey, by: str) -> None:
    with transaction.atomic():
        found = EmbedKey.objects.good().filter(pk=key.pk)
        if found.update(revoked_at=clock.now(), revoked_by=by):
            _record(key.connection, "embed.key_revoked", by, {"key": ids.text(key.pk)})


def close(connection: Connection, at: datetime, by: str) -> None:
    """The connection goes: its panel is off, its keys are worth nothing, its secret is erased."""
    EmbedKey.objects.good().filter(connection=connection).update(revoked_at=at, revoked_by=by)
    Embed.objects.filter(connection=connection).update(
        turned_on_at=None, turned_on_by=None, sealed_secret=None, changed_at=at, changed_by=by
    )


def forget_ended() -> None:
    """A proof is too old to be shown again long before its session is forgotten."""
    EmbedSession.objects.filter(ends_at__lt=clock.now() - SESSIONS_KEPT).delete()


def _checked(connection: Connection, wanted: Wanted) -> dict[str, Any]:
    known = embedding.find(connection.kind)
    if known is None:
        raise NoPanelHere()
    if not _APP_ID.fullmatch(wanted.app_id.strip()):
        raise NotAnAppId()
    public_key = wanted.public_key.strip()
    if public_key and "public_key" in known.needs:
        _refuse_other_keys(public_key)
    return {
        "shown_to": wanted.shown_to if wanted.shown_to in ShownTo.values else ShownTo.AGENTS,
        "more_origins": [_origin(one) for one in wanted.more_origins][:MOST_ORIGINS],
        "app_id": wanted.app_id.strip(),
        "public_key": public_key,
    }


def _refuse_other_keys(pem: str) -> None:
    try:
        embedding.read_public_key(pem)
    except ValueError as error:
        raise NotAPublicKey() from error


def _origin(typed: str) -> str:
    """Plain http is for a page on a machine or network of one's own, where tests run."""
    origin = typed.strip().rstrip("/").lower()
    parts = urlsplit(origin)
    if not _ORIGIN.fullmatch(origin) or (
        parts.scheme == "http" and is_public_address(f"https://{parts.netloc}")
    ):
        raise NotAnOrigin()
    return origin


def _locked(connection: Connection, by: str) -> Embed:
    Embed.objects.get_or_create(connection=connection, defaults={"changed_by": by})
    return Embed.objects.select_for_update(no_key=True).get(connection=connection)


def _save(embed: Embed, by: str, **facts: Any) -> None:
    for name, value in facts.items():
        setattr(embed, name, value)
    embed.changed_by = by
    embed.save()


def _record(connection: Connection, action: str, by: str, details: Mapping[str, Any] | None = None) -> None:
    deed = Deed(action, "connection", connection.pk, "", {"kind": connection.kind, **(details or {})})
    AuditEntry.objects.record(connection.workspace_id, by, [deed])
