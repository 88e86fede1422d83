"""The socket guard: no way of writing a private address leads to it."""

from __future__ import annotations

import socket

import aiohttp
import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from acervo.base.http import (
    ForbiddenAddress,
    crm_client,
    guarded_socket,
    is_allowed_private,
    is_public,
    is_public_address,
    media_session,
)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "192.0.0.8",
        "100.64.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "fe80::1%eth0",
    ],
)  # fmt: skip
def test_an_address_that_reaches_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "157.240.1.1", "2a03:2880:f12f:83:face:b00c:0:25de"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


def _info(host: str, port: int = 443) -> tuple[object, ...]:
    return (socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port))


def test_the_guard_refuses_a_private_address_at_the_socket() -> None:
    with pytest.raises(ForbiddenAddress):
        guarded_socket(())(_info("10.0.0.1"))


def test_the_guard_lets_a_named_host_through_on_its_port_only() -> None:
    guard = guarded_socket(("127.0.0.1:9000",))
    guard(_info("127.0.0.1", 9000)).close()
    with pytest.raises(ForbiddenAddress):
        guard(_info("127.0.0.1", 9001))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://localhost:1/", "http://[::1]:1/"])
async def test_the_media_session_reaches_nothing_private(url: str) -> None:
    async with media_session((), limit=1) as session:
        with pytest.raises((ForbiddenAddress, aiohttp.ClientError)) as caught:
            await session.get(url)
    chain = [caught.value, caught.value.__cause__, getattr(caught.value, "os_error", None)]
    assert any(isinstance(error, ForbiddenAddress) for error in chain)


def test_a_private_host_is_allowed_when_it_was_named_with_or_without_port() -> None:
    assert is_allowed_private("127.0.0.1", 80, ("127.0.0.1",))
    assert is_allowed_private("127.0.0.1", 80, ("127.0.0.1:80",))
    assert not is_allowed_private("127.0.0.1", 81, ("127.0.0.1:80",))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://localhost:1/", "https://[::1]:1/"])
async def test_a_crm_client_reaches_nothing_private(url: str) -> None:
    async with crm_client((), timeout_s=5) as http:
        with pytest.raises(httpx.ConnectError) as caught:
            await http.get(url)
    assert isinstance(caught.value.__cause__, ForbiddenAddress)


async def test_a_crm_client_calls_a_named_host_by_its_name() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"host": request.headers["Host"], "sent": await request.json()})

    app = web.Application()
    app.router.add_post("/x", answer)
    async with TestServer(app) as server, crm_client(("localhost",), timeout_s=5) as http:
        host = f"localhost:{server.port}"
        told = await http.post(f"http://{host}/x", json={"n": 1})
    assert told.json() == {"host": host, "sent": {"n": 1}}
    assert told.url.host == "localhost"


@pytest.mark.parametrize(
    ("address", "is_public"),
    [
        ("https://archive.example.com", True),
        ("https://8.8.8.8:8443/hooks", True),
        ("http://archive.example.com", False),
        ("https://localhost", False),
        ("https://acervo", False),
        ("https://acervo.local", False),
        ("https://10.0.0.7", False),
        ("https://[::1]:8000", False),
        ("nonsense", False),
    ],
)
def test_only_https_to_a_public_host_is_a_public_address(address: str, is_public: bool) -> None:
    assert is_public_address(address) is is_public
