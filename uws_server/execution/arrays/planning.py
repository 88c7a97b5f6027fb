"""Makes the plan of an array from a job and its definition, and `launch.json`. Imports staging, jobs and the plan."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import uws_server
from uws_server.config import Config
from uws_server.execution import staging
from uws_server.execution.arrays import plan
from uws_server.execution.arrays.plan import PartInput, Plan, Task
from uws_server.execution.hashes import Hashes
from uws_server.execution.warm import needs
from uws_server.jobs.definition import Definition, Entry
from uws_server.jobs.job import Job, ParameterValue
from uws_server.jobs.part import PARTS
from uws_server.storage.files import read_json, write_passing_json
from uws_server.storage.library import Installed

_LEAST_LOG = 1 << 14
"""Bytes of log that every part may write, however many there are."""
_PROGRAM = (
    f"import sys; sys.path[:not sys.flags.safe_path] = [{str(Path(uws_server.__file__).parents[1])!r}]; "
    "from uws_server.execution.arrays import driver; del sys.path[0]; driver.main()"
)
"""The code that runs the driver, from which scripts may be forked: they get the path of modules as Python makes it."""
_GATHER_SCRIPT = "gather.sh"


def prepare(
    job: Job, installed: Installed, folder: Path, config: Config, base_url: str, secrets: Path | None = None
) -> dict[str, Any]:
    """Write `parameters.json`, `parts.json` and `launch.json` of an array. Return the last one's content."""
    folder = folder.resolve()
    write_passing_json(folder / "parameters.json", staging.document_of(job, installed, folder, config, base_url))
    (folder / plan.PARTS_FOLDER).mkdir(exist_ok=True)  # a sandbox shows what is there
    planned = plan_of(job, installed, folder, config, base_url, secrets)
    plan.write(folder, planned)
    whole = staging.environment(_of_all(job, installed), installed, folder, os.environ, config.jobs.environment)
    driver = [sys.executable, "-c", _PROGRAM]
    run = staging.fetching(job, folder, config, driver)
    launch = {
        "command": run,
        "environment": whole,
        "secrets": str(secrets or ""),
        "duration": job.execution_duration,
        "max_log": config.jobs.max_log,
        "max_memory": 0,  # the parts have the limit
        "max_disk": planned.part.launch["max_disk"],
        "sandboxed": False,  # the parts are
        "private": 0,
        "relays": True,
        "fetches": run != driver,
        "forks": planned.imports is not None and run == driver,
        "nice": 0,  # it does the work of supervisors; the scripts are nice
    }
    write_passing_json(folder / "launch.json", launch)
    return launch


def fetches(folder: Path) -> bool:
    """Return whether inputs of a job that was prepared are fetched before its parts can run."""
    return bool(read_json(folder / "launch.json").get("fetches"))


def is_array(job: Job, definition: Definition) -> bool:
    """Return whether a job is spread over a parameter: it then has parts."""
    if definition.spread is None or definition.spread.name not in job.parameters:
        return False
    return len(job.parameters[definition.spread.name].each) > 1 or not definition.is_plain_with_one


def without_parts(job: Job, definition: Definition) -> tuple[Job, Definition]:
    """Return a job that has no parts as its script sees it, and what that script makes.

    The parameter that others are spread over has its one value, not a list, as in a part.
    """
    if definition.spread is None:
        return job, definition
    name = definition.spread.name
    given = {key: value.each[0] if key == name else value for key, value in job.parameters.items()}
    return replace(job, parameters=given), definition_of_parts(definition)


def require_fitting(planned: Plan, job: Job) -> None:
    """Raise ValueError for a plan that is not that of a job: a script may have written over it."""
    given = job.parameters.get(planned.parameter)
    if given is None or [value.text for value in given.each] != [each.text for each in planned.inputs]:
        raise ValueError("it is not the plan of this job")


def definition_of_parts(definition: Definition) -> Definition:
    """Return the definition that a part runs: without what the last script makes."""
    return replace(definition, results=tuple(each for each in definition.results if not each.gathered))


def definition_of_gather(definition: Definition) -> Definition:
    """Return the definition that the last script runs."""
    entry = Entry(definition.scripts[definition.gather], definition.gather)
    return replace(definition, entry=entry, results=tuple(each for each in definition.results if each.gathered))


def of_part(job: Job, definition: Definition, number: int, folder: Path) -> Job:
    """Return the job that a part is by itself: it has one value of the spread parameter; files have absolute paths."""
    assert definition.spread is not None
    name = definition.spread.name
    one = job.parameters[name].each[number - 1]
    given = {key: one if key == name else value for key, value in job.parameters.items()}
    return replace(job, parameters={key: _absolute(value, folder) for key, value in given.items()})


def of_gather(job: Job, definition: Definition, folder: Path, files: Sequence[ParameterValue]) -> Job:
    """Return the job that the last script is by itself: it has files that the parts made, not those they were given."""
    spread = definition.spread
    assert spread is not None
    given = {
        name: _absolute(value, folder)
        for name, value in job.parameters.items()
        if name != spread.name or not value.is_file
    }
    made = ParameterValue("\n".join(file.text for file in files), None, "archive", tuple(files))
    return replace(job, parameters=given | {PARTS: made})


def plan_of(
    job: Job, installed: Installed, folder: Path, config: Config, base_url: str, secrets: Path | None
) -> Plan:
    """Return the plan of an array whose folder is given."""
    definition = installed.definition
    spread = definition.spread
    assert spread is not None
    single = replace(installed, definition=definition_of_parts(definition))
    marked = folder / plan.folder_of(0)
    first = of_part(job, definition, 1, folder)
    common = replace(first, parameters={key: value for key, value in first.parameters.items() if key != spread.name})
    values = [_absolute(value, folder) for value in job.parameters[spread.name].each]
    needed_files = [Path(str(value.value)) for value in values if value.kind == "archive"]
    run = staging.command(single, folder)
    hashes = Hashes(config.folders.data)
    launch = staging.launch_of(common, single, marked, config, run, secrets, _visible(folder, needed_files))
    variables = [f"UWS_PARAM_{spread.name}"]
    if staging.may_be_variable(spread.name):
        variables.append(spread.name)
    return Plan(
        spread.name,
        tuple(_input(value, hashes) for value in values),
        Task(
            staging.for_script(first, single, folder, config, base_url),
            _of_part(launch, config, len(values)),
            *_results(single.definition),
        ),
        str(marked),
        f"{base_url}/rest/{job.definition}/{job.id}/parts",
        placed=_placed(launch["environment"], str(marked), common),
        variables=tuple(variables),
        statuses=dict(definition.control.statuses),
        gather=_gather(job, installed, folder, config, base_url, secrets) if definition.gather else None,
        **_warm(single, launch, config),
    )


def _input(value: ParameterValue, hashes: Hashes) -> PartInput:
    source = value.text if value.is_file else None
    return PartInput(value.value, source, value.text, staging.known_hashes(value, hashes))


def _warm(installed: Installed, launch: dict[str, Any], config: Config) -> dict[str, Any]:
    """What the plan says of a process that the scripts may be forked from."""
    definition = installed.definition
    if definition.entry.type != "python" or not (definition.control.warm and config.jobs.warm) or launch["sandboxed"]:
        return {}
    wanted = needs.of_script(installed)
    why = needs.obstacle(installed, wanted, launch["max_memory"])
    return {"cold": why} if why else {"imports": wanted.imports, "own": wanted.own}


def _of_all(job: Job, installed: Installed) -> Job:
    """The job without the parameter that it is spread over: the driver needs no value of it in its environment."""
    spread = installed.definition.spread
    kept = {key: value for key, value in job.parameters.items() if spread is None or key != spread.name}
    return replace(job, parameters=kept)


def _gather(
    job: Job, installed: Installed, folder: Path, config: Config, base_url: str, secrets: Path | None
) -> Task:
    definition = definition_of_gather(installed.definition)
    last = replace(installed, definition=definition)
    given = of_gather(job, installed.definition, folder, ())
    run = staging.command_of(last.script, definition.entry.type, folder / _GATHER_SCRIPT)
    place = folder / plan.GATHERED_FOLDER
    shown = [*_visible(folder, ()), folder / plan.PARTS_FOLDER]
    launch = staging.launch_of(given, last, place, config, run, secrets, shown)
    document = staging.for_script(given, last, folder, config, base_url)
    return Task(document, _of_part(launch, config, 1), *_results(definition))


def _of_part(launch: dict[str, Any], config: Config, parts: int) -> dict[str, Any]:
    """The `launch.json` of a part: time and disk are limited for the whole."""
    most = max(config.jobs.max_log // parts, min(_LEAST_LOG, config.jobs.max_log))
    return launch | {"duration": 0, "max_log": most, "passing": True}


def _results(definition: Definition) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The declared files, and those that are missed."""
    return (
        tuple(spec.file for spec in definition.results),
        tuple(spec.file for spec in definition.results if not spec.optional),
    )


def _placed(environment: dict[str, str], marked: str, job: Job) -> tuple[str, ...]:
    """The variables of an environment that name the folder of a part, but no parameter."""
    parameters = {variable for name in job.parameters for variable in (name, f"UWS_PARAM_{name}")}
    return tuple(name for name, text in environment.items() if marked in text and name not in parameters)


def _visible(folder: Path, files: Iterable[Path]) -> list[Path]:
    """What a part in a sandbox sees of the folder of its job, and elsewhere."""
    return [folder / "inputs", folder / staging.PLAIN_SCRIPT, folder / _GATHER_SCRIPT, *files]


def _absolute(value: ParameterValue, folder: Path) -> ParameterValue:
    """The same value, its files by absolute paths."""
    if value.parts:
        return replace(value, parts=tuple(_absolute(part, folder) for part in value.parts))
    return replace(value, value=str(folder / str(value.value))) if value.is_file and value.value else value
