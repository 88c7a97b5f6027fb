"""An image as an array for the browser, and regions as numbers: values, projections, and what cannot be shown."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from uws_server.previews import regionshapes
from uws_server.previews.cache import Previews
from uws_server.previews.preview import ArrayFile, ResultFile


def tan_header(ctype: str = "RA---TAN", radesys: str = "FK5", turned: float = 30.0) -> fits.Header:
    wcs = WCS(naxis=2)
    other = ctype.replace("RA--", "DEC-").replace("GLON", "GLAT")
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = [ctype, other], [149.0, 69.7], [50.5, 40.25]
    cosine, sine = np.cos(np.radians(turned)), np.sin(np.radians(turned))
    wcs.wcs.cd = np.array([[-cosine, sine], [sine, cosine]]) * 4 / 3600
    header = wcs.to_header()
    if ctype.startswith("RA"):
        header["RADESYS"] = radesys
        if radesys != "ICRS":
            header["EQUINOX"] = 2000.0 if radesys == "FK5" else 1950.0
    return header


def written(path: Path, values: np.ndarray | None, header: fits.Header | None = None) -> ResultFile:
    fits.PrimaryHDU(values, header).writeto(path)
    return ResultFile(path.name, path, {})


def numbers(found: ArrayFile) -> tuple[dict, np.ndarray]:
    about = json.loads(found.about)
    kind = {"uint16": "<u2", "float32": "<f4"}[about["kind"]]
    return about, np.frombuffer(gzip.decompress(found.values), kind).reshape(about["rows"], about["columns"])


def test_counts_are_sent_as_whole_numbers_and_others_as_floats(tmp_path: Path) -> None:
    counts = np.random.default_rng(1).poisson(3.0, (30, 40)).astype(np.float32)
    counts[4, 5] = np.nan
    about, values = numbers(Previews().array(written(tmp_path / "counts.fits", counts)))
    assert (about["kind"], about["low"], about["step"]) == ("uint16", [-0.5, -0.5], [1.0, 1.0])
    np.testing.assert_array_equal(np.where(values == about["none"], np.nan, values), counts)
    about, values = numbers(Previews().array(written(tmp_path / "rates.fits", counts / 7 - 1)))
    assert about["kind"] == "float32"
    np.testing.assert_array_equal(values, (counts / 7 - 1).astype(np.float32))


def test_a_large_image_is_averaged_in_blocks(tmp_path: Path) -> None:
    image = np.random.default_rng(2).normal(size=(1201, 2500)).astype(np.float32)
    about, values = numbers(Previews().array(written(tmp_path / "large.fits", image)))
    assert values.shape == (400, 833)
    assert about["step"] == [3.0, 3.0]
    expected = image[:1200, :2499].astype(float).reshape(400, 3, 833, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(values, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.full((4, 5), np.nan), "No pixel of the image has a value."),
        (np.zeros((4, 5)), "Every pixel has the same value, 0."),
    ],
)
def test_an_image_without_anything_to_see_says_so(tmp_path: Path, values: np.ndarray, sentence: str) -> None:
    about, _ = numbers(Previews().array(written(tmp_path / "void.fits", values.astype(np.float32))))
    assert sentence in about["notes"]


def test_what_is_no_image_of_two_axes_is_told(tmp_path: Path) -> None:
    cube = written(tmp_path / "cube.fits", np.zeros((3, 4, 5), np.float32))
    assert Previews().array(cube).reason == "the image has 3 axes; one of two axes is shown"
    assert Previews().array(written(tmp_path / "none.fits", None)).reason == "the file has no image and no events"
    header = fits.Header([("SIMPLE", True), ("BITPIX", -32), ("NAXIS", 2), ("NAXIS1", 0), ("NAXIS2", 7)])
    (tmp_path / "empty.fits").write_bytes(header.tostring().encode())
    empty = ResultFile("empty", tmp_path / "empty.fits", {})
    assert Previews().array(empty).reason == "the image has no pixels"


def test_an_image_of_400_million_pixels_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.fits"
    header = fits.Header([("SIMPLE", True), ("BITPIX", -32), ("NAXIS", 2), ("NAXIS1", 20_000), ("NAXIS2", 20_000)])
    with path.open("wb") as stream:
        stream.write(header.tostring().encode())
        stream.truncate(2880 + -(-1_600_000_000 // 2880) * 2880)
    reason = Previews().array(ResultFile("huge", path, {})).reason
    assert reason == "20000 × 20000 pixels are too many for a picture made while you wait"


@pytest.mark.parametrize(("ctype", "radesys"), [("RA---TAN", "ICRS"), ("RA---TAN", "FK5"), ("GLON-TAN", "")])
def test_coordinates_are_turned_to_icrs_as_astropy_does(tmp_path: Path, ctype: str, radesys: str) -> None:
    header = tan_header(ctype, radesys)
    about, _ = numbers(Previews().array(written(tmp_path / "image.fits", np.eye(80, dtype=np.float32), header)))
    there = WCS(header).pixel_to_world(*np.random.default_rng(3).uniform(0, 80, (2, 50)))
    turned = np.array(about["projection"]["icrs"]) @ there.cartesian.xyz.value
    np.testing.assert_allclose(turned, there.icrs.cartesian.xyz.value, atol=1e-11)
    assert about["notes"] == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"}, "(RA---SIN) is not the plain tangential one (TAN)"),
        ({"RADESYS": "FK4", "EQUINOX": 1950.0}, "(FK4) are not those of ICRS turned"),
        ({"CTYPE1": "DETX", "CTYPE2": "DETY", "CUNIT1": "mm", "CUNIT2": "mm"}, "gives it no place on the sky"),
    ],
)
def test_a_projection_that_regions_cannot_be_drawn_on_is_told(
    tmp_path: Path, change: dict[str, str], sentence: str
) -> None:
    header = tan_header()
    header.update(change)
    about, _ = numbers(Previews().array(written(tmp_path / "image.fits", np.eye(80, dtype=np.float32), header)))
    assert about["projection"] is None
    assert sentence in about["notes"][0]
    assert (about["sky"] is None) == ("no place" in sentence)


def test_shapes_are_told_in_icrs() -> None:
    text = "fk5; circle(149, 69.7, 40\"); -box(149, 69.7, 1', 2', 30); galactic; ellipse(142.1, 41.1, 0.01, 0.005, 0)"
    circle, ellipse, box = regionshapes.read(text, "source")["source"].shapes()
    fk5 = SkyCoord(149 * u.deg, 69.7 * u.deg, frame="fk5").icrs
    assert circle["centre"] == pytest.approx([fk5.ra.deg, fk5.dec.deg], abs=1e-9)
    assert circle["radius"] == {"value": 40.0, "unit": "arcsec"}
    assert ("exclude" in circle, box["exclude"]) == (False, True)
    galactic = SkyCoord(142.1 * u.deg, 41.1 * u.deg, frame="galactic")
    pole = SkyCoord(142.1 * u.deg, 41.2 * u.deg, frame="galactic").icrs  # north of it in its own frame
    angle = ellipse["angle"]["value"] if isinstance(ellipse["angle"], dict) else ellipse["angle"]
    unit = ellipse["angle"]["unit"] if isinstance(ellipse["angle"], dict) else "deg"
    assert (angle * u.Unit(unit)).to_value("deg") % 360 == pytest.approx(
        galactic.icrs.position_angle(pole).deg % 360, abs=0.05
    )


def test_a_text_that_holds_both_regions_gives_both() -> None:
    text = 'icrs\ncircle(149, 69.7, 40")\nannulus(149, 69.7, 60", 90") # background\n'
    found = regionshapes.read(text, "source")
    assert [shape["shape"] for shape in found["source"].shapes()] == ["circle"]
    assert found["background"].shapes()[0]["outer"] == {"value": 90.0, "unit": "arcsec"}


def test_a_text_that_is_no_region_has_a_sentence() -> None:
    assert "circl" in regionshapes.read("icrs; circl(1, 2, 3)", "source")["source"].problem
    assert "physical X,Y" in regionshapes.read("physical; circle(1, 2, 3)", "background")["background"].problem
