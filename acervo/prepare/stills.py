"""The picture worker, run in isolation: `python -I stills.py look|shrink FORMAT PICTURE [OUTPUT=LONGEST_SIDE…]`.

Prints JSON. Ends with 1 when the picture is damaged, too large, or not in FORMAT. Imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

from PIL import Image, ImageOps

MAX_PIXELS = 50_000_000
MOVING = ("WEBP", "PNG", "GIF")  # a JPEG with several frames is a phone's depth map, not a film
QUALITY = 70  # at 320 and 640 pixels: 6 and 16 KB for a photograph


def main() -> None:
    task, picture_format, path, *outputs = sys.argv[1:]
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("ignore")  # corrupt EXIF and the like: not our trouble
    warnings.simplefilter("error", Image.DecompressionBombWarning)  # Pillow only warns up to twice the cap
    try:
        with Image.open(path, formats=(picture_format,)) as picture:
            answer = look(picture) if task == "look" else shrink(picture, outputs)
    except Exception as error:  # noqa: BLE001  (a hostile picture can make a decoder raise anything)
        sys.exit(type(error).__name__)
    print(json.dumps(answer))  # noqa: T201  (the answer)


def look(picture: Image.Image) -> dict[str, Any]:
    """Size as seen, and whether it moves. Decodes all of the first frame, so damage shows."""
    is_animated = picture.format in MOVING and getattr(picture, "is_animated", False)
    is_turned = picture.getexif().get(0x0112, 1) >= 5  # orientation: lying on its side
    width, height = picture.size[::-1] if is_turned else picture.size
    picture.load()
    return {"width": width, "height": height, "is_animated": is_animated}


def shrink(picture: Image.Image, outputs: list[str]) -> list[dict[str, Any]]:
    """WebP copies of the first frame, upright, never enlarged, without metadata. Give the largest first."""
    made = []
    for output in outputs:
        path, _, side = output.rpartition("=")
        picture.thumbnail((int(side), int(side)))
        upright = ImageOps.exif_transpose(picture)
        clean = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        clean.save(path, "WEBP", quality=QUALITY, exif=b"", xmp=b"", icc_profile=b"")
        made.append({"width": clean.width, "height": clean.height})
    return made


if __name__ == "__main__":
    main()
