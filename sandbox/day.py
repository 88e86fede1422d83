"""A believable day at the counter: what nine customers send in about eighty seconds, mishaps included."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from sandbox import samples
from sandbox.acts import (
    Act,
    Happening,
    Stage,
    contract,
    film,
    forged,
    forwarded,
    gone,
    lost,
    old_phone,
    picture,
    picture_as_document,
    read_receipts,
    said,
    spoken,
    sticker,
    stumbles,
    three_at_once,
    twice,
)
from sandbox.people import BIANCA, CAIO, EVERYONE, JOSUE, LIA, MARINA, NILO, OTAVIO, ROSA, SIMONE
from sandbox.whatsapp.phone import Phone
from sandbox.whatsapp.sender import UndeliveredError

QUIET_S = (20.0, 40.0)
"""The pause between two messages once the day is over and the demo goes on."""


async def play(
    *,
    webhook_url: str,
    sandbox_url: str,
    phone: Phone | None = None,
    pace: float = 1.0,
    forever: bool = False,
    seed: int | None = None,
) -> AsyncGenerator[Happening, None]:
    """Play the day against a running archive, yielding each happening once its webhook is answered.

    `pace` stretches (2.0) or hurries (0.1) the clock. `forever` goes on with a message every 20 to 40 s.
    """
    rng = random.Random(seed)
    async with Stage(webhook_url, sandbox_url, phone or Phone()) as stage:
        started = asyncio.get_running_loop().time()
        for beat in script(rng):
            await _wait_until(started + beat.at_s * pace)
            yield await _survive(beat.act, stage)
        while forever:
            await asyncio.sleep(rng.uniform(*QUIET_S) * pace)
            yield await _survive(_something(rng), stage)


async def _wait_until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))


async def _survive(act: Act, stage: Stage) -> Happening:
    """The archive may be restarting for longer than the sender has patience: the day goes on."""
    try:
        return await act(stage)
    except UndeliveredError as error:
        return Happening("undelivered", "Meta", str(error), as_expected=False)


@dataclass(frozen=True, slots=True)
class Beat:
    at_s: float
    """Seconds after the day began, at pace 1."""
    act: Act


def script(rng: random.Random) -> list[Beat]:
    """The day. The first file leaves at once; spoken texts differ a little from run to run."""
    order = rng.randint(9_010, 9_099)
    hour = rng.choice(("duas", "três", "quatro", "cinco"))
    minutes = rng.choice(("vinte", "trinta", "quarenta", "cinquenta"))
    return [
        Beat(0.0, picture(CAIO, "foto-caixa-amassada.jpg", "Chegou assim, com o canto todo amassado. Ainda não abri.")),
        Beat(2.0, spoken(JOSUE, f"Oi, bom dia. A luz vermelha do roteador continua piscando desde as {hour} da manhã, e a internet caiu de novo. Já desliguei da tomada, esperei {minutes} minutos, e nada.", "voz-roteador.ogg")),
        Beat(6.0, film(MARINA, "video-lavadora.mp4", "Olha só o barulho que ela faz quando começa a centrifugar")),
        Beat(9.0, said(MARINA, f"É a do pedido {order}, ainda está na garantia")),
        Beat(12.0, film(BIANCA, "video-sofa.mp4", "Gente, o sofá ficou lindo na sala, a cor é igualzinha à do site 😍")),
        Beat(15.0, contract(OTAVIO, "contrato-fibra-assinado.pdf", "Segue o contrato assinado")),
        Beat(18.0, spoken(ROSA, f"Bom dia, eu queria saber se a mesa Jatobá ainda sai com seis cadeiras pelo preço do panfleto. Se sair, eu passo aí no sábado, às {hour}.", "voz-mesa.ogg")),
        Beat(21.0, sticker(CAIO)),
        Beat(24.0, three_at_once(JOSUE, ("foto-roseta.jpg", "foto-roteador.jpg"), "O cabo verde que vem da parede está assim")),
        Beat(27.0, spoken(SIMONE, f"Oi, eu prefiro não passar meu número. O entregador falou que voltava às {hour} e até agora não apareceu ninguém. Vocês conseguem ver isso pra mim?", "voz-entrega.ogg")),
        Beat(30.0, forged(NILO)),
        Beat(33.0, twice(LIA, "foto-celular-trincado.jpg", "Caiu do rack e trincou. O seguro cobre?")),
        Beat(36.0, said(SIMONE, "Obrigada! Escrevo por aqui mesmo, @simone.falcao")),
        Beat(39.0, stumbles(BIANCA, "foto-caneca.jpg", "Veio quebrada dentro da caixa, olha os cacos")),
        Beat(42.0, old_phone(NILO)),
        Beat(45.0, lost(MARINA)),
        Beat(48.0, spoken(NILO, f"É só pra confirmar que recebi, hoje, perto das {hour}. Muito obrigado.", "voz-obrigado.ogg")),
        Beat(51.0, gone(ROSA)),
        Beat(54.0, read_receipts(OTAVIO, JOSUE)),
        Beat(57.0, picture(LIA, "foto-cadeira.jpg", "O pé soltou no segundo dia de uso.")),
        Beat(60.0, spoken(CAIO, f"Então, abri a caixa agora. Por fora {minutes} centímetros de amassado, mas por dentro chegou tudo inteiro, fica tranquilo.", "voz-obrigado.ogg")),
        Beat(63.0, picture(SIMONE, "foto-estante.jpg", None)),
        Beat(66.0, forwarded(OTAVIO, "foto-tv.jpg", "A imagem da TV do meu vizinho fica assim toda hora")),
        Beat(69.0, spoken(LIA, f"Sobre o celular, a nota fiscal é do pedido {order + 1}. Comprei faz {minutes} dias.", "voz-entrega.ogg")),
        Beat(72.0, picture_as_document(ROSA, "foto-mesa.jpg", "mesa Jatobá.jpg")),
        Beat(75.0, spoken(BIANCA, f"Pode usar o meu vídeo na página de vocês, sim! Montei tudo em {minutes} minutos, sozinha.", "voz-mesa.ogg")),
        Beat(78.0, spoken(JOSUE, f"Voltou! A internet voltou agora, faz {minutes} segundos. Valeu pela ajuda, pessoal.", "voz-obrigado.ogg")),
    ]  # fmt: skip


def _something(rng: random.Random) -> Act:
    """One more message of a day that goes on."""
    who = rng.choice(EVERYONE)
    order, days = rng.randint(9_100, 9_999), rng.randint(2, 29)
    return rng.choice(
        (
            spoken(who, f"Oi, passando pra perguntar do pedido {order}. Já faz {days} dias que comprei.", "voz-entrega.ogg"),
            spoken(who, f"Recebi o pedido {order} hoje, deu tudo certo. Obrigado!", "voz-obrigado.ogg"),
            picture(who, rng.choice([name for name in samples.names() if name.startswith("foto-")]), f"Pedido {order}"),
            said(who, f"Alguma novidade do pedido {order}?"),
        )
    )  # fmt: skip


async def _print_day(options: argparse.Namespace) -> None:
    phone = Phone(phone_number_id=options.phone_number_id, app_secret=options.app_secret)
    async for happening in play(
        webhook_url=options.webhook_url,
        sandbox_url=options.sandbox_url,
        phone=phone,
        pace=options.pace,
        forever=options.forever,
    ):
        sys.stdout.write(f"{happening}\n")
        sys.stdout.flush()


def main() -> None:
    """`python -m sandbox.day --webhook-url … --sandbox-url …`: the day against an archive that is running."""
    usual = Phone()
    parser = argparse.ArgumentParser(prog="python -m sandbox.day")
    parser.add_argument("--webhook-url", required=True)
    parser.add_argument("--sandbox-url", required=True)
    parser.add_argument("--phone-number-id", default=usual.phone_number_id)
    parser.add_argument("--app-secret", default=usual.app_secret)
    parser.add_argument("--pace", type=float, default=1.0)
    parser.add_argument("--forever", action="store_true")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_print_day(parser.parse_args()))


if __name__ == "__main__":
    main()
