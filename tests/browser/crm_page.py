"""A page of a CRM on another origin, with our panel in a frame of it; and an archive whose Zendesk has the panel on."""

from __future__ import annotations

import html
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from playwright.sync_api import BrowserContext, Frame, Page, Route

from acervo.base import ids
from sandbox.people import BIANCA, JOSUE, MARINA
from sandbox.whatsapp import Phone
from sandbox.zendesk.account import CLIENT_ID
from tests.browser.archive import EMAIL, PASSWORD, Archive, Sent, running
from tests.embed.crm import claims, jwt, public_pem, rsa_key
from tests.house import wait_for

SDK: Final = "https://static.zdassets.com/**"
INSTALLATION: Final = "4711"
SECRET: Final = "zendesk-secret"
STOCK: Final = {
    "voice": Sent(JOSUE, "voz-roteador.ogg"),
    "video": Sent(JOSUE, "video-lavadora.mp4", {"caption": "Olha só o barulho que ela faz"}),
    "image": Sent(JOSUE, "foto-roteador.jpg", {"caption": "Essa é a luz que não apaga"}),
    "document": Sent(JOSUE, "contrato-fibra.pdf", {"file_name": "contrato fibra.pdf"}),
    "other": Sent(MARINA, "voz-mesa.ogg"),
}
THEIRS: Final = "Boreal"
"""Another company in the same installation."""
THEIR_EMAIL: Final = "admin@boreal.example.com"
THEIR_STOCK: Final = {
    "voice": Sent(BIANCA, "voz-mesa.ogg", {"caption": "Só para a Boreal"}),
    "image": Sent(JOSUE, "foto-cadeira.jpg", {"caption": "Esta é da Boreal também"}),
}
PAGE: Final = """<!doctype html><html lang="en"><title>A record</title><body>
<iframe name="panel" width="{width}" height="{height}" title="Acervo"{src}></iframe>
<form method="post" action="{action}" target="panel"><input type="hidden" name="token" value="{token}"></form>
<script>{script}</script></body></html>"""


@dataclass
class Desk:
    """A simulated CRM's web pages: whatever was laid upon it, at an origin of its own."""

    origin: str
    pages: dict[str, str] = field(default_factory=dict)

    def lay(self, page: str) -> str:
        path = f"/{uuid4().hex}"
        self.pages[path] = page
        return self.origin + path


@contextmanager
def desk() -> Iterator[Desk]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = made.pages.get(urlsplit(self.path).path)
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((page or "").encode())

        def log_message(self, *_: Any) -> None:
            """Nothing on the console of the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    made = Desk(f"http://localhost:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Panelled:
    """An archive, its Zendesk connection, and the records of its customers there."""

    archive: Archive
    connection: UUID
    account: str
    customers: dict[str, str]
    """By name: the user's id in Zendesk."""
    email: str = EMAIL
    installation: str = INSTALLATION
    key: str = "ours"

    @property
    def action(self) -> str:
        return f"{self.archive.url}/embed/{ids.text(self.connection)}/page"

    def claims(self, **changed: Any) -> dict[str, Any]:
        home = self.account.removeprefix("http://")
        told = claims(time.time(), jti=uuid4().hex, iss=home)
        told["aud"] = f"{self.account}/api/v2/apps/installations/{self.installation}.json"
        return {**told, **changed}

    def token(self, **changed: Any) -> str:
        return jwt(self.claims(**changed), key=rsa_key(self.key))

    def host_page(self, token: str, *, width: int = 320, height: int = 640) -> str:
        """As Zendesk does: the first request of the frame is a POST with what it signed."""
        return PAGE.format(
            width=width,
            height=height,
            src="",
            action=html.escape(f"{self.action}?origin=x&app_guid=y"),
            token=html.escape(token),
            script="document.forms[0].submit()",
        )


@contextmanager
def panelled(**settings: str) -> Iterator[Panelled]:
    with (
        running(**settings) as archive,
        archive.home.sandbox("sandbox.zendesk", "--secret", SECRET, "--search-lag-s", "0") as account,
    ):
        connection = _connect(archive, account, "aurora")
        _fill(archive, connection, STOCK)
        records = _records(archive, connection)
        yield Panelled(
            archive, connection, account, {"ours": records[JOSUE.name], "other": records[MARINA.name]}
        )


@contextmanager
def next_door(here: Panelled) -> Iterator[Panelled]:
    """Another company in the same installation: an administrator, a number, a Zendesk and an app of its own. Two of
    its users were typed in before, so that one customer of both has there the id of somebody here."""
    home = here.archive.home
    with home.sandbox("sandbox.zendesk", "--secret", SECRET, "--search-lag-s", "0", "--demo") as account:
        home.acervo(
            "createadmin", "--email", THEIR_EMAIL, "--workspace", THEIRS, "--password-stdin", input=f"{PASSWORD}\n"
        )  # fmt: skip
        phone = Phone(phone_number_id="106500000000777", access_token="their-token", verified_name=THEIRS)
        made = home.json(
            "connect", "meta_cloud", "--workspace", THEIRS, "--phone-number-id", phone.phone_number_id,
            "--waba-id", phone.waba_id, "--token", phone.access_token, "--app-secret", phone.app_secret,
            "--verify-token", phone.verify_token, "--api-base", here.archive.meta,
        )  # fmt: skip
        archive = replace(here.archive, webhook_url=made["webhook_url"], phone=phone, slugs={})
        archive.on_stage(lambda stage: stage.sandbox.add_phone(phone))
        connection = _connect(archive, account, "boreal", "--workspace", THEIRS)
        _fill(archive, connection, THEIR_STOCK)
        records = _records(archive, connection)
        customers = {"shared": records[JOSUE.name], "own": records[BIANCA.name]}
        yield Panelled(archive, connection, account, customers, THEIR_EMAIL, "4712", "theirs")


def _connect(archive: Archive, account: str, subdomain: str, *more: str) -> UUID:
    made = archive.home.json(
        "connect", "zendesk", "--subdomain", subdomain, "--client-id", CLIENT_ID, "--secret", SECRET,
        "--api-base", account, *more,
    )  # fmt: skip
    return ids.parse(made["id"])


def _fill(archive: Archive, connection: UUID, stock: Mapping[str, Sent]) -> None:
    """Every file of the stock sent, and in the CRM."""
    media_ids = {name: archive.send(sent) for name, sent in stock.items()}
    wait_for(lambda: _delivered(archive, connection) == len(stock), "delivered to Zendesk")
    by_media_id = {row["provider_id"]: row["id"] for row in archive.rows()}
    archive.slugs = {name: by_media_id[media_id] for name, media_id in media_ids.items()}


def _delivered(archive: Archive, connection: UUID) -> int:
    query = "SELECT count(*) FROM acervo_delivery WHERE connection_id = %s AND delivered_at IS NOT NULL"
    return int(archive.home.ask(query, connection)[0][0])


def _records(archive: Archive, connection: UUID) -> dict[str, str]:
    """By the name of the customer."""
    query = """SELECT p.name, l.record_id FROM acervo_recordlink l JOIN acervo_person p ON p.id = l.person_id
        WHERE l.connection_id = %s"""
    return dict(archive.home.ask(query, connection))


def set_up(page: Page, made: Panelled, *origins: str) -> None:
    """An administrator turns the panel on, on its page."""
    page.goto(f"{made.archive.url}/sign-in")
    page.locator("#id_login").fill(made.email)
    page.locator("#id_password").fill(PASSWORD)
    page.locator("#id_password").press("Enter")
    page.wait_for_url("**/library")
    page.goto(f"{made.archive.url}/integrations/{ids.text(made.connection)}")
    page.get_by_role("link", name="Panel in the CRM").click()
    page.get_by_label("Number of the installation").fill(made.installation)
    page.get_by_label("Public key of the app").fill(public_pem(rsa_key(made.key)))
    page.get_by_label("Further pages, one a line").fill("\n".join(origins))
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    page.get_by_role("button", name="Turn on").click()
    page.get_by_text("The panel is on since").wait_for()


def stand_in_for_the_sdk(context: BrowserContext, **facts: str) -> None:
    """`window.ZAFClient`, telling these facts: `ticket__requester__id="1"`."""
    told = {name.replace("__", "."): value for name, value in facts.items()}
    script = f"""const told = {json.dumps(told)};
    window.ZAFClient = {{ init: () => ({{
      get: async (path) => {{ if (!(path in told)) throw new Error("unknown"); return {{ [path]: told[path] }}; }},
      invoke: async () => {{}}, on: () => {{}},
    }}) }};"""

    def answer(route: Route) -> None:
        route.fulfill(body=script, content_type="text/javascript")

    context.route(SDK, answer)


def frame_of(page: Page) -> Frame:
    """The panel's frame, once it has left the empty page it began with."""
    page.wait_for_function("document.querySelector('iframe') !== null")
    found = page.frame("panel")
    assert found
    return found
