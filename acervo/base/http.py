"""Guarded HTTP: a socket that refuses private addresses, and the session media is fetched with."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection
from typing import Any

import aiohttp

from acervo.base.errors import NeedsPerson

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
        host, port = str(address[0]), int(address[1])
        if not is_public(host) and (host, None) not in permitted and (host, port) not in permitted:
            raise ForbiddenAddress(f"Refused to connect to a private address on port {port}.")
        return socket.socket(family, kind, protocol)

    return make


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
