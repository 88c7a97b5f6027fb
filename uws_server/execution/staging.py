"""What a job's script is given: parameters as data, an environment, a command, limits.

A parameter is never source text: it goes into `parameters.json` and into the environment. Imports storage, jobs, the
configuration and its neighbours.
"""

from __future__ import annotations

import json
import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from uws_server.config import Config
from uws_server.execution import curation, fetch, sandbox
from uws_server.jobs import checks
from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Job, ParameterValue
from uws_server.storage.files import write_json
from uws_server.storage.library import Installed

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV")
_ODF = "SAS_ODF"
_CALIBRATION = (
    "SAS_DIR", "SAS_PATH", _ODF, "SAS_CCF", "SAS_CCFPATH", "HEADAS", "LHEASOFT", "LHEA_DATA", "LHEAPERL",
    "CALDB", "CALDBCONFIG", "CALDBALIAS",
)  # fmt: skip
"""Variables by which XMM-SAS and HEASoft find themselves and the calibration files: a script has the server's."""
_PFILES = "PFILES"
"""Where HEASoft keeps the parameters of its tasks: 'folders to write;folders to read'."""
_LONGEST = 100_000
"""Longest value put into the environment: the system refuses one of 128 KiB. parameters.json holds it whole."""
_MOST = 1_000_000
"""Bytes of all values in the environment: the system refuses to start a script with about 2 MB."""
_CORES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""Where the libraries of numerical programs look for the number of cores they may take."""
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_AWKWARD = re.compile(r"[\s*?\[\]\\'\"$`;&|<>()#~!{}]")
"""What the shell would act upon in a path that a script does not quote."""
NOTES_FILE = fetch.NOTES_FILE
PLAIN_SCRIPT = "script.sh"
"""The script of a job without the carriage returns that bash would take for part of the words."""


def prepare(job: Job, installed: Installed, folder: Path, config: Config, base_url: str) -> None:
    """Write `parameters.json` and `launch.json` into the folder of a job that is about to run."""
    folder = folder.resolve()
    document = parameters_document(job, installed, base_url)
    document["job"]["notes"] = notes_of(folder)
    if told := curation.of(config):
        document["job"]["curation"] = told
    write_json(folder / "parameters.json", document)
    run = command(installed, folder)
    more = config.jobs.environment
    shut_in = sandbox.wanted(job, config)
    if shut_in and (why := sandbox.obstacle()):
        shut_in = False
        _warn(folder, f"this trial runs without a sandbox: {why}")
    if shut_in:
        shown = [
            installed.script.parent,
            *([config.folders.archive] if config.folders.archive else []),
            *_software(os.environ, more),
        ]
        shown += _inputs_elsewhere(job)
        run = sandbox.around(run, folder, config.folders.data, shown)
    if items := fetch.plan(job, config, folder):
        write_json(folder / fetch.PLAN_FILE, items)
        run = fetch.command(folder, run)  # what is fetched needs the network, the script may have none
    control = installed.definition.control
    launch = {
        "command": run,
        "environment": environment(job, installed, folder, os.environ, more),
        "duration": job.execution_duration,
        "max_log": config.jobs.max_log,
        "max_memory": _least(control.memory, config.jobs.max_memory),
        "max_disk": _least(control.disk, config.jobs.max_disk),
        "sandboxed": shut_in,
    }
    write_json(folder / "launch.json", launch)


def _inputs_elsewhere(job: Job) -> list[Path]:
    """The files that a job uses where they lie, such as what an earlier job of its chain made."""
    parts = (part for value in job.parameters.values() for part in value.each if part.kind == "archive")
    return [Path(str(part.value)) for part in parts if part.value and Path(str(part.value)).is_absolute()]


def notes_of(folder: Path) -> list[str]:
    """What was noted of a job when it was made (an input that is not the recorded one): its step tells it."""
    try:
        found = json.loads((folder / NOTES_FILE).read_bytes())
    except (OSError, ValueError):
        return []
    return [str(note) for note in found] if isinstance(found, list) else []


def command(installed: Installed, folder: Path) -> list[str]:
    """The command that runs the definition's script: a Python one by our interpreter, a shell script by bash."""
    entry, script = installed.definition.entry, installed.script
    if entry.type == "python" and entry.function:
        return [sys.executable, "-P", "-m", "reduction", str(script), entry.function]
    if entry.type == "python":
        return [sys.executable, str(script)]
    content = script.read_bytes()
    if b"\r\n" in content:  # written in a browser, or on Windows
        script = folder / PLAIN_SCRIPT
        script.write_bytes(content.replace(b"\r\n", b"\n"))
    return ["/bin/bash", str(script)]


def parameters_document(job: Job, installed: Installed, base_url: str) -> dict[str, Any]:
    """The content of `parameters.json`: the job and each parameter with its value and what is known of it."""
    return {
        "job": {
            "id": job.id,
            "definition": job.definition,
            "version": job.version,
            "results_url": f"{base_url}/rest/{job.definition}/{job.id}/results",
            "globs": {spec.name: spec.file for spec in installed.definition.results},
            "parent": job.parent,
        },
        "parameters": {name: _entry(name, value, installed.definition) for name, value in job.parameters.items()},
    }


def _entry(name: str, value: ParameterValue, definition: Definition) -> dict[str, Any]:
    """A parameter as a script finds it; one that may have several values has lists, even of one."""
    spec = definition.parameter(name)
    values: Any = [part.value for part in value.parts] if value.parts else value.value
    sources: Any = [part.text for part in value.parts] if value.parts else value.text
    return {
        "value": values,
        "kind": "file" if value.is_file else "value",
        "source": sources if value.is_file else None,
        "editable": bool(spec and spec.editable),
        "description": spec.description if spec else "",
        "unit": (spec.unit if spec else "") or None,
    }


def environment(
    job: Job, installed: Installed, folder: Path, outside: Mapping[str, str], more: Iterable[str] = ()
) -> dict[str, str]:
    """The environment of a script: little of ours, the parameters as UWS_PARAM_<name> and <name>, the results' places.

    `more` are names of variables of ours that it has, too. Several values stand one a line. A result is known by its
    name: `cat $input > $output` is a whole script.
    """
    kept = {name: outside[name] for name in (*_KEPT, *_CALIBRATION, *more) if name in outside}
    if _PFILES in outside:  # jobs that ran side by side would write into the same parameter files
        kept[_PFILES] = f"{folder};{outside[_PFILES].rpartition(';')[2]}"
    kept["PATH"] = f"{kept.get('PATH', os.defpath)}:{sysconfig.get_path('scripts')}"  # uws-stage and its like
    kept |= {"PYTHONUNBUFFERED": "1", "UWS_JOB_ID": job.id}
    kept |= {"UWS_JOB_FOLDER": str(folder), "UWS_JOB_SCRIPT": str(installed.script)}
    kept |= dict.fromkeys(_CORES, str(installed.definition.control.cpus))
    left = _MOST
    for result in installed.definition.results:
        if _may_be_variable(result.name):
            kept[result.name] = _place(folder, result.file)
    for name, value in job.parameters.items():
        text = "\n".join(str(part.value) if part.is_file else part.text for part in value.each)
        size = len(text.encode())
        if size <= min(_LONGEST, left // 2):  # it is there under two names
            left -= 2 * size
            kept[f"UWS_PARAM_{name}"] = text
            if _may_be_variable(name):
                kept[name] = text
    return kept


def _place(folder: Path, file: str) -> str:
    """Where a script finds or leaves a result: absolute, or from the job's folder where bash would tear the path."""
    results = str(folder / "results")
    return f"{'results' if _AWKWARD.search(results) else results}/{file}"


def _may_be_variable(name: str) -> bool:
    """Whether a variable may have that name; definitions are checked for it, but a job may be older than the check."""
    return _VARIABLE.fullmatch(name) is not None and not checks.is_reserved(name)


def _software(outside: Mapping[str, str], more: Iterable[str]) -> list[Path]:
    """The folders and files that the variables of XMM-SAS and HEASoft name, and further variables."""
    paths = [Path(part) for name in (*_CALIBRATION, *more) for part in outside.get(name, "").split(os.pathsep) if part]
    summary = Path(outside.get(_ODF, ""))
    beside = [summary.parent] if summary.is_file() else []  # the observation lies beside its summary file
    return [path for path in (*paths, *beside) if path.is_absolute()]


def _least(*limits: int) -> int:
    """The lowest of some limits, where 0 is none."""
    return min((limit for limit in limits if limit), default=0)


def _warn(folder: Path, text: str) -> None:
    with (folder / "job.log").open("a", encoding="utf-8") as log:
        log.write(f"[WARNING] {text}\n")
