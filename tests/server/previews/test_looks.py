"""Pictures of the sky by other scales and colours, cut to what is there, and as numbers for the pointer to read."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from uws_server.previews.cache import Previews
from uws_server.previews.look import COLOURS, SCALES, Look
from uws_server.previews.preview import ResultFile
from uws_server.previews.raster import Raster, palette

SVG = "{http://www.w3.org/2000/svg}"


def chunks(png: bytes) -> dict[bytes, bytes]:
    """The parts of a PNG by their kind."""
    found: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        found[png[at + 4 : at + 8]] = png[at + 8 : at + 8 + length]
        at += 12 + length
    return found


def pixels(png: bytes) -> np.ndarray:
    """The numbers of colours of an indexed PNG, the first row at the bottom."""
    parts = chunks(png)
    width, height = (int.from_bytes(parts[b"IHDR"][at : at + 4], "big") for at in (0, 4))
    return np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, width + 1)[::-1, 1:]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image near the pole with a lit part off its middle, and no number around it."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [3.0, 85.0]
    wcs.wcs.crpix, wcs.wcs.cdelt, wcs.wcs.radesys = [100.0, 120.0], [-0.002, 0.002], "FK5"
    values = np.full((300, 300), np.nan, dtype=np.float32)
    values[120:220, 40:160] = np.arange(12000).reshape(100, 120)
    fits.PrimaryHDU(values, wcs.to_header()).writeto(tmp_path / "a.fits")
    return tmp_path / "a.fits"


@pytest.mark.parametrize(("scale", "share"), [("linear", lambda v: v / 50), ("sqrt", lambda v: np.sqrt(v / 50)),
                                              ("log", lambda v: np.log1p(v) / np.log1p(50)),
                                              ("asinh", lambda v: np.arcsinh(3 * v) / np.arcsinh(150))])  # fmt: skip
def test_a_scale_is_what_it_is_called(scale: str, share: object) -> None:
    values = np.array([[0.0, 1.0, 1.0], [1.0, 2.0, 50.0]])
    raster = Raster(values, Look(scale))
    assert callable(share)
    assert pixels(raster.png()) == pytest.approx(np.round(255 * share(values)))
    ticks = raster.stretch.ticks()
    assert ticks[0] == 0
    assert ticks == sorted(ticks)


@pytest.mark.parametrize("scale", SCALES)
def test_the_limits_have_the_colours_of_the_ends(scale: str) -> None:
    values = np.array([[-9.0, -2.0, np.nan], [3.0, 8.0, 1000.0]])
    drawn = pixels(Raster(np.nan_to_num(values, nan=-9.0), Look(scale, low=-2.0, high=8.0)).png())
    assert drawn[0].tolist() == [0, 0, 0]
    assert 0 < drawn[1, 0] < 255
    assert drawn[1, 1:].tolist() == [255, 255]
    ticks = Raster(values, Look(scale, low=-2.0, high=8.0)).stretch.ticks()
    assert (min(ticks), max(ticks)) == (-2.0, 8.0)


@pytest.mark.parametrize("look", [Look("log", high=-5.0), Look("sqrt", low=2000.0), Look("asinh", low=5.0, high=5.1)])
def test_limits_that_hold_no_value_give_one_colour_or_two(look: Look) -> None:
    values = np.array([[-9.0, -2.0], [3.0, 1000.0]])
    assert set(pixels(Raster(values, look).png()).ravel().tolist()) <= {0, 255}


def test_colours_run_from_dark_to_light_or_back() -> None:
    for colours in COLOURS:
        lightness = np.frombuffer(palette(Look(colours=colours)), np.uint8).reshape(256, 3).mean(axis=1)
        rising = np.diff(lightness) >= -0.5
        assert rising.all() if colours != "paper" else not rising[1:].any()


@pytest.mark.parametrize("colours", COLOURS)
def test_inverted_colours_run_the_other_way(colours: str) -> None:
    rgb = np.frombuffer(palette(Look(colours=colours)), np.uint8).reshape(256, 3)
    other = np.frombuffer(palette(Look(colours=colours, inverted=True)), np.uint8).reshape(256, 3)
    np.testing.assert_array_equal(rgb, other[::-1])
    assert Look(colours=colours).is_light == (rgb[0].mean() > 127)
    assert Look(colours=colours, inverted=True).is_light == (other[0].mean() > 127)


def test_a_percentage_leaves_out_as_many_values_below_as_above() -> None:
    values = np.random.default_rng(7).normal(10, 3, 10_001)
    stretch = Raster(values[None], Look("linear", percent=98)).stretch
    assert (values < stretch.lowest).sum() == (values > stretch.highest).sum() == 100
    whole = Raster(values[None], Look("linear", percent=100)).stretch
    assert (whole.lowest, whole.highest) == (values.min(), values.max())
    assert Raster(values[None], Look("linear", percent=98, high=12.5)).stretch.highest == 12.5


def test_a_percentage_of_an_image_that_is_nearly_empty_keeps_its_highest_value() -> None:
    values = np.zeros((100, 100))
    values[3, 4] = 7.0
    assert Raster(values, Look("linear", percent=99)).stretch.highest == 7.0


def test_where_there_is_no_number_nothing_is_painted() -> None:
    values = np.array([[np.nan, 0.0], [10.0, 5.0]])
    png = Raster(values, Look("linear")).png()
    assert pixels(png).tolist() == [[255, 0], [254, 127]]
    assert chunks(png)[b"tRNS"] == b"\xff" * 255 + b"\0"
    assert b"tRNS" not in chunks(Raster(np.nan_to_num(values)).png())


def test_an_unknown_look_is_refused() -> None:
    assert Look.read({}) == Look("log", "heat") == Look.read({"scale": "", "colours": "", "low": " ", "high": ""})
    assert Look.read({"scale": "asinh", "low": "-1e-3", "high": " 5"}) == Look("asinh", "heat", -0.001, 5.0)
    for asked, sentence in (
        ({"scale": "cubic"}, "scale: 'cubic' came; log, asinh, sqrt, linear are allowed"),
        ({"colours": "pink"}, "colours: 'pink' came; heat, cool, green, grey, paper are allowed"),
        ({"low": "many"}, "low: 'many' came; a number such as 0.5 or 2e-3 is allowed"),
        ({"high": "nan"}, "high: 'nan' came; a number such as 0.5 or 2e-3 is allowed"),
        ({"percent": "5"}, "percent: 5 came; 10 to 100 are allowed"),
        ({"inverted": "yes"}, "inverted: 'yes' came; 1, or nothing, is allowed"),
        ({"low": "5", "high": "5"}, "low: 5 came; a number below high (5) is allowed"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
            Look.read(asked)


def test_the_numbers_for_the_pointer_are_those_of_the_image(image: Path) -> None:
    sky = json.loads(Previews().plot_data(ResultFile("a", image, {})).data)
    shown = np.frombuffer(base64.b64decode(sky["values"]), "<f4").reshape(sky["rows"], sky["columns"])
    data = fits.getdata(image)
    first = [round(low + 0.5) for low in sky["low"]]
    assert sky["step"] == [1.0, 1.0]
    np.testing.assert_array_equal(shown, data[first[1] : first[1] + sky["rows"], first[0] : first[0] + sky["columns"]])
    assert np.nansum(shown) == np.nansum(data), "what is cut off holds nothing"
    assert sky["rows"] < 110
    assert sky["columns"] < 130
    assert sky["sky"]["names"] == ["Right ascension", "Declination"]
    assert sky["sky"]["system"] == "FK5"
    share = np.linspace(0, 1, sky["sky"]["nodes"])
    x, y = np.meshgrid(sky["low"][0] + share * sky["columns"], sky["low"][1] + share * sky["rows"])
    expected = WCS(fits.getheader(image)).wcs_pix2world(np.stack((x.ravel(), y.ravel()), axis=1), 0)
    np.testing.assert_allclose(np.stack((sky["sky"]["lon"], sky["sky"]["lat"]), axis=1), expected, atol=1e-8)


def test_the_drawing_is_the_one_that_the_numbers_speak_of(image: Path) -> None:
    previews, file = Previews(), ResultFile("a", image, {})
    sky = json.loads(previews.plot_data(file).data)
    picture = ElementTree.fromstring(previews.plot_picture(file, Look("sqrt", "paper")).data)
    assert [int(picture.get(name) or 0) for name in ("width", "height")] == sky["drawing"]
    found = picture.find(f"{SVG}image")
    assert found is not None
    assert [float(found.get(name) or 0) for name in ("x", "y", "width", "height")] == pytest.approx(
        sky["box"], abs=0.06
    )
    png = base64.b64decode((found.get("href") or "").partition("base64,")[2])
    assert chunks(png)[b"PLTE"][:3] == b"\xff\xff\xff"
    texts = [text.text for text in picture.findall(f"{SVG}text")]
    assert "N" in texts
    assert "E" in texts


def test_each_look_is_a_picture_of_its_own(image: Path) -> None:
    previews, file = Previews(), ResultFile("a", image, {})
    drawn = {previews.plot_picture(file, Look(scale, colours)).data for scale in SCALES for colours in COLOURS}
    assert len(drawn) == len(SCALES) * len(COLOURS)
    assert previews.plot_picture(file).data in drawn


def test_a_large_image_is_the_mean_of_its_numbers(tmp_path: Path) -> None:
    values = np.full((800, 800), np.nan, dtype=np.float32)
    values[::2, :] = 3.0
    fits.PrimaryHDU(values).writeto(tmp_path / "a.fits")
    sky = json.loads(Previews().plot_data(ResultFile("a", tmp_path / "a.fits", {})).data)
    assert sky["step"] == [2.0, 2.0]
    assert set(np.frombuffer(base64.b64decode(sky["values"]), "<f4").tolist()) == {3.0}
    assert sky["sky"] is None


def test_a_png_is_a_picture(tmp_path: Path) -> None:
    (tmp_path / "rgb.png").write_bytes(Raster(np.eye(4)).png())
    assert Previews().look(ResultFile("a", tmp_path / "rgb.png", {})).kind == "picture"


def test_a_plane_that_is_not_the_sky_has_the_axes_of_its_header(tmp_path: Path) -> None:
    header = fits.Header()
    for axis, name in ((1, "DETX"), (2, "DETY")):
        header[f"CTYPE{axis}"], header[f"CRPIX{axis}"], header[f"CRVAL{axis}"], header[f"CDELT{axis}"] = (
            name,
            1,
            -980,
            20,
        )
    fits.PrimaryHDU(np.ones((100, 100)), header).writeto(tmp_path / "a.fits")
    previews, file = Previews(), ResultFile("a", tmp_path / "a.fits", {})
    assert json.loads(previews.plot_data(file).data)["named"] == [["DETX", -980.0, 20.0], ["DETY", -980.0, 20.0]]
    texts = {text.text for text in ElementTree.fromstring(previews.plot_picture(file).data).findall(f"{SVG}text")}
    assert {"DETX", "DETY", "\u2212500", "0", "500"} <= texts
