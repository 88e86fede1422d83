"""Captions a browser reads, whatever was said."""

from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from acervo.prepare import webvtt
from acervo.transcribers.contract import Said

TIMES = re.compile(r"^(\d\d+):(\d\d):(\d\d)\.(\d{3}) --> (\d\d+):(\d\d):(\d\d)\.(\d{3})$")


def cues(text):
    """The times in seconds and the lines of each cue."""
    head, *blocks = [block for block in text.split("\n\n") if block.strip()]
    assert head == "WEBVTT"
    found = []
    for block in blocks:
        times, *lines = block.strip("\n").split("\n")
        h, m, s, ms, h2, m2, s2, ms2 = map(int, TIMES.match(times).groups())
        found.append((3600 * h + 60 * m + s + ms / 1000, 3600 * h2 + 60 * m2 + s2 + ms2 / 1000, lines))
    return found


def test_a_short_passage_is_one_cue():
    text = webvtt.captions([Said(0.5, 3.25, "Bom dia"), Said(3661.0, 3662.0, "Obrigado")])
    assert text == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:03.250\nBom dia\n\n01:01:01.000 --> 01:01:02.000\nObrigado\n"
    )


def test_a_long_passage_is_shared_between_screens_by_its_letters():
    text = (
        "A luz que fica do lado, a verde, essa está acesa normal, só a terceira é que fica vermelha o tempo todo. "
        * 2
    )
    found = cues(webvtt.captions([Said(10.0, 30.0, text.strip())]))
    assert len(found) > 2
    assert all(len(lines) <= 2 and all(len(line) <= 42 for line in lines) for _, _, lines in found)
    assert (found[0][0], found[-1][1]) == (10.0, 30.0)
    assert all(one[1] == other[0] for one, other in itertools.pairwise(found))
    assert " ".join(" ".join(lines) for _, _, lines in found) == text.strip()


def test_nothing_said_can_be_taken_for_a_tag_or_a_time():
    text = webvtt.captions([Said(0, 1, "<b>1 & 2</b> --> <script>")])
    assert text.count("-->") == 1
    assert "&lt;b&gt;1 &amp; 2&lt;/b&gt; --&gt; &lt;script&gt;" in text


def test_a_moment_without_length_still_shows():
    ((begin, end, _),) = cues(webvtt.captions([Said(2.0, 2.0, "hm")]))
    assert end > begin


def test_plain_text_has_a_time_a_line():
    text = webvtt.plain([Said(0, 1, "Bom dia"), Said(1, 2, ""), Said(3723.4, 3724, "tchau")])
    assert text == "[0:00] Bom dia\n[1:02:03] tchau\n"


@given(st.lists(st.tuples(st.floats(0, 7200), st.floats(0, 30), st.text(max_size=300)), max_size=8))
def test_whatever_is_said_the_file_stays_one(told):
    segments = [Said(start, start + length, " ".join(text.split())) for start, length, text in told]
    text = webvtt.captions(segments)
    assert text.startswith("WEBVTT\n")
    arrows = [line for line in text.split("\n") if "-->" in line]
    assert all(TIMES.match(line) for line in arrows)
