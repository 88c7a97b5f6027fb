"""Cutouts of FITS images: each pixel where it was on the sky, other HDUs as they were, odd files refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from reduction import regions
from reduction.errors import ReductionError
from reduction.images.cutouts import cut_file

PLANE = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 20.0, "CRPIX1": 15.5, "CRPIX2": 10.5,
         "CDELT1": -0.01, "CDELT2": 0.01, "CUNIT1": "deg", "CUNIT2": "deg", "RADESYS": "ICRS"}  # fmt: skip
PHYSICAL = {"CTYPE1P": "X", "CTYPE2P": "Y", "CRPIX1P": 1.0, "CRPIX2P": 1.0, "CRVAL1P": 100.0, "CRVAL2P": 200.0,
            "LTV1": 0.0, "LTV2": 0.0}  # fmt: skip
CIRCLE = "icrs; circle(10, 20, 0.028)"


def image(kind: type = fits.PrimaryHDU, **more: object) -> fits.PrimaryHDU | fits.ImageHDU:
    made = kind(np.arange(600, dtype="i4").reshape(20, 30))
    made.header.update({**PLANE, **PHYSICAL, **more})
    return made


def cut(folder: Path, hdus: list[object], region: str = CIRCLE) -> fits.HDUList:
    fits.HDUList(hdus).writeto(folder / "whole.fits", checksum=True)
    cut_file(folder / "whole.fits", folder / "part.fits", regions.parse(region, parameter="region"))
    return fits.open(folder / "part.fits")


def test_pixels_stay_where_they_were_in_every_coordinate(tmp_path: Path) -> None:
    table = fits.BinTableHDU.from_columns([fits.Column("TIME", "D", array=np.arange(3.0))], name="STDGTI")
    small = image(fits.ImageHDU, EXTNAME="MAP")
    with cut(tmp_path, [image(), table, small]) as part:
        assert [hdu.name for hdu in part] == ["PRIMARY", "STDGTI", "MAP"]
        assert np.array_equal(part["STDGTI"].data["TIME"], np.arange(3.0))
        for hdu in (part[0], part["MAP"]):
            height, width = hdu.data.shape
            assert (width, height) == (6, 6)  # of 0.01 deg: the circle touches 5.6 of them
            x, y = np.meshgrid(range(width), range(height))
            whole = WCS(image().header).world_to_pixel(WCS(hdu.header).pixel_to_world(x, y))
            assert np.array_equal(
                hdu.data, image().data[np.round(whole[1]).astype(int), np.round(whole[0]).astype(int)]
            )
            physical = WCS(hdu.header, key="P").all_pix2world(1, 1, 1)
            assert [float(each) for each in physical] == [100 + whole[0][0, 0].round(), 200 + whole[1][0, 0].round()]
            assert hdu.header["LTV1"] == -whole[0][0, 0].round()
            assert "CHECKSUM" not in hdu.header and "DATASUM" not in hdu.header


def test_a_region_beyond_the_border_is_cut_there(tmp_path: Path) -> None:
    with cut(tmp_path, [image()], "icrs; circle(10.15, 20, 0.05)") as part:
        assert part[0].data.shape[1] < 10 and part[0].header["CRPIX1"] == PLANE["CRPIX1"]


def test_a_compressed_image_is_cut(tmp_path: Path) -> None:
    packed = fits.CompImageHDU(image().data, image().header)
    with cut(tmp_path, [fits.PrimaryHDU(), packed]) as part:
        assert part[1].data.shape == (6, 6)


@pytest.mark.parametrize(
    ("hdus", "region", "sentence"),
    [
        ([fits.PrimaryHDU()], CIRCLE, "no image of the sky is in the file"),
        ([fits.PrimaryHDU(np.zeros((4, 4)))], CIRCLE, "no image of the sky is in the file"),
        ([fits.PrimaryHDU(np.zeros((2, 4, 4)))], CIRCLE, "no image of the sky is in the file"),
        ([image()], "icrs; circle(11, 20, 0.03)", "no pixel of the image is in it"),
        ([image()], "circle(10, 10, 5)", "physical"),
    ],
)
def test_what_cannot_be_cut_is_told(tmp_path: Path, hdus: list[object], region: str, sentence: str) -> None:
    with pytest.raises(ReductionError) as refused:
        cut(tmp_path, hdus, region)
    assert sentence in str(refused.value)
    assert not (tmp_path / "part.fits").exists()
