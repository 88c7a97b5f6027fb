"""The sky that exposures see: the cells of all their footprints in one sorted list, on disk, mapped by every process.

The file is derived: made anew from the rows of the database, by `write`, whole or not at all. It holds the first cell
of each run of cells, the cell behind its last, the exposure that it belongs to, and the farthest cell that any run up
to it reaches, by which a query finds the first run that it may overlap (all uint32, in the order of the first cells).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from mocpy import MOC

from provenance.fits.atomic import write_bytes

ORDER: Final = 12
"""Order of the smallest cells of a footprint: 52 arcsec, a thirtieth of the field of EPIC."""

_DEEPEST: Final = 29
_SHIFT: Final = 2 * (_DEEPEST - ORDER)
_MAGIC: Final = b"UWSFOOT\0"
_VERSION: Final = 2
_HEADER: Final = struct.Struct("<8sIIQQ")
"""Magic, version, order, runs, exposures."""

_LONGEST: Final = 1 << 14
"""Cells of a run in the file: a query looks at all runs that begin so far before it. Longer ones are cut."""

_Numbers = npt.NDArray[np.intp]
_Sums = npt.NDArray[np.float64]

Cells = npt.NDArray[np.uint32]
"""Runs of cells at ORDER: the first, and the one behind the last, shape (runs, 2), ascending, none overlapping."""


class OutdatedIndex(ValueError):
    """Error for a file of footprints that another version wrote, or that is not whole: it is to be made again."""


class Seen(NamedTuple):
    """An exposure that sees a part of a region: its key, the fraction of the region, the fraction of its footprint."""

    exposure: int
    of_region: float
    of_footprint: float


def cells(footprint: MOC) -> Cells:
    """Return the cells that a footprint overlaps."""
    ranges = np.asarray(footprint.to_depth29_ranges, dtype=np.uint64).reshape(-1, 2)
    first = ranges[:, 0] >> np.uint64(_SHIFT)
    behind = (ranges[:, 1] + np.uint64((1 << _SHIFT) - 1)) >> np.uint64(_SHIFT)
    if not first.size:
        return np.empty((0, 2), dtype=np.uint32)
    apart = np.flatnonzero(first[1:] > behind[:-1])  # runs that smaller cells keep apart may touch here
    return np.stack((first[np.r_[0, apart + 1]], behind[np.r_[apart, -1]]), axis=1).astype(np.uint32)


def coverage(footprint: Cells) -> MOC:
    """Return the MOC of cells."""
    return MOC.from_depth29_ranges(ORDER, footprint.astype(np.uint64) << np.uint64(_SHIFT))


def write(path: Path, footprints: Iterable[tuple[int, Cells]]) -> None:
    """Write the file of the footprints of exposures, by their keys (0 to 2**32 - 1); whole or not at all."""
    keys, sizes, runs = [], [], []
    for key, footprint in footprints:
        keys.append(key)
        sizes.append(int((footprint[:, 1] - footprint[:, 0]).sum()))
        runs.append(_cut(footprint))
    both = np.concatenate(runs) if runs else np.empty((0, 2), dtype=np.uint32)
    counts = np.array([len(run) for run in runs], dtype=np.int64)
    number = np.repeat(np.arange(len(keys), dtype=np.uint32), counts)
    order = np.argsort(both[:, 0], kind="stable")
    first, behind = both[order, 0], both[order, 1]
    parts = [
        np.array(keys, dtype=np.uint32),
        np.array(sizes, dtype=np.uint32),
        first,
        behind,
        number[order],
        np.maximum.accumulate(behind),
    ]
    header = _HEADER.pack(_MAGIC, _VERSION, ORDER, len(first), len(keys))
    write_bytes(path, header + b"".join(part.astype("<u4").tobytes() for part in parts))


def _cut(footprint: Cells) -> Cells:
    """Return cells as runs that are not too long: that of a survey would overlap all queries behind its first cell."""
    first, behind = footprint.astype(np.int64).T
    pieces = -(-(behind - first) // _LONGEST)
    if not (pieces > 1).any():
        return footprint
    number = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begins = np.repeat(first, pieces) + _LONGEST * number
    ends = np.minimum(begins + _LONGEST, np.repeat(behind, pieces))
    return np.stack((begins, ends), axis=1).astype(np.uint32)


class FootprintIndex:
    """The footprints of a file, mapped into memory: shared by processes; one replaced meanwhile stays readable."""

    def __init__(self, path: Path) -> None:
        """Open a file. Raise OSError if it is absent, OutdatedIndex if it must be made again."""
        with path.open("rb") as file:
            head = file.read(_HEADER.size)
            if len(head) < _HEADER.size or not head.startswith(_MAGIC):
                raise OutdatedIndex(f"{path.name} is no file of footprints")
            _, version, order, runs, exposures = _HEADER.unpack(head)
            if (version, order) != (_VERSION, ORDER):
                raise OutdatedIndex(f"{path.name} is of version {version}, order {order}; not {_VERSION}, {ORDER}")
            size = path.stat().st_size
            if size != _HEADER.size + 4 * (2 * exposures + 4 * runs):
                raise OutdatedIndex(f"{path.name} is not whole")
            words = np.empty(0, dtype="<u4")
            if size > _HEADER.size:
                # as a plain array: each slice of a map of memory costs more than a small search does
                words = np.asarray(np.memmap(file, dtype="<u4", mode="r", offset=_HEADER.size)).view(np.ndarray)
        ends = np.cumsum([exposures, exposures, runs, runs, runs])
        self._keys, self._sizes, self._first, self._behind, self._number, self._reach = np.split(words, ends)

    @property
    def exposures(self) -> int:
        """Number of exposures."""
        return len(self._keys)

    @cached_property
    def coverage(self) -> MOC:
        """The sky that any exposure sees; found once, since a file is never changed, only replaced."""
        begins = np.append(True, self._first[1:] > self._reach[:-1])[: len(self._first)]
        ends = np.append(begins[1:], True)[: len(self._first)]
        return coverage(np.stack((self._first[begins], self._reach[ends]), axis=1))

    def seeing(self, region: MOC) -> list[Seen]:
        """Return the exposures that see a part of a region, whatever the order of its cells; ordered by key."""
        wanted = np.asarray(region.to_depth29_ranges, dtype=np.int64).reshape(-1, 2)
        begin, end = wanted[:, 0], wanted[:, 1]
        low = np.searchsorted(self._reach, (begin >> _SHIFT).astype(np.uint32), side="right")
        high = np.searchsorted(self._first, ((end + (1 << _SHIFT) - 1) >> _SHIFT).astype(np.uint32), side="left")
        count = np.maximum(high - low, 0)
        at = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - low, count)
        shared = np.minimum(self._behind[at].astype(np.int64) << _SHIFT, np.repeat(end, count))
        shared -= np.maximum(self._first[at].astype(np.int64) << _SHIFT, np.repeat(begin, count))
        overlaps = shared > 0
        number = self._number[at[overlaps]]
        # in units of cells of the footprints: a sum of integers of order 29 would be too large for a float's digits
        found, area = _sums(number, shared[overlaps] / float(1 << _SHIFT))
        of_region = np.minimum(area / (float((end - begin).sum()) / (1 << _SHIFT)), 1.0)
        of_footprint = np.minimum(area / self._sizes[found], 1.0)
        return sorted(map(Seen, self._keys[found].tolist(), of_region.tolist(), of_footprint.tolist()))


def _sums(number: npt.NDArray[np.uint32], values: npt.NDArray[np.float64]) -> tuple[_Numbers, _Sums]:
    """Return which numbers there are, ascending, and the sum of the values of each.

    Each number is sorted with its place in one integer: in half the time of `numpy.unique`, which sorts places.
    """
    if not number.size:
        return np.empty(0, dtype=np.intp), np.empty(0)
    half = np.uint64(32)
    both = np.sort(number.astype(np.uint64) << half | np.arange(len(number), dtype=np.uint64))
    ordered = (both >> half).astype(np.intp)
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    return ordered[begins], np.add.reduceat(values[both.astype(np.uint32)], begins)  # the lower half is the place
