"""How moments, sizes, lengths and icons are written on pages, by CLDR, in the reader's language and time zone."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import phonenumbers
from babel import Locale
from babel.dates import format_date, format_skeleton, format_timedelta
from babel.numbers import format_decimal
from django.conf import settings
from django.contrib.staticfiles import finders
from django.template import Context, Library
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, npgettext
from django.utils.translation import gettext as _

from acervo import crms, providers
from acervo.base import clock
from acervo.models import MediaFile
from acervo.organise.search import COUNT_CEILING
from acervo.web import words
from acervo.web.sources import Source, for_browser, is_apple, silences

register = Library()

POINTS_ON_A_CARD: Final = 40
RULER_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


@functools.cache
def _locale_of(language: str) -> Locale:
    return Locale.parse(language, sep="-")


def locale() -> Locale:
    return _locale_of(get_language() or settings.LANGUAGE_CODE)


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """A symbol of `icons.svg`; always beside a word, so hidden from screen readers."""
    classes = f"i {extra}".strip()
    return format_html(
        '<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>',
        classes,
        asset("icons/icons.svg"),
        name,
    )


@register.simple_tag
def asset(path: str) -> str:
    """The address of a static file, which changes when its content does."""
    return f"{static(path)}?v={_fingerprint(path)}"


@functools.cache
def _remembered_fingerprint(path: str) -> str:
    found = finders.find(path)
    if not isinstance(found, str):
        raise FileNotFoundError(f"No static file is called {path}.")
    return hashlib.sha256(Path(found).read_bytes()).hexdigest()[:10]


def _fingerprint(path: str) -> str:
    if settings.DEBUG:
        _remembered_fingerprint.cache_clear()
    return _remembered_fingerprint(path)


@register.simple_tag
def pill(status: words.Status) -> SafeString:
    tone = f" pill--{status.tone}" if status.tone else ""
    return format_html('<span class="pill{}">{}<span>{}</span></span>', tone, icon(status.icon), status.label)


@register.filter
def moment(at: datetime | None) -> SafeString:
    """Exact: "ter., 17 de nov. de 2026, 14:32"."""
    return _time(at, "yMMMEd", "Hm")


@register.filter
def clock_time(at: datetime | None) -> SafeString:
    return _time(at, "", "Hm")


@register.filter
def second(at: datetime | None) -> SafeString:
    return _time(at, "MMMd", "Hms")


@register.filter
def ago(at: datetime | None) -> SafeString:
    """Relative within a day, exact beyond; the exact moment is always in `datetime` and in the title."""
    if at is None:
        return SafeString("")
    away = at - clock.now()
    if abs(away) >= timedelta(days=1):
        return moment(at)
    said = format_timedelta(away, add_direction=True, locale=locale())
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), _written(at), said)


@register.filter
def briefly_ago(at: datetime | None) -> SafeString:
    """As `ago`, with no more than the day beyond one: for rows that have little room."""
    if at is None or abs(at - clock.now()) < timedelta(days=1):
        return ago(at)
    is_this_year = timezone.localtime(at).year == timezone.localdate().year
    return _time(at, "MMMd" if is_this_year else "yMMMd", "")


@register.filter
def shortly(at: datetime | None) -> SafeString:
    """As `ago` within a day, the weekday within a week, else the day: with the time, for a narrow column."""
    away = clock.now() - at if at else timedelta()
    if at is None or away < timedelta(days=1):
        return ago(at)
    if away < timedelta(days=6):
        return _time(at, "E", "Hm")
    is_this_year = timezone.localtime(at).year == timezone.localdate().year
    return _time(at, "MMMd" if is_this_year else "yMMMd", "Hm")


@register.filter
def left(until: datetime | None) -> str:
    """How much time there is: "6 dias e 21 h" is said as "6 dias". Empty once it is over."""
    if until is None or until <= clock.now():
        return ""
    return format_timedelta(until - clock.now(), threshold=1.5, locale=locale())


@register.filter
def day_name(day: date) -> str:
    """Today, yesterday, or the day itself."""
    today = timezone.localdate()
    if day == today:
        return _("Today")
    if day == today - timedelta(days=1):
        return _("Yesterday")
    return format_date(day, "full", locale=locale()).capitalize()


@register.filter
def day_note(day: date) -> str:
    """The date beside "Today" and "Yesterday"."""
    if timezone.localdate() - day > timedelta(days=1):
        return ""
    return format_skeleton("EEEEMMMd", day, locale=locale())


def written_day(day: date) -> str:
    return format_date(day, "medium", locale=locale())


@register.filter
def playing_time(seconds: float | None) -> str:
    """0:47, 12:03, 1:02:03. A begun second does not count, as in the players of browsers."""
    if seconds is None:
        return ""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left_over = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left_over:02}" if hours else f"{minutes}:{left_over:02}"


@register.filter
def size(size_bytes: int | None) -> str:
    """154 KB, 1,7 GB: powers of 1000, as phones and disks say it."""
    if size_bytes is None:
        return ""
    amount, unit = float(size_bytes), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    digits = "#,##0.#" if unit not in ("B", "KB") and amount < 100 else "#,##0"
    return f"{format_decimal(amount, digits, locale=locale())} {unit}"


@register.filter
def difference(size_bytes: int) -> str:
    """A size with its sign: +1,2 MB, −340 KB."""
    return f"{'−' if size_bytes < 0 else '+'}{size(abs(size_bytes))}" if size_bytes else size(0)


@register.filter
def rate(value: float) -> str:
    """So many a minute, a digit behind the point while they are few."""
    return format_decimal(value, "#,##0.#" if value < 10 else "#,##0", locale=locale())


@register.filter
def span(seconds: float) -> str:
    """How long, roughly: 3 minutes, 2 hours."""
    return format_timedelta(timedelta(seconds=seconds), threshold=1.5, locale=locale())


@register.filter
def number(value: int | None) -> str:
    return "" if value is None else format_decimal(value, locale=locale())


@register.filter
def capped(value: int) -> str:
    """A count that stops at a ceiling: "10.000+"."""
    return f"{number(COUNT_CEILING)}+" if value > COUNT_CEILING else number(value)


@register.filter
def files(count: int) -> str:
    return npgettext("counted", "%(count)s file", "%(count)s files", count) % {"count": capped(count)}


@register.filter
def wave(media: MediaFile, points: int = POINTS_ON_A_CARD) -> str:
    """The path of a waveform in a box of 10 units a point by 100, loudest first among the points that share a bar."""
    loud = bytes(media.waveform or b"")
    if not loud:
        return ""
    share = max(len(loud) // points, 1)
    bars = [max(loud[at : at + share]) for at in range(0, len(loud) - share + 1, share)]
    halves = [max(round(bar * 48 / 255), 2) for bar in bars]
    return "".join(f"M{10 * index + 5} {50 - half}V{50 + half}" for index, half in enumerate(halves))


@register.filter
def get(mapping: Any, key: Any) -> Any:
    return mapping.get(key, "")


@register.filter
def refusal_words(code: str | None) -> words.Words:
    return words.refusal(code)


@register.filter
def pause_words(code: str | None) -> words.Words:
    return words.pause_reason(code, is_crm=False)


@register.filter
def stopped_word(code: str) -> words.Words:
    """Why deliveries stopped, in a word or two, for a filter."""
    return words.STOPPED.get(code, code)


@register.filter
def kind_word(media: MediaFile) -> words.Words:
    return words.KINDS[media.kind]


@register.filter
def record_word(object_type: str) -> words.Words:
    return words.RECORD_TYPES.get(object_type, object_type)


@register.filter
def link_reason(code: str) -> words.Words:
    return words.LINK_REASONS.get(code, code)


@register.filter
def plain(value: object) -> str:
    """A number for a machine: no thousands separator, a decimal point."""
    return str(value)


@register.filter
def initials(name: object) -> str:
    """Of the first and the last word, at most two letters."""
    parts = str(name).split()
    return "".join(part[0] for part in (parts[:1] + parts[1:][-1:])).upper() or "?"


@register.filter
def vendor_initials(kind: str) -> str:
    known = crms.CRMS if kind in crms.CRMS else providers.PROVIDERS
    name = known[kind].rpartition(".")[2] if kind in known else kind
    return "".join(letter for letter in name if letter.isupper())[:2]


@register.filter
def language_name(code: str) -> str:
    """In its own language: a reader finds theirs without knowing ours."""
    return str(_locale_of(code).language_name).capitalize()


@register.filter
def ruler(seconds: float | None) -> list[tuple[str, int]]:
    """At most seven marks under a waveform, whole seconds apart: where each stands, in percent, and its second."""
    if not seconds:
        return []
    step = next((step for step in RULER_STEPS_S if seconds / step <= 6), math.ceil(seconds / 6))
    marks = range(0, math.ceil(seconds), step)
    return [(f"{100 * mark / seconds:.2f}%", mark) for mark in marks if mark / seconds < 0.96]


@register.simple_tag
def speeds() -> list[tuple[str, str]]:
    """For the machine and for the reader."""
    return [(speed, format_decimal(speed, locale=locale())) for speed in ("1", "1.5", "2")]


@register.simple_tag
def more_speeds() -> list[tuple[str, str]]:
    """Those in between, in the menu."""
    return [(speed, format_decimal(speed, locale=locale())) for speed in ("0.75", "1.25")]


@register.simple_tag(takes_context=True)
def tried_by(context: Context, found: Iterable[Source]) -> list[Source]:
    """The sources of a file in the order this reader's browser tries them."""
    request = context.get("request")
    user_agent = request.headers.get("user-agent", "") if request else ""
    return for_browser(found, is_apple=is_apple(user_agent))


@register.filter
def pauses(media: MediaFile) -> str:
    """Where nobody speaks, for the player: "1.2-3.5 9-11.75"."""
    return " ".join(f"{start:g}-{stop:g}" for start, stop in silences(media))


@register.filter
def paused_s(media: MediaFile) -> float:
    """How many seconds skipping the pauses saves."""
    return sum(stop - start for start, stop in silences(media))


@register.simple_tag
def view_address(filters: Any, view: str) -> str:
    return str(filters.address(view=view))


@register.filter
def phone(value: str) -> str:
    """A number as people of its country write it."""
    try:
        parsed = phonenumbers.parse(value)
    except phonenumbers.NumberParseException:
        return value
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _written(at: datetime, day: str = "yMMMEd", clock_skeleton: str = "Hms") -> str:
    """By CLDR's skeletons: "ter., 17 de nov. de 2026, 14:32"."""
    local = timezone.localtime(at)
    parts = [
        format_skeleton(skeleton, local, locale=locale()) for skeleton in (day, clock_skeleton) if skeleton
    ]
    return ", ".join(parts)


def _time(at: datetime | None, day: str, clock_skeleton: str) -> SafeString:
    if at is None:
        return SafeString("")
    said = _written(at, day, clock_skeleton)
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), _written(at), said)
