"""Pictures of the sky and of light curves: where things are drawn, against astropy; what is said to who sees none."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from scriptjobs import prepare, run
from synthetic import Epic, write
from uws_server.previews.cache import Previews
from uws_server.previews.curve import Gap
from uws_server.previews.curvechart import chart_of
from uws_server.previews.preview import ResultFile
from uws_server.previews.raster import Raster

SVG = "{http://www.w3.org/2000/svg}"
CENTRE = SkyCoord(150.02, 2.03, unit="deg", frame="fk5")


def drawn(path: Path, beside: dict[str, Path] | None = None) -> ElementTree.Element:
    drawing = Previews().plot_picture(ResultFile(str(path), path, beside or {}))
    assert drawing.mime == "image/svg+xml"
    return ElementTree.fromstring(drawing.data)


def words(picture: ElementTree.Element) -> str:
    return picture.findtext(f"{SVG}desc") or ""


def frame(picture: ElementTree.Element) -> tuple[float, float, float, float]:
    box = picture.find(f"{SVG}rect[@class='frame']")
    assert box is not None
    return tuple(float(box.get(name) or "nan") for name in ("x", "y", "width", "height"))  # type: ignore[return-value]


def corners(picture: ElementTree.Element, role: str) -> list[np.ndarray]:
    """The closed lines of a role, each of the shape (n, 2)."""
    lines = picture.findall(f"{SVG}g/{SVG}path[@class='m {role}']")
    return [np.array(re.findall(r"([-\d.]+) ([-\d.]+)", line.get("d") or ""), dtype=float) for line in lines]


def ticks(picture: ElementTree.Element, anchor: str) -> dict[float, float]:
    """The numbers along an axis ('middle': the lower one, 'end': the left one) and where they stand."""
    found = {}
    for text in picture.findall(f"{SVG}text[@text-anchor='{anchor}']"):
        if re.fullmatch(r"−?[\d.]+", text.text or ""):
            found[float((text.text or "").replace("−", "-"))] = float(text.get("x" if anchor == "middle" else "y") or 0)
    return found


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The results of a spectrum job with a circle of 60 arcsec and a ring around it."""
    folder = tmp_path_factory.mktemp("job")
    write(folder / "pn.fits", Epic(rows=60000))
    place = f"{CENTRE.ra.deg}, {CENTRE.dec.deg}"
    prepared = prepare(
        folder / "job",
        eventlist=folder / "pn.fits",
        source_region=f'fk5; circle({place}, 60")\n-circle({place}, 10")',
        background_region=f'fk5; annulus({place}, 90", 150")',
    )
    done = run(prepared)
    assert done.returncode == 0, done.stderr
    return {path.name: path for path in (prepared / "results").iterdir()}


def test_regions_lie_where_the_coordinates_say(job: dict[str, Path]) -> None:
    picture = drawn(job["events.fits"], job)
    left, top, width, height = frame(picture)
    (source,) = corners(picture, "source")
    (hole,) = corners(picture, "source cut")
    rings = corners(picture, "background")
    radii = sorted(np.ptp(line, axis=0).max() / 2 for line in (hole, source, *rings))
    assert np.array(radii) / radii[0] == pytest.approx([1, 6, 9, 15], rel=0.02)
    middle = source.mean(axis=0)
    ra, dec = ticks(picture, "middle"), ticks(picture, "end")
    assert len(ra) >= 2
    assert len(dec) >= 2
    at_ra = np.polyfit(list(ra.values()), list(ra.keys()), 1) @ [middle[0], 1]
    at_dec = np.polyfit([place - 4.5 for place in dec.values()], list(dec.keys()), 1) @ [middle[1], 1]
    assert SkyCoord(at_ra, at_dec, unit="deg", frame="fk5").separation(CENTRE).arcsec < 1
    everything = np.concatenate(rings)
    assert everything.min(axis=0) == pytest.approx([left, top], abs=0.2 * width)
    assert np.all(everything > [left, top])
    assert np.all(everything < [left + width, top + height])


def test_the_events_are_drawn_inside_their_circle(job: dict[str, Path]) -> None:
    """A reader of PNG of its own finds no lit pixel outside the circle, nor in the hole cut out of it."""
    picture = drawn(job["events.fits"], job)
    left, top, width, height = frame(picture)
    image = picture.find(f"{SVG}image")
    assert image is not None
    png = base64.b64decode((image.get("href") or "").partition("base64,")[2])
    pixels = decoded(png)
    rows, columns = np.nonzero(pixels)
    x, y = left + (columns + 0.5) / pixels.shape[1] * width, top + (rows + 0.5) / pixels.shape[0] * height
    (source,) = corners(picture, "source")
    radius = np.ptp(source[:, 0]) / 2
    away = np.hypot(x - source[:, 0].mean(), y - source[:, 1].mean())
    cell = width / pixels.shape[1]
    assert len(away) > 50
    assert away.max() < radius + cell
    assert away.min() > radius / 6 - cell


def decoded(png: bytes) -> np.ndarray:
    """The numbers of colours in an indexed PNG without filters."""
    import struct
    import zlib

    width, height = struct.unpack(">II", png[16:24])
    at, data = 8, b""
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        data += png[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    return np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, width + 1)[:, 1:]


def test_what_is_seen_is_said(job: dict[str, Path]) -> None:
    text = words(drawn(job["events.fits"], job))
    assert f"from {len(fits.getdata(job['events.fits'], 'EVENTS')):,} events" in text
    assert f"Right ascension {CENTRE.ra.deg:.3f}" in text
    assert "Drawn: background region and source region." in text


def test_without_a_region_file_the_table_in_the_file_is_drawn(job: dict[str, Path]) -> None:
    picture = drawn(job["events.fits"])
    assert len(corners(picture, "region")) == 1
    assert len(corners(picture, "region cut")) == 1


def test_a_region_file_that_cannot_be_read_hides_no_picture(job: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "odd.reg").write_bytes(b"\xff\xfe circle(")
    assert "events" in words(drawn(job["events.fits"], {"odd.reg": tmp_path / "odd.reg"}))


def test_a_longitude_of_0_is_crossed(tmp_path: Path) -> None:
    header = WCS(naxis=2)
    header.wcs.ctype, header.wcs.crval = ["RA---TAN", "DEC--TAN"], [0.0, 0.0]
    header.wcs.crpix, header.wcs.cdelt = [50, 50], [-0.01, 0.01]
    fits.PrimaryHDU(np.ones((100, 100)), header.to_header()).writeto(tmp_path / "a.fits")
    found = ticks(drawn(tmp_path / "a.fits"), "middle")
    assert any(value > 359 for value in found)
    assert any(value < 1 for value in found)
    assert all(0 <= value < 360 for value in found)


def test_an_image_without_a_sky_has_pixels_on_its_axes(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.arange(600.0).reshape(20, 30)).writeto(tmp_path / "a.fits")
    picture = drawn(tmp_path / "a.fits")
    assert "X (pixels)" in [text.text for text in picture.findall(f"{SVG}text")]


def test_the_bar_of_colours_is_that_of_the_picture() -> None:
    values = np.array([[0.0, 1.0, 1.0], [1.0, 2.0, 50.0]])
    raster = Raster(values)
    lit = decoded(raster.png())[::-1]
    assert lit == pytest.approx(np.round(255 * np.log1p(values) / np.log1p(50.0)))
    assert raster.stretch.ticks() == sorted(raster.stretch.ticks())
    assert raster.stretch.ticks()[0] == 0
    assert max(raster.stretch.ticks()) <= 50


def test_events_without_a_sky_say_why_where_the_picture_would_be(shared: Path) -> None:
    path = shared / "real/nicer/ngc300nicer_bary.evt"
    preview = Previews().look(ResultFile("a", path, {}))
    assert (preview.kind, preview.reason) == ("events", "NICER XTI has no sky positions")


# ---- light curves


def write_curve(path: Path, columns: list[fits.Column], **keywords: object) -> Path:
    table = fits.BinTableHDU.from_columns(columns, name="RATE")
    table.header.update({"HDUCLAS1": "LIGHTCURVE", "TIMEDEL": 10.0, "TIMEUNIT": "s", **keywords})
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path


def test_the_threshold_of_a_flare_filter_is_drawn_where_it_is(shared: Path, tmp_path: Path) -> None:
    """21 bins of the real curve lie above a line at 0.5 count/s, the other 217 below it."""
    with fits.open(shared / "real/xmm_coma8/PN_rate.fits") as hdus:
        columns = [fits.Column(name, "D", array=hdus["RATE"].data[name]) for name in ("TIME", "RATE", "ERROR")]
    path = write_curve(tmp_path / "a.fits", columns, TIMEDEL=100.0, FLCUTTHR=0.5, FLGOODT=21642.2)
    root = drawn(path)
    (line,) = [item.get("d", "") for item in root.iter(f"{SVG}path")
               if item.get("class") == "cut" and "h24" not in item.get("d", "")]  # fmt: skip
    at = float(line.split()[1].partition("H")[0])
    heights = [float(item.get("cy", "")) for item in root.iter(f"{SVG}circle")]
    assert (len([y for y in heights if y < at]), len([y for y in heights if y > at])) == (21, 217)
    words = "Cut at 0.5 counts / s; 21,642 s of good time are left."
    assert words in "".join(root.find(f"{SVG}desc").itertext())  # type: ignore[union-attr]
    assert "cut at 0.5" in "".join(root.itertext())


def test_the_threshold_that_the_sas_gives_its_curve_is_taken(shared: Path, tmp_path: Path) -> None:
    with fits.open(shared / "real/xmm_coma8/P0124710801PNS001FBKTSR0000.FTZ") as hdus:
        fits.HDUList([fits.PrimaryHDU(), hdus["RATE"].copy()]).writeto(tmp_path / "a.fits")
    curve = Previews().look(ResultFile("a", tmp_path / "a.fits", {})).curve
    assert curve is not None
    assert "Cut at 20.57 counts / s." in curve.summary()


def test_a_real_light_curve_is_drawn_as_it_is(shared: Path) -> None:
    path = shared / "real/xmm_coma8/PN_rate.fits"
    preview = Previews().look(ResultFile("a", path, {}))
    assert preview.curve is not None
    with fits.open(path) as hdus:
        table, header = hdus["RATE"].data, hdus["RATE"].header
        first = header["MJDREF"] + table["TIME"].min() / 86400
        (series,) = preview.curve.series
        assert series.rate == pytest.approx(table["RATE"])
        assert series.error == pytest.approx(table["ERROR"])
        assert preview.curve.time_s == pytest.approx(table["TIME"] - table["TIME"].min())
        assert f"mean {table['RATE'].mean():.3g}" in preview.curve.summary()
    assert f"from MJD {first:.5f} (TT), no gaps" in preview.curve.summary()
    assert len(drawn(path).findall(f".//{SVG}circle")) == 238


def test_gaps_are_seen_and_told(tmp_path: Path) -> None:
    """Bins 10 to 19 are missing, bin 30 has no rate."""
    numbers = np.r_[0:10, 20:60]
    rate = np.where(numbers == 30, np.nan, 2.0)
    columns = [fits.Column("TIME", "D", array=5.0 + 10.0 * numbers), fits.Column("RATE", "E", array=rate),
               fits.Column("ERROR", "E", array=np.full(50, 0.2))]  # fmt: skip
    path = write_curve(tmp_path / "a.fits", columns)
    preview = Previews().look(ResultFile("a", path, {}))
    assert preview.curve is not None
    assert preview.curve.gaps == (Gap(95.0, 195.0), Gap(295.0, 305.0))
    picture = drawn(path)
    assert len(picture.findall(f"{SVG}rect[@class='gap']")) == 3, "two gaps and their key"
    assert "2 gaps" in words(picture)


def test_gaps_are_drawn_with_their_cause(tmp_path: Path) -> None:
    """As our light curves tell it: cut by the user's good times, CCD off, no cause; one is too short to be seen."""
    columns = [fits.Column("TIME", "D", array=1005.0 + 10.0 * np.arange(60)),
               fits.Column("RATE", "E", array=np.full(60, 2.0))]  # fmt: skip
    path = write_curve(tmp_path / "a.fits", columns)
    told = [(1100.0, 1203.0, "USER GTI"), (1300.0, 1355.0, "CCD OFF"), (1400.0, 1400.1, "GTI"), (1450.0, 1480.0, "")]
    start, stop, cause = zip(*told, strict=True)
    table = [fits.Column("START", "D", array=start), fits.Column("STOP", "D", array=stop),
             fits.Column("CAUSE", "9A", array=cause)]  # fmt: skip
    with fits.open(path, mode="append") as hdus:
        hdus.append(fits.BinTableHDU.from_columns(table, name="GAPS"))
    curve = Previews().look(ResultFile("a", path, {})).curve
    assert curve is not None
    assert curve.gaps[0] == Gap(95.0, 198.0, "USER GTI")
    assert "4 gaps (CCD OFF, GTI, USER GTI)" in curve.summary()
    picture = drawn(path)
    key = [text.text for text in picture.findall(f"{SVG}text")]
    assert {"CCD off", "cut by your GTI", "no data"} <= set(key)
    assert len(picture.findall(f"{SVG}rect[@class='gap gap2']")) == 2, "the gap and its key"


def test_bins_of_many_widths_are_as_wide_as_they_are_and_no_gaps(tmp_path: Path) -> None:
    widths = np.array([10.0, 400.0, 30.0, 3.0, 1000.0])
    starts = np.concatenate(([0.0], np.cumsum(widths)[:-1]))
    columns = [fits.Column("TIME", "D", array=starts + widths / 2), fits.Column("TIMEDEL", "D", array=widths),
               fits.Column("RATE", "E", array=[1.0, 2.0, 3.0, 4.0, 5.0])]  # fmt: skip
    curve = Previews().look(ResultFile("a", write_curve(tmp_path / "a.fits", columns, TIMEDEL=None), {})).curve
    assert curve is not None
    assert curve.widths_s.tolist() == widths.tolist()
    assert curve.gaps == ()
    assert curve.length_s == pytest.approx(1443.0)


def test_a_folded_profile_is_drawn_twice(tmp_path: Path) -> None:
    columns = [fits.Column("PHASE", "D", array=[0.125, 0.375, 0.625, 0.875]),
               fits.Column("RATE", "E", array=[1.0, 2.0, 3.0, 2.0]),
               fits.Column("ERROR", "E", array=[0.1, 0.1, 0.2, 0.1])]  # fmt: skip
    path = write_curve(tmp_path / "a.fits", columns, PERIOD=283.7)
    preview = Previews().look(ResultFile("a", path, {}))
    assert preview.kind == "lightcurve" and preview.curve is not None
    assert preview.curve.time_s.tolist() == [0.125, 0.375, 0.625, 0.875, 1.125, 1.375, 1.625, 1.875]
    assert preview.curve.series[0].rate.tolist() == [1.0, 2.0, 3.0, 2.0] * 2
    assert "Phase, period 283.7 s" in [text.text for text in drawn(path).findall(f"{SVG}text")]
    assert "4 bins of phase, period 283.7 s" in preview.curve.summary()


def test_a_periodogram_keeps_its_peak_when_frequencies_are_joined(tmp_path: Path) -> None:
    frequency = 1e-3 + 1e-5 * np.arange(20_000)
    power = np.random.default_rng(3).chisquare(2, frequency.size)
    power[12_345] = 99.0
    columns = [fits.Column("FREQUENCY", "D", array=frequency), fits.Column("POWER", "D", array=power)]
    keywords = {"HDUCLAS1": "POWERSPECTRUM", "PERIOD": 1 / frequency[12_345], "CHANCE": 1.5e-8}
    path = write_curve(tmp_path / "a.fits", columns, **keywords)
    curve = Previews().look(ResultFile("a", path, {})).curve
    assert curve is not None and curve.kind == "Periodogram"
    (series,) = chart_of(curve).series
    assert series.y.size <= 1500 and series.y.max() == 99.0
    assert series.middle[int(series.y.argmax())] == frequency[12_345]
    texts = [text.text or "" for text in drawn(path).findall(f"{SVG}text")]
    assert any(text.startswith("Frequency (Hz), highest at a period of 8.03") for text in texts)


def test_errors_of_two_sides_are_drawn_as_they_are(tmp_path: Path) -> None:
    """No bar of a bin without counts reaches below 0."""
    columns = [fits.Column("TIME", "D", array=[5.0, 15.0, 25.0]), fits.Column("RATE", "D", array=[0.0, 0.1, 0.3]),
               fits.Column("ERROR", "D", array=[0.09, 0.16, 0.24]),
               fits.Column("ERRORLO", "D", array=[0.0, 0.08, 0.16]),
               fits.Column("ERRORUP", "D", array=[0.18, 0.23, 0.29])]  # fmt: skip
    path = write_curve(tmp_path / "a.fits", columns)
    curve = Previews().look(ResultFile("a", path, {})).curve
    assert curve is not None
    (series,) = curve.series
    assert series.error is not None and series.error.tolist() == [0.0, 0.08, 0.16]
    assert series.error_up is not None and series.error_up.tolist() == [0.18, 0.23, 0.29]
    assert min(ticks(drawn(path), "end")) >= 0


def test_a_hardness_ratio_is_drawn_below_zero_too(tmp_path: Path) -> None:
    columns = [fits.Column("TIME", "D", array=[5.0, 15.0, 25.0]), fits.Column("HR", "D", array=[-0.5, 0.2, -0.1]),
               fits.Column("HR_ERR", "D", array=[0.1, 0.1, 0.1]),
               fits.Column("RATE_S", "D", array=[1.0, 1.0, 1.0])]  # fmt: skip
    path = write_curve(tmp_path / "a.fits", columns)
    curve = Previews().look(ResultFile("a", path, {})).curve
    assert curve is not None
    assert curve.series[0].rate.tolist() == [-0.5, 0.2, -0.1] and curve.y_label == "Hardness ratio"
    assert drawn(path).find(f".//{SVG}circle") is not None


def test_counts_become_rates_by_the_width_of_their_bin(tmp_path: Path) -> None:
    time = fits.Column("TIME", "D", array=np.arange(4) * 10.0)
    counts = fits.Column("COUNTS", "J", array=[5, 10, 20, 40])
    for name, keywords, rates, label in (
        ("a", {}, [0.5, 1, 2, 4], "Counts / s"),
        ("b", {"TIMEDEL": None}, [5, 10, 20, 40], "Counts per bin"),
    ):
        path = write_curve(tmp_path / f"{name}.fits", [time, counts], **keywords)
        curve = Previews().look(ResultFile(name, path, {})).curve
        assert curve is not None
        assert curve.series[0].rate == pytest.approx(rates)
        assert curve.y_label == label


def test_bins_that_saw_next_to_nothing_are_left_out(shared: Path) -> None:
    path = shared / "real/erosita/LightCurve_bexvar.fits"
    curve = Previews().look(ResultFile("a", path, {})).curve
    assert curve is not None
    exposed = fits.getdata(path, 1)["FRACEXP"].max(axis=1)
    assert len(curve.time_s) == np.count_nonzero(exposed >= 0.1)
    assert len(curve.series) == 3
    assert (
        f"{np.count_nonzero((exposed > 0) & (exposed < 0.1))} bins with FRACEXP below 0.1 are left out" in curve.notes
    )


def test_many_bins_are_joined_not_across_a_gap(tmp_path: Path) -> None:
    numbers = np.r_[0:2000, 4001:6000]
    rate = np.random.default_rng(7).normal(5, 1, numbers.size)
    columns = [fits.Column("TIME", "D", array=10.0 * numbers), fits.Column("RATE", "D", array=rate),
               fits.Column("ERROR", "D", array=np.ones(numbers.size))]  # fmt: skip
    curve = Previews().look(ResultFile("a", write_curve(tmp_path / "a.fits", columns), {})).curve
    assert curve is not None
    chart = chart_of(curve)
    (series,) = chart.series
    assert len(series.y) <= 1500
    assert series.y[0] == pytest.approx(rate[:3].mean())
    assert series.y[0] - series.y_low[0] == pytest.approx(1 / np.sqrt(3))
    joined = np.diff(series.middle * 1000)
    assert joined.max() == pytest.approx(20_000, abs=100) and np.sum(joined > 100) == 1, "nothing stands in the gap"
    assert "3,999 bins are joined" in chart.summary


def test_days_of_other_telescopes_are_days(tmp_path: Path) -> None:
    columns = [fits.Column("TIME", "D", unit="BJD - 2454833", array=[120.0, 121.0, 122.0]),
               fits.Column("SAP_FLUX", "E", unit="e-/s", array=[10.0, 11.0, 12.0])]  # fmt: skip
    table = fits.BinTableHDU.from_columns(columns, name="LIGHTCURVE")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "a.fits")
    curve = Previews().look(ResultFile("a", tmp_path / "a.fits", {})).curve
    assert curve is not None
    assert curve.time_s == pytest.approx([0, 86400, 172800])
    assert curve.y_label == "Flux (e-/s)"


def test_a_light_curve_of_nothing_has_a_reason(tmp_path: Path) -> None:
    columns = [fits.Column("TIME", "D", array=[1.0, 2.0]), fits.Column("RATE", "E", array=[np.nan, np.nan])]
    preview = Previews().look(ResultFile("a", write_curve(tmp_path / "a.fits", columns), {}))
    assert preview.reason == "no bin of the light curve has a time and a rate"
