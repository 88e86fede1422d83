"""CRM connectors: which there are, and how to get one. To add one, copy the nearest folder and add its line."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from acervo.crms.contract import Connector

CRMS = {
    "fake": "acervo.crms.fake.adapter.FakeCrm",
    "hubspot": "acervo.crms.hubspot.adapter.HubSpot",
    "salesforce": "acervo.crms.salesforce.adapter.Salesforce",
    "webhook": "acervo.crms.webhook.adapter.Webhook",
    "zendesk": "acervo.crms.zendesk.adapter.Zendesk",
    "zoho": "acervo.crms.zoho.adapter.Zoho",
}


def get(kind: str) -> type[Connector]:
    """The connector class of a kind. Raises KeyError for a kind that is not in the table."""
    module_name, _, class_name = CRMS[kind].rpartition(".")
    return cast(type[Connector], getattr(import_module(module_name), class_name))
