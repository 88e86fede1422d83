"""A member in a browser, without the browser: signs in and asks for pages and files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

EMAIL, PASSWORD = "admin@example.com", "correct horse battery"  # whom tests.house creates
FORM_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


@contextmanager
def visitor(port: int) -> Iterator[httpx.Client]:
    """Signed in."""
    base_url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=base_url, timeout=60, trust_env=False) as browser:
        found = FORM_TOKEN.search(browser.get("/sign-in").text)
        assert found is not None, "The sign-in page has no form."
        form = {"csrfmiddlewaretoken": found[1], "login": EMAIL, "password": PASSWORD}
        answer = browser.post("/sign-in", data=form, headers={"Referer": base_url})
        assert answer.status_code == 302, f"Signing in was answered {answer.status_code}."
        yield browser


def cookie(browser: httpx.Client) -> str:
    """The Cookie header of this visitor."""
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
