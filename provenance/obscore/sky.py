"""Derives the columns of the spatial axis from the position keywords of a product.

s_ra, s_dec are the centre of an image, the pointing of events, and otherwise the target, in ICRS.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import Any, Final, TypeAlias

import numpy as np

from provenance.fits.headers import Cards
from provenance.obscore import instruments
from provenance.obscore.product import Found, Product

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

_FK5_MAS: Final = (-19.9, -9.1, 22.9)
"""Rotations about x, y and z from FK5 (J2000) to ICRS, milliarcseconds (Hilton & Hohenkerk 2004, A&A 413, 765)."""

_POSITION: Final = re.compile(r"POS|SKY|(T?DET|RAW|CHIP)?[XY]$")
"""Names in a data subspace that stand for positions: those of XMM-SAS and of CIAO."""


def columns(product: Product) -> Found:
    """Derive the position in ICRS, extent, outline, pixels and resolution of a product.

    Where the headers state no extent, it is the whole field of view for events, for an instrument that makes no image,
    and for a product whose data subspace selects no position.
    """
    pixels = _pixels(product.science) if product.type in ("image", "cube") else _bins(product)
    image = _image(product.science) if product.type in ("image", "cube") and "s_fov" in pixels else None
    is_pointed = product.type in ("event", "image", "cube") or _kept_everywhere(product)
    names = ("PNT", "NOM", "OBJ") if is_pointed else ("OBJ", "PNT", "NOM")
    positions = [(product.science, *image[0])] if image else []
    for name in names:
        for cards in product.main:
            ra, dec = cards.number(f"RA_{name}"), cards.number(f"DEC_{name}")
            if ra is not None and dec is not None:
                positions.append((cards, ra, dec))
    position = next((icrs for candidate in positions if (icrs := _icrs(product, *candidate))), None)
    found: Found = {**_field(product, position), **pixels}
    if position:
        found |= {"s_ra": position[0], "s_dec": position[1]}
    if image and (corners := to_icrs(product, product.science, *image[1])):
        pairs = " ".join(f"{ra:.10g} {dec:.10g}" for ra, dec in zip(*corners, strict=True))
        found["s_region"] = f"Polygon ICRS {pairs}"
    return found


def _bins(product: Product) -> Found:
    """Bins along the axes of the sky: one, or -1 for events, which are not binned (ObsCore 1.1)."""
    if product.type in ("spectrum", "timeseries"):
        return {"s_xel1": 1, "s_xel2": 1}
    if product.type != "event":
        return {}
    scale = _column_scale(product.science)
    axes: Found = {"s_ucd": "pos.eq", "s_unit": "deg", "s_calib_status": "calibrated", "s_pixel_scale": scale}
    return {"s_xel1": -1, "s_xel2": -1, **(axes if scale else {})}


def _column_scale(cards: Cards) -> float | None:
    """The pixel size of the sky columns of an event table, arcseconds; None where the header has none."""
    for number in range(1, min(cards.count("TFIELDS") or 0, 999) + 1):
        if cards.text(f"TCTYP{number}").startswith("RA--"):
            return 3600 * abs(cards.number(f"TCDLT{number}") or 0.0) or None
    return 3600 * abs(cards.number("REFXCDLT") or 0.0) or None


def _field(product: Product, position: tuple[float, float] | None) -> Found:
    """The resolution of the instrument; also its field of view, for a product that covers the whole of it."""
    instrument = instruments.find(product)
    if instrument is None or product.type not in ("event", "image", "cube", "spectrum", "timeseries"):
        return {}
    found: Found = {"s_resolution": instrument.psf_arcsec}
    is_whole = product.type == "event" or instrument.psf_arcsec is None
    if _kept_everywhere(product) or (is_whole and not any(map(_POSITION.match, _kinds(product)))):
        found |= {"s_fov": instrument.fov_deg, "s_resolution_min": instrument.psf_arcsec}
        if instrument.is_round and position:
            found["s_region"] = f"Circle ICRS {position[0]:.10g} {position[1]:.10g} {instrument.fov_deg / 2:.6g}"
    return found


def _kept_everywhere(product: Product) -> bool:
    """Whether a spectrum or light curve has a data subspace that selects neither a position nor a single CCD."""
    kinds = _kinds(product)
    is_one_ccd = "CCDNR" in kinds and not product.science.text(f"2DSVAL{kinds.index('CCDNR') + 1}")
    return product.type in ("spectrum", "timeseries") and bool(kinds) and not (
        is_one_ccd or any(map(_POSITION.match, kinds)))  # fmt: skip


def _kinds(product: Product) -> list[str]:
    """The names by which a data subspace selects, in capitals: DSTYP1 and the following."""
    numbered = (product.science.text(f"DSTYP{number}").upper() for number in range(1, 100))
    return list(itertools.takewhile(bool, numbered))


def _pixels(cards: Cards) -> Found:
    """Size and scale of an image with celestial axes in degrees."""
    shape = cards.count("NAXIS1"), cards.count("NAXIS2")
    scale = _matrix(cards)
    axes = cards.text("CTYPE1")[:4], cards.text("CTYPE2")[:4]
    if axes != ("RA--", "DEC-") or scale is None or not (shape[0] and shape[1]):
        return {}
    width, height = (float(np.hypot(*scale[:, axis])) for axis in (0, 1))
    return {
        "s_fov": math.hypot(shape[0] * width, shape[1] * height),
        "s_pixel_scale": 3600 * width,
        "s_xel1": shape[0],
        "s_xel2": shape[1],
        "s_ucd": "pos.eq",
        "s_unit": "deg",
        "s_calib_status": "calibrated",
    }


def _matrix(cards: Cards) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Degrees per pixel, shape (2, 2): CD, or CDELT rotated by PC or CROTA2 (FITS Standard 4.0, 8.1); else None."""
    if cards.text("CUNIT1") not in ("", "deg") or cards.text("CUNIT2") not in ("", "deg"):
        return None
    cd = [[cards.number(f"CD{i}_{j}") for j in (1, 2)] for i in (1, 2)]
    if cd[0][0] is not None:
        return np.array([[value or 0.0 for value in row] for row in cd], dtype=float)
    x, y = cards.number("CDELT1") or 0.0, cards.number("CDELT2") or 0.0
    if not (x and y):
        return None
    turn = math.radians(cards.number("CROTA2") or 0.0)
    pc = {f"PC{i}_{j}": cards.number(f"PC{i}_{j}") for i in (1, 2) for j in (1, 2)}
    if all(value is None for value in pc.values()):
        return np.array([[x * math.cos(turn), -y * math.sin(turn)], [x * math.sin(turn), y * math.cos(turn)]])
    p11, p12, p21, p22 = (default if value is None else value for value, default in zip(pc.values(), (1, 0, 0, 1),
                                                                                     strict=True))
    return np.array([[x * p11, x * p12], [y * p21, y * p22]])


def _image(cards: Cards) -> tuple[tuple[float, float], tuple[Array, Array]] | None:
    """Centre and corners (shape (4,), in order) of an image in its own frame, degrees; None without a sound WCS."""
    from astropy.wcs import WCS, WcsError

    numbers = [cards.number(keyword) for keyword in ("NAXIS1", "NAXIS2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2")]
    known = [number for number in numbers if number is not None]
    if len(known) != len(numbers):
        return None
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [cards.text("CTYPE1"), cards.text("CTYPE2")]
    wcs.wcs.crpix, wcs.wcs.crval = known[2:4], known[4:6]
    wcs.wcs.cd = _matrix(cards)
    width, height = known[:2]
    x = np.array([(width + 1) / 2, 0.5, width + 0.5, width + 0.5, 0.5])
    y = np.array([(height + 1) / 2, 0.5, 0.5, height + 0.5, height + 0.5])
    try:
        ra, dec = wcs.wcs_pix2world(x, y, 1)
    except (WcsError, ValueError):
        return None
    if not (np.isfinite(ra).all() and np.isfinite(dec).all()):
        return None
    return (float(ra[0]), float(dec[0])), (ra[1:], dec[1:])


def _icrs(product: Product, cards: Cards, ra: float, dec: float) -> tuple[float, float] | None:
    """A position of a header, degrees, in ICRS; None for an unknown frame or angles out of range."""
    if not (-360 <= ra <= 360 and -90 <= dec <= 90):
        return None
    icrs = to_icrs(product, cards, np.array([ra]), np.array([dec]))
    return None if icrs is None else (float(icrs[0][0]), float(icrs[1][0]))


def to_icrs(product: Product, cards: Cards, ra: Array, dec: Array) -> tuple[Array, Array] | None:
    """Convert positions from the frame of a header to ICRS.

    Parameters
    ----------
    product
        The product, whose main headers name the frame where `cards` do not.
    cards
        The header with the positions (RADESYS, EQUINOX; the default is that of FITS Standard 4.0, 8.3).
    ra
        The right ascensions, degrees, shape (n,).
    dec
        The declinations, degrees, shape (n,).

    Returns
    -------
    tuple of array
        Right ascension and declination, degrees, shape (n,) each; None for a frame that is not known.
    """
    frames = (header.text(keyword) for header in (cards, *product.main) for keyword in ("RADESYS", "RADECSYS"))
    frame = next((name for name in frames if name), "").upper()
    equinoxes = (header.number("EQUINOX") for header in (cards, *product.main))
    equinox = next((year for year in equinoxes if year is not None), None)
    if not frame:
        frame = "ICRS" if equinox is None else "FK4" if equinox < 1984 else "FK5"
    if frame == "ICRS":
        return ra % 360, dec
    year = equinox if equinox is not None else 1950.0 if frame == "FK4" else 2000.0
    if frame not in ("FK4", "FK5") or not 1800 <= year <= 2200:
        return None
    if (frame, year) == ("FK5", 2000.0):
        return _from_fk5(ra, dec)
    from astropy.coordinates import SkyCoord

    letter = "B" if frame == "FK4" else "J"
    icrs = SkyCoord(ra, dec, unit="deg", frame=frame.lower(), equinox=f"{letter}{year}").icrs
    return np.asarray(icrs.ra.deg), np.asarray(icrs.dec.deg)


def _from_fk5(ra: Array, dec: Array) -> tuple[Array, Array]:
    """Convert positions in FK5 (J2000), degrees, to ICRS: a rotation by hundredths of an arcsecond."""
    lon, lat = np.radians(ra), np.radians(dec)
    direction = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    angles = np.radians(np.array(_FK5_MAS) / 3.6e6)
    x, y, z = _rotation(2, angles[2]) @ _rotation(1, angles[1]) @ _rotation(0, angles[0]) @ direction
    return np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))


def _rotation(axis: int, angle: float) -> Array:
    """The matrix that rotates the frame about an axis by an angle in radians."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = math.cos(angle)
    matrix[first, second], matrix[second, first] = math.sin(angle), -math.sin(angle)
    return matrix
