"""axe-core finds nothing on any page: WCAG 2.0 to 2.2, A and AA, and best practice; light and dark, wide and narrow."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from tests.browser.archive import Archive
from tests.browser.conftest import PHONE, WIDE, Complaints
from tests.browser.test_finding import pages

pytestmark = pytest.mark.browser

OPTIONS = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
THEMES = ("light", "dark")
NAMES = (
    "library", "library as list", "nothing found",
    *(f"file: {name}" for name in ("voice", "video", "image", "document", "sticker", "ambiguous", "lost", "gone")),
    "contacts", "nobody found", "health", "integrations", "me", "password",
    "media settings", "remakes", "storage", "not found",
)  # fmt: skip


def violations(page: Page) -> list[str]:
    """Each as one line, after looking in both themes and at both widths."""
    page.evaluate(AXE_SCRIPT)
    found: list[str] = []
    for size in (WIDE, PHONE):
        page.set_viewport_size(size)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            told = page.evaluate("(options) => axe.run(options)", OPTIONS)
            found += [f"{size['width']} {theme}: {_line(one)}" for one in told["violations"]]
    return found


def _line(violation: dict[str, Any]) -> str:
    where = "; ".join(f"{node['target']} {node['failureSummary']}" for node in violation["nodes"][:4])
    return f"{violation['id']}: {violation['help']}: {where}"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_complain_about(page: Page, archive: Archive, complaints: Complaints, name: str) -> None:
    page.goto(pages(archive)[name])
    expect(page.get_by_role("heading", level=1)).to_be_attached()
    assert violations(page) == []
    complaints.forgive("status of 404")


def test_nor_on_a_contact_page(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/contacts")
    page.get_by_role("link", name="Caio Figueira").click()
    page.wait_for_url(re.compile(r"/contacts/\w{26}$"))
    assert violations(page) == []


def test_nor_on_the_form_to_reconnect(page: Page, archive: Archive, complaints: Complaints) -> None:
    page.goto(f"{archive.url}/integrations")
    page.get_by_role("link", name="New secrets").first.click()
    page.wait_for_url("**/reconnect")
    assert violations(page) == []
    page.get_by_role("button", name="Reconnect").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert violations(page) == []
    complaints.forgive("status of 422")


def test_nor_at_the_door(stranger: Page, archive: Archive) -> None:
    stranger.goto(f"{archive.url}/sign-in")
    assert violations(stranger) == []
    stranger.locator("#id_login").fill("nobody@example.com")
    stranger.locator("#id_password").fill("wrong")
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger.get_by_role("alert")).to_be_visible()
    assert violations(stranger) == []


def test_nor_while_something_plays_and_sheets_are_open(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/library")
    page.locator(f"#c-{archive.slugs['voice']}").get_by_role("button", name="Play").click()
    expect(page.get_by_role("region", name="Now playing")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.locator("[popovertarget=more]:visible").first.click()
    assert violations(page) == []
