"""The simulated Cloud API keeps Meta's terms: bearer needed, links die in minutes, ids in days; it fails on demand."""

import asyncio
import hashlib
import json
import socket
import sys
import urllib.request
import zlib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from acervo.providers import meta_cloud
from sandbox.whatsapp import Fault, FaultKind, Phone, RemoteSandbox, SandboxServer, Side

SHAPES = Path(meta_cloud.__file__).parent / "media"
PHONE = Phone()
OTHER = Phone(phone_number_id="106500000000002", waba_id="102900000000002", access_token="another-token")
BEARER = {"Authorization": f"Bearer {PHONE.access_token}"}
DATA = bytes(range(256)) * 20


@pytest.fixture
async def sandbox():
    async with SandboxServer([PHONE, OTHER], seed=7) as running:
        yield running


@pytest.fixture
async def meta(sandbox):
    async with aiohttp.ClientSession(sandbox.base_url, headers=BEARER) as session:
        yield session


async def look_up(meta, media_id, **query):
    async with meta.get(f"/v25.0/{media_id}", params=query) as answer:
        return answer.status, await answer.json(), answer.headers


async def download(meta, url, **options):
    async with meta.get(url, **options) as answer:
        return answer.status, await answer.read(), answer.headers


def recorded(name):
    return json.loads((SHAPES / f"{name}.json").read_text())


# Look-up and download


async def test_a_look_up_answers_as_recorded(sandbox, meta):
    media_id = sandbox.shelf.add(DATA, "audio/ogg; codecs=opus")
    status, told, headers = await look_up(meta, media_id)
    wanted = recorded("get_media_voice")
    assert status == 200
    assert list(told) == list(wanted)
    assert [type(one) for one in told.values()] == [type(one) for one in wanted.values()]
    assert told["mime_type"] == wanted["mime_type"]
    assert told["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert told["file_size"] == len(DATA)
    assert set(recorded("get_media_200_headers")["headers"]) <= set(headers)
    assert set(parse_qs(urlsplit(told["url"]).query)) == set(parse_qs(urlsplit(wanted["url"]).query))


async def test_a_download_answers_as_recorded(sandbox, meta):
    media_id = sandbox.shelf.add(DATA, "image/jpeg")
    status, body, headers = await download(meta, sandbox.shelf.url(media_id))
    wanted = recorded("download_200_headers")["headers"]
    assert (status, body) == (200, DATA)
    assert set(wanted) <= set(headers)
    assert headers["Content-Type"] == wanted["Content-Type"]
    assert headers["Content-Disposition"] == wanted["Content-Disposition"]
    assert headers["Content-Digest"] == f"adler32={zlib.adler32(DATA)}"


async def test_a_large_file_arrives_whole(sandbox, meta):
    large = bytes(3_000_001)
    media_id = sandbox.shelf.add(large, "application/pdf")
    assert (await download(meta, sandbox.shelf.url(media_id)))[1] == large


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", PHONE.access_token])
async def test_without_the_token_there_is_neither_a_look_up_nor_a_file(sandbox, authorization):
    media_id = sandbox.shelf.add(DATA, "image/jpeg")
    headers = {"Authorization": authorization} if authorization else {}
    async with aiohttp.ClientSession(sandbox.base_url, headers=headers) as stranger:
        status, told, _ = await look_up(stranger, media_id)
        assert (status, told["error"]["code"]) == (401, 190)
        assert shape_of(told) == shape_of(recorded("error_token_expired_401")["body"])
        assert (await download(stranger, sandbox.shelf.url(media_id)))[0] == 401
    assert not sandbox.statistics.downloads


async def test_a_link_dies_and_the_id_gives_a_new_one(sandbox, meta):
    media_id = sandbox.shelf.add(DATA, "image/jpeg")
    _, told, _ = await look_up(meta, media_id)
    sandbox.shelf.forward(299)
    assert (await download(meta, told["url"]))[0] == 200
    sandbox.shelf.forward(2)
    assert (await download(meta, told["url"]))[0] == 404
    _, told, _ = await look_up(meta, media_id)
    assert (await download(meta, told["url"]))[0] == 200


async def test_a_link_cannot_be_given_a_longer_life(sandbox, meta):
    url = sandbox.shelf.url(sandbox.shelf.add(DATA, "image/jpeg"))
    expires = parse_qs(urlsplit(url).query)["ext"][0]
    assert (await download(meta, url.replace(expires, str(int(expires) + 600))))[0] == 404


async def test_an_id_dies_after_seven_days(sandbox, meta):
    media_id = sandbox.shelf.add(DATA, "image/jpeg")
    sandbox.shelf.forward(7 * 86_400 + 1)
    status, told, headers = await look_up(meta, media_id)
    wanted = recorded("error_expired_or_unknown_id_400")
    assert status == wanted["http_status"]
    assert shape_of(told) == shape_of(wanted["body"])
    assert told["error"]["message"] == wanted["body"]["error"]["message"].replace("900000000000001", media_id)
    assert (told["error"]["code"], told["error"]["error_subcode"]) == (100, 33)
    assert set(wanted["headers"]) <= set(headers)


async def test_a_number_that_keeps_nothing_loses_its_files_after_an_hour():
    forgetful = Phone(keeps_files=False)
    async with (
        SandboxServer([forgetful]) as sandbox,
        aiohttp.ClientSession(sandbox.base_url, headers=BEARER) as meta,
    ):
        media_id = sandbox.shelf.add(DATA, "image/jpeg", phone=forgetful)
        async with meta.get(f"/v25.0/{forgetful.phone_number_id}/settings") as answer:
            assert (await answer.json())["storage_configuration"]["status"] == "NO_STORAGE_ENABLED"
        sandbox.shelf.forward(3_601)
        assert (await look_up(meta, media_id))[0] == 400


async def test_another_numbers_file_does_not_exist(sandbox, meta):
    theirs = sandbox.shelf.add(DATA, "image/jpeg", phone=OTHER)
    ours = sandbox.shelf.add(DATA, "image/jpeg", phone=PHONE)
    assert (await look_up(meta, theirs))[0] == 400
    assert (await download(meta, sandbox.shelf.url(theirs)))[0] == 404
    assert (await look_up(meta, ours, phone_number_id=OTHER.phone_number_id))[0] == 400
    assert (await look_up(meta, ours, phone_number_id=PHONE.phone_number_id))[0] == 200


async def test_a_deleted_file_is_gone(sandbox, meta):
    media_id = sandbox.shelf.add(DATA, "image/jpeg")
    async with meta.delete(f"/v25.0/{media_id}") as answer:
        assert await answer.json() == {"success": True}
    assert (await look_up(meta, media_id))[0] == 400


async def test_a_number_can_be_checked_with_its_own_token_only(sandbox, meta):
    status, told, _ = await look_up(meta, PHONE.phone_number_id, fields="verified_name,quality_rating")
    assert (status, told) == (
        200,
        {"verified_name": PHONE.verified_name, "quality_rating": "GREEN", "id": PHONE.phone_number_id},
    )
    assert (await look_up(meta, OTHER.phone_number_id))[0] == 400


async def test_downloads_are_counted_by_file(sandbox, meta):
    media_id = sandbox.shelf.add(DATA, "image/jpeg")
    for _ in range(3):
        await download(meta, sandbox.shelf.url(media_id))
    assert sandbox.statistics.downloads == {media_id: 3}
    assert sandbox.statistics.requests["download"] == 3


# Faults


async def spoiled(sandbox, meta, kind, **options):
    """What a download answers under one fault, with what it should have been."""
    media_id = sandbox.shelf.add(DATA, "image/jpeg")
    sandbox.plan.add(Fault(kind, media_id=media_id, count=1, **options))
    status, body, headers = await download(
        meta, sandbox.shelf.url(media_id), allow_redirects=False, auto_decompress=False
    )
    assert sandbox.plan.struck == {kind: 1}
    assert (await download(meta, sandbox.shelf.url(media_id)))[1] == DATA
    return status, body, headers


async def test_a_rate_limited_look_up_tells_its_usage(sandbox, meta):
    media_id = sandbox.shelf.add(DATA, "image/jpeg")
    sandbox.plan.add(Fault(FaultKind.RATE_LIMITED, count=1))
    status, told, headers = await look_up(meta, media_id)
    wanted = recorded("error_app_rate_limit_4")
    assert (status, told["error"]["code"]) == (429, 4)
    assert shape_of(told) == shape_of(wanted["body"])
    assert headers["X-App-Usage"] == wanted["headers"]["X-App-Usage"]
    assert (await look_up(meta, media_id))[0] == 200


async def test_a_revoked_token_opens_nothing_until_restored(sandbox, meta):
    media_id = sandbox.shelf.add(DATA, "image/jpeg")
    sandbox.state.revoke(PHONE.access_token)
    assert (await look_up(meta, media_id))[0] == 401
    assert (await download(meta, sandbox.shelf.url(media_id)))[0] == 401
    sandbox.state.restore(PHONE.access_token)
    assert (await look_up(meta, media_id))[0] == 200


async def test_the_media_host_is_down_for_as_long_as_asked(sandbox, meta):
    media_id = sandbox.shelf.add(DATA, "image/jpeg")
    sandbox.plan.add(Fault(FaultKind.HOST_DOWN, for_s=0.2))
    with pytest.raises(aiohttp.ClientError):
        await download(meta, sandbox.shelf.url(media_id))
    assert (await look_up(meta, media_id))[0] == 200
    await asyncio.sleep(0.25)
    assert (await download(meta, sandbox.shelf.url(media_id)))[0] == 200


async def test_a_cut_body_is_shorter_than_promised(sandbox, meta):
    with pytest.raises(aiohttp.ClientPayloadError):
        await spoiled(sandbox, meta, FaultKind.CUT)


async def test_a_short_body_is_half(sandbox, meta):
    status, body, _ = await spoiled(sandbox, meta, FaultKind.SHORT)
    assert (status, body) == (200, DATA[: len(DATA) // 2])


async def test_an_overlong_body_promises_nothing_and_goes_on(sandbox, meta):
    status, body, headers = await spoiled(sandbox, meta, FaultKind.OVERLONG)
    assert status == 200
    assert body.startswith(DATA)
    assert len(body) > len(DATA)
    assert "Content-Length" not in headers


async def test_an_altered_body_differs_in_one_byte(sandbox, meta):
    _, body, _ = await spoiled(sandbox, meta, FaultKind.ALTERED)
    assert len(body) == len(DATA)
    assert sum(was != came for was, came in zip(DATA, body, strict=True)) == 1


async def test_html_comes_instead_of_media(sandbox, meta):
    status, body, headers = await spoiled(sandbox, meta, FaultKind.HTML)
    assert status == 200
    assert headers["Content-Type"].startswith("text/html")
    assert body.startswith(b"<!DOCTYPE html>")


async def test_a_redirect_points_at_a_private_address(sandbox, meta):
    status, _, headers = await spoiled(sandbox, meta, FaultKind.REDIRECT)
    assert (status, urlsplit(headers["Location"]).hostname) == (302, "169.254.169.254")


async def test_a_wrong_content_type_carries_the_right_bytes(sandbox, meta):
    _, body, headers = await spoiled(sandbox, meta, FaultKind.WRONG_TYPE)
    assert (body, headers["Content-Type"]) == (DATA, "text/plain")


async def test_a_gzip_bomb_is_small_and_unpacks_to_much(sandbox, meta):
    _, body, headers = await spoiled(sandbox, meta, FaultKind.GZIP_BOMB)
    assert headers["Content-Encoding"] == "gzip"
    unpacker = zlib.decompressobj(31)
    assert len(unpacker.decompress(body, 4_000_000)) == 4_000_000 > 5 * len(body)


async def test_a_drip_is_slow_and_whole(sandbox, meta):
    _, body, _ = await spoiled(sandbox, meta, FaultKind.DRIP, seconds=0.1)
    assert body == DATA


async def test_a_server_error_and_a_dead_link_strike_where_told(sandbox, meta):
    assert (await spoiled(sandbox, meta, FaultKind.SERVER_ERROR, side=Side.MEDIA))[0] == 503
    sandbox.plan.struck.clear()
    assert (await spoiled(sandbox, meta, FaultKind.URL_DIED))[0] == 404


async def test_faults_by_chance_repeat_with_their_seed():
    async def run():
        async with (
            SandboxServer([PHONE], seed=3) as sandbox,
            aiohttp.ClientSession(sandbox.base_url, headers=BEARER) as meta,
        ):
            media_id = sandbox.shelf.add(DATA, "image/jpeg")
            sandbox.plan.add(Fault(FaultKind.RATE_LIMITED, probability=0.4))
            return [(await look_up(meta, media_id))[0] for _ in range(40)]

    first = await run()
    assert set(first) == {200, 429}
    assert first == await run()


# The handles, and the command


async def test_the_sandbox_is_handled_from_another_process(sandbox, meta):
    async with RemoteSandbox(sandbox.base_url) as remote:
        file = await remote.add(DATA, "image/jpeg", phone=PHONE)
        assert file.sha256 == hashlib.sha256(DATA).hexdigest()
        assert "source=webhook" in file.url
        assert (await download(meta, file.url))[1] == DATA
        await remote.fault(Fault(FaultKind.GONE, count=1, media_id=file.media_id))
        assert (await look_up(meta, file.media_id))[0] == 400
        await remote.forward(301)
        assert (await download(meta, file.url))[0] == 404
        await remote.revoke(PHONE.access_token)
        assert (await look_up(meta, file.media_id))[0] == 401
        await remote.restore(PHONE.access_token)
        await remote.set_usage(95)
        assert '"call_count":95' in (await look_up(meta, file.media_id))[2]["X-Business-Use-Case-Usage"]
        told = await remote.statistics()
        assert told["downloads"] == {file.media_id: 1}
        assert told["faults"] == {"gone": 1}
        assert len({one.media_id for one in await remote.add_copies(DATA, "image/jpeg", 50)}) == 50


async def test_the_command_prints_its_url_and_stops_when_told():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandbox.whatsapp", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    try:
        url = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
        request = urllib.request.Request(f"{url}/_sandbox/stats")
        answer = await asyncio.to_thread(lambda: urllib.request.urlopen(request).read())
        assert json.loads(answer)["files"] == 0
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    with pytest.raises(OSError):
        socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=1)


def shape_of(error):
    """The keys of an error; the sandbox's fbtrace ids differ, their type does not."""
    return {name: type(value) for name, value in error["error"].items()}
