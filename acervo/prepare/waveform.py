"""From sound to the 160 bars of the player, without ever holding the sound."""

from __future__ import annotations

import sys
from array import array
from typing import Final

POINTS: Final = 160
SAMPLE_RATE: Final = 8000
"""Mono, signed 16-bit little-endian: enough to see a voice, and 1 MB a minute instead of 10."""
WINDOW_SAMPLES: Final = SAMPLE_RATE // 10


class Meter:
    """Fed with PCM as it is decoded; keeps one peak per tenth of a second."""

    def __init__(self) -> None:
        self.sample_count = 0
        self._peaks = array("H")
        self._rest = b""

    @property
    def duration_s(self) -> float:
        """Counted in decoded samples: a container may claim fifty years."""
        return self.sample_count / SAMPLE_RATE

    def feed(self, pcm: bytes) -> None:
        pcm = self._rest + pcm
        whole = len(pcm) - len(pcm) % (2 * WINDOW_SAMPLES)
        self._rest = pcm[whole:]
        self._measure(pcm[:whole])

    def points(self) -> bytes:
        """160 peaks from silence (0) to full scale (255), absolute: how loud to draw them is the page's choice.
        Ends the feeding."""
        self._measure(self._rest[: len(self._rest) & ~1])
        self._rest = b""
        return bytes(self._loudest(point) >> 7 for point in range(POINTS))

    def _measure(self, pcm: bytes) -> None:
        samples = array("h", pcm)
        if sys.byteorder == "big":
            samples.byteswap()
        self.sample_count += len(samples)
        for start in range(0, len(samples), WINDOW_SAMPLES):
            window = samples[start : start + WINDOW_SAMPLES]
            self._peaks.append(min(max(max(window), -min(window)), 32767))

    def _loudest(self, point: int) -> int:
        """The highest peak in this 160th of the time. Notes shorter than 16 s lend a peak to several points."""
        count = len(self._peaks)
        first = point * count // POINTS
        after = max((point + 1) * count // POINTS, first + 1)
        return max(self._peaks[first:after], default=0)
