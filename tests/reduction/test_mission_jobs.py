"""Each job on a list of each mission: it works, with counts that astropy gives, or is refused with one sentence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from missionlists import LENGTH, LISTS, START, MissionList, run_job, write_mission
from reduction.errors import ReductionError
from reduction.events.eventlist import open_eventlist
from reduction.missions import MISSIONS
from scriptjobs import ROOT

REAL = {
    "Chandra ACIS": "chandra_m82/acis_10027_events.fits",
    "NuSTAR FPMA": "nustar_b1937/dummy_evt.evt",
    "NICER XTI": "nicer/ngc300nicer_bary.evt",
}
NO_SKY = "no sky"
NO_RESPONSE = "responses are made of XMM-Newton EPIC only; this list is of "
NO_LIMIT = "no sky coordinates, so that there are no regions"
CORRECTED = "are at the barycentre already"
OTHER_TIME = "dummy_orb.fits covers .*give the orbit of the whole observation"
PRODUCTS = {
    "events": "events.fits",
    "flare_filter": "gti.fits",
    "image": "image_3-8keV.fits",
    "lightcurve": "lightcurve.fits",
    "spectrum": "source_spectrum.fits",
    "upper_limit": "limits.fits",
    "barycentre": "barycentred.fits",
    "response": "response.rmf",
}
REFUSED = {
    ("image", "NICER XTI"): NO_SKY,
    ("upper_limit", "NICER XTI"): NO_LIMIT,
    ("barycentre", "NICER XTI"): CORRECTED,
    **{("barycentre", name): OTHER_TIME for name in ("Chandra ACIS", *LISTS)},
    **{("response", name): NO_RESPONSE for name in ("Chandra ACIS", "NuSTAR FPMA", "NuSTAR FPMB", "NICER XTI", *LISTS)},
    ("barycentre", "Swift XRT"): "SWIFT counts seconds of UTC, which are not read; use barycorr",
}


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("lists")
    made = {}
    for name, form in LISTS.items():
        made[name] = folder / f"{name.replace(' ', '_')}.fits"
        write_mission(made[name], form)
    return made


def asked(job: str, path: Path, shared: Path) -> dict[str, Any]:
    """The values of a job on a list: a circle with half of the events, an annulus around it, 3 to 8 keV."""
    with open_eventlist(path) as events:
        regions: dict[str, Any] = {"source_region": "", "background_region": ""}
        if events.x is not None and events.y is not None:
            x, y = (
                np.concatenate([column.floats(rows) for rows in events.chunks()]) for column in (events.x, events.y)
            )
            x0, y0 = float(np.median(x)), float(np.median(y))
            r = float(np.median(np.hypot(x - x0, y - y0)))
            regions = {"source_region": f"physical; circle({x0},{y0},{r})",
                       "background_region": f"physical; annulus({x0},{y0},{1.1 * r},{2 * r})"}  # fmt: skip
    match job:
        case "events":
            return {"energy": "3 8", "region": regions["source_region"]}
        case "image":
            return {"bands": ["3 8"], "bin_size": 60.0}
        case "flare_filter":
            return {"energy": "3 8", "method": "sigma", "bin_size": 200.0}
        case "barycentre":
            return {"orbit": shared / "real/nustar_b1937/dummy_orb.fits.gz", "position": "294.91 21.58"}
        case "response":
            return {"source_region": regions["source_region"] or "physical; circle(1,1,1)"}
        case _:
            return {"energy": "3 8", **regions}


@pytest.mark.parametrize("name", [*REAL, *LISTS])
@pytest.mark.parametrize("job", PRODUCTS)
def test_each_job_on_each_mission_works_or_is_refused_with_a_sentence(
    shared: Path, lists: dict[str, Path], tmp_path: Path, job: str, name: str
) -> None:
    path = shared / "real" / REAL[name] if name in REAL else lists[name]
    values = asked(job, path, shared)
    if why := REFUSED.get((job, name)):
        with pytest.raises(ReductionError, match=why) as caught:
            run_job(tmp_path, job, eventlist=path, **values)
        assert caught.value.parameter is not None
        assert not list(tmp_path.glob("results/*"))
        return
    product = run_job(tmp_path, job, eventlist=path, **values)[PRODUCTS[job]]
    with fits.open(product) as hdus:
        hdus.verify("exception")
        assert any(hdu.header.get("TELESCOP") == fits.getval(path, "TELESCOP", 1) for hdu in hdus)


@pytest.mark.parametrize(
    ("name", "maker"), [("Chandra ACIS", "fluximage of CIAO"), ("NuSTAR FPMA", "nuexpomap of NuSTARDAS")]
)
def test_a_map_that_is_not_made_is_told_with_what_makes_one(
    shared: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, maker: str
) -> None:
    path = shared / "real" / REAL[name]
    products = run_job(tmp_path, "image", eventlist=path, **asked("image", path, shared))
    assert not [product for product in products if "exposure" in product]
    told = " ".join(capfd.readouterr())
    assert f"the CCDs of {name} cannot be placed by its events" in told
    assert maker in told


@pytest.mark.parametrize("name", LISTS)
def test_the_counts_of_a_documented_list_are_those_of_astropy(
    lists: dict[str, Path], tmp_path: Path, name: str
) -> None:
    """By its own columns: energy, usual grades, good times; the whole sky."""
    form = LISTS[name]
    table = {key: np.asarray(fits.getdata(lists[name], "EVENTS")[key]) for key in form.columns if key[:4] != "STAT"}
    grade = next((table[key] for key in ("GRADE", "PAT_TYP", "ITYPE") if key in table), np.zeros(len(table["TIME"])))
    usual = {"eROSITA": [1, 2, 3, 4], "XRISM Resolve": [0], "XRISM Xtend": [0, 2, 3, 4, 6]}.get(name, list(range(13)))
    column, step = form.energy
    stop = START + LENGTH - np.where(table["TM_NR"] > 1, 500, 0) if "TM_NR" in table else START + LENGTH
    low, high = 3 / step, 8 / step
    wanted = np.isin(grade, usual) & (table[column] >= low - 1e-6) & (table[column] <= high + 1e-6)
    wanted &= table["TIME"] < stop
    made = run_job(tmp_path, "events", eventlist=lists[name], energy="3 8")
    assert np.array_equal(np.sort(fits.getdata(made["events.fits"], "EVENTS")["TIME"]), np.sort(table["TIME"][wanted]))
    assert 0 < wanted.sum() < len(wanted)


@pytest.mark.parametrize("name", LISTS)
def test_a_documented_list_has_its_clock_its_sky_and_its_good_times(lists: dict[str, Path], name: str) -> None:
    with open_eventlist(lists[name]) as events:
        assert events.mission.name == name
        assert events.wcs is not None
        assert events.wcs.wcs.cdelt[1] * 3600 == pytest.approx(LISTS[name].pixel_arcsec)
        assert events.clock.day is not None
        assert events.clock.day + events.clock.fraction == pytest.approx(LISTS[name].mjdref, abs=1e-9)
        assert set(events.gtis) == ({None} if LISTS[name].gtis == ("GTI",) else set(range(1, 8)))


def test_the_table_of_the_documentation_is_what_these_tests_find() -> None:
    """Every known instrument has a row, and a job that is refused for what the instrument is says no."""
    lines = (ROOT / "docs/missions.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.count("|") == 10]
    jobs = rows[0][1:]
    assert set(jobs) == set(PRODUCTS)
    assert [row[0] for row in rows[2:]] == [mission.name for mission in MISSIONS]
    of_the_list = (OTHER_TIME, CORRECTED)
    told = {(job, row[0]) for row in rows[2:] for job, cell in zip(jobs, row[1:], strict=True) if cell[:2] == "no"}
    assert told == {key for key, why in REFUSED.items() if why not in of_the_list}


@pytest.mark.parametrize(("cards", "sentence"), [
    ({"TELESCOP": "SWIFT", "INSTRUME": "XRT", "DATAMODE": "WINDOWED"}, "only PHOTON mode.*one direction only"),
    ({"TELESCOP": "SVOM", "INSTRUME": "MXT"}, "SVOM MXT, which is not read here: no public document gives the columns"),
    ({"TELESCOP": "CHANDRA", "INSTRUME": "HRC"}, "CHANDRA HRC, which is not read here: its events have no energies"),
    ({"TELESCOP": "XMM", "INSTRUME": "RGS1"}, "XMM RGS1, which is not read here: its spectra are dispersed"),
])  # fmt: skip
def test_lists_that_are_not_read_are_refused_with_the_reason(
    tmp_path: Path, cards: dict[str, str], sentence: str
) -> None:
    write_mission(tmp_path / "list.fits", LISTS["Swift XRT"], **cards)
    with pytest.raises(ReductionError, match=sentence), open_eventlist(tmp_path / "list.fits"):
        pass


def test_a_survey_is_told_to_have_moved(tmp_path: Path) -> None:
    form: MissionList = LISTS["eROSITA"]
    write_mission(tmp_path / "list.fits", form, OBS_MODE="SURVEY")
    with open_eventlist(tmp_path / "list.fits") as events:
        assert [note for note in events.notes if re.search("OBS_MODE is SURVEY: the telescope moved", note)]
