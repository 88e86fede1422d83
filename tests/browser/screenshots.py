"""`python -m tests.browser.screenshots OUT`: every page after a day of the demo, at two widths, light and dark.

Also writes the picture the README shows. Not part of the suite: it is for eyes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from sandbox import day
from sandbox.acts import Stage, contract, film, picture, spoken, sticker
from sandbox.people import BIANCA, CAIO, JOSUE, LIA, MARINA, NILO, OTAVIO, ROSA, SIMONE
from tests.browser import chromium
from tests.browser.archive import EMAIL, Archive, running
from tests.browser.conftest import PHONE, WIDE, sign_in
from tests.house import wait_for

README_PICTURE = Path(__file__).parents[2] / "docs" / "screenshots" / "library.png"
PACE = 0.05
ENCORE = (
    picture(LIA, "foto-cadeira.jpg", "O pé soltou no segundo dia de uso."),
    contract(OTAVIO, "contrato-fibra-assinado.pdf", "Segue o contrato assinado"),
    spoken(SIMONE, "Oi! O entregador disse que voltava às três, e até agora ninguém apareceu.", "voz-entrega.ogg"),
    picture(BIANCA, "foto-caneca.jpg", "Veio quebrada dentro da caixa, olha os cacos"),
    sticker(CAIO),
    spoken(ROSA, "A mesa Jatobá ainda sai com seis cadeiras pelo preço do panfleto?", "voz-mesa.ogg"),
    film(BIANCA, "video-sofa.mp4", "O sofá ficou lindo na sala, a cor é igualzinha à do site"),
    picture(JOSUE, "foto-roteador.jpg", "Essa é a luz que não apaga"),
    picture(CAIO, "foto-caixa-amassada.jpg", "Chegou assim, com o canto todo amassado. Ainda não abri."),
    spoken(NILO, "É só pra confirmar que recebi, hoje, perto das três. Muito obrigado.", "voz-obrigado.ogg"),
    film(MARINA, "video-lavadora.mp4", "Olha só o barulho que ela faz quando começa a centrifugar"),
    spoken(JOSUE, "A luz vermelha do roteador continua piscando, e a internet caiu de novo.", "voz-roteador.ogg"),
)  # fmt: skip
"""What stands on top of the README's picture: one of everything, newest last."""
THEMES = ("light", "dark")
FULL_PAGE_PIXELS = 2_400
"""A picture ends here however long its page is."""


def shots(out: Path, *, language: str = "pt-br") -> None:
    """Start an archive, let the day happen, take the pictures."""
    out.mkdir(parents=True, exist_ok=True)
    with running(ACERVO_LANGUAGE=language, ACERVO_TIME_ZONE="America/Sao_Paulo") as archive:
        files = archive.on_stage(lambda stage: _live_through_the_day(stage, archive))
        wait_for(lambda: _is_settled(archive, files), "settled")
        with sync_playwright() as playwright:
            path = chromium.find()
            assert path, chromium.CURE
            browser = playwright.chromium.launch(executable_path=path, args=list(chromium.FLAGS))
            _take(browser, archive, out)
            browser.close()


async def _live_through_the_day(stage: Stage, archive: Archive) -> int:
    happenings = day.play(webhook_url=archive.webhook_url, sandbox_url=archive.meta, pace=PACE, seed=7)
    files = sum([happening.files async for happening in happenings])
    return files + sum([(await act(stage)).files for act in ENCORE])


def _is_settled(archive: Archive, files: int) -> bool:
    states = [row["state"] for row in archive.rows()]
    return states.count("ready") >= files and set(states) <= {"ready", "lost"}


def _take(browser: Browser, archive: Archive, out: Path) -> None:
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce", locale="pt-BR")
    page = context.new_page()
    page.goto(f"{archive.url}/sign-in")
    _picture(page, out, "sign-in")
    sign_in(page, archive, EMAIL)
    page.wait_for_load_state("load")
    for name, address in _addresses(page, archive).items():
        page.goto(address)
        _picture(page, out, name)
    _sheets(page, archive, out)
    _readme_picture(page, archive)


def _addresses(page: Page, archive: Archive) -> dict[str, str]:
    """Pages by the name of their picture; files by their kind."""
    found = {
        "library": f"{archive.url}/library",
        "library-list": f"{archive.url}/library?view=list",
        "library-filtered": f"{archive.url}/library?kind=voice&q=josue",
        "library-nothing": f"{archive.url}/library?q=zeppelin",
    }
    for row in archive.rows():
        name = "lost" if row["state"] == "lost" else row["kind"]
        found.setdefault(f"file-{name}", f"{archive.url}/m/{row['id']}")
    page.goto(f"{archive.url}/contacts?q=josue")
    found["contact"] = archive.url + str(page.locator(".person a").first.get_attribute("href"))
    page.goto(f"{archive.url}/integrations")
    found["reconnect"] = archive.url + str(page.locator("a[href$=reconnect]").first.get_attribute("href"))
    places = (
        "contacts", "integrations", "health", "me", "me/password", "settings/media", "settings/remakes",
        "settings/storage", "nothing-here",
    )  # fmt: skip
    return found | {place.replace("/", "-"): f"{archive.url}/{place}" for place in places}


def _sheets(page: Page, archive: Archive, out: Path) -> None:
    """What opens above a page: the dock, the account, the keys, the filters of a phone."""
    page.goto(f"{archive.url}/library?kind=voice")
    page.locator(".card .play").first.click()
    # A function, not an expression: the policy of the pages forbids evaluating strings.
    page.wait_for_function("() => document.querySelector('now-playing audio').currentTime > 1")
    page.locator("now-playing .play").click()
    _picture(page, out, "library-playing", is_whole=False)
    for opener, name in (("[popovertarget=more]", "account"), ("[popovertarget=shortcuts]", "keys")):
        page.locator(f"{opener}:visible").last.click()
        _picture(page, out, name, is_whole=False)
        page.keyboard.press("Escape")
    page.set_viewport_size(PHONE)
    page.locator(".filters__open").click()
    page.screenshot(path=out / "filters-390-light.png")


def _picture(page: Page, out: Path, name: str, *, is_whole: bool = True) -> None:
    for size, theme in _looks(page):
        _see_everything(page)
        height = page.evaluate("document.documentElement.scrollHeight")
        whole = {"x": 0, "y": 0, "width": size["width"], "height": min(height, FULL_PAGE_PIXELS)}
        path = out / f"{name}-{size['width']}-{theme}.png"
        if is_whole:
            page.screenshot(path=path, full_page=True, clip=whole)
        else:
            page.screenshot(path=path)


def _looks(page: Page) -> Iterator[tuple[dict[str, int], str]]:
    for size in (PHONE, WIDE):
        page.set_viewport_size(size)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            yield size, theme
    page.emulate_media(color_scheme="light")


def _see_everything(page: Page) -> None:
    """Lazy pictures load when somebody scrolls to them."""
    page.evaluate("document.querySelectorAll('img').forEach((picture) => { picture.loading = 'eager'; })")
    page.wait_for_function("() => [...document.images].every((picture) => picture.complete)")


def _readme_picture(page: Page, archive: Archive) -> None:
    page.set_viewport_size(WIDE)
    page.goto(f"{archive.url}/library")
    _see_everything(page)
    README_PICTURE.parent.mkdir(parents=True, exist_ok=True)
    page.locator(".card .play").first.click()
    page.wait_for_function("() => document.querySelector('now-playing audio').currentTime > 2")
    page.screenshot(path=README_PICTURE)
    with Image.open(README_PICTURE) as picture:
        few = picture.convert("RGB").quantize(256)
    few.save(README_PICTURE, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots", description=__doc__)
    parser.add_argument("out", type=Path)
    shots(parser.parse_args().out)


if __name__ == "__main__":
    main()
