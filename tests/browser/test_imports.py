"""An old chat brought in as an administrator does it, on a desk and on a phone: uploaded, decided about, watched, taken out."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.archive import Archive
from tests.browser.conftest import PHONE, WIDE, Complaints
from tests.browser.test_accessibility import violations

pytestmark = pytest.mark.browser

PAYLOADS = Path(__file__).parents[1] / "imports" / "payloads"
ANDROID = PAYLOADS / "Conversa do WhatsApp com Ana Teste.zip"
SPOOFED = PAYLOADS / "spoofed_header_inside_message.txt"


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["desk", "phone"])
def test_a_chat_is_uploaded_brought_in_and_taken_out(
    page: Page, archive: Archive, size: dict[str, int]
) -> None:
    page.set_viewport_size(size)
    page.goto(f"{archive.url}/integrations")
    page.get_by_role("link", name="Bring in old chats").click()
    expect(page.get_by_role("heading", name="Upload an export")).to_be_visible()
    assert violations(page) == []
    fits(page)
    page.get_by_label("The file WhatsApp made").set_input_files(ANDROID)
    page.get_by_label("Their phone number").fill("+55 11 5555-0190")
    page.get_by_role("button", name="Look into it").click()
    expect(page.get_by_text("Nothing is brought in yet.")).to_be_visible()
    expect(page.get_by_role("heading", name="Chat with Ana Teste")).to_be_visible()
    assert violations(page) == []
    fits(page)
    page.get_by_label("Bia Loja").check()
    page.evaluate("window.neverReloaded = true")
    page.get_by_role("button", name="Bring it in").click()
    expect(page.get_by_text("Brought in", exact=True)).to_be_visible(timeout=60_000)
    expect(page.get_by_text("It proves nothing, and never a consent.")).to_be_visible()
    expect(page.get_by_role("region", name="Files that are not in the export")).to_contain_text("Bia Loja")
    assert violations(page) == []
    fits(page)
    page.get_by_role("button", name="Take it out again").click()
    expect(page.get_by_text("Everything this import brought is gone, with 6 files.")).to_be_visible(
        timeout=60_000
    )
    assert page.evaluate("window.neverReloaded")


def test_two_readings_are_shown_and_a_broken_archive_is_refused_in_words(
    page: Page, archive: Archive, complaints: Complaints, tmp_path: Path
) -> None:
    page.set_viewport_size(PHONE)
    page.goto(f"{archive.url}/integrations/import")
    broken = tmp_path / "WhatsApp Chat with Ana.zip"
    broken.write_bytes(ANDROID.read_bytes()[:500])
    page.get_by_label("The file WhatsApp made").set_input_files(broken)
    page.get_by_role("button", name="Look into it").click()
    expect(page.get_by_role("alert")).to_contain_text("damaged or not complete")
    assert violations(page) == []
    page.get_by_label("The file WhatsApp made").set_input_files(SPOOFED)
    page.get_by_label("The contact", exact=True).fill("Ana Teste")
    page.get_by_role("button", name="Look into it").click()
    readings = page.get_by_role("group", name="When was it?")
    expect(readings.get_by_label("Day first: 5 October 2026")).to_be_visible()
    expect(readings.get_by_label("Month first: 10 May 2026")).to_be_visible()
    complaints.forgive("status of 422")
    assert violations(page) == []
    fits(page)
    page.get_by_role("button", name="Throw it away").click()
    expect(page.get_by_text("Taken out", exact=True)).to_be_visible(timeout=60_000)


def fits(page: Page) -> None:
    """It does not scroll sideways."""
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
