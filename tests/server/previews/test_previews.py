"""Previews of real and made-up products: what is drawn against astropy, and that no file makes them raise."""

from __future__ import annotations

import json
import random
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from astropy.io import fits

from uws_server.previews.cache import Previews
from uws_server.previews.plot import make_plot
from uws_server.previews.preview import ResultFile
from uws_server.previews.spectra import NoPreview, gehrels, read_spectrum

SVG = "{http://www.w3.org/2000/svg}"


def product(path: Path, *beside: Path) -> ResultFile:
    return ResultFile(str(path), path, {item.name: item for item in (path, *beside)})


def write_spectrum(path: Path, counts: list[int], **keywords: object) -> Path:
    """A SPECTRUM of as many channels as there are counts, from channel 0 on."""
    columns = [
        fits.Column("CHANNEL", "J", array=np.arange(len(counts))),
        fits.Column("COUNTS", "J", array=np.array(counts)),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    table.header.update({"HDUCLAS1": "SPECTRUM", "EXPOSURE": 100.0, "POISSERR": True, **keywords})
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height of an indexed PNG whose chunks, checksums and lines are checked on the way."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    place, chunks = 8, {}
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + length]
        assert struct.unpack(">I", data[place + 8 + length : place + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        place += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert len(chunks[b"PLTE"]) == 3 * 256
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (width + 1)
    return width, height


@pytest.fixture
def ngc7793(shared: Path) -> Path:
    return shared / "real" / "xmm_ngc7793_ulx4"


def test_rates_of_a_real_spectrum_are_those_astropy_gives(ngc7793: Path) -> None:
    beside = {path.name: path for path in ngc7793.iterdir()}
    plot = make_plot(ngc7793 / "PN_spectrum_grp20.fits", beside)
    with fits.open(ngc7793 / "PN_spectrum_grp20.fits") as source, fits.open(ngc7793 / "PN.rmf") as response:
        table, exposure = source["SPECTRUM"].data, source["SPECTRUM"].header["EXPOSURE"]
        bounds = response["EBOUNDS"].data
        expected = []
        first = None
        for i in range(len(table) + 1):
            if i == len(table) or table["GROUPING"][i] == 1:
                if first is not None and not table["QUALITY"][first:i].any() and table["COUNTS"][first:i].sum():
                    low, high = float(bounds["E_MIN"][first]), float(bounds["E_MAX"][i - 1])
                    expected.append((low, high, table["COUNTS"][first:i].sum() / exposure / (high - low)))
                first = i
    points = plot.series[0].points
    assert len(points.rate) == len(expected)
    assert np.allclose(np.column_stack([points.low, points.high, points.rate]), expected, rtol=1e-6)
    assert "EBOUNDS of PN.rmf" in " ".join(plot.notes)


def test_the_background_is_scaled_by_backscal_and_grouped_as_the_source(ngc7793: Path) -> None:
    beside = {path.name: path for path in ngc7793.iterdir()}
    plot = make_plot(ngc7793 / "PN_spectrum_grp20.fits", beside)
    source, background = plot.series
    with fits.open(ngc7793 / "PNbackground_spectrum.fits") as opened, fits.open(ngc7793 / "PN.rmf") as response:
        counts = opened["SPECTRUM"].data["COUNTS"]
        header = opened["SPECTRUM"].header
        bounds = response["EBOUNDS"].data
        low, high = background.points.low[3], background.points.high[3]
        channels = (bounds["E_MIN"] >= low) & (bounds["E_MAX"] <= high)
    scale = 2010100 / header["BACKSCAL"]
    expected = counts[channels].sum() * scale / header["EXPOSURE"] / (high - low)
    assert background.points.rate[3] == pytest.approx(expected, rel=1e-4)
    assert set(background.points.low) <= set(source.points.low)
    assert [(facts.label, facts.counts) for facts in plot.facts] == [("Source", 11526), ("Background", 1213)]


def test_energies_without_the_response_agree_with_it(ngc7793: Path) -> None:
    path = ngc7793 / "PN_spectrum_grp20.fits"
    with_response = read_spectrum(path, {"PN.rmf": ngc7793 / "PN.rmf"}).channels
    without = read_spectrum(path, {}).channels
    # the bounds of a real pn response are not even below 5 keV: they are up to 28 eV away from the nominal ones there
    assert np.abs(with_response.low - without.low).max() < 0.03
    assert np.abs(with_response.high - without.high)[1000:].max() < 0.0005
    assert without.origin == "nominal energies, 5 eV a channel"


def test_an_unknown_telescope_gets_a_channel_axis(tmp_path: Path) -> None:
    plot = make_plot(write_spectrum(tmp_path / "a.fits", [0, 20, 30, 5], TELESCOP="HOMEMADE"), {})
    assert (plot.x_label, plot.y_label) == ("Channel", "Counts / s / channel")


def test_without_groups_channels_are_joined_for_the_picture(tmp_path: Path) -> None:
    plot = make_plot(write_spectrum(tmp_path / "a.fits", [0, 0, 10, 10, 0, 7, 8, 3]), {})
    points = plot.series[0].points
    assert list(zip(points.low, points.high, strict=True)) == [(2, 4), (5, 7), (7, 8)]
    assert np.allclose(points.rate, [20 / 2 / 100, 15 / 2 / 100, 3 / 100])
    assert "joined until each bin holds 15 counts" in " ".join(plot.notes)


def test_error_bars_are_those_of_gehrels() -> None:
    below, above = gehrels(np.array([0.0, 1.0, 100.0]))
    # table 1 and 2 of Gehrels (1986), 84.13 per cent: 1.841, 3.300 and 111.03 above, 0.173 and 89.98... below
    assert np.allclose(above, [1.866, 2.323, 11.037], atol=0.001)
    assert np.allclose([1.0 - below[1], 100.0 - below[2]], [0.134, 90.01], atol=0.01)
    assert below[0] == 0


def test_an_empty_spectrum_says_so(tmp_path: Path) -> None:
    path = write_spectrum(tmp_path / "a.fits", [0] * 50)
    previews = Previews()
    preview = previews.look(product(path))
    assert preview.kind == "spectrum"
    assert preview.plot is not None and preview.plot.empty
    assert "No channel of good quality has counts" in previews.plot_picture(product(path)).data.decode()
    assert json.loads(previews.plot_data(product(path)).data)["series"][0]["rate"] == []


def test_the_picture_is_an_svg_with_title_description_and_every_point(tmp_path: Path) -> None:
    path = write_spectrum(tmp_path / "<b>&.fits", [20, 40, 60, 80, 30])
    drawing = Previews().plot_picture(product(path))
    tree = ElementTree.fromstring(drawing.data)
    assert tree.get("role") == "img"
    assert tree.findtext(f"{SVG}title") == "Spectrum <b>&.fits"
    assert "230 counts in 100 s" in (tree.findtext(f"{SVG}desc") or "")
    assert len(tree.findall(f".//{SVG}circle")) == 5
    assert not tree.findall(f".//{SVG}script")


def test_events_become_a_picture_with_the_source_where_it_is(shared: Path) -> None:
    path = shared / "real" / "chandra_m82" / "acis_10027_events.fits"
    drawing = Previews().sky_picture(product(path))
    assert (drawing.ok, drawing.mime) == (True, "image/png")
    width, height = png_size(drawing.data)
    assert 64 <= max(width, height) <= 400


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("xmm_coma8/PN_image.fits", "image"),
        ("xmm_coma8/PN_rate.fits", "lightcurve"),
        ("erosita/LightCurve_bexvar.fits", "lightcurve"),
        ("nicer/ngc300nicer_bary.evt", "events"),
        ("nustar_b1937/dummy_orb.fits.gz", "other"),
        ("regions/0401040101.reg", "text"),
        ("xmm_ngc7793_ulx4/PN.rmf", "response"),
    ],
)
def test_what_a_real_file_is(shared: Path, place: str, kind: str) -> None:
    assert Previews().look(product(shared / "real" / place)).kind == kind


def test_an_image_is_made_smaller(tmp_path: Path) -> None:
    path = tmp_path / "image.fits"
    values = np.zeros((1000, 1600), dtype=np.float32)
    values[10:20, 30:40] = np.nan
    values[500, 700] = 9
    fits.PrimaryHDU(values).writeto(path)
    assert png_size(Previews().sky_picture(product(path)).data) == (400, 250)


@pytest.mark.parametrize(("shape", "size"), [((2000, 1), (1, 400)), ((1, 2000), (400, 1))])
def test_a_narrow_image_is_drawn(tmp_path: Path, shape: tuple[int, int], size: tuple[int, int]) -> None:
    path = tmp_path / "narrow.fits"
    fits.PrimaryHDU(np.ones(shape, dtype=np.int16)).writeto(path)
    assert png_size(Previews().sky_picture(product(path)).data) == size


def test_events_without_a_sky_have_a_reason(shared: Path) -> None:
    drawing = Previews().sky_picture(product(shared / "real" / "nicer" / "ngc300nicer_bary.evt"))
    assert not drawing.ok
    assert "NICER XTI has no sky positions" in drawing.data.decode()


def test_no_damaged_file_raises(tmp_path: Path) -> None:
    """Bytes changed at random, files cut at random: there is a picture or a reason."""
    whole = write_spectrum(
        tmp_path / "whole.fits", [5, 9, 30, 40, 20] * 20, TELESCOP="XMM", INSTRUME="EPN"
    ).read_bytes()
    choose = random.Random(7793)
    for number in range(150):
        data = bytearray(whole[: choose.randrange(len(whole))] if number % 3 == 0 else whole)
        for _ in range(choose.randrange(1, 30)):
            if data:
                data[choose.randrange(len(data))] = choose.randrange(256)
        path = tmp_path / f"{number}.fits"
        path.write_bytes(data)
        previews = Previews()
        preview = previews.look(product(path))
        assert preview.plot is not None or preview.text or preview.reason or preview.kind in ("image", "events")
        for draw in (previews.plot_picture, previews.thumbnail, previews.sky_picture):
            drawing = draw(product(path))
            assert drawing.mime == "image/png" or ElementTree.fromstring(drawing.data) is not None


def test_a_spectrum_without_its_columns_has_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    table = fits.BinTableHDU.from_columns([fits.Column("NAME", "8A", array=["a", "b"])], name="SPECTRUM")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    with pytest.raises(NoPreview, match="no columns CHANNEL and COUNTS"):
        read_spectrum(path, {})
    assert Previews().look(product(path)).reason.startswith("the SPECTRUM table has no columns")


def test_previews_are_kept_while_there_is_room(tmp_path: Path) -> None:
    path = write_spectrum(tmp_path / "a.fits", [20, 40])
    previews = Previews(room_bytes=10_000)
    first = previews.look(product(path))
    assert previews.look(product(path)) is first
    for number in range(10):
        previews.look(ResultFile(f"other-{number}", path, {}))
    assert previews.look(product(path)) is not first


def test_a_table_with_vo_tags_is_no_image(tmp_path: Path) -> None:
    columns = [fits.Column("TIME", "D", array=np.arange(3.0)), fits.Column("RATE", "E", array=np.ones(3))]
    tags = fits.TableHDU.from_columns([fits.Column("TAGS", "A40", array=["{}"])], name="VO-TAGS")
    curve = fits.BinTableHDU.from_columns(columns, name="RATE")
    fits.HDUList([fits.PrimaryHDU(), curve, tags]).writeto(tmp_path / "lightcurve.fits")
    assert Previews().look(product(tmp_path / "lightcurve.fits")).kind == "lightcurve"
    curve.name = "SOMETHING"
    curve.columns.change_name("RATE", "TEMPERATURE")
    fits.HDUList([fits.PrimaryHDU(), curve, tags, fits.ImageHDU(np.ones((4, 6)))]).writeto(tmp_path / "both.fits")
    assert Previews().look(product(tmp_path / "both.fits")).kind == "image"
    assert png_size(Previews().sky_picture(product(tmp_path / "both.fits")).data) == (6, 4)


def test_a_picture_that_was_drawn_does_not_wait_for_another(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.arange(100.0).reshape(10, 10)).writeto(tmp_path / "image.fits")
    previews = Previews()
    drawn = previews.sky_picture(product(tmp_path / "image.fits"))
    assert drawn.ok
    with previews._large, ThreadPoolExecutor(1) as other:  # as while somebody's large event list is drawn
        assert other.submit(previews.sky_picture, product(tmp_path / "image.fits")).result(300) == drawn


def test_any_other_table_shows_its_first_rows(tmp_path: Path) -> None:
    columns = [
        fits.Column("START", "D", "s", array=100.0 + 0.125 * np.arange(40)),
        fits.Column("CCDNR", "I", array=np.where(np.arange(40) == 1, -99, np.arange(40)), null=-99),
        fits.Column("CAUSE", "8A", array=["flare\x01", "GTI"] * 20),
        fits.Column("EDGES", "5E", array=np.arange(200.0).reshape(40, 5)),
        *(fits.Column(f"C{number}", "J", array=np.zeros(40)) for number in range(6)),
    ]
    fits.BinTableHDU.from_columns(columns, name="LIMITS").writeto(tmp_path / "a.fits")
    preview = Previews().look(product(tmp_path / "a.fits"))
    lines = preview.text.splitlines()
    assert preview.kind == "table"
    assert lines[0] == "HDU 1 (LIMITS): 40 rows, 2 further columns"
    assert lines[1].split() == ["START", "[s]", "CCDNR", "CAUSE", "EDGES", "C0", "C1", "C2", "C3"]
    assert lines[2].split()[:2] == ["100", "0"]
    assert "0, 1, 2, …" in lines[2]
    assert lines[3].split()[:2] == ["100.125", "GTI"], "a null is nothing"
    assert len(lines) == 2 + 12 + 1 and lines[-1] == "…"


def test_a_table_without_rows_says_so(tmp_path: Path) -> None:
    empty = fits.BinTableHDU.from_columns([fits.Column("START", "D", array=np.empty(0))], name="GTI")
    full = fits.BinTableHDU.from_columns([fits.Column("N", "PJ()", array=[[1, 2, 3]])], name="LISTS")
    fits.HDUList([fits.PrimaryHDU(), empty]).writeto(tmp_path / "a.fits")
    fits.HDUList([fits.PrimaryHDU(), empty, full]).writeto(tmp_path / "b.fits")
    assert Previews().look(product(tmp_path / "a.fits")).text == "HDU 1 (GTI): 0 rows"
    assert Previews().look(product(tmp_path / "b.fits")).text.splitlines()[0] == "HDU 2 (LISTS): 1 row"
    assert "3 items" in Previews().look(product(tmp_path / "b.fits")).text
