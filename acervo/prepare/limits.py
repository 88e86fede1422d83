"""What one look at a file may cost, all in one place: time, memory, bytes, pixels, frames, pages."""

from __future__ import annotations

from typing import Final

from acervo.prepare.isolation import MIB, Limits

DECODING: Final = Limits(wall_s=180, cpu_s=60)
"""Reading, hearing, copying tracks, MP3. Decoding is 20 to 200 times faster than playing."""
ENCODING: Final = Limits(wall_s=1800, cpu_s=1500, file_bytes=512 * MIB)
"""Only where the workspace's policy wants a video encoded: H.264 at 720p takes half of its length, on one core."""
DRAWING: Final = Limits(wall_s=90, cpu_s=45)
"""Pictures, and pages of documents."""

MAX_FRAME_PIXELS: Final = 16_777_216
"""Of a video: 4096 × 4096. Also what keeps the memory of one frame below the limit."""
MAX_DURATION_S: Final = 2 * 3600
"""Longer recordings are prepared up to here."""
FULLY_DECODED_BYTES: Final = 16 * MIB
"""WhatsApp's ceiling for a video. Larger ones come as documents, and decoding every frame of those would cost minutes:
there the packets are read and the sound is decoded."""
MAX_PAGES: Final = 20
"""Of a document, that become pictures."""
