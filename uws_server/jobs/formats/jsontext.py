"""Reads JSON strictly, and says in which line what stands. Imports the errors and what all readers share.

Refused, with the line: what is no JSON, keys that are there twice, NaN, numbers that no double or 64-bit integer holds,
and what is nested too deeply. The line of a place is looked for only once something is wrong.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from uws_server.errors import DefinitionError, Problem
from uws_server.jobs.formats.content import MOST_BYTES, holders

LARGEST_INTEGER = 2**63 - 1
"""A whole number is not larger, nor below its negative."""
_LONGEST_NUMBER = 40
_DEEPEST = 100
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


def loads(text: str, where: str) -> Any:
    """The value of a JSON text; DefinitionError, with the line, where it is none that we read."""
    if len(text) > MOST_BYTES:
        raise DefinitionError(f"{where}: {len(text):,} characters came, at most {MOST_BYTES:,} are read")
    try:
        return parsed(text)
    except json.JSONDecodeError as error:
        hint = "; a comma stands before what is closed here" if _is_trailed(text, error.pos) else ""
        raise _refused(where, f"not JSON: {error.msg} (column {error.colno}){hint}", error.lineno) from error
    except _RefusedToken as error:
        offset = next((match.start() for match in _TOKEN.finditer(text) if match[0] == error.token), 0)
        raise _refused(where, f"not JSON: {error}", line_at(text, offset)) from error
    except _RefusedKey as error:
        raise _refused(where, f"not JSON: {error}", line_at(text, _second(text))) from error
    except RecursionError as error:
        raise _refused(where, "nested too deeply", line_at(text, _deep(text))) from error


def parsed(text: str) -> Any:
    """The value of a JSON text; ValueError with the reason where it is none that we read."""
    return json.loads(
        text,
        parse_constant=_constant,
        parse_int=_integer,
        parse_float=_float,
        object_pairs_hook=_without_doubles,
    )


def lines_of(text: str, places: Sequence[str]) -> dict[str, int]:
    """The lines, from 1 on, of places such as parameters[2].min in a JSON text, and of what holds them."""
    wanted = {holder for place in places for holder in holders(place)}
    missing = set(places)
    found: dict[str, int] = {}
    for place, offset in _places(text):
        if place in wanted and place not in found:
            found[place] = line_at(text, offset)
            missing.discard(place)
            if not missing:
                break
    return found


def line_at(text: str, offset: int) -> int:
    """The line of an offset, from 1 on."""
    return text.count("\n", 0, offset) + 1


def _is_trailed(text: str, offset: int) -> bool:
    """Whether an array or object ends there, behind a comma that nothing follows."""
    return text[offset:].lstrip()[:1] in ("}", "]") and text[:offset].rstrip()[-1:] == ","


class _RefusedToken(ValueError):
    """A number that is not read."""

    def __init__(self, token: str, reason: str) -> None:
        self.token = token
        super().__init__(reason)


class _RefusedKey(ValueError):
    """A key that an object has twice."""


@dataclass
class _Holder:
    """An array or object that is not closed yet; `next_item` is -1 for an object."""

    place: str
    next_item: int


def _refused(where: str, reason: str, line: int) -> DefinitionError:
    return DefinitionError.of(where, [Problem("", reason, line)])


def _constant(token: str) -> NoReturn:
    raise _RefusedToken(token, f"{token} is no number")


def _integer(token: str) -> int:
    value = int(token) if len(token) <= _LONGEST_NUMBER else LARGEST_INTEGER + 1
    if abs(value) > LARGEST_INTEGER:
        raise _RefusedToken(token, f"the number {token[:_LONGEST_NUMBER]} is too large")
    return value


def _float(token: str) -> float:
    value = float(token)
    if not math.isfinite(value):
        raise _RefusedToken(token, f"the number {token[:_LONGEST_NUMBER]} is too large")
    return value


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _RefusedKey(f"the key {key[:80]!r} is there twice")
            seen.add(key)
    return found


def _places(text: str) -> Iterator[tuple[str, int]]:
    """Every place of a JSON text and the offset where it begins: of an object's member, that of its key."""
    open_ones: list[_Holder] = []
    place, begins = "", True
    yield "", len(text) - len(text.lstrip())
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in "}]":
            if open_ones:
                open_ones.pop()
            begins = False
        elif token == ",":
            begins = True
        elif token != ":":
            if begins and open_ones:
                holder = open_ones[-1]
                if holder.next_item < 0 and token not in "{[":
                    key = _key(token)[:80]
                    place, begins = f"{holder.place}.{key}" if holder.place else key, False
                    yield place, match.start()
                    continue
                place = f"{holder.place}[{holder.next_item}]"
                holder.next_item += 1
                yield place, match.start()
            begins = token in "{["
            if begins:
                open_ones.append(_Holder(place, -1 if token == "{" else 0))


def _key(token: str) -> str:
    try:
        return str(json.loads(token))
    except ValueError:
        return token


def _second(text: str) -> int:
    """The offset of the first key that its object has a second time."""
    seen: set[str] = set()
    for place, offset in _places(text):
        if place in seen:
            return offset
        seen.add(place)
    return 0


def _deep(text: str) -> int:
    """The offset where a text gets too deep."""
    depth = 0
    for match in _TOKEN.finditer(text):
        depth += (match[0] in "{[") - (match[0] in "}]")
        if depth > _DEEPEST:
            return match.start()
    return 0
