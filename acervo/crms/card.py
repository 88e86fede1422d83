"""A file as the html of a note, for CRMs where it has no record of its own; and what such a note still says when it
is read back."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

from acervo.crms.contract import MediaLink
from acervo.crms.fields import CHOICE_LABELS, MEDIA_FIELDS, choice_label, cut, written

BODY_LIMIT = 65_536
"""HubSpot's; others say theirs."""
MAX_TEXT = 30_000
_MARKER = re.compile(r"wa-media:([0-9A-HJKMNP-TV-Z]{26})")
_END = re.compile(r"<p[^>]*>\s*wa-media:([0-9A-HJKMNP-TV-Z]{26})\s*</p>")
"""Of one card: a paragraph of its own, which no text of a stranger can make, since that is escaped."""
_START = re.compile(r"<p[^>]*>\s*<strong")
_LISTED = tuple(field for field in MEDIA_FIELDS if field.name not in {"media_id", "title", "url"})
_NAMES = {label: field.name for field in _LISTED for label in (field.en, field.pt, field.es)}
_CHOICES = {label: choice for choice, labels in CHOICE_LABELS.items() for label in labels}


def render(item: MediaLink, language: str, *, limit: int = BODY_LIMIT) -> str:
    """Everything is escaped: names and transcripts come from strangers. The marker at the end is our key."""
    values = written(item, max_text=MAX_TEXT)
    lines = "".join(
        f"<li>{field.label(language)}: {_text(_shown(values[field.name], field.type, language))}</li>"
        for field in _LISTED
        if values.get(field.name)
    )
    link = f'<a href="{escape(values["url"])}">{_text(values["title"])}</a>'
    body = f"<p><strong>{link}</strong></p><ul>{lines}</ul><p>wa-media:{item.media_id}</p>"
    if len(body) <= limit:
        return body
    # Escaping can make a text up to six times longer; the full transcript is behind the link.
    shorter = cut(item.transcript or "", len(item.transcript or "") // 2)
    return render(replace(item, transcript=shorter), language, limit=limit)


def marker(body: str) -> str | None:
    """Whose note this is: the id of our file, or None for a note of somebody else."""
    found = _MARKER.findall(body)
    return found[-1] if found else None


def cards(body: str) -> dict[str, str]:
    """The cards of a note that holds several: our file ids to the html of each. What is left of a card whose marker
    somebody removed is nobody's."""
    found: dict[str, str] = {}
    start = 0
    for end in _END.finditer(body):
        begun = [one.start() for one in _START.finditer(body, start, end.start())]
        found[end[1]] = body[begun[-1] if begun else start : end.end()]
        start = end.end()
    return found


def read(body: str) -> dict[str, str | None]:
    """Our field names to what the note says now, in the form of `fields.written`. Any of our languages."""
    reader = _Reader()
    reader.feed(body)
    reader.close()
    values: dict[str, str | None] = {field.name: None for field in MEDIA_FIELDS}
    values |= {"media_id": marker(body), "url": reader.href, "title": reader.title or None}
    for line in reader.lines:
        label, _, shown = line.partition(": ")
        if name := _NAMES.get(label.strip()):
            values[name] = _value(name, shown.strip())
    if (values["transcript"] or "").endswith("…"):
        del values["transcript"]  # shortened to fit, by us: nothing to compare with
    return values


class _Reader(HTMLParser):
    """First link and list lines; the CRM's editor may wrap them in elements of its own."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.href: str | None = None
        self.title = ""
        self.lines: list[str] = []
        self._inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a" and self.href is None:
            self.href = dict(attrs).get("href") or ""
            self._inside = "a"
        elif tag == "li":
            self.lines.append("")
            self._inside = "li"
        elif tag == "br" and self._inside == "li":
            self.lines[-1] += "\n"

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "a":
            self.title += data
        elif self._inside == "li":
            self.lines[-1] += data


def _text(value: str) -> str:
    return escape(value).replace("\n", "<br>")


def _shown(value: str, type_: str, language: str) -> str:
    if type_ == "choice" and value in CHOICE_LABELS:
        return choice_label(value, language)
    if type_ == "moment":
        return value.replace("T", " ").replace("Z", " UTC")
    return value


def _value(name: str, shown: str) -> str | None:
    type_ = next(field.type for field in _LISTED if field.name == name)
    if type_ == "choice":
        return _CHOICES.get(shown, shown) or None
    if type_ == "moment":
        return shown.replace(" UTC", "Z").replace(" ", "T") or None
    return shown or None
