"""A wrong setting stops the start with a sentence that names it, and never shows its value."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from acervo.base.environment import WrongSetting, read


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "mysql://secret-word@x/y"),
        ("ACERVO_BASE_URL", "acervo.example.com/secret-word"),
        ("ACERVO_BASE_URL", "https://example.com/secret-word"),
        ("ACERVO_STORAGE_URL", "ftp://secret-word"),
        ("ACERVO_SEALING", "secret-word"),
        ("ACERVO_MASTER_KEY", "secret-word"),
        ("ACERVO_SECRET_KEY", "secret-word"),
        ("ACERVO_MAX_FILE_MB", "secret-word"),
        ("ACERVO_TIME_ZONE", "secret-word"),
        ("ACERVO_LANGUAGE", "secret-word"),
        ("ACERVO_CLAMD", "secret-word"),
        ("ACERVO_CLAMD", "unix:secret-word"),
        ("ACERVO_CLAMD", "tcp:secret-word"),
        ("ACERVO_CLAMD", "tcp:secret-word:99999"),
        ("ACERVO_CLAMD", "http://secret-word:3310"),
    ],
)
def test_a_wrong_value_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(WrongSetting, match=f"^{variable} cannot be used: ") as caught:
        read()
    assert "secret-word" not in str(caught.value)


def test_hosts_are_read_as_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACERVO_ALLOW_PRIVATE_HOSTS", "127.0.0.1, gateway:8080,")
    assert read().allow_private_hosts == ("127.0.0.1", "gateway:8080")


@pytest.mark.parametrize(
    "value", ["unix:/run/clamav/clamd.ctl", "tcp:clamav:3310", "tcp:127.0.0.1:3310", "tcp:[::1]:3310"]
)
def test_a_scanner_is_named_by_socket_or_by_host_and_port(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ACERVO_CLAMD", value)
    assert read().clamd == value
    monkeypatch.setenv("ACERVO_CLAMD", "")
    assert read().clamd is None


def test_the_command_stops_with_a_sentence_and_code_two(tmp_path: Path) -> None:
    environment = {**os.environ, "ACERVO_DATA_DIR": str(tmp_path), "ACERVO_SEALING": "wax"}
    done = subprocess.run(
        [sys.executable, "-m", "acervo.management.main", "media", "list"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("acervo: ACERVO_SEALING cannot be used")
    assert "Traceback" not in done.stderr
