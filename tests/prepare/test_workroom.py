"""Nothing of a file stays in a temporary folder, however the work ended."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from acervo.prepare.workroom import sweep, workroom


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_workroom_is_private_and_gone_afterwards(tmp_path):
    with workroom() as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("x")
        assert folder.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []


def test_a_workroom_is_gone_after_a_failure(tmp_path):
    with pytest.raises(ZeroDivisionError), workroom():
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_the_room_of_a_killed_worker_is_swept_and_that_of_a_living_one_is_not(tmp_path):
    code = f"""
import sys, tempfile
tempfile.tempdir = {str(tmp_path)!r}
from acervo.prepare.workroom import workroom
with workroom() as folder:
    (folder / "file").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
"""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        abandoned = Path(worker.stdout.readline().strip())
        with workroom() as mine:
            assert sweep() == 0
            assert abandoned.exists()
            worker.kill()
            worker.wait()
            assert sweep() == 1
            assert not abandoned.exists()
            assert mine.exists()
