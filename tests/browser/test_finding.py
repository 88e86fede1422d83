"""The library: who may enter, files that arrive while somebody looks, and finding one among them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from sandbox.people import BIANCA
from tests.browser.archive import EMAIL, Archive, Sent
from tests.browser.conftest import PHONE, WIDE, Complaints, sign_in

pytestmark = pytest.mark.browser

DOCUMENTS = re.compile("^Document")
WIDTHS = (320, 390, 768, 1440)


def test_a_wrong_password_says_so_and_the_right_one_opens_the_page_that_was_asked_for(
    stranger: Page, archive: Archive
) -> None:
    stranger.goto(f"{archive.url}/health")
    assert parse_qs(urlsplit(stranger.url).query)["next"] == ["/health"]
    for password in ("not the password", "correct horse battery"):
        stranger.get_by_label("E-mail").fill(EMAIL)
        stranger.get_by_label("Password").fill(password)
        stranger.get_by_role("button", name="Sign in").click()
        if password.startswith("not"):
            expect(stranger.get_by_role("alert")).to_contain_text("not correct")
            expect(stranger.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    stranger.wait_for_url("**/health")
    expect(stranger.get_by_role("heading", level=1, name="Health")).to_be_attached()


@pytest.mark.parametrize(
    "path", ["/", "/library", "/m/{voice}", "/contacts", "/integrations", "/health", "/me"]
)
def test_whoever_is_signed_out_is_asked_to_sign_in(stranger: Page, archive: Archive, path: str) -> None:
    stranger.goto(archive.url + path.format(**archive.slugs))
    assert urlsplit(stranger.url).path == "/sign-in"


def test_signing_out_ends_the_session(stranger: Page, archive: Archive) -> None:
    sign_in(stranger, archive, EMAIL)
    stranger.get_by_role("button", name="Account of").click()
    stranger.get_by_role("button", name="Sign out").click()
    stranger.wait_for_url("**/sign-in*")
    stranger.goto(f"{archive.url}/library")
    assert urlsplit(stranger.url).path == "/sign-in"


def test_a_file_arrives_in_the_open_library_and_becomes_playable_without_a_reload(
    page: Page, archive: Archive
) -> None:
    page.goto(f"{archive.url}/library")
    page.evaluate("window.neverReloaded = true")
    before = page.locator(".card").count()
    newest = page.locator(".card").first.get_attribute("id")
    archive.send(Sent(BIANCA, "voz-obrigado.ogg"))
    expect(page.locator(".card")).to_have_count(before + 1)
    arrived = page.locator(".card").first
    expect(arrived).not_to_have_attribute("id", str(newest))
    expect(arrived).to_contain_text("Bianca Lemos")
    expect(arrived.locator("media-player")).to_be_visible()
    expect(arrived.get_by_text("Delivered")).to_be_visible()
    assert page.evaluate("window.neverReloaded")


def test_filtering_by_type_narrows_the_list_and_a_chip_widens_it_again(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/library")
    everything = page.locator(".card").count()
    page.get_by_role("checkbox", name=DOCUMENTS).check()
    page.wait_for_url("**kind=document**")
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator("#sum")).to_have_text("1 file")
    page.get_by_role("link", name="Remove the filter").click()
    expect(page.locator(".card")).to_have_count(everything)
    expect(page.get_by_role("checkbox", name=DOCUMENTS)).not_to_be_checked()


def test_clearing_takes_every_filter_and_the_words_away(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/library?kind=document&crm=delivered&q=otavio")
    expect(page.locator(".card")).to_have_count(1)
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url("**/library")
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("")
    expect(page.get_by_role("checkbox", name=DOCUMENTS)).not_to_be_checked()
    expect(page.locator(f"#c-{archive.slugs['voice']}")).to_be_visible()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("otavio", "document"),
        ("SO O BARULHO", "video"),
        ("contrato fibra", "document"),
        ("falcao", "other voice"),
    ],
)
def test_searching_by_person_caption_or_file_name_ignores_accents_and_case(
    page: Page, archive: Archive, words: str, found: str
) -> None:
    page.goto(f"{archive.url}/library")
    page.get_by_role("searchbox", name="Search").press_sequentially(words)
    page.wait_for_url(lambda address: parse_qs(urlsplit(address).query).get("q") == [words])
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator(f"#c-{archive.slugs[found]}")).to_be_visible()
    page.go_back()
    expect(page.locator(f"#c-{archive.slugs['image']}")).to_be_visible()


@pytest.mark.parametrize(("state", "found"), [("Not delivered", "ambiguous"), ("Delivered", "voice")])
def test_filtering_by_what_became_of_it_in_the_crm(
    page: Page, archive: Archive, state: str, found: str
) -> None:
    page.goto(f"{archive.url}/library")
    page.get_by_role("group", name="In the CRM").get_by_label(re.compile(f"^{state}")).check()
    page.wait_for_url("**crm=**")
    expect(page.locator(f"#c-{archive.slugs[found]}")).to_be_visible()
    expect(page.locator(f"#c-{archive.slugs['ambiguous']}")).to_have_count(1 if found == "ambiguous" else 0)


def test_nothing_found_says_so_and_offers_the_way_back(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/library?q=zeppelin")
    expect(page.get_by_role("heading", name="Nothing fits these words")).to_be_visible()
    page.get_by_role("link", name="Show all files").click()
    expect(page.locator(f"#c-{archive.slugs['voice']}")).to_be_visible()


def test_the_grid_becomes_a_list_and_filters_stay(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/library?kind=image")
    cards = page.locator(".card")
    tops = [cards.nth(place).bounding_box()["y"] for place in (0, 1)]
    assert tops[0] == tops[1]
    page.get_by_role("link", name="List", exact=True).click()
    page.wait_for_url("**view=list**")
    expect(page.get_by_role("checkbox", name=re.compile("^Image"))).to_be_checked()
    tops = [cards.nth(place).bounding_box()["y"] for place in (0, 1)]
    assert tops[0] < tops[1]


def test_all_files_of_a_contact_stand_on_one_page(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/contacts?q=caio")
    page.get_by_role("link", name="Caio Figueira").click()
    expect(page.get_by_role("heading", level=1, name="Caio Figueira")).to_be_visible()
    expect(page.locator(".card")).to_have_count(2)
    expect(page.get_by_text("+55 11 5555-0103")).to_be_visible()


def test_no_page_scrolls_sideways(page: Page, archive: Archive, complaints: Complaints) -> None:
    too_wide = {}
    for name, address in pages(archive).items():
        page.goto(address)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            over = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            if over > 0:
                too_wide[name, width] = over
    assert not too_wide, "px beyond the edge"
    complaints.forgive("status of 404")


def test_on_a_phone_the_filters_are_a_sheet(page: Page, archive: Archive) -> None:
    page.set_viewport_size(PHONE)
    page.goto(f"{archive.url}/library")
    expect(page.get_by_role("group", name="Type")).to_be_hidden()
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("group", name="Type").get_by_label("Sticker").check()
    page.wait_for_url("**kind=sticker**")
    page.get_by_role("button", name="Close the filters").click()
    expect(page.locator(f"#c-{archive.slugs['sticker']}")).to_be_visible()


def test_without_javascript_the_library_lists_filters_and_links(
    new_context: Callable[..., BrowserContext], signed_in: Any, archive: Archive
) -> None:
    page = new_context(storage_state=signed_in, java_script_enabled=False, viewport=WIDE).new_page()
    page.goto(f"{archive.url}/library")
    page.get_by_role("checkbox", name=DOCUMENTS).check()
    page.get_by_role("button", name="Apply").click()
    assert "kind=document" in page.url
    assert page.locator(".card").count() == 1
    page.locator(".card__link").click()
    assert re.search(r"/m/\w{26}$", page.url)
    assert page.get_by_role("link", name="Download").count() > 0
    page.goto(archive.page_of("voice"))
    assert page.locator("audio[controls]").count() == 1


def pages(archive: Archive) -> dict[str, str]:
    """Every page there is, by what is on it."""
    return {
        "library": f"{archive.url}/library",
        "library as list": f"{archive.url}/library?view=list",
        "nothing found": f"{archive.url}/library?q=zeppelin&kind=voice",
        **{f"file: {name}": archive.page_of(name) for name in archive.slugs},
        "contacts": f"{archive.url}/contacts",
        "nobody found": f"{archive.url}/contacts?q=zeppelin",
        "health": f"{archive.url}/health",
        "integrations": f"{archive.url}/integrations",
        "me": f"{archive.url}/me",
        "password": f"{archive.url}/me/password",
        "media settings": f"{archive.url}/settings/media",
        "remakes": f"{archive.url}/settings/remakes",
        "storage": f"{archive.url}/settings/storage",
        "not found": f"{archive.url}/nothing/here",
    }
