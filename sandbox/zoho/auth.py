"""The accounts server: refresh tokens become access tokens, ten in ten minutes, and refusals come with 200."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from sandbox.zoho.account import TOKEN_LIFE_S, Account
from sandbox.zoho.calls import Answer


def token(account: Account, form: Mapping[str, str]) -> Answer:
    client_id, client_secret, refresh_token = account.client
    if (form.get("client_id"), form.get("client_secret")) != (client_id, client_secret):
        return 200, {"error": "invalid_client"}
    if form.get("grant_type") == "authorization_code":
        bought = account.grant_codes.pop(form.get("code", ""), None)
        return _given(account, refresh_token=bought) if bought else (200, {"error": "invalid_code"})
    if not account.is_grant_good or form.get("refresh_token") != refresh_token:
        return 200, {"error": "invalid_code"}
    if not account.traffic.tokens.admit():
        words = "You have made too many requests continuously. Please try again after some time."
        return 400, {"error": "Access Denied", "error_description": words, "status": "failure"}
    return _given(account)


def is_good(account: Account, header: str) -> bool:
    scheme, _, value = header.partition(" ")
    return scheme == "Zoho-oauthtoken" and account.tokens.get(value, 0) > account.clock()


def _given(account: Account, **more: Any) -> Answer:
    value = f"1000.{secrets.token_hex(16)}"
    account.tokens_given += 1
    account.tokens[value] = account.clock() + TOKEN_LIFE_S
    answer = {
        "access_token": value,
        "api_domain": "https://www.zohoapis.com",
        "token_type": "Bearer",
        "expires_in": TOKEN_LIFE_S,
    }
    return 200, {**answer, **more}
