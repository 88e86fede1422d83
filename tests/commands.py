"""`acervo` commands one after another in one process, for tests that need many: each start costs seconds of a core.
What a command is by itself is proven in `tests/management`.

Reads a request a line from standard input, `{"arguments": […], "input": "…"}`, and answers each with a line,
`{"code": 0, "out": "…", "err": "…"}`.
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from acervo.management import main as acervo


def run(arguments: list[str], given: str) -> dict[str, Any]:
    from django.db import connections

    sys.argv = ["acervo", *arguments]
    sys.stdin = io.StringIO(given)
    code: Any = 0
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            acervo.main()
        except SystemExit as ended:
            code = ended.code or 0
        finally:
            connections.close_all()  # the database may be killed before the next one
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def main() -> None:
    requests, answers = sys.stdin, sys.stdout
    for line in requests:
        request = json.loads(line)
        answers.write(json.dumps(run(request["arguments"], request["input"])) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
