"""Settings as an administrator uses them: typed, refused, saved, and a run of remaking watched without a reload."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.archive import Archive
from tests.browser.conftest import Complaints
from tests.browser.test_accessibility import violations

pytestmark = pytest.mark.browser


def test_a_policy_is_changed_refused_and_put_back(
    page: Page, archive: Archive, complaints: Complaints
) -> None:
    page.goto(f"{archive.url}/settings/media")
    page.get_by_label("Kilobits a second, at most").fill("many")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_text("Write a whole number, without dots or commas.")).to_be_visible()
    expect(page.get_by_label("Kilobits a second, at most")).to_have_value("many")
    assert violations(page) == []
    page.get_by_label("Kilobits a second, at most").fill("1800")
    page.get_by_label("Video, in MB").fill("64")
    page.get_by_role("group", name="When a copy is made").nth(1).get_by_label("Always").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Kilobits a second, at most")).to_have_value("1800")
    expect(page.get_by_label("Video, in MB")).to_have_value("64")
    page.get_by_role("button", name="Back to the defaults").click()
    expect(page.get_by_label("Kilobits a second, at most")).to_have_value("2500")
    expect(page.get_by_role("button", name="Back to the defaults")).to_have_count(0)
    complaints.forgive("status of 422")


def test_copies_are_made_anew_and_the_page_follows_by_itself(
    page: Page, archive: Archive, complaints: Complaints
) -> None:
    page.goto(f"{archive.url}/settings/remakes")
    count = page.locator("#rm-count")
    query = page.get_by_label("Which files")
    query.press_sequentially("kind=movie")
    expect(count).to_contain_text("no word “kind=movie”")
    query.fill("")
    query.press_sequentially(f"{archive.url}/library?kind=voice")
    expect(count).to_contain_text(re.compile(r"^\s*\d+ files to look at"))
    page.get_by_label("MP3", exact=True).check()
    page.get_by_label("Why (for the audit)").fill("after the trial")
    page.evaluate("window.neverReloaded = true")
    page.get_by_role("button", name="Make copies anew").click()
    earlier = page.get_by_role("region", name="Earlier runs")
    expect(earlier).to_contain_text("after the trial", timeout=60_000)
    expect(earlier).to_contain_text("Done")
    expect(earlier.get_by_role("row").nth(1).get_by_role("cell").nth(4)).to_have_text("0")
    assert page.evaluate("window.neverReloaded")
    assert violations(page) == []


def test_storage_says_what_it_takes(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/settings/storage")
    page.get_by_role("link", name="Count again").click()
    expect(page.get_by_role("heading", name=re.compile(r"in all, .* of them copies"))).to_be_visible()
    originals = page.get_by_role("region", name="Originals")
    expect(originals.get_by_role("row", name=re.compile("^Voice note"))).to_be_visible()
    copies = page.get_by_role("region", name="Copies", exact=True)
    expect(copies.get_by_role("row", name=re.compile("^MP3 for listening everywhere"))).to_contain_text("+")


@pytest.mark.parametrize("width", [320, 768, 1440])
def test_no_page_of_the_settings_scrolls_sideways(page: Page, archive: Archive, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for where in ("media", "remakes", "storage"):
        page.goto(f"{archive.url}/settings/{where}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, where
