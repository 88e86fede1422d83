"""The zip of the Zendesk app for one account: `python3 build.py --address https://… --connection …`."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from filling import arguments, filled, write_zip  # noqa: E402


def main() -> None:
    given = arguments("The Zendesk app of one connection.")
    out = given.out or HERE / "build" / "acervo-zendesk.zip"
    values = {"ACERVO": given.acervo, "HOST": given.host.partition(":")[0], "CONNECTION": given.connection}
    write_zip(out, filled(HERE / "app", values))
    print(out)


if __name__ == "__main__":
    main()
