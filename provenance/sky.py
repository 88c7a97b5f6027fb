"""Where on the sky a product lies: its position keywords in the columns of ObsCore.

s_ra, s_dec are the centre of an image, the pointing of events, and otherwise the target, turned to ICRS. May import:
standard library, numpy, `headers`, astropy (only when there is a position to turn, or an image's).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from provenance.headers import Cards, Found, Product


def columns(product: Product) -> Found:
    """Derive the columns of the spatial axis: the position in ICRS, and an image's extent and pixels."""
    pixels = _pixels(product.science) if product.type in ("image", "cube") else {}
    centre = _image_centre(product.science) if pixels else None
    names = ("PNT", "NOM", "OBJ") if product.type in ("event", "image", "cube") else ("OBJ", "PNT", "NOM")
    places = [(product.science, *centre)] if centre else []
    for name in names:
        for cards in product.main:
            ra, dec = cards.number(f"RA_{name}"), cards.number(f"DEC_{name}")
            if ra is not None and dec is not None:
                places.append((cards, ra, dec))
    position = next((found for place in places if (found := _icrs(product, *place))), (None, None))
    return {"s_ra": position[0], "s_dec": position[1], **pixels}


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
    }


def _matrix(cards: Cards) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Degrees per pixel, shape (2, 2): CD, or CDELT turned by PC or CROTA2 (FITS Standard 4.0, 8.1)."""
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


def _image_centre(cards: Cards) -> tuple[float, float] | None:
    """Right ascension and declination of an image's centre, degrees, in its own frame; None without a sound WCS."""
    from astropy.wcs import WCS, WcsError

    numbers = [cards.number(keyword) for keyword in ("NAXIS1", "NAXIS2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2")]
    known = [number for number in numbers if number is not None]
    if len(known) != len(numbers):
        return None
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [cards.text("CTYPE1"), cards.text("CTYPE2")]
    wcs.wcs.crpix, wcs.wcs.crval = known[2:4], known[4:6]
    wcs.wcs.cd = _matrix(cards)
    try:
        ra, dec = wcs.wcs_pix2world((known[0] + 1) / 2, (known[1] + 1) / 2, 1)
    except (WcsError, ValueError):
        return None
    return (float(ra), float(dec)) if np.isfinite(ra) and np.isfinite(dec) else None


def _icrs(product: Product, cards: Cards, ra: float, dec: float) -> tuple[float, float] | None:
    """A position of a header, degrees, in ICRS; None for a frame that is not known or angles that cannot be."""
    if not (-360 <= ra <= 360 and -90 <= dec <= 90):
        return None
    frames = (one.text(keyword) for one in (cards, *product.main) for keyword in ("RADESYS", "RADECSYS"))
    frame = next((name for name in frames if name), "").upper()
    equinoxes = (one.number("EQUINOX") for one in (cards, *product.main))
    equinox = next((year for year in equinoxes if year is not None), None)
    if not frame:  # FITS Standard 4.0, 8.3
        frame = "ICRS" if equinox is None else "FK4" if equinox < 1984 else "FK5"
    if frame == "ICRS":
        return ra % 360, dec
    year = equinox if equinox is not None else 1950.0 if frame == "FK4" else 2000.0
    if frame not in ("FK4", "FK5") or not 1800 <= year <= 2200:
        return None
    from astropy.coordinates import SkyCoord

    letter = "B" if frame == "FK4" else "J"
    turned = SkyCoord(ra, dec, unit="deg", frame=frame.lower(), equinox=f"{letter}{year}").icrs
    return float(turned.ra.deg), float(turned.dec.deg)
