"""Payloads as no vendor documents them: something missing, null, of the wrong type, doubled, huge or not text."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

STRANGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(10**40), max_value=10**40),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        [
            "",
            " ",
            "\x00",
            "a\x00b",
            "\ud800",
            "\udfff\ud800",
            "٣٤٥",
            "-1",
            "1e999",
            "NaN",
            "9" * 400,
            "../..",
            "/~",
        ]
    ),
    st.sampled_from([[], {}, [None], [[]], [{}], {"id": 1}, {"": ""}, {"\x00": "\ud800"}]),
    st.recursive(st.none(), lambda inner: st.lists(inner, max_size=2), max_leaves=30),
).map(copy.deepcopy)  # `sampled_from` hands out the same list each time, and the next round may change it


@st.composite
def scrambled(draw: st.DrawFn, document: Any, *, most: int = 3) -> Any:
    """`document` with one to `most` of its parts replaced, removed, doubled, or given a neighbour."""
    result = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, most))):
        spots = list(_spots(result))
        if not spots:
            break
        holder, key = draw(st.sampled_from(spots))
        match draw(st.sampled_from(["replace", "remove", "double", "add"])):
            case "replace":
                holder[key] = draw(STRANGE)
            case "remove":
                del holder[key]
            case "double" if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case _ if isinstance(holder, dict):
                holder[draw(st.sampled_from(["new", "id", "type", "errors", "\x00", "a/b~c"]))] = draw(
                    STRANGE
                )
            case _:
                holder.append(draw(STRANGE))
    return result


def _spots(value: Any) -> Any:
    """Every place in a document, as (holder, key)."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _spots(value[key])
