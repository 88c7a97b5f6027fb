"""What is asked of a product, as conditions on its ObsCore row: all must hold. Imports the shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from uws_server.discovery.footprints import covered
from uws_server.discovery.sphere import Shape, overlap, separation

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Interval:
    """The numbers between two, both of them included; infinite where there is no bound."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Check whether a number is in it."""
        return self.low <= value <= self.high

    def overlaps(self, low: float, high: float) -> bool:
        """Check whether it has a number in common with another one."""
        return low <= self.high and self.low <= high


class Condition(Protocol):
    """What must hold of a row; a column without a value fulfils nothing."""

    def holds(self, row: Row) -> bool:
        """Check whether a row fulfils it."""
        ...


@dataclass(frozen=True)
class Covers:
    """The sky that a product covers has a point in common with one of some shapes."""

    shapes: tuple[Shape, ...]

    def holds(self, row: Row) -> bool:
        """Check whether a row fulfils it."""
        outlines = covered(row)
        return any(overlap(shape, outline) for shape in self.shapes for outline in outlines)


@dataclass(frozen=True)
class CentredIn:
    """The position of a product lies within some degrees of another one."""

    ra: float
    dec: float
    radius: float

    def holds(self, row: Row) -> bool:
        """Check whether a row fulfils it."""
        ra, dec = row.get("s_ra"), row.get("s_dec")
        if ra is None or dec is None or abs(dec - self.dec) > self.radius + 1e-9:
            return False
        return separation((ra, dec), (self.ra, self.dec)) <= self.radius


@dataclass(frozen=True)
class Overlaps:
    """The interval between two columns has a number in common with one of some intervals."""

    low: str
    high: str
    intervals: tuple[Interval, ...]

    def holds(self, row: Row) -> bool:
        """Check whether a row fulfils it."""
        low, high = row.get(self.low), row.get(self.high)
        return low is not None and high is not None and any(each.overlaps(low, high) for each in self.intervals)


@dataclass(frozen=True)
class Within:
    """The number of a column is in one of some intervals."""

    column: str
    intervals: tuple[Interval, ...]

    def holds(self, row: Row) -> bool:
        """Check whether a row fulfils it."""
        value = row.get(self.column)
        return value is not None and any(each.holds(value) for each in self.intervals)


@dataclass(frozen=True)
class OneOf:
    """The text of a column is one of some, whatever their capitals."""

    column: str
    texts: frozenset[str]

    def holds(self, row: Row) -> bool:
        """Check whether a row fulfils it."""
        value = row.get(self.column)
        return value is not None and str(value).strip().lower() in self.texts


@dataclass(frozen=True)
class HasState:
    """A list between slashes, such as /I/Q/, has one of some members."""

    column: str
    states: frozenset[str]

    def holds(self, row: Row) -> bool:
        """Check whether a row fulfils it."""
        value = row.get(self.column)
        return value is not None and not self.states.isdisjoint(str(value).upper().split("/"))


def fulfils(row: Row, conditions: Sequence[Condition]) -> bool:
    """Check whether a row fulfils all conditions."""
    return all(condition.holds(row) for condition in conditions)
