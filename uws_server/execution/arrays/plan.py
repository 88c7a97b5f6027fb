"""The plan of an array, `parts.json`, and how the folder of a part is made from it. Imports what writes in job folders.

The plan says everything that a part needs, so that whoever runs the parts knows no definition and no database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from uws_server.execution.jobfolder import write_json
from uws_server.storage.plainfiles import opened

PLAN_FILE = "parts.json"
WIDTH_FILE = "width"
HELD_FILE = "held"
TASKS_FILE = "tasks"
PARTS_FOLDER = "parts"
GATHERED_FOLDER = "gathered"
_MOST_BYTES = 1 << 27
_LONGEST = 100_000
"""The most bytes of a value in the environment: the system refuses 128 KiB. parameters.json holds every value."""


@dataclass(frozen=True)
class PartInput:
    """The value of the spread parameter that one part gets.

    `value` is what its script gets (the path of a file is absolute), `source` how the user named a file (None for any
    other value), `text` what people read, `hashes` what is known of a file (`staging.known_hashes`).
    """

    value: str | int | float | bool | None
    source: str | None
    text: str
    hashes: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Task:
    """What is run once: the content of `parameters.json` and of `launch.json`, and the files that it must leave.

    `results` are the declared files, or globs, `needed` those of them that are missed.
    """

    document: Mapping[str, Any]
    launch: Mapping[str, Any]
    results: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The plan of an array.

    `part` is the task of every part, with the folder `marked` in the place of its own; `placed` are the variables of
    its environment that name that folder, `variables` those that hold its value. `url` is the address below which the
    parts are, by their number. `statuses` are exit statuses that are no failure. `gather` is the last script, if there
    is one. `imports` are the modules that a script needs, `own` those in its folder, for a process that has them
    loaded; None where every script needs a new interpreter, `cold` says why where that is no matter of course.
    """

    parameter: str
    inputs: tuple[PartInput, ...]
    part: Task
    marked: str
    url: str
    placed: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    statuses: Mapping[str, str] = field(default_factory=dict)
    gather: Task | None = None
    imports: tuple[tuple[str, tuple[str, ...]], ...] | None = None
    own: tuple[str, ...] = ()
    cold: str = ""

    def task(self, number: int) -> Task:
        """Return the task of a part, by its number from 1 on."""
        given, folder = self.inputs[number - 1], self.marked.removesuffix(folder_of(0)) + folder_of(number)
        document = json.loads(json.dumps(self.part.document))
        document["job"] |= {"part": number, "results_url": f"{self.url}/{number}/results"}
        told = {"value": given.value, "source": given.source, "hashes": given.hashes}
        document["parameters"][self.parameter] |= told
        environment = dict(self.part.launch["environment"])
        environment |= {name: environment[name].replace(self.marked, folder) for name in self.placed}
        text = str(given.value) if given.source is not None else given.text
        if len(text.encode()) <= _LONGEST:
            environment |= dict.fromkeys(self.variables, text)
        environment["UWS_PART"] = str(number)
        command = [word.replace(self.marked, folder) for word in self.part.launch["command"]]
        launch = {**self.part.launch, "command": command, "environment": environment}
        return Task(document, launch, self.part.results, self.part.needed)


def folder_of(number: int) -> str:
    """Return the place of a part's folder below that of its job."""
    return f"{PARTS_FOLDER}/{number:04d}"


def write(folder: Path, plan: Plan) -> None:
    """Write the plan of the job with that folder."""
    write_json(folder / PLAN_FILE, asdict(plan), settle=lambda _: None)


def read(folder: Path) -> Plan:
    """Return the plan of the job with that folder. Raise OSError or ValueError if there is none that can be read."""
    try:
        with opened(folder / PLAN_FILE) as stream:
            content = json.loads(stream.read(_MOST_BYTES))
        content["inputs"] = tuple(PartInput(**each) for each in content["inputs"])
        content["part"], gather = _task(content["part"]), content["gather"]
        content["gather"] = _task(gather) if gather else None
        content |= {name: tuple(content[name]) for name in ("placed", "variables", "own")}
        if content["imports"] is not None:
            content["imports"] = tuple((module, tuple(taken)) for module, taken in content["imports"])
        return Plan(**content)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{PLAN_FILE} is no plan: {error}") from error


def _task(content: dict[str, Any]) -> Task:
    return Task(content["document"], content["launch"], tuple(content["results"]), tuple(content["needed"]))


def prepare(place: Path, task: Task) -> None:
    """Make the folder of a part, or of the last script, unless it was made before."""
    if (place / "launch.json").exists():
        return
    (place / "results").mkdir(parents=True, exist_ok=True)
    for name, content in (("parameters.json", task.document), ("launch.json", task.launch)):
        write_json(place / name, dict(content), settle=lambda _: None)
