"""HTML, SVG, XML, scripts and files that are two things at once: whatever a customer sends, no browser runs it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Error, Page

from tests.browser.conftest import Complaints
from tests.browser.gallery import RAN, SCRIPTED_IN_CORPUS, Gallery, traps

pytestmark = pytest.mark.browser

NAMES = [*(trap.name for trap in traps("")), *SCRIPTED_IN_CORPUS]
BLOCKED = (
    "Refused to",
    "because its MIME type",
    "net::ERR_BLOCKED",
    "violat",
    "Failed to load resource",
    "sandbox",
)
"""What Chromium says on the console when it does as it is told."""


class Watch:
    """Whether anything of a file has run: a title, a dialog, a request to the canary."""

    def __init__(self, page: Page, gallery: Gallery) -> None:
        self._page, self._canary, self._before = page, gallery.canary, len(gallery.canary.asked)
        self._dialogs: list[str] = []
        page.on("dialog", lambda dialog: (self._dialogs.append(dialog.message), dialog.dismiss()))

    def signs(self) -> list[str]:
        self._page.wait_for_timeout(150)  # what has begun to run may still be on its way to the canary
        titles = [
            title
            for title in self._page.evaluate("[document.title, window.ran ? 'ran' : '']")
            if title in (RAN, "ran")
        ]
        return [*self._dialogs, *self._canary.asked[self._before :], *titles]


@pytest.fixture
def watch(gallery_page: Page, gallery: Gallery) -> Watch:
    return Watch(gallery_page, gallery)


def test_the_canary_sings_where_an_archive_is_careless(
    gallery_page: Page, gallery: Gallery, watch: Watch
) -> None:
    gallery_page.goto(gallery.canary.url.replace("/asked", "/careless"))
    gallery_page.wait_for_function("title => document.title === title", arg=RAN)
    assert {"/asked?script", "/asked?picture", "/asked?tag"} <= set(watch.signs())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ending", ["", "?download=1"])
def test_opened_by_its_address_it_is_shown_or_saved(
    gallery_page: Page, gallery: Gallery, watch: Watch, complaints: Complaints, name: str, ending: str
) -> None:
    is_saved = _open(gallery_page, gallery.bytes_of(name) + ending)
    assert is_saved or name.endswith(".jpg"), "only a picture is ever shown"
    assert is_saved or not ending
    assert watch.signs() == []
    _forgive(complaints)


def _open(page: Page, address: str) -> bool:
    """Whether the browser saved it instead of showing it."""
    try:
        with page.expect_download(timeout=1500):
            page.goto(address)
    except Error as error:
        if "Download is starting" in str(error):
            return True
        if "Timeout" in str(error):
            return False
        raise
    return True


@pytest.mark.parametrize("name", NAMES)
def test_put_into_a_page_of_ours_it_does_not_run_either(
    gallery_page: Page, gallery: Gallery, watch: Watch, complaints: Complaints, name: str
) -> None:
    """As if somebody had found a way to write a tag into our pages: our own policy would let it load from us."""
    gallery_page.goto(gallery.page_of(name))
    gallery_page.evaluate(
        """async (address) => {
          const tags = [["script", "src"], ["iframe", "src"], ["object", "data"], ["embed", "src"], ["img", "src"]];
          await Promise.all(tags.map(([tag, attribute]) => new Promise((over) => {
            const element = document.createElement(tag);
            element.onload = element.onerror = over;
            element[attribute] = address;
            document.body.append(element);
            setTimeout(over, 700);
          })));
        }""",
        gallery.bytes_of(name),
    )
    assert watch.signs() == []
    _forgive(complaints)


def _forgive(complaints: Complaints) -> None:
    for part in BLOCKED:
        complaints.forgive(part)
