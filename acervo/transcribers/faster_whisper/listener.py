"""The engine's own process: `python -I listener.py MODEL_FOLDER SOUND.wav LANGUAGE|-`. Imports nothing of ours.

Prints one JSON object a line: each segment as soon as it is heard, at the end the language.
"""

from __future__ import annotations

import json
import sys
import wave
from typing import Any

NO_SUCH_MODEL = 10
SOUND_REFUSED = 11
SAMPLE_RATE = 16_000


def main() -> None:
    folder, path, language = sys.argv[1:]
    from faster_whisper import WhisperModel

    sound = samples(path)
    try:
        # Our folder and nothing else: without a network there is nobody to ask for another.
        model = WhisperModel(folder, device="auto", compute_type="default", local_files_only=True)
    except (ValueError, RuntimeError, OSError):
        sys.exit(NO_SUCH_MODEL)
    heard, told = model.transcribe(
        sound, language=None if language == "-" else language, vad_filter=True, beam_size=5
    )
    for segment in heard:
        say(
            {
                "start": segment.start,
                "end": segment.end,
                "text": segment.text,
                "avg_logprob": segment.avg_logprob,
            }
        )
    say({"language": told.language})


def samples(path: str) -> Any:
    """Numbers from -1 to 1. The package could decode the file itself; what strangers made is decoded elsewhere."""
    import numpy  # comes with the package

    try:
        with wave.open(path) as sound:
            if (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) != (1, 2, SAMPLE_RATE):
                sys.exit(SOUND_REFUSED)
            frames = sound.readframes(sound.getnframes())
    except (wave.Error, EOFError):
        sys.exit(SOUND_REFUSED)
    return numpy.frombuffer(frames, dtype="<i2").astype("float32") / 32768.0


def say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
