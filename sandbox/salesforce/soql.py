"""As much of SOQL as is asked here: SELECT, FROM, WHERE with =, != and IN joined by AND, ORDER BY, LIMIT."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sandbox.salesforce.fields import Refusal
from sandbox.salesforce.org import Org, Record, is_id

_TOKEN = re.compile(r"\s*('(?:[^'\\]|\\.)*'|[\w.]+|!=|[=(),])")
_SYSTEM = frozenset({"Id", "IsDeleted", "MasterRecordId"})
_ONE_OF = frozenset({"Id", "ContentDocumentId", "LinkedEntityId"})
"""Without one of them nobody may look for links."""
_WORDS = {"true": True, "false": False, "null": None}

Test = Callable[[Record], bool]


def run(org: Org, soql: str, *, with_deleted: bool) -> list[dict[str, Any]]:
    """The rows. Raises Refusal 400 as Salesforce does."""
    query = _Query(org, soql, with_deleted=with_deleted)
    return [
        {"attributes": {"type": query.object_name, "url": f"/sobjects/{query.object_name}/{one.id}"}}
        | _shown(one, query.names)
        for one in query.rows()
    ]


def _shown(one: Record, names: list[str]) -> dict[str, Any]:
    """`Owner.Name` is answered as an object of its own, or null where there is none; deeper ones inside each other."""
    shown: dict[str, Any] = {}
    for name in names:
        first, *inner = name.split(".")
        value = one.get(name)
        for child in reversed(inner):
            value = None if value is None else {child: value}
        shown[first] = value
    return shown


class _Query:
    def __init__(self, org: Org, soql: str, *, with_deleted: bool) -> None:
        self._org = org
        self._with_deleted = with_deleted
        self._tokens = _TOKEN.findall(soql)
        if _TOKEN.sub("", soql).strip():  # such as a quote that was never closed
            raise Refusal(400, "MALFORMED_QUERY", "unexpected token")
        self.limit = 50_000
        self.names = self._select()
        self._asked: set[str] = set()
        self._tests = self._where()
        if self.object_name == "ContentDocumentLink" and not self._asked & _ONE_OF:
            message = (
                "ContentDocumentLink requires a filter by a single Id on ContentDocumentId or LinkedEntityId"
            )
            raise Refusal(400, "MALFORMED_QUERY", message)
        self._rest()

    def rows(self) -> list[Record]:
        every = self._org.records[self.object_name].values()
        found = [one for one in every if self._with_deleted or not one.is_deleted]
        return [one for one in found if all(test(one) for test in self._tests)][: self.limit]

    def _select(self) -> list[str]:
        self._expect("SELECT")
        names = [self._next()]
        while self._peek() == ",":
            self._next()
            names.append(self._next())
        self._expect("FROM")
        self.object_name = self._next()
        if not self._org.sees_object(self.object_name):
            raise Refusal(400, "INVALID_TYPE", f"sObject type '{self.object_name}' is not supported.")
        for name in names:
            self._known(name)
        return names

    def _where(self) -> list[Test]:
        tests: list[Test] = []
        if self._peek() != "WHERE":
            return tests
        self._next()
        tests.append(self._test())
        while self._peek() == "AND":
            self._next()
            tests.append(self._test())
        return tests

    def _test(self) -> Test:
        name = self._known(self._next())
        self._asked.add(name)
        operator = self._next()
        if operator in {"=", "!="}:
            wanted = self._literal(name, self._next())
            return lambda one: _equal(one.get(name), wanted) == (operator == "=")
        if operator != "IN":
            raise Refusal(400, "MALFORMED_QUERY", f"unexpected token: {operator}")
        values = self._values(name)
        return lambda one: any(_equal(one.get(name), value) for value in values)

    def _values(self, name: str) -> list[Any]:
        self._expect("(")
        if self._peek() == "SELECT":
            return self._inner()
        values = [self._literal(name, self._next())]
        while self._peek() == ",":
            self._next()
            values.append(self._literal(name, self._next()))
        self._expect(")")
        return values

    def _inner(self) -> list[Any]:
        depth, taken = 1, []
        while depth:
            token = self._next()
            depth += (token == "(") - (token == ")")
            taken.append(token)
        inner = _Query(self._org, " ".join(taken[:-1]), with_deleted=False)
        return [one.get(inner.names[0]) for one in inner.rows()]

    def _rest(self) -> None:
        while self._tokens:
            if self._next() == "LIMIT":
                self.limit = int(self._next())

    def _literal(self, name: str, token: str) -> Any:
        if token.startswith("'"):
            value = re.sub(r"\\(.)", r"\1", token[1:-1])
            if name.endswith("Id") and not is_id(value):
                raise Refusal(400, "INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {value}")
            return value
        if token in _WORDS:
            return _WORDS[token]
        raise Refusal(400, "MALFORMED_QUERY", f"unexpected token: {token}")

    def _known(self, name: str) -> str:
        if name not in _SYSTEM:
            self._org.definition(self.object_name, name)
        return name

    def _peek(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def _next(self) -> str:
        if not self._tokens:
            raise Refusal(400, "MALFORMED_QUERY", "unexpected end")
        return str(self._tokens.pop(0))

    def _expect(self, word: str) -> None:
        if self._next() != word:
            raise Refusal(400, "MALFORMED_QUERY", f"expecting {word}")


def _equal(theirs: Any, wanted: Any) -> bool:
    if isinstance(theirs, str) and isinstance(wanted, str):
        return theirs.lower() == wanted.lower() or (len(wanted) == 15 and theirs[:15] == wanted)
    return bool(theirs == wanted)
