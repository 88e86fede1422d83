"""The HubSpot project of one connection: `python3 build.py --address https://… --connection …`."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from filling import arguments, filled, write_folder  # noqa: E402


def main() -> None:
    given = arguments("The HubSpot project of one connection.")
    out = given.out or HERE / "build"
    write_folder(out, filled(HERE / "project", {"ACERVO": given.acervo, "CONNECTION": given.connection}))
    print(out)


if __name__ == "__main__":
    main()
