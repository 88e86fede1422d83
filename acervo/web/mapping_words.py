"""The mapping page's words: forms a value may take, why something does not fit, why a file would not go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from acervo.web.words import Words

FORMS: Final[Mapping[str, Words]] = {
    "as_is": pgettext_lazy("written", "as it is"),
    "upper": pgettext_lazy("written", "in capitals"),
    "lower": pgettext_lazy("written", "in small letters"),
    "shortened": pgettext_lazy("written", "shortened"),
    "joined": pgettext_lazy("written", "joined by"),
    "day": pgettext_lazy("written", "as a day"),
    "words": pgettext_lazy("written", "as a word in"),
    "yes_no": pgettext_lazy("written", "as yes (1) or no (0)"),
}
GOS: Final[Mapping[str, Words]] = {
    "all": pgettext_lazy("which files go", "All"),
    "some": pgettext_lazy("which files go", "Only those that fit"),
    "none": pgettext_lazy("which files go", "None"),
}
FAULTS: Final[Mapping[str, Words]] = {
    "fixed": _("This stays where it is: without it a file is not found again."),
    "not_there": _("This field is not in the CRM any more. Choose another one."),
    "does_not_fit": _("This field has another type, or cannot be written. Choose another one."),
    "taken_twice": _("Another one goes into the same field. Choose a field for each."),
    "form_does_not_fit": _("It cannot be written into this field in this form."),
    "length_out_of_range": _("Write a whole number from 10 to 30,000."),
    "detail_unknown": _("Choose one of these."),
    "no_query": _("Say which ones: write a word, or paste the library's address with your filters."),
    "wrong_query": _(
        "The library does not understand this. Filter the library, and copy its address into this field."
    ),
}
OBSTACLES: Final[Mapping[str, Words]] = {
    "kind_off": _("This file would not go: files of this kind do not."),
    "query_misses": _("This file would not go: it does not fit what is asked for its kind."),
    "wrong_query": _("This file would not go: what is asked for its kind is not understood."),
    "not_ready": _("This file would not go yet: it is still being prepared."),
    "withheld": _("This file would not go: it was taken back, or waits for a check."),
}
REFUSALS: Final[Mapping[str, Words]] = {
    "changed_meanwhile": _(
        "Somebody changed the mapping meanwhile, so nothing was saved. Open it in another tab and compare."
    ),
    "reason_missing": _("Say why in a few words: changes are written down with their reason."),
    "crm_away": _("The CRM could not be asked for its fields, so nothing was saved. What you chose is kept here."),
}  # fmt: skip


def fault(code: str) -> Words:
    return FAULTS[code]


def obstacle(code: str) -> Words:
    return OBSTACLES[code]


def refusal(code: str) -> Words:
    return REFUSALS[code]
