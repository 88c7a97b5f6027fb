"""The attitude of the telescope during an observation: where it points by time; may import numpy and astropy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.coordinates import SkyCoord
from astropy.io import fits

from reduction.errors import ReductionError

Floats = npt.NDArray[np.float64]

_COLUMNS = (("AHFRA", "AHFDEC", "AHFPA"), ("RA", "DEC", "PA"), ("RA", "DEC", "ROLL"))
"""Names of right ascension, declination and position angle: those of the attitude history file come first."""


@dataclass(frozen=True, eq=False)
class Attitude:
    """Pointings by time: TIME in s of the mission's clock, ICRS degrees, position angle in degrees, shape (n,)."""

    name: str
    time_s: Floats
    ra: Floats
    dec: Floats
    pa: Floats

    def __post_init__(self) -> None:
        if len(self.time_s) < 2 or not (np.diff(self.time_s) > 0).all():
            raise ReductionError(f"{self.name}: the times of an attitude must rise, and be two at least", "attitude")
        if not all(np.isfinite(values).all() for values in (self.ra, self.dec, self.pa)):
            raise ReductionError(f"{self.name}: an attitude has a pointing that is no number", "attitude")

    def covers(self, start_s: float, stop_s: float) -> bool:
        """Return whether there is a pointing for every time between two."""
        return bool(self.time_s[0] <= start_s and stop_s <= self.time_s[-1])

    def offsets(self, ra: float, dec: float) -> tuple[Floats, Floats]:
        """Return how far the telescope points from a position, in arcsec to the west and to the north, shape (n,)."""
        centre = SkyCoord(ra * u.deg, dec * u.deg)
        east, north = centre.spherical_offsets_to(SkyCoord(self.ra * u.deg, self.dec * u.deg))
        return -np.asarray(east.arcsec), np.asarray(north.arcsec)


def read_attitude(path: Path) -> Attitude:
    """Read an attitude: a table of FITS with TIME and AHFRA, AHFDEC, AHFPA, or RA, DEC and PA, in degrees.

    Raises ReductionError for a file that has no such table.
    """
    try:
        with fits.open(path, memmap=False) as hdus:
            for hdu in hdus:
                names = [] if getattr(hdu, "columns", None) is None else [name.upper() for name in hdu.columns.names]
                found = next((names_ for names_ in _COLUMNS if set(names_) <= set(names)), None)
                if found is None or "TIME" not in names:
                    continue
                columns = [np.asarray(hdu.data[name], dtype=np.float64) for name in ("TIME", *found)]
                if (hdu.columns[found[0]].unit or "deg").strip().lower() in ("h", "hour", "hours", "hr"):
                    columns[1] = columns[1] * 15
                order = np.unique(columns[0], return_index=True)[1]
                return Attitude(path.name, *(column[order] for column in columns))
    except (OSError, ValueError, TypeError) as error:
        raise ReductionError(f"{path.name} cannot be read as FITS: {error}", "attitude") from error
    raise ReductionError(f"{path.name} has no table with TIME and AHFRA, AHFDEC, AHFPA, or RA, DEC and PA",
                         "attitude")  # fmt: skip
