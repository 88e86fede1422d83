"""Loaded before everything else (`-p tests.ground`): a PostgreSQL and a data folder of this run's own.

Settings are read once, at the start, so the environment must be ready before Django is.
"""

from __future__ import annotations

import atexit
import base64
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

import hypothesis

DATA_DIR = Path(tempfile.mkdtemp(prefix="acervo-tests-"))
atexit.register(shutil.rmtree, DATA_DIR, ignore_errors=True)

for name in [name for name in os.environ if name.startswith("ACERVO_")]:
    del os.environ[name]
os.environ |= {
    "ACERVO_DATA_DIR": str(DATA_DIR),
    "ACERVO_SECRET_KEY": "t" * 48,
    "ACERVO_MASTER_KEY": base64.b64encode(b"m" * 32).decode(),
    "ACERVO_BASE_URL": "http://127.0.0.1:8000",
    "ACERVO_ALLOW_PRIVATE_HOSTS": "127.0.0.1",
    "ACERVO_LANGUAGE": "en",
    "DJANGO_SETTINGS_MODULE": "acervo.settings",
}

# `--hypothesis-profile=long`: what may run for an hour before a release.
hypothesis.settings.register_profile("long", max_examples=2000)

# Who only hands tests out to other processes (pytest -n) needs no database; each of those brings its own.
HANDS_OUT = "--dist" in sys.argv and "PYTEST_XDIST_WORKER" not in os.environ

if "DATABASE_URL" not in os.environ and not HANDS_OUT:
    from acervo.base.postgres import EmbeddedPostgres
    from tests import model

    model.copy_to(DATA_DIR)
    DATA_DIR.chmod(0o755)
    _postgres = EmbeddedPostgres(DATA_DIR)
    _postgres.ensure_running()

    @atexit.register
    def _end() -> None:
        logging.disable()  # pytest has closed the stream by now
        _postgres.stop("immediate")


try:
    from acervo.web.catalogues import ensure_compiled
except ModuleNotFoundError:
    pass
else:
    ensure_compiled()
