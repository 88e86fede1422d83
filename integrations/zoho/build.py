"""The Zoho widget's zip and its function, for one connection: `python3 build.py --address https://… --connection …`."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from filling import arguments, filled, write_folder, write_zip  # noqa: E402


def main() -> None:
    given = arguments("The Zoho widget of one connection.")
    out = given.out or HERE / "build"
    values = {"ACERVO": given.acervo, "CONNECTION": given.connection}
    write_zip(out / "acervo-zoho.zip", filled(HERE / "widget", values))
    write_folder(out, filled(HERE / "function", values))
    print(out)


if __name__ == "__main__":
    main()
