"""A sky without a picture, as a HiPS (IVOA HiPS 1.0): what the view of the sky shows where no survey is configured.

Every file is made here. Each tile is the same one, which paints nothing.
"""

from __future__ import annotations

import re
import struct
from functools import cache
from typing import Final

from provenance.fits.cards import card

ORDER: Final = 0
"""The order of the finest tiles: twelve make the sky, and no movement of the view asks for more."""

_TILE: Final = 64
_PROPERTIES: Final = {
    "creator_did": "ivo://uws-server/blank",
    "obs_title": "No picture",
    "dataproduct_type": "image",
    "hips_version": "1.4",
    "hips_frame": "equatorial",
    "hips_order": str(ORDER),
    "hips_tile_width": str(_TILE),
    "hips_tile_format": "png",
    "hips_status": "public master clonable",
    "moc_sky_fraction": "1",
}
_TILE_NAME = re.compile(r"Norder\d{1,2}/Dir\d{1,9}/Npix\d{1,12}\.png")
_ALLSKY: Final = "Norder3/Allsky.png"
_ALLSKY_TILES: Final = (29, 27)
"""Rows and columns of the tiles of order 3 in one picture: Aladin Lite reads beyond the end of a smaller one."""

_BLOCK: Final = 2880


def file_of(name: str) -> tuple[bytes, str] | None:
    """Return a file of the HiPS and its media type, by its path; None where there is none."""
    if name == "properties":
        lines = (f"{key:20} = {value}\n" for key, value in _PROPERTIES.items())
        return "".join(lines).encode(), "text/plain; charset=UTF-8"
    if name == "Moc.fits":
        return _whole_sky(), "application/fits"
    if name == _ALLSKY:
        return _empty(*_ALLSKY_TILES), "image/png"
    return (_empty(1, 1), "image/png") if _TILE_NAME.fullmatch(name) else None


@cache
def _empty(rows: int, columns: int) -> bytes:
    """Return a picture of so many tiles, in which nothing is painted."""
    import numpy as np  # here: a server at rest does without

    from reduction.images import png

    return png.indexed(np.zeros((rows * _TILE, columns * _TILE), dtype=np.uint8), bytes(768), transparent=0)


def _whole_sky() -> bytes:
    """Return the MOC of the sky: its twelve cells of order 0, which NUNIQ numbers from 4 on."""
    primary = (("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0), ("EXTEND", True))
    table = (
        *(("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", 4), ("NAXIS2", 12), ("PCOUNT", 0)),
        *(("GCOUNT", 1), ("TFIELDS", 1), ("TTYPE1", "UNIQ"), ("TFORM1", "1J"), ("MOCVERS", "2.0")),
        *(("MOCDIM", "SPACE"), ("ORDERING", "NUNIQ"), ("COORDSYS", "C"), ("MOCORD_S", 0)),
    )
    cells = struct.pack(">12i", *range(4, 16))
    return _header(primary) + _header(table) + cells.ljust(_BLOCK, b"\0")


def _header(cards: tuple[tuple[str, str | int | bool], ...]) -> bytes:
    text = "".join(card(keyword, value) for keyword, value in cards) + "END"
    return text.ljust(-(-len(text) // _BLOCK) * _BLOCK).encode("ascii")
