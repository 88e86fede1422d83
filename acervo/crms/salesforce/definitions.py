"""Our fields as Salesforce knows them: names, types, and how a field somebody made differs from ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from acervo.crms.fields import CONTACT_FIELDS, MEDIA_FIELDS, Field, choice_label
from acervo.crms.salesforce.api import Json
from acervo.crms.salesforce.places import CUSTOM_OBJECT, MEDIA, PERSON_KEY, PHONE_KEY, Place


@dataclass(frozen=True, slots=True)
class Definition:
    """One custom field: what its metadata says, and what `describe` answers of it."""

    object_name: str
    name: str
    label: str
    type: str
    length: int = 0
    precision: int = 0
    is_unique: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    """Stored value and what people see."""
    refers_to: str = ""
    formula: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.object_name}.{self.name}"

    @property
    def seen_on(self) -> str:
        """The object people see the field on: what is made on activities is seen on tasks."""
        return "Task" if self.object_name == "Activity" else self.object_name

    @property
    def seen_as(self) -> str:
        return f"{self.seen_on}.{self.name}"

    def differences(self, described: Json) -> Iterator[str]:
        """What a person made otherwise, so that our writes would fail or lie."""
        theirs, wanted = described.get("type"), _DESCRIBED[self.type]
        if theirs not in wanted:
            yield f"is {theirs}, we write {wanted[0]}"
            return
        if self.formula:
            return
        if self.length and (described.get("length") or self.length) < self.length:
            yield f"holds {described['length']} characters, we write up to {self.length}"
        if self.is_unique and not (described.get("unique") and described.get("externalId")):
            yield "is not a unique external id"
        offered = {value.get("value") for value in described.get("picklistValues") or ()}
        if missing := [value for value, _ in self.choices if value not in offered]:
            yield f"lacks the values {', '.join(missing)}"


_DESCRIBED = {
    "Text": ("string", "textarea"),
    "Url": ("url",),
    "LongTextArea": ("textarea",),
    "Number": ("double", "int"),
    "DateTime": ("datetime",),
    "Picklist": ("picklist",),
    "Lookup": ("reference",),
}
_LENGTHS = {"media_id": 64, "sha256": 64, "phone_e164": 20, "person_id": 64}
CONTACT_NAMES = {
    "phone_e164": PHONE_KEY,
    "person_id": PERSON_KEY,
    **{f.name: f"WA_{f.name.title()}__c" for f in CONTACT_FIELDS if not f.is_unique},
}
"""Our fields of a contact under their names in Salesforce."""


def contact_definitions(language: str) -> list[Definition]:
    return [_defined("Contact", CONTACT_NAMES[field.name], field, language) for field in CONTACT_FIELDS]


def media_definitions(language: str, place: Place) -> list[Definition]:
    """Every field of ours a file needs there; title, contact and the like are those of the object itself."""
    where = "Activity" if place.object_name == "Task" else place.object_name
    ours = [
        _defined(where, place.names[field.name], field, language)
        for field in MEDIA_FIELDS
        if field.name != "title"
    ]
    if place is not CUSTOM_OBJECT:
        return ours
    lookups = [
        Definition(MEDIA, name, _LOOKUP_LABELS[kind][_column(language)], "Lookup", refers_to=name[:-3])
        for kind, name in place.lookups.items()
    ]
    formula = f'HYPERLINK({place.names["url"]}, "{_PLAY[_column(language)]}", "_blank")'
    play = Definition(MEDIA, "Play__c", _PLAY[_column(language)], "Text", formula=formula)
    return [*ours, *lookups, play]


def _defined(object_name: str, name: str, field: Field, language: str) -> Definition:
    choices = tuple((choice, choice_label(choice, language)) for choice in field.choices)
    type_ = {"long_text": "LongTextArea", "number": "Number", "moment": "DateTime", "choice": "Picklist"}.get(
        field.type, "Url" if field.name.endswith("url") else "Text"
    )
    length = {"Text": _LENGTHS.get(field.name, 255), "LongTextArea": 131_072}.get(type_, 0)
    return Definition(
        object_name=object_name,
        name=name,
        label=field.label(language),
        type=type_,
        length=length,
        precision=18 if type_ == "Number" else 0,
        is_unique=field.is_unique,
        choices=choices,
    )


_LOOKUP_LABELS = {
    "contact": ("Contact", "Contato", "Contacto"),
    "deal": ("Opportunity", "Oportunidade", "Oportunidad"),
    "ticket": ("Case", "Caso", "Caso"),
    "campaign": ("Campaign", "Campanha", "Campaña"),
}
_PLAY = ("Play", "Abrir", "Abrir")


def _column(language: str) -> int:
    return {"pt": 1, "es": 2}.get(language[:2].lower(), 0)
