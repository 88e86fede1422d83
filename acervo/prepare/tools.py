"""Which tools prepare files on this machine, and how they are held: for pages that say so."""

from __future__ import annotations

import functools
import re
import subprocess
from typing import Final

from acervo.prepare.isolation import Isolation, NotIsolated, ToolMissing, active, tool

ASKED_S: Final = 20


@functools.cache
def ffmpeg_version() -> str:
    """Such as "7.1.2"; empty where there is none, or none that answers. Remembered for the life of the process."""
    try:
        said = subprocess.run(
            [tool("ACERVO_FFMPEG"), "-version"], env={}, capture_output=True, timeout=ASKED_S, check=True
        ).stdout
    except (ToolMissing, OSError, subprocess.SubprocessError):
        return ""
    found = re.match(rb"ffmpeg version (\S{1,40})", said)
    return found[1].decode(errors="replace") if found else ""


def isolation() -> Isolation | None:
    """None where tools cannot be started in isolation at all, so that nothing is prepared."""
    try:
        return active()
    except (NotIsolated, OSError, subprocess.SubprocessError):
        return None
