"""One door for the outside, one port: webhooks and playback on short paths, Django behind them for everything else."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "acervo.settings")

from django.core.asgi import get_asgi_application

django_app = get_asgi_application()  # sets Django up; what follows imports models

from starlette.routing import Mount, Route, Router

from acervo.base.database import conninfo
from acervo.hooks.app import HookApp, Receive, Scope, Send
from acervo.hooks.health import healthz, readyz
from acervo.hooks.static import Static
from acervo.keep import storage
from acervo.play.door import play
from acervo.play.heard import heard
from acervo.play.live import live
from acervo.receive.journal import Journal

ROUTES = [
    Route("/healthz", healthz, methods=["GET"]),
    Route("/readyz", readyz, methods=["GET"]),
    Route("/play/{slug}/heard", heard, methods=["POST"]),
    Route("/play/{slug}/{what}", play, methods=["GET", "HEAD"]),
    Route("/live", live, methods=["GET"]),
    Mount("/static", Static(packages=[("acervo.web", "static"), ("django_htmx", "static")])),
]
OUTSIDE_DJANGO = ("/play/", "/static/", "/live", "/healthz", "/readyz")


class Application:
    """ASGI. Its journal belongs to the event loop that runs the lifespan."""

    def __init__(self) -> None:
        self._journal = Journal(conninfo())
        self._hooks = HookApp(self._journal)
        self._router = Router(ROUTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        path = scope.get("path", "")
        if path.startswith("/hooks/"):
            return await self._hooks(scope, receive, send)
        if path.startswith(OUTSIDE_DJANGO):
            return await self._router(scope, receive, send)
        return await django_app(scope, receive, send)  # type: ignore[arg-type]

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._journal.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._journal.close()
        await storage.configured().settle()
        await send({"type": "lifespan.shutdown.complete"})


application = Application()
