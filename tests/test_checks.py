"""System checks: dangerous set-ups are named before they hurt."""

from __future__ import annotations

import pytest
from django.test import override_settings

from acervo.checks import deployment_is_sound


@pytest.mark.parametrize(
    ("embedded", "own_keys", "warns"), [(None, True, True), (None, False, False), (object(), True, False)]
)
def test_keys_of_one_machine_beside_a_shared_database_are_warned_of(
    embedded: object, own_keys: bool, warns: bool
) -> None:
    with override_settings(EMBEDDED=embedded, ACERVO_HAS_OWN_KEYS=own_keys):
        assert ("acervo.W002" in {found.id for found in deployment_is_sound(None)}) is warns
