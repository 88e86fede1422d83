"""The tags of a file on its page: put on, taken off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from acervo import journey
from acervo.base.errors import Refused
from acervo.models import Ability, FileTag, MediaFile, Member, Tag, by_member
from acervo.web import words
from acervo.web.guards import MemberRequest, for_members, needs

OFFERED: Final = 200


@dataclass(frozen=True, slots=True)
class Shown:
    """The panel of the file's page."""

    names: Sequence[str]
    offered: Sequence[str]
    """Others of the workspace, for whoever types."""
    may_change: bool

    @property
    def tags(self) -> Sequence[tuple[str, str]]:
        """Each with the address of all files that have it."""
        return [(name, f"/library?{urlencode({'tag': name})}") for name in self.names]


def shown(member: Member, media: MediaFile) -> Shown:
    """In one query, and one more for who may change them."""
    names = list(
        FileTag.objects.filter(media=media).order_by("tag__name").values_list("tag__name", flat=True)
    )
    may_change = member.can(Ability.EDIT) and not media.erase_asked_at
    known = Tag.objects.visible_to(member).exclude(name__in=names).order_by("name") if may_change else None
    offered = list(known.values_list("name", flat=True)[:OFFERED]) if known is not None else []
    return Shown(names, offered, may_change)


@require_POST
@for_members
@needs(Ability.EDIT)
def tag(request: MemberRequest, file: UUID) -> HttpResponse:
    """Several at once, with commas between them."""
    media = _visible(request.user, file)
    names = [name for name in request.POST.get("names", "").split(",") if name.strip()]
    try:
        journey.tag_file(media, names, by=by_member(request.user))
    except Refused as error:
        messages.error(request, str(words.refusal(error.code)))
    return redirect("file", file)


@require_POST
@for_members
@needs(Ability.EDIT)
def untag(request: MemberRequest, file: UUID) -> HttpResponse:
    name = request.POST.get("name", "")
    if journey.untag_file(_visible(request.user, file), name, by=by_member(request.user)):
        messages.success(request, _("The tag %(name)s is off this file.") % {"name": name})
    return redirect("file", file)


def _visible(member: Member, file: UUID) -> MediaFile:
    return get_object_or_404(MediaFile.objects.visible_to(member), pk=file)
