"""Places in a JSON text: the line and column of a path such as `parameters[2].min`, and of what a reader refused.

Nothing here runs before something is wrong: a text that is right is read at the speed of the parser.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from provenance.text.errors import JsonError, JsonFault
from provenance.text.jsontext import Limits

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_LAST_STEP: Final = re.compile(r"(\.[^.\[\]]*|\[\d+\]|[^.\[\]]+)$")
_LONGEST_KEY: Final = 80
"""How many characters of a key a path quotes."""


def lines_of(text: str, paths: Sequence[str]) -> dict[str, int]:
    """Return the lines, counted from 1, of these paths in a JSON text, and of what holds them.

    A path that the text does not have is not in the result.
    """
    wanted = {holder for path in paths for holder in holders(path)}
    missing = set(paths)
    found: dict[str, int] = {}
    for path, offset in _paths(text):
        if path in wanted and path not in found:
            found[path] = line_at(text, offset)
            missing.discard(path)
            if not missing:
                break
    return found


def holders(path: str) -> Iterator[str]:
    """Yield the path itself, then what holds it: a[2].b, a[2], a and the empty path of the whole document."""
    yield path
    while path:
        path = _LAST_STEP.sub("", path, count=1) if _LAST_STEP.search(path) else ""
        yield path


def line_at(text: str, offset: int) -> int:
    """Return the line of an offset, counted from 1."""
    return text.count("\n", 0, offset) + 1


def column_at(text: str, offset: int) -> int:
    """Return the column of an offset in its line, counted from 1."""
    return offset - text.rfind("\n", 0, offset)


def offset_of(text: str, error: JsonError, limits: Limits) -> int:
    """Return the offset at which a text holds what was refused.

    Parameters
    ----------
    text
        The text that was refused.
    error
        The error with which it was refused.
    limits
        The limits with which it was read; the depth is used.

    Returns
    -------
    int
        The offset in characters, from 0; also 0 where the whole text is meant or the place is not found.
    """
    if error.offset is not None:
        return error.offset
    match error.fault:
        case JsonFault.CONSTANT | JsonFault.NUMBER:
            return next((token.start() for token in _TOKEN.finditer(text) if token[0] == error.subject), 0)
        case JsonFault.KEY:
            return _offset_of_repeated_key(text)
        case JsonFault.DEPTH:
            return _offset_of_depth(text, limits.depth)
        case _:
            return 0


def is_after_comma(text: str, offset: int) -> bool:
    """Return whether an array or object is closed at the offset right after a comma."""
    return text[offset:].lstrip()[:1] in ("}", "]") and text[:offset].rstrip()[-1:] == ","


@dataclass
class _Holder:
    """An array or object that is not closed yet; `next_item` is -1 for an object."""

    path: str
    next_item: int


def _paths(text: str) -> Iterator[tuple[str, int]]:
    """Yield every path of a JSON text and the offset at which it begins: that of the key for a member of an object."""
    open_holders: list[_Holder] = []
    path, begins = "", True
    yield "", len(text) - len(text.lstrip())
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in "}]":
            if open_holders:
                open_holders.pop()
            begins = False
        elif token == ",":
            begins = True
        elif token != ":":
            if begins and open_holders:
                holder = open_holders[-1]
                if holder.next_item < 0 and token not in "{[":
                    key = _key(token)[:_LONGEST_KEY]
                    path, begins = f"{holder.path}.{key}" if holder.path else key, False
                    yield path, match.start()
                    continue
                path = f"{holder.path}[{holder.next_item}]"
                holder.next_item += 1
                yield path, match.start()
            begins = token in "{["
            if begins:
                open_holders.append(_Holder(path, -1 if token == "{" else 0))


def _key(token: str) -> str:
    """Return the key that a token stands for; the token itself where it is none."""
    try:
        return str(json.loads(token))
    except ValueError:
        return token


def _offset_of_repeated_key(text: str) -> int:
    """Return the offset of the first key that its object has a second time."""
    seen: set[str] = set()
    for path, offset in _paths(text):
        if path in seen:
            return offset
        seen.add(path)
    return 0


def _offset_of_depth(text: str, most: int) -> int:
    """Return the offset at which a text is nested more than so many levels deep."""
    depth = 0
    for match in _TOKEN.finditer(text):
        depth += (match[0] in "{[") - (match[0] in "}]")
        if depth > most:
            return match.start()
    return 0
