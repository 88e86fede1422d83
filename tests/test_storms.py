"""Short forms of the two long trials; `python -m tests.kill` and `python -m tests.storm` run the long ones."""

from __future__ import annotations

import asyncio

import pytest

from tests import kill, storm

pytestmark = pytest.mark.slow


def test_a_kill_at_any_moment_loses_doubles_and_spoils_nothing() -> None:
    outcome = asyncio.run(kill.run(len(kill.VICTIMS), seed=11, per_second=20.0))
    assert sorted(outcome.kills) == sorted(kill.VICTIMS)
    assert outcome.acknowledged > 0
    assert (outcome.lost, outcome.duplicates, outcome.corrupt) == (0, 0, 0)


def test_a_storm_of_faults_ends_with_every_file_whole_and_once_everywhere() -> None:
    outcome = asyncio.run(storm.run(40, away_s=4.0, seed=12))
    assert outcome.kept == outcome.rows == outcome.in_crm == outcome.files == 40
    assert (outcome.wrong, outcome.doubled_in_crm) == (0, 0)
    assert outcome.tries > outcome.files
