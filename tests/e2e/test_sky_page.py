"""The sky page in the browser: regions drawn, moved, typed, pasted and downloaded; oracles: astropy's WCS, mocpy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
import requests
from astropy.coordinates import SkyCoord
from astropy.io import fits
from mocpy import MOC
from playwright.sync_api import expect

from browsing import AUDIT, NewPage
from reduction import regions
from reduction.regions.coverage import to_moc
from reduction.simulate import simulate, small
from serving import Served, running_server
from skypage import SkyPage, on
from uws_server import cli

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.usefixtures("vendored")]

RA, DEC = 148.9745, 69.651
SOURCE = f'icrs; circle({RA}, {DEC}, 40")'
SQUARE = [(150, 50), (250, 60), (240, 140), (160, 150)]
PLACES = [(0.0, -0.5), (12.0, 89.9999), (200.0, -89.9999)]
TOLD = """() => { window.told = []; for (const name of ["region:changed", "region:checked"])
  document.addEventListener(name, (event) => window.told.push([name, event.detail])); }"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose archive is a simulated observation of two cameras."""
    folder = tmp_path_factory.mktemp("sky")
    simulate(small(), folder / "archive", cameras=("EPN", "EMOS1"))
    where = ["--archive", str(folder / "archive"), "--data", str(folder / "data")]
    with running_server(folder / "data", "--archive", str(folder / "archive")) as served:
        assert cli.main(["archive", "add", *where]) == 0
        yield served


@pytest.fixture
def sky(new_page: NewPage, archive: Served) -> SkyPage:
    return SkyPage(new_page, archive.url)


def test_what_is_drawn_at_pixels_is_there_on_the_sky(sky: SkyPage) -> None:
    """Circles, and polygons in both senses, at the poles and across 0 h: to a tenth of an arcsec."""
    for ra, dec in PLACES:
        sky.open(background=f'icrs; circle({ra}, {dec}, 40")')
        plane = sky.plane(ra, dec, 40)
        sky.drag((-120, 40), (-100, 40), (-80, 70))
        (circle,) = sky.shapes()
        centre, edge = on(plane, [(-120, 40), (-80, 70)])
        assert circle.center.separation(centre).arcsec < 0.1
        assert circle.radius.to_value("arcsec") == pytest.approx(centre.separation(edge).arcsec, abs=0.1)
        sky.button("Polygon").click()
        turn = SQUARE if dec < 0 else SQUARE[::-1]
        sky.click(*turn, turn[0])
        drawn = sky.shapes()[1]
        assert drawn.vertices.separation(on(plane, turn)).arcsec.max() < 0.1
        inside = on(plane, [(200, 100), (0, 0)])
        cells = MOC.from_polygon_skycoord(drawn.vertices, max_depth=20)
        assert cells.contains_skycoords(inside).tolist() == [True, False], "the sense of rotation does not count"
        sky.button("Circle").click()


def test_nodes_and_shapes_are_dragged_added_and_deleted_and_all_is_undone(sky: SkyPage) -> None:
    sky.open(background=SOURCE)
    plane = sky.plane(RA, DEC, 40)
    sky.button("Polygon").click()
    sky.click(*SQUARE, SQUARE[0])
    first = sky.text()
    sky.drag((250, 60), (270, 40), (290, 30))  # a corner
    moved = sky.shapes()[0].vertices
    assert moved[1].separation(on(plane, [(290, 30)])[0]).arcsec < 0.2
    assert moved[0].separation(on(plane, SQUARE[:1])[0]).arcsec < 0.1
    sky.drag((200, 145), (200, 170), (200, 190))  # the middle of a side becomes a corner
    assert len(sky.shapes()[0].vertices) == 5
    sky.page.mouse.dblclick(*np.add(sky.middle(), (200, 190)))
    assert len(sky.shapes()[0].vertices) == 4
    before = sky.shapes()[0].vertices
    sky.drag((200, 100), (150, 60), (140, 50))  # the whole of it
    after = sky.shapes()[0].vertices
    shift = on(plane, [(200, 100)])[0].separation(on(plane, [(140, 50)])[0]).arcsec
    assert before.separation(after).arcsec == pytest.approx([shift] * 4, abs=0.2)
    last = sky.text()
    for _ in range(4):
        sky.button("Undo").click()
    assert sky.text() == first
    sky.button("Undo").click()
    assert sky.text() == "" and sky.button("Undo").is_disabled()
    for _ in range(5):
        sky.button("Redo").click()
    assert sky.text() == last and sky.button("Redo").is_disabled()
    sky.page.locator("#sky-overlay").focus()
    sky.press("Control+z")
    assert sky.text() != last
    sky.button("Pan").click()
    sky.drag((0, 0), (40, 40), (80, 60))
    assert sky.page.locator("#sky-overlay .node").first.is_hidden(), "no shape is taken while the sky is moved"


def test_an_ellipse_is_turned_by_its_node_and_a_drawing_ends_with_escape(sky: SkyPage) -> None:
    sky.open(background=SOURCE)
    sky.button("Annulus").click()
    sky.drag((-200, -60), (-180, -60), (-160, -60))
    (ring,) = sky.shapes()
    assert ring.outer_radius.to_value("arcsec") == pytest.approx(2 * ring.inner_radius.to_value("arcsec"), abs=0.01)
    sky.button("Clear").click()
    sky.button("Ellipse").click()
    sky.drag((120, 0), (140, 10), (180, 30))
    width, height = (sky.shapes()[0].width.to_value("arcsec"), sky.shapes()[0].height.to_value("arcsec"))
    assert width / height == pytest.approx(2, rel=0.01)
    sky.drag((180, 0), (170, -40), (120, -60))  # the end of the first axis, to the north
    turned = sky.shapes()[0]
    assert turned.angle.to_value("deg") == pytest.approx(90, abs=0.5)
    assert turned.width.to_value("arcsec") == pytest.approx(width, rel=0.01)
    sky.button("Polygon").click()
    text = sky.text()
    sky.click((-150, -100), (-100, -100))
    sky.press("Escape")
    sky.click((-150, -50), (-100, -50), (-120, 20))
    sky.press("Backspace", "Escape")
    assert sky.text() == text
    sky.click((-150, -50), (-100, -50), (-120, 20))
    sky.press("Enter")
    assert len(sky.shapes()) == 2


def test_what_is_wrong_is_said_at_once_and_told_to_the_other_parts(sky: SkyPage) -> None:
    sky.open(source=SOURCE)
    sky.page.evaluate(TOLD)
    sky.page.get_by_role("tab", name="Background").click()
    sky.button("Circle").click()
    sky.drag((60, 0), (100, 0), (140, 0))
    expect(sky.problems()).to_have_text([re.compile("^The background overlaps the source: [0-9.]+ % of the source")])
    assert sky.page.locator("#sky-problems").get_attribute("role") == "status"
    changed = [detail for name, detail in sky.page.evaluate("window.told") if name == "region:changed"]
    assert changed[-1] == {"source": SOURCE, "background": sky.text("background"), "problems": []}
    told = [detail for name, detail in sky.page.evaluate("window.told") if name == "region:checked"]
    assert "overlaps" in told[-1]["problems"][0]
    sky.button("Undo").click()
    expect(sky.problems()).to_have_count(0)
    sky.button("Polygon").click()
    sky.click((100, -100), (200, 100), (200, -100), (100, 100), (100, -100))
    expect(sky.problems()).to_have_text([re.compile("^The sides of a polygon of the background cross")])
    sky.button("Undo").click()
    sky.page.locator("#background").fill('icrs; circle(10, 10, 60")')
    expect(sky.problems()).to_have_text(["Background region: no exposure of the archive sees any part of it."])
    for radius, words in (("0", "greater than 0"), ("100d", "half of the sky")):
        sky.page.locator("#background").fill(f"icrs; circle(10, 10, {radius})")
        expect(sky.problems()).to_have_text([re.compile(words)])


def test_every_shape_can_be_typed(sky: SkyPage) -> None:
    sky.open(source=SOURCE)
    panel = sky.page.locator("#numbers-source")
    panel.get_by_label("Radius (arcsec)").fill("25.5")
    panel.get_by_label("RA (deg)").fill("09:55:53.88")
    panel.get_by_label("Dec (deg)").fill("+69:39:03.6")
    panel.get_by_label("Dec (deg)").press("Enter")
    (circle,) = sky.shapes()
    assert (
        circle.radius.to_value("arcsec") == 25.5
        and circle.center.separation(SkyCoord(RA, DEC, unit="deg")).arcsec < 0.01
    )
    panel.get_by_label("Radius (arcsec)").fill("-3")
    panel.get_by_label("Radius (arcsec)").press("Enter")
    expect(sky.page.locator("#sky-hint")).to_contain_text("cannot be taken")
    assert sky.shapes()[0].radius.to_value("arcsec") == 25.5
    sky.page.locator("#source").fill("Ellipse ICRS 148.9745 69.651 0.01 0.005 30")
    expect(panel.get_by_label("Semi-axis 1 (arcsec)")).to_have_value("36")
    panel.get_by_label("Cut out").check()
    assert sky.text().startswith("icrs; -ellipse(")
    expect(sky.problems()).to_have_text([re.compile("only excludes")])


def test_texts_are_pasted_and_downloaded(sky: SkyPage, tmp_path: Path) -> None:
    sky.open()
    both = f'fk5\ncircle({RA},{DEC},20")\nannulus({RA},{DEC},60",120") # background\n'
    sky.page.locator("#source").fill(both)
    expect(sky.page.locator("#background")).to_have_value(re.compile("annulus"))
    (ring,), (circle,) = sky.shapes("background"), sky.shapes()
    assert circle.radius.to_value("arcsec") == 20 and ring.inner_radius.to_value("arcsec") == 60
    expect(sky.page.locator("#sky-overlay .of-background .outline")).to_have_count(1)
    for name, reader in (("DS9", "source.reg"), ("STC-S", "source.stcs")):
        with sky.page.expect_download() as download:
            sky.page.locator("#panel-source").get_by_role("button", name=name).click()
        assert download.value.suggested_filename == reader
        download.value.save_as(tmp_path / reader)
        again = regions.parse((tmp_path / reader).read_text()).include[0]
        assert again.center.icrs.separation(circle.center.icrs).arcsec < 0.01
    sky.page.evaluate("""() => document.dispatchEvent(new CustomEvent("region:set",
        { detail: { source: "Circle ICRS 10 20 0.5", background: "" } }))""")
    expect(sky.page.locator("#source")).to_have_value("Circle ICRS 10 20 0.5")
    expect(sky.page.locator("#sky-reading")).to_contain_text("(10.00000, +20.00000)")
    sky.page.reload()
    expect(sky.page.locator("#source")).to_have_value("Circle ICRS 10 20 0.5")


def test_the_moc_follows_its_order(sky: SkyPage, tmp_path: Path) -> None:
    sky.open(source=SOURCE)
    sky.page.get_by_label("Draw it on the sky").check()
    expect(sky.page.locator("#moc-said")).to_contain_text("of them")
    expect(sky.page.locator("#sky-cells")).to_have_attribute("d", re.compile("^M"))
    slider = sky.page.get_by_label("Order", exact=True)
    slider.fill("14")
    expect(sky.page.locator("#moc-said")).to_have_text(re.compile("^14: cells of 13″, [0-9]+ of them"))
    with sky.page.expect_download() as download:
        sky.page.locator("#sky-moc").get_by_role("link", name="FITS").click()
    download.value.save_as(tmp_path / "moc.fits")
    assert fits.getval(tmp_path / "moc.fits", "MOCORD_S", 1) == 14
    assert MOC.from_fits(str(tmp_path / "moc.fits")) == to_moc(regions.parse(SOURCE), 14)
    slider.press("ArrowLeft")
    expect(sky.page.locator("#moc-said")).to_have_text(re.compile("^13: cells of 26″"))
    sky.page.expected.append("400")
    sky.page.locator("#source").fill("icrs; circle(10, 10, 60d)")
    slider.fill("18")
    expect(sky.page.locator("#moc-said")).to_contain_text("is allowed")


@pytest.mark.parametrize("at", [(45.0, 41.8), (0.0, 89.99)])
def test_outlines_of_mocs_are_around_their_cells(sky: SkyPage, at: tuple[float, float]) -> None:
    """At the pole, across 0 h, and where faces of HEALPix meet (45 deg, 41.8 deg)."""
    region = regions.parse(f'icrs; annulus({at[0]}, {at[1]}, 300", 900")')
    moc = to_moc(region, 12)
    sky.open()
    loops = sky.page.evaluate(
        """async (moc) => {
          const { outlines } = await import(document.getElementById("script").src.replace("sky.js", "healpix.js"));
          return outlines(moc);
        }""",
        moc.serialize("json"),
    )
    centre = SkyCoord(*at, unit="deg")
    plane = centre.skyoffset_frame()
    draw = np.random.default_rng(3)
    points = centre.directional_offset_by(draw.uniform(0, 360, 1500) * u.deg, draw.uniform(0, 0.35, 1500) * u.deg)
    flat = points.transform_to(plane)
    x, y = flat.lon.wrap_at("180d").deg, flat.lat.deg
    inside = np.zeros(len(x), bool)
    for loop in loops:
        corners = SkyCoord(np.array(loop), unit="deg").transform_to(plane)
        xs, ys = corners.lon.wrap_at("180d").deg, corners.lat.deg
        for x0, y0, x1, y1 in zip(xs, ys, np.roll(xs, -1), np.roll(ys, -1), strict=True):
            crossing = (y0 <= y) != (y1 <= y)
            inside ^= crossing & (x < x0 + (y - y0) * (x1 - x0) / np.where(crossing, y1 - y0, 1))
    expected = moc.contains_skycoords(points)
    assert 300 < expected.sum() < 1400
    assert (inside != expected).sum() <= 2, "sides of cells are no straight lines, but nearly"


def test_the_fields_of_the_exposures_that_are_found_are_drawn(sky: SkyPage) -> None:
    sky.open(source=SOURCE)
    fields, legend = sky.page.locator("#sky-fields .field"), sky.page.get_by_role("list", name="Outlines by camera")
    expect(fields).to_have_count(2)
    expect(legend.get_by_role("listitem")).to_have_text(["EMOS1", "EPN"])
    dashes = [field.evaluate("(path) => getComputedStyle(path).strokeDasharray") for field in fields.all()]
    assert len(set(dashes)) == 2, "cameras are told apart without colours, too"
    sky.page.get_by_role("checkbox", name="0999990101").first.check()
    expect(sky.page.locator("#sky-fields .chosen")).to_have_count(1)
    sky.button("Show the fields").click()
    reading = sky.page.locator("#sky-reading")
    expect(reading).to_contain_text(re.compile("(3|4|5|6)[0-9.]+′ wide"))  # the field of XMM has half a degree
    sky.page.get_by_label("Fields of the exposures found").uncheck()
    expect(fields).to_have_count(0)
    sky.page.get_by_label("Fields of the exposures found").check()
    sky.button("Select none").click()
    sky.page.locator("#source").fill('icrs; circle(10, 10, 60")')
    expect(fields).to_have_count(0)
    expect(sky.problems()).to_have_text([re.compile("no exposure of the archive sees")])


def test_all_can_be_done_by_keyboard(sky: SkyPage) -> None:
    sky.open(background=SOURCE)
    plane = sky.plane(RA, DEC, 40)
    step = on(plane, [(0, 0)])[0].separation(on(plane, [(1, 0)])[0]).arcsec
    sky.page.get_by_label("Go to").focus()
    for _ in range(40):
        if sky.page.evaluate("document.activeElement.id") == "sky-overlay":
            break
        sky.press("Tab")
    assert sky.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    sky.press("Enter")
    (first,) = sky.shapes()
    assert first.center.separation(SkyCoord(RA, DEC, unit="deg")).arcsec < 0.1
    sky.press("ArrowRight", "ArrowRight", "Shift+ArrowUp")
    moved = sky.shapes()[0].center
    west, north = first.center.spherical_offsets_to(moved)
    assert (west.arcsec, north.arcsec) == pytest.approx((-2 * step, 10 * step), abs=0.02)
    sky.press("PageDown", "Shift+ArrowLeft", "ArrowLeft")
    assert first.radius.to_value("arcsec") - sky.shapes()[0].radius.to_value("arcsec") == pytest.approx(
        11 * step, abs=0.02
    )
    sky.press("Delete")
    assert sky.shapes() == ()
    sky.press("Control+z")
    assert len(sky.shapes()) == 1
    sky.button("Polygon").focus()
    sky.press("Enter")
    sky.page.locator("#sky-overlay").focus()
    sky.press("Enter", "PageDown", "Insert", "ArrowDown")
    assert len(sky.shapes()[1].vertices) == 5
    sky.press("Delete")
    assert len(sky.shapes()[1].vertices) == 4
    sky.page.get_by_role("tab", name="Source").focus()
    sky.press("ArrowRight")
    expect(sky.page.get_by_role("tab", name="Background")).to_be_focused()
    expect(sky.page.get_by_role("tabpanel", name="Background")).to_be_visible()
    expect(sky.page.get_by_role("tabpanel", name="Source")).to_be_hidden()
    sky.button("Accept").focus()
    sky.press("Enter")
    expect(sky.button("Pan")).to_have_attribute("aria-pressed", "true")


def test_places_are_found_without_a_network(sky: SkyPage) -> None:
    sky.open()
    expect(sky.page.locator("#layer-coverage")).to_be_checked()
    sky.page.get_by_label("Go to").fill("09:55:53.88 +69:39:03.6")
    sky.page.get_by_label("Go to").press("Enter")
    expect(sky.page.locator("#sky-reading")).to_contain_text("(148.97450, +69.65100)")
    sky.page.expected.append("400")
    sky.page.get_by_label("Go to").fill("M82")
    sky.button("Go").click()
    expect(sky.page.locator("#sky-hint")).to_contain_text("this server looks no names up")


def test_without_webgl_the_texts_do(new_page: NewPage, archive: Served) -> None:
    sky = SkyPage(new_page, archive.url)
    sky.page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    sky.open(source=SOURCE)
    expect(sky.page.locator("#sky-missing")).to_contain_text("no WebGL")
    assert sky.page.locator("#sky-view").is_hidden()
    drawing = sky.page.get_by_role("img", name=re.compile("^The regions"))
    assert drawing.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 760
    sky.page.evaluate(TOLD)
    sky.page.get_by_role("tab", name="Background").click()
    sky.page.locator("#background").fill(SOURCE.replace("40", "60"))
    expect(sky.problems()).to_have_text([re.compile("^The background overlaps the source: 100 %")])
    assert sky.page.evaluate("window.told.length") > 0
    assert "background=" in drawing.get_attribute("src")
    sky.button("Accept").click()
    sky.page.wait_for_url(re.compile("background="))


@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (320, "dark")])
def test_the_page_is_named_ordered_readable_and_fits(
    new_page: NewPage, archive: Served, width: int, colours: str, tmp_path: Path
) -> None:
    sky = SkyPage(new_page, archive.url, viewport={"width": width, "height": 900}, color_scheme=colours)
    ring = f'icrs; annulus({RA}, {DEC}, 30", 80")'
    sky.open(source=SOURCE, background=ring)
    assert sky.page.evaluate(AUDIT) == []
    sky.page.get_by_role("tab", name="Background").click()
    sky.page.get_by_text("Keys", exact=True).click()
    assert sky.page.evaluate(AUDIT) == []


def test_without_scripts_the_same_is_a_form(new_page: NewPage, archive: Served) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{archive.url}/sky")
    page.get_by_label("Source", exact=True).fill(SOURCE)
    page.get_by_label("Background", exact=True).fill(f'icrs; annulus({RA}, {DEC}, 30", 80")')
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("#sky-problems")).to_contain_text("The background overlaps the source")
    drawing = page.get_by_role("img", name=re.compile("^The regions")).get_attribute("src")
    assert ">EPN" in requests.get(f"{archive.url}{drawing}", timeout=300).text
    address = page.get_by_role("link", name="JSON").get_attribute("href")
    found = MOC.from_json(json.loads(requests.get(f"{archive.url}{address}", timeout=300).text))
    assert found.contains_skycoords(SkyCoord(RA, DEC, unit="deg"))
