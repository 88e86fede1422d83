"""Four hundred Range headers, most of them such as nobody should send: exact bytes or an exact refusal, and never a fault of ours."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from asgiref.sync import async_to_sync

from tests.play.conftest import answered, cookies_of

pytestmark = pytest.mark.usefixtures("one_connection")

SEED = 20261125
HEADERS = 400
BODY = random.Random(SEED).randbytes(200_000)  # four segments of the sealing format
DIGITS = ("", "0", "1", "65535", "65536", "131072", "199999", "200000", "200001", "9" * 19)
UNITS = ("bytes", "bytes", "bytes", "Bytes", "BYTES", "byte", "items", "", "bytes ", " bytes", "b\xffytes")
NUMBERS = (
    "", "0", "1", "00", "007", "65535", "65536", "199999", "200000", "200001", "-1", "+1", "1.5", "0x10", "1e3", "a",
    " 1", "1 ", "\t3", "9" * 18, "9" * 19, "9" * 120, "9" * 4400, "²", "½", "NaN", "*", "%30", "\x7f", '"1"',
)  # fmt: skip
DASHES = ("-", "-", "-", "-", "--", "", "=", " - ", "–".encode().decode("latin-1"), "/")
SEPARATORS = (",", ",", ", ", ",,", ";", " ", "\t,\t")
EQUALS = ("=", "=", "=", "=", " = ", "==", "", ":")


def malformed(dice: random.Random) -> str:
    """Put together from parts that are right and parts that are not; often wrong in one place only."""
    wrong_in = dice.choice(("nothing", "unit", "equals", "number", "dash", "count", "letter", "everything"))

    def part(name: str, right: Sequence[str], wrong: Sequence[str]) -> str:
        return dice.choice(wrong if wrong_in in (name, "everything") else right)

    def one() -> str:
        return "".join(
            (part("number", DIGITS, NUMBERS), part("dash", "-", DASHES), part("number", DIGITS, NUMBERS))
        )

    count = dice.choice((0, 2, 3, 40)) if wrong_in in ("count", "everything") else 1
    header = part("unit", ["bytes"], UNITS) + part("equals", "=", EQUALS)
    header += dice.choice(SEPARATORS).join(one() for _ in range(count))
    if wrong_in in ("letter", "everything"):
        at = dice.randrange(len(header) + 1)
        header = header[:at] + chr(dice.choice((9, 32, 45, 61, 44, 48, 57, 200, 255))) + header[at + 1 :]
    return header


def test_exact_bytes_or_an_exact_refusal(alice, kept_file):
    media = kept_file(body=BODY)
    cookies, address = cookies_of(alice), f"/play/{media.slug}/original"
    seen, dice = dict.fromkeys((200, 206, 416), 0), random.Random(SEED)
    headers = [malformed(dice) for _ in range(HEADERS)]
    assert len(set(headers)) > 0.8 * HEADERS
    for header in headers:
        answer = async_to_sync(answered)(cookies, address, headers={"range": header.encode("latin-1")})
        assert answer.status_code in seen, (header, answer.status_code)
        seen[answer.status_code] += 1
        _is_exact(answer, header)
    assert min(seen.values()) > 10, f"not every kind of answer was provoked: {seen}"


def _is_exact(answer, header):
    told = answer.headers.get("content-range")
    assert answer.headers["content-length"] == str(len(answer.content)), header
    if answer.status_code == 416:
        assert (told, answer.content) == (f"bytes */{len(BODY)}", b""), header
    elif answer.status_code == 200:
        assert (told, answer.content) == (None, BODY), header
    else:
        start, stop = (int(place) for place in told.removeprefix("bytes ").split("/")[0].split("-"))
        assert told == f"bytes {start}-{stop}/{len(BODY)}", header
        assert answer.content == BODY[start : stop + 1], header
        assert answer.content, header
