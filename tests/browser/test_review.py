"""Who is who in a CRM and why a file is not there, as people settle it: with keys, in Portuguese too, on wide and narrow screens."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from acervo.crms.hubspot.api import HUBSPOT_API_VERSION
from sandbox.whatsapp import Customer
from tests.browser.archive import TOKEN, Archive, Sent, two_contacts_with_one_number
from tests.browser.test_accessibility import violations
from tests.house import wait_for

pytestmark = pytest.mark.browser
DORA = Customer("Dora Pimentel", phone="551155550120", user_id="BR.10000000000000000120")
ENZO = Customer("Enzo Prado", phone="551155550121", user_id="BR.10000000000000000121")


def arrived(archive: Archive, customer: Customer, sample: str) -> str:
    """A file of this customer, prepared; its address."""
    media_id = archive.send(Sent(customer, sample))

    def slug() -> str:
        rows = [row for row in archive.rows() if row["provider_id"] == media_id and row["state"] == "ready"]
        return str(rows[0]["id"]) if rows else ""

    wait_for(slug, "prepared")
    return f"{archive.url}/m/{slug()}"


@pytest.fixture
def hubspot(archive: Archive) -> Iterator[httpx.Client]:
    """What somebody does in HubSpot itself."""
    with httpx.Client(base_url=archive.hubspot, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


def test_an_ambiguous_person_is_resolved_with_keys_and_taken_back(page: Page, archive: Archive) -> None:
    two_contacts_with_one_number(archive.hubspot, DORA)
    file = arrived(archive, DORA, "voz-mesa.ogg")
    page.goto(file)
    expect(page.get_by_role("region", name="In the CRM")).to_contain_text("Choose a record")
    page.get_by_role("link", name="Decide who it is").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Who is Dora Pimentel in "))
    candidates = page.locator(".cand")
    expect(candidates).to_have_count(2)
    expect(candidates.first).to_contain_text("Has the number")
    assert violations(page) == []
    page.keyboard.press("2")
    expect(candidates.nth(1).get_by_role("radio")).to_be_checked()
    page.keyboard.press("n")
    expect(page.get_by_role("radio", name="Make a new contact")).to_be_checked()
    page.keyboard.press("1")
    chosen = candidates.first.locator("b").inner_text()
    page.get_by_label("Why (for the audit)").fill("she told me")
    page.get_by_role("button", name="Decide, next").click()
    expect(page.get_by_text("The files that waited are on their way")).to_be_visible()
    page.goto(file)
    expect(page.get_by_role("region", name="In the CRM")).to_contain_text("Delivered")
    assert chosen
    page.goto(f"{archive.url}/review/decided")
    assert violations(page) == []
    expect(page.locator("#main")).to_contain_text("she told me")
    page.get_by_role("button", name=re.compile("^Take back.*Dora Pimentel")).click()
    expect(page.get_by_text("This contact waits for an answer again.")).to_be_visible()
    page.goto(file)
    expect(page.get_by_role("region", name="In the CRM")).to_contain_text("Choose a record")


def test_why_a_file_is_not_in_the_crm_is_said_and_mended_from_the_list(
    page: Page, archive: Archive, hubspot: httpx.Client
) -> None:
    first = arrived(archive, ENZO, "voz-obrigado.ogg")
    page.goto(first)
    panel = page.get_by_role("region", name="In the CRM")
    expect(panel).to_contain_text("Delivered")
    contact = panel.get_by_role("link", name=ENZO.name).get_attribute("href") or ""
    gone = hubspot.delete(f"/crm/objects/{HUBSPOT_API_VERSION}/contacts/{contact.rpartition('/')[2]}")
    gone.raise_for_status()
    second = arrived(archive, ENZO, "voz-entrega.ogg")
    page.goto(second)
    panel = page.get_by_role("region", name="In the CRM")
    expect(panel).to_contain_text("Somebody removed this record in the CRM")
    page.goto(f"{archive.url}/integrations")
    page.get_by_role("region", name="CRMs").get_by_role("link", name=re.compile("^[0-9]+$")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Not in")
    page.get_by_role("link", name=re.compile("^Removed in the CRM")).click()
    assert violations(page) == []
    page.get_by_role("checkbox", name=re.compile(ENZO.name)).check()
    page.get_by_role("button", name="Try the ticked again").click()
    expect(page.get_by_text("1 file is tried again now.")).to_be_visible()
    page.goto(second)
    expect(page.get_by_role("region", name="In the CRM")).to_contain_text("Delivered")


def test_the_crm_is_looked_at_now_and_the_page_follows(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/integrations")
    page.get_by_role("region", name="CRMs").get_by_role("link", name="Reconciliation").click()
    page.get_by_role("button", name="Look now").click()
    last = page.get_by_role("region", name="The last pass")
    expect(last).to_contain_text("In place", timeout=60_000)
    assert violations(page) == []
    page.get_by_role("radio", name="Ask", exact=False).last.check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()


@pytest.mark.parametrize("width", [320, 768, 1440])
def test_none_of_these_pages_scrolls_sideways(page: Page, archive: Archive, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{archive.url}/integrations")
    where = page.get_by_role("region", name="CRMs").get_by_role("link", name="Reconciliation")
    for address in ("/review", "/review/decided", str(where.get_attribute("href"))):
        page.goto(f"{archive.url}{address}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
