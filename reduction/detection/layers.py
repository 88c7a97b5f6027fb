"""The images in which sources are looked for: one for each camera and band, all on one grid of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import pixel_to_skycoord, proj_plane_pixel_scales

from reduction.detection.pointspread import PointSpread
from reduction.errors import ReductionError

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MOST_PIXELS = 9_000_000
"""Most pixels of an image, as of the images of the definition `image`."""

MOST_CELLS = 60_000_000
"""Most pixels of all images together: 480 MB a working array."""


@dataclass(frozen=True)
class Layer:
    """The image of one camera in one band.

    `counts` are the counts, `exposure` the seconds during which a pixel saw the sky through the mirrors (vignetting
    included), 0 where it saw nothing; `live` the seconds without vignetting, which is what particles follow; shape
    (rows, columns) all. `background` holds counts that are known to be background, None where they are to be found;
    `streaks` the counts that are expected of events out of time, which a background that is found is added to, None
    where they are not known.
    `is_exposed` is False where no exposure is known: then it is 1 within the field, and there are no rates. `axis` is
    the optical axis in pixels (x, y) from 0.
    """

    name: str
    camera: str
    band_kev: tuple[float, float] | None
    counts: Floats
    exposure: Floats
    live: Floats
    spread: PointSpread
    axis: tuple[float, float]
    background: Floats | None = None
    is_exposed: bool = True
    streaks: Floats | None = None

    @property
    def seen(self) -> Mask:
        """Where the layer saw the sky, shape (rows, columns)."""
        return np.asarray(self.exposure > 0)


@dataclass(frozen=True)
class Columns:
    """The columns of CCDs in images that do not tell of them: along which events out of time are spread.

    `late` is the part of the events that come out of time, `height_arcsec` the length of a column, and `angles` are the
    directions that the columns may have, in radians from the axis of x to that of y; empty: any.
    """

    late: float
    height_arcsec: float
    angles: tuple[float, ...] = ()


@dataclass(frozen=True)
class Field:
    """All layers of one grid, with the projection of its pixels and the side of a pixel in arcsec.

    `columns` is what is known of read-out streaks where the layers themselves do not have them, None for nothing.
    """

    layers: tuple[Layer, ...]
    wcs: WCS
    pixel_arcsec: float
    columns: Columns | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.layers[0].counts.shape
        return rows, columns

    def sky(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return right ascension and declination (ICRS, degrees) of pixels counted from 0, in their shape."""
        if not len(x):
            return np.zeros(0), np.zeros(0)
        places: SkyCoord = pixel_to_skycoord(x, y, self.wcs).icrs
        return np.asarray(places.ra.deg), np.asarray(places.dec.deg)

    def off_axis_arcmin(self, layer: Layer, x: Floats, y: Floats) -> Floats:
        """Return the angle of pixels from the optical axis of a layer.

        Parameters
        ----------
        layer
            One of the field's.
        x
            Columns from 0.
        y
            Rows from 0, in the shape of the columns.

        Returns
        -------
        array
            Arcmin, in that shape.
        """
        return np.asarray(np.hypot(x - layer.axis[0], y - layer.axis[1]) * self.pixel_arcsec / 60)


def field_of(layers: Sequence[Layer], wcs: WCS) -> Field:
    """Return the layers as a field.

    Parameters
    ----------
    layers
        One or more, of the same shape.
    wcs
        The projection of their pixels.

    Returns
    -------
    Field
        Its pixels are taken to be square: their side is the root of their area.

    Raises
    ------
    ReductionError
        There are too many pixels, no counts in any layer, or no pixel that saw the sky.
    """
    pixels = layers[0].counts.size
    if pixels > MOST_PIXELS or pixels * len(layers) > MOST_CELLS:
        rows, columns = layers[0].counts.shape
        raise ReductionError(f"{len(layers)} images of {columns:,} x {rows:,} pixels; at most {MOST_PIXELS:,} pixels "
                             f"an image and {MOST_CELLS:,} of all together are allowed: give larger bins, a smaller "
                             "part of the sky or fewer bands")  # fmt: skip
    if not any(layer.seen.any() for layer in layers):
        raise ReductionError("no pixel of any image is exposed: every exposure map, or the mask, is 0 everywhere; give "
                             "images with the exposure maps that belong to them")  # fmt: skip
    if not any(layer.counts[layer.seen].any() for layer in layers):
        raise ReductionError("there is not one count on the exposed pixels of any image, so that nothing can be "
                             "detected; are these images of counts, in the right bands?")  # fmt: skip
    scales = proj_plane_pixel_scales(wcs.celestial) * 3600
    return Field(tuple(layers), wcs, float(np.sqrt(scales[0] * scales[1])))
