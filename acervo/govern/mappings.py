"""What goes to a CRM and into which of its fields: tried on a real file, checked against what is there, changed by whom
and why, and taken back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from asgiref.sync import async_to_sync
from django.db import transaction

from acervo.base.database import in_thread
from acervo.base.errors import Refused
from acervo.crms.contract import Connector, CrmError, CrmErrorKind, CrmField
from acervo.crms.fields import CONTACT_FIELDS, MEDIA_FIELDS, Field, rolled_up, written
from acervo.crms.mapping import (
    AS_IT_WAS,
    FIXED,
    LANGUAGES,
    LONGEST,
    SEPARATORS,
    SHORTEST,
    Place,
    Rule,
    forms_for,
)
from acervo.deliver import mapping, outbox, parcels, uploads
from acervo.deliver.mapping import Rules, Switch
from acervo.govern import connections, crm_access
from acervo.govern.media_rules import ChangedMeanwhile
from acervo.govern.setups import ReasonMissing
from acervo.keep import credentials
from acervo.models import Connection, Delivery, MappingVersion, MediaFile
from acervo.organise import address
from acervo.organise.address import UnknownWord

PLACES: Final[Mapping[Place, Sequence[Field]]] = {
    "contact": [one for one in CONTACT_FIELDS if one.name not in FIXED],
    "media": [one for one in MEDIA_FIELDS if one.name not in {"media_id", "url"}],
}
"""What people decide about. Of the title only the form: a record needs a name."""


class UnfitMapping(Refused):
    """Some of these cannot be written so. `faults` says which, and why."""

    code = "unfit_mapping"

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__(f"{len(faults)} rules do not fit.", count=len(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Theirs:
    """The fields there are in the CRM; None where files are notes, which have none, or where nothing has."""

    contact: Sequence[CrmField] | None = ()
    media: Sequence[CrmField] | None = ()

    def of(self, place: Place) -> Sequence[CrmField]:
        return (self.contact if place == "contact" else self.media) or ()


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be written of one file, and why it would not go."""

    media: Mapping[str, str] = field(repr=False)
    contact: Mapping[str, str] = field(repr=False)
    obstacle: str = ""
    """Empty; or kind_off, query_misses, wrong_query, not_ready, withheld."""


def read_fields(connection: Connection) -> Theirs:
    """Asked of the CRM now. Raises CrmError."""
    return async_to_sync(_fields)(connection)


async def _fields(connection: Connection) -> Theirs:
    async with crm_access.waited_for() as http:
        connector = await in_thread(credentials.connector, connection, http)
        contact = await _fields_of(connector, "contact", (CrmErrorKind.UNSUPPORTED,))
        media = await _fields_of(connector, "media", (CrmErrorKind.UNSUPPORTED, CrmErrorKind.NOT_FOUND))
    return Theirs(contact, media)


async def _fields_of(
    connector: Connector, place: Place, has_none: Collection[CrmErrorKind]
) -> Sequence[CrmField] | None:
    try:
        return await connector.fields(place)
    except CrmError as error:
        if error.kind not in has_none:
            raise
        return None


def fitting(one: Field, theirs: Sequence[CrmField]) -> list[CrmField]:
    """Those of them our field may go to, by their label."""
    found = [
        field
        for field in theirs
        if field.is_writable and not field.is_ours and forms_for(one.name, one.type, field.type)
        if field.type != "choice" or set(one.choices) <= set(field.choices)
    ]
    return sorted(found, key=lambda field: field.label.casefold())


def change(connection: Connection, wanted: Rules, theirs: Theirs, *, seen: int, reason: str, by: str) -> int:
    """The new version, or the old one where nothing changed. Raises UnfitMapping, ReasonMissing and ChangedMeanwhile;
    then nothing is saved."""
    if faults := dict(_faults(connection.workspace_id, wanted, theirs)):
        raise UnfitMapping(faults)
    return _add(connection, wanted, seen=seen, reason=reason, restores=None, by=by)


def restore(connection: Connection, number: int, *, seen: int, reason: str, by: str) -> int:
    """An earlier version as a new one. Raises MappingVersion.DoesNotExist, ReasonMissing and ChangedMeanwhile."""
    wanted = mapping.version(connection.pk, number)
    return _add(connection, wanted, seen=seen, reason=reason, restores=number, by=by)


def rewrite(connection: Connection, by: str) -> int:
    """What lies in the CRM as an earlier version wrote it is written anew; returns how many files are due."""
    with transaction.atomic():
        count = outbox.rewrite(connection)
        connections.record(connection, "mapping.rewritten", by, details={"files": count})
    return count


def preview(connection: Connection, media: MediaFile, rules: Rules) -> Preview:
    """With rules that need not be saved."""
    obstacle = _obstacle(media, rules)
    promise = Delivery(workspace_id=media.workspace_id, connection=connection, media=media)
    parcel = next(iter(parcels.load([promise])), None)
    if parcel is None:
        return Preview({}, {}, obstacle or "not_ready")
    field_map = rules.field_map(0)
    return Preview(
        media=written(replace(parcel.link, field_map=field_map)),
        contact=rolled_up(replace(parcel.party.draft, field_map=field_map)),
        obstacle=obstacle,
    )


def _add(
    connection: Connection, wanted: Rules, *, seen: int, reason: str, restores: int | None, by: str
) -> int:
    reason = " ".join(reason.split())[:200]
    with transaction.atomic():
        Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        number, now = mapping.current(connection.pk)
        if number != seen:
            raise ChangedMeanwhile()
        said = mapping.written(wanted)
        if said == mapping.written(now):
            return number
        if not reason:
            raise ReasonMissing()
        row = MappingVersion.objects.create(
            workspace_id=connection.workspace_id,
            connection=connection,
            number=number + 1,
            rules=said,
            reason=reason,
            restores=restores,
            made_by=by,
        )
        uploads.drop_unwanted(connection, wanted, by=by)
        details = {"version": row.number, **({} if restores is None else {"restores": restores})}
        changed = sorted(_changed(now, wanted))
        connections.record(connection, "mapping.changed", by, reason, details={**details, "changed": changed})
    return row.number


def _changed(before: Rules, after: Rules) -> Iterator[str]:
    """Names of our own, nothing of the CRM's and no words of a query."""
    for place in PLACES:
        old, new = before.field_map(0).rules(place), after.field_map(0).rules(place)
        yield from (
            f"{place}.{name}" for name in {*old, *new} if old.get(name, AS_IT_WAS) != new.get(name, AS_IT_WAS)
        )
    kinds = {*before.kinds, *after.kinds}
    yield from (f"kind.{kind}" for kind in kinds if before.switch(kind) != after.switch(kind))


def _faults(workspace_id: UUID, wanted: Rules, theirs: Theirs) -> Iterator[tuple[str, str]]:
    for place, ours in PLACES.items():
        rules = wanted.field_map(0).rules(place)
        known = {one.name: one for one in ours}
        taken: set[str] = set()
        for name, rule in rules.items():
            fault = _fault(known.get(name), rule, theirs.of(place), taken)
            if fault:
                yield f"{place}.{name}", fault
            if rule.to:
                taken.add(rule.to.name)
    for kind, switch in wanted.switches.items():
        if switch.go == "some" and not is_query(switch.query):
            yield f"kind.{kind}", "wrong_query" if switch.query else "no_query"


def _fault(one: Field | None, rule: Rule, theirs: Sequence[CrmField], taken: set[str]) -> str:
    """Empty where it fits."""
    if one is None or (one.name == "title" and (rule.is_off or rule.to)):
        return "fixed"
    if rule.is_off:
        return ""
    if rule.to:
        found = next((field for field in theirs if field.name == rule.to.name), None)
        if found is None:
            return "not_there"
        if found not in fitting(one, theirs) or found.type != rule.to.type:
            return "does_not_fit"
        if rule.to.name in taken:
            return "taken_twice"
    if rule.form not in forms_for(one.name, one.type, rule.to.type if rule.to else None):
        return "form_does_not_fit"
    return _detail_fault(rule)


def _detail_fault(rule: Rule) -> str:
    if rule.form == "shortened":
        is_number = rule.detail.isdigit() and len(rule.detail) <= len(str(LONGEST))
        return "" if is_number and SHORTEST <= int(rule.detail) <= LONGEST else "length_out_of_range"
    if rule.form == "joined":
        return "" if rule.detail in SEPARATORS else "detail_unknown"
    if rule.form == "words":
        return "" if rule.detail in LANGUAGES else "detail_unknown"
    return ""


def is_query(query: str) -> bool:
    """Whether it narrows files, and not by what lies in the CRM already."""
    try:
        asked = address.Asked.strictly(query)
    except UnknownWord:
        return False
    return bool(query) and not asked.crm and asked != address.Asked()


def _obstacle(media: MediaFile, rules: Rules) -> str:
    switch: Switch = rules.switch(media.kind)
    if switch.go == "none":
        return "kind_off"
    if switch.go == "some" and not is_query(switch.query):
        return "wrong_query"
    alone = MediaFile.objects.filter(pk=media.pk)
    if list(mapping.kept_from(alone, media.workspace_id, switch, address.found_in)):
        return "query_misses"
    if media.prepared_at is None:
        return "not_ready"
    return "" if MediaFile.objects.for_crms().filter(pk=media.pk).exists() else "withheld"
