"""Each of the four CRMs connected from the page, through its simulator: what would be made is seen first, then made, the
first file goes there, and the mapping is tried on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from sandbox.zendesk.account import CLIENT_ID
from tests.browser.archive import Archive
from tests.browser.conftest import PHONE, WIDE, Complaints
from tests.browser.test_accessibility import violations
from tests.browser.test_connecting import fits

pytestmark = pytest.mark.browser
SECRET = "s3cr3t-browser-simulated"


@dataclass(frozen=True, slots=True)
class Side:
    """A CRM as the page meets it."""

    typed: dict[str, str]
    arguments: tuple[str, ...]


SIDES = {
    "hubspot": Side({"token": SECRET}, ("--token", SECRET)),
    "salesforce": Side(
        {"domain": "aurora.my.salesforce.com", "client_id": "3MVG9-browser", "client_secret": SECRET},
        ("--client-id", "3MVG9-browser", "--client-secret", SECRET),
    ),
    "zendesk": Side({"subdomain": "aurora", "client_id": CLIENT_ID, "secret": SECRET}, ("--secret", SECRET)),
    "zoho": Side(
        {"client_id": "1000.SIMULATED", "client_secret": "simulated-secret", "grant_code": "1000.code"},
        ("--refresh-token", SECRET, "--grant-code", "1000.code"),
    ),
}


@pytest.mark.parametrize("kind", SIDES)
def test_a_crm_is_connected_seen_made_and_its_mapping_tried(
    new_context: Callable[..., Any],
    without_crm: Archive,
    signed_in_without_crm: Any,
    complaints: Complaints,
    kind: str,
) -> None:
    width = PHONE if kind in ("zendesk", "zoho") else WIDE
    page = new_context(storage_state=signed_in_without_crm, viewport=width).new_page()
    arguments = (*SIDES[kind].arguments, "--search-lag-s", "0")
    with without_crm.home.sandbox(f"sandbox.{kind}", *arguments) as address:
        page.goto(f"{without_crm.url}/integrations")
        page.locator("a[href='/settings/crms/new']").first.click()
        page.locator(f"a[href='/settings/crms/new/{kind}']").click()
        page.wait_for_url(f"**/new/{kind}")
        fits(page)
        give_access(page, kind, address)
        expect(page.locator("#make")).to_be_visible()
        missing = page.locator("[aria-labelledby=t-new] [data-field]").count()
        assert missing > 5
        fits(page)
        assert violations(page) == []
        page.locator("#make").click()
        expect(page.locator("#onward-go")).to_be_visible()
        assert page.locator("[aria-labelledby=t-made] [data-field]").count() == missing
        page.locator("#onward-go").click()
        page.wait_for_url("**/start")
        fits(page)
        assert violations(page) == []
        page.locator("#start-go").click()
        expect(page.locator("[data-check=first]")).to_have_attribute("data-state", "ok")
        page.locator("main a[href$='/mapping']").first.click()
        page.wait_for_url("**/mapping")
        try_mapping(page)
        fits(page)
        assert violations(page) == []
        put_copies(page, kind, address)


def give_access(page: Page, kind: str, address: str) -> None:
    for name, value in SIDES[kind].typed.items():
        page.locator(f"[name={name}]").fill(value)
    page.locator("main details summary").last.click()
    page.locator("[name=api_base]").fill(address)
    page.locator("main form button[type=submit]").first.click()
    page.wait_for_url("**/fields")


def try_mapping(page: Page) -> None:
    """Seen before it is saved; a film that does not fit would not go."""
    title = page.locator("[data-value='media.title']")
    expect(title).to_be_visible()
    page.locator("[name='form.media.title']").select_option("upper")
    expect(title).to_have_text(title.inner_text().upper())
    page.locator("[name='go.video']").select_option("some")
    page.locator("[name='query.video']").fill("girafa")
    films = page.locator("#pv-file option", has_text="Video")
    page.locator("#pv-file").select_option(films.first.get_attribute("value"))
    expect(page.locator("[data-goes=no]")).to_be_visible()
    page.locator("[name=reason]").fill("Films stay here")
    page.locator("#save").click()
    expect(page.get_by_text("Version 1 by")).to_be_visible()
    expect(page.locator("[name='form.media.title']")).to_have_value("upper")


def put_copies(page: Page, kind: str, address: str) -> None:
    """The file itself into the CRM, chosen with a reason, seen there, and taken out again."""
    page.locator("[name='bytes.voice']").check()
    page.locator("[name=reason]").fill("The record stands alone")
    page.locator("#save").click()
    expect(page.get_by_text("Version 2 by")).to_be_visible()
    page.locator("main a[href$='/copies']").click()
    page.wait_for_url("**/copies")
    fits(page)
    assert violations(page) == []
    if (
        kind == "zendesk"
    ):  # where files have records of their own, bytes hang on tickets, and this file has none
        expect(page.get_by_text("hangs on a ticket")).to_be_visible()
        expect(page.locator("#copy-earlier")).to_have_count(0)
        return
    assert "voice-" not in httpx.get(address).text
    page.locator("#copy-earlier").click()
    expect(page.locator("#there")).to_contain_text("1 ·")
    assert "voice-" in httpx.get(address).text
    fits(page)
    assert violations(page) == []
    page.locator("[name=sure]").check()
    page.locator("#remove").click()
    expect(page.locator("#there")).to_have_text("0")
