"""Tasks: the spectrum job run as the server runs it, in a process of its own, and what it leaves behind."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from provenance import obscore, steps, votags
from reduction.arguments import Argument
from reduction.errors import ReductionError
from reduction.task import Task, message_of, read_task
from scriptjobs import SCRIPT, prepare, run, run_cold
from synthetic import Epic, write, write_gti

ROOT = Path(__file__).resolve().parents[2]


def scripted(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Run a script whose main has this body."""
    script = folder / "script.py"
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    script.write_text(f"from reduction import task\ndef main(job):\n{lines}\ntask.run(main, stages=3)\n")
    return run(folder, script)


@pytest.fixture(scope="module")
def pn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pn") / "P0123456789PNS003PIEVLI0000.fits"
    write(path, Epic(rows=30000))
    return path


SOURCE, BACKGROUND = "physical; circle(24000,27000,2500)", "physical; annulus(24000,27000,2600,5000)"


def test_spectrum_job_makes_what_it_promises(pn: Path, tmp_path: Path) -> None:
    folder = prepare(tmp_path / "job", eventlist=pn, source_region=SOURCE, background_region=BACKGROUND, gti=None,
                     energy="0.3 10", min_counts=15)  # fmt: skip
    done = run_cold(folder)
    assert done.returncode == 0, done.stderr
    stages = [line for line in done.stdout.splitlines() if line.startswith("[STAGE ")]
    assert [line[:12] for line in stages] == [f"[STAGE {n}/5] "[:12] for n in range(1, 6)]
    assert stages[1] == "[STAGE 2/5] Filtering events"
    promised = json.loads((ROOT / "job_definitions/spectrum/job.json").read_text())["results"]
    of_one = {each["file"] for each in promised if not each.get("gathered")}
    assert {path.name for path in (folder / "results").iterdir()} == of_one
    assert sorted(path.name for path in folder.iterdir()) == ["parameters.json", "results", "steps.json"]
    with fits.open(folder / "results/source_spectrum.fits") as hdus:
        counts, header = int(hdus["SPECTRUM"].data["COUNTS"].sum()), hdus["SPECTRUM"].header
        assert header["BACKFILE"] == "background_spectrum.fits"
        assert header["HDUCLAS2"] == "TOTAL"
        assert f"source region: {counts} counts, exposure {header['EXPOSURE']:.1f} s" in done.stdout
        assert f"BACKSCAL {header['BACKSCAL']:.0f}" in done.stdout
        assert len(fits.getdata(folder / "results/events.fits", "EVENTS")) == counts
    assert fits.getheader(folder / "results/background_spectrum.fits", 1)["HDUCLAS2"] == "BKG"


def counts_of(folder: Path, name: str) -> Any:
    return fits.getdata(folder / f"results/{name}_spectrum.fits", "SPECTRUM")["COUNTS"]


def test_a_region_file_with_its_background_makes_the_spectra_of_two_parameters(pn: Path, tmp_path: Path) -> None:
    apart = prepare(tmp_path / "apart", eventlist=pn, source_region=SOURCE, background_region=BACKGROUND)
    both = f"physical\n{SOURCE.split('; ')[1]}\n{BACKGROUND.split('; ')[1]} # background\n"
    together = prepare(tmp_path / "together", eventlist=pn, source_region=both)
    assert [run(folder).returncode for folder in (apart, together)] == [0, 0]
    for name in ("source", "background"):
        assert np.array_equal(counts_of(apart, name), counts_of(together, name))
        assert counts_of(together, name).sum() > 0
    of_results = (together / "results/regions.reg").read_text()
    assert of_results == (apart / "results/regions.reg").read_text()
    again = prepare(tmp_path / "again", eventlist=pn, source_region=of_results)
    assert run(again).returncode == 0
    assert np.array_equal(counts_of(again, "background"), counts_of(apart, "background"))
    twice = run(prepare(tmp_path / "twice", eventlist=pn, source_region=both, background_region=BACKGROUND))
    assert twice.returncode == 1
    assert "[ERROR] background_region: it is given, and so are shapes marked as background" in twice.stderr


def test_groups_of_a_signal_to_noise_take_off_the_scaled_background(pn: Path, tmp_path: Path) -> None:
    folder = prepare(tmp_path / "job", eventlist=pn, source_region=SOURCE, background_region=BACKGROUND,
                     grouping="snr", min_snr=0.9)  # fmt: skip
    assert run(folder).returncode == 0
    with fits.open(folder / "results/source_spectrum.fits") as source:
        table, header = source["SPECTRUM"].data, source["SPECTRUM"].header
        with fits.open(folder / "results/background_spectrum.fits") as behind:
            counts, other = behind["SPECTRUM"].data["COUNTS"].astype(float), behind["SPECTRUM"].header
    ratio = header["EXPOSURE"] * header["BACKSCAL"] / (other["EXPOSURE"] * other["BACKSCAL"])
    starts = np.flatnonzero((table["GROUPING"] == 1) & (table["QUALITY"] == 0))
    ends = [np.flatnonzero(table["GROUPING"][start + 1:] == 1)[0] + start + 1 for start in starts]
    assert len(starts) > 1
    for start, end in zip(starts, ends, strict=True):
        signal = [(table["COUNTS"][start:stop].sum() - ratio * counts[start:stop].sum())
                  / max(np.sqrt(table["COUNTS"][start:stop].sum() + ratio**2 * counts[start:stop].sum()), 1e-9)
                  for stop in (end, end - 1)]  # fmt: skip
        assert signal[0] >= 0.9 > signal[1]


def test_products_carry_tags_that_hold_and_the_steps(pn: Path, tmp_path: Path) -> None:
    folder = prepare(tmp_path / "job", {"store_url": "https://host/store/0a1b"}, eventlist=pn, source_region=SOURCE)
    assert run(folder).returncode == 0
    told_steps = steps.parse((folder / "steps.json").read_bytes())
    for name in ("source_spectrum.fits", "events.fits"):
        path = folder / "results" / name
        assert votags.check(path) == ()
        tags = votags.read(path)
        assert tags is not None
        assert tags.steps == told_steps
        assert tags.row["obs_id"] == "0123456789"
        assert tags.row["access_url"] == tags.row["obs_publisher_did"] == f"https://host/store/0a1b/{name}"
        assert tags.row["em_max"] == pytest.approx(obscore.wavelength_m(0.2))
        exposure = fits.getval(folder / "results/source_spectrum.fits", "EXPOSURE", 1)
        assert tags.row["t_exptime"] == pytest.approx(exposure)
    (step,) = told_steps
    assert [arg.index for arg in step.args] == list(range(6))
    first = step.args[0]
    assert isinstance(first, steps.InputData)
    assert (first.path, first.editable) == (pn.name, False)
    assert first.extra["sha256"] == hashlib.sha256(pn.read_bytes()).hexdigest()
    assert [arg.path for arg in step.args if isinstance(arg, steps.OutputData)] == [
        "events.fits", "patterns.fits", "source_spectrum.fits", "regions.reg"]  # fmt: skip
    assert (step.extra["task"], step.extra["version"], step.extra["job"]) == ("spectrum", "1.0", "0a1b")
    assert step.extra["software"]["numpy"] == np.__version__
    text = (folder / "steps.json").read_text()
    assert str(tmp_path) not in text
    assert str(pn.parent) not in text


def test_steps_of_the_input_come_first(pn: Path, tmp_path: Path) -> None:
    first = prepare(tmp_path / "first", eventlist=pn, source_region=SOURCE)
    assert run_cold(first).returncode == 0
    second = prepare(tmp_path / "second", {"id": "2c3d"}, eventlist=first / "results/events.fits", source_region=SOURCE)
    assert run(second).returncode == 0
    earlier, later = steps.parse((second / "steps.json").read_bytes())
    assert earlier == steps.parse((first / "steps.json").read_bytes())[0]
    assert later.extra["job"] == "2c3d"
    counts = [fits.getdata(folder / "results/source_spectrum.fits", 1)["COUNTS"] for folder in (first, second)]
    assert np.array_equal(*counts)


def test_broken_tags_of_an_input_are_told_and_ignored(pn: Path, tmp_path: Path) -> None:
    tagged = tmp_path / "tagged.fits"
    with fits.open(pn) as hdus:
        cell = fits.TableHDU.from_columns([fits.Column("provenance", "A9", array=["{broken"])], name="VO-TAGS")
        fits.HDUList([*hdus, cell]).writeto(tagged)
    folder = prepare(tmp_path / "job", eventlist=tagged, source_region=SOURCE)
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert "Note: the VO-TAGS of tagged.fits cannot be read and are ignored" in done.stdout
    assert str(tmp_path) not in done.stdout
    assert len(steps.parse((folder / "steps.json").read_bytes())) == 1


def test_gzipped_input_and_all_events(pn: Path, tmp_path: Path) -> None:
    packed = tmp_path / "P0123456789PNS003PIEVLI0000.FTZ"
    packed.write_bytes(gzip.compress(pn.read_bytes()))
    folder = prepare(tmp_path / "job", eventlist=packed, grouping="none")
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert not (folder / "scratch").exists()
    (step,) = steps.parse((folder / "steps.json").read_bytes())
    assert step.args[0].extra["sha256"] == hashlib.sha256(packed.read_bytes()).hexdigest()
    assert fits.getdata(folder / "results/source_spectrum.fits", 1).names == ["CHANNEL", "COUNTS"]
    assert "all events" in (folder / "results/regions.reg").read_text()


@pytest.mark.parametrize(("name", "text", "energy"), [
    ("chandra_m82/acis_10027_events.fits", 'icrs; circle(148.96,69.68,20")', "0.5 8"),
    ("nustar_b1937/dummy_evt.evt", 'fk5; circle(294.91,21.583,30")', "3 79"),
    ("nicer/ngc300nicer_bary.evt", "", "0.3 10"),
])  # fmt: skip
def test_real_lists_of_other_missions(shared: Path, tmp_path: Path, name: str, text: str, energy: str) -> None:
    folder = prepare(tmp_path / "job", eventlist=shared / "real" / name, source_region=text, energy=energy,
                     grouping="optimal")  # fmt: skip
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert votags.check(folder / "results/source_spectrum.fits") == ()
    assert fits.getdata(folder / "results/source_spectrum.fits", 1)["COUNTS"].sum() > 100


@pytest.mark.parametrize(("values", "words"), [
    ({"energy": "0.2 keV"}, r"\[ERROR\] energy: '0.2 keV' is no energy range; give two numbers in keV"),
    ({"pattern": "4:0"}, r"\[ERROR\] pattern: 4:0 is no range of patterns"),
    ({"flag": "lax"}, r"\[ERROR\] flag: 'lax' is no choice of flags"),
    ({"grouping": "some"}, r"\[ERROR\] grouping: 'some' is no grouping"),
    ({"min_counts": 0}, r"\[ERROR\] min_counts: 0 is no minimum of counts"),
    ({"source_region": "circle(1,2,3"}, r"\[ERROR\] source_region: "),
    ({"source_region": "image; circle(10,20,3)"}, r"\[ERROR\] source_region: .*image"),
    ({"background_region": 'icrs; circle(152.5,2.0,10")'}, r"\[ERROR\] background_region: .*outside the field"),
    ({"eventlist": "absent.fits"}, r"\[ERROR\] eventlist: there is no file absent.fits"),
    ({"eventlist": None}, r"\[ERROR\] eventlist: no file is given"),
])  # fmt: skip
def test_bad_parameters_are_named(
    pn: Path, tmp_path: Path, values: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """In this process, for speed: the same script, run as a main program in the folder of the job."""
    folder = prepare(tmp_path / "job", **{"eventlist": pn, "source_region": SOURCE, **values})
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert caught.value.code == 1
    assert not (folder / "steps.json").exists()
    assert not list(folder.glob("results/*"))
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert re.match(words, lines[0]), lines[0]
    assert lines[0].count(next(iter(values)) + ":") == 1


def test_gti_that_leaves_nothing_is_named(pn: Path, tmp_path: Path) -> None:
    folder = prepare(tmp_path / "job", eventlist=pn, gti=write_gti(tmp_path / "g.fits", [1.0], [2.0]))
    done = run(folder)
    assert done.returncode == 1
    assert done.stderr.startswith("[ERROR] gti: it leaves no good time: event list from 100000000.000")


def test_missing_and_odd_parameter_files(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("[ERROR] there is no parameters.json here")
    for content, words in (("{", "cannot be read"), ("[]", "must be an object"), ('{"job": {}}', "must be an object"),
                           ('{"job": {}, "parameters": {"energy": 3}}', "must be an object with a value")):  # fmt: skip
        (tmp_path / "parameters.json").write_text(content)
        with pytest.raises(ReductionError, match=words):
            read_task(tmp_path, 1)


def test_an_unexpected_exception_is_told_with_its_traceback(tmp_path: Path) -> None:
    done = scripted(prepare(tmp_path / "job"), "job.stage('Dividing')\n1 / 0")
    assert done.returncode == 1
    assert "[STAGE 1/3] Dividing" in done.stdout
    assert "Traceback" in done.stderr
    assert done.stderr.strip().splitlines()[-1] == "[ERROR] internal error: ZeroDivisionError: division by zero"


def test_an_unexpected_exception_shows_no_folder_of_the_machine(tmp_path: Path) -> None:
    done = scripted(prepare(tmp_path / "job"), "open(job.folder / 'inputs' / 'absent.fits')")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "'absent.fits'" in done.stderr.splitlines()[-1]
    assert str(tmp_path) not in done.stderr
    assert sys.prefix not in done.stderr


def test_a_product_that_was_not_written_is_an_error(tmp_path: Path) -> None:
    done = scripted(prepare(tmp_path / "job"), "job.output('nothing.fits', 'never written')")
    assert done.returncode == 1
    assert "announced nothing.fits but did not write it" in done.stderr
    assert "is no name of a result file" in scripted(tmp_path / "job", "job.output('../up.fits', '')").stderr


def test_a_gzipped_product_that_cannot_be_tagged_is_no_error(tmp_path: Path) -> None:
    prepare(tmp_path)
    body = """
        import gzip
        content = gzip.compress(b"SIMPLE  =                    T".ljust(80) + b"no header ends here".ljust(2800))
        job.output("cut.fits.gz", "cut short").write_bytes(content)
        job.output("good.fits.gz", "whole").write_bytes(gzip.compress(b"".join(
            card.ljust(80) for card in (b"SIMPLE  =                    T", b"BITPIX  =                    8",
                                        b"NAXIS   =                    0", b"END")).ljust(2880)))
    """
    done = scripted(tmp_path, body)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "results/cut.fits.gz").is_file()
    assert votags.read(tmp_path / "results/good.fits.gz") is not None


def test_values_and_defaults(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "job", energy=None, min_counts=7)
    job = read_task(folder, 2)
    assert isinstance(job, Task)
    assert (job.value("min_counts", 20), job.value("energy", "0.2 12.0"), job.value("absent")) == (7, "0.2 12.0", None)
    job.close()


@pytest.mark.parametrize(("value", "source", "named"), [
    ("/srv/jobs/1/upload-7.fits", "P0123.FITS", "P0123.FITS"), ("/srv/jobs/1/upload-7.fits", None, "upload-7.fits"),
    ("inputs/a.fits", "2001/0123456789/PN.FTZ", "2001/0123456789/PN.FTZ"), ("a.fits", "/private/a.fits", "a.fits"),
    ("a.fits", "https://host/x/a.fits", "https://host/x/a.fits"),
])  # fmt: skip
def test_inputs_are_told_as_the_user_named_them(value: str, source: str | None, named: str) -> None:
    assert Argument("eventlist", value, "file", False, "", None, source).display_name == named


def test_errors_name_their_parameter_once() -> None:
    assert message_of(ReductionError("is odd", "gti")) == "gti: is odd"
    assert message_of(ReductionError("gti: is odd", "gti")) == "gti: is odd"
    assert message_of(ReductionError("is\n odd")) == "is odd"


# --- several values, several steps ---------------------------------------------------------------------


def test_a_parameter_with_several_files_gives_them_all(pn: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed" / f"{pn.name}.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(pn.read_bytes()))
    second = tmp_path / "other" / packed.name
    second.parent.mkdir()
    second.write_bytes(gzip.compress(b"SIMPLE  = other"))
    folder = prepare(tmp_path / "job", eventlist=None, energy=None)
    document = json.loads((folder / "parameters.json").read_text())
    entry = document["parameters"]["eventlist"]
    entry |= {"value": [str(pn), str(packed), str(second)], "source": ["a/PN.FITS", "b/PN.FTZ", "c/PN.FTZ"]}
    document["parameters"]["energy"] |= {"value": [0.5, 2.0]}
    (folder / "parameters.json").write_text(json.dumps(document))
    job = read_task(folder, 1)
    first, inflated, other = job.paths("eventlist")
    assert first == pn
    assert inflated.read_bytes() == pn.read_bytes()
    assert other.read_bytes() == b"SIMPLE  = other"
    assert job.paths("eventlist") == [first, inflated, other]
    assert (job.values("energy"), job.values("absent"), job.paths("absent")) == ([0.5, 2.0], [], [])
    with pytest.raises(ReductionError, match="3 files are given; this script takes one"):
        job.path("eventlist")
    job.finish()
    job.close()
    (step,) = steps.parse((folder / "steps.json").read_bytes())
    used = [arg for arg in step.args if isinstance(arg, steps.InputData)]
    assert [(arg.location, arg.path) for arg in used] == [("a", "PN.FITS"), ("b", "PN.FTZ"), ("c", "PN.FTZ")]
    assert [arg.extra["sha256"] for arg in used] == [
        hashlib.sha256(path.read_bytes()).hexdigest() for path in (pn, packed, second)
    ]
    (energy,) = [arg for arg in step.args if isinstance(arg, steps.Parameter)]
    assert energy.value == (0.5, 2.0)


def test_a_script_may_tell_several_steps(pn: Path, tmp_path: Path) -> None:
    body = """
import pathlib
source = job.path("eventlist")
pathlib.Path("between.txt").write_text("x")
job.also("evselect", [source], ["between.txt"], {"energy": "0.2 12", "mode": "fast"}, version="3.7")
job.output("out.txt", "the end").write_text("y")
job.also("specgroup", ["between.txt"], ["results/out.txt"])
"""
    folder = prepare(tmp_path / "job", eventlist=pn, energy="0.2 12")
    done = scripted(folder, body.strip())
    assert done.returncode == 0, done.stderr
    first, second, whole = steps.parse((folder / "steps.json").read_bytes())
    assert [step.extra["task"] for step in (first, second, whole)] == ["evselect", "specgroup", "spectrum"]
    assert first.extra["version"] == "3.7"
    assert [type(arg).__name__ for arg in first.args] == ["InputData", "Parameter", "Parameter", "OutputData"]
    used, energy, mode, made = first.args
    assert isinstance(used, steps.InputData)
    assert (used.path, used.extra["name"], used.description) == (pn.name, "eventlist", "the eventlist")
    assert (energy.description, energy.editable, mode.editable) == ("the energy", True, False)
    again = second.args[0]
    assert isinstance(again, steps.InputData)
    assert (again.path, again.extra["sha256"]) == ("between.txt", made.extra["sha256"])
    assert first.extra["ended"] <= second.extra["ended"]


def test_an_input_of_a_step_must_be_there(tmp_path: Path) -> None:
    done = scripted(prepare(tmp_path / "job"), "job.also('evselect', ['absent.fits'])")
    assert done.stderr.strip() == "[ERROR] there is no file absent.fits to be the input of a step"
