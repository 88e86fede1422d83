"""Speaks voice notes with espeak-ng and ffmpeg where they are installed, so that no two demos sound alike."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass

from sandbox import samples

SAMPLES = ("voz-roteador.ogg", "voz-mesa.ogg", "voz-obrigado.ogg", "voz-entrega.ogg")
TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Voice:
    """An espeak-ng voice; `variant` is one of its m1…m7, f1…f5."""

    variant: str = "f2"
    words_per_minute: int = 155
    pitch: int = 55


def can_speak() -> bool:
    """Whether both programs are here."""
    return shutil.which("espeak-ng") is not None and shutil.which("ffmpeg") is not None


def speak(text: str, voice: Voice | None = None) -> bytes | None:
    """A WhatsApp-like voice note (Ogg, Opus, 16 kHz mono) that says `text`; None where it cannot be made."""
    if not can_speak():
        return None
    try:
        wave = subprocess.run(
            _espeak(voice or Voice()), input=text.encode(), capture_output=True, check=True, timeout=TIMEOUT_S
        ).stdout
        note = subprocess.run(
            _ffmpeg(), input=wave, capture_output=True, check=True, timeout=TIMEOUT_S
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return note or None


def speak_or_sample(text: str, voice: Voice | None = None, *, fallback: str = SAMPLES[0]) -> bytes:
    """A fresh voice note, or the shipped one."""
    return speak(text, voice) or samples.read(fallback)[0]


def _espeak(voice: Voice) -> list[str]:
    return [
        "espeak-ng",
        *("-v", f"pt-br+{voice.variant}"),
        *("-s", str(voice.words_per_minute)),
        *("-p", str(voice.pitch)),
        *("--stdin", "--stdout"),
    ]


def _ffmpeg() -> list[str]:
    encoder = ["-ar", "16000", "-ac", "1", "-c:a", "libopus", "-b:a", "18k", "-application", "voip"]
    return [
        *("ffmpeg", "-v", "error", "-f", "wav", "-i", "pipe:0"),
        *encoder,
        *("-threads", "1", "-map_metadata", "-1", "-f", "ogg", "pipe:1"),
    ]


if __name__ == "__main__":
    sys.stdout.buffer.write(speak_or_sample(" ".join(sys.argv[1:]) or "Olá!"))
