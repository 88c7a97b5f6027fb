"""Prepares the folder of a job for its script: parameters as data, environment, command, limits.

A parameter never becomes source text: it goes into `parameters.json` and into the environment. Imports storage, jobs,
the configuration and its neighbours.
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

from provenance.fits import gzipped
from uws_server.config import Config
from uws_server.execution import curation, delegation, fetch, sandbox
from uws_server.execution.hashes import Hashes
from uws_server.jobs import checks
from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Job, ParameterValue
from uws_server.resources import definitions_folder
from uws_server.storage.files import write_passing_json
from uws_server.storage.library import Installed

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV")
_ODF = "SAS_ODF"
_CALIBRATION = (
    "SAS_DIR", "SAS_PATH", _ODF, "SAS_CCF", "SAS_CCFPATH", "HEADAS", "LHEASOFT", "LHEA_DATA", "LHEAPERL",
    "CALDB", "CALDBCONFIG", "CALDBALIAS", "UWS_CALIBRATION", "UWS_CALIBRATION_TOKEN", "UWS_CALIBRATION_CACHE",
    "UWS_ABSORPTION", "UWS_APEC",
)  # fmt: skip
"""Variables by which XMM-SAS, HEASoft and our own scripts find programs and calibration files: a script has those of
the server."""
_PFILES = "PFILES"
"""The variable for the folders of the parameters of HEASoft's tasks: 'folders to write;folders to read'."""
_LONGEST = 100_000
"""The most bytes of a value in the environment: the system refuses 128 KiB. parameters.json holds every value."""
_MOST = 1_000_000
"""The most bytes of all values in the environment: with about 2 MB the system refuses to start a script."""
_CORES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""Variables that tell the libraries of numerical programs how many cores they may use."""
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_AWKWARD = re.compile(r"[\s*?\[\]\\'\"$`;&|<>()#~!{}]")
"""The characters with a meaning for the shell in a path that a script does not quote."""
NOTES_FILE = fetch.NOTES_FILE
PLAIN_SCRIPT = "script.sh"
"""The copy of a script without carriage returns, which bash would take for parts of words."""


def prepare(
    job: Job, installed: Installed, folder: Path, config: Config, base_url: str, secrets: Path | None = None
) -> dict[str, Any]:
    """Write `parameters.json` and `launch.json`, and the plan of what is to be fetched.

    Parameters
    ----------
    job
        The job that is about to run.
    installed
        Its definition, with the script.
    folder
        The folder of the job.
    config
        The configuration of the server.
    base_url
        The address of the server.
    secrets
        The folder of the secrets that it was given; None for none.

    Returns
    -------
    dict
        The content of `launch.json`.
    """
    folder = folder.resolve()
    write_passing_json(folder / "parameters.json", for_script(job, installed, folder, config, base_url))
    launch = launch_of(job, installed, folder, config, command(installed, folder), secrets)
    launch["command"] = fetching(job, folder, config, launch["command"])
    write_passing_json(folder / "launch.json", launch)
    return launch


def document_of(job: Job, installed: Installed, folder: Path, config: Config, base_url: str) -> dict[str, Any]:
    """Return the content of `parameters.json`, with notes in the folder of the job and what the server adds."""
    document = parameters_document(job, installed, base_url)
    document["job"]["notes"] = notes_of(folder)
    document["job"]["definitions"] = str(_definitions(config))
    if columns := curation.of(config):
        document["job"]["curation"] = columns
    if archive := config.folders.archive:
        document["job"]["archive"] = str(archive.resolve())
        if config.folders.cache:
            document["job"]["cache"] = _cache(config, archive)
    return document


def for_script(job: Job, installed: Installed, folder: Path, config: Config, base_url: str) -> dict[str, Any]:
    """Return the content of `parameters.json` that a script reads, with what is known of the files of the archive."""
    document, hashes = document_of(job, installed, folder, config, base_url), Hashes(config.folders.data)
    for name, value in job.parameters.items():
        if any(found := [known_hashes(part, hashes) for part in value.each]):
            document["parameters"][name]["hashes"] = found if value.parts else found[0]
    return document


def known_hashes(value: ParameterValue, hashes: Hashes) -> dict[str, Any] | None:
    """Return the hashes of a file of the archive, with the state of the file that they are of; None for none known."""
    kept = hashes.kept(Path(str(value.value))) if value.kind == "archive" and value.value else None
    return kept.plain() if kept else None


def _definitions(config: Config) -> Path:
    """Where a script finds the other definitions whose scripts it runs as steps of its own."""
    return (config.folders.definitions or definitions_folder()).resolve()


def _cache(config: Config, archive: Path) -> dict[str, Any]:
    """Where a script keeps inflated copies of files of the archive (`reduction.events.cache`)."""
    folders = config.folders
    free = max(folders.reserve, gzipped.MIN_FREE)
    return {"folder": str(_cache_folder(config)), "archive": str(archive.resolve()), "bytes": folders.cache,
            "free": free}  # fmt: skip


def _cache_folder(config: Config) -> Path:
    return (config.folders.data / "cache").resolve()


def launch_of(
    job: Job,
    installed: Installed,
    folder: Path,
    config: Config,
    run: list[str],
    secrets: Path | None = None,
    visible: Iterable[Path] = (),
) -> dict[str, Any]:
    """Return the content of `launch.json` for a command that runs in a folder, in a sandbox where the job is to.

    Parameters
    ----------
    job
        The job that is about to run.
    installed
        Its definition, with the script.
    folder
        The folder that the command runs in.
    config
        The configuration of the server.
    run
        The command.
    secrets
        The folder of the secrets that the job was given; None for none.
    visible
        What a sandbox shows beside the definition, the archive, the software and the inputs.

    Returns
    -------
    dict
        The content of `launch.json`.
    """
    more = config.jobs.environment
    control = installed.definition.control
    memory, disk = _least(control.memory, config.jobs.max_memory), _least(control.disk, config.jobs.max_disk)
    sandboxed = sandbox.require_for(job, config)
    private = sandbox.share(_least(memory, disk))
    if sandboxed:
        shown = [
            installed.script.parent,
            _definitions(config),
            *([config.folders.archive, _cache_folder(config)] if config.folders.archive else []),
            *_software(os.environ, more),
            *visible,
        ]
        shown += [*_inputs_elsewhere(job), *([secrets] if secrets else [])]
        run = sandbox.around(run, folder, config.folders.data, shown, private)
    given = {f"UWS_SECRET_{name}": f"{secrets}/{name}" for name in control.secrets} if secrets else {}
    return {
        "command": run,
        "environment": environment(job, installed, folder, os.environ, more) | given,
        "secrets": str(secrets or ""),
        "duration": job.execution_duration,
        "max_log": config.jobs.max_log,
        "max_memory": memory,
        "max_together": control.memory if config.jobs.memory else 0,
        "max_processes": config.jobs.max_processes,
        "cpus": control.cpus,
        "groups": str(delegation.base() or "") if config.jobs.control_groups else "",
        "max_disk": disk,
        "sandboxed": sandboxed,
        "private": private if sandboxed else 0,
    }


def fetching(job: Job, folder: Path, config: Config, run: list[str]) -> list[str]:
    """Return a command after which the files of a job's URLs are fetched; the one that came if there are none.

    Fetching needs the network, which the script may not have.
    """
    items = fetch.plan(job, config, folder)
    if not items:
        return run
    write_passing_json(folder / fetch.PLAN_FILE, items)
    return fetch.command(folder, run)


def _inputs_elsewhere(job: Job) -> list[Path]:
    """The inputs outside the folder of a job, such as those that an earlier job of its sequence made."""
    parts = (part for value in job.parameters.values() for part in value.each if part.kind == "archive")
    return [Path(str(part.value)) for part in parts if part.value and Path(str(part.value)).is_absolute()]


def notes_of(folder: Path) -> list[str]:
    """Return the notes of a job for its step, such as on an input that is not the recorded one; empty for none."""
    try:
        found = json.loads((folder / NOTES_FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    return [str(note) for note in found] if isinstance(found, list) else []


def command(installed: Installed, folder: Path) -> list[str]:
    """Return the command that runs a definition's script."""
    entry = installed.definition.entry
    if entry.type == "python" and entry.function:
        return [sys.executable, "-P", "-m", "reduction", str(installed.script), entry.function]
    return command_of(installed.script, entry.type, folder / PLAIN_SCRIPT)


def command_of(script: Path, language: str, plain: Path) -> list[str]:
    """Return the command that runs a file: Python by this interpreter, a shell script by bash.

    A copy without carriage returns of a shell script that has some is made at `plain`.
    """
    if language == "python":
        return [sys.executable, str(script)]
    content = script.read_bytes()
    if b"\r\n" in content:  # written in a browser, or on Windows
        script = plain
        script.write_bytes(content.replace(b"\r\n", b"\n"))
    return ["/bin/bash", str(script)]


def parameters_document(job: Job, installed: Installed, base_url: str) -> dict[str, Any]:
    """Return the content of `parameters.json`: the job, and each parameter with its value and description."""
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
    """The entry of a parameter; one that may have several values has lists, even of one."""
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
    """Return the environment of a script.

    It has a few variables of the server, the parameters as UWS_PARAM_<name> and <name> (several values stand one a
    line), and the path of each result under its name: `cat $input > $output` is a complete script.

    Parameters
    ----------
    job
        The job.
    installed
        Its definition, with the script.
    folder
        The folder of the job.
    outside
        The environment of the server.
    more
        Names of further variables that it takes over.

    Returns
    -------
    dict
        The variables by name.
    """
    kept = common_environment(outside, more, installed.definition.control.cpus)
    if _PFILES in outside:  # jobs that ran side by side would write into the same parameter files
        kept[_PFILES] = f"{folder};{outside[_PFILES].rpartition(';')[2]}"
    kept |= {"UWS_JOB_ID": job.id, "UWS_JOB_FOLDER": str(folder), "UWS_JOB_SCRIPT": str(installed.script)}
    left = _MOST
    for result in installed.definition.results:
        if may_be_variable(result.name):
            kept[result.name] = _result_path(folder, result.file)
    for name, value in job.parameters.items():
        text = "\n".join(str(part.value) if part.is_file else part.text for part in value.each)
        size = len(text.encode())
        if size <= min(_LONGEST, left // 2):  # it is there under two names
            left -= 2 * size
            kept[f"UWS_PARAM_{name}"] = text
            if may_be_variable(name):
                kept[name] = text
    return kept


def common_environment(outside: Mapping[str, str], more: Iterable[str] = (), cpus: int = 1) -> dict[str, str]:
    """Return the variables that all scripts have which may use so many cores: what Python and its libraries read.

    Sets and hashes of texts are in the same order in every run, so that one that is run again gives the same.
    """
    kept = {name: outside[name] for name in (*_KEPT, *_CALIBRATION, *more) if name in outside}
    kept["PATH"] = f"{kept.get('PATH', os.defpath)}:{sysconfig.get_path('scripts')}"  # uws-stage and its like
    kept |= {"PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": "0"}
    return kept | dict.fromkeys(_CORES, str(cpus))


def _result_path(folder: Path, file: str) -> str:
    """The path of a result: absolute, or relative to the job's folder where bash would split an unquoted path."""
    results = str(folder / "results")
    return f"{'results' if _AWKWARD.search(results) else results}/{file}"


def may_be_variable(name: str) -> bool:
    """Return whether a variable may have that name: a job may be older than the check of definitions for it."""
    return _VARIABLE.fullmatch(name) is not None and not checks.is_reserved(name)


def _software(outside: Mapping[str, str], more: Iterable[str]) -> list[Path]:
    """The folders and files named by the variables of XMM-SAS and HEASoft, and by further variables."""
    values = [outside.get(name, "") for name in (*_CALIBRATION, *more)]
    paths = [Path(part) for value in values if "://" not in value for part in value.split(os.pathsep) if part]
    summary = Path(outside.get(_ODF, ""))
    observation = [summary.parent] if summary.is_file() else []  # its files are in the folder of its summary file
    return [path for path in (*paths, *observation) if path.is_absolute()]


def _least(*limits: int) -> int:
    """The lowest of some limits; 0 stands for no limit."""
    return min((limit for limit in limits if limit), default=0)
