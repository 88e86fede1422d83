"""Earlier files for a CRM as an administrator sends them: counted while one chooses, started, watched without a reload."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.archive import Archive
from tests.browser.conftest import Complaints
from tests.browser.test_accessibility import violations

pytestmark = pytest.mark.browser


def test_earlier_files_are_counted_written_and_accounted_for(
    page: Page, archive: Archive, complaints: Complaints
) -> None:
    # As if the voice notes had come before the CRM was connected.
    archive.home.ask(
        "DELETE FROM acervo_delivery USING acervo_mediafile file WHERE media_id = file.id AND file.kind = 'voice'"
    )
    page.goto(f"{archive.url}/integrations")
    page.get_by_role("link", name="Earlier files").click()
    estimate = page.locator("#bf-count")
    expect(estimate).to_contain_text("To write")
    page.get_by_label("Video", exact=True).check()
    expect(estimate).to_contain_text("Nothing to do")
    page.get_by_label("Video", exact=True).uncheck()
    page.get_by_label("Voice note", exact=True).check()
    expect(estimate).to_contain_text("about")
    page.get_by_label("Only what the library shows").press_sequentially("colour=blue")
    expect(estimate).to_contain_text("no word “colour”")
    page.get_by_label("Only what the library shows").fill("")
    expect(estimate).to_contain_text("To write")
    assert violations(page) == []
    page.evaluate("window.neverReloaded = true")
    page.get_by_role("button", name="Write these files").click()
    earlier = page.get_by_role("region", name="Earlier runs")
    expect(earlier).to_contain_text("Done", timeout=60_000)
    assert page.evaluate("window.neverReloaded")
    assert violations(page) == []
    earlier.locator("dd a").first.click()
    expect(page.locator(f"a[href*='{archive.slugs['voice']}']").first).to_be_visible()
