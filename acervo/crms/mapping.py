"""Where our fields go in one CRM account and in which form, as a person chose it: a small closed set, no formulas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Place = Literal["media", "contact"]
"""The record of a file, or the customer's."""
FieldType = Literal["text", "long_text", "number", "moment", "choice"]
"""Of our own fields."""
TargetType = Literal["text", "long_text", "number", "moment", "day", "choice", "yes_no", "other"]
"""Of a field somebody made in the CRM; `other`: nothing of ours fits into it."""
Form = Literal["as_is", "upper", "lower", "shortened", "joined", "day", "words", "yes_no"]

SEPARATORS: Final = ("; ", ", ", " | ", " / ")
LANGUAGES: Final = ("en", "pt", "es")
YES: Final = frozenset({"granted", "in"})
"""What `yes_no` writes as 1; everything else is 0."""
SHORTEST, LONGEST = 10, 30_000

_TEXTS: Final[tuple[Form, ...]] = ("as_is", "upper", "lower", "shortened")
FORMS: Final[Mapping[tuple[FieldType, TargetType | None], tuple[Form, ...]]] = {
    ("text", None): _TEXTS,
    ("text", "text"): _TEXTS,
    ("text", "long_text"): _TEXTS,
    ("long_text", None): _TEXTS,
    ("long_text", "text"): _TEXTS,
    ("long_text", "long_text"): _TEXTS,
    ("number", None): ("as_is",),
    ("number", "number"): ("as_is",),
    ("number", "text"): ("as_is",),
    ("number", "long_text"): ("as_is",),
    ("moment", None): ("as_is",),
    ("moment", "moment"): ("as_is",),
    ("moment", "day"): ("day",),
    ("moment", "text"): ("as_is", "day"),
    ("moment", "long_text"): ("as_is", "day"),
    ("choice", None): ("as_is",),
    ("choice", "choice"): ("as_is",),
    ("choice", "text"): ("as_is", "words", "upper", "lower", "yes_no"),
    ("choice", "long_text"): ("as_is", "words", "upper", "lower", "yes_no"),
    ("choice", "number"): ("yes_no",),
    ("choice", "yes_no"): ("yes_no",),
}
"""Type of ours, type of theirs (None: the field we made) → forms that fit. What is not here does not fit."""

FIXED: Final = frozenset({"media_id", "url", "title", "phone_e164", "person_id"})
"""Keys, the link and the name of a record stay where they are: without them a file is not found again."""
TWO_SIDED: Final = frozenset({"direction", "consent"})
"""Fields that answer yes or no."""


@dataclass(frozen=True, slots=True)
class Target:
    """A field somebody made in the CRM."""

    name: str
    type: TargetType
    limit: int | None = None
    """Most characters it holds."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of one field of ours."""

    to: Target | None = None
    """None: the field we made for it."""
    is_off: bool = False
    form: Form = "as_is"
    detail: str = ""
    """Of `shortened` the number of characters, of `joined` the separator, of `words` the language."""


AS_IT_WAS: Final = Rule()


@dataclass(frozen=True, slots=True)
class FieldMap:
    """The rules of one connection, by our names. What is not named goes as it is into the field we made."""

    version: int = 0
    """0: nobody chose anything."""
    media: Mapping[str, Rule] = field(default_factory=dict)
    contact: Mapping[str, Rule] = field(default_factory=dict)

    def rules(self, place: Place) -> Mapping[str, Rule]:
        return self.media if place == "media" else self.contact

    def names(self, place: Place, own: Mapping[str, str]) -> dict[str, str]:
        """Our fields to theirs, of those that are written. `own`: the ones we made."""
        rules = self.rules(place)
        found: dict[str, str] = {}
        for name, theirs in own.items():
            rule = rules.get(name, AS_IT_WAS)
            if not rule.is_off:
                found[name] = rule.to.name if rule.to else theirs
        return found


PLAIN: Final = FieldMap()


def forms_for(name: str, type_: FieldType, target: TargetType | None) -> tuple[Form, ...]:
    """The forms our field may take there; none where it does not fit."""
    forms = FORMS.get((type_, target), ())
    if name == "tags" and "upper" in forms:
        return ("joined", *forms)
    if type_ == "choice" and name not in TWO_SIDED:
        return tuple(form for form in forms if form != "yes_no")
    return forms
