"""Who runs what under `pytest -n`: the browser tests stay together, so that their archives are made once; every other
test goes to whoever is free. (`--dist loadgroup` was made for this, and does not group with pytest 9.)"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = "tests/browser/"


class Scheduling(LoadScopeScheduling):
    """Begins with the largest group, which are the browser tests."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER if nodeid.startswith(TOGETHER) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> Scheduling:
    return Scheduling(config, log)
