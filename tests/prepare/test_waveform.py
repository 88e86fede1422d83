"""The bars of the player."""

import math
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acervo.prepare.waveform import HEIGHTS, POINTS, SAMPLE_RATE, Meter


def code(sample):
    """G.711 as its standard defines it: sign, position of the first bit, the four bits after it, all inverted."""
    biased = min(abs(sample), 32635) + 132
    doublings = biased.bit_length() - 8
    return ~((sample < 0) << 7 | doublings << 4 | biased >> (doublings + 3) & 0x0F) & 0xFF


def sound(seconds, level):
    """A tone of 400 Hz, `level` of full scale."""
    count = int(seconds * SAMPLE_RATE)
    period = bytes(code(round(32767 * level * math.sin(2 * math.pi * n / 20))) for n in range(20))
    return (period * (count // 20 + 1))[:count]


def measured(*chunks):
    meter = Meter()
    for chunk in chunks:
        meter.feed(chunk)
    return meter


def test_silence_is_flat_and_still_160_points():
    meter = measured(sound(20, 0))
    assert meter.points() == bytes(POINTS)
    assert meter.duration_s == 20


def test_a_steady_tone_is_level():
    (height,) = set(measured(sound(20, 0.5)).points())
    assert height == pytest.approx(127, rel=0.03)


def test_full_scale_is_the_same_on_both_sides():
    assert set(measured(bytes([code(32767)]) * 8000).points()) == {250}
    assert set(measured(bytes([code(-32768)]) * 8000).points()) == {250}


@pytest.mark.parametrize("level", [1.0, 0.5, 0.1, 0.03, 0.01])
def test_the_height_is_within_three_percent_of_the_peak(level):
    assert max(measured(sound(1, level)).points()) == pytest.approx(255 * level, rel=0.03, abs=0.5)


def test_more_loudness_is_never_less_height():
    assert list(HEIGHTS[:128]) == sorted(HEIGHTS[:128])


def test_ffmpeg_speaks_the_code_we_read():
    tone = "aevalsrc=0.25*sin(2*PI*400*t):s=8000:d=1"
    argv = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", tone, "-f", "mulaw", "-"]
    said = subprocess.run(argv, check=True, capture_output=True).stdout
    assert max(measured(said).points()) == pytest.approx(255 * 0.25, rel=0.03)


def test_loud_comes_where_it_was():
    points = measured(sound(8, 0), sound(8, 1)).points()
    assert points[:80] == bytes(80)
    assert min(points[80:]) > 247


def test_a_short_click_is_not_lost_in_long_silence():
    quiet = sound(60, 0)
    meter = measured(*[quiet] * 10, sound(0.01, 1), *[quiet] * 10)
    assert max(meter.points()) > 247


def test_no_sound_at_all_gives_no_length():
    meter = Meter()
    assert meter.points() == bytes(POINTS)
    assert meter.duration_s == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 5000), max_size=8))
def test_how_the_sound_is_cut_into_chunks_does_not_matter(cuts):
    tone = sound(1.3, 0.2) + sound(0.77, 0.9)
    chunks, start = [], 0
    for cut in cuts:
        chunks.append(tone[start : start + cut])
        start += cut
    cut_up, whole = measured(*chunks, tone[start:]), measured(tone)
    assert cut_up.points() == whole.points()
    assert cut_up.duration_s == whole.duration_s
