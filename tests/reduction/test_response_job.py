"""The job `response`: what it writes, which calibration files it takes, what it refuses, and the SAS in its place."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from calibrationserver import running_service
from checkout import ROOT
from provenance import votags
from reduction.calibration.area import OnAxis
from reduction.calibration.builtin import built_in_redistribution
from reduction.fitting.data import read_spectrum
from reduction.fitting.expression import parse_model
from reduction.fitting.fit import fit
from reduction.missions.xmm import EMOS1, EPN
from reduction.responses import (
    EffectiveArea,
    read_effective_area,
    read_redistribution,
    write_effective_area,
    write_redistribution,
)
from reduction.responses.grid import Camera, EnergyGrid
from reduction.simulate import simulate, small, truth_path
from reduction.simulate.cameras import CAMERAS
from reduction.simulate.responsefiles import write_responses
from sasrecorders import RELEASE, Recorders
from scriptjobs import prepare, run

SCRIPT = ROOT / "job_definitions/response/run.py"
CIRCLE = 'icrs; circle(148.974, 69.6512, 40")'


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One list of pn and one of MOS1."""
    made = simulate(small(), tmp_path_factory.mktemp("simulated"), cameras=("EPN", "EMOS1"))
    return dict(zip(("EPN", "EMOS1"), made, strict=True))


@pytest.fixture(autouse=True)
def nothing_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UWS_CALIBRATION", "CALDB", "SAS_DIR", "SAS_CCFPATH", "SAS_CCF"):
        monkeypatch.delenv(name, raising=False)


def done(folder: Path, **values: object) -> subprocess.CompletedProcess[str]:
    return run(prepare(folder, {"definition": "response"}, **{"source_region": CIRCLE, **values}), SCRIPT)


def made(folder: Path, **values: object) -> Path:
    found = done(folder, **values)
    assert found.returncode == 0, found.stderr
    (folder / "log.txt").write_text(found.stdout)
    return folder / "results"


def refused(folder: Path, **values: object) -> str:
    found = done(folder, **values)
    assert found.returncode == 1 and found.stderr.startswith("[ERROR]"), (found.returncode, found.stderr)
    assert not list((folder / "results").glob("*")) or not (folder / "steps.json").is_file()
    return found.stderr


@pytest.fixture(scope="module")
def pn(lists: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("jobs") / "pn", eventlist=lists["EPN"])


def test_a_spectrum_names_its_responses_which_fit_it(pn: Path) -> None:
    with fits.open(pn / "spectrum.fits") as file:
        header = file["SPECTRUM"].header
        assert (header["RESPFILE"], header["ANCRFILE"]) == ("response.rmf", "response.arf")
        counts = int(file["SPECTRUM"].data["COUNTS"].sum())
        assert header["DETCHANS"] == 4096 and counts > 5000
        assert f"source region: {counts} counts" in (pn.parent / "log.txt").read_text()
    matrix, area = read_redistribution(pn / "response.rmf"), read_effective_area(pn / "response.arf")
    assert (matrix.channels.first, matrix.channels.size) == (0, 4096)
    assert matrix.energies.differs(area.energies) == ""
    with fits.open(pn / "response.rmf") as file:
        assert file["MATRIX"].header["TLMIN4"] == 0


def test_what_is_approximate_is_said_in_header_and_log(pn: Path) -> None:
    log = (pn.parent / "log.txt").read_text()
    with fits.open(pn / "response.arf") as file:
        header = file["SPECRESP"].header
        assert header["APPROX"] is True and header["EXTENDED"] is False and header["PATTERN"] == "0:4"
        assert header["ENCIRCLE"] == pytest.approx(0.878, abs=0.004)
        told = [header[f"RESPFRM{number}"] for number in range(1, 5)]
    assert told[0].startswith("redistribution: peak, tail, shelf and escape peak as measured")
    assert told[1].startswith("area on the axis: built-in curve")
    assert told[3] == "vignetting and encircled energy: published curves, rounded, good to some 5 %"
    assert all(f"Note: {line}\n" in log for line in told)


def test_products_are_tagged_and_sound(pn: Path) -> None:
    for name in ("spectrum.fits", "response.rmf", "response.arf"):
        tags = votags.read(pn / name)
        assert tags is not None and tags.steps[-1].extra
        if shutil.which("fitsverify"):
            assert subprocess.run(["fitsverify", "-q", pn / name], check=False).returncode == 0


@pytest.mark.parametrize("number", range(len(small().sources)))
@pytest.mark.parametrize("camera", ["EPN", "EMOS1"])
def test_the_area_is_the_one_that_the_simulator_drew_through(
    lists: dict[str, Path], tmp_path: Path, camera: str, number: int
) -> None:
    """Its own area of a source in a circle, gaps and bad pixels off."""
    source = small().sources[number]
    text = f'icrs; circle({source.ra}, {source.dec}, 40")'
    results = made(tmp_path / "job", eventlist=lists[camera], source_region=text)
    truth = write_responses(small(), tmp_path, CAMERAS[camera])[number + 1]
    energies = np.arange(0.5, 8.0, 0.1)
    ours, theirs = (read_effective_area(path).at(energies) for path in (results / "response.arf", truth))
    assert np.abs(ours / theirs - 1).max() < 0.02


@pytest.mark.parametrize("camera", ["EPN", "EMOS1"])
def test_a_fit_gives_a_simulated_source_back(tmp_path: Path, camera: str) -> None:
    """Index and norm within three errors of less than 2 %, through the responses that are built in."""
    source = replace(small().sources[0], flux=3e-11)
    sky = replace(small(), sources=(source,), flare=None, exposure_s=8000.0 if camera == "EPN" else 25_000.0,
                  particle_rate=0.0, sky_rate=0.0, proton_rate=0.0)  # fmt: skip
    (events,) = simulate(sky, tmp_path, cameras=(camera,))
    made(tmp_path / "job", eventlist=events)
    spectrum = read_spectrum(tmp_path / "job" / "results" / "spectrum.fits").select(0.5, 10.0)
    found = {each.name: each for each in fit([spectrum], parse_model("powerlaw")).parameters}
    truth = json.loads(truth_path(tmp_path, sky).read_text())["observation"]["sources"][0]
    for name, wanted in (("PhoIndex", 1.7), ("norm", truth["photons_cm2_s_keV_at_1_keV"])):
        value, error = found[f"powerlaw.{name}"].value, found[f"powerlaw.{name}"].error
        assert error is not None and error < 0.02 * wanted
        assert value == pytest.approx(wanted, abs=3 * error)


def test_an_extended_source_is_not_corrected_for_light_outside(
    lists: dict[str, Path], pn: Path, tmp_path: Path
) -> None:
    point = read_effective_area(pn / "response.arf")
    for extent in ("flat", "events"):
        results = made(tmp_path / extent, eventlist=lists["EPN"], source_extent=extent)
        found = read_effective_area(results / "response.arf")
        ratio = point.at(np.array([1.5]))[0] / found.at(np.array([1.5]))[0]
        with fits.open(results / "response.arf") as file:
            header = file["SPECRESP"].header
            assert header["EXTENDED"] is True
            assert ratio == pytest.approx(0.878 / header["GOODPART"], rel=0.01)


def test_patterns_change_the_area_by_what_is_known_or_measured(
    lists: dict[str, Path], pn: Path, tmp_path: Path
) -> None:
    usual = read_effective_area(pn / "response.arf")
    single = read_effective_area(made(tmp_path / "pn", eventlist=lists["EPN"], pattern="0") / "response.arf")
    parts = single.area_cm2 / usual.area_cm2
    energies = usual.energies.middle
    assert np.interp([0.3, 1.5, 6.0], energies, parts) == pytest.approx([0.96, 0.7, 0.61], abs=0.02)
    mos = [read_effective_area(made(tmp_path / f"mos{name}", eventlist=lists["EMOS1"], pattern=name) / "response.arf")
           for name in ("0:12", "0")]  # fmt: skip
    ratio = mos[1].at(np.array([1.0]))[0] / mos[0].at(np.array([1.0]))[0]
    assert ratio == pytest.approx(0.72 / 0.98, abs=0.05)  # the simulator's part of single events among 0 to 12
    assert "measured from the events of the region" in (tmp_path / "mos0" / "log.txt").read_text()


@pytest.mark.parametrize(("width", "channels"), [("5", 2400), ("15", 800)])
def test_mos_has_800_or_2400_channels(lists: dict[str, Path], tmp_path: Path, width: str, channels: int) -> None:
    results = made(tmp_path / "mos", eventlist=lists["EMOS1"], channel_width=width)
    assert read_redistribution(results / "response.rmf").channels.size == channels
    with fits.open(results / "spectrum.fits") as file:
        assert file["SPECTRUM"].header["DETCHANS"] == channels


def test_a_spectrum_that_is_given_is_named_and_kept(lists: dict[str, Path], pn: Path, tmp_path: Path) -> None:
    given = tmp_path / "mine.pha"
    with fits.open(pn / "spectrum.fits") as file:
        file["SPECTRUM"].data["COUNTS"][100] = 77
        file["SPECTRUM"].header["RESPFILE"] = "NONE"
        file.writeto(given)
    results = made(tmp_path / "job", eventlist=lists["EPN"], spectrum=given)
    with fits.open(results / "spectrum.fits") as file:
        assert file["SPECTRUM"].data["COUNTS"][100] == 77
        assert file["SPECTRUM"].header["RESPFILE"] == "response.rmf"
    told = refused(tmp_path / "no", eventlist=lists["EPN"], spectrum=lists["EPN"])
    assert "spectrum: P0999990101PNS003PIEVLI0000.FITS has no table SPECTRUM" in told
    told = refused(tmp_path / "other", eventlist=lists["EMOS1"], spectrum=given)
    assert "channel_width: the spectrum has 4096 channels, the response 2400" in told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A calibration folder with matrices of pn and an area of pn through the simulator's filter."""
    place = tmp_path / "calibration"
    place.mkdir()
    for name in ("epn_e4_ff20_sdY9_v21.0.rmf", "epn_e3_ff20_sdY9_v21.0.rmf"):
        write_redistribution(place / name, built_in_redistribution(EPN, Camera("XMM", "EPN")))
    return place


def test_a_canned_matrix_of_the_folder_is_taken(
    lists: dict[str, Path], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UWS_CALIBRATION", str(folder))
    results = made(tmp_path / "job", eventlist=lists["EPN"])
    log = (results.parent / "log.txt").read_text()
    assert "redistribution: calibration file epn_e4_ff20_sdY9_v21.0.rmf" in log and str(folder) not in log
    told = refused(tmp_path / "mos", eventlist=lists["EMOS1"])
    assert "[ERROR] calibration: the calibration folder" in told or "channel_width: the calibration folder" in told
    told = refused(tmp_path / "single", eventlist=lists["EPN"], pattern="0")
    assert "has no calibration file with telescope XMM, instrument EPN, kind REDIST" in told and "pattern 0" in told


def test_an_area_of_the_folder_is_taken_for_its_filter_and_date(
    lists: dict[str, Path], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UWS_CALIBRATION", str(folder))
    name = fits.getheader(lists["EPN"])["FILTER"]
    grid = EnergyGrid.of_edges(np.linspace(0.1, 12.0, 200))
    words = {"CCLS0001": "CPF", "CDTP0001": "DATA", "CCNM0001": "SPECRESP", "CVSD0001": "2001-01-01",
             "CVST0001": "00:00:00", "CBD10001": "PATTERN(0:4)"}  # fmt: skip
    cards = [(key, value, "") for key, value in words.items()]
    area = EffectiveArea(grid, np.full(grid.size, 1000.0), Camera("XMM", "EPN", name))
    write_effective_area(folder / "pn_axis.arf", area, cards)  # type: ignore[arg-type]
    found = read_effective_area(made(tmp_path / "job", eventlist=lists["EPN"]) / "response.arf")
    with fits.open(tmp_path / "job/results/response.arf") as file:
        header = file["SPECRESP"].header
        assert header["RESPFRM2"] == "area on the axis: calibration file pn_axis.arf"
        assert found.at(np.array([1.5]))[0] == pytest.approx(1000 * header["SEENPART"], rel=1e-3)
    cards[3] = ("CVSD0001", "2099-01-01", "")
    write_effective_area(folder / "pn_axis.arf", area, cards)  # type: ignore[arg-type]
    told = refused(tmp_path / "late", eventlist=lists["EPN"])
    assert "calibration: the calibration folder has no calibration file with telescope XMM, instrument EPN" in told
    assert "it has other dates: 2099-01-01 to ..." in told


def test_a_service_is_asked_with_the_token_of_the_server(
    lists: dict[str, Path], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret-token\n")
    grid = EnergyGrid.of_edges(np.linspace(0.1, 12.0, 200))
    write_effective_area(tmp_path / "a.arf", EffectiveArea(grid, np.full(grid.size, 900.0), Camera("XMM", "EPN")))
    files = {"/m": next(folder.glob("*e4*")).read_bytes(), "/a": (tmp_path / "a.arf").read_bytes()}
    rows = [{"name": "m.rmf", "url": "m", "type": "MATRIX"}, {"name": "a.arf", "url": "a", "type": "SPECRESP"}]
    with running_service(rows=rows, files=files, token="s3cret-token") as service:
        monkeypatch.setenv("UWS_CALIBRATION", service.url)
        monkeypatch.setenv("UWS_CALIBRATION_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("UWS_SECRET_calibration_token", str(token))
        results = made(tmp_path / "job", eventlist=lists["EPN"])
        asked = [query for path, query, _ in service.asked if path == "/search"]
        monkeypatch.setenv("UWS_SECRET_calibration_token", str(tmp_path / "absent"))
        told = refused(tmp_path / "unread", eventlist=lists["EPN"])
    assert {query["type"] for query in asked} == {"MATRIX", "SPECRESP"}
    assert all(query["instrument"] == "EPN" and query["pattern"] == "0:4" and query["date"] for query in asked)
    assert "calibration file a.arf" in (results.parent / "log.txt").read_text()
    assert "calibration: the file that UWS_SECRET_calibration_token names cannot be read" in told
    for path in (tmp_path / "job").rglob("*"):
        assert not path.is_file() or b"s3cret-token" not in path.read_bytes()


def test_a_matrix_of_the_user_comes_first(lists: dict[str, Path], tmp_path: Path) -> None:
    own = tmp_path / "mine.rmf"
    write_redistribution(own, built_in_redistribution(EMOS1.with_channel_width(15), Camera("XMM", "EMOS1")))
    made(tmp_path / "job", eventlist=lists["EMOS1"], rmf=own, channel_width="15")
    assert "redistribution: of the user mine.rmf" in (tmp_path / "job/log.txt").read_text()
    told = refused(tmp_path / "five", eventlist=lists["EMOS1"], rmf=own)
    assert "channel_width: mine.rmf has 800 channels, the spectrum 2400" in told


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"source_region": ""}, "source_region: it is empty; a response is that of a region"),
        ({"method": "calibration"}, "method: no calibration files are set up on this server"),
        ({"method": "guess"}, "method: 'guess' is no method"),
        ({"method": "sas"}, "the SAS is not set up on this server"),
        ({"method": "sas", "rmf": "mine.rmf"}, "rmf: the SAS makes a matrix of its own"),
        ({"source_extent": "round"}, "source_extent: 'round' is no extent of a source; write point, flat, events"),
        ({"source_position": "149.9 69.6512"}, "no good pixel of the region lies within 300 arcsec of the source"),
        ({"channel_width": "15"}, "15 eV is no channel width of XMM-Newton EPIC pn"),
    ],
)
def test_what_makes_no_response_is_refused(
    lists: dict[str, Path], tmp_path: Path, values: dict[str, str], told: str
) -> None:
    assert told in refused(tmp_path / "job", eventlist=lists["EPN"], **values)


@pytest.mark.parametrize(
    ("keyword", "value", "told"),
    [
        ("FILTER", "Closed", "eventlist: FILTER is Closed; there is an effective area for Thin1"),
        ("DATE-OBS", "", "eventlist: its header has no DATE-OBS"),
        ("DATE-OBS", "last week", "eventlist: 'last week' is no date"),
    ],
)
def test_a_list_that_does_not_say_what_is_needed_is_refused(
    lists: dict[str, Path], tmp_path: Path, keyword: str, value: str, told: str
) -> None:
    path = tmp_path / "changed.fits"
    shutil.copy(lists["EPN"], path)
    with fits.open(path, mode="update") as file:
        for hdu in file:
            if keyword in hdu.header:
                hdu.header[keyword] = value
    assert told in refused(tmp_path / "job", eventlist=path)


def test_the_sas_is_called_where_it_is_installed(
    lists: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorders = Recorders(tmp_path / "sas")
    for name, value in recorders.environment.items():
        monkeypatch.setenv(name, value)
    results = made(tmp_path / "job", eventlist=lists["EPN"], source_position="148.9745 69.651")
    calls = recorders.calls()
    assert [name for name, _ in calls] == ["evselect", "backscale", "rmfgen", "arfgen"]
    select, scale, rmf, arf = (values for _, values in calls)
    assert select["spectralbinsize"] == "5" and select["specchannelmax"] == "20479"
    assert "(X,Y) IN circle(" in select["expression"] and "PATTERN" in select["expression"]
    assert scale["badpixlocation"] == arf["badpixlocation"] == select["table"]
    assert rmf["rmfset"] == arf["rmfset"] and arf["withrmfset"] == "yes"
    assert (arf["extendedsource"], arf["detmaptype"]) == ("no", "psf")
    assert (arf["sourcecoords"], arf["sourcex"], arf["sourcey"]) == ("eqpos", "148.9745000", "69.6510000")
    with fits.open(results / "spectrum.fits") as file:
        assert file["SPECTRUM"].header["ANCRFILE"] == "response.arf"
    tags = votags.read(results / "response.arf")
    assert tags is not None
    assert [(step.extra["task"], step.extra["version"]) for step in tags.steps[-5:-1]] == [
        (name, RELEASE) for name in ("evselect", "backscale", "rmfgen", "arfgen")
    ]
    made(tmp_path / "own", eventlist=lists["EPN"], method="built-in")
    assert len(recorders.calls()) == 4
    made(tmp_path / "flat", eventlist=lists["EMOS1"], source_extent="flat", channel_width="15")
    select, _, _, arf = (values for _, values in recorders.calls()[4:])
    assert (select["spectralbinsize"], select["specchannelmax"]) == ("15", "11999")
    assert (arf["extendedsource"], arf["detmaptype"]) == ("yes", "flat") and "sourcex" not in arf
    recorders.fail("rmfgen", "** rmfgen: error (noCcf), no calibration file for this date")
    told = refused(tmp_path / "fails", eventlist=lists["EPN"])
    assert "rmfgen of the SAS failed: no calibration file for this date (noCcf)" in told


def test_a_list_of_another_telescope_is_refused(shared: Path, tmp_path: Path) -> None:
    path = shared / "real" / "chandra_m82" / "acis_10027_events.fits"
    told = refused(tmp_path / "job", eventlist=path, source_region="physical; circle(4000, 4000, 20)")
    assert "eventlist: responses are made of XMM-Newton EPIC only; this list is of Chandra ACIS" in told


def test_the_built_in_curve_is_none_for_other_cameras() -> None:
    assert OnAxis.built_in("EPN", None).curve(np.array([1.5]))[0] == pytest.approx(1390, rel=0.02)
