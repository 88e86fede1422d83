"""Sends still pictures to the picture worker (`stills.py`), which runs as isolated as ffmpeg."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import PIL

from acervo.base.filetypes import FileType
from acervo.prepare import isolation
from acervo.prepare.isolation import Limits

WORKER: Final = Path(__file__).with_name("stills.py")
INTERPRETER: Final = (Path(sys.prefix), Path(sys.base_prefix), Path(PIL.__file__).parent.parent, WORKER)
DRAWING: Final = Limits(wall_s=60, cpu_s=30)


async def look(path: Path, filetype: FileType) -> dict[str, Any]:
    """`width` and `height` as seen, `is_animated`. Raises ToolFailed for a picture that does not decode."""
    answer: dict[str, Any] = await _ask("look", path, filetype)
    return answer


async def shrink(path: Path, filetype: FileType, outputs: dict[Path, int]) -> list[tuple[int, int]]:
    """Writes WebP copies no larger than the given longest sides (give the largest first), all into one folder.
    Returns their sizes. Raises ToolFailed."""
    (folder,) = {output.parent for output in outputs}
    arguments = [f"{output}={side}" for output, side in outputs.items()]
    answer = await _ask("shrink", path, filetype, *arguments, writes=folder)
    return [(copy["width"], copy["height"]) for copy in answer]


async def _ask(task: str, path: Path, filetype: FileType, *outputs: str, writes: Path | None = None) -> Any:
    worker = [sys.executable, "-I", "-B", "-X", "utf8", str(WORKER)]
    result = await isolation.must(
        [*worker, task, str(filetype.still), path, *outputs],
        reads=[path, *INTERPRETER],
        writes=writes,
        limits=DRAWING,
    )
    return json.loads(result.stdout)
