"""Who runs what under `pytest -n`: browser tests that share an archive stay together, so that it is made once; every
other test goes to whoever is free. (`--dist loadgroup` was made for this, and does not group with pytest 9.)"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

BROWSER = "tests/browser/"
HOUSES_OF_THEIR_OWN = ("connecting", "corpus_plays", "crms", "embed", "nothing_executes", "webhook")
"""Modules of browser tests that do not live in the common archive. They take about as long as those that do."""


class Scheduling(LoadScopeScheduling):
    """Begins with the largest groups, which are the browser tests."""

    def _split_scope(self, nodeid: str) -> str:
        if not nodeid.startswith(BROWSER):
            return nodeid
        module = nodeid.partition("::")[0].removeprefix(f"{BROWSER}test_").removesuffix(".py")
        return f"{BROWSER} elsewhere" if module in HOUSES_OF_THEIR_OWN else f"{BROWSER} archive"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> Scheduling:
    return Scheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long ones before short ones, so that nobody ends with a long one while the others have nothing left."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)
