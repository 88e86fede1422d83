"""Answers for those who watch: alive, and ready to take work."""

from __future__ import annotations

from django.db import Error, connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from acervo.base.database import in_thread
from acervo.base.errors import AcervoError
from acervo.keep import storage

NO_SUCH_OBJECT = "readiness/none"


async def healthz(request: Request) -> Response:
    """The process answers; nothing else is asked."""
    return JSONResponse({"status": "alive"})


async def readyz(request: Request) -> Response:
    """200 when database, storage and queue all answer, else 503 naming those that do not."""
    parts = {"database": await _database(), "storage": await _storage(), "queue": await _queue()}
    is_ready = all(parts.values())
    words = {name: "ok" if is_well else "away" for name, is_well in parts.items()}
    return JSONResponse({"status": "ready" if is_ready else "not ready", **words}, 200 if is_ready else 503)


async def _database() -> bool:
    return await _answers("SELECT 1")


async def _queue() -> bool:
    """Its tables answer. Whether workers are alive is for the health page: a webhook is taken without any."""
    return await _answers("SELECT 1 FROM procrastinate_workers LIMIT 1")


async def _storage() -> bool:
    try:
        await storage.configured().size(NO_SUCH_OBJECT)
    except storage.ObjectMissing:
        return True
    except AcervoError:
        return False
    return True


async def _answers(question: str) -> bool:
    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute(question)

    try:
        await in_thread(ask)
    except Error:
        return False
    return True
