"""MOCs that somebody sends: as mocpy writes and reads them, and broken ones, each refused by a sentence."""

from __future__ import annotations

import io
import json

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import Latitude, Longitude
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from mocpy import MOC

from uws_server.errors import BadRequest
from uws_server.services.moc_files import MAX_BYTES, is_moc, read_moc

SHAPES = [
    "2/67 70 73 76 3/",
    "0/0-11", "3/5 7-9 4/81", "29/0 3458764513820540927", "12/5 14/3 29/77-99", "6/0 1 2 7/16",
]  # fmt: skip


def written(moc: MOC, form: str) -> bytes:
    if form == "json":
        return json.dumps(moc.serialize("json")).encode()
    if form == "ascii":
        return str(moc.serialize("str")).encode()
    file = io.BytesIO()
    moc.serialize("fits").writeto(file)
    return file.getvalue()


def table(values: list[int], **cards: object) -> bytes:
    """A FITS file with one column of whole numbers and cards in its header."""
    hdu = fits.BinTableHDU.from_columns([fits.Column("C", "K", array=np.array(values, dtype=np.int64))])
    hdu.header.update(cards)
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(file)
    return file.getvalue()


def nuniq(moc: MOC) -> bytes:
    """A MOC as version 1.1 of the standard has it in FITS."""
    cells = [4 * 4 ** int(order) + cell for order, found in moc.serialize("json").items() for cell in found]
    return table(cells[::-1], ORDERING="NUNIQ", PIXTYPE="HEALPIX", COORDSYS="C", MOCORDER=moc.max_order)


@pytest.mark.parametrize("form", ["fits", "json", "ascii"])
@pytest.mark.parametrize("text", SHAPES)
def test_a_moc_is_read_as_mocpy_writes_it(text: str, form: str) -> None:
    moc = MOC.from_string(text)
    found = read_moc(written(moc, form))
    assert found == moc and found.max_order == moc.max_order
    assert read_moc(nuniq(moc)) == moc


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 359.99), st.floats(-90, 90), st.floats(0.01, 30), st.integers(3, 9))
def test_cones_are_read_in_every_format(lon: float, lat: float, radius: float, order: int) -> None:
    moc = MOC.from_cone(Longitude(lon * u.deg), Latitude(lat * u.deg), radius=radius * u.deg, max_depth=order)
    assert read_moc(nuniq(moc)) == moc
    for form in ("fits", "json", "ascii"):
        assert read_moc(written(moc, form)) == moc


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no cells"),
        (b"{}", "no cells"),
        (b"3/", "no cells"),
        (b"30/1", "order 30 came; 0 to 29 are allowed"),
        (b"0/12", "order 0 has no cell 12: its cells are 0 to 11"),
        (b"3/9-7", "order 3 has no cell 9"),
        (b"3/5 x", "'x' is not as in"),
        (b"5 6", "'5 6' is not as in"),
        (b'{"3": [768]}', "order 3 has no cell 768"),
        (b'{"3": [-1]}', "order 3 has no cell"),
        (b'{"3": ["5"]}', "5 is no cell of order 3"),
        (b'{"deep": [5]}', "'deep' is no order"),
        (b'{"3": [5', "it is no JSON"),
        (b"\x00\xff", "neither FITS nor text"),
        (table([3], ORDERING="NUNIQ"), "3 is no NUNIQ number of a cell: the least is 4"),
        (table([-7, 5], ORDERING="NUNIQ"), "-7 is no NUNIQ number"),
        (table([4**31], ORDERING="NUNIQ"), f"{4**31} is no NUNIQ number of a cell of order 0 to 29"),
        (table([2**63 - 1], ORDERING="NUNIQ"), "is no NUNIQ number"),
        (table([5, 3], ORDERING="RANGE"), "5 to 3 is no range"),
        (table([5], ORDERING="RANGE"), "a range has no end"),
        (table([0, 12 * 4**29 + 1], ORDERING="RANGE"), "is no range of cells of order 29"),
        (table([5, 6], ORDERING="RANGE", MOCDIM="TIME"), "MOCDIM is TIME"),
        (table([5, 6], ORDERING="RANGE", COORDSYS="G"), "COORDSYS is G"),
        (table([5, 6], ORDERING="RANGE", MOCORD_S=99), "its order is 99"),
        (table([5, 6]), "its ORDERING is ''"),
        (nuniq(MOC.from_string("3/5"))[:3000], "cannot be read, or is not whole"),
        (b" " * (MAX_BYTES + 1), "degrade it to a lower order"),
    ],
)
def test_what_is_no_moc_is_refused_with_its_reason(content: bytes, words: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read_moc(content)
    assert words in str(refused.value) and str(refused.value).startswith("REGION: ")


def test_regions_are_told_from_mocs() -> None:
    for text in ("3/5", " 12/5 14/3 29/77-99\n", '{"3": [5]}', "3/5,7"):
        assert is_moc(text)
    for text in (
        "Circle ICRS 3 5 1",
        "3 5 0.1",
        "icrs; circle(3, 5, 1)",
        '{"shape": "circle"}',
        "[1]",
        "3:5:7 +4:5:6 1",
    ):
        assert not is_moc(text)
