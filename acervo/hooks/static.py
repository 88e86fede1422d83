"""Style, scripts, fonts and icons, straight from the packages that hold them: no build step, always the right version."""

from __future__ import annotations

import os

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope


class Static(StaticFiles):
    """Every answer may be kept but must be asked about again: after an update nobody sees old scripts, and an unchanged
    file costs a 304 without a body."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "public, no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
