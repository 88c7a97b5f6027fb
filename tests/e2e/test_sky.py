"""The picture of an image in the browser: its regions, what lies under the pointer, other looks, the PNG of it."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import requests
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from serving import Served
from uwsjobs import ENDED, reached

CENTRE = (148.96, 69.68)


def test_an_image_is_read_under_the_pointer(new_page: Any, observed: Served, tmp_path: Path) -> None:
    asked = {"eventlist": "acis_10027_events", "bands": "0.5 8", "size": "3", "centre": f"{CENTRE[0]} {CENTRE[1]}",
             "region": f'icrs; circle({CENTRE[0]}, {CENTRE[1]}, 60")', "smoothing": "none", "PHASE": "RUN"}  # fmt: skip
    job = requests.post(f"{observed.url}/rest/image", data=asked, timeout=300).url
    assert reached(job, *ENDED) == "COMPLETED"
    (tmp_path / "image.fits").write_bytes(requests.get(f"{job}/results/images", timeout=300).content)
    page = new_page()
    page.goto(f"{observed.url}/jobs/{job.rsplit('/', 1)[1]}")
    figure = page.locator("figure[data-sky]").first
    picture, reading = figure.locator(".drawing img"), figure.locator(".place")
    picture.scroll_into_view_if_needed()
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=picture.element_handle())

    found = read(page, picture, reading, 0.45, 0.42)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wcs = WCS(fits.getheader(tmp_path / "image.fits"), naxis=2)
    x, y = (float(number) for number in re.findall(r"pixel ([-\d.]+), ([-\d.]+)", found)[0])
    ra, dec = (float(number) for number in re.findall(r"\(([\d.]+), ([-+\d.]+)\)", found)[0])
    there = SkyCoord(*wcs.wcs_pix2world([[x, y]], 0)[0], unit="deg")
    assert SkyCoord(ra, dec, unit="deg").separation(there).arcsec < 0.05 * 4 + 0.05, "pixels are told to a tenth"
    words = found.split(" ICRS")[0].split()
    assert SkyCoord(words[0], words[1], unit=("hourangle", "deg")).separation(there).arcsec < 0.3
    value = float(re.findall(r"count: ([\d.]+)", found)[0])
    assert value == fits.getdata(tmp_path / "image.fits")[int(np.floor(y + 0.5)), int(np.floor(x + 0.5))]

    figure.locator("select[name=scale]").select_option("linear")
    figure.locator("select[name=colours]").select_option("paper")
    page.wait_for_function(
        "image => image.src.endsWith('scale=linear&colours=paper') && image.complete && image.naturalWidth > 0",
        arg=picture.element_handle(),
    )
    with page.expect_download() as download:
        figure.get_by_role("button", name="Save as PNG").click()
    download.value.save_as(tmp_path / "saved.png")
    assert download.value.suggested_filename == "image_0.5-8keV.png"
    assert (tmp_path / "saved.png").read_bytes().startswith(b"\x89PNG")
    assert figure.get_by_role("button", name="Show it so").is_hidden()


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
    assert "log, sqrt, linear are allowed" in refused.text
