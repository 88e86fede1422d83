"""Language, theme and keyboard: how each reader likes it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.archive import SECOND_EMAIL, Archive
from tests.browser.conftest import sign_in

pytestmark = pytest.mark.browser

LANGUAGES = {
    "pt-br": ("Biblioteca", "Contatos"),
    "es": ("Biblioteca", "Contactos"),
    "en": ("Library", "Contacts"),
}


@pytest.fixture
def second(stranger: Page, archive: Archive) -> Page:
    """Somebody whose settings nobody else sees."""
    sign_in(stranger, archive, SECOND_EMAIL)
    return stranger


def test_the_language_switch_changes_the_words_and_what_the_page_says_it_speaks(second: Page) -> None:
    for code, (library, contacts) in LANGUAGES.items():
        second.locator("[popovertarget=more][aria-label]").click()
        second.locator(f"#more button[name=language][value='{code}']").click()
        expect(second.locator("html")).to_have_attribute("lang", code)
        rail = second.get_by_role("navigation").first
        expect(rail.get_by_role("link", name=library, exact=True)).to_be_visible()
        expect(rail.get_by_role("link", name=contacts, exact=True)).to_be_visible()


def test_the_sign_in_page_speaks_the_chosen_language_too(stranger: Page, archive: Archive) -> None:
    stranger.goto(f"{archive.url}/sign-in")
    stranger.locator("button[name=language][value='pt-br']").click()
    expect(stranger.locator("html")).to_have_attribute("lang", "pt-br")
    expect(stranger.get_by_label("Senha")).to_be_visible()


def test_the_theme_switch_is_printed_by_the_server_and_changes_the_page(second: Page) -> None:
    papers = {}
    for theme in ("dark", "light"):
        second.locator("[popovertarget=more][aria-label]").click()
        second.locator(f"#more button[name=theme][value={theme}]").click()
        expect(second.locator("html")).to_have_attribute("data-theme", theme)
        second.wait_for_load_state()  # the attribute is there before the style sheet is
        papers[theme] = second.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert papers["dark"] != papers["light"]
    second.reload()
    expect(second.locator("html")).to_have_attribute("data-theme", "light")


def test_settings_are_kept(second: Page, archive: Archive) -> None:
    second.goto(f"{archive.url}/me")
    # By their names: a test before may have left the page in another language.
    second.locator("main [name=language]").select_option("en")
    second.locator("main [name=time_zone]").select_option("America/Sao_Paulo")
    second.locator("main [name=name]").fill("Segunda Pessoa")
    second.locator("main form:has([name=time_zone]) button[type=submit]").click()
    expect(second.get_by_text("Saved.")).to_be_visible()
    expect(second.get_by_label("Time zone")).to_have_value("America/Sao_Paulo")


def test_a_library_is_read_and_heard_by_keys_alone(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/library?kind=voice")
    expect(page.locator("now-playing")).to_be_attached()
    links = page.locator(".card__link")
    page.keyboard.press("j")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator(".card.is-playing")).to_have_count(1)
    expect(page.get_by_role("region", name="Now playing")).to_be_visible()
    page.keyboard.press("Space")
    expect(page.locator(".card.is-playing")).to_have_count(0)
    page.keyboard.press("Enter")
    page.wait_for_url("**/m/*")


def test_search_takes_the_focus_and_gives_it_back(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/library")
    field = page.get_by_role("searchbox", name="Search")
    expect(page.locator("now-playing")).to_be_attached()
    page.keyboard.press("/")
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    page.keyboard.press("j")
    expect(field).to_have_value("j")
    page.keyboard.press("Escape")
    expect(field).not_to_be_focused()


def test_the_list_of_keys_opens_closes_and_can_switch_them_off(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/library")
    shortcuts = page.get_by_role("heading", name="Keyboard shortcuts")
    page.keyboard.press("?")
    expect(shortcuts).to_be_visible()
    page.keyboard.press("Escape")
    expect(shortcuts).to_be_hidden()
    page.keyboard.press("?")
    page.get_by_label("Single-key shortcuts on this device").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(shortcuts).to_be_hidden()
    page.keyboard.press("j")
    expect(page.locator(".card__link").first).not_to_be_focused()


def test_the_first_stop_of_the_tab_key_skips_to_the_content(page: Page, archive: Archive) -> None:
    page.goto(f"{archive.url}/library")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
