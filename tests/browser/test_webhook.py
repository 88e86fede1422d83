"""A system of one's own connected from the page: the secret is taken from there to the simulated receiver, which then gets
the first file with its customer."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.archive import Archive
from tests.browser.conftest import PHONE, WIDE, Complaints
from tests.browser.test_accessibility import violations
from tests.browser.test_connecting import fits

pytestmark = pytest.mark.browser


def test_a_system_of_ones_own_is_connected_with_the_secret_of_the_page_and_gets_the_first_file(
    new_context: Callable[..., Any],
    without_crm: Archive,
    signed_in_without_crm: Any,
    complaints: Complaints,
) -> None:
    page = new_context(storage_state=signed_in_without_crm).new_page()
    page.goto(f"{without_crm.url}/settings/crms/new")
    page.locator("a[href='/settings/crms/new/webhook']").click()
    page.wait_for_url("**/new/webhook")
    secret = page.locator("[name=secret]").input_value()
    assert secret.startswith("whsec_")
    look(page, "access")
    with without_crm.home.sandbox("sandbox.webhook", "--secret", secret) as address:
        page.locator("[name=url]").fill(f"{address}/nowhere")
        page.locator("main form button[type=submit]").first.click()
        expect(page.get_by_text("404 or 405")).to_be_visible(timeout=40_000)
        expect(page.locator("[name=secret]")).to_have_value(secret)
        look(page, "trouble")
        page.locator("[name=url]").fill(address)
        page.locator("main form button[type=submit]").first.click()
        page.wait_for_url("**/fields")
        look(page, "fields")
        page.locator("#onward-go").click()
        page.wait_for_url("**/start")
        page.locator("#start-go").click()
        expect(page.locator("[data-check=first]")).to_have_attribute("data-state", "ok")
        look(page, "start")
        page.locator("main a[href$='/mapping']").first.click()
        page.wait_for_url("**/mapping")
        expect(page.get_by_text("no fields that could be chosen")).to_be_visible()
        look(page, "mapping")
        page.goto(page.url.replace("/mapping", "/reconciliation"))
        look(page, "reconciliation")
        assert "Voice note" in httpx.get(address.removesuffix("/acervo")).text
    complaints.forgive("status of 422")


def look(page: Page, name: str) -> None:
    """It fits and everybody can use it; for eyes too, where PICTURES names a folder."""
    assert violations(page) == []
    for size in (PHONE, WIDE):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        fits(page)
        for theme in ("dark", "light"):
            if folder := os.environ.get("PICTURES"):
                page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
                page.screenshot(path=Path(folder) / f"{name}-{size['width']}-{theme}.png", full_page=True)
