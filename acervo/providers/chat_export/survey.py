"""A first look through an export: what is in it, whose it is, and what somebody has to say before it is imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from acervo.base.errors import Refused
from acervo.providers.chat_export import messages, phrases
from acervo.providers.chat_export.archive import Names
from acervo.providers.chat_export.dates import Decision, Evidence, Rule
from acervo.providers.chat_export.headers import Order, Style

MOST_AUTHORS: Final = 2000
MOST_LISTED: Final = 200
CAPS: Final = (10_000, 40_000)
"""WhatsApp exports about so many messages with media, and without; older ones are missing without a word."""


class TooManyAuthors(Refused):
    """More people write in this chat than WhatsApp lets into a group."""

    code = "too_many_authors"


@dataclass(slots=True)
class Survey:
    """What an import of this file would meet."""

    dates: Decision
    phone: str
    """android or ios."""
    messages: int = 0
    """Those of people; the app's own lines are counted apart."""
    app_lines: int = 0
    attached: int = 0
    attached_bytes: int = 0
    omitted: int = 0
    missing: int = 0
    """Files that are named and not in the archive."""
    missing_names: list[tuple[int, str]] = field(default_factory=list)
    """Line and name; the first of them."""
    deleted: int = 0
    edited: int = 0
    authors: dict[str, int] = field(default_factory=dict)
    unused: int = 0
    """Files of the archive that no message names."""

    @property
    def may_be_cut(self) -> bool:
        """It reaches the number at which WhatsApp ends an export."""
        cap = CAPS[0] if self.attached else CAPS[1]
        return self.messages + self.app_lines >= cap


def survey(lines: Iterable[str], sizes: dict[str, int], *, text: str, now: datetime) -> Survey:
    """Look through the whole text once. `now` is without a zone. Raises NotAnExport and TooManyAuthors."""
    evidence, names, used = Evidence(), Names(sizes), set[str]()
    found = Survey(Decision(Order.DAY_FIRST, Rule.GUESS, ()), "")
    authors: Counter[str] = Counter()
    is_day_first_language = False
    for raw in messages.split(lines):
        found.phone = "android" if raw.header.shape.style is Style.DASH else "ios"
        evidence.note(raw.header.stamp)
        said = messages.understood(raw, now)
        if said.kind not in (messages.TEXT, messages.UNSEEN):
            is_day_first_language = is_day_first_language or phrases.is_from_day_first_language(raw.body)
        _count(found, said, names, used, sizes)
        if said.kind != messages.SYSTEM and said.author is not None:
            authors[said.author] += 1
            if len(authors) > MOST_AUTHORS:
                raise TooManyAuthors()
    found.authors = dict(authors.most_common())
    found.unused = len(set(sizes) - used - {text})
    found.attached_bytes = sum(sizes[name] for name in used)
    found.dates = evidence.decide(now=now + timedelta(days=1), is_day_first_language=is_day_first_language)
    return found


def _count(
    found: Survey, said: messages.Message, names: Names, used: set[str], sizes: dict[str, int]
) -> None:
    found.messages += said.kind != messages.SYSTEM
    found.app_lines += said.kind == messages.SYSTEM
    found.omitted += said.kind == messages.OMITTED
    found.deleted += said.kind == messages.DELETED
    found.edited += said.is_edited
    if said.attachment is None:
        return
    name = names.find(said.attachment)
    if name is None:
        found.missing += 1
        if len(found.missing_names) < MOST_LISTED:
            found.missing_names.append((said.line, said.attachment))
    else:
        found.attached += 1
        used.add(name)
