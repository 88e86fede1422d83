"""The second step as a form: the fields of a provider, checked for their shape, with secrets that are never shown again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from django.http import QueryDict
from django.utils.translation import gettext as _

from acervo import providers
from acervo.govern.setups import Access
from acervo.models import Setup
from acervo.providers.asked import Asked
from acervo.web import guidance
from acervo.web.words import Words

LONGEST: Final = 601
LONGEST_ID: Final = 128
LONGEST_NAME: Final = 80
LONGEST_ADDRESS: Final = 200


@dataclass(frozen=True, slots=True)
class Line:
    """A field as the page shows it."""

    name: str
    label: Words
    hint: Words
    value: str = ""
    error: Words = ""
    is_secret: bool = False
    is_switch: bool = False
    is_required: bool = True
    is_kept: bool = False
    """A secret that is here already: it need not be typed again, and is not shown."""
    choices: Sequence[tuple[str, str]] = ()
    is_long: bool = False
    is_offered: bool = False
    """A secret that we made up: shown, to be taken to the other side."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A step in the list beside the page."""

    number: int
    label: Words
    note: Words
    is_done: bool
    is_here: bool
    address: str
    """Empty for those that come later."""


class AccessForm:
    """What was sent, or what is kept. `is_ours`: for a member, who also names the number and may name another API."""

    def __init__(
        self, setup: Setup, kept: Collection[str], sent: QueryDict | None = None, *, is_ours: bool = True
    ) -> None:
        self.setup, self.kept, self.sent, self.is_ours = setup, kept, sent, is_ours
        self.guide = guidance.GUIDES[setup.kind]
        self.asks: tuple[Asked, ...] = providers.get(setup.kind).asks
        self.errors: dict[str, Words] = {}

    def is_valid(self) -> bool:
        values = self._values()
        for asked in self.asks:
            if error := self._error(asked, values):
                self.errors[asked.name] = error
        if self.is_ours and not values["name"]:
            self.errors["name"] = guidance.NAME.wrong
        if self.is_ours and values["api_base"] and not is_address(values["api_base"]):
            self.errors["api_base"] = guidance.API_BASE.wrong
        return not self.errors

    @property
    def access(self) -> Access:
        values = self._values()
        options: dict[str, Any] = {}
        for asked in self.asks:
            if not asked.is_secret and asked.name != "account_id":
                options[asked.name] = bool(values[asked.name]) if asked.is_switch else values[asked.name]
        return Access(
            account_id=values["account_id"],
            name=values["name"] if self.is_ours else "",
            options=options,
            secrets={asked.name: values[asked.name] for asked in self.asks if asked.is_secret},
            api_base=(values["api_base"] or None) if self.is_ours else self.setup.api_base,
        )

    @property
    def lines(self) -> list[Line]:
        shown = self._values() if self.sent is not None else self._kept_values()
        lines = [self._line(asked, shown) for asked in self.asks]
        if not self.is_ours:
            return lines
        name = Line(
            "name", guidance.NAME.label, guidance.NAME.hint, shown["name"], self.errors.get("name", "")
        )
        return [name, *lines]

    @property
    def api_base(self) -> Line:
        shown = self._values() if self.sent is not None else self._kept_values()
        field = guidance.API_BASE
        return Line(
            "api_base",
            field.label,
            field.hint,
            shown["api_base"],
            self.errors.get("api_base", ""),
            is_required=False,
        )

    def _line(self, asked: Asked, shown: Mapping[str, str]) -> Line:
        field = self.guide.fields[asked.name]
        return Line(
            asked.name,
            field.label,
            field.hint,
            "" if asked.is_secret else shown[asked.name],
            self.errors.get(asked.name, ""),
            asked.is_secret,
            asked.is_switch,
            asked.is_required and not asked.is_switch,
            asked.is_secret and asked.name in self.kept,
        )

    def _error(self, asked: Asked, values: Mapping[str, str]) -> Words:
        value = values[asked.name]
        if asked.is_switch:
            return ""
        if value:
            return "" if asked.fits(value) else self.guide.fields[asked.name].wrong
        if asked.is_secret and asked.name in self.kept:
            return ""
        partner = asked.goes_with
        if partner and (values[partner] or partner in self.kept):
            return _("This goes with %(other)s.") % {"other": self.guide.fields[partner].label}
        return _("This is needed.") if asked.is_required else ""

    def _values(self) -> dict[str, str]:
        sent: Mapping[str, Any] = self.sent or {}
        values = {asked.name: asked.cleaned(str(sent.get(asked.name, "")))[:LONGEST] for asked in self.asks}
        values["account_id"] = values["account_id"][:LONGEST_ID]
        values["name"] = str(sent.get("name", "")).strip()[:LONGEST_NAME]
        values["api_base"] = str(sent.get("api_base", "")).strip()[:LONGEST_ADDRESS]
        return values

    def _kept_values(self) -> dict[str, str]:
        row = self.setup
        values = {asked.name: _written(row.options.get(asked.name)) for asked in self.asks}
        return {**values, "account_id": row.account_id, "name": row.name, "api_base": row.api_base or ""}


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else ""
    return str(value) if value is not None else ""


def is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and not parts.username
            and parts.port != 0
        )
    except ValueError:
        return False
