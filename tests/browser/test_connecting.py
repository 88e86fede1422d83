"""A number connected from the page, through each provider's simulator, until its first file is kept; then removed again."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from sandbox import bird, dialog360, messagebird, samples, twilio
from sandbox.people import MARINA
from sandbox.whatsapp import Phone, RemoteSandbox, Sender, SignedWebhook, message, webhook
from tests.browser.archive import EMAIL, PASSWORD, SECOND_EMAIL, Archive
from tests.browser.conftest import PHONE, WIDE, Complaints, sign_in
from tests.browser.test_accessibility import violations
from tests.house import House, house

pytestmark = pytest.mark.browser

META, D360 = Phone(), dialog360.Number()
ACCOUNT, CHANNEL, OLD_CHANNEL = twilio.Account(), bird.Channel(), messagebird.Channel()
NUMBER = {"account_id": META.phone_number_id}

Says = Callable[[RemoteSandbox, dict[str, Any]], Awaitable[tuple[str, SignedWebhook]]]
"""What is registered at the provider, then: the address it knocks at, and a voice note on its way there."""


async def _meta(side: RemoteSandbox, desk: dict[str, Any]) -> tuple[str, SignedWebhook]:
    file = await side.add(*samples.read("voz-entrega.ogg"), phone=META)
    url = desk["registered"][META.phone_number_id]["url"]
    return url, webhook([message(MARINA, file=file, kind="audio", voice=True)], phone=META)


async def _dialog360(side: RemoteSandbox, desk: dict[str, Any]) -> tuple[str, SignedWebhook]:
    file = await side.add(*samples.read("voz-entrega.ogg"), phone=D360)
    there = desk["registered"][D360.phone_number_id]
    note = webhook([message(MARINA, file=file, kind="audio", voice=True)], phone=D360)
    return there["url"], dialog360.headed(note, there["headers"])


async def _twilio(side: RemoteSandbox, desk: dict[str, Any]) -> tuple[str, SignedWebhook]:
    file = await side.add(*samples.read("voz-entrega.ogg"), phone=ACCOUNT.as_phone())
    url = desk["webhooks"][ACCOUNT.number]["callback_url"]
    said = twilio.message(MARINA, base_url=side.base_url, files=(file,))
    return url.partition("#")[0], twilio.webhook(said, url)


async def _messagebird(side: RemoteSandbox, desk: dict[str, Any]) -> tuple[str, SignedWebhook]:
    file = await side.add(*samples.read("voz-entrega.ogg"), phone=OLD_CHANNEL.as_phone())
    url = desk["webhooks"][-1]["url"]
    return url, messagebird.signed(messagebird.message(MARINA, base_url=side.base_url, file=file), url)


async def _bird(side: RemoteSandbox, desk: dict[str, Any]) -> tuple[str, SignedWebhook]:
    file = await side.add(*samples.read("voz-entrega.ogg"), phone=CHANNEL.as_phone())
    inbound = next(one for one in desk["subscriptions"] if one["event"] == "whatsapp.inbound")
    channel = bird.Channel(signing_key=inbound["signingKey"])
    said = bird.message(MARINA, base_url=side.base_url, files=(file,))
    return inbound["url"], bird.webhook(said, inbound["url"], channel=channel)


@dataclass(frozen=True, slots=True)
class Side:
    """A provider as the wizard meets it."""

    typed: dict[str, str]
    says: Says
    module: str
    remote: type[RemoteSandbox] = RemoteSandbox
    asks_to_replace: bool = False
    """Another address is registered there already."""


SIDES = {
    "meta_cloud": Side(
        NUMBER | {"waba_id": META.waba_id, "token": META.access_token, "app_secret": META.app_secret},
        _meta, "sandbox.whatsapp", asks_to_replace=True,
    ),
    "twilio": Side(
        {"account_id": "+1 555 555-0123", "account_sid": ACCOUNT.account_sid, "auth_token": ACCOUNT.auth_token},
        _twilio, "sandbox.twilio", twilio.RemoteTwilio,
    ),
    "dialog360": Side(NUMBER | {"api_key": D360.access_token}, _dialog360, "sandbox.dialog360"),
    "messagebird": Side(
        {"account_id": OLD_CHANNEL.channel_id, "access_key": OLD_CHANNEL.access_key, "signing_key": OLD_CHANNEL.signing_key},
        _messagebird, "sandbox.messagebird",
    ),
    "bird": Side(
        {"account_id": CHANNEL.channel_id, "workspace_id": CHANNEL.workspace_id,
         "organization_id": CHANNEL.organization_id, "access_key": CHANNEL.access_key},
        _bird, "sandbox.bird", bird.RemoteBird,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def home(executable: str) -> Iterator[House]:
    """An archive without any number, for all of these tests."""
    with house() as made:
        made.serve()
        for email in (EMAIL, SECOND_EMAIL):
            made.acervo("createadmin", "--email", email, "--password-stdin", input=f"{PASSWORD}\n")
        yield made


@pytest.fixture(scope="module")
def english(browser: Any, home: House) -> Any:
    return _state(browser, home, EMAIL)


@pytest.fixture(scope="module")
def portuguese(browser: Any, home: House) -> Any:
    return _state(browser, home, SECOND_EMAIL, language="pt-br")


def _state(browser: Any, home: House, email: str, *, language: str = "") -> Any:
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, Archive(home, "", "", ""), email)
    if language:
        page.goto(f"{home.url}/me")
        page.locator("select[name=language]").select_option(language)
        page.locator("main form button[type=submit]").first.click()
        expect(page.locator("html")).to_have_attribute("lang", language)
    state = context.storage_state()
    context.close()
    return state


@pytest.mark.parametrize("language", ["en", "pt-br"])
@pytest.mark.parametrize("kind", SIDES)
def test_a_number_is_connected_until_its_first_file_is_kept(
    new_context: Callable[..., Any],
    home: House,
    request: pytest.FixtureRequest,
    complaints: Complaints,
    kind: str,
    language: str,
) -> None:
    state = request.getfixturevalue("english" if language == "en" else "portuguese")
    page = new_context(storage_state=state, viewport=WIDE if language == "en" else PHONE).new_page()
    with home.sandbox(SIDES[kind].module) as address:
        begin(page, home, kind)
        page.evaluate("window.neverReloaded = true")
        give_access(page, kind, address)
        expect(page.locator("html")).to_have_attribute("lang", language)
        fits(page)
        tell(page, kind)
        complaints.forgive("status of 422")
        page.locator("#onward-go").click()
        page.wait_for_url("**/test")
        fits(page)
        expect(page.locator("[data-check=kept]")).to_have_attribute("data-state", "todo")
        send_voice_note(kind, address)
        for name in ("message", "kept", "ready"):
            expect(page.locator(f"[data-check={name}]")).to_have_attribute(
                "data-state", "ok", timeout=180_000
            )
        expect(page.locator("#onward a[href^='/m/']")).to_be_visible()
        page.locator("#onward-go").click()
        page.wait_for_url("**/privacy")
        fits(page)
        page.locator("[name=legal_basis][value=contract]").check()
        page.locator("main form button[type=submit]").click()
        page.wait_for_url("**/integrations")
        assert page.evaluate("window.neverReloaded"), "everything turned green by itself"
        expect(page.locator(".conn")).to_have_count(1)
        fits(page)
        remove(page, kind, address)


def test_every_step_is_accessible_and_a_wrong_token_is_said_in_the_readers_language(
    new_context: Callable[..., Any], home: House, english: Any, complaints: Complaints
) -> None:
    page = new_context(storage_state=english).new_page()
    with home.sandbox(SIDES["meta_cloud"].module) as address:
        begin(page, home, "meta_cloud", look=True)
        assert violations(page) == []
        give_access(page, "meta_cloud", address, token="a-wrong-token")
        expect(page.get_by_role("alert")).to_contain_text("does not accept this access")
        expect(page.locator("#h-app_secret")).to_contain_text("Kept, and never shown again.")
        expect(page.locator("[name=account_id]")).to_have_value(META.phone_number_id)
        assert violations(page) == []
        page.locator("[name=token]").fill(META.access_token)
        page.locator("main form button[type=submit]").first.click()
        page.wait_for_url("**/webhook")
        complaints.forgive("status of 422")
        page.locator("[name=tell]").click()
        expect(page.get_by_role("alert")).to_contain_text("app.example.test")
        complaints.forgive("status of 422")
        assert violations(page) == []
        page.locator("#onward-go").click()
        page.wait_for_url("**/test")
        page.locator("main details summary").click()
        assert violations(page) == []
        page.locator("#skip-go").click()
        expect(page.get_by_role("alert")).to_contain_text("Say why")
        complaints.forgive("status of 422")
        page.locator("[name=reason]").fill("The number moves on Monday")
        page.locator("#skip-go").click()
        page.wait_for_url("**/privacy")
        page.locator("main form button[type=submit]").click()
        expect(page.get_by_text("Choose one of these.")).to_be_visible()
        complaints.forgive("status of 422")
        assert violations(page) == []
        page.goto(f"{home.url}/integrations")
        expect(page.get_by_text("Waits at: Privacy")).to_be_visible()
        assert violations(page) == []
        page.get_by_role("link", name="Change").click()
        assert violations(page) == []
        remove(page, "meta_cloud", address, look=True)


def test_a_link_keeps_its_place_while_the_page_around_it_is_renewed(
    new_context: Callable[..., Any], home: House, english: Any, complaints: Complaints
) -> None:
    page = new_context(storage_state=english).new_page()
    with home.sandbox(SIDES["messagebird"].module) as address:
        begin(page, home, "messagebird")
        give_access(page, "messagebird", address)
        held: list[Any] = []
        page.route("**/access", lambda route: held.append(route))
        other = page.context.new_page()
        other.goto(page.url)
        page.locator("#onward a").click(no_wait_after=True)
        tell(other, "messagebird")  # so that the part with the link looks different now
        with page.expect_response(lambda answer: answer.url.endswith("/webhook")):
            pass
        held[0].continue_()
        page.wait_for_url("**/access")
        expect(page.locator(".app")).to_have_count(1)
        expect(page.locator("main h1")).to_be_visible()
        remove(page, "messagebird", address)


def test_somebody_without_an_account_does_one_step(
    new_context: Callable[..., Any], home: House, english: Any, stranger: Page, complaints: Complaints
) -> None:
    page = new_context(storage_state=english).new_page()
    with home.sandbox(SIDES["bird"].module) as address:
        begin(page, home, "bird")
        page.locator("[name=name]").fill("Support")
        page.locator("main details summary").click()
        page.locator("[name=api_base]").fill(address)
        page.locator("[name=later]").click()
        page.wait_for_url("**/integrations")
        page.get_by_role("link", name="Go on").click()
        page.get_by_role("button", name="Send this step to someone else").click()
        link = page.locator("#new-link").input_value()
        assert violations(page) == []
        stranger.set_viewport_size(PHONE)
        stranger.goto(link)
        fits(stranger)
        assert violations(stranger) == []
        expect(stranger.locator(".rail")).to_have_count(0)
        for name, value in SIDES["bird"].typed.items():
            stranger.locator(f"[name={name}]").fill(value)
        stranger.locator("main form button[type=submit]").click()
        expect(stranger.get_by_role("heading", name="Thank you, that was it")).to_be_visible()
        stranger.goto(link)
        expect(stranger.get_by_role("heading", name="This link is closed")).to_be_visible()
        complaints.forgive("status of 404")
        page.goto(f"{home.url}/integrations")
        page.get_by_role("link", name="Go on").click()
        page.wait_for_url("**/webhook")
        page.get_by_role("button", name="Send this step to someone else").click()
        stranger.goto(page.locator("#new-link").input_value())
        assert violations(stranger) == []
        stranger.locator("[name=tell]").click()
        expect(stranger.locator("[data-check=known]")).to_have_attribute("data-state", "ok")
        stranger.get_by_role("button", name="It is done").click()
        expect(stranger.get_by_role("heading", name="Thank you, that was it")).to_be_visible()
        page.goto(f"{home.url}/integrations")
        remove(page, "bird", address)


def begin(page: Page, home: House, kind: str, *, look: bool = False) -> None:
    page.goto(f"{home.url}/integrations")
    page.locator("a[href='/integrations/new/whatsapp']").first.click()
    page.wait_for_url("**/integrations/new/whatsapp")
    fits(page)
    if look:
        assert violations(page) == []
    page.locator(f"button[name=kind][value={kind}]").click()
    page.wait_for_url("**/access")


def give_access(page: Page, kind: str, address: str, **changes: str) -> None:
    page.locator("[name=name]").fill("Suporte")
    for name, value in (SIDES[kind].typed | changes).items():
        page.locator(f"[name={name}]").fill(value)
    page.locator("main details summary").click()
    page.locator("[name=api_base]").fill(address)
    fits(page)
    page.locator("main form button[type=submit]").first.click()
    if not changes:
        page.wait_for_url("**/webhook")


def tell(page: Page, kind: str) -> None:
    page.locator("[name=tell][type=submit]").click()
    if SIDES[kind].asks_to_replace:
        page.locator("[name=replace]").click()
    expect(page.locator("[data-check=known]")).to_have_attribute("data-state", "ok")
    expect(page.locator("[data-check=reach]")).to_have_attribute("data-state", "ok")


def send_voice_note(kind: str, address: str) -> None:
    side = SIDES[kind]

    async def send() -> None:
        async with side.remote(address) as remote:
            url, note = await side.says(remote, await remote.desk())
        async with Sender(url) as sender:
            await sender.deliver(note)

    _elsewhere(send)


def remove(page: Page, kind: str, address: str, *, look: bool = False) -> None:
    """What follows is said first; the provider is told; files stay."""
    if not page.url.endswith("/integrations"):
        page.goto(re.sub(r"/integrations/.*", "/integrations", page.url))
    page.locator("a[href$='/remove']").first.click()
    page.wait_for_url("**/remove")
    expect(page.locator("main h1")).to_be_visible()
    fits(page)
    if look:
        assert violations(page) == []
    page.locator("main form button[type=submit]").click()
    page.wait_for_url("**/integrations")
    expect(page.locator(".conn")).to_have_count(0)
    if SIDES[kind].remote is not RemoteSandbox or kind == "meta_cloud":
        assert not _registered(kind, address), "the provider still knocks here"


def _registered(kind: str, address: str) -> list[Any]:
    async def ask() -> dict[str, Any]:
        async with SIDES[kind].remote(address) as remote:
            return await remote.desk()

    desk = _elsewhere(ask)
    there = desk.get("subscriptions") or list(desk.get("registered", {}).values())
    there += [one for one in desk.get("webhooks", {}).values() if one.get("callback_url")]
    return list(there)


def _elsewhere(do: Callable[[], Awaitable[Any]]) -> Any:
    """Playwright's own loop runs in this thread; a second one needs another."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(do())).result()  # type: ignore[arg-type]


def fits(page: Page) -> None:
    """It does not scroll sideways."""
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
