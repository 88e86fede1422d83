"""The document worker, run in isolation: `python -I pages.py PDF FOLDER MOST_PAGES [KIND=LONGEST_SIDE…]`.

Draws with PDFium, built without JavaScript and XFA; forms are not even opened. Prints a line of JSON for the document
and one for each picture. Ends with 1 when it cannot be opened. Imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pypdfium2 as pdfium
from PIL import Image

PAGE_SIDE = 1280
QUALITY = 75
PATIENCE_S = 30  # of computing; what has no picture by then gets none
WRONG_PASSWORD = 4  # FPDF_ERR_PASSWORD


def main() -> None:
    path, folder, most, *outputs = sys.argv[1:]
    sides = {kind: int(side) for kind, _, side in (output.partition("=") for output in outputs)}
    try:
        document = pdfium.PdfDocument(path)
        say({"page_count": len(document)})
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) == WRONG_PASSWORD:
            say({"is_locked": True})
            return
        sys.exit("PdfiumError")
    wants_pages = sides.pop("page", None) is not None
    for number in range(1, min(len(document), int(most) if wants_pages else 1) + 1):
        if time.process_time() > PATIENCE_S:
            break
        try:
            picture = drawn(document, number)
        except Exception:  # noqa: BLE001  (one broken page, of whatever kind of brokenness)
            say({"is_broken": True, "page": number})
            continue
        if wants_pages:
            say(saved(picture, f"{folder}/page-{number}", PAGE_SIDE, kind="page", page=number))
        if number == 1:
            for kind, side in sides.items():
                say(saved(picture, f"{folder}/{kind}", side, kind=kind))


def say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201  (the answer)


def drawn(document: pdfium.PdfDocument, number: int) -> Image.Image:
    page = document[number - 1]
    try:
        scale = PAGE_SIDE / max(*page.get_size(), 1.0)
        picture: Image.Image = page.render(scale=scale, may_draw_forms=False).to_pil()
        return picture.convert("RGB")
    finally:
        page.close()


def saved(picture: Image.Image, path: str, side: int, **names: Any) -> dict[str, Any]:
    copy = picture.copy()
    copy.thumbnail((side, side), reducing_gap=3.0)
    copy.save(path, "WEBP", quality=QUALITY, method=2)
    return {**names, "width": copy.width, "height": copy.height}


if __name__ == "__main__":
    main()
