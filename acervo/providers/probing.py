"""A webhook of our own making, signed as the provider would sign it, that says nothing: it only proves that a knock from
outside is heard."""

from __future__ import annotations

import json
from typing import Any, Final, Protocol, runtime_checkable

from acervo.base.errors import AcervoError
from acervo.providers.contract import Webhook
from acervo.providers.untrusted import as_id, parse_object

MARK: Final = b"acervo_probe"
"""In the body of every probe, and the name of the member that holds its id."""
NAME: Final = MARK.decode()


@runtime_checkable
class Probes(Protocol):
    """A provider whose webhooks we can sign, because the secret that signs them is ours, too."""

    def probe(self, probe_id: str, url: str) -> Webhook:
        """A webhook for `url` that `verify` accepts there now, that `probed` knows again, and whose `read` would yield
        no event at all."""
        ...

    def probed(self, webhook: Webhook) -> str | None:
        """The id of a probe; None for every webhook of the provider. Never raises."""
        ...


def json_body(probe_id: str, **shape: Any) -> bytes:
    """A probe in the shape of a provider that sends JSON."""
    return json.dumps({**shape, NAME: probe_id}, separators=(",", ":")).encode()


def id_in_json(body: bytes) -> str | None:
    """The id of a probe made by `json_body`."""
    if MARK not in body:
        return None
    try:
        return as_id(parse_object(body).get(NAME))
    except AcervoError:
        return None
