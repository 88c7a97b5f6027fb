"""The jobs that call the SAS, with recorders in its place: `sasrecorders` says what this shows, and what not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import requests
from astropy.io import fits

from checkout import ROOT
from provenance import votags
from reduction import regions
from reduction.errors import ReductionError
from reduction.events.eventlist import open_eventlist
from reduction.sas import installation
from reduction.sas.tasks import TASKS, task_named
from reduction.simulate import simulate, small
from sasrecorders import RELEASE, Recorders
from serving import running_server
from uws_server import client

SOURCE = 'icrs; circle(148.974, 69.6512, 40")'
BACKGROUND = 'icrs; annulus(148.974, 69.6512, 60", 120")'


@pytest.fixture(scope="module")
def eventlist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(small(), tmp_path_factory.mktemp("observation"), cameras=["EPN"])[0]


@pytest.fixture
def recorders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorders:
    made = Recorders(tmp_path / "sas")
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


def run(url: str, name: str, eventlist: Path, **values: str) -> client.JobState:
    address = client.create(
        f"{url}/rest/{name}", {name: [value] for name, value in values.items()}, {"eventlist": [eventlist]}
    )
    return client.follow(address, lambda _: None)


def test_a_spectrum_with_its_responses(recorders: Recorders, eventlist: Path, tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as served:
        final = run(served.url, "sas_spectrum", eventlist, source_region=SOURCE, background_region=BACKGROUND)
        assert final.phase == "COMPLETED", final.error
        log = requests.get(f"{final.url}/results/log", timeout=300).text
        grouped = client.download(next(r for r in final.results if r.name == "grouped_spectrum"), tmp_path)
    calls = recorders.calls()
    assert [name for name, _ in calls] == [
        "evselect", "backscale", "evselect", "backscale", "rmfgen", "arfgen", "specgroup",
    ]  # fmt: skip
    source, _, outside, _, rmf, arf, group = (values for _, values in calls)
    # threads of the SAS for pn: 5 eV from channel 0 to 20479
    channels = {"spectralbinsize": "5", "specchannelmin": "0", "specchannelmax": "20479", "withspecranges": "yes"}
    assert channels.items() <= source.items() and channels.items() <= outside.items()
    assert source["expression"].startswith("FLAG == 0 && (PATTERN in [:4]) && (((X,Y) IN circle(")
    assert (rmf["rmfset"], arf["withrmfset"], arf["rmfset"]) == ("response.rmf", "yes", "response.rmf")
    assert arf["detmaptype"] == "psf" and arf["extendedsource"] == "false"
    assert group["backgndset"] == "background_spectrum.fits" and group["mincounts"] == "25"
    assert "[STAGE 7/7] Running specgroup" in log
    steps = votags.read(grouped).steps
    inner = [step.extra for step in steps if step.extra["task"] in TASKS]
    assert [step["task"] for step in inner] == [name for name, _ in calls]
    assert {step["version"] for step in inner} == {RELEASE}


def test_the_circle_is_where_the_user_put_it(recorders: Recorders, eventlist: Path, tmp_path: Path) -> None:
    """The pixels of the expression, read back by the reader of regions and by the WCS of astropy, are the sky's."""
    with running_server(tmp_path / "data") as served:
        final = run(served.url, "sas_lightcurve", eventlist, source_region=SOURCE, bin="10", energy="0.5 2")
        assert final.phase == "COMPLETED", final.error
        assert {result.name for result in final.results} == {"lightcurve", "source_counts", "log"}
    (counts, corrected) = (values for _, values in recorders.calls())
    assert "(PI in [500:2000])" in counts["expression"] and counts["timebinsize"] == "10"
    assert corrected["withbkgset"] == "no" and "bkgtslist" not in corrected
    circle = counts["expression"].partition("(X,Y) IN circle(")[2].partition(")")[0]
    x, y, radius = (float(word) for word in circle.split(","))
    with open_eventlist(eventlist) as events:
        (row,) = regions.parse(SOURCE).on(events.wcs).table_rows()
        header = fits.getheader(eventlist, "EVENTS")
    assert (x, y, radius) == (row.x[0], row.y[0], row.r[0])
    number = next(key[5:] for key in header if key.startswith("TTYPE") and header[key] == "X")
    assert radius == pytest.approx(40 / 3600 / abs(header[f"TCDLT{number}"]), rel=1e-6)


def test_barycentric_times(recorders: Recorders, eventlist: Path, tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as served:
        final = run(served.url, "sas_barycen", eventlist, position="9:55:53.76 +69:39:04.3")
        assert final.phase == "COMPLETED", final.error
    ((name, values),) = recorders.calls()
    assert name == "barycen" and values["table"] == "events.fits:EVENTS"
    assert float(values["srcra"]) == pytest.approx(148.974, abs=1e-9)
    assert float(values["srcdec"]) == pytest.approx(69.6511944, abs=1e-6)


def test_event_lists_from_observation_data_files(
    recorders: Recorders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the archive packs them: a tar archive within another. The job makes its own index and summary file."""
    inner, outer = tmp_path / "0123_0123456789.TAR", tmp_path / "0123456789.tar.gz"
    (tmp_path / "0123_0123456789_SCX00000SUM.ASC").write_text("summary")
    for packed, content in ((inner, "0123_0123456789_SCX00000SUM.ASC"), (outer, inner.name)):
        subprocess.run(["tar", "-caf", packed, "-C", tmp_path, content], check=True)
    for name in ("SAS_CCF", "SAS_ODF"):
        monkeypatch.delenv(name)
    (tmp_path / "made").mkdir()
    with running_server(tmp_path / "data") as served:
        address = client.create(f"{served.url}/rest/sas_events", {}, {"odf": [outer]})
        final = client.follow(address, lambda _: None)
        assert final.phase == "COMPLETED", final.error
        log = requests.get(f"{final.url}/results/log", timeout=300).text
        names = {client.download(result, tmp_path / "made").name for result in final.results if result.name != "log"}
    assert names == {
        "ccf.cif",
        "0123_0123456789_EPN_S003_ImagingEvts.fits",
        "0123_0123456789_EPN_S003_TimingEvts.fits",
        "0123_0123456789_EMOS1_S001_ImagingEvts.fits",
        "0123_0123456789_EMOS2_S002_ImagingEvts.fits",
    }
    assert [name for name, _ in recorders.calls()] == ["cifbuild", "odfingest", "epproc", "emproc"]
    index, summary = (values for _, values in recorders.calls()[:2])
    assert Path(index["calindexset"]).name == "ccf.cif" and index["withccfpath"] == "no"
    assert summary["odfdir"].endswith("/odf") and summary["withodfdir"] == "yes"
    assert "[STAGE 5/5] Calibrating the events of MOS" in log


def test_files_that_are_no_observation_data_are_refused_in_a_sentence(recorders: Recorders, tmp_path: Path) -> None:
    (tmp_path / "odf.tar").write_text("nothing of the kind")
    with running_server(tmp_path / "data") as served:
        final = client.follow(
            client.create(f"{served.url}/rest/sas_events", {}, {"odf": [tmp_path / "odf.tar"]}), lambda _: None
        )
    assert (final.phase, final.error) == ("ERROR", "odf: it is no tar archive of observation data files")


def test_sources_are_sought_in_all_bands_at_once(recorders: Recorders, eventlist: Path, tmp_path: Path) -> None:
    (tmp_path / "attitude.fits").write_bytes((recorders.folder / "blank.fits").read_bytes())
    with running_server(tmp_path / "data") as served:
        values = {"bands": ["0.5 2", "2 4.5"], "ecf": ["7.5", "1.9"]}
        files = {"eventlist": [eventlist], "attitude": [tmp_path / "attitude.fits"]}
        final = client.follow(client.create(f"{served.url}/rest/sas_detection", values, files), lambda _: None)
        assert final.phase == "COMPLETED", final.error
        assert {result.name for result in final.results} >= {"sources", "local_boxes", "map_boxes"}
    soft, hard, chain = recorders.calls()
    assert [name for name, _ in (soft, hard, chain)] == ["evselect", "evselect", "edetect_chain"]
    assert "(PI in [500:2000])" in soft[1]["expression"] and "(PI in [2000:4500])" in hard[1]["expression"]
    assert "(FLAG & 0xcfa0000) == 0" in soft[1]["expression"]
    assert chain[1]["imagesets"] == f"{soft[1]['imageset']} {hard[1]['imageset']}" == "image_1.fits image_2.fits"
    assert (chain[1]["pimin"], chain[1]["pimax"], chain[1]["ecf"]) == ("500 2000", "2000 4500", "7.5 1.9")


@pytest.mark.parametrize("name", [path.name for path in sorted((ROOT / "job_definitions").glob("sas_*"))])
def test_pages_tell_beforehand_that_there_is_no_sas(
    recorders: Recorders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    told = "The XMM-Newton SAS is not installed on this server."
    pages = (f"new/{name}", "new", f"definitions/{name}", "definitions")
    with running_server(tmp_path / "with") as served:
        assert [told in requests.get(f"{served.url}/{page}", timeout=300).text for page in pages] == [False] * 4
    monkeypatch.delenv("SAS_DIR")
    with running_server(tmp_path / "without") as served:
        assert [told in requests.get(f"{served.url}/{page}", timeout=300).text for page in pages] == [True] * 4
        assert told not in requests.get(f"{served.url}/new/spectrum", timeout=300).text


def test_the_error_of_a_task_is_that_of_the_job(recorders: Recorders, eventlist: Path, tmp_path: Path) -> None:
    recorders.fail("arfgen", "** arfgen: error (NoCif), The calibration index\n    holds no file XRT3_XAREAEF\n")
    with running_server(tmp_path / "data") as served:
        final = run(served.url, "sas_spectrum", eventlist, source_region=SOURCE)
    assert (final.phase, final.error) == (
        "ERROR", "arfgen: The calibration index (NoCif) holds no file XRT3_XAREAEF",
    )  # fmt: skip


def test_without_the_sas_a_job_says_so_in_a_sentence(
    eventlist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SAS_DIR", "SAS_CCF", "SAS_CCFPATH", "SAS_ODF"):
        monkeypatch.delenv(name, raising=False)
    with running_server(tmp_path / "data") as served:
        final = run(served.url, "sas_spectrum", eventlist, source_region=SOURCE)
    assert final.phase == "ERROR"
    assert final.error == (
        "the SAS is not set up on this server: SAS_DIR names no folder; it is the folder in which the SAS is "
        "installed. Who runs the server sets the variables SAS_* before starting it"
    )


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SAS_DIR", "/nonexistent", "SAS_DIR names no folder"),
        ("SAS_CCFPATH", "", "SAS_CCFPATH names no folder of current calibration files"),
        ("SAS_CCF", "/nonexistent/ccf.cif", "SAS_CCF names no file"),
        ("SAS_ODF", "", "SAS_ODF names neither"),
    ],
)
def test_what_is_missing_is_named(recorders: Recorders, variable: str, value: str, told: str) -> None:
    environment = recorders.environment | {variable: value}
    with pytest.raises(ReductionError, match=told):
        installation.require(["evselect", "barycen"], environment)


def test_a_missing_program_is_named(recorders: Recorders) -> None:
    (recorders.folder / "bin/rmfgen").unlink()
    environment = {**recorders.environment, "PATH": "/usr/bin"}
    assert installation.require(["evselect"], environment).release == RELEASE
    with pytest.raises(ReductionError, match="no program rmfgen"):
        installation.require(["evselect", "rmfgen"], environment)


def test_only_parameters_that_a_task_has_are_given() -> None:
    task_named("evselect").require({"table": "x", "expression": "true"})
    with pytest.raises(ReductionError, match="evselect has no parameter expresion; did you mean expression"):
        task_named("evselect").require({"expresion": "true"})
    with pytest.raises(ReductionError, match="especget is not among the tasks"):
        task_named("especget")


@pytest.mark.parametrize("folder", sorted((ROOT / "job_definitions").glob("sas_*")), ids=lambda folder: folder.name)
def test_a_script_checks_for_every_task_that_it_calls(folder: Path) -> None:
    script = (folder / "run.sh").read_text(encoding="utf-8")
    (checked,) = [line.split()[2:] for line in script.splitlines() if line.startswith("uws-sas check")]
    called = {word for line in script.splitlines() if "uws-sas run" in line for word in line.split() if word in TASKS}
    assert called == set(checked)
