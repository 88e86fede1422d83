"""kill -9 of the worker that writes earlier files: at the end the CRM holds each once, on one contact a person."""

from __future__ import annotations

import pytest

from tests.backfill import backfilled

pytestmark = pytest.mark.slow


def test_a_backfill_survives_the_death_of_its_worker() -> None:
    found = backfilled("hubspot", files=300, people=60, kills=2)
    assert (found.records, found.doubled, found.contacts) == (300, 0, 60)
    assert found.calls <= 1.2 * found.files
