"""Every good file of the corpus plays or shows in a real browser, from its beginning and from its middle."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.gallery import GOOD, Gallery
from tests.browser.test_playing import expect_to_play, heard, position, seek_to_the_middle

pytestmark = pytest.mark.browser


def of_kind(*kinds: str) -> list[str]:
    return [name for name, entry in GOOD.items() if entry["kind"] in kinds]


def test_the_corpus_has_something_of_every_kind() -> None:
    assert {entry["kind"] for entry in GOOD.values()} == {
        "voice",
        "audio",
        "video",
        "image",
        "sticker",
        "document",
    }
    assert len(GOOD) >= 26


@pytest.mark.parametrize("name", of_kind("voice", "audio"))
def test_every_sound_plays_and_seeks(gallery_page: Page, gallery: Gallery, name: str) -> None:
    answers = heard(gallery_page)
    gallery_page.goto(gallery.page_of(name))
    player = gallery_page.locator("media-player.player")
    player.get_by_role("button", name="Play", exact=True).click()
    expect_to_play(gallery_page)
    length = gallery_page.evaluate("document.querySelector('now-playing audio').duration")
    assert length == pytest.approx(GOOD[name]["duration"], abs=1)
    seek_to_the_middle(player.locator("input[type=range]"))
    expect_to_play(gallery_page, beyond_s=length * 0.45)
    assert position(gallery_page) < length
    assert {answer.status for answer in answers} == {206}


@pytest.mark.parametrize("name", of_kind("video"))
def test_every_film_plays_with_a_picture_and_seeks(gallery_page: Page, gallery: Gallery, name: str) -> None:
    answers = heard(gallery_page)
    gallery_page.goto(gallery.page_of(name))
    expect(gallery_page.locator("video")).to_have_attribute("poster", f"/play/{gallery.slugs[name]}/poster")
    player = gallery_page.locator("video-stage media-player")
    player.get_by_role("button", name="Play", exact=True).click()
    expect_to_play(gallery_page, "video")
    length, width = gallery_page.evaluate(
        "(({ duration, videoWidth }) => [duration, videoWidth])(document.querySelector('video'))"
    )
    assert length == pytest.approx(GOOD[name]["duration"], abs=1)
    assert width > 0, "sound without a picture"
    seek_to_the_middle(player.locator("input[type=range]"))
    gallery_page.wait_for_function(
        "(from) => document.querySelector('video').currentTime > from", arg=length * 0.45
    )
    assert {answer.status for answer in answers} == {206}


@pytest.mark.parametrize("name", of_kind("image", "sticker"))
def test_every_picture_shows(gallery_page: Page, gallery: Gallery, name: str) -> None:
    gallery_page.goto(gallery.page_of(name))
    gallery_page.wait_for_function("() => document.querySelector('.viewer img').naturalWidth > 0")


def test_a_pdf_shows_as_a_picture_of_its_page(gallery_page: Page, gallery: Gallery) -> None:
    gallery_page.goto(gallery.page_of("doc.pdf"))
    gallery_page.wait_for_function("() => document.querySelector('.viewer--pages img').naturalWidth > 0")
    assert gallery_page.locator("iframe, embed, object").count() == 0


@pytest.mark.parametrize("name", of_kind("document"))
def test_every_document_is_downloaded_as_it_came(gallery_page: Page, gallery: Gallery, name: str) -> None:
    gallery_page.goto(gallery.page_of(name))
    with gallery_page.expect_download() as download:
        gallery_page.locator(".filecard").get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == name
    assert download.value.path().stat().st_size == GOOD[name]["size"]
