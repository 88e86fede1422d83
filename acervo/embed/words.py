"""Why the panel does not open, in words for somebody who sits in the CRM: what happened, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Words = str | Promise


@dataclass(frozen=True, slots=True)
class Refusal:
    title: Words
    text: Words
    icon: str = "lock"


REFUSALS: Final[Mapping[str, Refusal]] = {
    "embed_unproven": Refusal(
        _("This panel opens inside your CRM"),
        _("Nothing showed that the CRM asked for it. Open the record there; if the panel stays closed, tell whoever looks after Acervo that the signature was not accepted."),
    ),
    "embed_stale": Refusal(
        _("This took too long"),
        _("What the CRM signed is no longer good. Open the record again. If this comes back, one of the two clocks is wrong: tell whoever looks after Acervo."),
        "clock",
    ),
    "embed_replayed": Refusal(
        _("This panel was opened once already"),
        _("For your customers' safety each opening counts once. Open the record again in the CRM."),
        "rotate-cw",
    ),
    "embed_of_another_account": Refusal(
        _("This app belongs to another account"),
        _("The CRM signed it for another account, or for another app, than the one connected here. Whoever looks after Acervo can compare both on the page of the connection."),
    ),
    "embed_off": Refusal(
        _("The panel is switched off"),
        _("Files are safe in Acervo. An administrator can turn the panel on again on the page of the connection."),
        "ban",
    ),
    "embed_unknown_record": Refusal(
        _("Files are not shown beside this kind of record"),
        _("Open the customer, or one of the customer's tickets or deals."),
        "circle-question-mark",
    ),
    "embed_not_set_up": Refusal(
        _("This panel is not set up yet"),
        _("The app is installed, but Acervo does not know its key. An administrator enters it on the page of the connection."),
        "settings",
    ),
    "embed_unreadable": Refusal(
        _("This request cannot be read"),
        _("It lacks the record, or who looks. Whoever looks after Acervo can install the current package again."),
        "circle-alert",
    ),
}  # fmt: skip
_OTHERWISE: Final = "embed_unproven"


def refusal(code: str) -> Refusal:
    return REFUSALS.get(code, REFUSALS[_OTHERWISE])
