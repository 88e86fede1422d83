"""Until when a server's certificate is good: shaken hands with, nothing sent."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Collection
from datetime import UTC, datetime

from acervo.base.http import guarded_socket


async def certificate_ends_at(
    host: str, port: int, allowed_private: Collection[str], context: ssl.SSLContext
) -> datetime:
    """The last moment of the certificate `host` shows. The socket is guarded as everywhere. Raises OSError when nobody
    answers, ssl.SSLError for one that is not good, ForbiddenAddress."""
    loop = asyncio.get_running_loop()
    failure: OSError = OSError("no address")
    for info in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        made = guarded_socket(allowed_private)(info)
        made.setblocking(False)
        try:
            await loop.sock_connect(made, info[4])
        except OSError as error:  # the next address may answer
            made.close()
            failure = error
            continue
        return await _shown_over(made, host, context)
    raise failure


async def _shown_over(connected: socket.socket, host: str, context: ssl.SSLContext) -> datetime:
    try:
        _, writer = await asyncio.open_connection(sock=connected, ssl=context, server_hostname=host)
    except BaseException:
        connected.close()
        raise
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert()
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC)
    finally:
        writer.close()
