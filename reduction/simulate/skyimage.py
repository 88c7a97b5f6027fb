"""An image of the sky as the shape of a source: read from FITS with its coordinates; may import numpy and astropy."""

from __future__ import annotations

import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

from reduction.errors import ReductionError
from reduction.simulate.extent import SkyImage

MOST_PIXELS = 64_000_000
"""Most pixels of an image."""


def read_sky_image(path: Path) -> tuple[SkyImage, SkyCoord]:
    """Read an image: the first HDU of a file that has two axes.

    Parameters
    ----------
    path
        FITS, with celestial coordinates. Where it is not above 0, or no number, no photon comes from. Values are taken
        as they are: one of counts has the vignetting and the gaps of its telescope in it, a corrected one has not.

    Returns
    -------
    image, centre
        The shape, and the ICRS position to which its offsets are.

    Raises
    ------
    ReductionError
        There is no image, it has no celestial coordinates, or nothing in it is above 0.
    """
    values, header = _image(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        wcs = WCS(header).celestial
    if not wcs.has_celestial:
        raise ReductionError(f"{path.name} has no celestial coordinates (CTYPE such as RA---TAN)", "image")
    row, column = np.nonzero(np.isfinite(values) & (values > 0))
    if not len(row):
        raise ReductionError(f"{path.name} is nowhere above 0: no photon can come from it", "image")
    middle = (values.shape[1] - 1) / 2, (values.shape[0] - 1) / 2
    centre = wcs.pixel_to_world(*middle).icrs
    near = wcs.pixel_to_world([middle[0] + 1, middle[0]], [middle[1], middle[1] + 1]).icrs
    steps = [_offsets(centre, near[at : at + 1]) for at in (0, 1)]
    x, y = _offsets(centre, wcs.pixel_to_world(column, row).icrs)
    cumulative = np.cumsum(values[row, column], dtype=np.float64)
    (ax, ay), (bx, by) = ((float(dx[0]), float(dy[0])) for dx, dy in steps)
    return SkyImage(path.name, x, y, ((ax, ay), (bx, by)), cumulative / cumulative[-1]), centre


def _image(path: Path) -> tuple[np.ndarray, fits.Header]:
    """Return the values and the header of the first image of a file. Raises ReductionError if there is none."""
    try:
        with fits.open(path, memmap=False) as hdus:
            for hdu in hdus:
                if hdu.is_image and hdu.header.get("NAXIS") == 2 and hdu.data is not None:
                    if hdu.data.size > MOST_PIXELS:
                        raise ReductionError(f"{path.name} has {hdu.data.size:,} pixels; at most {MOST_PIXELS:,} are "
                                             "allowed", "image")  # fmt: skip
                    return np.asarray(hdu.data, dtype=np.float64), hdu.header
    except (OSError, ValueError, TypeError) as error:
        raise ReductionError(f"{path.name} cannot be read as FITS: {error}", "image") from error
    raise ReductionError(f"{path.name} holds no image of two axes", "image")


def _offsets(centre: SkyCoord, positions: SkyCoord) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets in arcsec to the west and to the north on the tangent plane, shape (n,) both."""
    apart, angle = centre.separation(positions), centre.position_angle(positions)
    distance = (np.tan(apart.rad) * u.rad).to_value(u.arcsec)
    return -distance * np.sin(angle.rad), distance * np.cos(angle.rad)
