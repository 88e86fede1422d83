"""Short forms of the two long trials; `python -m tests.kill` and `python -m tests.storm` run the long ones."""

from __future__ import annotations

import asyncio

import pytest

from tests import kill, storm

pytestmark = pytest.mark.slow


def test_a_kill_at_any_moment_loses_doubles_and_spoils_nothing() -> None:
    load = kill.Load(per_second=2.0, most_each=24)
    outcome = asyncio.run(kill.run(len(kill.VICTIMS), seed=11, load=load))
    assert sorted(outcome.kills) == sorted(kill.VICTIMS)
    assert outcome.acknowledged > 0
    assert outcome.faults > 0
    assert (outcome.lost, outcome.duplicates, outcome.corrupt) == (0, 0, 0)
    assert outcome.recovered == outcome.dropped > 0, "a webhook that never came was not made good by the list"
    assert outcome.blocked == 0, "360dialog blocked us"
    assert outcome.kept == outcome.files
    assert all(outcome.files.values())


def test_a_storm_of_faults_ends_with_every_file_whole_and_once_everywhere() -> None:
    outcome = asyncio.run(storm.run(40, away_s=4.0, seed=12))
    assert outcome.kept == outcome.rows == outcome.in_crm == outcome.files == 40
    assert (outcome.wrong, outcome.doubled_in_crm) == (0, 0)
    assert outcome.tries > outcome.files
