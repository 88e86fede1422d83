"""People who write to us, and their chats."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from django.db.models import Count, Max, QuerySet
from django.shortcuts import get_object_or_404
from ninja import Router
from pydantic import Field

from acervo import models
from acervo.api.access import ApiRequest, needs
from acervo.api.shapes import USUAL, WRITABLE, After, Limit, Moment, Page, Shape, Ulid, newest_first
from acervo.models import Scope
from acervo.organise import search

router = Router(tags=["people"])
READ = needs(Scope.PEOPLE_READ)


class Person(Shape):
    """Somebody who writes to us."""

    id: Ulid
    name: str
    """As WhatsApp shows it; empty when unknown."""
    phones: list[str]
    """E.164. Empty for somebody who is known by a user name alone."""
    since: Moment
    """When we first heard of them."""

    @classmethod
    def of(cls, row: models.Person) -> Self:
        return cls(id=row.pk, name=row.name, phones=_phones(row), since=row.created_at)


class Consent(Shape):
    answer: Literal["given", "refused"]
    at: Moment


class PersonInFull(Person):
    """Somebody who writes to us, and what they sent as far as the token may see it."""

    files: int
    newest_file_at: Moment | None
    consent: Consent | None
    """What they answered last when asked for it; null: never asked, or no answer."""

    @classmethod
    def whole(cls, row: models.Person, member: models.Member) -> Self:
        files, newest = _sent(row, member)
        answer = models.ConsentAnswer.objects.visible_to(member).filter(person=row).newest_first().first()
        return cls(
            id=row.pk,
            name=row.name,
            phones=_phones(row),
            since=row.created_at,
            files=files,
            newest_file_at=newest,
            consent=_consent(answer),
        )


class Chat(Shape):
    """All that one person and one number of ours said to each other."""

    id: Ulid
    person: Ulid
    connection: Ulid
    begun_at: Moment

    @classmethod
    def of(cls, row: models.Chat) -> Self:
        return cls(id=row.pk, person=row.person_id, connection=row.connection_id, begun_at=row.created_at)


@router.get("/people", auth=READ, response=Page[Person], summary="Find people", operation_id="list_people")
def list_people(
    request: ApiRequest,
    q: Annotated[str, Field(max_length=200), WRITABLE] = "",
    phone: Annotated[str, Field(pattern=r"^\+[1-9][0-9]{5,14}$")] | None = None,
    limit: Limit = USUAL,
    after: After = "",
) -> Any:
    """The newest first. `q`: every word of it in the name. `phone`: E.164, exactly (write `+` as `%2B`)."""
    found = search.people(request.auth.member, q).prefetch_related("identifiers")
    if phone:
        found = found.filter(identifiers__kind="phone", identifiers__value=phone)
    return newest_first(found, Person.of, after=after, limit=limit)


@router.get(
    "/people/{person}", auth=READ, response=PersonInFull, summary="One person", operation_id="get_person"
)
def get_person(request: ApiRequest, person: Ulid) -> PersonInFull:
    return PersonInFull.whole(visible_person(request, person), request.auth.member)


@router.get("/chats", auth=READ, response=Page[Chat], summary="List chats", operation_id="list_chats")
def list_chats(
    request: ApiRequest,
    person: Ulid | None = None,
    connection: Ulid | None = None,
    limit: Limit = USUAL,
    after: After = "",
) -> Any:
    """The newest first. Files of a chat: `/media?person=…&connection=…`."""
    found = _chats(request.auth.member)
    if person:
        found = found.filter(person=person)
    if connection:
        found = found.filter(connection=connection)
    return newest_first(found, Chat.of, after=after, limit=limit)


@router.get("/chats/{chat}", auth=READ, response=Chat, summary="One chat", operation_id="get_chat")
def get_chat(request: ApiRequest, chat: Ulid) -> Chat:
    return Chat.of(get_object_or_404(_chats(request.auth.member), pk=chat))


def visible_person(request: ApiRequest, person: Ulid) -> models.Person:
    """Http404 for everybody the token may not see."""
    return get_object_or_404(models.Person.objects.visible_to(request.auth.member), pk=person)


def _chats(member: models.Member) -> QuerySet[models.Chat]:
    """Of numbers that are visible, with people who are: an agent's teams may show the one and not the other."""
    return models.Chat.objects.visible_to(member).filter(person__in=models.Person.objects.visible_to(member))


def _phones(row: models.Person) -> list[str]:
    return sorted(known.value for known in row.identifiers.all() if known.kind == "phone")


def _sent(row: models.Person, member: models.Member) -> tuple[int, datetime | None]:
    found = models.MediaFile.objects.visible_to(member).filter(person=row)
    told = found.aggregate(files=Count("pk"), newest=Max("received_at"))
    return told["files"], told["newest"]


def _consent(answer: models.ConsentAnswer | None) -> Consent | None:
    if answer is None or answer.answered_at is None:
        return None
    return Consent(answer="given" if answer.is_given else "refused", at=answer.answered_at)
