"""A file as the text of a note, and what such a note still says when it is read back. Notes are plain text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from acervo.crms.contract import MediaLink
from acervo.crms.fields import CHOICE_LABELS, MEDIA_FIELDS, canonical, choice_label, cut, written

CONTENT_LIMIT = 32_000
"""Of a note's text, as of a large text field; to be settled with a live account."""
_MARKER = re.compile(r"^wa-media:([0-9A-HJKMNP-TV-Z]{26})$", re.MULTILINE)
_LISTED = tuple(one for one in MEDIA_FIELDS if one.name not in {"media_id", "title", "url", "transcript"})
_TRANSCRIPT = next(one for one in MEDIA_FIELDS if one.name == "transcript")
_NAMES = {label: one.name for one in _LISTED for label in (one.en, one.pt, one.es)}
_TYPES = {one.name: one.type for one in _LISTED}
_HEADINGS = {f"{label}:" for label in (_TRANSCRIPT.en, _TRANSCRIPT.pt, _TRANSCRIPT.es)}
_CHOICES = {label: choice for choice, labels in CHOICE_LABELS.items() for label in labels}


def render(item: MediaLink, language: str) -> dict[str, str]:
    """Title and text. The transcript stands last, since it may hold lines like any of ours; the marker in the
    very last line is our key."""
    values = written(item)
    lines = [values["url"]]
    lines += [
        f"{one.label(language)}: {_shown(one.type, values[one.name], language)}"
        for one in _LISTED
        if values.get(one.name)
    ]
    marker = f"wa-media:{item.media_id}"
    if transcript := values.get("transcript"):
        heading = f"{_TRANSCRIPT.label(language)}:"
        room = CONTENT_LIMIT - len("\n".join([*lines, heading, "", marker]))
        lines += [heading, cut(transcript, room)]
    return {"Note_Title": values["title"], "Note_Content": "\n".join([*lines, marker])}


def marker(content: str) -> str | None:
    """Whose note this is: the id of our file, or None for a note of somebody else."""
    found = _MARKER.findall(content)
    return found[-1] if found else None


def read(row: Mapping[str, Any]) -> dict[str, str | None]:
    """Our field names to what the note says now, in the form of `fields.written`. Any of our languages."""
    content = str(row.get("Note_Content") or "").replace("\r\n", "\n")
    ours = [*_MARKER.finditer(content)][-1:]  # a transcript may hold a line like it
    lines = (content[: ours[0].start()] if ours else content).removesuffix("\n").split("\n")
    values: dict[str, str | None] = {one.name: None for one in MEDIA_FIELDS}
    values |= {"media_id": ours[0][1] if ours else None, "title": row.get("Note_Title"), "url": lines[0]}
    for place, line in enumerate(lines):
        if line in _HEADINGS:
            values["transcript"] = "\n".join(lines[place + 1 :])
            break
        label, _, shown = line.partition(": ")
        if name := _NAMES.get(label):
            values[name] = _value(_TYPES[name], shown)
    return canonical(values)


def _shown(type_: str, value: str, language: str) -> str:
    if type_ == "choice" and value in CHOICE_LABELS:
        return choice_label(value, language)
    if type_ == "moment":
        return value.replace("T", " ").replace("Z", " UTC")
    return value


def _value(type_: str, shown: str) -> str | None:
    if type_ == "choice":
        return _CHOICES.get(shown, shown) or None
    if type_ == "moment":
        return shown.replace(" UTC", "Z").replace(" ", "T") or None
    return shown or None
