"""The table of providers. To add one: copy the nearest folder, add a line. To remove one: delete both."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from acervo.providers.contract import Provider

PROVIDERS = {
    "fake": "acervo.providers.fake.adapter.Fake",
    "meta_cloud": "acervo.providers.meta_cloud.adapter.MetaCloud",
    "twilio": "acervo.providers.twilio.adapter.Twilio",
    "dialog360": "acervo.providers.dialog360.adapter.Dialog360",
    "messagebird": "acervo.providers.messagebird.adapter.MessageBird",
    "bird": "acervo.providers.bird.adapter.Bird",
}


def get(kind: str) -> type[Provider]:
    """The adapter class of a kind, imported on first use. Raises KeyError for a kind that is not in the table."""
    module, _, name = PROVIDERS[kind].rpartition(".")
    return cast("type[Provider]", getattr(import_module(module), name))


def kinds() -> tuple[str, ...]:
    """Every kind there is, in the order of the table."""
    return tuple(PROVIDERS)
