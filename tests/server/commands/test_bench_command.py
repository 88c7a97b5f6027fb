"""The command `uws-server bench`: a recipe through a server of its own, what is wrong before, what failed after."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from astropy.table import Table
from lxml import html

from uws_server import cli

RECIPE: dict[str, Any] = {
    "name": "short",
    "cameras": ["EMOS1"],
    "files": ["gti.fits"],
    "observation": {"ra": 10.0, "dec": 20.0, "exposure_s": 200, "sources": [
        {"name": "A", "offset_arcmin": [0, 0], "flux": 1e-11, "spectrum": {"powerlaw": {"index": 2}}}]},
    "steps": [{"name": "cut", "definition": "events", "parameters": {
        "eventlist": "${eventlist.EMOS1}", "energy": "0.5 10",
        "region": "icrs; circle(${source.A.ra}, ${source.A.dec}, 1')"}}],
    "measure": {"left": {"step": "cut", "result": "events", "hdu": "EVENTS", "keyword": "NAXIS2"},
                "drawn": {"truth": "source.A.cameras.EMOS1.drawn"}, "error": {"formula": "sqrt(left)"}},
    "compare": [{"name": "events", "truth": "drawn", "value": "left", "error": "error"}],
}  # fmt: skip


def written(folder: Path, **more: Any) -> Path:
    path = folder / "recipe.json"
    path.write_text(json.dumps(RECIPE | {"files": []} | more))
    return path


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "uws_server", "bench", *words], capture_output=True, text=True)


def test_a_recipe_is_run_on_a_server_of_its_own(tmp_path: Path) -> None:
    """The second run fails in its first step: nothing is left of the time that it cuts out."""
    region, time = "physical; circle(25921, 25921, 4000)", "2026-03-01T10:0${run}:00/2026-03-01T10:05:00"
    values = {"eventlist": "${eventlist.EMOS1}", "region": region, "time": time}
    steps = [{"name": "first", "definition": "events", "parameters": values}, *RECIPE["steps"]]
    done = command(str(written(tmp_path, steps=steps)), "--first", "3", "--runs", "2", "--keep",
                   "--out", str(tmp_path / "out"))  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    made = tmp_path / "out"
    runs = Table.read(made / "runs.ecsv", format="ascii.ecsv")
    assert list(runs["run"]) == [3, 4]
    assert [str(step) in ("", "--") for step in runs["failed_step"]] == [True, False]
    assert runs["left"][0] > 50
    assert f"run 4 failed at first: {runs['sentence'][1]}" in done.stdout
    assert "2 runs, 1 of them failed" in done.stdout
    with tarfile.open(made / "run0003" / "products.tar") as kept:
        names = kept.getnames()
    assert any(name.startswith("run0003/data/") and name.endswith("EVLI0000.FITS") for name in names)
    assert any(name.startswith("run0003/02-cut/") and name.endswith("events.fits") for name in names)
    page = html.document_fromstring((made / "report.html").read_text())
    assert str(runs["sentence"][1]) in page.text_content()
    assert "s a run" in done.stdout
    (row,) = Table.read(made / "comparisons.ecsv", format="ascii.ecsv")
    assert row["runs"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM] if os.environ.get("UWS_FULL") else [signal.SIGINT])
def test_nothing_goes_on_when_the_command_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    """Every process of the bench has the folder of its server in its command line."""
    (tmp_path / "mine").mkdir()
    words = [str(written(tmp_path)), "--runs", "500", "--out", str(tmp_path / "out")]
    with subprocess.Popen([sys.executable, "-m", "uws_server", "bench", *words], stdout=subprocess.PIPE, text=True,
                          env=os.environ | {"TMPDIR": str(tmp_path / "mine")}) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if "of 500 parts have ended" in line:
                break
        assert len(processes(tmp_path / "mine")) >= 2
        process.send_signal(number)
        assert "Ending" in process.stdout.read()
    assert process.returncode == 130
    assert processes(tmp_path / "mine") == []
    assert list((tmp_path / "mine").iterdir()) == []


def processes(folder: Path) -> list[str]:
    """The command lines that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(folder) in (text := path.read_bytes().replace(b"\0", b" ").decode(errors="replace")):
                found.append(text)
    return found


def test_what_is_wrong_is_said_before_anything_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [
        ([str(tmp_path / "none.json")], "No such file"),
        ([], "no RECIPE came"),
        ([str(written(tmp_path)), "--runs", "0"], "--runs: 0 came; 1 to 1000 is allowed"),
        ([str(written(tmp_path, steps=[]))], "steps"),
    ]
    for words, sentence in wrong:
        assert cli.main(["bench", *words, "--check"]) == 2
        assert sentence in capsys.readouterr().err
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    assert cli.main(["bench", str(tmp_path / "bytes.json")]) == 2
    assert "no text in UTF-8" in capsys.readouterr().err
    path = written(tmp_path, observation=RECIPE["observation"] | {"exposure_s": 3})
    assert cli.main(["bench", str(path), "--check"]) == 2
    assert "observation.exposure_s" in capsys.readouterr().err


def test_the_example_passes_its_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--example"]) == 0
    (tmp_path / "recipe.json").write_text(capsys.readouterr().out)
    assert cli.main(["bench", str(tmp_path / "recipe.json"), "--check"]) == 0
    assert "steps" in capsys.readouterr().out
    assert cli.main(["bench", "--example", "detection"]) == 0
    assert json.loads(capsys.readouterr().out)["detections"]["step"] == "detect"
    assert cli.main(["bench", "--example", "job"]) == 2
    assert "there are detection, example, fit, pipeline" in capsys.readouterr().err
