"""What an export's text says: shared samples, every form of header, the order of dates, and what must not be misread."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acervo.providers.chat_export import messages
from acervo.providers.chat_export.dates import Evidence, Rule
from acervo.providers.chat_export.headers import Order, Stamp, header
from acervo.providers.chat_export.messages import NotAnExport
from acervo.providers.chat_export.survey import survey
from sandbox.chat_exports import PHONES, Said, written

PAYLOADS = Path(__file__).parent / "payloads"
VARIANTS = json.loads((PAYLOADS / "header_variants.json").read_text())
NOW = datetime(2026, 11, 25)  # noqa: DTZ001  (a phone's clock, as everywhere here)
SAMPLES = sorted(path.name.removesuffix(".expected.json") for path in PAYLOADS.glob("*.expected.json"))


def lines_of(text: str) -> list[str]:
    return text.removeprefix("\ufeff").split("\n")


def read(text: str) -> list[messages.Message]:
    lines = lines_of(text)
    order = survey(lines, {}, text="", now=NOW).dates.order
    return list(messages.messages(lines, order))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_shared_sample_says_what_is_expected_of_it(name: str) -> None:
    (path,) = PAYLOADS.glob(f"{name}*.txt")
    expected = json.loads((PAYLOADS / f"{name}.expected.json").read_text())["messages"]
    found = read(path.read_bytes().decode())
    assert [_as_expected(one, wanted) for one, wanted in zip(found, expected, strict=True)] == expected


def _as_expected(one: messages.Message, wanted: dict[str, Any]) -> dict[str, Any]:
    precision = "seconds" if len(wanted["timestamp"]) > len("2026-10-05T14:20") else "minutes"
    return {
        "timestamp": one.sent_at.isoformat(timespec=precision),
        "author": one.author,
        "kind": one.kind,
        "text": one.text,
        "attachment": one.attachment,
    }


@pytest.mark.parametrize("row", VARIANTS["rows"], ids=lambda row: row["line"])
def test_every_form_of_header_is_read(row: dict[str, Any]) -> None:
    found = header(row["line"])
    assert found
    order = Order.DAY_FIRST if row["day_first"] else Order.MONTH_FIRST
    moment = found.stamp.moment(Order.YEAR_FIRST if found.stamp.is_long[0] else order)
    assert moment
    written_as = moment.isoformat(timespec="seconds" if found.shape.has_seconds else "minutes")
    assert (written_as, found.author, found.body) == (row["timestamp"], row["author"], row["text"])


@pytest.mark.parametrize("line", VARIANTS["not_headers"])
def test_what_only_looks_like_a_header_is_none(line: str) -> None:
    assert header(line) is None


@pytest.mark.parametrize("line", VARIANTS["ambiguous_system_lines"])
def test_a_colon_in_the_name_of_a_group_makes_no_author(line: str) -> None:
    found = header(line)
    assert found
    assert found.author is None


def test_digits_of_another_script_are_digits() -> None:
    found = header("\u0660\u0667/\u0660\u0665/\u0662\u0660\u0662\u0666 \u0661\u0664:\u0662\u0660 - a: \u0661")
    assert found
    assert found.stamp.moment(Order.DAY_FIRST) == datetime(2026, 5, 7, 14, 20)  # noqa: DTZ001
    assert found.body == "\u0661"


def test_a_forged_header_is_a_message_by_whom_it_names() -> None:
    found = read((PAYLOADS / "spoofed_header_inside_message.txt").read_text())
    assert [(one.author, one.text) for one in found] == [
        ("Ana Teste", "olhem isto"),
        ("Bia Loja", "eu autorizo tudo"),
    ]


def test_pasted_messages_of_another_form_stay_text() -> None:
    text = (
        "16/05/2026 14:20 - Ana: veja\n[16/05/2026, 14:21:00] Bia: eu autorizo\n16/05/26, 2:22 PM - Bia: sim"
    )
    (only,) = read(text)
    assert only.text.count("\n") == 2


def test_a_date_that_does_not_exist_begins_nothing() -> None:
    text = "16/05/2026 14:20 - Ana: um\n12/16/2026 14:21 - Bia: dois\n17/05/2026 14:22 - Ana: tres"
    assert [one.text for one in read(text)] == ["um\n12/16/2026 14:21 - Bia: dois", "tres"]


@pytest.mark.parametrize("text", ["Ana apagou: Mensagem apagada", "foi <Mídia oculta> ontem", "null e void"])
def test_who_quotes_a_mark_is_not_misread(text: str) -> None:
    (only,) = read(f"16/05/2026 14:20 - Ana: {text}")
    assert (only.kind, only.text) == ("text", text)


@pytest.mark.parametrize(
    ("body", "name", "text"),
    [
        ("Recibo, final v1.2 (1).pdf (arquivo anexado)", "Recibo, final v1.2 (1).pdf", ""),
        ("IMG-20261005-WA0012.jpg (Datei angehängt)\nzwei\nZeilen", "IMG-20261005-WA0012.jpg", "zwei\nZeilen"),
        ("< adjunto: 00000012-PHOTO-2026.jpg >", "00000012-PHOTO-2026.jpg", ""),
        ("2015-08-04-PHOTO-00004762.jpg <\u200eattached>", "2015-08-04-PHOTO-00004762.jpg", ""),
        ("Vertrag • 2 Seiten <Anhang: 00000014-Vertrag Über.pdf> danach", "00000014-Vertrag Über.pdf",
         "Vertrag • 2 Seiten\ndanach"),
    ],
)  # fmt: skip
def test_a_named_file_is_found_with_the_text_beside_it(body: str, name: str, text: str) -> None:
    (only,) = read(f"16/05/2026 14:20 - Ana: {body}")
    assert (only.attachment, only.text) == (name, text)


def test_marks_and_joined_emoji_that_somebody_wrote_are_kept() -> None:
    written_text = "a\u200fb \U0001f468\u200d\U0001f469 \u00a0c"
    (only,) = read(f"\u200e[16/05/2026, 14:20:00] Ana: {written_text}")
    assert only.text == written_text


@pytest.mark.parametrize("text", ["", "just\na\nletter\nof four lines", "\n\n\n", "16/05/2026\n"])
def test_another_text_is_no_export(text: str) -> None:
    with pytest.raises(NotAnExport):
        read(text)


# ── the order of dates ──


def decided(*dates: str, is_day_first_language: bool = False) -> tuple[Order, Rule]:
    evidence = Evidence()
    for date in dates:
        first, second, year = date.split("/")
        is_long = (len(first) > 2, len(second) > 2, len(year) > 2)
        evidence.note(Stamp((int(first), int(second), int(year)), is_long, 10, 0, 0))
    decision = evidence.decide(now=NOW, is_day_first_language=is_day_first_language)
    return decision.order, decision.rule


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (["2026/05/07", "2026/05/08"], (Order.YEAR_FIRST, Rule.YEAR)),
        (["01/02/2026", "13/02/2026"], (Order.DAY_FIRST, Rule.OVER_TWELVE)),
        (["01/02/2026", "02/13/2026"], (Order.MONTH_FIRST, Rule.OVER_TWELVE)),
        (["11/02/2026", "01/03/2026"], (Order.DAY_FIRST, Rule.FALLS)),
        (["02/11/2026", "03/01/2026"], (Order.MONTH_FIRST, Rule.FALLS)),
        (["02/12/2026"], (Order.MONTH_FIRST, Rule.FUTURE)),
        (["02/03/2026", "02/04/2026"], (Order.MONTH_FIRST, Rule.GUESS)),
        (["02/03/2026"], (Order.DAY_FIRST, Rule.GUESS)),
    ],
)
def test_the_whole_file_decides_what_is_the_month(dates: list[str], expected: tuple[Order, Rule]) -> None:
    assert decided(*dates) == expected


def test_a_language_that_writes_the_day_first_decides_what_is_left() -> None:
    assert decided("02/03/2026", is_day_first_language=True) == (Order.DAY_FIRST, Rule.LANGUAGE)


def test_where_nothing_decides_both_readings_are_shown() -> None:
    found = survey(["02/03/2026 10:00 - Ana: a", "03/03/2026 10:00 - Bia: b"], {}, text="", now=NOW)
    assert not found.dates.is_sure
    assert [(one.order, one.last.month, one.last.day) for one in found.dates.readings] == [
        ("dmy", 3, 3),
        ("mdy", 3, 3),
    ]


# ── whatever comes ──

SAFE = st.characters(
    exclude_categories=("Cs", "Cc"),
    exclude_characters="\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2028\u2029\ufeff",
)
TEXTS = st.text(SAFE, min_size=1, max_size=60).map(str.strip).filter(bool)
NAMES = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=20)


@st.composite
def chats(draw: st.DrawFn) -> list[Said]:
    at, said = datetime(2026, 1, 13, 8), []  # noqa: DTZ001
    for number in range(draw(st.integers(1, 12))):
        at += timedelta(minutes=draw(st.integers(0, 5000)))
        kind = draw(st.sampled_from(["text", "omitted", "deleted", "edited", "file"]))
        text = draw(st.lists(TEXTS, min_size=1, max_size=3).map("\n".join)) if kind != "file" else ""
        said.append(Said(at, draw(NAMES), text, kind, f"IMG-20260113-WA{number:04}.jpg"))
    return said


@settings(max_examples=150, deadline=None)
@given(said=chats(), phone=st.sampled_from(sorted(PHONES)))
def test_what_a_phone_writes_is_read_back(said: list[Said], phone: str) -> None:
    text = "".join(written(one, PHONES[phone]) for one in said)
    expected = [(one.at, one.author, *_meaning(one)) for one in said]
    if any(header(line) for one in said for line in one.text.split("\n")[1:]):
        return  # somebody typed a header: nobody can tell
    lines = text.split("\n")
    order = Order.MONTH_FIRST if " en" in phone else Order.DAY_FIRST
    found = [
        (one.sent_at, one.author, one.kind, one.text, one.attachment, one.is_edited)
        for one in messages.messages(lines, order)
    ]
    assert found == expected


def _meaning(one: Said) -> tuple[str, str, str | None, bool]:
    return {
        "text": ("text", one.text, None, False),
        "omitted": ("media_omitted", "", None, False),
        "deleted": ("deleted", "", None, False),
        "edited": ("text", one.text, None, True),
        "file": ("image", "", one.file_name, False),
    }[one.kind]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=80),
            st.sampled_from([row["line"] for row in VARIANTS["rows"]]),
            st.from_regex(r"[\[\u200e]?\d{1,4}[./-]\d{1,2}[./-]\d{1,4},? \d{1,2}[:.]\d\d( [ap]m)?( - |\] ).{0,20}", fullmatch=True),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_no_line_breaks_the_reader(lines: list[str]) -> None:
    for order in Order:
        try:
            found = list(messages.messages(lines, order))
        except NotAnExport:
            continue
        assert all(one.line <= len(lines) for one in found)
        assert [one.line for one in found] == sorted(one.line for one in found)


@pytest.mark.parametrize("evil", ["(" * 60_000, "<attached:" * 20_000, " \n" * 60_000 + "<", "1/" * 60_000])
def test_a_long_line_takes_no_long_time(evil: str) -> None:
    """No duration is asserted: a pattern that goes back and forth would never end here."""
    (only,) = read(f"16/05/2026 14:20 - Ana: x{evil}")
    assert only.text
