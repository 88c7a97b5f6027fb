"""The picture of an image in the browser: what lies under the pointer, other looks, a part of it, its downloads."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from playwright.sync_api import expect

from serving import Served
from uwsjobs import ENDED, reached

CENTRE = (148.96, 69.68)
ENDS = ("x_low", "x_high", "y_low", "y_high")


@pytest.fixture(scope="module")
def imaged(observed: Served) -> str:
    """The address of a job that made an image of the sky."""
    asked = {"eventlist": "acis_10027_events", "bands": "0.5 8", "size": "3", "centre": f"{CENTRE[0]} {CENTRE[1]}",
             "region": f'icrs; circle({CENTRE[0]}, {CENTRE[1]}, 60")', "smoothing": "none", "PHASE": "RUN"}  # fmt: skip
    job = requests.post(f"{observed.url}/rest/image", data=asked, timeout=300).url
    assert reached(job, *ENDED) == "COMPLETED"
    return job


@pytest.fixture
def image(imaged: str, tmp_path: Path) -> Path:
    """The image that it made."""
    (tmp_path / "image.fits").write_bytes(requests.get(f"{imaged}/results/images", timeout=300).content)
    return tmp_path / "image.fits"


def wcs_of(path: Path) -> WCS:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return WCS(fits.getheader(path), naxis=2)


def shown(page: Any, imaged: str) -> Any:
    """The figure of the image on the page of its job, when its picture is there."""
    url, _, _ = imaged.partition("/rest/")
    page.goto(f"{url}/jobs/{imaged.rsplit('/', 1)[1]}")
    figure = page.locator("figure[data-shown=sky]").first
    figure.locator(".pane").scroll_into_view_if_needed()
    drawn(page, figure, "")
    return figure


def drawn(page: Any, figure: Any, ending: str) -> None:
    """Waits until the picture of an address with an ending is there."""
    page.wait_for_function(
        "([image, end]) => image.src.endsWith(end) && image.complete && image.naturalWidth > 0",
        arg=[figure.locator("img").element_handle(), ending],
    )


def test_an_image_is_read_under_the_pointer(new_page: Any, imaged: str, image: Path) -> None:
    page = new_page()
    figure = shown(page, imaged)
    found = read(page, figure.locator(".pane"), figure.locator(".reading"), 0.45, 0.42)
    x, y = (float(number) for number in re.findall(r"pixel ([-\d.]+), ([-\d.]+)", found)[0])
    ra, dec = (float(number) for number in re.findall(r"\(([\d.]+), ([-+\d.]+)\)", found)[0])
    there = SkyCoord(*wcs_of(image).wcs_pix2world([[x, y]], 1)[0], unit="deg")
    assert SkyCoord(ra, dec, unit="deg").separation(there).arcsec < 0.05 * 4 * 1.5, "pixels are told to a tenth"
    words = found.split(" ICRS")[0].split()
    assert SkyCoord(words[0], words[1], unit=("hourangle", "deg")).separation(there).arcsec < 0.3
    value = float(re.findall(r"count: ([\d.]+)", found)[0])
    assert value == fits.getdata(image)[int(np.floor(y - 0.5)), int(np.floor(x - 0.5))]


def test_the_keyboard_reads_zooms_and_shows_all(new_page: Any, imaged: str) -> None:
    page = new_page()
    figure = shown(page, imaged)
    pane, reading = figure.locator(".pane"), figure.locator(".reading")
    pane.focus()
    page.keyboard.press("ArrowRight")
    expect(reading).to_contain_text("pixel")
    first = reading.text_content()
    page.keyboard.press("Shift+ArrowUp")
    expect(reading).not_to_have_text(first)
    expect(reading).to_have_attribute("aria-live", "polite")
    page.keyboard.press("+")
    expect(figure.locator("img")).to_have_attribute("src", re.compile("x_low=.*y_high="))
    low, high = (float(figure.locator(f"input[name={name}]").input_value()) for name in ("x_low", "x_high"))
    page.keyboard.press("-")
    expect(figure.locator("input[name=x_low]")).not_to_have_value(f"{low:g}")
    wide = [float(figure.locator(f"input[name={name}]").input_value()) for name in ("x_low", "x_high")]
    assert wide[1] - wide[0] == pytest.approx(2 * (high - low), rel=0.1)
    page.keyboard.press("0")
    expect(figure.locator("img")).to_have_attribute("src", re.compile("svg.scale=log&colours=heat$"))


def test_a_part_of_an_image_is_downloaded_as_it_is_shown(
    new_page: Any, imaged: str, image: Path, tmp_path: Path
) -> None:
    page = new_page()
    figure = shown(page, imaged)
    figure.locator("select[name=scale]").select_option("linear")
    figure.locator("select[name=colours]").select_option("paper")
    drawn(page, figure, "scale=linear&colours=paper")
    box = figure.locator(".pane").bounding_box()
    figure.locator(".pane").hover()
    page.wait_for_function("line => line.textContent.includes('pixel')",
                           arg=figure.locator(".reading").element_handle())  # fmt: skip
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.35 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.45 * box["height"], steps=4)
    page.mouse.up()
    expect(figure.locator("img")).to_have_attribute("src", re.compile("scale=linear&colours=paper&x_low="))
    ends = [float(figure.locator(f"input[name={name}]").input_value()) for name in ENDS]
    for suffix in ("svg", "csv", "png"):
        with page.expect_download() as download:
            figure.get_by_role("link", name=suffix.upper(), exact=True).click()
        assert download.value.suggested_filename == f"image_0.5-8keV.{suffix}"
        download.value.save_as(tmp_path / f"saved.{suffix}")
    assert (tmp_path / "saved.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "saved.svg").read_text()
    cells = np.genfromtxt(tmp_path / "saved.csv", delimiter=",", names=True)
    first, last = (np.array([cells["x"], cells["y"]]).T[at] for at in (0, -1))
    assert ends[0] - 1 <= first[0] <= ends[0] + 1 and ends[3] - 1 <= last[1] <= ends[3] + 1
    values = fits.getdata(image)
    np.testing.assert_array_equal(cells["value"], values[cells["y"].astype(int) - 1, cells["x"].astype(int) - 1])
    expected = wcs_of(image).wcs_pix2world(np.array([cells["x"], cells["y"]]).T, 1)
    np.testing.assert_allclose(np.array([cells["ra_deg"], cells["dec_deg"]]).T, expected, atol=1e-7)


def test_a_limit_that_cannot_be_is_told(new_page: Any, imaged: str) -> None:
    page = new_page()
    page.expected.append("400")
    figure = shown(page, imaged)
    figure.get_by_text("Limits").click()
    figure.get_by_label("Value of the first colour").fill("many")
    figure.get_by_label("Value of the first colour").press("Enter")
    expect(figure.locator(".reading")).to_contain_text("a limit is a number")


@pytest.mark.parametrize(
    ("lon", "lat", "turned"), [(148.96, 69.68, 0.0), (0.001, -0.5, 33.0), (359.9, 89.95, 201.0), (12.0, -90.0, 77.0)]
)
def test_places_of_a_tangential_projection_are_those_of_astropy(
    new_page: Any, imaged: str, lon: float, lat: float, turned: float
) -> None:
    page = new_page()
    shown(page, imaged)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [lon, lat], [324.5, 320.25]
    cosine, sine = np.cos(np.radians(turned)), np.sin(np.radians(turned))
    wcs.wcs.cd = np.array([[-cosine, sine], [sine, cosine]]) * 4 / 3600
    pixels = np.random.default_rng(4).uniform(0, 648, (60, 2))
    header = {"pixel": [323.5, 319.25], "matrix": wcs.wcs.cd.tolist(), "value": [lon, lat]}
    found = page.evaluate(
        """async ([header, pixels]) => {
          const address = document.getElementById("script").src.replace("job.js", "skyplace.js");
          const { tangential } = await import(address);
          return pixels.map((pixel) => { const { lon, lat } = tangential(header, pixel); return [lon, lat]; });
        }""",
        [header, pixels.tolist()],
    )
    theirs = SkyCoord(wcs.wcs_pix2world(pixels, 0), unit="deg")
    assert SkyCoord(np.array(found), unit="deg").separation(theirs).arcsec.max() < 1e-6


def test_the_projection_that_the_page_is_told_is_that_of_the_image(imaged: str, image: Path) -> None:
    url, _, job = imaged.partition("/rest/image/")
    told = requests.get(f"{url}/jobs/{job}/preview/images.json", timeout=300).json()["sky"]["tan"]
    wcs = wcs_of(image)
    assert told["pixel"] == pytest.approx(wcs.wcs.crpix - 1)
    assert told["value"] == pytest.approx(wcs.wcs.crval)
    assert np.array(told["matrix"]) == pytest.approx(wcs.pixel_scale_matrix)


def read(page: Any, picture: Any, reading: Any, across: float, down: float) -> str:
    """What is told of a place of the picture, in parts of its width and height."""
    box = picture.bounding_box()
    page.mouse.move(box["x"] + across * box["width"] - 3, box["y"] + down * box["height"])
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
    page.wait_for_function("line => line.textContent.trim().length > 9", arg=reading.element_handle())
    return str(reading.text_content())


def test_a_look_that_is_not_known_is_refused(observed: Served) -> None:
    asked = {"eventlist": "acis_10027_events", "size": "1", "smoothing": "none", "PHASE": "RUN"}
    job = requests.post(f"{observed.url}/rest/image", data=asked, timeout=300).url
    assert reached(job, *ENDED) == "COMPLETED"
    address = f"{observed.url}/jobs/{job.rsplit('/', 1)[1]}/preview/images.svg"
    assert requests.get(address, params={"scale": "linear"}, timeout=300).status_code == 200
    refused = requests.get(address, params={"scale": "cubic"}, timeout=300)
    assert refused.status_code == 400
    assert "log, asinh, sqrt, linear are allowed" in refused.text
