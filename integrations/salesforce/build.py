"""The Salesforce metadata of one connection: `python3 build.py --address https://… --connection …`."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from filling import arguments, filled, write_folder  # noqa: E402

API_VERSION = "67.0"


def main() -> None:
    given = arguments("The Salesforce metadata of one connection.")
    out = given.out or HERE / "build"
    values = {"ACERVO": given.acervo, "CONNECTION": given.connection, "API_VERSION": API_VERSION}
    write_folder(out, _project(values))
    print(out)


def _project(values: dict[str, str]) -> dict[str, bytes]:
    source = {f"force-app/{name}": text for name, text in filled(HERE / "force-app", values).items()}
    project = (HERE / "sfdx-project.json").read_text().replace("__API_VERSION__", API_VERSION)
    return {"sfdx-project.json": project.encode(), **source}


if __name__ == "__main__":
    main()
