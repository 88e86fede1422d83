"""`python -m bench.sizes`: what each policy makes of the corpus, as the table of docs/guides/media.md."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import django

from bench.preparation import grainy_film

if TYPE_CHECKING:
    from acervo.prepare.made import Outcome

CORPUS = Path(__file__).parents[1] / "tests" / "corpus"
POLICIES = ("never", "needed", "always")
PICTURES = {"poster", "thumb_96", "thumb_320", "thumb_640", "animated"}


@dataclass
class Sum:
    """Of the files of one kind under one policy."""

    files: int = 0
    original: int = 0
    pictures: int = 0
    serving: int = 0
    smaller: int = 0
    replaced: int = 0
    """Bytes of the originals in whose place a smaller copy is played."""
    thrown_away: int = 0

    def add(self, path: Path, outcome: Outcome) -> None:
        original = path.stat().st_size
        self.files += 1
        self.original += original
        for made in outcome.made:
            if made.kind in PICTURES:
                self.pictures += made.size_bytes
            elif made.wish.serves:
                self.serving += made.size_bytes
            else:
                self.smaller += made.size_bytes
                self.replaced += original
        self.thrown_away += sum(unmade.reason == "not_smaller" for unmade in outcome.unmade)


async def measure(files: list[tuple[Path, str, str]]) -> dict[tuple[str, str], Sum]:
    from acervo.models import MediaPolicy
    from acervo.prepare.previews import examine

    sums: dict[tuple[str, str], Sum] = defaultdict(Sum)
    for path, kind, declared in files:
        for when in POLICIES:
            with tempfile.TemporaryDirectory() as folder:
                policy = MediaPolicy(mp3=when, mp4=when, pages=when)
                sums[kind, when].add(path, await examine(path, declared, policy, Path(folder)))
    return sums


def corpus() -> list[tuple[Path, str, str]]:
    """Each good file, the row it counts in, and the kind it is declared as."""
    entries = json.loads((CORPUS / "manifest.json").read_text())["files"]
    return [
        (CORPUS / entry["name"], entry["kind"], entry["kind"])
        for entry in entries
        if entry["kind"] != "hostile"
    ]


def table(sums: dict[tuple[str, str], Sum]) -> str:
    lines = [
        "| kind | policy | files | originals | pictures for lists | copies that serve, on top | copies that save, of | not kept |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (kind, when), one in sums.items():
        saving = f"{kb(one.smaller)}, of {kb(one.replaced)}" if one.smaller else "–"
        serving = f"{kb(one.serving)} ({one.serving / one.original:+.0%})" if one.serving else "–"
        lines.append(
            f"| {kind} | {when} | {one.files} | {kb(one.original)} | {kb(one.pictures)} | {serving} | {saving}"
            f" | {one.thrown_away or '–'} |"
        )
    return "\n".join(lines)


def kb(size_bytes: int) -> str:
    return f"{size_bytes / 1000:,.0f} KB"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "ACERVO_DATA_DIR": folder,
            "ACERVO_SECRET_KEY": "s" * 48,
            "ACERVO_MASTER_KEY": base64.b64encode(b"m" * 32).decode(),
            "ACERVO_BASE_URL": "http://127.0.0.1:8000",
            "DJANGO_SETTINGS_MODULE": "acervo.settings",
        }
        django.setup()
        large = (grainy_film(Path(folder)), "video above the cap", "video")
        print(table(asyncio.run(measure([*corpus(), large]))))


if __name__ == "__main__":
    main()
