"""One running archive and one Chromium for all browser tests, and a page that reports whatever it complains about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from tests.browser import chromium
from tests.browser.archive import EMAIL, PASSWORD, Archive, bare, stocked
from tests.browser.gallery import Gallery, filled

WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 45_000

REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI}`));
"""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests side by side: while Playwright's loop runs in this thread, neither asyncio nor Django may start
    another. It ends with the last of them."""
    items.sort(key=lambda item: item.path.is_relative_to(__file__.rpartition("/")[0]))


@pytest.fixture(scope="package")
def executable() -> str:
    return chromium.find_or_skip()


@pytest.fixture(scope="package")
def archive(executable: str) -> Iterator[Archive]:
    with stocked() as made:
        yield made


@pytest.fixture(scope="package")
def gallery(executable: str) -> Iterator[Gallery]:
    with filled() as made:
        yield made


@pytest.fixture(scope="package")
def without_crm(executable: str) -> Iterator[Archive]:
    """To connect CRMs to, each beside those of other tests."""
    with bare() as made:
        yield made


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        expect.set_options(timeout=PATIENCE_MS)
        yield started


@pytest.fixture(scope="package")
def browser(playwright: Playwright, executable: str) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=executable, args=list(chromium.FLAGS))
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def signed_in(browser: Browser, archive: Archive) -> Any:
    """The cookies of an administrator."""
    return _cookies(browser, archive)


@pytest.fixture(scope="package")
def signed_in_without_crm(browser: Browser, without_crm: Archive) -> Any:
    """The same, of the archive without a CRM."""
    return _cookies(browser, without_crm)


def _cookies(browser: Browser, archive: Archive) -> Any:
    context = browser.new_context()
    sign_in(context.new_page(), archive, EMAIL)
    state = context.storage_state()
    context.close()
    return state


def sign_in(page: Page, archive: Archive, email: str, password: str = PASSWORD) -> None:
    page.goto(f"{archive.url}/sign-in")
    page.locator("#id_login").fill(email)
    page.locator("#id_password").fill(password)
    page.locator("#id_password").press("Enter")
    page.wait_for_url("**/library")


class Complaints(list[str]):
    """What pages said on the console, and errors nobody caught; empty at the end of every test."""

    def listen(self, page: Page) -> None:
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        # How soon a font is drawn after it came tells of the machine, not of the page.
        if "was preloaded using link preload but not used" in message.text:
            return
        if message.type in ("error", "warning"):
            self.append(f"{message.text} ({message.location.get('url', '')})")

    def forgive(self, part: str) -> None:
        """A complaint the test has provoked."""
        self[:] = [one for one in self if part not in one]


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    heard = Complaints()
    yield heard
    assert not heard


@pytest.fixture
def new_context(browser: Browser, complaints: Complaints) -> Iterator[Callable[..., BrowserContext]]:
    """`new_context(storage_state=…)`: as Playwright's own, closed at the end, its pages listened to."""
    made: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(**{"viewport": WIDE, "reduced_motion": "reduce", **options})
        context.set_default_timeout(PATIENCE_MS)
        if options.get("java_script_enabled", True):
            context.add_init_script(REPORT_VIOLATIONS)
        context.on("page", complaints.listen)
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()


@pytest.fixture
def page(new_context: Callable[..., BrowserContext], signed_in: Any) -> Page:
    """A page of a signed-in administrator."""
    return new_context(storage_state=signed_in).new_page()


@pytest.fixture(scope="package")
def gallery_visitor(browser: Browser, gallery: Gallery) -> Iterator[BrowserContext]:
    """One signed-in administrator for all files of the gallery."""
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce", accept_downloads=True)
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(REPORT_VIOLATIONS)
    page = context.new_page()
    sign_in(page, gallery.archive, EMAIL)
    page.close()
    yield context
    context.close()


@pytest.fixture
def gallery_page(gallery_visitor: BrowserContext, complaints: Complaints) -> Iterator[Page]:
    """A page of its own for each file."""
    page = gallery_visitor.new_page()
    complaints.listen(page)
    yield page
    page.close()


@pytest.fixture
def stranger(new_context: Callable[..., BrowserContext]) -> Page:
    """A page of nobody in particular."""
    return new_context().new_page()
