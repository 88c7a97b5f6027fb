"""The spectrum job over HTTP on real event lists and on everything that is none: counts, products, sentences."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import requests
from astropy.io import fits
from astropy.wcs import WCS
from regions import PixCoord, Regions

from provenance import votags
from reduction.simulate import simulate, small, truth_path
from serving import running_server
from uws_server import client
from uws_server.client import ClientError, JobState

SOURCE = small().sources[0]
CIRCLE = f'icrs; circle({SOURCE.ra}, {SOURCE.dec}, 40")'


@dataclass(frozen=True)
class Lab:
    """A server whose archive holds a simulated observation and copies of the real event lists."""

    url: str
    archive: Path
    folder: Path

    def run(self, values: dict[str, str], files: dict[str, Path] | None = None) -> JobState:
        """Create a spectrum job, wait for its end."""
        job = client.create(f"{self.url}/rest/spectrum", values, files)
        return client.follow(job, lambda state: None)

    def refused(self, values: dict[str, str], files: dict[str, Path] | None = None) -> str:
        """The sentence with which a request is refused; no job is made of it."""
        before = requests.get(f"{self.url}/rest/spectrum", timeout=300).text.count("jobref ")
        with pytest.raises(ClientError, match=" answered 400: ") as caught:
            client.create(f"{self.url}/rest/spectrum", values, files)
        assert requests.get(f"{self.url}/rest/spectrum", timeout=300).text.count("jobref ") == before
        return str(caught.value).partition("answered 400: ")[2]

    def products(self, final: JobState, tmp_path: Path) -> dict[str, Path]:
        """Every result of a job, downloaded."""
        assert final.phase == "COMPLETED", final.error
        return {result.name: client.download(result, tmp_path) for result in final.results}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("spectrum")
    archive = folder / "archive"
    simulate(small(), archive / "0999990101")
    with running_server(folder / "data", "--archive", str(archive)) as served:
        yield Lab(served.url, archive, folder)


@pytest.fixture(scope="module")
def real(lab: Lab, shared: Path) -> Lab:
    for name in ("chandra_m82/acis_10027_events.fits", "nustar_b1937/dummy_evt.evt", "nicer/ngc300nicer_bary.evt"):
        shutil.copy(shared / "real" / name, lab.archive)
    return lab


def simulated_list(lab: Lab, camera: str) -> Path:
    truth = json.loads(truth_path(lab.archive / "0999990101", small()).read_text())
    return lab.archive / "0999990101" / truth["cameras"][camera]["file"]


def independent_count(path: Path, ds9: str, energy_ev: tuple[float, float], grades: set[int], ev: str) -> int:
    """Events inside a region, counted with astropy and regions alone; `ev` is the energy column or PI formula."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path) as hdus:
            table, header = hdus["EVENTS"].data, hdus["EVENTS"].header
            names = [name.lower() for name in hdus["EVENTS"].columns.names]
            x, y = (names.index(axis) + 1 for axis in ("x", "y"))
            wcs = WCS(naxis=2)
            wcs.wcs.ctype = [header[f"TCTYP{x}"], header[f"TCTYP{y}"]]
            wcs.wcs.crpix = [header[f"TCRPX{x}"], header[f"TCRPX{y}"]]
            wcs.wcs.crval = [header[f"TCRVL{x}"], header[f"TCRVL{y}"]]
            wcs.wcs.cdelt = [header[f"TCDLT{x}"], header[f"TCDLT{y}"]]
            wcs.wcs.radesys = str(header.get("RADESYS", header.get("RADECSYS", "ICRS"))).strip()
            start, stop = hdus["GTI"].data["START"], hdus["GTI"].data["STOP"]
            time = table["time"]
            good = ((time[:, None] >= start) & (time[:, None] <= stop)).any(axis=1)
            region = Regions.parse(ds9, format="ds9")[0].to_pixel(wcs)
            inside = region.contains(PixCoord(table["x"].astype(float) - 1, table["y"].astype(float) - 1))
            energy = table["energy"] if ev == "energy" else table["PI"] * 40.0 + 1600.0
            chosen = inside & good & np.isin(table["grade"], list(grades))
            return int((chosen & (energy >= energy_ev[0]) & (energy <= energy_ev[1])).sum())


def test_simulated_pn_gives_the_counts_that_were_drawn(lab: Lab, tmp_path: Path) -> None:
    truth = json.loads(truth_path(lab.archive / "0999990101", small()).read_text())
    for camera in ("EPN", "EMOS1", "EMOS2"):
        path = simulated_list(lab, camera)
        drawn = truth["cameras"][camera]["sources"][0]["circle"]["usual_200_12000_eV"]
        folder = tmp_path / camera
        folder.mkdir()
        products = lab.products(lab.run({"eventlist": path.name.partition(".")[0], "source_region": CIRCLE}), folder)
        with fits.open(products["source_spectrum"]) as hdus:
            header = hdus["SPECTRUM"].header
            assert int(hdus["SPECTRUM"].data["COUNTS"].sum()) == drawn
            assert header["BACKSCAL"] == pytest.approx(np.pi * 800**2, rel=1e-3)
            assert 0.8 * small().exposure_s < header["EXPOSURE"] < small().exposure_s
        assert fits.getval(products["events"], "NAXIS2", "EVENTS") == drawn


@pytest.mark.parametrize("archive", [True, False])
def test_chandra_counts_equal_an_independent_count(real: Lab, shared: Path, tmp_path: Path, archive: bool) -> None:
    path = shared / "real/chandra_m82/acis_10027_events.fits"
    region = 'icrs; circle(148.96, 69.68, 20")'
    expected = independent_count(path, region.replace("; ", "\n"), (500, 8000), {0, 2, 3, 4, 6}, "energy")
    assert expected > 1000
    values = {"source_region": region, "energy": "0.5 8"}
    final = real.run({**values, "eventlist": path.name}) if archive else real.run(values, {"eventlist": path})
    products = real.products(final, tmp_path)
    with fits.open(products["source_spectrum"]) as hdus:
        assert int(hdus["SPECTRUM"].data["COUNTS"].sum()) == expected
        assert hdus["SPECTRUM"].header["TELESCOP"] == "CHANDRA"
        gti = fits.getdata(path, 2)
        live = float((gti["STOP"] - gti["START"]).sum()) * 0.90694721567205
        assert hdus["SPECTRUM"].header["EXPOSURE"] == pytest.approx(live, rel=1e-6)


def test_nustar_counts_equal_an_independent_count(real: Lab, shared: Path, tmp_path: Path) -> None:
    path = shared / "real/nustar_b1937/dummy_evt.evt"
    region = 'fk5; circle(294.9107, 21.5831, 30")'
    expected = independent_count(path, region.replace("; ", "\n"), (3000, 79000), set(range(27)), "PI")
    assert expected > 50
    final = real.run({"eventlist": "dummy_evt", "source_region": region, "energy": "3 79"})
    with fits.open(real.products(final, tmp_path)["source_spectrum"]) as hdus:
        assert int(hdus["SPECTRUM"].data["COUNTS"].sum()) == expected


def test_what_an_instrument_does_not_see_is_not_covered(real: Lab, tmp_path: Path) -> None:
    for asked, covered in (("0.2 12", (3000.0, 12000.0)), ("5 200", (5000.0, 79000.0)), ("1 2", (1000.0, 2000.0))):
        tags = votags.read(real.products(real.run({"eventlist": "dummy_evt", "energy": asked}), tmp_path)["events"])
        assert tags is not None
        assert (tags.row["energy_min"], tags.row["energy_max"]) == pytest.approx(covered), asked


def test_nicer_has_no_sky_but_a_spectrum(real: Lab, shared: Path, tmp_path: Path) -> None:
    final = real.run({"eventlist": "ngc300nicer_bary", "energy": "0.3 12"})
    with fits.open(real.products(final, tmp_path)["source_spectrum"]) as hdus:
        pi = fits.getdata(shared / "real/nicer/ngc300nicer_bary.evt", "EVENTS")["PI"]
        assert int(hdus["SPECTRUM"].data["COUNTS"].sum()) == int(((pi >= 30) & (pi <= 1200)).sum())
    final = real.run({"eventlist": "ngc300nicer_bary", "source_region": CIRCLE})
    assert final.phase == "ERROR"
    assert final.error is not None
    assert "source_region" in final.error
    assert "leave the region empty" in final.error
    final = real.run({"eventlist": "ngc300nicer_bary", "source_region": "physical; circle(1,2,3)"})
    assert final.error is not None
    assert "leave the region empty" in final.error


def test_every_fits_product_says_what_it_is_and_how_it_was_made(lab: Lab, tmp_path: Path) -> None:
    path = simulated_list(lab, "EPN")
    background = f'icrs; annulus({SOURCE.ra}, {SOURCE.dec}, 60", 120")'
    values = {"source_region": CIRCLE, "background_region": background, "min_counts": "25"}
    final = lab.run({**values, "eventlist": path.name.partition(".")[0]})
    products = lab.products(final, tmp_path)
    tagged = [product for product in products.values() if product.suffix == ".fits"]
    assert len(tagged) == 4
    for product in tagged:
        assert votags.check(product) == ()
        tags = votags.read(product)
        assert tags is not None
        row = tags.row
        assert (row["obs_id"], row["facility_name"]) == ("0999990101", "XMM-Newton")
        assert row["obs_creator_name"] == "uws-server reduction", "not who made the event list"
        assert row["s_ra"] == pytest.approx(SOURCE.ra, abs=0.02)
        assert row["em_min"] == pytest.approx(1.0332e-10, rel=1e-4)  # 12 keV
        assert row["em_max"] == pytest.approx(6.1992e-9, rel=1e-4)  # 0.2 keV
        (step,) = tags.steps
        told = {argument.extra.get("name"): argument for argument in step.args}
        assert told["min_counts"].value in (25, "25")
        assert told["min_counts"].editable
        assert step.extra["task"] == "spectrum"
        assert str(lab.archive) not in product.read_bytes().decode("latin-1")
        assert requests.head(str(row["access_url"]), timeout=300).status_code == 200
        if shutil.which("fitsverify"):
            subprocess.run(["fitsverify", "-q", str(product)], check=True)


def test_the_steps_of_an_input_come_first(lab: Lab, tmp_path: Path) -> None:
    name = simulated_list(lab, "EMOS1").name.partition(".")[0]
    first = lab.products(lab.run({"eventlist": name, "source_region": CIRCLE}), tmp_path)
    (tmp_path / "second").mkdir()
    again = lab.run({"source_region": CIRCLE, "energy": "1 4"}, {"eventlist": first["events"]})
    tags = votags.read(lab.products(again, tmp_path / "second")["source_spectrum"])
    before = votags.read(first["events"])
    assert tags is not None
    assert before is not None
    assert tags.steps[: len(before.steps)] == before.steps
    assert len(tags.steps) == len(before.steps) + 1


def test_a_gzipped_upload_gives_the_same_spectrum(lab: Lab, tmp_path: Path) -> None:
    path = simulated_list(lab, "EMOS2")
    packed = tmp_path / "packed.FTZ"
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    counts = []
    for number, source in enumerate((path, packed)):
        (tmp_path / str(number)).mkdir()
        final = lab.run({"source_region": CIRCLE}, {"eventlist": source})
        counts.append(fits.getdata(lab.products(final, tmp_path / str(number))["source_spectrum"], 1)["COUNTS"])
    assert np.array_equal(*counts)
    assert counts[0].sum() > 0


def test_no_counts_are_a_valid_empty_spectrum(lab: Lab, tmp_path: Path) -> None:
    name = simulated_list(lab, "EMOS1").name.partition(".")[0]
    products = lab.products(lab.run({"eventlist": name, "source_region": CIRCLE, "energy": "11.99 12"}), tmp_path)
    with fits.open(products["source_spectrum"]) as hdus:
        assert hdus["SPECTRUM"].data["COUNTS"].sum() == 0
        assert hdus["SPECTRUM"].header["EXPOSURE"] > 0
    if shutil.which("fitsverify"):
        subprocess.run(["fitsverify", "-q", str(products["source_spectrum"])], check=True)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"source_region": "image; circle(100, 100, 10)"}, "source_region: .*image"),
        ({"source_region": "circle(1, 2"}, "source_region: "),
        ({"source_region": 'icrs; circle(148.97, 69.65, -4")'}, "source_region: "),
        ({"regoin": "x"}, "regoin: no such parameter"),
        ({"energy": "0.2 500"}, "energy: .*0.01 to 200 keV"),
        ({"energy": "0.2 12 arcsec"}, "energy: unit 'arcsec'"),
        ({"energy": "12 0.2"}, "energy: .*lower energy must come first"),
        ({"min_counts": "0"}, "min_counts: .*1 to"),
        ({"pattern": "all; rm -rf /"}, "pattern: "),
        ({"flag": "maybe"}, "flag: 'maybe' is not one of default, strict, none"),
        ({"eventlist": "../../etc/passwd"}, "eventlist: .*neither a file to upload"),
        ({"eventlist": ""}, "eventlist: a value is needed"),
    ],
)
def test_what_can_be_known_at_creation_is_refused_there(lab: Lab, change: dict[str, str], sentence: str) -> None:
    values = {"eventlist": simulated_list(lab, "EMOS1").name.partition(".")[0], "source_region": CIRCLE, **change}
    text = lab.refused(values)
    assert re.search(sentence, text), text


def cut_short(good: Path, bad: Path) -> None:
    bad.write_bytes(good.read_bytes()[:-400_000])


def without_events(_good: Path, bad: Path) -> None:
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((2, 2)))]).writeto(bad)


def text_file(_good: Path, bad: Path) -> None:
    bad.write_text("not a FITS file at all\n" * 500)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [(cut_short, "eventlist: .*(truncated|cut short|ends)"), (without_events, "eventlist: .*EVENTS")],
)
def test_broken_event_lists_end_in_error_with_a_sentence(lab: Lab, tmp_path: Path, make: object, sentence: str) -> None:
    bad = tmp_path / "bad.fits"
    assert callable(make)
    make(simulated_list(lab, "EMOS1"), bad)
    final = lab.run({"source_region": CIRCLE}, {"eventlist": bad})
    assert final.phase == "ERROR"
    assert final.error is not None
    assert re.search(sentence, final.error), final.error
    assert final.error in requests.get(f"{final.url}/results/log", timeout=300).text


def test_a_text_file_is_refused_at_once(lab: Lab, tmp_path: Path) -> None:
    bad = tmp_path / "bad.fits"
    text_file(bad, bad)
    text = lab.refused({"source_region": CIRCLE}, {"eventlist": bad})
    assert text.startswith("eventlist: 'bad.fits' is not a FITS file")


def test_a_region_outside_the_field_is_an_error_that_names_the_field(lab: Lab) -> None:
    name = simulated_list(lab, "EPN").name.partition(".")[0]
    final = lab.run({"eventlist": name, "source_region": 'icrs; circle(10.0, -30.0, 40")'})
    assert final.phase == "ERROR"
    assert final.error is not None
    assert final.error.startswith("source_region: ")
    final = lab.run({"eventlist": name, "source_region": CIRCLE, "background_region": 'icrs; circle(150.9, 69.6, 40")'})
    assert final.phase == "ERROR"
    assert final.error is not None
    assert final.error.startswith("background_region: ")


def test_a_size_in_degrees_that_was_meant_in_arcsec_is_told(lab: Lab, tmp_path: Path) -> None:
    files = {"eventlist": simulated_list(lab, "EPN")}
    for size, said in (("40", "Note: source_region reaches 40 deg, more than any field of view; "), ('40"', "")):
        final = lab.run({"source_region": f"icrs; circle(148.974, 69.6512, {size})"}, files)
        log = lab.products(final, tmp_path)["log"].read_text()
        assert said in log and ("reaches" in log) == bool(said)


def test_good_times_that_exclude_everything_are_an_error(lab: Lab, tmp_path: Path) -> None:
    gti = tmp_path / "gti.fits"
    columns = [fits.Column("START", "D", "s", array=[10.0]), fits.Column("STOP", "D", "s", array=[20.0])]
    table = fits.BinTableHDU.from_columns(columns, name="STDGTI")
    table.header["MJDREF"], table.header["TIMESYS"] = 50814.0, "TT"
    table.writeto(gti)
    name = simulated_list(lab, "EPN").name.partition(".")[0]
    final = lab.run({"eventlist": name, "source_region": CIRCLE}, {"gti": gti})
    assert final.phase == "ERROR"
    assert final.error is not None
    assert final.error.startswith("gti: ")


def test_events_without_a_time_are_dropped_and_told(lab: Lab, tmp_path: Path) -> None:
    bad = tmp_path / "nan.fits"
    shutil.copy(simulated_list(lab, "EMOS1"), bad)
    with fits.open(bad, mode="update") as hdus:
        hdus["EVENTS"].data["TIME"][::2] = np.nan
    final = lab.run({"source_region": CIRCLE}, {"eventlist": bad})
    products = lab.products(final, tmp_path)
    assert np.isfinite(fits.getdata(products["events"], "EVENTS")["TIME"]).all()
    assert "time" in products["log"].read_text().lower()


def test_what_was_made_before_an_error_is_kept(lab: Lab, tmp_path: Path) -> None:
    bad = tmp_path / "bad.fits"
    cut_short(simulated_list(lab, "EMOS1"), bad)
    final = lab.run({"source_region": CIRCLE}, {"eventlist": bad})
    assert {result.name for result in final.results} >= {"log"}
    with contextlib.closing(requests.get(f"{final.url}/parameters/eventlist", timeout=300)) as answer:
        assert answer.content == bad.read_bytes()
