"""What scripts call: uws-stage, uws-result and uws-step as a shell finds them, and the examples of README as jobs."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from astropy.io import fits

from checkout import ROOT
from provenance import obscore, steps, votags
from reduction import shell
from reduction.simulate import simulate, small
from serving import running_server
from uws_server import client
from uws_server.execution import gather
from uwsjobs import define

SCRIPTS = Path(sysconfig.get_path("scripts"))
README = ROOT / "README.md"

pytestmark = pytest.mark.skipif(
    not (SCRIPTS / "uws-stage").exists(), reason="the commands of setup.cfg are not installed: pip install -e ."
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a job with a file and two parameters."""
    place = tmp_path / "job"
    (place / "inputs").mkdir(parents=True)
    (place / "inputs/pn.fits").write_bytes(b"not really FITS")
    entry = {"kind": "value", "source": None, "editable": True, "description": "lowest channel", "unit": None}
    given = {
        "eventlist": {
            **entry,
            "value": "inputs/pn.fits",
            "kind": "file",
            "source": "2001/PN.FTZ",
            "description": "list",
        },
        "pimin": {**entry, "value": 200},
    }
    about = {
        "id": "0a1b",
        "definition": "d",
        "version": "1",
        "results_url": "http://x/results",
        "globs": {"events": "events.fits", "images": "image-*.png"},
    }
    (place / "parameters.json").write_text(json.dumps({"job": about, "parameters": given}), encoding="utf-8")
    return place


def bash(folder: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in the folder of a job, with what the server gives it."""
    (folder / "run.sh").write_text(script, encoding="utf-8")
    given = {
        "PATH": f"{os.environ['PATH']}:{SCRIPTS}",
        shell.FOLDER_VARIABLE: str(folder),
        shell.SCRIPT_VARIABLE: str(folder / "run.sh"),
        **environment,
    }
    command = ["/bin/bash", "-e", str(folder / "run.sh")]
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False, timeout=300)


def told(folder: Path) -> tuple[steps.Step, ...]:
    return steps.parse((folder / "steps.json").read_bytes())


# --- uws-stage -----------------------------------------------------------------------------------------


def test_stages_are_counted_from_call_to_call_and_in_the_script(folder: Path) -> None:
    done = bash(
        folder, 'uws-stage "First thing"\n# uws-stage is no call here\n(cd / && uws-stage Second) && uws-stage  Third\n'
    )
    assert done.stdout == "[STAGE 1/2] First thing\n[STAGE 2/2] Second\n[STAGE 3/3] Third\n"


def test_the_number_of_stages_can_be_said_once(folder: Path) -> None:
    done = bash(folder, "uws-stage -m 5 one\nfor i in 2 3; do uws-stage more $i; done\n")
    assert done.stdout == "[STAGE 1/5] one\n[STAGE 2/5] more 2\n[STAGE 3/5] more 3\n"


def test_calls_at_once_get_a_number_each(folder: Path) -> None:
    done = bash(folder, "for i in $(seq 8); do uws-stage -m 8 x & done; wait\n")
    assert sorted(done.stdout.splitlines()) == [f"[STAGE {number}/8] x" for number in range(1, 9)]


# --- uws-result ----------------------------------------------------------------------------------------


def test_a_file_of_the_job_is_moved_and_any_other_copied(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.txt").write_text("elsewhere")
    done = bash(
        folder,
        f"echo made > a.txt; uws-result a.txt; uws-result {tmp_path}/elsewhere.txt\nuws-result $PWD/inputs/pn.fits\n",
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "results/a.txt").read_text() == "made\n"
    assert not (folder / "a.txt").exists()
    assert (folder / "results/elsewhere.txt").read_text() == (tmp_path / "elsewhere.txt").read_text() == "elsewhere"
    assert (folder / "inputs/pn.fits").read_bytes() == (folder / "results/pn.fits").read_bytes()


def test_a_result_is_called_as_the_definition_declares_it(folder: Path) -> None:
    script = """
echo 1 > x; uws-result x --name events
echo 2 > image-1.png; uws-result image-1.png --name images
echo 3 > y; uws-result y --name z.txt
"""
    assert bash(folder, script).returncode == 0
    assert sorted(path.name for path in (folder / "results").iterdir()) == ["events.fits", "image-1.png", "z.txt"]


def test_what_is_told_of_a_result_is_noted_for_the_server(folder: Path) -> None:
    columns = "--column t_exptime=12.5 --column calib_level=2 --column target_name=M81"
    script = f"mkdir results; echo 1 > results/a.fits; uws-result results/a.fits --description 'events, é' {columns}\n"
    done = bash(folder, script)
    assert done.returncode == 0, done.stderr
    noted = gather.noted(folder)["a.fits"]
    assert noted.description == "events, é"
    assert noted.columns == {"t_exptime": 12.5, "calib_level": 2, "target_name": "M81"}


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("uws-result absent.fits", "uws-result: there is no file absent.fits"),
        ("uws-result a --name ../up", "uws-result: '../up' is no name of a result file"),
        ("uws-result a --name images", "uws-result: a does not match image-*.png, the files of the result images"),
        ("uws-result a --column colour=red", "uws-result: --column: ObsCore has no column colour"),
        ("uws-result a --column t_exptime=long", "uws-result: --column t_exptime=long: a number is expected"),
        ("uws-result a --column s_ra=400", "uws-result: --column: s_ra is 400"),
        ("uws-result a --column s_ra", "uws-result: --column 's_ra': NAME=VALUE is expected"),
        ("uws-step --task t --input absent", "uws-step: there is no file absent to be the input of a step"),
        ("uws-step --task t --param x", "uws-step: --param 'x': NAME=VALUE is expected"),
    ],
)
def test_what_cannot_be_done_fails_the_script_with_a_sentence(folder: Path, call: str, sentence: str) -> None:
    done = bash(folder, f"touch a; {call}; echo went on\n")
    assert done.returncode == 1
    assert done.stderr.startswith(f"[ERROR] {sentence}"), done.stderr
    assert "went on" not in done.stdout


# --- uws-step ------------------------------------------------------------------------------------------


def test_each_step_of_a_script_is_a_step_of_the_provenance(folder: Path) -> None:
    script = """
uws-stage Filtering
echo filtered > filtered.fits
uws-step --task evselect --task-version 3.74 --input inputs/pn.fits \\
    --param pimin=200 --param mode=fast --output filtered.fits
uws-stage Binning
cd results 2>/dev/null || mkdir results && cd results
tr a-z A-Z < ../filtered.fits > binned.fits
uws-step --task specgroup --input ../filtered.fits --output binned.fits
"""
    done = bash(folder, script)
    assert done.returncode == 0, done.stderr
    first, second = told(folder)
    assert (first.extra["task"], first.extra["version"], first.extra["job"]) == ("evselect", "3.74", "0a1b")
    used, pimin, mode, made = first.args
    assert isinstance(used, steps.InputData)
    assert (used.location, used.path, used.description, used.extra["name"]) == ("2001", "PN.FTZ", "list", "eventlist")
    assert len(used.extra["sha256"]) == 64
    assert isinstance(pimin, steps.Parameter)
    assert (pimin.value, pimin.description, pimin.editable) == ("200", "lowest channel", True)
    assert isinstance(mode, steps.Parameter)
    assert (mode.value, mode.editable) == ("fast", False)
    assert isinstance(made, steps.OutputData)
    assert made.path == "filtered.fits"
    again, binned = second.args
    assert isinstance(again, steps.InputData)
    assert isinstance(binned, steps.OutputData)
    assert (again.path, binned.path) == ("filtered.fits", "binned.fits")
    assert again.extra["sha256"] == made.extra["sha256"]
    assert first.extra["started"] <= first.extra["ended"] <= second.extra["ended"]
    assert str(folder) not in (folder / "steps.json").read_text()


@pytest.mark.parametrize("is_gzipped", [False, True])
def test_steps_of_a_tagged_input_come_first(folder: Path, is_gzipped: bool) -> None:
    path = folder / "inputs/pn.fits"
    fits.HDUList([fits.PrimaryHDU()]).writeto(path, overwrite=True)
    earlier = steps.Step((steps.Parameter(0, "exposure", False, 3.5),), {"task": "simulate"})
    votags.write(path, obscore.ObsCoreRow(calib_level=1), [earlier])
    if is_gzipped:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert (
        bash(folder, "uws-step --task a --input inputs/pn.fits\nuws-step --task b --input inputs/pn.fits\n").returncode
        == 0
    )
    assert [step.extra["task"] for step in told(folder)] == ["simulate", "a", "b"]


# --- the examples of README ----------------------------------------------------------------------------


def example(kind: str) -> str:
    """The code of an example in README."""
    found = re.search(rf"<!-- example: {kind} -->\n```\w+\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None, f"README has no example marked {kind}"
    return found[1]


EVENT_LIST = {"name": "eventlist", "type": "eventlist", "required": True}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that has the two examples as definitions."""
    root = tmp_path_factory.mktemp("examples")
    define(
        root / "definitions",
        "bright",
        example("shell"),
        parameters=[EVENT_LIST, {"name": "pimin", "type": "integer", "default": 500}],
        results=[{"name": "events", "file": "events.fits", "mime": "application/fits"}],
    )
    define(
        root / "definitions",
        "rates",
        example("python"),
        "python",
        entry={"type": "python", "script": "run.py", "function": "main"},
        parameters=[EVENT_LIST, {"name": "bin", "type": "float", "default": 500.0, "unit": "s"}],
        results=[{"name": "lightcurve", "file": "lightcurve.fits", "mime": "application/fits"}],
    )
    with running_server(root / "data", definitions=root / "definitions") as served:
        yield served.url


@pytest.fixture(scope="module")
def pn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path,) = simulate(small(), tmp_path_factory.mktemp("pn"), cameras=("EPN",))
    return path


def finished(url: str, pn: Path, tmp_path: Path) -> tuple[dict[str, Path], str]:
    final = client.follow(client.create(url, {}, {"eventlist": pn}), lambda state: None)
    assert final.phase == "COMPLETED", (final.error, requests.get(f"{final.url}/results/log", timeout=300).text)
    paths = {result.name: client.download(result, tmp_path) for result in final.results}
    return paths, paths["log"].read_text(encoding="utf-8")


def seen_by_all_ccds(pn: Path) -> tuple[Any, Callable[[Any], Any], float]:
    """Times of good events while every CCD was good, what tells whether a time is such a one, and the live share."""
    with fits.open(pn) as hdus:
        table, header = hdus["EVENTS"].data, hdus["EVENTS"].header
        good = [(hdu.data["START"], hdu.data["STOP"]) for hdu in hdus if hdu.name.startswith("STDGTI")]
        live = header["LIVETIME"] / header["ONTIME"]
        wanted = (table["PATTERN"] <= 4) & (table["FLAG"] & 0xCFA0000 == 0) & (table["PI"] >= 200)
        times = np.array(table["TIME"][wanted & (table["PI"] <= 12000)])

    def inside(moments: Any) -> Any:
        at = np.asarray(moments)[:, None]
        return np.all([np.any((at >= start) & (at <= stop), axis=1) for start, stop in good], axis=0)

    return times[inside(times)], inside, live


@pytest.mark.skipif(
    shutil.which("fitscopy") is None, reason="fitscopy is not installed: apt-get install libcfitsio-bin"
)
def test_the_shell_example_runs(server: str, pn: Path, tmp_path: Path) -> None:
    paths, log = finished(f"{server}/rest/bright", pn, tmp_path)
    assert re.findall(r"\[STAGE .*", log) == ["[STAGE 1/2] Filtering events", "[STAGE 2/2] Reducing columns"]
    table, whole = fits.getdata(paths["events"], "EVENTS"), fits.getdata(pn, "EVENTS")
    assert len(table) == (whole["PI"] > 500).sum()
    assert table.names == ["TIME", "X", "Y", "PI"]
    tags = votags.read(paths["events"])
    assert tags is not None
    assert tags.row["dataproduct_type"] == "event"
    assert [step.extra["task"] for step in tags.steps] == ["fitscopy", "fitscopy"]


def test_the_python_example_runs(server: str, pn: Path, tmp_path: Path) -> None:
    paths, log = finished(f"{server}/rest/rates", pn, tmp_path)
    assert re.findall(r"\[STAGE .*", log) == ["[STAGE 1/2] Reading the event list", "[STAGE 2/2] Binning"]
    assert "arning" not in log
    times, inside, live = seen_by_all_ccds(pn)
    curve, header = fits.getdata(paths["lightcurve"], "RATE"), fits.getheader(paths["lightcurve"], "RATE")
    assert len(curve) > 20
    for row in curve:
        grid = row["TIME"] + (np.arange(50_000) + 0.5) / 100  # every 10 ms: how much of the bin was good
        share = live * np.mean(inside(grid))
        assert row["FRACEXP"] == pytest.approx(share, abs=1e-4)
        counts = np.count_nonzero((times >= row["TIME"]) & (times < row["TIME"] + 500))
        assert row["RATE"] * row["FRACEXP"] * 500 == pytest.approx(counts, abs=0.01)
        assert row["ERROR"] * row["FRACEXP"] * 500 == pytest.approx(counts**0.5, abs=0.01)
    assert header["EXPOSURE"] == pytest.approx(np.sum(curve["FRACEXP"]) * 500)
    tags = votags.read(paths["lightcurve"])
    assert tags is not None
    assert tags.row["dataproduct_type"] == "timeseries"
    assert [step.extra["task"] for step in tags.steps] == ["rates"]
