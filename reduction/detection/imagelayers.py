"""Images for a detection from FITS files: counts, with exposure maps and backgrounds where there are any."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

from reduction.detection.imagefield import field_mask
from reduction.detection.layers import MOST_PIXELS, Columns, Field, Layer, field_of
from reduction.detection.pointspread import (
    KING_CAMERAS,
    PointSpread,
    ProfileSource,
    gaussian_spread,
    king_spread,
    published,
)
from reduction.errors import ReductionError
from reduction.events.fitswrite import Cards
from reduction.missions.xmm import EPN

Floats = npt.NDArray[np.float64]

IMAGES, EXPOSURES, BACKGROUNDS = "images", "exposure_maps", "backgrounds"
"""Job parameters of the three kinds of files."""

Spreads = tuple[float | None, ProfileSource]
"""Full width at half maximum that is given, and where the King profiles of EPIC come from if none is."""

_SAME_PLACE_PIXELS = 0.1
_COLUMN_ARCSEC = 820.0
"""Length of a column of pn: 200 pixels of 4.1 arcsec."""


@dataclass(frozen=True)
class Picture:
    """An image of a file: pixels of shape (rows, columns), NaN where the file has none, its header and projection."""

    name: str
    parameter: str
    pixels: Floats
    header: Mapping[str, Any]
    wcs: WCS


def read_picture(path: Path, parameter: str) -> Picture:
    """Read the first image of a file that has pixels.

    Parameters
    ----------
    path
        FITS file, plain or compressed.
    parameter
        Job parameter named in errors.

    Returns
    -------
    Picture
        The image.

    Raises
    ------
    ReductionError
        It is no FITS file, has no image of two axes on the sky, or too large a one.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path) as hdus:
                hdu = next((hdu for hdu in hdus if hdu.is_image and hdu.header.get("NAXIS", 0) > 0), None)
                if hdu is None:
                    raise ReductionError(f"{path.name} has no image", parameter)
                _require_plane(hdu.shape, path.name, parameter)
                header = {**hdus[0].header, **hdu.header}
                pixels = np.array(hdu.data, dtype=np.float64).reshape(hdu.shape[-2:])
                wcs = WCS(hdu.header, naxis=2)
    except (OSError, ValueError, TypeError, fits.VerifyError) as error:
        raise ReductionError(f"{path.name} cannot be read as a FITS image: {error}", parameter) from error
    if not wcs.has_celestial:
        raise ReductionError(f"{path.name} has no projection of the sky (CTYPE1, CTYPE2); sources would have no places",
                             parameter)  # fmt: skip
    return Picture(path.name, parameter, pixels, header, wcs)


def _require_plane(shape: tuple[int, ...], name: str, parameter: str) -> None:
    """Raise ReductionError if an image has not two axes, or too many pixels."""
    if len(shape) < 2 or any(size > 1 for size in shape[:-2]):
        raise ReductionError(f"the image of {name} has the axes {' x '.join(map(str, shape[::-1]))}; give images of "
                             "two axes, one for each band", parameter)  # fmt: skip
    if math.prod(shape) > MOST_PIXELS:
        raise ReductionError(f"{name} has {shape[-1]:,} x {shape[-2]:,} pixels, at most {MOST_PIXELS:,} are allowed; "
                             "give larger pixels or a part of the sky", parameter)  # fmt: skip


def layers_of_images(
    images: Sequence[Path], exposures: Sequence[Path], backgrounds: Sequence[Path], fwhm_arcsec: float | None,
    profiles: ProfileSource = published,
) -> tuple[Field, tuple[str, ...], Mapping[str, Any]]:  # fmt: skip
    """Return images as the layers of a field, sentences about what is unusual, and the header of the first image.

    Parameters
    ----------
    images
        Counts, one file for each camera and band.
    exposures
        Exposure maps: none, one for all, or one for each image.
    backgrounds
        Expected background counts: none, or one for each image.
    fwhm_arcsec
        Full width at half maximum of the point spread function; None for that of the EPIC cameras.
    profiles
        Where the King profiles of these come from.

    Returns
    -------
    tuple
        The field, the notes, and the keywords of the first image.

    Raises
    ------
    ReductionError
        Files do not belong together, or hold what no image of counts holds.
    """
    counts = [read_picture(path, IMAGES) for path in images]
    for name, given, most in (
        (EXPOSURES, exposures, (0, 1, len(images))),
        (BACKGROUNDS, backgrounds, (0, len(images))),
    ):
        if len(given) not in most:
            raise ReductionError(f"{len(given)} files for {len(images)} images; give one for each image in their order"
                                 + (", or one for all" if name == EXPOSURES else ""), name)  # fmt: skip
    maps = [read_picture(path, EXPOSURES) for path in exposures]
    models = [read_picture(path, BACKGROUNDS) for path in backgrounds]
    for other in (*counts[1:], *maps, *models):
        _require_same_grid(counts[0], other)
    notes: list[str] = []
    layers = []
    for index, picture in enumerate(counts):
        exposure = maps[index if len(maps) > 1 else 0] if maps else None
        layers.append(_layer(picture, exposure, models[index] if models else None, (fwhm_arcsec, profiles), notes))
    field = replace(field_of(_numbered(layers), counts[0].wcs), columns=_columns(counts))
    return field, tuple(dict.fromkeys(notes)), counts[0].header


def _columns(counts: Sequence[Picture]) -> Columns | None:
    """Return the columns of pn, of which alone the streaks are seen, in the first of its images or mosaics.

    They run along the position angle of the header or across it: both are found in files.
    """
    for picture in counts:
        camera = str(picture.header.get("INSTRUME") or "").strip().upper()
        if camera in ("EPN", "EPIC"):
            angle: Any = picture.header.get("PA_PNT")
            along = [_direction(picture, float(angle) + turn) for turn in (0.0, 90.0)] if _is_number(angle) else []
            late = EPN.late_share(picture.header)
            return Columns(late, _COLUMN_ARCSEC, tuple(each for each in along if np.isfinite(each)))
    return None


def _direction(picture: Picture, angle_deg: float) -> float:
    """Return the way of a position angle in the middle of an image, in radians from the axis of x to y."""
    rows, columns = picture.pixels.shape
    middle = SkyCoord.from_pixel((columns - 1) / 2, (rows - 1) / 2, picture.wcs.celestial)
    x, y = middle.directional_offset_by(angle_deg * u.deg, 1 * u.arcmin).to_pixel(picture.wcs.celestial)
    return float(np.arctan2(y - (rows - 1) / 2, x - (columns - 1) / 2))


def _require_same_grid(first: Picture, other: Picture) -> None:
    """Raise ReductionError, with how they differ, unless two images have the same pixels on the sky."""
    if other.pixels.shape != first.pixels.shape:
        sizes = [" x ".join(map(str, each.pixels.shape[::-1])) for each in (other, first)]
        raise ReductionError(f"{other.name} has {sizes[0]} pixels, {first.name} {sizes[1]}; give images of one grid, "
                             "such as those of one job of image, or of several with the same centre, size and pixel",
                             other.parameter)  # fmt: skip
    scales = [float(np.sqrt(np.prod(proj_plane_pixel_scales(each.wcs.celestial)))) * 3600 for each in (other, first)]
    if abs(scales[0] / scales[1] - 1) > 1e-3:
        raise ReductionError(f"{other.name} has pixels of {scales[0]:.4g} arcsec, {first.name} of {scales[1]:.4g}; "
                             "give images of one grid", other.parameter)  # fmt: skip
    rows, columns = first.pixels.shape
    corners = np.array([[0.0, 0.0], [columns - 1.0, 0.0], [0.0, rows - 1.0], [columns - 1.0, rows - 1.0]])
    places = [SkyCoord.from_pixel(*corners.T, each.wcs.celestial).icrs for each in (first, other)]
    apart = float(np.nanmax(places[0].separation(places[1]).arcsec))
    if not apart <= _SAME_PLACE_PIXELS * scales[1]:
        raise ReductionError(f"the pixels of {other.name} and {first.name} lie up to {apart:.4g} arcsec apart on the "
                             "sky; give images of one grid", other.parameter)  # fmt: skip


def _layer(
    picture: Picture, exposure: Picture | None, background: Picture | None, spreads: Spreads, notes: list[str]
) -> Layer:
    """Return one image as a layer."""
    counts = _counts(picture, notes)
    if exposure is not None:
        seconds = np.where(np.isfinite(picture.pixels), np.nan_to_num(exposure.pixels, nan=0.0, posinf=0.0), 0.0)
        if (seconds < 0).any():
            raise ReductionError(f"{exposure.name} has negative pixels (down to {seconds.min():.4g}); give the "
                                 "exposure in seconds", EXPOSURES)  # fmt: skip
        dark = counts[seconds <= 0].sum()
        if dark:
            notes.append(f"{picture.name}: {dark:.0f} of {counts.sum():.0f} counts lie on pixels without exposure, and "
                         "are left out")  # fmt: skip
    else:
        seconds = (field_mask(counts) & np.isfinite(picture.pixels)).astype(np.float64)
        notes.append(f"{picture.name}: no exposure map: the field is where the counts are, its exposure is taken as "
                     "the same everywhere, and there are no rates; sources must stand out on every side")  # fmt: skip
    model = None if background is None else _expected(background)
    band = band_of(picture.header)
    camera = str(picture.header.get("INSTRUME") or "").strip().upper() or "IMAGE"
    name = f"{camera} {band[0]:.3g}-{band[1]:.3g}keV" if band else f"{camera} ({picture.name})"
    spread = _spread(camera, band, spreads, picture, notes)
    return Layer(name, camera, band, counts, seconds, seconds, spread, _axis(picture, seconds, notes), model,
                 exposure is not None)  # fmt: skip


def _counts(picture: Picture, notes: list[str]) -> Floats:
    """Return the counts of an image. Raise ReductionError if they cannot be counts."""
    pixels = picture.pixels
    missing = ~np.isfinite(pixels)
    if missing.all():
        raise ReductionError(f"{picture.name} has no value in any pixel: all are NaN", IMAGES)
    if missing.any():
        notes.append(f"{picture.name}: {int(missing.sum()):,} pixels have no value (NaN) and count as not exposed")
    counts = np.where(missing, 0.0, pixels)
    if (counts < 0).any():
        raise ReductionError(f"{picture.name} has negative pixels (down to {counts.min():.4g}): a background seems to "
                             "be subtracted. Sources are fitted to counts, which follow Poisson's law: give the image "
                             f"of counts, and the background as {BACKGROUNDS}", IMAGES)  # fmt: skip
    if (np.abs(counts - np.rint(counts)) > 1e-3).any():
        raise ReductionError(f"{picture.name} has pixels that are no whole numbers (such as "
                             f"{counts[counts != np.rint(counts)][0]:.4g}): rates, or a smoothed image. Sources are "
                             "fitted to counts, which follow Poisson's law: give the image of "
                             "counts", IMAGES)  # fmt: skip
    return counts


def _expected(background: Picture) -> Floats:
    """Return the counts of a background map. Raise ReductionError if some are negative."""
    counts = np.nan_to_num(background.pixels, nan=0.0, posinf=0.0, neginf=-1.0)
    if (counts < 0).any():
        raise ReductionError(f"{background.name} has negative pixels; give the expected counts of the background",
                             BACKGROUNDS)  # fmt: skip
    return np.maximum(counts, 1e-6)


def band_of(header: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the band of an image in keV from E_MIN and E_MAX, or the range of PI in its data subspace; else None."""
    limits = [float(value) for value in (header.get("E_MIN"), header.get("E_MAX")) if isinstance(value, int | float)]
    if len(limits) == 2 and 0 < limits[0] < limits[1]:
        return limits[0], limits[1]
    for number in range(1, 30):
        words = str(header.get(f"DSTYP{number}") or "").strip().upper()
        texts = str(header.get(f"DSVAL{number}") or "").split(",")[0].split(":")
        if words == "PI" and len(texts) == 2:
            try:
                values = [float(limit) / 1000 for limit in texts]
            except ValueError:
                continue
            if 0 <= values[0] < values[1]:
                return values[0], values[1]
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _spread(
    camera: str, band: tuple[float, float] | None, spreads: Spreads, picture: Picture, notes: list[str]
) -> PointSpread:
    """Return the point spread function of an image. Raise ReductionError if none is known."""
    fwhm, profiles = spreads
    if fwhm is not None:
        return gaussian_spread(fwhm)
    if camera not in (*KING_CAMERAS, "EPIC"):
        raise ReductionError(f"{picture.name} is of the instrument {camera}, whose point spread function is not known "
                             "here; give its full width at half maximum in arcsec", "psf_fwhm")  # fmt: skip
    energy = 1.5 if band is None else float(np.sqrt(max(band[0], 0.1) * band[1]))
    if band is None:
        notes.append(f"{picture.name}: its header has no band; the point spread function is that at {energy:g} keV")
    return king_spread(camera, energy, picture.header, profiles)


def _axis(picture: Picture, seconds: Floats, notes: list[str]) -> tuple[float, float]:
    """Return the optical axis in pixels from 0: of RA_PNT and DEC_PNT, else the middle of the exposure."""
    ra, dec = picture.header.get("RA_PNT"), picture.header.get("DEC_PNT")
    if _is_number(ra) and _is_number(dec):
        x, y = SkyCoord(ra, dec, unit="deg").to_pixel(picture.wcs.celestial)
        if np.isfinite(x) and np.isfinite(y):
            return float(x), float(y)
    notes.append(
        f"{picture.name}: no RA_PNT and DEC_PNT: the middle of the exposed pixels is taken for the optical axis"
    )
    rows, columns = np.nonzero(seconds > 0)
    return (float(columns.mean()), float(rows.mean())) if rows.size else (0.0, 0.0)


def _numbered(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers with cameras that tell those of one camera and band apart."""
    seen: dict[tuple[str, Any], int] = {}
    made = []
    for layer in layers:
        key = (layer.camera, layer.band_kev)
        seen[key] = seen.get(key, 0) + 1
        made.append(layer if seen[key] == 1 else replace(layer, camera=f"{layer.camera}-{seen[key]}"))
    return made


_OF_AN_OBSERVATION = ("TELESCOP", "INSTRUME", "FILTER", "OBS_ID", "OBJECT", "OBSERVER", "DATE-OBS", "DATE-END",
                      "RA_PNT", "DEC_PNT", "RA_OBJ", "DEC_OBJ", "PA_PNT", "EXPOSURE", "ONTIME", "DATAMODE",
                      "EXP_ID")  # fmt: skip
"""Keywords of an image that hold for a list of its sources."""


def observation_cards(header: Mapping[str, Any]) -> Cards:
    """Return the keywords of an image that hold for a list of its sources too."""
    values = ((name, header.get(name)) for name in _OF_AN_OBSERVATION)
    return [(name, value, "") for name, value in values if isinstance(value, str | int | float)]
