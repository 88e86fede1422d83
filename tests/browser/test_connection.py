"""The page of a connection as an operator uses it: asked and tried by hand, answered without a reload."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.archive import Archive
from tests.browser.conftest import PHONE
from tests.browser.test_accessibility import violations

pytestmark = pytest.mark.browser


def test_a_connection_is_asked_and_its_way_in_is_tried(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/integrations")
    page.get_by_role("article").first.get_by_role("link").first.click()
    page.wait_for_url(re.compile(r"/integrations/[0-9A-Z]{26}$"))
    page.get_by_role("button", name="Try the way in").click()
    way_in = page.get_by_role("region", name="The way in")
    page.evaluate("window.neverReloaded = true")
    expect(way_in).to_contain_text("arrived in the journal")
    expect(way_in).to_contain_text("HTTP 200")
    page.get_by_role("button", name="Check now").click()
    says = page.get_by_role("region", name="What the provider says")
    expect(says).to_contain_text("Good")
    expect(says).to_contain_text("10,000")
    expect(says).to_contain_text("The token ends")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    page.goto(f"{archive.url}/health")
    expect(page.get_by_role("region", name="Connections").get_by_role("img").first).to_be_visible()
    assert violations(page) == []


def test_a_page_with_unsaved_choices_asks_before_it_is_left(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/integrations")
    page.locator("a[href$='/mapping']").first.click()
    page.wait_for_url("**/mapping")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.locator("[name='go.sticker']").select_option("none")
    page.locator(".crumbs a").first.click()
    expect(page.locator("[name='go.sticker']")).to_have_value("none")
    assert len(asked) == 1
    assert page.url.endswith("/mapping")
