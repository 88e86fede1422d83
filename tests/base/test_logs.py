"""Promise 5 in tracebacks: where it happened and what kind it was, never what it choked on."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from acervo.base.errors import TryLater
from acervo.base.logs import JsonFormatter, TextFormatter


def record_of(raises: BaseException, cause: BaseException | None = None) -> logging.LogRecord:
    try:
        raise raises from cause
    except type(raises):
        return logging.LogRecord("acervo", logging.ERROR, __file__, 1, "job.fault", (), sys.exc_info())


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_traceback_quotes_no_value_of_any_cause(formatter: logging.Formatter) -> None:
    told = formatter.format(record_of(KeyError("+5511955550101"), ValueError("a secret text")))
    assert "KeyError" in told
    assert "ValueError" in told
    assert "test_logs.py" in told
    assert "955550101" not in told
    assert "a secret text" not in told


def test_what_our_own_errors_say_is_shown() -> None:
    told = json.loads(JsonFormatter().format(record_of(TryLater("The store is away."))))
    assert told["traceback"].endswith("acervo.base.errors.TryLater: The store is away.")
