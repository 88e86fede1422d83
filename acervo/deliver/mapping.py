"""What goes to a CRM, into which of its fields and in which form: as the newest version of its mapping says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import UUID

from django.db.models import Q, QuerySet

from acervo.crms.mapping import FieldMap, Place, Rule, Target
from acervo.models import Connection, Delivery, Kind, MappingVersion, MediaFile, RecordLink
from acervo.models.media import MediaFiles

Go = Literal["all", "some", "none"]
ChosenBy = Callable[[UUID, str], MediaFiles]
"""The files of a workspace that a wish names, such as `organise.address.found_in`."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Which files of one kind go."""

    go: Go = "all"
    query: str = ""
    """Of `some`: the library's address, without its path."""
    with_bytes: bool = False
    """The file itself goes into the CRM too, not only the link."""


EVERY: Final = Switch()


@dataclass(frozen=True, slots=True)
class Rules:
    """One version of a mapping. What is not named is as it was on the first day."""

    media: Mapping[str, Rule] = field(default_factory=dict)
    contact: Mapping[str, Rule] = field(default_factory=dict)
    kinds: Mapping[str, Switch] = field(default_factory=dict)

    def switch(self, kind: str) -> Switch:
        return self.kinds.get(kind, EVERY)

    @property
    def switches(self) -> dict[str, Switch]:
        """Of the kinds that do not all go."""
        return {kind: one for kind in Kind.values if (one := self.switch(kind)).go != "all"}

    @property
    def kinds_with_bytes(self) -> list[str]:
        return [kind for kind in Kind.values if (one := self.switch(kind)).with_bytes and one.go != "none"]

    def field_map(self, number: int) -> FieldMap:
        return FieldMap(number, self.media, self.contact)


FIRST: Final = Rules()


@dataclass(frozen=True, slots=True)
class Maps:
    """The versions of one connection, as files travel with them."""

    versions: Mapping[int, FieldMap]

    @property
    def current(self) -> FieldMap:
        return self.versions[max(self.versions)]

    def of(self, number: int) -> FieldMap:
        return self.versions.get(number, self.current)


def current(connection_id: UUID) -> tuple[int, Rules]:
    """Version 0 where nobody changed anything."""
    row = MappingVersion.objects.filter(connection=connection_id).order_by("-number").first()
    return (row.number, read(row.rules)) if row else (0, FIRST)


def version(connection_id: UUID, number: int) -> Rules:
    """Raises MappingVersion.DoesNotExist."""
    if number == 0:
        return FIRST
    return read(MappingVersion.objects.get(connection=connection_id, number=number).rules)


def maps(connection_id: UUID) -> Maps:
    rows = MappingVersion.objects.filter(connection=connection_id).values_list("number", "rules")
    found = {number: read(rules).field_map(number) for number, rules in rows}
    return Maps({0: FIRST.field_map(0), **found})


def ever_used(connection_id: UUID) -> set[str]:
    """Fields of their own making into which values of files went under any version: erasing empties them too."""
    every = maps(connection_id).versions.values()
    return {rule.to.name for one in every for rule in one.media.values() if rule.to}


def outdated(connection_id: UUID) -> int:
    """Files in the CRM that were written by an earlier version than the newest."""
    return outdated_files(connection_id).count()


def outdated_files(connection_id: UUID) -> QuerySet[Delivery]:
    """A version that only sends other files writes nothing differently."""
    known = maps(connection_id)
    alike = [number for number, one in known.versions.items() if _places(one) == _places(known.current)]
    written = Delivery.objects.filter(connection=connection_id, delivered_at__isnull=False)
    return written.exclude(mapping_version__in=alike)


def _places(one: FieldMap) -> tuple[Mapping[str, Rule], Mapping[str, Rule]]:
    return one.media, one.contact


def unwanted(
    workspace_id: UUID, connection_id: UUID, media_ids: Collection[UUID], chosen_by: ChosenBy
) -> set[UUID]:
    """Those that the switches keep from going. A file that is there already is kept true, whatever they say."""
    _, rules = current(connection_id)
    if not rules.switches or not media_ids:
        return set()
    asked = MediaFile.objects.filter(workspace=workspace_id, pk__in=media_ids)
    kept_back = {
        pk
        for kind, switch in rules.switches.items()
        for pk in kept_from(asked.filter(kind=kind), workspace_id, switch, chosen_by)
    }
    there = RecordLink.objects.filter(connection=connection_id, media__in=kept_back, reason="written")
    return kept_back - set(there.values_list("media_id", flat=True))


def wanted(files: MediaFiles, connection: Connection, chosen_by: ChosenBy) -> MediaFiles:
    """Those that the switches let go. Raises what `chosen_by` raises."""
    _, rules = current(connection.pk)
    for kind, switch in rules.switches.items():
        kept = Q(kind=kind)
        if switch.go == "some":
            kept &= ~Q(pk__in=chosen_by(connection.workspace_id, switch.query).values("pk"))
        files = files.exclude(kept)
    return files


def kept_from(files: MediaFiles, workspace_id: UUID, switch: Switch, chosen_by: ChosenBy) -> Iterable[UUID]:
    """Of files of one kind, those that do not go."""
    if switch.go == "all":
        return []
    if switch.go == "some":
        files = files.exclude(pk__in=chosen_by(workspace_id, switch.query).values("pk"))
    return files.values_list("pk", flat=True)


def read(said: Mapping[str, Any]) -> Rules:
    """As a row holds it."""
    return Rules(
        media=_rules(said, "media"),
        contact=_rules(said, "contact"),
        kinds={
            kind: Switch(one["go"], one.get("query", ""), one.get("bytes", False))
            for kind, one in said.get("kinds", {}).items()
        },
    )


def written(rules: Rules) -> dict[str, Any]:
    """As a row holds it: only what differs from the first day, so that two alike are equal."""
    places: dict[Place, Mapping[str, Rule]] = {"media": rules.media, "contact": rules.contact}
    return {
        **{
            place: {name: _said(rule) for name, rule in sorted(chosen.items()) if rule != Rule()}
            for place, chosen in places.items()
        },
        "kinds": {
            kind: {
                "go": one.go,
                **({"query": one.query} if one.query else {}),
                **({"bytes": True} if one.with_bytes else {}),
            }
            for kind, one in sorted(rules.kinds.items())
            if one != EVERY
        },
    }


def _rules(said: Mapping[str, Any], place: Place) -> dict[str, Rule]:
    return {name: _rule(one) for name, one in said.get(place, {}).items()}


def _rule(said: Mapping[str, Any]) -> Rule:
    to = said.get("to")
    target = Target(to["name"], to["type"], to.get("limit")) if to else None
    return Rule(target, said.get("off", False), said.get("form", "as_is"), said.get("detail", ""))


def _said(rule: Rule) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if rule.to:
        limit = {"limit": rule.to.limit} if rule.to.limit else {}
        said["to"] = {"name": rule.to.name, "type": rule.to.type, **limit}
    if rule.is_off:
        said["off"] = True
    if rule.form != "as_is":
        said["form"] = rule.form
    if rule.detail:
        said["detail"] = rule.detail
    return said
