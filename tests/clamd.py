"""A real clamd of a test's own, with one signature of our own: nothing is downloaded, no service of the machine is used."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

EICAR = (Path(__file__).parent / "corpus/hostile/eicar.com.txt").read_bytes()
SIGNATURE = "Acervo.Test.EICAR"
STREAM_MAX_BYTES = 4 * 1024 * 1024
READY_S = 60.0
NOBODY = 65534


def program() -> str:
    """Where clamd is. Without it the test is skipped, or fails where everything must be run."""
    found = shutil.which("clamd") or shutil.which(
        "clamd", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
    )
    if found is None:
        word = "clamd is missing: `make test` installs it, or `apt-get install clamav-daemon`"
        if os.environ.get("CLAMD_TESTS") == "required":
            pytest.fail(word)
        pytest.skip(word)
    return found


@dataclass
class Clamd:
    """Start and stop it as an operator would. The socket is where it will be, also while nothing runs."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"unix:{self.folder / 'clamd.sock'}"

    def start(self) -> None:
        """Returns once it answers: loading even one signature takes it a moment."""
        asked = [program(), "--foreground", "--config-file", str(self.folder / "clamd.conf")]
        self.process = subprocess.Popen(
            asked,
            user=NOBODY if os.getuid() == 0 else None,  # a scanner never needs more
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        deadline = time.monotonic() + READY_S
        while not self._answers():
            assert self.process.poll() is None, "clamd ended by itself"
            assert time.monotonic() < deadline, f"clamd does not answer within {READY_S:.0f} s"
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as line, suppress(OSError):
            line.settimeout(1)
            line.connect(str(self.folder / "clamd.sock"))
            line.sendall(b"zPING\0")
            return line.recv(16) == b"PONG\0"
        return False


@contextmanager
def clamd() -> Iterator[Clamd]:
    """Laid out and not started yet."""
    program()
    folder = Path(tempfile.mkdtemp(prefix="acervo-clamd-"))  # a socket's path must be short
    (folder / "db").mkdir()
    digest = hashlib.md5(EICAR, usedforsecurity=False).hexdigest()
    (folder / "db" / "own.hdb").write_text(f"{digest}:{len(EICAR)}:{SIGNATURE}\n")
    (folder / "clamd.conf").write_text(
        f"LocalSocket {folder}/clamd.sock\nLocalSocketMode 666\nDatabaseDirectory {folder}/db\n"
        f"TemporaryDirectory {folder}\nStreamMaxLength {STREAM_MAX_BYTES}\nAlertExceedsMax yes\n"
    )
    if os.getuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    folder.chmod(0o755)
    made = Clamd(folder)
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
