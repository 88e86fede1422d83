"""Who looks at which record: from what a CRM proved to a session without cookies, short, and for this panel alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from secrets import token_urlsafe
from typing import Final

from django.db import IntegrityError, transaction
from django.http import HttpRequest

from acervo.base import clock
from acervo.base.errors import Refused
from acervo.base.tokens import digest
from acervo.crms import embedding
from acervo.crms.embedding import RECORD_ID, Opening
from acervo.models import AuditEntry, Connection, Deed, EmbedAgent, EmbedKey, EmbedSession
from acervo.models.embed import CODE_LIVES, ENDS_AFTER, RESTS_AFTER

SCHEME: Final = "Bearer "
_TOKEN_BYTES: Final = 32
_RENEWED_BELOW: Final = RESTS_AFTER / 2
_KEY_NOTED_AFTER: Final = timedelta(minutes=1)


class Replayed(Refused):
    """What the CRM signed has opened a panel already."""

    code = "embed_replayed"


class UnknownRecord(Refused):
    """This is no kind of record that files are tied to."""

    code = "embed_unknown_record"


class Unreadable(Refused):
    """The request names no user, or no record."""

    code = "embed_unreadable"


def open_page(connection: Connection, opening: Opening) -> tuple[EmbedSession, str]:
    """A session that begins with this very answer, and its token. Raises Replayed, UnknownRecord and Unreadable."""
    token = token_urlsafe(_TOKEN_BYTES)
    at = clock.now()
    with transaction.atomic():
        session = _made(connection, opening, at, at + RESTS_AFTER, opened_at=at, token_sha256=digest(token))
        _record(session)
    return session, token


def make_code(connection: Connection, opening: Opening) -> tuple[EmbedSession, str]:
    """A session that is yet to be opened, and what opens it, once and within a minute. Raises Replayed, UnknownRecord and Unreadable."""
    code = token_urlsafe(_TOKEN_BYTES)
    at = clock.now()
    with transaction.atomic():
        session = _made(connection, opening, at, at + CODE_LIVES, code_sha256=digest(code))
    return session, code


def open_code(code: str) -> tuple[EmbedSession, str] | None:
    """None for one that was used, is over, or never was: nothing tells them apart."""
    token = token_urlsafe(_TOKEN_BYTES)
    at = clock.now()
    with transaction.atomic():
        found = EmbedSession.objects.to_open(code, at)
        session = found.with_whom().select_for_update(of=("self",), no_key=True).first()
        if session is None:
            return None
        session.opened_at, session.expires_at, session.token_sha256 = at, at + RESTS_AFTER, digest(token)
        session.save(update_fields=["opened_at", "expires_at", "token_sha256"])
        _record(session)
    return session, token


def of_request(request: HttpRequest) -> EmbedSession | None:
    """The live session whose token the page sends along; being used keeps it alive."""
    given = request.headers.get("Authorization", "")
    if not given.startswith(SCHEME):
        return None
    at = clock.now()
    live = EmbedSession.objects.live(at).of_token(given.removeprefix(SCHEME))
    session = live.with_whom().first()
    if session and session.expires_at - at < _RENEWED_BELOW:
        session.expires_at = min(at + RESTS_AFTER, session.ends_at)
        session.save(update_fields=["expires_at"])
    return session


def key_of_request(request: HttpRequest, connection: Connection) -> EmbedKey | None:
    """The good key of this connection that code inside the CRM shows."""
    given = request.headers.get("Authorization", "")
    if not given.startswith(SCHEME):
        return None
    good = EmbedKey.objects.good().filter(connection=connection)
    key = good.of_token(given.removeprefix(SCHEME).strip()).first()
    at = clock.now()
    if key and (key.used_at is None or at - key.used_at > _KEY_NOTED_AFTER):
        EmbedKey.objects.filter(pk=key.pk).update(used_at=at)
    return key


def _made(
    connection: Connection, opening: Opening, at: datetime, expires_at: datetime, **facts: object
) -> EmbedSession:
    object_type, record_id = _record_of(connection, opening)
    if not opening.agent_id.isprintable() or not 0 < len(opening.agent_id) <= 128:
        raise Unreadable()
    try:
        with transaction.atomic():
            return EmbedSession.objects.create(
                workspace=connection.workspace,
                connection=connection,
                agent=_agent(connection, opening, at),
                object_type=object_type,
                record_id=record_id,
                proof_sha256=digest(opening.proof) if opening.proof else None,
                made_at=at,
                expires_at=expires_at,
                ends_at=at + ENDS_AFTER,
                **facts,
            )
    except IntegrityError as error:
        if "embed_proof_counts_once" in str(error):
            raise Replayed() from error
        raise


def _record_of(connection: Connection, opening: Opening) -> tuple[str, str]:
    known = embedding.find(connection.kind)
    if known is None or (known.opens == "page" and not opening.record_id):
        return "", ""
    object_type = known.object_types.get(opening.object_name)
    if object_type is None:
        raise UnknownRecord()
    if not RECORD_ID.fullmatch(opening.record_id):
        raise Unreadable()
    return object_type, opening.record_id


def _agent(connection: Connection, opening: Opening, at: datetime) -> EmbedAgent:
    told = {"email": _shown(opening.email)[:254], "name": _shown(opening.name)[:200]}
    agent, _ = EmbedAgent.objects.update_or_create(
        connection=connection,
        agent_id=opening.agent_id,
        defaults={"seen_at": at, **told},
        create_defaults={"workspace": connection.workspace, "seen_at": at, **told},
    )
    return agent


def _shown(told: str) -> str:
    """Empty for what cannot be shown, nor kept by a database."""
    return told if told.isprintable() else ""


def _record(session: EmbedSession) -> None:
    """Who opened the panel, and on which record; what is played in it is written with each file."""
    details = {
        "agent": session.agent.agent_id,
        "object_type": session.object_type,
        "record": session.record_id,
    }
    deed = Deed("embed.opened", "connection", session.connection_id, "", details)
    AuditEntry.objects.record(session.workspace_id, session.agent.author, [deed])
