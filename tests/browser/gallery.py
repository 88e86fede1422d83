"""A second archive: every good file of the corpus, and every file that would run a script if a browser let it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from sandbox.acts import Stage
from sandbox.people import CAIO
from sandbox.whatsapp import message
from tests.browser.archive import Archive, running
from tests.house import wait_for

CORPUS: Final = Path(__file__).parents[1] / "corpus"
MANIFEST: Final = json.loads((CORPUS / "manifest.json").read_text())["files"]
GOOD: Final = {entry["name"]: entry for entry in MANIFEST if entry["kind"] != "hostile"}
SCRIPTED_IN_CORPUS: Final = (
    "hostile/html_doc.html",
    "hostile/svg_script.svg",
    "hostile/svg_named.jpg",
    "hostile/polyglot_html.jpg",
    "hostile/polyglot_js.gif",
    "hostile/pdf_js.pdf",
)
RAN: Final = "IT RAN"
"""What a script of ours would make the title of its page."""


@dataclass(frozen=True, slots=True)
class Trap:
    """A file that tells when it is run: it changes the title and asks for the canary."""

    name: str
    mime: str
    """As its sender calls it."""
    body: bytes


def traps(canary: str) -> list[Trap]:
    run = f"document.title={RAN!r};window.ran=1;fetch({canary!r}+'?script');new Image().src={canary!r}+'?picture'"
    html = f"<!doctype html><title>x</title><img src='{canary}?tag'><script>{run}</script><body onload=\"{run}\">"
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" onload="{run}"><script>{run}</script>'
        f'<image href="{canary}?tag" width="9" height="9"/></svg>'
    )
    xhtml = (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title>'
        f"<script>{run}</script></head><body/></html>"
    )
    xslt = f'<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="{canary}?sheet"?><nota>{html[15:]}</nota>'
    comment = html.encode()
    jpeg = (CORPUS / "img720.jpg").read_bytes()
    jpeg = jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]
    gif = b"GIF89a/*" + bytes(600) + b"*/=1;" + run.encode() + b"//"
    pdf = (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/URI/URI("
        + canary.encode()
        + b"?pdf)>>>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 90 90]>>endobj\n"
        b"trailer<</Root 1 0 R>>\n%%EOF\n" + comment
    )
    return [
        Trap("convite.html", "text/html", html.encode()),
        Trap("convite.pdf", "application/pdf", html.encode()),
        Trap("convite.txt", "text/plain", html.encode()),
        Trap("logo.svg", "image/svg+xml", svg.encode()),
        Trap("logo.png", "image/png", svg.encode()),
        Trap("pagina.xhtml", "application/xhtml+xml", xhtml.encode()),
        Trap("nota.xml", "application/xml", xslt.encode()),
        Trap("script.js", "text/javascript", run.encode()),
        Trap("foto.jpg", "image/jpeg", jpeg),
        Trap("figura.gif", "image/gif", gif),
        Trap("boleto.pdf", "application/pdf", pdf),
    ]


@dataclass
class Canary:
    """A server on loopback that nothing has a reason to ask."""

    url: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def canary() -> Iterator[Canary]:
    class Listening(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            body = bodies.get(self.path, b"")
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if body else "text/plain")
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    bodies: dict[str, bytes] = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Listening) as server:
        found = Canary(f"http://127.0.0.1:{server.server_port}/asked")
        # The same file, served as a careless archive would: proof that the canary sings.
        bodies["/careless"] = traps(found.url)[0].body
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@dataclass
class Gallery:
    """By name in the corpus, or of a trap."""

    archive: Archive
    canary: Canary
    slugs: dict[str, str]

    def page_of(self, name: str) -> str:
        return f"{self.archive.url}/m/{self.slugs[name]}"

    def bytes_of(self, name: str) -> str:
        return f"{self.archive.url}/play/{self.slugs[name]}/original"


@contextmanager
def filled() -> Iterator[Gallery]:
    with canary() as bird, running() as archive:
        media_ids = archive.on_stage(lambda stage: _send(stage, bird.url))
        wait_for(lambda: _are_ready(archive, len(media_ids)), "ready")
        slugs = {media_ids[row["provider_id"]]: row["id"] for row in archive.rows()}
        yield Gallery(archive, bird, slugs)


async def _send(stage: Stage, canary_url: str) -> dict[str, str]:
    names = {}
    for name in (*GOOD, *SCRIPTED_IN_CORPUS):
        entry = next(entry for entry in MANIFEST if entry["name"] == name)
        body = (CORPUS / name).read_bytes()
        names[await _send_one(stage, Path(name).name, entry["declared_mime"], body)] = name
    for trap in traps(canary_url):
        names[await _send_one(stage, trap.name, trap.mime, trap.body)] = trap.name
    return names


async def _send_one(stage: Stage, name: str, mime: str, body: bytes) -> str:
    file = await stage.sandbox.add(body, mime, phone=stage.phone)
    # A document keeps the name it came with, whatever it is.
    is_document = mime.startswith(("text/", "application/", "image/svg"))
    facts = {"kind": "document", "file_name": name} if is_document else {}
    await stage.send(message(CAIO, file=file, **facts))
    return file.media_id


def _are_ready(archive: Archive, count: int) -> bool:
    rows = archive.rows()
    return len(rows) == count and all(row["state"] == "ready" for row in rows)
