"""One file: its facts and story, its place in the CRM, and what to do about one that did not come."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.archive import Archive
from tests.browser.conftest import Complaints

pytestmark = pytest.mark.browser


def panel(page: Page, heading: str) -> Locator:
    """A section by the heading that names it."""
    return page.get_by_role("region", name=heading, exact=True)


def test_the_page_tells_facts_and_story(page: Page, archive: Archive) -> None:
    page.goto(archive.page_of("image"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Image from Caio Figueira")
    facts = panel(page, "File")
    for words in ("image/jpeg", "SHA-256", "Sealed with the contact's own key", archive.slugs["image"]):
        expect(facts).to_contain_text(words)
    for words in ("Received through WhatsApp", "Captured, proven and sealed", "Made ready for playing"):
        expect(panel(page, "History")).to_contain_text(words)
    expect(panel(page, "History")).to_contain_text("Delivered to the CRM")
    expect(panel(page, "Caption")).to_contain_text("com o canto todo amassado")


def test_the_link_to_the_crm_opens_the_record_which_links_back(
    page: Page, archive: Archive, complaints: Complaints
) -> None:
    page.goto(archive.page_of("image"))
    with page.expect_popup() as opened:
        panel(page, "In the CRM").get_by_role("link", name="Media record").click()
    record = opened.value
    expect(record.get_by_role("heading", name="Caio Figueira")).to_be_visible()
    record.locator(f"a[href$='{archive.slugs['image']}']").first.click()
    record.wait_for_url(archive.page_of("image"))
    expect(record.get_by_role("heading", level=1)).to_have_text("Image from Caio Figueira")
    complaints.forgive(f"({archive.hubspot}/favicon.ico)")


def test_several_records_with_the_same_number_are_offered_and_none_is_guessed(
    page: Page, archive: Archive
) -> None:
    page.goto(archive.page_of("ambiguous"))
    crm = panel(page, "In the CRM")
    expect(crm).to_contain_text("Several records in the CRM have this number. Choose the right one.")
    crm.get_by_role("link", name="Decide who it is").click()
    expect(page.get_by_role("radio", name="Lia")).to_have_count(2)


def test_a_lost_file_says_why_in_words(page: Page, archive: Archive) -> None:
    page.goto(archive.page_of("lost"))
    awaited = panel(page, "This file could not be captured")
    expect(awaited).to_contain_text("WhatsApp itself could not get this file from the sender's phone.")
    expect(panel(page, "History")).to_contain_text("Received through WhatsApp")


def test_a_file_whose_time_ended_is_asked_for_again_by_a_button(page: Page, archive: Archive) -> None:
    page.goto(archive.page_of("gone"))
    awaited = panel(page, "This file could not be captured")
    expect(awaited).to_contain_text("WhatsApp no longer has this file")
    awaited.get_by_role("button", name="Try again now").click()
    expect(page.get_by_role("status").filter(has_text="trying to get this file again")).to_be_visible()
    expect(panel(page, "History")).to_contain_text("Capture asked for again")
    expect(panel(page, "This file could not be captured")).to_be_visible()


def test_copying_the_link_says_so(page: Page, archive: Archive) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(archive.page_of("image"))
    page.get_by_role("button", name="Copy the link").click()
    expect(page.get_by_text("Link copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == archive.page_of("image")


def test_health_names_the_lost_files_and_leads_to_them(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/health")
    panel(page, "Lost files").get_by_role("link", name="Video from Marina Duarte").click()
    page.wait_for_url(f"**/m/{archive.slugs['lost']}")


def test_pausing_and_resuming_a_number(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/integrations")
    numbers = panel(page, "WhatsApp numbers")
    numbers.get_by_role("button", name="Pause").click()
    expect(numbers).to_contain_text("Paused by hand.")
    numbers.get_by_role("button", name="Resume").click()
    expect(numbers).not_to_contain_text("Paused by hand.")


def test_reconnecting_with_nothing_pasted_changes_nothing_and_says_so(
    page: Page, archive: Archive, complaints: Complaints
) -> None:
    page.goto(f"{archive.url}/integrations")
    panel(page, "WhatsApp numbers").get_by_role("link", name="New secrets").click()
    page.get_by_role("button", name="Reconnect").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was pasted, so nothing changed.")
    complaints.forgive("status of 422")
