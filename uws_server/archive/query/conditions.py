"""What a search asks of an exposure, as values. Imports the columns.

What is not known of an exposure fulfils neither a comparison nor its opposite, as in SQL. Texts are compared without
regard to capitals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from uws_server.archive.query.columns import Column

Sign = Literal["=", "!=", "<", "<=", ">", ">="]
DEFAULT_RADIUS_DEG = 10 / 60
"""Radius of the cone that a name or a position alone stands for."""


@dataclass(frozen=True)
class Compared:
    """A column compared with a value: a number in the column's unit, an MJD, or a text in lower case."""

    column: Column
    sign: Sign
    value: float | str


@dataclass(frozen=True)
class OneOf:
    """A column that has one of some values."""

    column: Column
    values: tuple[float | str, ...]


@dataclass(frozen=True)
class Like:
    """A text column that has a form: `%` stands for any characters, `_` for one."""

    column: Column
    pattern: str


@dataclass(frozen=True)
class Cone:
    """An exposure that sees a part of a cone. `place` is a position or a name as typed.

    `at` is where that is in the text, `whole` where the condition is.
    """

    place: str
    radius_deg: float = DEFAULT_RADIUS_DEG
    at: tuple[int, int] = field(default=(0, 0), compare=False)
    whole: tuple[int, int] = field(default=(0, 0), compare=False)


@dataclass(frozen=True)
class InRegion:
    """An exposure that sees a part of a region, given as text in any notation of the regions."""

    region: str
    at: tuple[int, int] = field(default=(0, 0), compare=False)


@dataclass(frozen=True)
class Not:
    """The opposite of a condition."""

    condition: Condition


@dataclass(frozen=True)
class AllOf:
    """Every one of some conditions; any exposure where there are none."""

    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class AnyOf:
    """At least one of some conditions."""

    conditions: tuple[Condition, ...]


Place = Cone | InRegion
Condition = Compared | OneOf | Like | Cone | InRegion | Not | AllOf | AnyOf


def places_of(condition: Condition) -> Iterator[Place]:
    """Yield the cones and regions of a condition, in the order of its text."""
    for one in single_ones(condition):
        if isinstance(one, Cone | InRegion):
            yield one


def single_ones(condition: Condition) -> Iterator[Compared | OneOf | Like | Place]:
    """Yield the conditions that have no others in them, in the order of their text."""
    match condition:
        case Not(inner):
            yield from single_ones(inner)
        case AllOf(inner) | AnyOf(inner):
            for one in inner:
                yield from single_ones(one)
        case _:
            yield condition
