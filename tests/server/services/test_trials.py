"""Trials: the request made of a definition's test values, and the command that checks definitions and tries them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from checkout import DEFINITIONS, ROOT, TRIED
from uws_server.errors import InvalidParameters
from uws_server.execution import sandbox
from uws_server.jobs.definition import Definition, Entry, ParameterSpec
from uws_server.jobs.formats import native
from uws_server.services import trials

SPECS = (
    ParameterSpec("text", "string", default="hello", max_values=3),
    ParameterSpec("eventlist", "eventlist", max_values=5),
    ParameterSpec("gti", "file"),
)

Spool = Callable[[], Path]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Gives empty files in a folder `incoming`, as the services do."""
    (tmp_path / "incoming").mkdir()

    def give() -> Path:
        path = tmp_path / "incoming" / f"upload-{len(list((tmp_path / 'incoming').iterdir()))}"
        path.touch()
        return path

    return give


def tried(folder: Path, spool: Spool, **test: tuple[str, ...]) -> trials.Request:
    definition = Definition("d", "1", "D", Entry("shell", "run.sh"), parameters=SPECS, test=test)
    return trials.request_of(definition, folder, spool)


@pytest.mark.parametrize(("word", "instrument"), [("simulated:pn", "EPN"), ("Simulated:MOS1", "EMOS1")])
def test_an_event_list_can_be_simulated(tmp_path: Path, spool: Spool, word: str, instrument: str) -> None:
    request = tried(tmp_path, spool, eventlist=(word,))
    ((name, upload),) = request.uploads.items()
    assert request.values == {"eventlist": [f"param:{name}"]}
    assert fits.getval(upload.path, "INSTRUME") == instrument
    assert fits.getval(upload.path, "NAXIS2", "EVENTS") > 10_000
    assert upload.filename.startswith("P0999990101")
    assert [path.name for path in (tmp_path / "incoming").iterdir()] == [upload.path.name]


def test_a_file_beside_the_definition_is_copied_and_any_other_is_of_the_archive(tmp_path: Path, spool: Spool) -> None:
    (tmp_path / "gti.fits").write_bytes(b"SIMPLE")
    (tmp_path / "link.fits").symlink_to("/etc/passwd")
    names = ("gti.fits", "P0123456701PNS003PIEVLI0000", "../gti.fits", "link.fits", "gti.fits")
    request = tried(tmp_path, spool, eventlist=names, text=("gti.fits", "simulated:pn"))
    assert request.values["text"] == ["gti.fits", "simulated:pn"]
    first, *rest, last = request.values["eventlist"]
    assert rest == ["P0123456701PNS003PIEVLI0000", "../gti.fits", "link.fits"]
    assert first != last
    for reference in (first, last):
        upload = request.uploads[reference.removeprefix("param:")]
        assert (upload.filename, upload.path.read_bytes()) == ("gti.fits", b"SIMPLE")
    assert (tmp_path / "gti.fits").exists()


def test_what_cannot_be_had_is_told_with_its_place_and_nothing_is_left(tmp_path: Path, spool: Spool) -> None:
    (tmp_path / "a.fits").write_bytes(b"SIMPLE")
    with pytest.raises(InvalidParameters) as caught:
        tried(tmp_path, spool, gti=("a.fits",), eventlist=("simulated:chandra",), absent=("1",))
    told = [str(problem) for problem in caught.value.problems]
    assert told[0].startswith(
        "test.eventlist: simulated:chandra came; simulated:pn, simulated:mos1, simulated:mos2 are"
    )
    assert told[1] == "test.absent: there is no parameter of that name"
    assert list((tmp_path / "incoming").iterdir()) == []


# --- uws-server check ----------------------------------------------------------------------------------


def check(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("UWS_SERVER_")}
    command = [sys.executable, "-m", "uws_server", "check", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, cwd=ROOT, env=given | environment
    )


def define(folder: Path, name: str, script: str, **more: Any) -> None:
    content = {"name": name, "version": "1", "title": name.title(), "entry": {"type": "shell", "script": "run.sh"}}
    (folder / name).mkdir(parents=True)
    (folder / name / "job.json").write_text(json.dumps(content | more), encoding="utf-8")
    (folder / name / "run.sh").write_text(script, encoding="utf-8")


OUT = [{"name": "out", "file": "out.txt", "mime": "text/plain"}]


def test_our_own_definitions_stand_their_trial(tmp_path: Path) -> None:
    """With a temporary folder to look at: nothing may be left in it."""
    done = check(TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| [STAGE 5/5] Working" in done.stdout
    assert "source region: 16391 counts" in done.stdout
    assert "VO-TAGS: spectrum, 1 step" in done.stdout
    assert done.stdout.count("    COMPLETED") == len(TRIED)
    assert list(tmp_path.iterdir()) == []


def test_mistakes_are_told_with_their_places_and_the_rest_is_tried(tmp_path: Path) -> None:
    define(tmp_path, "good", "echo $text > $out", parameters=[{"name": "text", "type": "string"}], results=OUT,
           test={"text": "tried"})  # fmt: skip
    define(tmp_path, "odd", "true", parameters=[{"name": "n", "type": "integer", "min": 5, "max": 2},
                                                {"name": "PATH", "type": "string"}])  # fmt: skip
    define(tmp_path, "torn", "if true; then\necho\n")
    done = check("--definitions", str(tmp_path))
    assert done.returncode == 1
    assert re_all(done.stdout, "good: Good, version 1", "    COMPLETED", "odd: cannot be used", "torn: cannot be used")
    assert "odd/job.json" in done.stdout
    assert "parameters[0].min" in done.stdout
    assert "parameters[1].name" in done.stdout
    assert "torn/run.sh: script:" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 of 3 definitions is well"
    assert check("--definitions", str(tmp_path), "good").returncode == 0
    only_read = check("--definitions", str(tmp_path), "--no-run", "good", "torn")
    assert only_read.returncode == 1
    assert "COMPLETED" not in only_read.stdout


def re_all(text: str, *lines: str) -> bool:
    """Whether all these lines are there, in this order."""
    found = text.splitlines()
    places = [found.index(line) for line in lines]
    return places == sorted(places)


def test_a_trial_that_fails_says_why(tmp_path: Path) -> None:
    define(tmp_path, "fails", "echo looking; echo '[ERROR] gti: nothing is left' >&2; exit 1")
    define(tmp_path, "lazy", "true", results=OUT)
    n = [{"name": "n", "type": "integer", "required": True}, {"name": "m", "type": "integer", "default": 1}]
    define(tmp_path, "asks", "true", parameters=n, test={"m": "2"})
    define(tmp_path, "read_only", "true", parameters=n)
    done = check("--definitions", str(tmp_path))
    assert done.returncode == 1
    assert "    | looking\n" in done.stdout
    assert "    ERROR: gti: nothing is left\n" in done.stdout
    assert "    ERROR: the script ended well but left no out.txt\n" in done.stdout
    assert "    its test values are refused: n: a value is needed" in done.stdout
    assert "    not run: it has no test values, and n must be given\n1 of 4 definitions is well\n" in done.stdout


def test_a_script_that_cannot_be_shut_in_is_tried_and_that_is_said_first(tmp_path: Path) -> None:
    define(tmp_path, "plain", "/bin/true")
    done = check("--definitions", str(tmp_path), PATH=str(tmp_path))
    assert done.stderr.startswith("scripts are not shut in: bubblewrap is not installed"), done.stderr
    assert (done.returncode, done.stdout.count("    COMPLETED")) == (0, 1), done.stdout


@pytest.mark.skipif(bool(sandbox.obstacle()), reason=f"no sandbox here: {sandbox.obstacle()}")
def test_a_trial_is_shut_in(tmp_path: Path) -> None:
    define(tmp_path, "curious", "touch /etc/uws-was-here; ls / > /dev/null")
    done = check("--definitions", str(tmp_path))
    assert "Read-only file system" in done.stdout
    assert not Path("/etc/uws-was-here").exists()


def test_a_name_that_is_not_there_is_a_mistake_of_the_command_line() -> None:
    done = check("nothing")
    assert done.returncode == 2
    assert "no job definition 'nothing' in the folder; there are barycentre, " in done.stderr


def test_the_test_values_of_our_definitions_survive_the_format() -> None:
    for name in DEFINITIONS:
        definition = native.read((ROOT / "job_definitions" / name / "job.json").read_text(encoding="utf-8"), name)
        assert bool(definition.test) == (name in TRIED)
        assert native.read(native.write(definition), "again").test == definition.test


def test_a_value_longer_than_any_name_of_a_file_is_left_to_the_archive(tmp_path: Path, spool: Spool) -> None:
    long = "y" * 300
    definition = Definition(
        "d", "1", "D", Entry("shell", "run.sh"), parameters=(ParameterSpec("table", "file"),), test={"table": (long,)}
    )
    request = trials.request_of(definition, tmp_path, spool)
    assert (request.values, request.uploads) == ({"table": [long]}, {})
