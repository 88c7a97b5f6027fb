"""The one reader of JSON from outside, strict and under limits, and the writer of JSON for the cell of an ASCII table.

NaN and a key that one object has twice are always refused; how long, how deep and how large is set by `Limits`.
`jsonplaces` finds where a mistake stands.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias

from provenance.text.errors import JsonError, JsonFault, StepsError

Json: TypeAlias = Any
"""Anything JSON holds: scalars, lists and objects of them."""

MAX_BYTES: Final = 20_000_000
"""The longest document that is read."""

MAX_DEPTH: Final = 32
"""How deep a value of ours may be nested."""

_LONGEST_NUMBER: Final = 40
"""How many characters of a number an error quotes; a whole number that has more is larger than any limit."""

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
"""Where half of a character may be: as an escape, or in a text that was no UTF-8."""

_WRITER: Final = json.JSONEncoder(ensure_ascii=True, allow_nan=False, check_circular=False)
_CANONICAL: Final = json.JSONEncoder(ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True)
class Limits:
    """What a reader takes: characters (bytes, of bytes), levels, and the largest whole number, its sign aside.

    With a largest whole number, one that no double holds is refused too. Without one, numbers are left to whoever
    reads the values and can name their places.
    """

    length: int = MAX_BYTES
    depth: int = MAX_DEPTH
    largest_integer: int | None = None


DEFAULT_LIMITS: Final = Limits()
"""The limits of a step list, and of a text that sets none of its own."""


def read(text: str | bytes) -> Json:
    """Return the value of a JSON text that holds whole characters only, within the limits of a step list.

    Raises JsonError for any other text.
    """
    if len(text) > MAX_BYTES:
        raise JsonError(JsonFault.LENGTH, f"has {len(text)} bytes; at most {MAX_BYTES} are read")
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        value = parse(decoded)
        if _SURROGATE.search(decoded):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        trouble = f"is not UTF-8 text: {error.reason} at byte {error.start}"
        raise JsonError(JsonFault.ENCODING, trouble, offset=error.start) from error
    except UnicodeEncodeError as error:
        trouble = "holds half of a character (a lone surrogate), which no text has"
        raise JsonError(JsonFault.ENCODING, trouble) from error
    return value


def parse(text: str, limits: Limits = DEFAULT_LIMITS) -> Json:
    """Return the value of a JSON text. Raises JsonError for a text that is not JSON or beyond the limits."""
    if len(text) > limits.length:
        raise JsonError(JsonFault.LENGTH, f"has {len(text)} characters; at most {limits.length} are read")
    largest = limits.largest_integer
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_integers_up_to(largest) if largest is not None else None,
            parse_float=_finite if largest is not None else None,
        )
    except json.JSONDecodeError as error:
        trouble = f"is not JSON: {error.msg.removesuffix(' at')} at character {error.pos} of {len(text)}"
        raise JsonError(JsonFault.SYNTAX, trouble, error.msg, error.pos) from error
    except RecursionError as error:
        raise JsonError(JsonFault.DEPTH, f"is nested too deep; {limits.depth} levels are allowed") from error
    except JsonError:
        raise
    except ValueError as error:
        raise JsonError(JsonFault.NUMBER, f"holds a number that cannot be read: {error}") from error


def write(value: Json) -> str:
    """Return a JSON value as one line of printable ASCII. Raises StepsError for what JSON cannot hold."""
    return _encoded(value, _WRITER)


def canonical(value: Json) -> str:
    """Return a JSON value so that equal values are equal text: sorted keys, no blanks, printable ASCII."""
    return _encoded(value, _CANONICAL)


def excerpt(value: object) -> str:
    """Return a value short enough for an error message, whatever its size and depth."""
    return reprlib.repr(value)


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """Return an object; refuse a key that stands twice: two readers would read two different values."""
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonError(JsonFault.KEY, f"has the key {excerpt(key)} twice in one object", key)
            seen.add(key)
    return members


def _refuse_constant(token: str) -> NoReturn:
    """Refuse NaN and Infinity, which JSON does not have."""
    raise JsonError(JsonFault.CONSTANT, f"holds {token}, which is not a number of JSON", token)


def _integers_up_to(largest: int) -> Callable[[str], int]:
    """Return the reader of whole numbers between a limit and its negative."""

    def read_integer(token: str) -> int:
        value = int(token) if len(token) <= _LONGEST_NUMBER else largest + 1
        if abs(value) > largest:
            _refuse_number(token)
        return value

    return read_integer


def _finite(token: str) -> float:
    """Return a number with a point or an exponent; refuse one that no double holds."""
    value = float(token)
    if not math.isfinite(value):
        _refuse_number(token)
    return value


def _refuse_number(token: str) -> NoReturn:
    raise JsonError(JsonFault.NUMBER, f"holds the number {token[:_LONGEST_NUMBER]}, which is too large", token)


def _encoded(value: Json, encoder: json.JSONEncoder) -> str:
    """Return a JSON value as one of our encoders writes it."""
    try:
        text = encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise StepsError(f"cannot be written as JSON: {error}", "provenance") from error
    return text.replace("\x7f", "\\u007f")  # the one ASCII character that json leaves unprintable
