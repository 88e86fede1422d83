"""The floor of preparation: ffmpeg with the arguments of ours on the same file, and nothing else.

`python -m bench.floors.bare_ffmpeg FILE KIND TIMES`, in the environment of an installation. Ends by printing what a run
cost, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import django


def main() -> None:
    path, kind, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    django.setup()
    with tempfile.TemporaryDirectory() as folder:
        argv = command(path, kind, Path(folder))
        before = os.times()
        for _ in range(times):
            subprocess.run(argv, cwd=folder, env={}, check=True, capture_output=True)
        after = os.times()
    spent_s = after.children_user + after.children_system - before.children_user - before.children_system
    print(json.dumps({"cpu_s": spent_s / times}))


def command(path: Path, kind: str, folder: Path) -> list[str]:
    from acervo.models import MediaPolicy
    from acervo.prepare.inspection import inspect
    from acervo.prepare.playing import Player
    from acervo.prepare.wanted import wanted

    policy = MediaPolicy()
    facts = asyncio.run(inspect(path, kind))
    return Player(path, facts, policy, folder).command(wanted(facts, policy))


if __name__ == "__main__":
    main()
