"""The arrays and nulls of VOTable's PARAM, as parameters with several values. Imports the definition's limits.

An array of numbers (an interval, a circle, a position of DALI 1.1, section 3.3) is a parameter with that many values;
`datalink` writes it as an array again. Null is no default: the null of VALUES, for a truth value "?" or a blank, for
a number NaN (VOTable 1.4, sections 4.7 and 6).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from uws_server.jobs import checks
from uws_server.jobs.definition import ParameterSpec
from uws_server.jobs.formats import leaves, native

_ARRAYSIZE = re.compile(r"(?:[0-9]{1,9}x)*(?:[0-9]{1,9}\*?|\*)")
_COUNTED = frozenset({"integer", "float", "boolean"})
_FIXED = frozenset({"interval", "point", "circle"})
"""The xtypes of DALI whose number of values is fixed."""


def most_values(arraysize: str, kind: str, place: str) -> int:
    """Return how many values a PARAM of that size has at most. Raise Misfit, at `place`, for what is no such size."""
    size = arraysize.strip()
    if not size:
        return 1
    if not _ARRAYSIZE.fullmatch(size):
        raise native.Misfit.at(
            place, f"the arraysize {arraysize[:80]!r} is no size of VOTable, such as 2, 3x2, 5* or *"
        )
    if kind not in _COUNTED:
        if "x" in size:
            raise native.Misfit.at(place, f"an array of texts (arraysize {size[:80]!r}) is not read; one text is")
        return 1
    number = 1
    for length in size.split("x"):
        number *= checks.MOST_VALUES if length == "*" else int(length.rstrip("*"))
    if "*" not in size and number > checks.MOST_VALUES:
        allowed = f"at most {checks.MOST_VALUES} values are allowed"
        raise native.Misfit.at(place, f"the arraysize {size[:80]!r} came; {allowed}")
    return max(1, min(number, checks.MOST_VALUES))


def default(text: str, kind: str, most: int, nulls: Collection[str]) -> Any:
    """Return the value of a PARAM, or the list of its values. Return None for null, whole or in part, and for none."""
    words = text.split() if most > 1 else [text]
    if not text or (not text.strip() and kind in _COUNTED):
        return None
    if any(_is_null(word.strip(), kind, nulls) for word in words):
        return None
    values = [leaves.scalar(word, kind) for word in words]
    return values if len(values) > 1 else values[0]


def arraysize(spec: ParameterSpec) -> str:
    """Return the size of the array that holds all values of a parameter; '' where it is no array of numbers."""
    if spec.max_values == 1 or spec.type not in _COUNTED:
        return ""
    if spec.max_values >= checks.MOST_VALUES:
        return "*"
    return f"{spec.max_values}" if spec.xtype in _FIXED else f"{spec.max_values}*"


def _is_null(word: str, kind: str, nulls: Collection[str]) -> bool:
    if word and word in nulls:
        return True
    return word == "?" if kind == "boolean" else kind == "float" and word.lower() == "nan"
