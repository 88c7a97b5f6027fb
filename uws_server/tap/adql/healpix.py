"""HEALPix cells in the nested scheme, one position at a time: index of a position, centre of a cell, cells of a MOC.

Source: Górski et al. 2005, ApJ 622, 759, sections 4 and 5; MOC 2.0 (IVOA, 2022-07-27), section 4.3.2. Imports nothing
but the standard library: the database calls it for each row.
"""

from __future__ import annotations

import functools
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, Literal

DEEPEST: Final = 29
"""The order of the cells of an index column, and the finest of a MOC."""

_MOST_RANGES: Final = 50_000
_PART: Final = re.compile(r"(?:(\d{1,2})/)?(?:(\d{1,19})(?:-(\d{1,19}))?)?")
_SPREADS: Final = (
    (16, 0x0000FFFF0000FFFF), (8, 0x00FF00FF00FF00FF), (4, 0x0F0F0F0F0F0F0F0F), (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)  # fmt: skip
_GATHERS: Final = (
    (1, 0x3333333333333333), (2, 0x0F0F0F0F0F0F0F0F), (4, 0x00FF00FF00FF00FF), (8, 0x0000FFFF0000FFFF),
    (16, 0x00000000FFFFFFFF),
)  # fmt: skip
_RINGS: Final = (2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4)
_TURNS: Final = (1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7)


def cell(ra_deg: float, dec_deg: float, order: int = DEEPEST) -> int:
    """Return the nested index of the cell that holds a position, degrees."""
    side = 1 << order
    quarter = (ra_deg % 360.0) / 90.0
    dec = math.radians(dec_deg)
    height = math.sin(dec)
    if abs(height) <= 2 / 3:
        face, x, y = _equatorial(order, side, quarter, height)
    else:
        sector = min(int(quarter), 3)
        width = side * math.cos(dec) / math.sqrt((1 + abs(height)) / 3)
        up = min(int((quarter - sector) * width), side - 1)
        down = min(int((1 - quarter + sector) * width), side - 1)
        face, x, y = (sector, side - down - 1, side - up - 1) if height > 0 else (sector + 8, up, down)
    return (face << (2 * order)) | _spread(x) | (_spread(y) << 1)


def _equatorial(order: int, side: int, quarter: float, height: float) -> tuple[int, int, int]:
    """Return face and place on it of a position within 41.8 degrees of the equator."""
    up, down = int(side * (0.5 + quarter - height * 0.75)), int(side * (0.5 + quarter + height * 0.75))
    face_up, face_down = up >> order, down >> order
    polar = face_up if face_up < face_down else face_down + 8
    face = polar if face_up != face_down else (face_up & 3) | 4
    return face, down & (side - 1), side - (up & (side - 1)) - 1


def centre(index: int, order: int) -> tuple[float, float] | None:
    """Return right ascension and declination of the centre of a cell, degrees; None if there is no such cell."""
    if not 0 <= order <= DEEPEST or not 0 <= index < 12 << (2 * order):
        return None
    side = 1 << order
    face, rest = index >> (2 * order), index & ((1 << (2 * order)) - 1)
    x, y = _gather(rest), _gather(rest >> 1)
    ring = _RINGS[face] * side - x - y - 1
    if ring < side:
        width, height = ring, 1 - ring * ring / (3 * side * side)
    elif ring > 3 * side:
        width, height = 4 * side - ring, (4 * side - ring) ** 2 / (3 * side * side) - 1
    else:
        width, height = side, (2 * side - ring) * 2 / (3 * side)
    offset = _TURNS[face] * width + x - y
    ra = (offset % (8 * width)) / (8 * width) * 360
    return ra, math.degrees(math.asin(height))


@functools.lru_cache(maxsize=DEEPEST + 1)
def reach(order: int) -> float:
    """Return how far a cell of an order reaches from its centre at most, radians: that on the border of the caps.

    Source: the centre of the topmost cell of the equatorial belt, and its corner to the north.
    """
    side = 1 << order
    low, high = 2 / 3, 1 - (1 - 1 / side) ** 2 / 3
    across = math.pi / (4 * side)
    flat = [math.sqrt(1 - low * low), math.sqrt(max(0.0, 1 - high * high))]
    chord = math.hypot(flat[0] * math.cos(across) - flat[1], flat[0] * math.sin(across), high - low)
    return 2 * math.asin(chord / 2) * (1 + 1e-6)


def _spread(value: int) -> int:
    """Return the bits of a number with a zero between each two."""
    for shift, mask in _SPREADS:
        value = (value ^ (value << shift)) & mask
    return value


def _gather(value: int) -> int:
    """Return every second bit of a number."""
    value &= 0x5555555555555555
    for shift, mask in _GATHERS:
        value = (value ^ (value >> shift)) & mask
    return value


def moc_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Return the cells of a MOC in ASCII, such as `3/1-4 5/20`, as sorted ranges (first, last) of order 29.

    Raise ValueError, with a sentence, if it is none.
    """
    order, found = -1, []
    for part in re.split(r"[\s,]+", text.strip()):
        match = _PART.fullmatch(part)
        if match is None or not part:
            raise ValueError(f"{part[:40]!r} is no part of a MOC; write orders and cells, as in '3/1-4 5/20'")
        order = int(match[1]) if match[1] else order
        if not 0 <= order <= DEEPEST:
            raise ValueError(f"a MOC begins with an order of 0 to {DEEPEST}, as in '3/1-4 5/20'")
        if match[2]:
            first, last = int(match[2]), int(match[3] or match[2])
            if not first <= last < 12 << (2 * order):
                raise ValueError(f"order {order} has no cells {part.rpartition('/')[2]!r}")
            shift = 2 * (DEEPEST - order)
            found.append((first << shift, ((last + 1) << shift) - 1))
    return _merged(found)


def _merged(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return ranges in order, those that touch made one."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    if len(merged) > _MOST_RANGES:
        raise ValueError(f"the MOC has {len(merged)} ranges of cells; allowed are {_MOST_RANGES}: degrade it")
    return tuple(merged)


def coarse(ranges: tuple[tuple[int, int], ...], most: int) -> list[tuple[int, int]]:
    """Return at most so many ranges that hold all those given: the widest gaps between them stay."""
    gaps = sorted(range(1, len(ranges)), key=lambda number: ranges[number - 1][1] - ranges[number][0])
    starts = [0, *sorted(gaps[: most - 1])]
    ends = [start - 1 for start in starts[1:]] + [len(ranges) - 1]
    return [(ranges[start][0], ranges[end][1]) for start, end in zip(starts, ends, strict=True)] if ranges else []


class Ranges:
    """Sorted ranges of cells of order 29, in which a cell is found by halving."""

    def __init__(self, ranges: Sequence[tuple[int, int]]) -> None:
        self.firsts, self.lasts = [first for first, _ in ranges], [last for _, last in ranges]

    def holds(self, cell_29: int) -> bool:
        """Whether a cell lies in one of the ranges."""
        number = bisect_right(self.firsts, cell_29) - 1
        return number >= 0 and cell_29 <= self.lasts[number]

    def share(self, first: int, last: int) -> Literal["none", "part", "all"]:
        """Return how much of a range of cells lies in the ranges."""
        number = bisect_right(self.firsts, first) - 1
        if number >= 0 and first <= self.lasts[number]:
            return "all" if last <= self.lasts[number] else "part"
        return "part" if number + 1 < len(self.firsts) and self.firsts[number + 1] <= last else "none"


def written(ranges: Iterable[tuple[int, int]]) -> str:
    """Return ranges as text, which is an array of numbers for PostgreSQL."""
    return "{" + ",".join(f"{first},{last}" for first, last in ranges) + "}"
