"""What a script is given, seen by real scripts: values arrive as they are and are never read as source text."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from uws_server.config import Config
from uws_server.execution import staging
from uws_server.jobs.definition import Definition, Entry, ParameterSpec
from uws_server.jobs.job import Job, ParameterValue, new_id, utcnow
from uws_server.jobs.library import Installed
from uws_server.jobs.phases import Phase

HOSTILE = "$(touch pwned) `touch pwned` ; touch pwned\n'\"\\ && touch pwned # é\t"
PRINT = 'printf "%s" "$text" > as_name; printf "%s" "$UWS_PARAM_text" > as_param; env -0 > all\n'
PRINT_JSON = (
    "import json, sys; print(json.dumps([json.load(open('parameters.json')), sys.flags.isolated, sys.prefix]))\n"
)


def installed(folder: Path, script: str, kind: Literal["shell", "python"] = "shell") -> Installed:
    name = {"shell": "run.sh", "python": "run.py"}[kind]
    (folder / "definition").mkdir()
    (folder / "definition" / name).write_text(script, encoding="utf-8")
    specs = (
        ParameterSpec("text", "string", description="Some text.", editable=True),
        ParameterSpec("radius", "float", unit="arcmin"),
        ParameterSpec("eventlist", "file"),
    )
    return Installed(Definition("d", "1.1", "D", Entry(kind, name), parameters=specs), folder / "definition")


def job(**values: ParameterValue) -> Job:
    return Job(new_id(), "d", "1.1", Phase.EXECUTING, utcnow(), 77, parameters=values)


def run(tmp_path: Path, of: Job, definition: Installed) -> tuple[Path, str]:
    """Run the job as its keeper would: with what launch.json says and nothing else."""
    folder = tmp_path / "job"
    folder.mkdir()
    staging.prepare(of, definition, folder, Config(data=tmp_path), "http://x.org/uws")
    launch = json.loads((folder / "launch.json").read_text(encoding="utf-8"))
    done = subprocess.run(
        launch["command"], env=launch["environment"], cwd=folder, capture_output=True, check=True, timeout=30
    )
    assert done.stderr == b""
    return folder, done.stdout.decode()


def test_a_hostile_value_arrives_in_a_shell_script_as_it_is(tmp_path: Path) -> None:
    folder, _ = run(tmp_path, job(text=ParameterValue(HOSTILE, HOSTILE)), installed(tmp_path, PRINT))
    assert (folder / "as_name").read_text(encoding="utf-8") == HOSTILE
    assert (folder / "as_param").read_text(encoding="utf-8") == HOSTILE
    assert not list(tmp_path.rglob("pwned"))


def test_a_shell_script_gets_little_of_the_servers_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UWS_SERVER_DATABASE", "postgresql://user:secret@host/d")
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    made = job(text=ParameterValue("a", "a"))
    folder, _ = run(tmp_path, made, installed(tmp_path, PRINT))
    seen = dict(entry.split("=", 1) for entry in (folder / "all").read_text(encoding="utf-8").split("\0") if entry)
    ours = {"text", "UWS_PARAM_text", "UWS_JOB_ID", "PYTHONUNBUFFERED", "OPENBLAS_NUM_THREADS"}
    shells = {"PWD", "SHLVL", "_", "OLDPWD"}
    assert seen.keys() - ours - shells <= {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV"}
    assert seen["UWS_JOB_ID"] == made.id
    assert "secret" not in (folder / "all").read_text(encoding="utf-8")


def test_a_python_script_reads_values_with_their_types(tmp_path: Path) -> None:
    made = job(
        text=ParameterValue(HOSTILE, HOSTILE),
        radius=ParameterValue("0.5", 0.5),
        eventlist=ParameterValue("a.fits", "inputs/eventlist-a.fits", "upload"),
    )
    _, printed = run(tmp_path, made, installed(tmp_path, PRINT_JSON, "python"))
    document: dict[str, Any] = json.loads(printed)[0]
    assert document["job"] == {
        "id": made.id,
        "definition": "d",
        "version": "1.1",
        "results_url": f"http://x.org/uws/rest/d/{made.id}/results",
    }
    assert document["parameters"] == {
        "text": {
            "value": HOSTILE,
            "kind": "value",
            "source": None,
            "editable": True,
            "description": "Some text.",
            "unit": None,
        },
        "radius": {
            "value": 0.5,
            "kind": "value",
            "source": None,
            "editable": False,
            "description": "",
            "unit": "arcmin",
        },
        "eventlist": {
            "value": "inputs/eventlist-a.fits",
            "kind": "file",
            "source": "a.fits",
            "editable": False,
            "description": "",
            "unit": None,
        },
    }


def test_a_file_is_told_by_its_path_in_the_environment(tmp_path: Path) -> None:
    made = job(text=ParameterValue("a.fits", "/archive/0123/a.fits", "archive"))
    folder, _ = run(tmp_path, made, installed(tmp_path, PRINT))
    assert (folder / "as_name").read_text(encoding="utf-8") == "/archive/0123/a.fits"


def test_a_value_too_long_for_the_system_is_in_the_document_only(tmp_path: Path) -> None:
    long = "é" * 60_000
    folder, _ = run(tmp_path, job(text=ParameterValue(long, long)), installed(tmp_path, PRINT))
    assert (folder / "as_name").read_text(encoding="utf-8") == ""
    document = json.loads((folder / "parameters.json").read_text(encoding="utf-8"))
    assert document["parameters"]["text"]["value"] == long


def test_many_long_values_do_not_keep_a_script_from_starting(tmp_path: Path) -> None:
    """The system refuses to start a process whose environment has a few megabytes."""
    values = {f"p{number}": ParameterValue("x" * 99_000, "x" * 99_000) for number in range(40)}
    made = job(text=ParameterValue("short", "short"), **values)
    folder, _ = run(tmp_path, made, installed(tmp_path, PRINT))
    assert (folder / "as_name").read_text(encoding="utf-8") == "short"
    assert len(json.loads((folder / "parameters.json").read_text(encoding="utf-8"))["parameters"]) == 41


def test_the_keeper_is_told_the_limits(tmp_path: Path) -> None:
    made = job()
    staging.prepare(
        made, installed(tmp_path, "true\n"), tmp_path, Config(data=tmp_path, max_log=5, max_memory=6), "http://x"
    )
    launch = json.loads((tmp_path / "launch.json").read_text(encoding="utf-8"))
    assert (launch["duration"], launch["max_log"], launch["max_memory"]) == (77, 5, 6)
    assert launch["command"] == ["/bin/bash", str(tmp_path / "definition/run.sh")]


def test_a_parameter_that_the_definition_lost_is_passed_on(tmp_path: Path) -> None:
    """A definition may change between the creation of a job and its run."""
    made = replace(job(), parameters={"old": ParameterValue("1", 1)})
    document = staging.parameters_document(made, installed(tmp_path, "true\n"), "http://x")
    assert document["parameters"]["old"]["value"] == 1
    assert document["parameters"]["old"]["editable"] is False


def test_names_of_parameters_win_over_what_is_kept() -> None:
    made = job(lang=ParameterValue("fr", "fr"))
    environment = staging.environment(made, dict(os.environ) | {"LANG": "C.UTF-8"})
    assert (environment["lang"], environment["LANG"]) == ("fr", "C.UTF-8")
