"""The Chromium that drives the pages: found on this machine, started without anything it would ask of a network."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import pytest

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC_APPS: Final = ("Google Chrome", "Chromium")
FLAGS: Final = (
    "--no-sandbox",  # tests may run as root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
)
CURE: Final = "There is no Chromium here: sh ground/tools.sh chromium"


def find() -> str | None:
    """The path of a Chromium or Chrome, whichever comes first."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    for app in MAC_APPS:
        path = Path(f"/Applications/{app}.app/Contents/MacOS/{app}")
        if path.exists():
            return str(path)
    return None


def find_or_skip() -> str:
    """Without one the test is skipped, or fails where browser tests are required (`BROWSER_TESTS=required`)."""
    path = find()
    if path is None and os.environ.get("BROWSER_TESTS") == "required":
        pytest.fail(CURE)
    if path is None:
        pytest.skip(CURE)
    return path
