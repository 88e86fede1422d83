"""Answering from a file's page, in Portuguese: written, taken by the provider, told as read, and nothing for axe to find."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from sandbox.acts import Stage
from sandbox.people import ROSA
from sandbox.whatsapp import status
from tests.browser.archive import SECOND_EMAIL, Archive
from tests.browser.conftest import Complaints, sign_in
from tests.browser.test_accessibility import violations

pytestmark = pytest.mark.browser
TEXT = "Oi! A foto não chegou, pode mandar de novo?"


def test_somebody_answers_a_file_that_did_not_come(
    stranger: Page, archive: Archive, complaints: Complaints
) -> None:
    page = stranger
    sign_in(page, archive, SECOND_EMAIL)
    page.locator("[popovertarget=more]:visible").first.click()
    page.locator("#more button[name=language][value='pt-br']").click()
    expect(page.locator("html")).to_have_attribute("lang", "pt-br")
    page.goto(archive.page_of("gone"))
    page.get_by_role("link", name="Avisar o contato").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Escrever para {ROSA.name}")
    expect(page.get_by_text("Você pode responder com as suas palavras.")).to_be_visible()
    assert violations(page) == []
    text = page.get_by_role("textbox", name="Texto")
    expect(text).not_to_be_empty()
    text.fill("   ")
    page.get_by_role("button", name="Enviar", exact=True).click()
    expect(page.get_by_text("Escreva alguma coisa primeiro.")).to_be_visible()
    assert violations(page) == []
    complaints.forgive("status of 422")
    page.get_by_role("textbox", name="Texto").fill(TEXT)
    page.get_by_role("button", name="Enviar", exact=True).click()
    page.wait_for_url(archive.page_of("gone"))
    sent = page.get_by_role("article", name="Mensagem nossa")
    expect(sent).to_contain_text(TEXT)
    expect(sent).to_contain_text("Recebida pelo WhatsApp")  # by itself, without reloading

    async def read(stage: Stage) -> None:
        (said,) = [one for one in (await stage.sandbox.desk())["sent"] if one["text"]["body"] == TEXT]
        await stage.send(status(ROSA, said["id"], "read"))

    archive.on_stage(read)
    expect(sent).to_contain_text("Lida")
    assert violations(page) == []
