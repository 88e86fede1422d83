"""What the simulated server claims to hear: sentences spread over the length of the sound."""

from __future__ import annotations

import io
import struct
import wave
from typing import Any

SENTENCES = (
    ("Bom dia, aqui é o Josué.", -0.08),
    ("A luz vermelha do roteador continua piscando.", -0.15),
    ("Já tirei da tomada e liguei de novo na rua das Acácias.", -0.9),
    ("Obrigado, fico no aguardo da visita.", -0.2),
)
"""With the mean logarithm of their words' probability: the third is a doubtful one."""
UNKNOWN_LENGTH_S = 8.0
OPUS_RATE = 48_000


def spread(duration_s: float) -> list[dict[str, Any]]:
    """The sentences as segments, one after the other, as long as the sound."""
    share = duration_s / len(SENTENCES)
    return [
        {
            "id": number,
            "start": round(number * share, 3),
            "end": round((number + 1) * share, 3),
            "text": f" {text}",
            "avg_logprob": logprob,
            "no_speech_prob": 0.01,
        }
        for number, (text, logprob) in enumerate(SENTENCES)
    ]


def length_of(data: bytes) -> float:
    """Of WAV and Ogg Opus from their own counters; anything else is taken for eight seconds."""
    if data.startswith(b"RIFF"):
        with wave.open(io.BytesIO(data)) as sound:
            return float(sound.getnframes() / sound.getframerate())
    page = data.rfind(b"OggS")
    if data.startswith(b"OggS") and page >= 0:
        samples = int(struct.unpack_from("<q", data, page + 6)[0])
        return max(float(samples / OPUS_RATE), 0.0) or UNKNOWN_LENGTH_S
    return UNKNOWN_LENGTH_S
