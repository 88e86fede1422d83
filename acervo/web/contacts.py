"""People who write to us, and everything one of them sent, in time order."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from acervo.base import ids
from acervo.models import Ability, ConsentAnswer, MediaFile, Member, Person
from acervo.organise import search
from acervo.organise.search import Wish
from acervo.web.answers import chats_of, with_person
from acervo.web.cards import card, with_facts
from acervo.web.guards import MemberRequest, for_members
from acervo.web.library import days, place_of

PAGE_SIZE: Final = 60


@require_GET
@for_members
def contacts(request: MemberRequest) -> HttpResponse:
    """By name, a page at a time."""
    asked = request.GET.get("q", "").strip()[:200]
    people = search.people(request.user, asked)
    rows = list(
        _with_newest(request.user, _after(people, request.GET)).order_by("name", "id")[: PAGE_SIZE + 1]
    )
    more = ""
    if len(rows) > PAGE_SIZE:
        last = rows[PAGE_SIZE - 1]
        more = "/contacts?" + urlencode({"q": asked, "name": last.name, "after": ids.text(last.pk)})
    found = {"people": rows[:PAGE_SIZE], "q": asked, "more": more, "is_first": "after" not in request.GET}
    is_more = request.htmx and not request.htmx.boosted and "after" in request.GET
    return render(request, "_contacts_page.html" if is_more else "contacts.html", found)


@require_GET
@for_members
def contact(request: MemberRequest, person: UUID) -> HttpResponse:
    """The newest files first, as in the library; older ones a page at a time."""
    somebody = get_object_or_404(Person.objects.visible_to(request.user), pk=person)
    after = place_of(request.GET.get("after"))
    files = search.found(request.user, Wish(person_id=somebody.pk))
    page = search.page(with_facts(files), after=after)
    here = f"/contacts/{ids.text(somebody.pk)}"
    found = {
        "person": somebody,
        "days": days(
            [card(media) for media in page.files],
            continued=after.received_at if after else None,
            has_more=bool(page.next),
        ),
        "more": f"{here}?after={page.next}" if page.next else "",
        "newest": here,
        "is_first": after is None,
    }
    if after and request.htmx and not request.htmx.boosted:
        return render(request, "_library_page.html", found)
    found |= {
        "chats": chats_of(request.user, somebody) if request.user.can(Ability.ANSWER) else [],
        "answers": with_person(request.user, somebody),
        "consent": ConsentAnswer.objects.visible_to(request.user)
        .filter(person=somebody)
        .newest_first()
        .select_related("message", "sending")
        .first(),
        "numbers": list(somebody.identifiers.filter(kind="phone").values_list("value", flat=True)),
        "links": list(somebody.record_links.select_related("connection")),
        "totals": files.aggregate(
            audio=Count("pk", filter=Q(kind__in=("voice", "audio"))),
            video=Count("pk", filter=Q(kind="video")),
            image=Count("pk", filter=Q(kind__in=("image", "sticker"))),
            document=Count("pk", filter=Q(kind="document")),
        ),
    }
    return render(request, "contact.html", found)


def _after(people: QuerySet[Person], asked: object) -> QuerySet[Person]:
    name, after = asked.get("name", ""), asked.get("after", "")  # type: ignore[attr-defined]
    try:
        last = ids.parse(after)
    except ValueError:
        return people
    return people.filter(Q(name__gt=name) | Q(name=name, id__gt=last))


def _with_newest(member: Member, people: QuerySet[Person]) -> QuerySet[Person]:
    """Each person with the moment of their newest file: one look into an index a row."""
    files = MediaFile.objects.visible_to(member).filter(person=OuterRef("pk")).order_by("-received_at")
    return people.annotate(newest_at=Subquery(files.values("received_at")[:1]))
