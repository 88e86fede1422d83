"""Short links to bytes for whoever sends no cookie: signed, soon over, and worth what their holder may see at that time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.core import signing

from acervo.base import clock, ids
from acervo.models import ApiToken, EmbedSession, MediaFile, Member, by_member
from acervo.play.holder import Holder

SALT: Final = "acervo.play.link"
LIVES_S: Final = 600
MOST_LIVES_S: Final = 3600

Resolve = Callable[[str], Holder | None]
"""From what stands behind the colon of a holder to who that is; None for one who has no rights any more."""


def mint(holder: Member | str, media: MediaFile, what: str, *, lives_s: int = LIVES_S) -> str:
    """The address of these bytes for this holder: a member, or `kind:id` of something else that `HOLDERS` knows."""
    if not 0 < lives_s <= MOST_LIVES_S:
        raise ValueError(f"A link lives between a second and {MOST_LIVES_S} seconds.")
    held_by = by_member(holder) if isinstance(holder, Member) else holder
    ends_at = int(clock.now().timestamp()) + lives_s
    key = _signer(media.slug, what).sign(f"{held_by}:{signing.b62_encode(ends_at)}")
    return f"/play/{media.slug}/{what}?key={key}"


def read(key: str, file: str, what: str) -> Holder | None:
    """Whose rights the key of this file and this kind has now. None for one that was tampered with, is over or was
    given for something else, and for a holder who has left. What the member may see is asked afterwards, as always."""
    try:
        signed = _signer(ids.text(ids.parse(file)), what).unsign(key)
        holder, _, ends_at = signed.rpartition(":")
        is_over = signing.b62_decode(ends_at) <= clock.now().timestamp()
    except (signing.BadSignature, ValueError):
        return None
    kind, _, held_id = holder.partition(":")
    resolve = HOLDERS.get(kind)
    return resolve(held_id) if resolve and not is_over else None


def _signer(slug: str, what: str) -> signing.Signer:
    """File and kind are part of what is signed, not of what is sent."""
    return signing.Signer(salt=f"{SALT}:{slug}:{what}")


def of_session(session: EmbedSession) -> str:
    """The holder of links in a panel inside a CRM: they end with it."""
    return f"embed:{ids.text(session.pk)}"


def _member(member_id: str) -> Holder | None:
    found = Member.objects.select_related("workspace").filter(pk=ids.parse(member_id), is_active=True)
    member = found.first()
    return Holder.of(member) if member else None


def _token(token_id: str) -> Holder | None:
    """Of a token that was not taken back since, and with no more rights than it has."""
    found = ApiToken.objects.live(clock.now()).filter(pk=ids.parse(token_id))
    token = found.select_related("member__workspace").first()
    return Holder.of(token.acting()) if token else None


def _session(session_id: str) -> Holder | None:
    found = EmbedSession.objects.live(clock.now()).with_whom().filter(pk=ids.parse(session_id)).first()
    return Holder.of_session(found) if found else None


HOLDERS: Final[dict[str, Resolve]] = {"member": _member, "token": _token, "embed": _session}
"""Who may hold a link, by the first word of the holder; nobody else is known."""
