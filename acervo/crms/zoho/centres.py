"""Zoho's data centres: an account lives in one, and a token of one is worth nothing in another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from acervo.crms.contract import CrmCredentials, CrmError, CrmErrorKind


@dataclass(frozen=True, slots=True)
class Centre:
    """Three addresses without trailing slash: where tokens are bought, where the API answers, where people look."""

    accounts: str
    api: str
    pages: str


def _centre(suffix: str) -> Centre:
    return Centre(
        f"https://accounts.zoho.{suffix}", f"https://www.zohoapis.{suffix}", f"https://crm.zoho.{suffix}"
    )


CENTRES: Mapping[str, Centre] = {
    "us": _centre("com"),
    "eu": _centre("eu"),
    "in": _centre("in"),
    "au": _centre("com.au"),
    "jp": _centre("jp"),
    "cn": _centre("com.cn"),
    "sa": _centre("sa"),
    "ca": Centre("https://accounts.zohocloud.ca", "https://www.zohoapis.ca", "https://crm.zohocloud.ca"),
}
USUAL = "us"


def centre_of(credentials: CrmCredentials) -> Centre:
    """By the option `data_centre`. Another address of the API (a gateway, the sandbox) stands for all three."""
    if credentials.api_base:
        base = credentials.api_base.rstrip("/")
        return Centre(base, base, base)
    name = str(credentials.options.get("data_centre") or USUAL)
    try:
        return CENTRES[name]
    except KeyError as error:
        raise CrmError(CrmErrorKind.VALIDATION, "no such Zoho data centre is known") from error
