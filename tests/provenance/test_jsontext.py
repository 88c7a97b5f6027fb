"""The JSON reader: what is refused, for every reader alike, and where in the text it stands."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.text import jsonplaces, jsontext
from provenance.text.errors import JsonError, JsonFault, ProvenanceError

NUMBERS_OF_ALL = jsontext.Limits(largest_integer=2**63 - 1)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("NaN", JsonFault.CONSTANT),
        ("-Infinity", JsonFault.CONSTANT),
        ("1e999", JsonFault.NUMBER),
        ("-9223372036854775808", JsonFault.NUMBER),
        ("9" * 5000, JsonFault.NUMBER),
        ("tru", JsonFault.SYNTAX),
        ("[" * 100_000, JsonFault.DEPTH),
    ],
)
def test_what_is_refused_is_found_in_the_text(value: str, fault: JsonFault) -> None:
    text = '{"comment": "NaN 1e999 [",\n "b": 1,\n "wrong": ' + value + "}"
    with pytest.raises(JsonError) as caught:
        jsontext.parse(text, NUMBERS_OF_ALL)
    assert caught.value.fault is fault
    assert isinstance(caught.value, ProvenanceError)
    offset = jsonplaces.offset_of(text, caught.value, NUMBERS_OF_ALL)
    deep = NUMBERS_OF_ALL.depth - 1 if fault is JsonFault.DEPTH else 0  # the object itself is the first level
    assert (jsonplaces.line_at(text, offset), jsonplaces.column_at(text, offset)) == (3, 11 + deep)


def test_a_repeated_key_is_found_where_it_stands_again() -> None:
    text = '{"a": {"x": 1},\n "b": {"x": 1},\n "c": {"x": 1,\n  "x": 2}}'
    with pytest.raises(JsonError, match="has the key 'x' twice in one object") as caught:
        jsontext.read(text)
    assert jsonplaces.line_at(text, jsonplaces.offset_of(text, caught.value, NUMBERS_OF_ALL)) == 4


def test_numbers_are_left_to_the_caller_without_a_limit() -> None:
    assert jsontext.read(f"[{10**60}, 1e999]") == [10**60, float("inf")]
    assert jsontext.parse("[9223372036854775807, -1.5e308]", NUMBERS_OF_ALL) == [2**63 - 1, -1.5e308]


@pytest.mark.parametrize("text", [b"\xff", b'{"a": "\\ud800"}', '["\ud800"]'])
def test_text_that_is_none_is_refused(text: str | bytes) -> None:
    with pytest.raises(JsonError) as caught:
        jsontext.read(text)
    assert caught.value.fault is JsonFault.ENCODING


KEYS = st.text(st.characters(exclude_characters=".[]", exclude_categories=("C",)), min_size=1, max_size=8)
TREES = st.recursive(
    st.just(None),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(KEYS, inner, min_size=1, max_size=3),
    max_leaves=20,
)


def leaves(tree: Any, path: str = "") -> Iterator[str]:
    """Every path of a tree that leads to a leaf."""
    if isinstance(tree, list):
        for i, inner in enumerate(tree):
            yield from leaves(inner, f"{path}[{i}]")
    elif isinstance(tree, dict):
        for key, inner in tree.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path


def numbered(tree: Any, numbers: Iterator[int]) -> Any:
    """The same tree with a mark of its own for each leaf, in the order of the text."""
    if isinstance(tree, list):
        return [numbered(inner, numbers) for inner in tree]
    if isinstance(tree, dict):
        return {key: numbered(inner, numbers) for key, inner in tree.items()}
    return f"leaf {next(numbers)}"


@given(TREES)
def test_the_line_of_a_path_is_that_of_its_value(tree: Any) -> None:
    """Written with a value a line, so that the text itself says where each leaf is."""
    text = json.dumps(numbered(tree, itertools.count()), indent=1)
    lines = text.split("\n")
    paths = list(leaves(tree))
    found = jsonplaces.lines_of(text, paths)
    for number, path in enumerate(paths):
        assert f'"leaf {number}"' in lines[found[path] - 1]
