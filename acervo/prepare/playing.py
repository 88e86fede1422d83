"""Sound and film: heard and watched once, strictly, and copied in the same run of ffmpeg."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from acervo.models import MediaPolicy, RenditionKind
from acervo.prepare import ffmpeg, isolation, limits
from acervo.prepare.facts import Facts
from acervo.prepare.isolation import ToolFailed, ToolTimedOut
from acervo.prepare.made import TOO_MUCH, TOOL_FAILED, Made, Outcome, Unmade
from acervo.prepare.wanted import POSTERS, Wish
from acervo.prepare.waveform import Meter

log = logging.getLogger(__name__)

POSTER_AT_S: Final = 1.0
SPENT: Final = {255, -signal.SIGXCPU, -signal.SIGXFSZ}
"""How ffmpeg ends at its limits. Of computing time it hears the warning, and says goodbye with 255."""
SILENT_LUFS: Final = -70.0


class TooMuch(ToolFailed):
    """A media tool used all the computing time, or wrote the largest file, it may."""

    code = TOO_MUCH


@dataclass(frozen=True, slots=True)
class Player:
    """One file and everything its runs have in common."""

    path: Path
    facts: Facts
    policy: MediaPolicy
    out_dir: Path

    async def play(self, wishes: Sequence[Wish], *, is_last_try: bool) -> Outcome:
        """Raises ToolTimedOut, unless this is the last try and the file can at least be judged."""
        pictures = [wish for wish in wishes if wish.kind in POSTERS]
        others = [wish for wish in wishes if wish.kind not in POSTERS]
        if self._is_decoded_for(others):
            return await self._play(wishes, is_last_try=is_last_try)
        outcome = await self._play(others, is_last_try=is_last_try)
        if outcome.facts.is_readable:
            await self._add(outcome, pictures)
        return outcome

    async def _play(self, wishes: Sequence[Wish], *, is_last_try: bool) -> Outcome:
        try:
            run = await self.run(wishes, is_strict=True)
        except (ToolTimedOut, TooMuch) as error:
            if isinstance(error, ToolTimedOut) and not is_last_try:
                raise
            return await self._one_by_one(wishes, await self.run((), is_strict=True))
        if not run.is_faulty:
            return Outcome(self._proven(run, is_damaged=False), self._made(wishes))
        # What a new container or a large encoder refuses is no fault of the file: judged is decoding alone.
        has_film = any(wish.kind == RenditionKind.MP4 for wish in wishes)
        judged = await self.run((), is_strict=True) if has_film else run
        return await self._saved(wishes, judged)

    async def run(self, wishes: Sequence[Wish], *, is_strict: bool) -> Run:
        """Everything in one go: sound to be measured, pictures into the void, copies into the folder."""
        notes = [self.out_dir / name for name in (ffmpeg.SOUND_FILE, ffmpeg.LOUDNESS_FILE)]
        try:
            result = await self._tool(self.command(wishes, is_strict=is_strict), wishes)
            return await asyncio.to_thread(Run.of, self.facts, result, *notes)
        finally:
            for note in notes:
                note.unlink(missing_ok=True)

    def command(self, wishes: Sequence[Wish], *, is_strict: bool = True) -> list[str]:
        command = ffmpeg.ffmpeg(self.path, self.facts.filetype, is_strict=is_strict)
        if self.facts.video_codec:
            command += ffmpeg.progress()
            if not any(_encodes(wish) for wish in wishes):
                command += ffmpeg.watched(is_decoded=self._is_decoded_for(wishes))
        if self.facts.audio_codec:
            command += ffmpeg.heard(self.facts)
        for wish in wishes:
            command += self._output(wish)
        return command

    async def _saved(self, wishes: Sequence[Wish], judged: Run) -> Outcome:
        """A second, lenient look: what can be had of a faulty file, and which copy it was that failed."""
        try:
            run = await self.run(wishes, is_strict=False)
        except (ToolTimedOut, TooMuch):
            return await self._one_by_one(wishes, judged)
        if run.returncode:
            return await self._one_by_one(wishes, judged)
        best = run if judged.is_faulty else judged
        return Outcome(self._proven(best, is_damaged=judged.is_faulty), self._made(wishes))

    async def _one_by_one(self, wishes: Sequence[Wish], judged: Run) -> Outcome:
        self._clear(wishes)
        run = await self.run((), is_strict=False) if judged.is_faulty else judged
        outcome = Outcome(self._proven(run, is_damaged=judged.is_faulty))
        if not outcome.facts.is_readable:
            return outcome
        await self._add(outcome, [wish for wish in wishes if wish.kind in POSTERS])
        for wish in wishes:
            if wish.kind not in POSTERS:
                await self._add(outcome, [wish])
        return outcome

    async def _add(self, outcome: Outcome, group: Sequence[Wish]) -> None:
        """Copies that are made by a run of their own."""
        reason = await self._alone(group) if group else ""
        made = [] if reason else self._made(group)
        there = {one.kind for one in made}
        lacking = [wish for wish in group if wish.kind not in there]
        self._clear(lacking)
        outcome.made += made
        outcome.unmade += [Unmade(wish.kind, reason or TOOL_FAILED) for wish in lacking]

    async def _alone(self, group: Sequence[Wish]) -> str:
        """Why it did not work; nothing if it did. Where a container lies about its length, or is cut, the place for
        the poster may not exist: then it is the very first frame."""
        are_pictures = group[0].kind in POSTERS
        for seek_s in (self._poster_at_s, 0) if are_pictures else (0,):
            command = ffmpeg.ffmpeg(self.path, self.facts.filetype, seek_s=seek_s)
            for wish in group:
                command += self._output(wish, is_alone=True)
            try:
                result = await self._tool(command, group)
            except (ToolTimedOut, TooMuch):
                return TOO_MUCH
            if self._described(group[0]).exists:
                break
        if result.returncode:
            log.warning("prepare.copy_failed", extra={"copy": group[0].kind, "returncode": result.returncode})
        return TOOL_FAILED if result.returncode else ""

    async def _tool(self, command: list[str], wishes: Sequence[Wish]) -> isolation.Result:
        bounds = limits.ENCODING if any(_encodes(wish) for wish in wishes) else limits.DECODING
        result = await isolation.run(command, reads=[self.path], writes=self.out_dir, limits=bounds)
        if result.returncode == -signal.SIGKILL:
            raise ToolTimedOut("ffmpeg was killed from outside.")
        if result.returncode in SPENT:
            raise TooMuch("ffmpeg came to its limits.", returncode=result.returncode)
        return result

    def _output(self, wish: Wish, *, is_alone: bool = False) -> list[str]:
        output = self._place(wish)
        if wish.kind == RenditionKind.MP3:
            return ffmpeg.mp3(output)
        if wish.kind == RenditionKind.MP4:
            cap_kbps, longest_side = self.policy.video_cap_kbps, self.policy.video_cap_side
            return ffmpeg.mp4(output, self.facts, wish, cap_kbps=cap_kbps, longest_side=longest_side)
        at_s = None if is_alone else self._poster_at_s
        return ffmpeg.still(output, self.facts, POSTERS[RenditionKind(wish.kind)], at_s=at_s)

    def _made(self, wishes: Sequence[Wish]) -> list[Made]:
        """A wish without a file (a picture track that has no frame) is no copy."""
        return [made for wish in wishes if (made := self._described(wish)).exists]

    def _described(self, wish: Wish) -> Made:
        path, facts = self._place(wish), self.facts
        if wish.kind == RenditionKind.MP3:
            return Made(wish, path, "audio/mpeg")
        if wish.kind == RenditionKind.MP4:
            side = self.policy.video_cap_side
            seen = (facts.width, facts.height)
            width, height = seen if wish.keeps_picture else ffmpeg.fitted(facts, side, is_even=True)
            return Made(wish, path, "video/mp4", width, height)
        width, height = ffmpeg.fitted(facts, POSTERS[RenditionKind(wish.kind)])
        return Made(wish, path, "image/webp", width, height)

    def _proven(self, run: Run, *, is_damaged: bool) -> Facts:
        return replace(
            self.facts,
            duration_s=run.duration_s or None,
            loudness_lufs=run.loudness_lufs,
            waveform=run.meter.points() if self.facts.kind == "audio" and run.duration_s else None,
            is_readable=run.duration_s > 0,
            is_damaged=is_damaged or not self.facts.is_whole,
        )

    def _place(self, wish: Wish) -> Path:
        return self.out_dir / wish.kind

    def _clear(self, wishes: Sequence[Wish]) -> None:
        for wish in wishes:
            self._place(wish).unlink(missing_ok=True)

    @property
    def _poster_at_s(self) -> float:
        return min(POSTER_AT_S, self.facts.claimed_s / 3)

    def _is_decoded_for(self, wishes: Sequence[Wish]) -> bool:
        """Whether every frame is decoded: to judge it, or because a copy needs it anyway."""
        is_small = self.path.stat().st_size <= limits.FULLY_DECODED_BYTES
        return is_small or any(_encodes(wish) for wish in wishes)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run said and heard."""

    meter: Meter
    duration_s: float
    loudness_lufs: float | None
    returncode: int
    is_faulty: bool

    @classmethod
    def of(cls, facts: Facts, result: isolation.Result, sound: Path, loudness: Path) -> Run:
        meter = Meter()
        if sound.exists():
            meter.read(sound)
        played_s, complaints = _progress(result.stderr.decode(errors="replace"))
        duration_s = min(played_s, limits.MAX_DURATION_S) if facts.video_codec else meter.duration_s
        is_faulty = bool(result.returncode or complaints)
        return cls(meter, round(duration_s, 3), _loudness(loudness), result.returncode, is_faulty)


def _encodes(wish: Wish) -> bool:
    return wish.kind == RenditionKind.MP4 and not wish.keeps_picture


def _progress(stderr: str) -> tuple[float, list[str]]:
    """Seconds played, and what else was said: with `-v error` any word is a fault, even when the return code is 0."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    complaints = [line for line in lines if not re.fullmatch(r"[a-z_0-9]+= *\S*", line)]
    played = re.findall(r"^out_time_us=(\d+)$", stderr, re.MULTILINE)
    return (int(played[-1]) / 1_000_000 if played else 0.0), complaints


def _loudness(path: Path) -> float | None:
    """The last thing said is about the whole; nothing below the gate of R128 is a loudness."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        said = re.findall(rb"lavfi\.r128\.I=(-?\d+\.?\d*)", file.read())
    lufs = float(said[-1]) if said else SILENT_LUFS
    return round(lufs, 1) if lufs > SILENT_LUFS else None
