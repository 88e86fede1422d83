"""The picture worker, run in isolation: `python -I stills.py FORMAT PICTURE FOLDER [KIND=LONGEST_SIDE…]`.

Prints a line of JSON for the picture itself and one for each copy. Ends with 1 when the picture is damaged, too large,
or not in FORMAT. FORMAT `PREVIEW`: the small picture inside an Office file. Imports nothing of ours.
"""

from __future__ import annotations

import io
import json
import sys
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

from PIL import Image

MAX_PIXELS = 50_000_000
MOVING = ("WEBP", "PNG", "GIF")  # a JPEG with several frames is a phone's depth map, not a film
QUALITY = 70  # at 320 and 640 pixels: 6 and 16 KB for a photograph
MAX_FRAMES = 400
MAX_PIXELS_OF_ALL_FRAMES = 100_000_000  # 400 frames of a sticker
SHORTEST_FRAME_MS = 20
ANIMATED_SIDE = 320

PREVIEWS = (
    "Thumbnails/thumbnail.png",
    "docProps/thumbnail.jpeg",
    "docProps/thumbnail.jpg",
    "docProps/thumbnail.png",
)
MAX_PREVIEW_BYTES = 4 * 1024 * 1024
MAX_ENTRIES = 20_000

INDEXED = ("P", "1")  # shrinking these would pick pixels instead of mixing them
ORIENTATION = 0x0112
# EXIF orientation: degrees clockwise, and what Pillow calls it. 2, 4, 5 and 7 are mirrored as well.
UPRIGHT = {
    2: (0, Image.Transpose.FLIP_LEFT_RIGHT),
    3: (180, Image.Transpose.ROTATE_180),
    4: (180, Image.Transpose.FLIP_TOP_BOTTOM),
    5: (90, Image.Transpose.TRANSPOSE),
    6: (90, Image.Transpose.ROTATE_270),
    7: (270, Image.Transpose.TRANSVERSE),
    8: (270, Image.Transpose.ROTATE_90),
}


class TooMuch(Exception):
    """More frames or pixels than we draw."""


def main() -> None:
    picture_format, path, folder, *outputs = sys.argv[1:]
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("ignore")  # corrupt EXIF and the like: not our trouble
    warnings.simplefilter("error", Image.DecompressionBombWarning)  # Pillow only warns up to twice the cap
    try:
        with _opened(path, picture_format) as picture:
            say(look(picture))
            for answer in drawn(picture, folder, outputs):
                say(answer)
    except Exception as error:  # noqa: BLE001  (a hostile picture can make a decoder raise anything)
        sys.exit(type(error).__name__)


def say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201  (the answer)


def _opened(path: str, picture_format: str) -> Image.Image:
    if picture_format != "PREVIEW":
        return Image.open(path, formats=(picture_format,))
    with zipfile.ZipFile(path) as office:
        if len(office.filelist) > MAX_ENTRIES:
            raise TooMuch
        name = next(name for name in PREVIEWS if name in office.NameToInfo)
        with office.open(name) as preview:
            return Image.open(io.BytesIO(preview.read(MAX_PREVIEW_BYTES)), formats=("PNG", "JPEG"))


def look(picture: Image.Image) -> dict[str, Any]:
    """Size as seen, and whether it moves. Decodes all of the first frame, so damage shows."""
    is_animated = picture.format in MOVING and getattr(picture, "is_animated", False)
    rotation, _ = UPRIGHT.get(picture.getexif().get(ORIENTATION, 1), (0, None))
    width, height = picture.size[::-1] if rotation in (90, 270) else picture.size
    picture.load()
    return {"width": width, "height": height, "rotation": rotation, "is_animated": is_animated}


def drawn(picture: Image.Image, folder: str, outputs: list[str]) -> Iterator[dict[str, Any]]:
    """WebP copies of the first frame, upright, never enlarged, without metadata. Give the largest first: each is made
    from the one before."""
    small: Image.Image | None = None
    for output in outputs:
        kind, _, side = output.partition("=")
        if kind == "animated":
            yield animate(picture, folder)
            continue
        small = _shrunk(picture if small is None else small, int(side), is_upright=small is not None)
        small.save(f"{folder}/{kind}", "WEBP", quality=QUALITY, exif=b"", xmp=b"", icc_profile=b"")
        yield {"kind": kind, "width": small.width, "height": small.height}


def animate(picture: Image.Image, folder: str) -> dict[str, Any]:
    """A small copy that moves like the original."""
    if picture.format not in MOVING or not getattr(picture, "is_animated", False):
        return {"kind": "animated", "reason": "stands_still"}
    try:
        frames, pauses = _frames(picture)
    except TooMuch:
        return {"kind": "animated", "reason": "too_much"}
    first, *others = frames
    first.save(
        f"{folder}/animated", "WEBP", save_all=True, append_images=others, duration=pauses,
        loop=int(picture.info.get("loop", 0)) % 65_536, quality=QUALITY, method=2, exif=b"", xmp=b"", icc_profile=b"",
    )  # fmt: skip
    return {"kind": "animated", "width": first.width, "height": first.height}


def _frames(picture: Image.Image) -> tuple[list[Image.Image], list[int]]:
    """Never asks how many there are: a picture may claim any number, and counting those of a GIF reads them all."""
    frames: list[Image.Image] = []
    pauses: list[int] = []
    most = min(MAX_FRAMES, MAX_PIXELS_OF_ALL_FRAMES // max(1, picture.width * picture.height))
    while True:
        try:
            picture.seek(len(frames))
        except EOFError:
            return frames, pauses
        if len(frames) >= most:
            raise TooMuch
        frames.append(_shrunk(picture, ANIMATED_SIDE))
        pauses.append(max(SHORTEST_FRAME_MS, round(picture.info.get("duration", 0) or 100)))


def _shrunk(picture: Image.Image, side: int, *, is_upright: bool = False) -> Image.Image:
    orientation = 1 if is_upright else picture.getexif().get(ORIENTATION, 1)
    small = picture.copy() if picture.mode not in INDEXED else _in_full_colour(picture)
    small.thumbnail((side, side))
    _, turn = UPRIGHT.get(orientation, (0, None))
    return _in_full_colour(small if turn is None else small.transpose(turn))


def _in_full_colour(picture: Image.Image) -> Image.Image:
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


if __name__ == "__main__":
    main()
