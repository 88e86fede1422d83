"""What can be found, and how: one description of a wish, compiled to one query, read page by page."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Self, TypeVar
from uuid import UUID

from django.db.models import (
    BooleanField,
    Exists,
    F,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
)
from django.db.models.functions import Lower
from django.db.models.sql.compiler import SQLCompiler

from acervo.base import clock, ids
from acervo.models import Delivery, FileTag, Kind, MediaFile, Member, Person, Transcript, Workspace
from acervo.models.media import TAKEN_BACK

Files = TypeVar("Files", bound="QuerySet[MediaFile]")

PAGE_SIZE: Final = 60
COUNT_CEILING: Final = 10_000
"""Counting stops here: the page then says "more than", and its cost no longer grows with the archive."""
MAX_WORDS: Final = 8
MAX_PEOPLE: Final = 500
"""People whose name fits a word of the search; the most recently met ones, should there be more."""
MAX_SPOKEN: Final = 500
"""Files in which a word is said, up to which they are named one by one."""

CRM_STATES: Final = ("delivered", "waiting", "stopped", "none")
CAPTURE_STATES: Final = ("kept", "waiting", "lost")


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody is looking for. Empty parts do not narrow; several values of a part mean any of them."""

    text: str = ""
    kinds: tuple[str, ...] = ()
    since: datetime | None = None
    before: datetime | None = None
    person_id: UUID | None = None
    channels: tuple[UUID, ...] = ()
    crm: tuple[str, ...] = ()
    capture: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """Their names."""

    def without(self, part: str) -> Wish:
        """The same wish, not narrowed by this part: what the counts beside its options are made of."""
        return replace(self, **{part: _EMPTY[part]})


_EMPTY: Final[dict[str, Any]] = {"kinds": (), "channels": (), "crm": (), "capture": (), "tags": ()}


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the list, newest first. `str()` and `parse` carry it in an address."""

    received_at: datetime
    file_id: UUID

    @classmethod
    def of(cls, media: MediaFile) -> Self:
        return cls(media.received_at, media.pk)

    @classmethod
    def parse(cls, value: str) -> Self:
        """Raises ValueError."""
        micros, _, file = value.partition("-")
        if not re.fullmatch(r"\d{1,17}", micros):
            raise ValueError("not a place in the list")
        whole, part = divmod(int(micros), 1_000_000)
        return cls(clock.from_unix(whole).replace(microsecond=part), ids.parse(file))

    def __str__(self) -> str:
        return (
            f"{int(self.received_at.timestamp())}{self.received_at.microsecond:06d}-{ids.text(self.file_id)}"
        )

    @property
    def older(self) -> Q:
        return Q(received_at__lte=self.received_at) & (
            Q(received_at__lt=self.received_at) | Q(id__lt=self.file_id)
        )

    @property
    def not_older(self) -> Q:
        return Q(received_at__gte=self.received_at) & (
            Q(received_at__gt=self.received_at) | Q(id__gte=self.file_id)
        )


@dataclass(frozen=True, slots=True)
class Page:
    files: Sequence[MediaFile]
    next: Cursor | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many files each option would show, under everything else that is wished for. Capped at COUNT_CEILING + 1."""

    total: int
    kinds: dict[str, int] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)
    crm: dict[str, int] = field(default_factory=dict)
    capture: dict[str, int] = field(default_factory=dict)
    channels: dict[UUID, int] = field(default_factory=dict)


def found(member: Member, wish: Wish) -> QuerySet[MediaFile]:
    """The files of a wish, in no order. Costs two small queries for each word of its text."""
    return narrowed(MediaFile.objects.visible_to(member), member.workspace_id, wish)


def narrowed(files: Files, workspace_id: UUID, wish: Wish) -> Files:
    """Those of a workspace's files that fit a wish."""
    files = files.filter(*_conditions(wish))
    everybody = Person.objects.filter(workspace=workspace_id).order_by("-id").values_list("pk", flat=True)
    for word in words(wish.text):
        # Looked up first: an archive is searched through indexes only when the planner sees plain ids.
        people = list(everybody.filter(_in_name(word))[:MAX_PEOPLE])
        files = files.filter(_in_text(word) | Q(person__in=people) | _in_speech(workspace_id, word))
    return files


def people(member: Member, text: str) -> QuerySet[Person]:
    """The people a member may see whose name holds every word, in no order."""
    found = Person.objects.visible_to(member)
    for word in words(text):
        found = found.filter(_in_name(word))
    return found


def page(
    files: QuerySet[MediaFile],
    *,
    after: Cursor | None = None,
    down_to: Cursor | None = None,
    size: int = PAGE_SIZE,
) -> Page:
    """Newest first. `down_to` gives everything from the newest to that place instead, at most five pages of it."""
    if after is not None:
        files = files.filter(after.older)
    if down_to is not None:
        files, size = files.filter(down_to.not_older), size * 5
    rows = list(files.order_by("-received_at", "-id")[: size + 1])
    more = len(rows) > size
    return Page(rows[:size], Cursor.of(rows[size - 1]) if more else None)


def total(files: QuerySet[MediaFile]) -> int:
    """At most COUNT_CEILING + 1."""
    return files.order_by().values("pk")[: COUNT_CEILING + 1].count()


def count(member: Member, wish: Wish, *, since: dict[str, datetime], channels: Sequence[UUID]) -> Counts:
    """All counts of the page, in one query whose cost is bounded. `since` names moments, such as today."""
    text = found(member, Wish(text=wish.text))
    asked: dict[str, QuerySet[MediaFile]] = {"total": text.filter(*_conditions(wish))}
    for kind in Kind.values:
        asked[f"kinds/{kind}"] = text.filter(*_conditions(replace(wish, kinds=(kind,))))
    for name, moment in since.items():
        asked[f"since/{name}"] = text.filter(*_conditions(replace(wish, since=moment, before=None)))
    for state in CRM_STATES:
        asked[f"crm/{state}"] = text.filter(*_conditions(replace(wish, crm=(state,))))
    for state in CAPTURE_STATES:
        asked[f"capture/{state}"] = text.filter(*_conditions(replace(wish, capture=(state,))))
    for channel in channels:
        asked[f"channels/{channel}"] = text.filter(*_conditions(replace(wish, channels=(channel,))))
    answers = _count_together(member.workspace_id, asked)
    return Counts(
        total=answers["total"],
        kinds={kind: answers[f"kinds/{kind}"] for kind in Kind.values},
        since={name: answers[f"since/{name}"] for name in since},
        crm={state: answers[f"crm/{state}"] for state in CRM_STATES},
        capture={state: answers[f"capture/{state}"] for state in CAPTURE_STATES},
        channels={channel: answers[f"channels/{channel}"] for channel in channels},
    )


def words(text: str) -> list[str]:
    """The words of a search, at most eight; what is not a letter or a digit separates."""
    return list(dict.fromkeys(re.findall(r"[^\W_]+", text.casefold())))[:MAX_WORDS]


def _conditions(wish: Wish) -> list[Q]:
    asked = []
    if wish.kinds:
        asked.append(Q(kind__in=wish.kinds))
    if wish.since:
        asked.append(Q(received_at__gte=wish.since))
    if wish.before:
        asked.append(Q(received_at__lt=wish.before))
    if wish.person_id:
        asked.append(Q(person=wish.person_id))
    if wish.channels:
        asked.append(Q(connection__in=wish.channels))
    if wish.crm:
        asked.append(_any_of(_CRM[state]() for state in wish.crm))
    if wish.capture:
        asked.append(_any_of(_CAPTURE[state] for state in wish.capture))
    if wish.tags:
        asked.append(Q(_tagged(wish.tags)))
    return asked


def _any_of(conditions: Iterable[Q]) -> Q:
    return functools.reduce(operator.or_, conditions)


def _tagged(names: Sequence[str]) -> Exists:
    words = [name.lower() for name in names]
    return Exists(
        FileTag.objects.annotate(word=Lower("tag__name")).filter(media=OuterRef("pk"), word__in=words)
    )


def _promised(**facts: Any) -> Exists:
    return Exists(Delivery.objects.filter(media=OuterRef("pk"), **facts))


_CRM: Final[dict[str, Callable[[], Q]]] = {
    "delivered": lambda: Q(_promised(delivered_at__isnull=False)),
    "waiting": lambda: Q(_promised(delivered_at=None, stopped_at=None)),
    "stopped": lambda: Q(_promised(stopped_at__isnull=False)),
    "none": lambda: ~Q(_promised()),
}
_CAPTURE: Final[dict[str, Q]] = {
    "kept": Q(stored_at__isnull=False),
    "waiting": Q(stored_at=None, gone_at=None),
    "lost": Q(gone_at__isnull=False) & ~Q(refusal=TAKEN_BACK),
}


class _SearchVector(Func):
    """The generated column `search`, which the models do not name: found beside the row's own id."""

    output_field = TextField()

    def as_sql(self, compiler: SQLCompiler, connection: Any, *_: Any, **__: Any) -> tuple[str, Any]:
        row_id, params = compiler.compile(self.source_expressions[0])
        return f'{row_id.rpartition(".")[0]}."search"', params


def _in_text(word: str) -> Q:
    """In a caption, in any form of the word; at the beginning of a word of a file name; or it says nothing ("de")."""
    stemmed = _stemmed(word)
    says_nothing = Func(stemmed, template="(numnode(%(expressions)s) = 0)", output_field=BooleanField())
    return Q(_holds(stemmed)) | Q(_holds(_beginning(word))) | Q(says_nothing)


def _in_speech(workspace_id: UUID, word: str) -> Q:
    """In a transcript, as corrected. Looked up first like people; of a word that half the archive says, the database
    makes one list for itself instead."""
    said = Transcript.objects.made().filter(
        Q(_holds(_stemmed(word))) | Q(_holds(_beginning(word))), workspace=workspace_id
    )
    spoken = list(said.values_list("media", flat=True)[: MAX_SPOKEN + 1])
    return Q(pk__in=spoken if len(spoken) <= MAX_SPOKEN else said.values("media"))


def _in_name(word: str) -> Q:
    return Q(_holds(_beginning(word)))


def _stemmed(word: str) -> Func:
    return Func(Value(word), template="plainto_tsquery('portuguese', acervo_fold(%(expressions)s))")


def _beginning(word: str) -> Func:
    # A quoted lexeme: nothing in the word can be taken for an operator.
    return Func(Value(word), template="to_tsquery('simple', '''' || acervo_fold(%(expressions)s) || ''':*')")


def _holds(query: Func) -> Func:
    vector = _SearchVector(F("pk"))
    return Func(vector, query, arg_joiner=" @@ ", template="(%(expressions)s)", output_field=BooleanField())


class _Counted(Subquery):
    """How many rows a query has."""

    template = "(SELECT count(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def _count_together(workspace_id: UUID, asked: dict[str, QuerySet[MediaFile]]) -> dict[str, int]:
    names = {f"n{index}": name for index, name in enumerate(asked)}
    counted = {
        alias: _Counted(asked[name].order_by().values("pk")[: COUNT_CEILING + 1])
        for alias, name in names.items()
    }
    row: dict[str, int] = Workspace.objects.values(**counted).get(pk=workspace_id)  # type: ignore[assignment]
    return {name: row[alias] for alias, name in names.items()}
