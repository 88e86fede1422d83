"""Records as the rest of Acervo names them, their page in Salesforce, and values put safely into a query."""

from __future__ import annotations

import re
from collections.abc import Iterable

from acervo.crms.contract import CrmError, CrmErrorKind, RecordRef

_ID = re.compile(r"[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?")


class Records:
    """Names the records of one account. `home`: its My Domain address."""

    def __init__(self, base_url: str) -> None:
        self.home = base_url.rstrip("/")

    def ref(self, object_type: str, record_id: str) -> RecordRef:
        """My Domain sends whoever opens `/<id>` on to the record's page, in Lightning or Classic."""
        return RecordRef(object_type, record_id, f"{self.home}/{record_id}")


def is_id(text: str) -> bool:
    return bool(_ID.fullmatch(text))


def record_id(ref: RecordRef) -> str:
    """Raises NOT_FOUND for what cannot be an id of Salesforce: it goes into paths and queries."""
    if not is_id(ref.record_id):
        raise CrmError(CrmErrorKind.NOT_FOUND, "there is no such record in Salesforce")
    return ref.record_id


def select(names: Iterable[str], object_name: str, *conditions: str, then: str = "") -> str:
    """A query. Values of others go into conditions only through `quoted` and `listed`."""
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {', '.join(names)} FROM {object_name}{where} {then}".strip()  # noqa: S608


def listed(values: Iterable[str]) -> str:
    """For `IN`: quoted, so that no value ends its own quotes."""
    return "(" + ",".join(map(quoted, values)) + ")"


def quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
