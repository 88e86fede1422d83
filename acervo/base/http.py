"""Guarded HTTP: nothing of ours reaches a private address that the operator did not name, for media and for CRMs."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx

from acervo.base.errors import NeedsPerson

LOCAL_NAMES = (".localhost", ".local", ".internal")
USER_AGENT = "Acervo"
CONNECT_TIMEOUT_S = 10.0
IDLE_TIMEOUT_S = 30.0
TOTAL_TIMEOUT_S = 600.0

# is_global says yes to these (Python 3.11): they reach into a private network by translation or tunnel.
_TUNNELS = tuple(
    ipaddress.ip_network(net)
    for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "192.0.0.0/24", "192.88.99.0/24")
)


class ForbiddenAddress(NeedsPerson):
    """The host lies in a private network. Name it in ACERVO_ALLOW_PRIVATE_HOSTS if that is meant."""

    code = "forbidden_host"


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, by every way of writing it."""
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if any(ip in net for net in _TUNNELS if net.version == ip.version):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def is_public_address(url: str) -> bool:
    """Whether a web address is https and, as far as its host tells, of the public internet."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_private = not is_public(host)
    except ValueError:  # a name
        is_private = "." not in host or host.endswith(LOCAL_NAMES)
    return parts.scheme == "https" and not is_private


def is_allowed_private(host: str, port: int | None, allowed: Collection[str]) -> bool:
    """Whether the operator named this private host, with or without its port."""
    return host in allowed or f"{host}:{port}" in allowed


def guarded_socket(allowed: Collection[str]) -> Callable[[Any], socket.socket]:
    """A socket factory that refuses private addresses at the moment of connecting: a host name that changes its
    address between a check and the connection (DNS rebinding) gains nothing. `allowed` are the operator's
    `host` or `host:port`; names in it are resolved once, here."""
    permitted = _addresses(allowed)

    def make(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        _refuse_private(str(address[0]), int(address[1]), permitted)
        return socket.socket(family, kind, protocol)

    return make


def _refuse_private(address: str, port: int, permitted: Collection[tuple[str, int | None]]) -> None:
    if not is_public(address) and (address, None) not in permitted and (address, port) not in permitted:
        raise ForbiddenAddress(f"Refused to connect to a private address on port {port}.")


def _addresses(allowed: Collection[str]) -> frozenset[tuple[str, int | None]]:
    found: set[tuple[str, int | None]] = set()
    for entry in allowed:
        host, _, port_text = entry.rpartition(":") if entry.rpartition(":")[2].isdigit() else (entry, "", "")
        port = int(port_text) if port_text else None
        try:
            resolved = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
        except OSError:
            continue  # a host that does not resolve now is simply not permitted
        found.update((str(item[4][0]), port) for item in resolved)
    return frozenset(found)


def media_session(allowed_private: Collection[str], *, limit: int) -> aiohttp.ClientSession:
    """A session for downloads: guarded socket, no proxy from the environment, no cookies, no automatic decoding
    (a gzip bomb stays small), idle and total time-outs. Redirects are the caller's business."""
    connector = aiohttp.TCPConnector(
        socket_factory=guarded_socket(allowed_private), limit=limit, ttl_dns_cache=30
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(
            total=TOTAL_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S, sock_read=IDLE_TIMEOUT_S
        ),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def crm_client(allowed_private: Collection[str], *, timeout_s: float) -> httpx.AsyncClient:
    """A client for CRM APIs: guarded like the socket above, no redirects, no proxy from the environment."""
    return httpx.AsyncClient(
        transport=_GuardedTransport(allowed_private),
        timeout=timeout_s,
        follow_redirects=False,
        trust_env=False,
    )


class _GuardedTransport(httpx.AsyncHTTPTransport):
    """Resolves the host itself and calls the very address it judged. Certificates are still checked by name."""

    def __init__(self, allowed_private: Collection[str]) -> None:
        super().__init__(trust_env=False)
        self._permitted = _addresses(allowed_private)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        failure: Exception = OSError("no address")
        for address in await self._resolve(request.url):
            try:
                return await super().handle_async_request(_sent_to(address, request))
            except httpx.ConnectError as error:  # nothing was sent: the next address may answer
                failure = error
        raise httpx.ConnectError("None of the host's addresses answered.") from failure

    async def _resolve(self, url: httpx.URL) -> list[str]:
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
            addresses = [str(item[4][0]) for item in found]
            for address in addresses:
                _refuse_private(address, port, self._permitted)
        except (OSError, ForbiddenAddress) as error:
            raise httpx.ConnectError("The host cannot be called.") from error
        return addresses


def _sent_to(address: str, request: httpx.Request) -> httpx.Request:
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,  # with the Host that was asked for
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )
