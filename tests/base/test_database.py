"""How others than Django reach the database: by the same rules, encryption above all."""

from __future__ import annotations

import pytest
from django.db import connection
from psycopg.conninfo import conninfo_to_dict

from acervo.base.database import conninfo


def test_every_connection_keeps_the_tls_rules_of_the_database_url(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"sslmode": "verify-full", "sslrootcert": "ca.pem", "connect_timeout": 10}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    known = conninfo_to_dict(conninfo())
    assert {name: str(known[name]) for name in options} == {k: str(v) for k, v in options.items()}
