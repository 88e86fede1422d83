"""The floor of playback: Starlette gives ranges of a plain file to anybody."""

from __future__ import annotations

import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

from bench.floors import serve

PATH = sys.argv[1]


async def file(request: Request) -> FileResponse:
    return FileResponse(PATH, media_type="video/mp4")


if __name__ == "__main__":
    serve(Starlette(routes=[Route("/file", file)]))
