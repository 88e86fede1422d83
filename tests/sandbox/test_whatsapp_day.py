"""The demo day against a small stand-in for the archive: everything it promises happens, and arrives."""

import asyncio
import hashlib
import hmac
import json
import random
import subprocess

import aiohttp
import pytest
from aiohttp import web

from sandbox import day, people, samples, voices
from sandbox.whatsapp import (
    Customer,
    Phone,
    SandboxServer,
    Sender,
    UndeliveredError,
    message,
    shake_hands,
    webhook,
)

PHONE = Phone()
CLIENT = Customer("Cliente Teste", phone="551155550199")


class Archive:
    """Verifies, keeps each file once, tries three times; answers badly as often as told."""

    def __init__(self):
        self.files, self.refused, self.bodies, self.wrong = {}, [], [], 0
        self.lost = self.forged = 0
        self.fails_first = 0

    async def hook(self, request):
        if request.method == "GET":
            right = request.query["hub.verify_token"] == PHONE.verify_token
            return web.Response(text=request.query["hub.challenge"], status=200 if right else 403)
        body = await request.read()
        wanted = "sha256=" + hmac.new(PHONE.app_secret.encode(), body, hashlib.sha256).hexdigest()
        if request.headers["X-Hub-Signature-256"] != wanted:
            self.forged += 1
            return web.Response(status=401)
        if self.fails_first > 0:
            self.fails_first -= 1
            return web.Response(status=503)
        self.bodies.append(json.loads(body))
        await self._capture(json.loads(body))
        return web.Response()

    async def _capture(self, body):
        for entry in body["entry"]:
            for change in entry["changes"]:
                for told in change["value"].get("messages", ()):
                    self.lost += "errors" in told
                    content = told.get(told["type"])
                    if isinstance(content, dict) and "sha256" in content:
                        await self._fetch(content["id"])

    async def _fetch(self, media_id):
        headers = {"Authorization": f"Bearer {PHONE.access_token}"}
        async with aiohttp.ClientSession(self.api_base, headers=headers) as meta:
            for _ in range(3):
                async with meta.get(f"/v25.0/{media_id}") as found:
                    if found.status != 200:
                        self.refused.append(media_id)
                        return
                    told = await found.json()
                async with meta.get(told["url"]) as got:
                    body = await got.read()
                    if got.status == 200 and hashlib.sha256(body).hexdigest() == told["sha256"]:
                        self.files[media_id] = told["mime_type"]
                        return
                    self.wrong += 1


@pytest.fixture
async def archive():
    running = Archive()
    app = web.Application()
    app.router.add_route("*", "/hooks/meta", running.hook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    running.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks/meta"
    yield running
    await runner.cleanup()


@pytest.fixture
def mute(monkeypatch):
    """No espeak-ng on this machine."""
    monkeypatch.setattr(voices.shutil, "which", lambda program: None)


async def test_the_day_is_played_and_every_file_it_promises_arrives(archive, mute):
    async with SandboxServer([PHONE]) as sandbox:
        archive.api_base = sandbox.base_url
        happened = [
            one
            async for one in day.play(
                webhook_url=archive.url, sandbox_url=sandbox.base_url, phone=PHONE, pace=0, seed=1
            )
        ]
    assert all(one.as_expected for one in happened), [str(one) for one in happened]
    kinds = {one.what for one in happened}
    assert kinds >= {"voice", "video", "photo", "document", "sticker", "audio", "text"}
    assert kinds >= {"duplicate", "forged", "stumbles", "lost", "gone", "three_at_once"}
    assert len(archive.files) == sum(one.files for one in happened)
    assert archive.wrong == 2  # the file that stumbles, and nothing else
    assert (archive.forged, archive.lost, len(archive.refused)) == (1, 1, 1)
    assert sum(archive.bodies.count(body) == 2 for body in archive.bodies) == 2  # one webhook, twice


def test_the_day_begins_with_a_file_and_lasts_about_a_minute_and_a_half():
    beats = day.script(random.Random(0))
    moments = [beat.at_s for beat in beats]
    assert moments == sorted(moments)
    assert moments[0] == 0
    assert 60 <= moments[-1] <= 90
    assert 25 <= len(beats) <= 30


async def test_the_day_goes_on_when_asked(archive, mute):
    async with SandboxServer([PHONE]) as sandbox:
        archive.api_base = sandbox.base_url
        seen = 0
        playing = day.play(
            webhook_url=archive.url, sandbox_url=sandbox.base_url, pace=0, forever=True, seed=2
        )
        async for _ in playing:
            seen += 1
            if seen == 35:
                break
        await playing.aclose()
    assert seen == 35


def test_one_person_is_known_by_a_business_scoped_id_alone():
    assert [one.name for one in people.EVERYONE if one.phone is None] == ["Simone Falcão"]
    assert all(one.user_id for one in people.EVERYONE)
    assert len({one.user_id for one in people.EVERYONE}) == len(people.EVERYONE) == 9


async def test_a_webhook_is_sent_again_until_acknowledged(archive):
    archive.fails_first = 2
    async with Sender(archive.url, first_wait_s=0.01) as sender:
        assert await sender.deliver(webhook([message(CLIENT, text="oi")])) == 3
    assert sender.acknowledged == 1
    assert sender.answers == {503: 2, 200: 1}


async def test_copies_are_delivered_in_shuffled_order(archive):
    webhooks = [webhook([message(CLIENT, text=str(number))]) for number in range(20)]
    async with Sender(archive.url, concurrency=4) as sender:
        assert await sender.deliver_all(webhooks, copies=3, seed=5) == 60
    texts = [b["entry"][0]["changes"][0]["value"]["messages"][0]["text"]["body"] for b in archive.bodies]
    assert sorted(texts) == sorted(str(number) for number in range(20) for _ in range(3))
    assert texts != sorted(texts, key=int)


async def test_deliveries_at_a_rate_are_all_acknowledged(archive):
    async with Sender(archive.url) as sender:
        sent = await sender.deliver_at(
            (webhook([message(CLIENT, text="oi")]) for _ in range(10)), per_second=500
        )
    assert sent == sender.acknowledged == 10


async def test_a_door_that_stays_shut_is_told():
    async with Sender("http://127.0.0.1:9/", first_wait_s=0.01, give_up_after_s=0.05) as sender:
        with pytest.raises(UndeliveredError):
            await sender.deliver(webhook([message(CLIENT, text="oi")]))
    assert sender.acknowledged == 0


async def test_the_handshake_wants_the_challenge_back(archive):
    assert await shake_hands(archive.url, PHONE.verify_token)
    assert not await shake_hands(archive.url, "wrong")


def test_the_samples_are_small_and_what_they_say():
    magic = {
        ".ogg": b"OggS",
        ".amr": b"#!AMR",
        ".jpg": b"\xff\xd8\xff",
        ".webp": b"RIFF",
        ".pdf": b"%PDF",
    }
    total = 0
    for name in samples.names():
        data, _ = samples.read(name)
        total += len(data)
        ending = "." + name.rsplit(".", 1)[1]
        assert data.startswith(magic[ending]) if ending in magic else data[4:8] == b"ftyp", name
    assert total < 3_000_000
    assert set(voices.SAMPLES) <= set(samples.names())


@pytest.mark.skipif(not voices.can_speak(), reason="espeak-ng and ffmpeg are not both installed")
async def test_a_spoken_note_is_a_mono_opus_voice_note_and_differs_with_its_text():
    spoken, other = [
        await asyncio.to_thread(voices.speak, text) for text in ("Bom dia", "Boa tarde, tudo bem?")
    ]
    assert spoken.startswith(b"OggS")
    assert b"OpusHead\x01\x01" in spoken  # version 1, one channel
    assert spoken != other


def test_without_a_voice_the_shipped_note_is_sent(mute):
    assert voices.speak_or_sample("oi", fallback="voz-mesa.ogg") == samples.read("voz-mesa.ogg")[0]


def test_a_broken_encoder_falls_back_to_the_shipped_note(monkeypatch):
    def fails(*arguments, **options):
        raise subprocess.CalledProcessError(1, "ffmpeg")

    monkeypatch.setattr(voices.shutil, "which", lambda program: "/usr/bin/true")
    monkeypatch.setattr(voices.subprocess, "run", fails)
    assert voices.speak_or_sample("oi") == samples.read(voices.SAMPLES[0])[0]
