"""JSON text from outside, read under limits, and JSON text for the cell of an ASCII table, written printable."""

from __future__ import annotations

import json
import re
import reprlib
from typing import Any, Final, TypeAlias

from provenance.text.errors import StepsError

Json: TypeAlias = Any
"""Anything JSON holds: scalars, lists and objects of them."""

MAX_BYTES: Final = 20_000_000
"""The longest document that is read."""

MAX_DEPTH: Final = 32
"""How deep a value of ours may be nested."""

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
"""Where half of a character may be: as an escape, or in a text that was no UTF-8."""

_WRITER: Final = json.JSONEncoder(ensure_ascii=True, allow_nan=False, check_circular=False)
_CANONICAL: Final = json.JSONEncoder(ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"))


def read(text: str | bytes) -> Json:
    """Read a JSON value from a text. Raises StepsError for what is no JSON or over the limits."""
    if len(text) > MAX_BYTES:
        raise StepsError(f"has {len(text)} bytes; at most {MAX_BYTES} are read", "the document")
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        value = json.loads(decoded, object_pairs_hook=_unique, parse_constant=_no_constant)
        if _SURROGATE.search(decoded):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeEncodeError as error:
        raise StepsError("holds half of a character (a lone surrogate), which no text has", "the document") from error
    except UnicodeDecodeError as error:
        raise StepsError(f"is not UTF-8 text: {error.reason} at byte {error.start}", "the document") from error
    except json.JSONDecodeError as error:
        trouble = f"is not JSON: {error.msg} at character {error.pos} of {len(decoded)}"
        raise StepsError(trouble, "the document") from error
    except RecursionError as error:
        raise StepsError(f"is nested too deep; {MAX_DEPTH} levels are allowed", "the document") from error
    except StepsError:
        raise
    except ValueError as error:
        raise StepsError(f"holds a number that cannot be read: {error}", "the document") from error


def write(value: Json) -> str:
    """Write a JSON value as one line of printable ASCII. Raises StepsError for what JSON cannot hold."""
    return _encoded(value, _WRITER)


def canonical(value: Json) -> str:
    """Write a JSON value so that equal values are equal text: sorted keys, no blanks, printable ASCII."""
    return _encoded(value, _CANONICAL)


def shown(value: object) -> str:
    """A value short enough for an error message, whatever its size and depth."""
    return reprlib.repr(value)


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object, refused when a key stands twice: two readers would read two different things."""
    made = dict(pairs)
    if len(made) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise StepsError(f"has the key {shown(twice)} twice in one object", "the document")
    return made


def _no_constant(name: str) -> Json:
    """Refuse NaN and Infinity, which JSON does not have."""
    raise StepsError(f"holds {name}, which is no JSON number", "the document")


def _encoded(value: Json, encoder: json.JSONEncoder) -> str:
    """A JSON value by one of our encoders."""
    try:
        text = encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise StepsError(f"cannot be written as JSON: {error}", "provenance") from error
    return text.replace("\x7f", "\\u007f")  # the one ASCII character that json leaves unprintable
