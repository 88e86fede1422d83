"""Holds both sides to the written contract: what the adapter sends and what the simulated organisation answers."""

from __future__ import annotations

from importlib.resources import files

import httpx

from sandbox.hubspot import shapes

CONTRACT = shapes.Contract(files("acervo.crms.zoho") / "shapes")


class CheckedTransport(shapes.CheckedTransport):
    """As HubSpot's, with Zoho's shapes."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        super().__init__(inner, CONTRACT)
