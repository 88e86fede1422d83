"""The Range header, as RFC 9110 has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acervo.play.ranges import NotSatisfiable, Span, is_known, is_refused, is_still, wanted


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-", Span(0, 1000)),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=999-", Span(999, 1000)),
        ("bytes=100-199", Span(100, 200)),
        ("bytes=990-2000", Span(990, 1000)),
        ("bytes=-1", Span(999, 1000)),
        ("bytes=-5000", Span(0, 1000)),
        ("bytes=0-1", Span(0, 2)),  # what Safari asks for first
        ("BYTES=5-9", Span(5, 10)),
        ("bytes=, 5-9 ,", Span(5, 10)),
        (f"bytes=0-{10**60}", Span(0, 1000)),
    ],
)
def test_one_range_is_understood(header, span):
    assert wanted(header, 1000) == span


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=--1",
        "bytes=9-5",
        "bytes=0-1,5-9",
        "chars=0-9",
        "bytes=a-b",
        "bytes=1.0-2",
        "bytes= 0 - 1",
        "bytes =0-1",
        "bytes=0-1;",
        "bytes=+0-1",
        "bytes=0x1-2",
        "bytes=\u0661-\u0662",
        "bytes=0-" + "9" * 5000,
    ],
)
def test_what_is_no_single_range_is_answered_with_the_whole(header):
    assert wanted(header, 1000) is None


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=1000-", 1000), ("bytes=-0", 1000), ("bytes=0-", 0), ("bytes=0-0", 0)]
)
def test_a_range_beyond_the_end_cannot_be_satisfied(header, size):
    with pytest.raises(NotSatisfiable):
        wanted(header, size)


def test_the_end_of_nothing_is_the_whole_of_it():
    assert wanted("bytes=-5", 0) is None


@given(st.text(max_size=40), st.integers(0, 10**12))
def test_no_header_asks_for_bytes_that_are_not_there(header, size):
    try:
        span = wanted(f"bytes={header}", size)
    except NotSatisfiable:
        return
    assert span is None or 0 <= span.start < span.stop <= size


def test_a_part_is_only_continued_from_the_same_bytes():
    assert is_still(None, '"a"')
    assert is_still('"a"', '"a"')
    assert not is_still('"b"', '"a"')
    assert not is_still('W/"a"', '"a"')
    assert not is_still("Wed, 25 Nov 2026 10:00:00 GMT", '"a"')


def test_bytes_the_player_has_are_known_by_any_of_their_tags():
    assert is_known('"a"', '"a"')
    assert is_known('"b", W/"a"', '"a"')
    assert is_known("*", '"a"')
    assert not is_known(None, '"a"')
    assert not is_known('"b,a"', '"a"')
    assert not is_known("a", '"a"')


def test_bytes_that_are_no_longer_those_are_refused():
    assert is_refused('"b"', '"a"')
    assert is_refused('W/"a"', '"a"')
    assert not is_refused('"b", "a"', '"a"')
    assert not is_refused("*", '"a"')
    assert not is_refused(None, '"a"')
