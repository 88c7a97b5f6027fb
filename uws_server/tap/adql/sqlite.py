"""What SQLite lacks for ADQL, as functions of Python on a connection. Imports sqlite3 and the standard library."""

from __future__ import annotations

import functools
import math
import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from uws_server.tap.adql import healpix, overlap, sphere

_TOO_DEEP: Final = ("stack overflow", "too large", "too deep")
_WORD: Final = re.compile(r"[^\w]+")


def register(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that translated queries call; once for each connection, 0.1 ms."""
    for name, (function, arguments) in _FUNCTIONS.items():
        connection.create_function(name, arguments, function, deterministic=True)
    connection.create_function("adql_in_moc", 2, _known(_Mocs().holds), deterministic=True)
    connection.create_aggregate("adql_histogram", 4, Histogram)  # type: ignore[arg-type]
    try:
        connection.execute("SELECT log10(pi())")
    except sqlite3.OperationalError:  # SQLite may be built without its mathematics
        for name, (function, arguments) in _MATHEMATICS.items():
            connection.create_function(name, arguments, function, deterministic=True)


def can_parse(sql: str) -> bool:
    """Whether SQLite's parser has room for a statement; before version 3.46 it takes no more than a hundred levels."""
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute(f"EXPLAIN {sql}")
        except sqlite3.Error as error:  # there is no table: what counts is how far the parser came
            return not any(words in str(error) for words in _TOO_DEEP)
        return True


class Histogram:
    """Counts values in bins of equal width; the first count is of those below the bins, the last of those above."""

    def __init__(self) -> None:
        self.counts: list[int] | None = None

    def step(self, value: float | None, low: float | None, high: float | None, bins: int) -> None:
        """Count one value."""
        if self.counts is None:
            self.counts = [0] * (bins + 2)
        if value is None or low is None or high is None or not low < high:
            return
        number = math.floor((value - low) / (high - low) * bins) + 1
        self.counts[max(0, min(bins + 1, number))] += 1

    def finalize(self) -> str | None:
        """Return the counts with blanks between, or None if there was no row."""
        return None if self.counts is None else " ".join(map(str, self.counts))


def matches(subject: str | None, pattern: str | None) -> int | None:
    """Return 1 or 0, whether a text looks like a pattern of LIKE; None if either is None.

    The time is bounded by the product of the two lengths, which a regular expression would not promise.
    """
    if subject is None or pattern is None:
        return None
    here = there = 0
    last, from_there = -1, 0
    while here < len(subject):
        if there < len(pattern) and pattern[there] == "%":
            last, from_there, there = there, here, there + 1
        elif there < len(pattern) and pattern[there] in ("_", subject[here]):
            here, there = here + 1, there + 1
        elif last >= 0:
            from_there += 1
            here, there = from_there, last + 1
        else:
            return 0
    return int(not pattern[there:].strip("%"))


def _known(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that gives NULL if an argument is NULL, and where the domain of the function ends."""

    @functools.wraps(function)
    def guarded(*arguments: Any) -> Any:
        if None in arguments:
            return None
        try:
            return function(*arguments)
        except (ValueError, OverflowError, InvalidOperation, ZeroDivisionError, TypeError):
            return None

    return guarded


def _to_decimals(rounding: str) -> Callable[[float, int], float]:
    def rounded(value: float, digits: int) -> float:
        exact = Decimal(f"{value:.15g}")
        return float(exact.quantize(Decimal(1).scaleb(-max(-300, min(300, digits))), rounding=rounding))

    return rounded


def _text(name: str, *numbers: float) -> str | None:
    """Return a region as STC-S, or None if it is none."""
    sphere.region(name.upper(), numbers)
    return f"{name} ICRS {' '.join(repr(float(number)) for number in numbers)}"


def _in_region(ra: float, dec: float, text: str) -> int | None:
    region = sphere.read(text)
    return None if region is None else int(sphere.holds_point(region, sphere.vector(ra, dec)))


def _of_two(test: Callable[[sphere.Region, sphere.Region], bool]) -> Callable[[str, str], int | None]:
    def tested(one: str, other: str) -> int | None:
        first, second = sphere.read(one), sphere.read(other)
        return None if first is None or second is None else int(test(first, second))

    return tested


def _area(text: str) -> float | None:
    region = sphere.read(text)
    return None if region is None else sphere.area(region)


def _centroid(text: str) -> str | None:
    region = sphere.read(text)
    return None if region is None else _text("Position", *sphere.position(region.centre))


def _coordinate(text: str, number: int) -> float | None:
    name, numbers = sphere.parse(text)
    return numbers[number - 1] if name == "POINT" and len(numbers) == 2 else None


def _cell(order: int, ra: float, dec: float) -> int | None:
    if not 0 <= order <= healpix.DEEPEST or not -90 <= dec <= 90:
        return None
    return healpix.cell(ra, dec, order)


def _cell_centre(order: int, index: int) -> str | None:
    found = healpix.centre(index, order)
    return None if found is None else _text("Position", *found)


def _of_region_and_moc(test: Callable[[sphere.Region, healpix.Ranges], bool]) -> Callable[[str, str], int | None]:
    def tested(text: str, moc: str) -> int | None:
        region, ranges = sphere.read(text), _ranges(moc)
        return None if region is None else int(test(region, ranges))

    return tested


def _of_mocs(test: Callable[[healpix.Ranges, healpix.Ranges], bool]) -> Callable[[str, str], int]:
    return lambda one, other: int(test(_ranges(one), _ranges(other)))


class _Mocs:
    """The MOC that was read last, and others: to compare a long text with the last one is faster than to hash it."""

    def __init__(self) -> None:
        self._last: tuple[str, healpix.Ranges] = ("", healpix.Ranges(()))

    def holds(self, cell: int, text: str) -> int:
        """Return 1 or 0, whether a cell lies in a MOC; raise ValueError if the text is none."""
        known, ranges = self._last
        if known != text:
            ranges = _ranges(text)
            self._last = (text, ranges)
        return int(ranges.holds(cell))


@functools.lru_cache(maxsize=256)
def _ranges(text: str) -> healpix.Ranges:
    return healpix.Ranges(healpix.moc_ranges(text))


def _has_word(haystack: str, needle: str) -> int:
    padded, sought = (f" {_WORD.sub(' ', text.lower()).strip()} " for text in (haystack, needle))
    return int(sought.strip() != "" and sought in padded)


def _moved(ra: float, dec: float, east: float, north: float, years: float) -> str | None:
    """Return the position after a motion, degrees a year, along the great circle that it begins with."""
    start = sphere.vector(ra, dec)
    to_east, to_north = sphere.axes(start)
    x, y = math.radians(east * years), math.radians(north * years)
    moved = tuple(start[axis] + x * to_east[axis] + y * to_north[axis] for axis in range(3))
    return _text("Position", *sphere.position(moved))  # type: ignore[arg-type]


_moc_in_region = _of_region_and_moc(overlap.holds)
_FUNCTIONS: Final[Mapping[str, tuple[Callable[..., Any], int]]] = {
    name: (_known(function), arguments)
    for name, function, arguments in (
        ("adql_power", math.pow, 2),
        ("adql_modulo", lambda x, y: x - y * math.trunc(x / y), 2),
        ("adql_xor", lambda x, y: x ^ y, 2),
        ("adql_round", _to_decimals(ROUND_HALF_UP), 2),
        ("adql_truncate", _to_decimals(ROUND_DOWN), 2),
        ("adql_like", matches, 2),
        ("adql_text", _text, -1),
        ("adql_in_region", _in_region, 3),
        ("adql_intersects", _of_two(sphere.intersects), 2),
        ("adql_contains", _of_two(sphere.contains), 2),
        ("adql_meets_moc", _of_region_and_moc(overlap.meets), 2),
        ("adql_region_in_moc", _of_region_and_moc(overlap.within), 2),
        ("adql_moc_in_region", lambda moc, text: _moc_in_region(text, moc), 2),
        ("adql_mocs_meet", _of_mocs(overlap.share_a_cell), 2),
        ("adql_moc_in_moc", _of_mocs(overlap.lies_within), 2),
        ("adql_area", _area, 1),
        ("adql_centroid", _centroid, 1),
        ("adql_coordinate", _coordinate, 2),
        ("adql_cell", _cell, 3),
        ("adql_cell_centre", _cell_centre, 2),
        ("adql_has_word", _has_word, 2),
        ("adql_moved", _moved, 5),
    )
}
_MATHEMATICS: Final[Mapping[str, tuple[Callable[..., Any], int]]] = {
    name: (_known(getattr(math, function)), arguments)
    for name, function, arguments in (
        ("sin", "sin", 1), ("cos", "cos", 1), ("tan", "tan", 1), ("asin", "asin", 1), ("acos", "acos", 1),
        ("atan", "atan", 1), ("atan2", "atan2", 2), ("sqrt", "sqrt", 1), ("exp", "exp", 1), ("ln", "log", 1),
        ("log10", "log10", 1), ("radians", "radians", 1), ("degrees", "degrees", 1), ("floor", "floor", 1),
        ("ceil", "ceil", 1), ("trunc", "trunc", 1),
    )
} | {"pi": (lambda: math.pi, 0)}  # fmt: skip
