"""The page of an image: its coordinates against astropy, its colours against the server's, regions moved and used."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
import pytest
import requests
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from playwright.sync_api import expect

from browsing import AUDIT, NewPage
from reduction import regions
from serving import running_server
from uwsjobs import ENDED, reached

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SOURCE, BACKGROUND = 'icrs; circle(149.001, 69.701, 24")', 'icrs; annulus(149.001, 69.701, 40", 64")'


@dataclass(frozen=True)
class Copied:
    """A server whose test definition publishes the image that came, under the regions that came with it."""

    url: str

    def page(self, path: Path, source: str = "", background: str = "") -> str:
        """Return the address of the page of an image."""
        with path.open("rb") as stream:
            asked = {"source_region": source, "background_region": background, "PHASE": "RUN"}
            made = requests.post(f"{self.url}/rest/copied", files={"image": stream}, data=asked, timeout=300)
        assert reached(made.url, *ENDED) == "COMPLETED"
        return f"{self.url}/jobs/{made.url.rsplit('/', 1)[1]}/image/copy"


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copied]:
    folder = tmp_path_factory.mktemp("definitions")
    regions_of = [{"name": f"{role}_region", "type": "region"} for role in ("source", "background")]
    for name, parameters, script in (
        ("copied", [{"name": "image", "type": "file", "required": True}], 'cp "$image" copy.fits\n'),
        ("extract", [{"name": "events", "type": "eventlist"}], "true\n"),
    ):
        (folder / name).mkdir()
        results = [{"name": "copy", "file": "copy.fits", "mime": "application/fits"}] if name == "copied" else []
        document = {"name": name, "version": "1", "title": f"To {name}", "entry": {"type": "shell", "script": "run.sh"},
                    "parameters": parameters + regions_of, "results": results}  # fmt: skip
        (folder / name / "job.json").write_text(json.dumps(document))
        (folder / name / "run.sh").write_text(script)
    with running_server(tmp_path_factory.mktemp("data"), definitions=folder) as server:
        yield Copied(server.url)


def wcs_of(path: Path) -> WCS:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return WCS(fits.getheader(path), naxis=2)


def header_of(lon: float, lat: float, turned: float, ctype: str = "RA---TAN", radesys: str = "FK5") -> fits.Header:
    """The header of an image of 160 by 120 pixels of 4 arcsec, turned by an angle in degrees."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [ctype, ctype.replace("RA--", "DEC-").replace("GLON", "GLAT")]
    wcs.wcs.crval, wcs.wcs.crpix = [lon, lat], [80.5, 61.25]
    cosine, sine = np.cos(np.radians(turned)), np.sin(np.radians(turned))
    wcs.wcs.cd = np.array([[-cosine, sine], [sine, cosine]]) * 4 / 3600
    header = wcs.to_header()
    if ctype.startswith("RA"):
        header["RADESYS"] = radesys
    return header


def drawn(path: Path, header: fits.Header) -> Path:
    """An image of counts with a header."""
    values = np.random.default_rng(5).poisson(2.0, (120, 160)).astype(np.int32)
    fits.PrimaryHDU(values, header).writeto(path)
    return path


@pytest.fixture(scope="module")
def turned(copied: Copied, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The page of a turned image with the regions of its job, and the image."""
    path = drawn(tmp_path_factory.mktemp("image") / "turned.fits", header_of(149.0, 69.7, 33.0))
    return copied.page(path, SOURCE, BACKGROUND), path


def opened(new_page: NewPage, address: str, **options: Any) -> Any:
    """The page when its values are drawn."""
    page = new_page(**{"viewport": {"width": 1280, "height": 900}, **options})
    page.goto(address)
    expect(page.locator("#stage")).to_be_visible()
    return page


SHARED_IMAGES = (
    "xmm_coma8/PN_image.fits",
    "xmm_mosaics/P0004210201EPX000OIMAGE8000.fits",
    "xmm_mosaics/P0018140301EPX000OIMAGE8000.fits",
)
CONVERT = """async ([projection, pixels, places]) => {
  const { Tangent } = await import(document.getElementById("script").src.replace("imageview.js", "sky-projection.js"));
  const tangent = new Tangent(projection);
  return [pixels.map((pixel) => { const { lon, lat } = tangent.toSky(pixel); return [lon, lat]; }),
          places.map(([lon, lat]) => tangent.toPixel({ lon, lat }))];
}"""


def require_same_places(page: Any, address: str, path: Path) -> None:
    """Compare pixels and places of the page with those of astropy, from corner to corner."""
    wcs = wcs_of(path)
    projection = requests.get(f"{address}/about.json", timeout=300).json()["projection"]
    width, height = wcs.pixel_shape
    pixels = np.random.default_rng(6).uniform(0, 1, (80, 2)) * [width, height]
    theirs = wcs.pixel_to_world(*pixels.T).icrs
    places = np.array([theirs.ra.deg, theirs.dec.deg]).T
    found, back = page.evaluate(CONVERT, [projection, pixels.tolist(), places.tolist()])
    pixel_arcsec = 3600 * abs(np.linalg.det(wcs.pixel_scale_matrix)) ** 0.5
    assert SkyCoord(np.array(found), unit="deg").separation(theirs).arcsec.max() < 0.001 * pixel_arcsec
    assert np.abs(np.array(back) - pixels).max() < 0.001


def test_places_are_those_of_astropy(
    new_page: NewPage, copied: Copied, turned: tuple[str, Path], tmp_path: Path, shared: Path
) -> None:
    page = new_page()
    page.goto(turned[0])
    require_same_places(page, *turned)
    for number, header in enumerate(
        (header_of(0.01, 89.97, 201.0, radesys="ICRS"), header_of(359.99, 0.4, 90.0, "GLON-TAN"))
    ):
        path = drawn(tmp_path / f"{number}.fits", header)
        require_same_places(page, copied.page(path), path)
    for name in SHARED_IMAGES:
        require_same_places(page, copied.page(shared / "real" / name), shared / "real" / name)


def test_a_place_is_read_under_the_pointer(new_page: NewPage, turned: tuple[str, Path]) -> None:
    address, path = turned
    page = opened(new_page, address)
    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.3 * box["height"])
    expect(page.locator("#reading")).to_contain_text("pixel")
    words = str(page.locator("#reading").text_content())
    x, y = (float(number) for number in re.findall(r"pixel ([-\d.]+), ([-\d.]+)", words)[0])
    wcs = wcs_of(path)
    there = wcs.pixel_to_world(x - 1, y - 1).icrs
    ra, dec = (float(number) for number in re.findall(r"\(([\d.]+), ([-+\d.]+)\)", words)[0])
    assert SkyCoord(ra, dec, unit="deg").separation(there).arcsec < 0.3, "pixels are told to a tenth of 4 arcsec"
    told = words.split(" ICRS")[0].split()
    assert SkyCoord(told[0], told[1], unit=("hourangle", "deg")).separation(there).arcsec < 0.4
    value = float(re.findall(r"Value: ([\d.]+)", words)[0])
    assert value == fits.getdata(path)[round(y - 1), round(x - 1)]


COLOURS_OF = """async (address) => {
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  const canvas = document.createElement("canvas"), [wide, high] = [picture.naturalWidth, picture.naturalHeight];
  [canvas.width, canvas.height] = [wide, high];
  const theirs = canvas.getContext("2d"), ours = document.getElementById("picture").getContext("2d");
  theirs.drawImage(picture, 0, 0);
  const { width, height } = ours.canvas, zoom = Math.min(width / wide, height / high), pairs = [];
  for (let x = 3; x < wide; x += 7) {
    for (let y = 2; y < high; y += 5) {
      const at = [width / 2 + (x + 0.5 - wide / 2) * zoom, height / 2 + (y + 0.5 - high / 2) * zoom];
      pairs.push([theirs.getImageData(x, y, 1, 1), ours.getImageData(...at.map(Math.floor), 1, 1)]);
    }
  }
  return pairs.map((pair) => pair.map(({ data }) => [...data]));
}"""
"""The colours of some cells in the picture of an address, and in the canvas of the page, which shows all of it."""


@pytest.mark.parametrize(
    "look",
    [{"scale": "log"}, {"scale": "asinh", "colours": "green", "inverted": "1"}, {"scale": "sqrt", "percent": "90"},
     {"scale": "linear", "colours": "paper", "low": "1", "high": "4"}],
)  # fmt: skip
def test_colours_are_those_of_the_server(new_page: NewPage, turned: tuple[str, Path], look: dict[str, str]) -> None:
    address, _ = turned
    page = new_page()
    query = "&".join(f"{name}={value}" for name, value in look.items())
    page.goto(f"{address}?{query}")
    expect(page.locator("#bar-high")).not_to_be_empty()
    theirs = page.evaluate(COLOURS_OF, f"{address.replace('/image/', '/preview/')}.png?{query}")
    assert len(theirs) > 300
    assert len({tuple(server) for server, _ in theirs}) > 3
    assert np.abs(np.array([np.subtract(server, shown) for server, shown in theirs])).max() <= 3


def corners(page: Any, role: str) -> np.ndarray:
    """The corners of a region's line in pixels of the image, from 0, by what the page says of the view."""
    line = str(page.locator(f"#overlay .on-{role} path.line").first.get_attribute("d"))
    points = np.array(re.findall(r"([-\d.]+) ([-\d.]+)", line.split("Z")[0]), dtype=float)
    box = page.locator("#stage").bounding_box()
    zoom = min(box["width"] / 160, box["height"] / 120)
    return (
        np.array([80 + (points[:, 0] - box["width"] / 2) / zoom, 60 - (points[:, 1] - box["height"] / 2) / zoom]).T
        - 0.5
    )


def test_the_regions_of_the_job_are_drawn_where_they_are(new_page: NewPage, turned: tuple[str, Path]) -> None:
    address, path = turned
    page = opened(new_page, address)
    expect(page.locator("#overlay path.line")).to_have_count(2)
    circle = regions.parse(SOURCE).on(wcs_of(path)).include[0]
    found = corners(page, "source")
    assert found.mean(axis=0) == pytest.approx([circle.center.x, circle.center.y], abs=0.02)
    np.testing.assert_allclose(np.hypot(*(found - found.mean(axis=0)).T), circle.radius, atol=0.02)


def test_a_region_is_moved_resized_and_used(new_page: NewPage, turned: tuple[str, Path]) -> None:
    address, path = turned
    page = opened(new_page, address)
    expect(page.locator("#overlay path.line")).to_have_count(2)
    wcs = wcs_of(path)
    box = page.locator("#stage").bounding_box()
    zoom = min(box["width"] / 160, box["height"] / 120)

    def screen(x: float, y: float) -> tuple[float, float]:
        return (
            box["x"] + box["width"] / 2 + (x + 0.5 - 80) * zoom,
            box["y"] + box["height"] / 2 - (y + 0.5 - 60) * zoom,
        )

    old = regions.parse(SOURCE).on(wcs).include[0].center
    page.mouse.move(*screen(old.x, old.y))
    page.mouse.down()
    page.mouse.move(*screen(old.x + 9, old.y - 12), steps=5)
    page.mouse.up()
    new = regions.parse(page.locator("#source").input_value()).on(wcs).include[0]
    assert (new.center.x, new.center.y) == pytest.approx((old.x + 9, old.y - 12), abs=0.2), "a pixel of the screen"
    page.get_by_label("Radius (arcsec)", exact=True).fill("36")
    page.keyboard.press("Enter")
    page.get_by_role("button", name=re.compile("^source region, circle")).focus()
    page.keyboard.press("Shift+ArrowLeft")
    moved = regions.parse(page.locator("#source").input_value()).on(wcs).include[0]
    assert moved.radius == pytest.approx(9.0, abs=0.01)
    assert new.center.x - moved.center.x == pytest.approx(10 / zoom, abs=0.02)
    assert moved.center.y == pytest.approx(new.center.y, abs=0.02)
    text = page.locator("#source").input_value()
    page.get_by_role("button", name="To extract").click()
    page.wait_for_url("**/new/extract?*")
    assert page.locator("#p-source_region").input_value() == text
    assert page.locator("#p-background_region").input_value() == BACKGROUND


def test_a_background_is_chosen_and_typed(new_page: NewPage, turned: tuple[str, Path]) -> None:
    address, _ = turned
    page = opened(new_page, f"{address}?source={quote(SOURCE)}")
    background = page.locator("fieldset[data-role=background]")
    background.get_by_label("Shape").select_option("polygon")
    assert page.locator("#background").input_value().startswith("icrs; polygon(")
    expect(page.locator("#overlay .on-background .knob")).to_have_count(4)
    page.locator("#overlay .on-background .knob").first.focus()
    page.keyboard.press("Delete")
    expect(page.locator("#overlay .on-background .knob")).to_have_count(3)
    background.get_by_label("Shape").select_option("annulus")
    background.get_by_label("RA (deg)").fill("09:56:02.4")
    background.get_by_label("Dec (deg)").fill("+69 42 00")
    background.get_by_label("Outer radius (arcsec)").fill("81.5")
    page.keyboard.press("Tab")
    assert re.fullmatch(r'icrs; annulus\(149\.01, 69\.7, [\d.]+", 81\.5"\)', page.locator("#background").input_value())
    background.get_by_label("Dec (deg)").fill("north")
    page.keyboard.press("Tab")
    expect(page.locator("#background-problem")).to_contain_text("“north” cannot be taken: a declination is")
    page.locator("#background").fill("icrs; circel(1, 2, 3)")
    page.keyboard.press("Tab")
    expect(page.locator("#background-problem")).to_contain_text("circel")


def test_the_keyboard_reads_zooms_and_shows_all(new_page: NewPage, turned: tuple[str, Path]) -> None:
    page = opened(new_page, turned[0])
    page.locator("#stage").focus()
    page.keyboard.press("ArrowRight")
    first = str(page.locator("#reading").text_content())
    page.keyboard.press("Shift+ArrowUp")
    expect(page.locator("#reading")).not_to_have_text(first)
    expect(page.locator("#reading")).to_have_attribute("aria-live", "polite")
    before = page.locator("#overlay .on-source path.line").get_attribute("d")
    page.keyboard.press("+")
    assert page.locator("#overlay .on-source path.line").get_attribute("d") != before
    page.keyboard.press("0")
    assert page.locator("#overlay .on-source path.line").get_attribute("d") == before


@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (320, "dark")])
def test_the_page_is_named_ordered_readable_and_fits(
    new_page: NewPage, turned: tuple[str, Path], width: int, colours: str
) -> None:
    page = opened(new_page, turned[0], viewport={"width": width, "height": 900}, color_scheme=colours)
    expect(page.locator("#overlay path.line")).to_have_count(2)
    assert page.evaluate(AUDIT) == []


def test_without_scripts_the_server_draws_and_leads_on(new_page: NewPage, turned: tuple[str, Path]) -> None:
    page = new_page(java_script_enabled=False)
    page.expected.append("400")
    page.goto(turned[0])
    page.get_by_label("Colours").select_option("grey")
    page.get_by_role("button", name="Show it so").click()
    picture = str(page.locator("#drawn img").get_attribute("src"))
    asked = parse_qs(urlsplit(picture).query)
    assert (asked["colours"], asked["source"]) == (["grey"], [SOURCE])
    svg = requests.get(page.url.partition("/jobs/")[0] + picture, timeout=300).text
    assert svg.count('class="m source"') == 1 + 1, "a circle, and its line in the key"
    assert svg.count('class="m background"') == 2 + 1
    page.locator("#source").fill("icrs; circle(149, 69.7)")
    page.get_by_role("button", name="To extract").click()
    expect(page.get_by_role("region", name="Error")).to_contain_text("Source region")
    page.locator("#source").fill('icrs; circle(149, 69.7, 12")')
    page.get_by_role("button", name="To extract").click()
    assert page.locator("#p-source_region").input_value() == 'icrs; circle(149, 69.7, 12")'


def test_the_sky_page_and_unknown_definitions(turned: tuple[str, Path]) -> None:
    answer = requests.get(turned[0], params={"open": "sky", "source": SOURCE}, allow_redirects=False, timeout=300)
    assert answer.status_code == 303
    place = urlsplit(answer.headers["Location"])
    assert (place.path, parse_qs(place.query)) == ("/sky", {"source": [SOURCE]})
    wrong = requests.get(turned[0], params={"to": "nothing", "source": SOURCE}, timeout=300)
    assert wrong.status_code == 400
    assert "a definition with an event list and a region is allowed" in wrong.text


def test_what_cannot_be_shown_is_said(new_page: NewPage, copied: Copied, tmp_path: Path) -> None:
    page = new_page()
    header = header_of(149.0, 69.7, 0.0)
    header.update({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"})
    page.goto(copied.page(drawn(tmp_path / "sine.fits", header), SOURCE))
    expect(page.locator("#notes")).to_contain_text("(RA---SIN) is not the plain tangential one (TAN)")
    page.locator("#stage").hover()
    expect(page.locator("#reading")).to_contain_text("pixel")
    expect(page.locator("#overlay path")).to_have_count(0)
    fits.PrimaryHDU(np.zeros((3, 4, 5), np.float32)).writeto(tmp_path / "cube.fits")
    page.goto(copied.page(tmp_path / "cube.fits"))
    expect(page.get_by_role("region", name="No picture")).to_contain_text("There is no picture of copy.fits")
