"""The bars of the player."""

import math
from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from acervo.prepare.waveform import POINTS, SAMPLE_RATE, Meter


def pcm(seconds, level):
    """A tone of 400 Hz, `level` of full scale."""
    count = int(seconds * SAMPLE_RATE)
    period = array("h", (int(32767 * level * math.sin(2 * math.pi * n / 20)) for n in range(20)))
    return (period * (count // 20 + 1))[:count].tobytes()


def measured(*chunks):
    meter = Meter()
    for chunk in chunks:
        meter.feed(chunk)
    return meter


def test_silence_is_flat_and_still_160_points():
    meter = measured(pcm(20, 0))
    assert meter.points() == bytes(POINTS)
    assert meter.duration_s == 20


def test_a_steady_tone_is_level():
    assert set(measured(pcm(20, 0.5)).points()) == {127}


def test_full_scale_is_255_on_both_sides():
    loudest_up, loudest_down = array("h", [32767] * 8000), array("h", [-32768] * 8000)
    assert set(measured(loudest_up.tobytes()).points()) == {255}
    assert set(measured(loudest_down.tobytes()).points()) == {255}


def test_loud_comes_where_it_was():
    points = measured(pcm(8, 0), pcm(8, 1)).points()
    assert points[:80] == bytes(80)
    assert min(points[80:]) == 255


def test_a_short_click_is_not_lost_in_long_silence():
    quiet = pcm(60, 0)
    meter = measured(*[quiet] * 10, pcm(0.01, 1), *[quiet] * 10)
    assert max(meter.points()) == 255


def test_no_sound_at_all_gives_no_length():
    meter = Meter()
    assert meter.points() == bytes(POINTS)
    assert meter.duration_s == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 5000), max_size=8))
def test_how_the_sound_is_cut_into_chunks_does_not_matter(cuts):
    sound = pcm(1.3, 0.2) + pcm(0.77, 0.9)
    chunks, start = [], 0
    for cut in cuts:
        chunks.append(sound[start : start + cut])
        start += cut
    cut_up, whole = measured(*chunks, sound[start:]), measured(sound)
    assert cut_up.points() == whole.points()
    assert cut_up.duration_s == whole.duration_s
