"""Times at the barycentre: against two other implementations, on NuSTAR's real orbit, in every table and keyword.

ERFA's own theory of the Earth's motion is the independent ephemeris: it differs from JPL's by 38 us at most.
"""

from __future__ import annotations

import shutil
import subprocess
from importlib.resources import as_file, files
from pathlib import Path

import erfa
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.time import Time

from provenance import votags
from reduction.events.clock import Clock
from reduction.timing import barycentre
from reduction.timing.hermite import Track
from reduction.timing.orbit import Orbit, read_orbit
from scriptjobs import ROOT, prepare, run
from synthetic import START, Epic, write

SCRIPT = ROOT / "job_definitions/barycentre/run.py"
RA, DEC = 294.91067, 21.58308
NUSTAR = Clock(55197, 0.00076601852, 0.0, "TT", "LOCAL")
XMM = Clock(50814.0, 0.0, 0.0, "TT", "LOCAL")


def make(folder: Path, **values: object) -> Path:
    done = run(prepare(folder, {"definition": "barycentre"}, **values), SCRIPT)
    assert done.returncode == 0, done.stderr
    (folder / "log.txt").write_text(done.stdout)
    return folder / "results/barycentred.fits"


def refusal(folder: Path, **values: object) -> str:
    done = run(prepare(folder, {"definition": "barycentre"}, **values), SCRIPT)
    assert done.returncode == 1, done.stdout
    assert not list(folder.glob("results/*"))
    return done.stderr.strip().removeprefix("[ERROR] ")


@pytest.fixture(scope="module")
def nustar(shared: Path) -> Path:
    return shared / "real/nustar_b1937"


@pytest.fixture(scope="module")
def moved(nustar: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nustar") / "job"
    return make(folder, eventlist=nustar / "dummy_evt.evt", orbit=nustar / "dummy_orb.fits.gz")


def still(first: float, last: float) -> Orbit:
    """A telescope at the centre of the Earth."""
    times = np.linspace(first, last, 5)
    return Orbit("earth", Track(times, np.zeros((5, 3)), np.zeros((5, 3))), np.empty((0, 2)))


# --- the numbers ---------------------------------------------------------------------------------------------


def test_the_real_nustar_list_is_moved_as_by_another_theory_of_the_earth(nustar: Path, moved: Path) -> None:
    """Earth and velocity by ERFA's epv00, Sun as its heliocentric vector, orbit by linear interpolation at 1 s."""
    before, after = fits.getdata(nustar / "dummy_evt.evt", "EVENTS"), fits.getdata(moved, "EVENTS")
    orbit = fits.getdata(nustar / "dummy_orb.fits.gz", "ORBIT")
    times = before["TIME"]
    day, fraction = 2400000.5 + 55197, 0.00076601852 + times / 86400
    einstein = erfa.dtdb(day, fraction, 0, 0, 0, 0)
    heliocentric, barycentric = erfa.epv00(day, fraction + einstein / 86400)
    au, c = 149597870700.0, 299792458.0
    axes = [np.interp(times, orbit["TIME"], orbit["POSITION"][:, axis]) for axis in range(3)]
    telescope = np.column_stack(axes) * 1e3
    source = SkyCoord(RA, DEC, unit="deg", frame="fk5").icrs.cartesian.xyz.value
    place = barycentric["p"] * au + telescope
    from_sun = heliocentric["p"] * au + telescope
    velocity = barycentric["v"] * au / 86400
    expected = einstein + np.sum(telescope * velocity, axis=1) / c**2 + place @ source / c
    expected += 2 * 4.925490947e-6 * np.log(1 + from_sun @ source / np.linalg.norm(from_sun, axis=1))
    assert np.abs(after["TIME"] - times - expected).max() < 45e-6
    assert 306 < expected.min() < expected.max() < 310


def test_the_real_nustar_list_is_moved_as_by_the_package_barycenter(nustar: Path, moved: Path) -> None:
    native = pytest.importorskip("barycenter.native")
    before, after = fits.getdata(nustar / "dummy_evt.evt", "EVENTS"), fits.getdata(moved, "EVENTS")
    orbit = fits.getdata(nustar / "dummy_orb.fits.gz", "ORBIT")
    place = native.spacecraft_interpolator(orbit["TIME"], orbit["POSITION"].astype(float) * 1e3,
                                           orbit["VELOCITY"].astype(float) * 1e3)  # fmt: skip
    with as_file(files("skyfield_data") / "data" / "de421.bsp") as kernel:
        expected = native.barycentric_correction(before["TIME"], 55197 + 0.00076601852, RA, DEC, place,
                                                 ephem=str(kernel), frame="fk5")  # fmt: skip
    assert np.abs(after["TIME"] - before["TIME"] - expected).max() < 1e-6


def test_the_orbit_of_nustar_is_worth_some_20_ms(nustar: Path) -> None:
    times = fits.getdata(nustar / "dummy_evt.evt", "EVENTS")["TIME"]
    towards = barycentre.direction(RA, DEC, "FK5")
    system = barycentre.solar_system(NUSTAR, float(times.min()), float(times.max()))
    rows = fits.getdata(nustar / "dummy_orb.fits.gz", "ORBIT")
    place, speed = (rows[name].astype(float) * 1e3 for name in ("POSITION", "VELOCITY"))
    track = Track(rows["TIME"].astype(float), place, speed)
    real = barycentre.corrections(times, Orbit("nustar", track, np.empty((0, 2))), system, towards)
    worth = real - barycentre.corrections(times, still(times.min(), times.max()), system, towards)
    assert worth.min() == pytest.approx(-7.3e-3, abs=1e-4)
    assert worth.max() == pytest.approx(20.7e-3, abs=1e-4)


def test_the_way_to_the_centre_of_the_earth_is_astropys(tmp_path: Path) -> None:
    """A year of days: Roemer alone is left when Einstein and Shapiro are taken off by their own formulas."""
    times = 8.0e8 + 86400.0 * np.arange(365)
    towards = barycentre.direction(83.63, 22.01)
    system = barycentre.solar_system(XMM, times[0], times[-1])
    found = barycentre.corrections(times, still(times[0], times[-1]), system, towards)
    day = 2400000.5 + 50814 + times / 86400
    heliocentric, barycentric = erfa.epv00(day, np.zeros_like(day))
    au, c = 149597870700.0, 299792458.0
    cosine = heliocentric["p"] @ towards / np.linalg.norm(heliocentric["p"], axis=1)
    expected = (barycentric["p"] @ towards) * au / c + erfa.dtdb(day, 0, 0, 0, 0, 0)
    expected += 2 * 4.925490947e-6 * np.log1p(cosine)
    assert np.abs(found - expected).max() < 60e-6
    assert np.ptp(found) > 990
    assert np.isnan(barycentre.corrections(np.array([np.nan]), still(8e8, 9e8), system, towards)).all()


def test_between_places_of_an_orbit_the_telescope_is_on_its_ellipse() -> None:
    """The orbit file of the test values: a place every ten minutes, left out one by one, is found within 50 m."""
    with fits.open(ROOT / "job_definitions/barycentre/orbit.fits") as hdus:
        rows = hdus["ORBIT"].data
        times = rows["TIME"].astype(float)
        places = np.column_stack([rows[f"GEI_{axis}"] for axis in "XYZ"]).astype(float) * 1e3
        speeds = np.column_stack([rows[f"V{axis}"] for axis in "XYZ"]).astype(float) * 1e3
    found = Track(times[::2], places[::2], speeds[::2]).at(times[1:-1:2])
    assert np.linalg.norm(found - places[1:-1:2], axis=1).max() < 50


# --- the file ------------------------------------------------------------------------------------------------


def test_every_table_and_keyword_is_moved(nustar: Path, moved: Path) -> None:
    with fits.open(nustar / "dummy_evt.evt") as before, fits.open(moved) as after:
        assert [hdu.name for hdu in after] == [*(hdu.name for hdu in before), "VO-TAGS"]
        for old, new in zip(before[1:], after[1:], strict=False):
            for name in old.columns.names:
                if name in ("TIME", "START", "STOP"):
                    assert (np.abs(new.data[name] - old.data[name] - 307.8) < 2.5).all(), (old.name, name)
                else:
                    assert old.data[name].tobytes() == new.data[name].tobytes(), (old.name, name)
            header = new.header
            assert (header["TIMESYS"], header["TIMEREF"], header["PLEPHEM"]) == ("TDB", "SOLARSYSTEM", "JPL-DE421")
            assert "CHECKSUM" not in header and "DATASUM" not in header
        header, old = after["EVENTS"].header, before["EVENTS"].header
        assert header["RADECSYS"] == "FK5" and header["CLOCKAPP"] is False
        assert (header["RA_OBJ"], header["DEC_OBJ"]) == (RA, DEC)
        assert header["TREFDIR"] == "BARYRA,BARYDEC"
        place = SkyCoord(header["BARYRA"], header["BARYDEC"], unit="deg").separation(
            SkyCoord(RA, DEC, unit="deg", frame="fk5").icrs)  # fmt: skip
        assert place.arcsec < 1e-4
        assert header["TSTART"] - old["TSTART"] == pytest.approx(309.54, abs=0.01)
        start = Time(55197, 0.00076601852 + header["TSTART"] / 86400, format="mjd", scale="tdb")
        assert header["DATE-OBS"] == start.isot
        assert header["MJD-OBS"] == pytest.approx(start.mjd, abs=1e-9)
    if shutil.which("fitsverify"):
        subprocess.run(["fitsverify", "-q", str(moved)], check=True)
    tags = votags.read(moved)
    assert tags is not None and tags.row["dataproduct_type"] == "event"
    assert "CLOCKAPP is F" in (moved.parents[1] / "log.txt").read_text()


def test_an_event_stays_in_its_good_time(nustar: Path, moved: Path) -> None:
    inside = []
    for path in (nustar / "dummy_evt.evt", moved):
        with fits.open(path) as hdus:
            times, good = hdus["EVENTS"].data["TIME"], hdus["GTI"].data
            inside.append(((times[:, None] >= good["START"]) & (times[:, None] <= good["STOP"])).any(axis=1))
    assert np.array_equal(inside[0], inside[1]) and inside[0].sum() > 100


def test_a_light_curve_and_good_times_are_moved_too(tmp_path: Path) -> None:
    """The light curve of a list: its bins, its gaps and its good times; the same of the list's own GTI in a file."""
    path = tmp_path / "list.fits"
    write(path, Epic())
    curve = tmp_path / "curve"
    done = run(prepare(curve, {"definition": "lightcurve"}, eventlist=path), ROOT / "job_definitions/lightcurve/run.py")
    assert done.returncode == 0, done.stderr
    orbit = xmm_orbit(tmp_path / "orbit.fits", START - 100, START + 11_000)
    values = {"orbit": orbit, "position": "83.63 22.01"}
    result = make(tmp_path / "job", eventlist=curve / "results/lightcurve.fits", **values)
    with fits.open(curve / "results/lightcurve.fits") as before, fits.open(result) as after:
        first = after["RATE"].data["TIME"][0] - before["RATE"].data["TIME"][0]
        assert 1 < abs(first) < 500
        for name, column in (("RATE", "TIME"), ("GAPS", "START"), ("GTI00001", "STOP")):
            shift = after[name].data[column] - before[name].data[column]
            assert np.abs(shift - first).max() < 1.1, "the Earth moves by less than a light second in 10,000 s"
            assert after[name].header["TIMEREF"] == "SOLARSYSTEM"
        assert np.array_equal(after["RATE"].data["COUNTS"], before["RATE"].data["COUNTS"])
    assert "at the barycentre already" in refusal(tmp_path / "again", eventlist=result, **values)


def xmm_orbit(path: Path, first: float, last: float, **changes: object) -> Path:
    """An orbit file with the columns of XMM-Newton's: a circle of 60,000 km."""
    times = np.arange(first, last, 60.0)
    angle = 2 * np.pi * times / 146_000
    place = 60_000 * np.column_stack((np.cos(angle), np.sin(angle), 0 * angle))
    speed = 60_000 * 2 * np.pi / 146_000 * np.column_stack((-np.sin(angle), np.cos(angle), 0 * angle))
    place *= float(changes.pop("factor", 1.0))  # type: ignore[arg-type]
    columns = [fits.Column("TIME", "D", unit="s", array=times)]
    columns += [fits.Column(f"GEI_{axis}", "D", unit="km", array=place[:, number]) for number, axis in enumerate("XYZ")]
    columns += [fits.Column(f"V{axis}", "D", unit="km/s", array=speed[:, number]) for number, axis in enumerate("XYZ")]
    header = fits.Header({"TELESCOP": "XMM", "TIMESYS": "TT", "MJDREF": 50814.0, "TIMEREF": "LOCAL", **changes})
    table = fits.BinTableHDU.from_columns(columns, header=header, name="ORBIT")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path


# --- what is refused -----------------------------------------------------------------------------------------


@pytest.fixture
def events(tmp_path: Path) -> Path:
    write(tmp_path / "list.fits", Epic(rows=500))
    return tmp_path / "list.fits"


def test_an_orbit_that_does_not_cover_the_events_is_refused_with_the_times(events: Path, tmp_path: Path) -> None:
    orbit = xmm_orbit(tmp_path / "orbit.fits", START + 1000, START + 8000)
    said = refusal(tmp_path / "job", eventlist=events, orbit=orbit, position="150 2")
    assert said.startswith("orbit: orbit.fits covers 100001000.000 to 100007960.000 s; ")
    assert (
        "times of table EVENTS lie outside, from 1000000" in said and "give the orbit of the whole observation" in said
    )


def test_a_gap_of_the_orbit_is_no_cover(events: Path, tmp_path: Path) -> None:
    orbit = xmm_orbit(tmp_path / "orbit.fits", START - 100, START + 11_000)
    with fits.open(orbit, mode="update") as hdus:
        times = hdus["ORBIT"].data["TIME"]
        hdus["ORBIT"].data = hdus["ORBIT"].data[(times < START + 2000) | (times > START + 3000)]
    assert "with 1 gaps" in refusal(tmp_path / "job", eventlist=events, orbit=orbit, position="150 2")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"factor": 1e3}, "which is no orbit; its columns must be in m or km"),
        ({"TIMESYS": "UTC"}, "its times are UTC, those of the event list are TT"),
    ],
)
def test_an_orbit_that_is_none_is_refused(events: Path, tmp_path: Path, changes: dict[str, object], said: str) -> None:
    orbit = xmm_orbit(tmp_path / "orbit.fits", START - 100, START + 11_000, **changes)
    assert said in refusal(tmp_path / "job", eventlist=events, orbit=orbit, position="150 2")


def test_other_files_are_refused(events: Path, tmp_path: Path, shared: Path) -> None:
    orbit = xmm_orbit(tmp_path / "orbit.fits", START - 100, START + 11_000)
    assert "no table of places with a column TIME" in refusal(tmp_path / "a", eventlist=events, orbit=events)
    assert "no events, no light curve and no good times" in refusal(tmp_path / "b", eventlist=orbit, orbit=orbit)
    assert "position: it is empty, and list.fits has no RA_OBJ" in refusal(
        tmp_path / "c", eventlist=events, orbit=orbit
    )
    values = {"eventlist": events, "orbit": orbit, "position": "150 2"}
    assert "orbit.fits is no JPL ephemeris" in refusal(tmp_path / "d", ephemeris=orbit, **values)
    nicer = shared / "real/nicer/ngc300nicer_bary.evt"
    assert "at the barycentre already (TIMESYS TDB, TIMEREF SOLARSYSTEM)" in refusal(
        tmp_path / "e", eventlist=nicer, orbit=orbit
    )
    with fits.open(events, mode="update") as hdus:
        hdus["EVENTS"].header["TELESCOP"] = "SWIFT"
    assert "SWIFT counts seconds of UTC" in refusal(tmp_path / "f", **values)


def test_units_come_from_the_size_where_the_column_has_none(tmp_path: Path) -> None:
    path = xmm_orbit(tmp_path / "orbit.fits", 0.0, 6000.0)
    expected = read_orbit(path, XMM).track.places
    with fits.open(path, mode="update") as hdus:
        for number in range(2, 8):
            del hdus["ORBIT"].header[f"TUNIT{number}"]
    assert read_orbit(path, XMM).track.places == pytest.approx(expected)
