"""Where a telescope was: its place relative to the centre of the Earth along time, from its orbit file.

Known are vectors POSITION and VELOCITY (NuSTAR, Swift, SVOM), columns X, Y, Z and VX, VY, VZ (Chandra, NICER, IXPE),
and GEI_X, GEI_Y, GEI_Z of the orbit file of XMM-Newton, all of the equator and equinox J2000.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from provenance.fits.columns import Column, Rows
from reduction.errors import ReductionError
from reduction.events.clock import Clock
from reduction.events.fitsfile import reduction_errors, scan
from reduction.timing.hermite import Floats, Track

_POSITIONS = (("POSITION",), ("GEI_X", "GEI_Y", "GEI_Z"), ("X", "Y", "Z"), ("POS_X", "POS_Y", "POS_Z"))
_VELOCITIES = (("VELOCITY",), ("VX", "VY", "VZ"), ("VEL_X", "VEL_Y", "VEL_Z"))
_METRES = {"km": 1e3, "km/s": 1e3, "km s-1": 1e3, "km s**(-1)": 1e3, "m": 1.0, "m/s": 1.0, "m s-1": 1.0,
           "m s**(-1)": 1.0}  # fmt: skip
_DISTANCES_M = 6.3e6, 4e8
"""How far from the centre of the Earth a telescope may be: from its surface to the Moon."""

_LONGEST_STEP = 5.0
"""Steps longer than so many usual ones are gaps, in which no place is known."""


@dataclass(frozen=True)
class Orbit:
    """Places of a telescope, in metres from the centre of the Earth, on the clock of an event list.

    `gaps` are the times without a place within those of the track, shape (gaps, 2), in seconds.
    """

    name: str
    track: Track
    gaps: Floats

    @property
    def span_s(self) -> tuple[float, float]:
        """The first and the last time with a place."""
        return float(self.track.times_s[0]), float(self.track.times_s[-1])

    def covers(self, times_s: Floats) -> npt.NDArray[np.bool_]:
        """Return at which times the place is known, shape of `times_s`."""
        first, last = self.span_s
        covered = (times_s >= first) & (times_s <= last)
        for start, stop in self.gaps:
            covered &= (times_s <= start) | (times_s >= stop)
        return np.asarray(covered, dtype=np.bool_)


def read_orbit(path: Path, clock: Clock, parameter: str = "orbit") -> Orbit:
    """Read an orbit file.

    Parameters
    ----------
    path
        FITS file, inflated.
    clock
        The clock of the event list, in whose seconds the times are given.
    parameter
        Job parameter named in errors.

    Returns
    -------
    Orbit
        At least four places.

    Raises
    ------
    ReductionError
        There is no table of places, it counts times in another time system, its unit is not known, or the places are
        none of a telescope in space.
    """
    file = scan(path, parameter)
    for hdu in file.hdus:
        if not hdu.is_table:
            continue
        table = file.table(hdu)
        names = next((names for names in _POSITIONS if all(name in table.columns for name in names)), None)
        time = table.columns.get("TIME") or table.columns.get("START")
        if names is None or time is None or not time.is_number:
            continue
        rows, columns = file.read(hdu)
        position = _metres(_vectors(columns, rows, names), columns[names[0]])
        found = next((names for names in _VELOCITIES if all(name in columns for name in names)), None)
        velocity = None if found is None else _metres(_vectors(columns, rows, found), columns[found[0]])
        with reduction_errors(parameter):
            shift = Clock.of(hdu.cards, file.hdus[0].cards).seconds_to(clock, parameter)
        return _orbit(path.name, time.floats(rows) + shift, position, velocity, parameter)
    wanted = "; ".join(", ".join(names) for names in _POSITIONS)
    raise ReductionError(f"{path.name} has no table of places with a column TIME; the columns that are known are "
                         f"{wanted}", parameter)  # fmt: skip


def _vectors(columns: Mapping[str, Column], rows: Rows, names: tuple[str, ...]) -> Floats:
    """Return vectors, shape (n, 3), of one column or of three."""
    parts = [columns[name].floats(rows).reshape(len(rows), -1) for name in names]
    return np.concatenate(parts, axis=1)


def _metres(vectors: Floats, column: Column) -> Floats:
    """Return vectors in metres by the unit of their column; where it has none, by the size of what is in it."""
    factor = _METRES.get(column.unit.strip().lower())
    if factor is None:
        factor = 1e3 if np.nanmedian(np.linalg.norm(vectors, axis=1)) < _DISTANCES_M[0] / 10 else 1.0
    return np.asarray(vectors * factor, dtype=np.float64)


def _orbit(name: str, times: Floats, position: Floats, velocity: Floats | None, parameter: str) -> Orbit:
    """Return the orbit of the rows that say a time and a place, in order of time. Raise ReductionError."""
    if position.shape[1:] != (3,) or (velocity is not None and velocity.shape != position.shape):
        raise ReductionError(f"the places of {name} are not vectors of three numbers", parameter)
    known = np.isfinite(times) & np.isfinite(position).all(axis=1)
    if velocity is not None:
        known &= np.isfinite(velocity).all(axis=1)
    _, order = np.unique(times[known], return_index=True)
    times, position = times[known][order], position[known][order]
    if times.size < 4:
        raise ReductionError(f"{name} has {times.size} places with a time; at least 4 are needed", parameter)
    distance = np.linalg.norm(position, axis=1)
    if not (_DISTANCES_M[0] <= distance.min() and distance.max() <= _DISTANCES_M[1]):
        raise ReductionError(f"the places of {name} are {distance.min() / 1e3:.4g} to {distance.max() / 1e3:.4g} km "
                             "from the centre of the Earth, which is no orbit; its columns must be in m or km",
                             parameter)  # fmt: skip
    speed = np.gradient(position, times, axis=0) if velocity is None else velocity[known][order]
    steps = np.diff(times)
    gaps = np.flatnonzero(steps > _LONGEST_STEP * np.median(steps))
    return Orbit(name, Track(times, position, speed), np.column_stack((times[gaps], times[gaps + 1])))
