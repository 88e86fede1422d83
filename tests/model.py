"""A data folder with an empty database of today's tables, made once: whatever a test needs of that kind is a copy of it,
since a cluster and all migrations cost half a minute of a core."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
MADE_OF: Final = ("acervo/migrations/*.py", "acervo/base/postgres/*.py", "uv.lock")
KEPT_S: Final = 86_400
PREFIX: Final = f"acervo-model-{os.getuid()}-"


def clean_environment() -> dict[str, str]:
    """Of this process, without settings of ours."""
    ours = ("ACERVO_", "DATABASE_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def copy_to(folder: Path) -> None:
    """With owners and modes: PostgreSQL refuses a folder that others may read."""
    subprocess.run(["cp", "-a", f"{_made()}/.", folder], check=True)


@cache
def _made() -> Path:
    folder = Path(tempfile.gettempdir()) / f"{PREFIX}{_state()}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _clear_away()
            _make(folder)
    return folder


def _make(folder: Path) -> None:
    from acervo.base.postgres import EmbeddedPostgres

    room = Path(tempfile.mkdtemp(prefix="acervo-half-"))
    room.chmod(0o755)
    data = room / "data"
    try:
        command = [sys.executable, "-m", "acervo.management.main", "migrate"]
        subprocess.run(
            command, env=clean_environment() | {"ACERVO_DATA_DIR": str(data)}, check=True, capture_output=True
        )
    finally:
        EmbeddedPostgres(data).stop()
    data.rename(folder)
    room.rmdir()


def _state() -> str:
    """Of what the tables are made of."""
    digest = hashlib.sha256(sys.version.encode())
    for pattern in MADE_OF:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _clear_away() -> None:
    """Those of yesterday's code."""
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if old.is_dir() and time.time() - old.stat().st_mtime > KEPT_S:
            shutil.rmtree(old, ignore_errors=True)
