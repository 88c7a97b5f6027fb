"""What a script is given, seen by real scripts: values arrive as they are and are never read as source text."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from uws_server.config import Config
from uws_server.execution import staging
from uws_server.jobs.definition import Control, Definition, Entry, ParameterSpec, ResultSpec
from uws_server.jobs.job import Job, ParameterKind, ParameterValue, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.resources import definitions_folder
from uws_server.storage.library import Installed

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
    """Run the job as its supervisor would: with what launch.json says and nothing else."""
    folder = tmp_path / "job"
    folder.mkdir()
    staging.prepare(of, definition, folder, Config.of(data=tmp_path), "http://x.org/uws")
    launch = json.loads((folder / "launch.json").read_text(encoding="utf-8"))
    done = subprocess.run(
        launch["command"], env=launch["environment"], cwd=folder, capture_output=True, check=True, timeout=300
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
    ours = {"text", "UWS_PARAM_text", "UWS_JOB_ID", "UWS_JOB_FOLDER", "UWS_JOB_SCRIPT"}
    ours |= {"PYTHONUNBUFFERED", "PYTHONHASHSEED"}
    ours |= {f"{library}_NUM_THREADS" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}
    shells = {"PWD", "SHLVL", "_", "OLDPWD"}
    assert seen.keys() - ours - shells <= {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV"}
    assert seen["UWS_JOB_ID"] == made.id
    assert "secret" not in (folder / "all").read_text(encoding="utf-8")


def test_a_script_gets_the_calibration_of_the_server_and_what_the_configuration_names(tmp_path: Path) -> None:
    place = tmp_path / "ccf"
    calibration = {"SAS_CCF": f"{place}/ccf.cif", "SAS_CCFPATH": str(place), "SAS_ODF": f"{place}/0123_SUM.SAS",
                   "SAS_DIR": "/opt/sas", "CALDB": "/opt/caldb", "HEADAS": "/opt/heasoft",
                   "LHEA_DATA": "/opt/heasoft/refdata", "UWS_CALIBRATION": "/opt/calibration",
                   "UWS_CALIBRATION_TOKEN": "/opt/token", "UWS_CALIBRATION_CACHE": "/var/cache"}  # fmt: skip
    outside = {**calibration, "PATH": "/bin", "PFILES": "/of/the/server/pfiles;/opt/heasoft/syspfiles",
               "MY_TOOL": "a b", "SECRET": "hush"}  # fmt: skip
    given = staging.environment(job(), installed(tmp_path, "true\n"), tmp_path, outside, ["MY_TOOL", "NOT_THERE"])
    assert {name: given[name] for name in calibration} == calibration
    assert given["PFILES"] == f"{tmp_path};/opt/heasoft/syspfiles"  # a job's own, where tasks write their parameters
    assert given["MY_TOOL"] == "a b"
    assert not {"SECRET", "NOT_THERE"} & given.keys()


def test_the_key_environment_names_further_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOOL", "é b")
    monkeypatch.setenv("MY_OTHER", "x")
    config = Config.of(data=tmp_path, environment="MY_TOOL, MY_NONE,")
    staging.prepare(job(), installed(tmp_path, "true\n"), tmp_path, config, "http://x")
    given = json.loads((tmp_path / "launch.json").read_text(encoding="utf-8"))["environment"]
    assert {name: text for name, text in given.items() if name.startswith("MY_")} == {"MY_TOOL": "é b"}


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
        "globs": {},
        "parent": None,
        "notes": [],
        "definitions": str(definitions_folder()),
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


def test_the_supervisor_is_told_the_limits(tmp_path: Path) -> None:
    made = job()
    staging.prepare(
        made, installed(tmp_path, "true\n"), tmp_path, Config.of(data=tmp_path, max_log=5, max_memory=6), "http://x"
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


def test_a_name_that_a_shell_or_the_loader_acts_upon_never_reaches_the_environment(tmp_path: Path) -> None:
    """Definitions with such names are refused, but a job may be older than the rule."""
    names = ("lang", "PATH", "LD_PRELOAD", "BASH_ENV", "PYTHONPATH", "IFS", "UWS_JOB_ID", "OMP_NUM_THREADS", "SECONDS")
    made = job(**{name: ParameterValue("evil", "evil") for name in names})
    given = staging.environment(made, installed(tmp_path, "true\n"), tmp_path, {"PATH": "/bin", "LANG": "C.UTF-8"})
    assert {name: given[f"UWS_PARAM_{name}"] for name in names} == dict.fromkeys(names, "evil")
    assert [name for name in names if given.get(name) == "evil"] == []
    assert (given["LANG"], given["PATH"].split(":")[0], given["UWS_JOB_ID"]) == ("C.UTF-8", "/bin", made.id)


# --- several values, files, results --------------------------------------------------------------------


def several(*values: str, kind: ParameterKind = "value") -> ParameterValue:
    parts = [ParameterValue(value.rpartition("/")[2], value, kind) for value in values]
    return ParameterValue.several(parts)


def test_several_values_come_as_a_list_and_one_a_line(tmp_path: Path) -> None:
    made = job(text=several("one", "two words", "three"))
    folder, _ = run(tmp_path, made, installed(tmp_path, PRINT))
    assert (folder / "as_name").read_text(encoding="utf-8") == "one\ntwo words\nthree"
    entry = json.loads((folder / "parameters.json").read_text(encoding="utf-8"))["parameters"]["text"]
    assert (entry["value"], entry["kind"], entry["source"]) == (["one", "two words", "three"], "value", None)


def test_one_value_of_several_is_a_list_too(tmp_path: Path) -> None:
    document = staging.parameters_document(job(text=several("one")), installed(tmp_path, "true\n"), "http://x")
    assert document["parameters"]["text"]["value"] == ["one"]


@pytest.mark.parametrize("kind", ["upload", "archive"])
def test_several_files_have_their_places_and_what_the_user_called_them(tmp_path: Path, kind: ParameterKind) -> None:
    made = job(eventlist=several("inputs/1/a.fits", "inputs/2/b.fits", kind=kind))
    folder, printed = run(tmp_path, made, installed(tmp_path, 'while read -r f; do echo "<$f>"; done <<< "$eventlist"'))
    assert printed == "<inputs/1/a.fits>\n<inputs/2/b.fits>\n"
    entry = json.loads((folder / "parameters.json").read_text(encoding="utf-8"))["parameters"]["eventlist"]
    assert (entry["value"], entry["kind"]) == (["inputs/1/a.fits", "inputs/2/b.fits"], "file")
    assert entry["source"] == ["a.fits", "b.fits"]


def test_urls_are_files_that_are_fetched_before_the_script_runs(tmp_path: Path) -> None:
    made = job(eventlist=ParameterValue("https://x.org/a.fits", "inputs/eventlist-a.fits", "url"))
    definition = installed(tmp_path, "true\n")
    document = staging.parameters_document(made, definition, "http://x")["parameters"]["eventlist"]
    assert (document["kind"], document["value"]) == ("file", "inputs/eventlist-a.fits")
    assert document["source"] == "https://x.org/a.fits"
    staging.prepare(made, definition, tmp_path, Config.of(data=tmp_path), "http://x")
    (item,) = json.loads((tmp_path / "fetch.json").read_text(encoding="utf-8"))
    assert (item["url"], item["place"]) == ("https://x.org/a.fits", "inputs/eventlist-a.fits")
    launched = json.loads((tmp_path / "launch.json").read_text(encoding="utf-8"))["command"]
    assert launched[-3:] == ["--", "/bin/bash", str(definition.script)]
    assert any(word.endswith("fetch.py") for word in launched)


def with_results(folder: Path, script: str, *results: ResultSpec) -> Installed:
    found = installed(folder, script)
    return replace(found, definition=replace(found.definition, results=results))


def test_a_script_finds_the_place_of_each_result_by_its_name(tmp_path: Path) -> None:
    results = ResultSpec("output", "output.txt"), ResultSpec("images", "image-*.fits"), ResultSpec("with-hyphen", "x")
    definition = with_results(
        tmp_path, "mkdir results; echo $text > $output; cd /; echo more >> $output; env", *results
    )
    folder, printed = run(tmp_path, job(text=ParameterValue("hello", "hello")), definition)
    assert (folder / "results/output.txt").read_text(encoding="utf-8") == "hello\nmore\n"
    assert f"images={folder}/results/image-*.fits\n" in printed
    assert "with-hyphen" not in printed


def test_a_place_that_bash_would_tear_is_told_from_the_folder_of_the_job(tmp_path: Path) -> None:
    place = tmp_path / "my data (new)"
    place.mkdir()
    script = "mkdir results; echo $text > $output; echo $text >> $output"
    definition = with_results(place, script, ResultSpec("output", "output.txt"))
    folder, _ = run(place, job(text=ParameterValue("hello", "hello")), definition)
    assert (folder / "results/output.txt").read_text(encoding="utf-8") == "hello\nhello\n"


def test_a_value_wins_over_a_result_of_its_name(tmp_path: Path) -> None:
    definition = with_results(tmp_path, PRINT, ResultSpec("text", "text.txt"))
    folder, _ = run(tmp_path, job(text=ParameterValue("mine", "mine")), definition)
    assert (folder / "as_name").read_text(encoding="utf-8") == "mine"


def test_a_script_with_the_line_ends_of_a_browser_runs(tmp_path: Path) -> None:
    definition = installed(tmp_path, "unset")
    definition.script.write_bytes(b"if true; then\r\n  sleep 0\r\n  echo $text\r\nfi\r\n")
    _, printed = run(tmp_path, job(text=ParameterValue("hello", "hello")), definition)
    assert printed == "hello\n"
    assert b"\r" in definition.script.read_bytes()


# --- a function, limits --------------------------------------------------------------------------------


def test_a_function_gets_the_task(tmp_path: Path) -> None:
    script = """
from pathlib import Path
import helping_module

def work(job):
    job.stage("First")
    job.log(f"{job.value('text')} {helping_module.WORD}")
    job.stage("Second")
    job.output("out.txt", "text").write_text("made")
"""
    definition = installed(tmp_path, script, "python")
    (definition.folder / "helping_module.py").write_text("WORD = 'beside'")
    definition = replace(definition, definition=replace(definition.definition, entry=Entry("python", "run.py", "work")))
    folder, printed = run(tmp_path, job(text=ParameterValue("hello", "hello")), definition)
    assert printed == "[STAGE 1/2] First\nhello beside\n[STAGE 2/2] Second\n"
    assert (folder / "results/out.txt").read_text(encoding="utf-8") == "made"


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("def other(job): pass\n", "[ERROR] run.py has no function work"),
        ("def work(job):\n    x = = 1\n", "[ERROR] run.py, line 2: invalid syntax"),
    ],
)
def test_a_function_that_cannot_be_called_is_told(tmp_path: Path, script: str, sentence: str) -> None:
    definition = installed(tmp_path, script, "python")
    definition = replace(definition, definition=replace(definition.definition, entry=Entry("python", "run.py", "work")))
    folder = tmp_path / "job"
    folder.mkdir()
    staging.prepare(job(), definition, folder, Config.of(data=tmp_path), "http://x")
    launch = json.loads((folder / "launch.json").read_text(encoding="utf-8"))
    done = subprocess.run(launch["command"], env=launch["environment"], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr.decode().strip() == sentence


@pytest.mark.parametrize(("own", "server", "limit"), [(0, 0, 0), (5, 0, 5), (0, 7, 7), (5, 7, 5), (9, 7, 7)])
def test_the_lower_limit_of_definition_and_server_holds(tmp_path: Path, own: int, server: int, limit: int) -> None:
    found = installed(tmp_path, "true\n")
    control = Control(memory=own, disk=own, cpus=3)
    found = replace(found, definition=replace(found.definition, control=control))
    staging.prepare(job(), found, tmp_path, Config.of(data=tmp_path, max_memory=server, max_disk=server), "http://x")
    launch = json.loads((tmp_path / "launch.json").read_text(encoding="utf-8"))
    assert (launch["max_memory"], launch["max_disk"]) == (limit, limit)
    assert {launch["environment"][f"{name}_NUM_THREADS"] for name in ("OMP", "OPENBLAS", "MKL")} == {"3"}
