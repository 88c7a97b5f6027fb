"""An image, or an event list, as an array for the browser, with what describes it. Imports the pictures of the sky.

The browser colours the values itself and computes the tangential projection (TAN) both ways. Its coordinates are ICRS:
the systems that are one turned (FK5, galactic) come with the matrix that turns them.
"""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass
from typing import Any, Final

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame

from uws_server.previews import skydata
from uws_server.previews.look import COLOURS, Look
from uws_server.previews.raster import Floats, palette
from uws_server.previews.sky import SkyView

MOST_SIDE: Final = 1000
"""The most cells along an axis: as many as a page has pixels for."""
NO_COUNT: Final = 65535
"""What stands for no value where the values are counts."""
_TURNED: Final = 1e-9
"""How exact a turn is one, in radians: 0.2 milliarcseconds."""


@dataclass(frozen=True)
class SkyArray:
    """What describes the values, for JSON; and the values, compressed by gzip."""

    about: dict[str, Any]
    values: bytes


def make(view: SkyView) -> SkyArray:
    """Return the array of a view.

    Its values run row by row from the bottom, little-endian: whole numbers of 16 bits where all are counts (65535
    where there is none), else floats of 32 bits (NaN where there is none).
    """
    numbers, kind = _packed(view.raster.values)
    rows, columns = view.raster.values.shape
    projection, why = _projection(view.wcs)
    about = {
        "rows": rows,
        "columns": columns,
        "kind": kind,
        "none": NO_COUNT,
        "measure": view.measure,
        "low": list(view.low),
        "step": list(view.step),
        "first": view.first_pixel,
        "named": [[axis.name, axis.zero, axis.step] for axis in view.axes or ()],
        "projection": projection,
        "sky": skydata.coordinates(view) if view.wcs is not None and projection is None else None,
        "notes": [note for note in (why, _emptiness(view.raster.values)) if note],
        "palettes": {name: base64.b64encode(palette(Look(colours=name))).decode("ascii") for name in COLOURS},
    }
    return SkyArray(about, gzip.compress(numbers.tobytes(), compresslevel=1, mtime=0))


def _packed(values: Floats) -> tuple[npt.NDArray[Any], str]:
    known = np.isfinite(values)
    whole = np.where(known, values, 0.0)
    if ((whole >= 0) & (whole < NO_COUNT) & (whole == np.floor(whole))).all():
        return np.where(known, whole, NO_COUNT).astype("<u2"), "uint16"
    with np.errstate(over="ignore"):  # a double beyond the largest float is infinite in the picture
        return values.astype("<f4"), "float32"


def _emptiness(values: Floats) -> str:
    """Return a sentence on an image that has nothing to see; '' for any other."""
    known = values[np.isfinite(values)]
    if not known.size:
        return "No pixel of the image has a value."
    low, high = float(known.min()), float(known.max())
    return f"Every pixel has the same value, {low:g}." if low == high else ""


def _projection(wcs: WCS | None) -> tuple[dict[str, Any] | None, str]:
    """Return the tangential projection with the matrix that turns its coordinates into ICRS; else None, and why."""
    if wcs is None:
        return None, ("The header of the image gives it no place on the sky: its pixels can be read, but no region "
                      "can be drawn on it.")  # fmt: skip
    tangent, kind = skydata.tangent(wcs), str(wcs.wcs.ctype[0]) or "none"
    if tangent is None:
        return None, (f"The projection of the image ({kind}) is not the plain tangential one (TAN): coordinates are "
                      "read between points that the server computed, and no region can be drawn on it.")  # fmt: skip
    turn = _turn_to_icrs(wcs)
    if turn is None:
        return None, (f"The coordinates of the image ({wcs.wcs.radesys or kind}) are not those of ICRS turned: they "
                      "are shown as they are, and no region can be drawn on it.")  # fmt: skip
    return {**tangent, "icrs": turn}, ""


def _turn_to_icrs(wcs: WCS) -> list[list[float]] | None:
    """Return the matrix that turns unit vectors of a projection's coordinates into ICRS; None where there is none."""
    try:
        frame = wcs_to_celestial_frame(wcs)
        # not along the axes alone: what is no turn (FK4) would be taken for one
        lon, lat = np.array([0.0, 90.0, 0.0, 40.0, 220.0]) * u.deg, np.array([0.0, 0.0, 90.0, -50.0, 20.0]) * u.deg
        given = SkyCoord(lon, lat, frame=frame)
        vectors, turned = (np.asarray(each.cartesian.xyz.value) for each in (given, given.icrs))
    except Exception:  # noqa: BLE001  whatever a header does to the library, the picture is drawn without it
        return None
    matrix = turned[:, :3] @ np.linalg.inv(vectors[:, :3])
    exact = np.abs(matrix @ vectors - turned).max() < _TURNED
    return matrix.tolist() if exact else None
