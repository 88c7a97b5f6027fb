"""The job definition as a value: the name of a job, its parameters, its results, and the script that runs it.

Knows no format (`formats`), no disk and no HTTP; `checks` says what is wrong with one. Imports nothing of ours.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PARAMETER_TYPES: Mapping[str, str] = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "float": "a number, with a unit where the parameter has one",
    "choice": "one of the options",
    "datetime": "a date and time (UTC)",
    "position": "a position on the sky, ICRS",
    "region": "a region of the sky: DS9, STC-S or JSON",
    "energy_range": "the lowest and the highest energy",
    "time_range": "a beginning and an end",
    "eventlist": "an event list in FITS: uploaded, or of the archive",
    "file": "a file: uploaded, or of the archive",
    "url": "a file that the server fetches",
    "observation": "an observation of the archive: all its event lists",
}
"""The types a parameter may have, each with a short description."""

FILE_TYPES = frozenset({"eventlist", "file", "url", "observation"})
"""Types whose value is a file (or files) for the script: the used inputs of a definition."""

UPLOAD_TYPES = frozenset({"eventlist", "file"})
"""Types whose value may be an uploaded file; for any other type the content of such a file is the value's text."""

OPTION_TYPES = frozenset({"choice"})
"""Types that need options."""

NUMBER_TYPES = frozenset({"integer", "float", "energy_range"})
"""Types for which min, max and step are numbers in the unit of the parameter."""


@dataclass(frozen=True)
class ParameterSpec:
    """The specification of a parameter. `type` is one of PARAMETER_TYPES; `min`, `max` and `step` are in `unit`.

    With `max_values` above 1 a request may give it several times and the script gets a list; `default` may then be a
    tuple. `editable` parameters may be changed when a product is made again. `media_type` and `url` are for files: what
    is expected, and where one comes from that is named by its id only (`$ID` stands for it). A job is `spread` over a
    parameter if its script runs once for each of its values, side by side.
    """

    name: str
    type: str
    description: str = ""
    required: bool = False
    default: str | float | bool | tuple[str | float | bool, ...] | None = None
    min: float | None = None
    max: float | None = None
    step: float | None = None
    unit: str = ""
    options: tuple[str, ...] = ()
    pattern: str = ""
    max_length: int = 100_000
    max_values: int = 1
    ucd: str = ""
    utype: str = ""
    xtype: str = ""
    annotation: str = ""
    group: str = ""
    editable: bool = False
    media_type: str = ""
    url: str = ""
    spread: bool = False

    @property
    def defaults(self) -> tuple[str | float | bool, ...]:
        """Return every value of the default; none, one or several."""
        if isinstance(self.default, tuple):
            return self.default
        return () if self.default is None else (self.default,)

    @functools.cached_property
    def default_texts(self) -> tuple[str, ...]:
        """Return every value of the default as a user would type it."""
        return tuple(str(each).lower() if isinstance(each, bool) else str(each) for each in self.defaults)


@dataclass(frozen=True)
class ResultSpec:
    """A file that the script is expected to leave in `results/`; `file` may be a glob, which several files may
    match. One that is `gathered` is left by the last script of a job that is spread over a parameter.
    """

    name: str
    file: str
    mime: str = "application/octet-stream"
    description: str = ""
    optional: bool = False
    gathered: bool = False


@dataclass(frozen=True)
class Entry:
    """The file that runs: a Python script (by the server's interpreter) or a shell script (by bash).

    Where a Python script names a `function`, that function is called with a `reduction.task.Task`.
    """

    type: Literal["python", "shell"]
    script: str
    function: str = ""


@dataclass(frozen=True)
class Contact:
    """The person to ask about a definition."""

    name: str = ""
    email: str = ""


@dataclass(frozen=True)
class Duration:
    """The time limit of a job in seconds: the default, and the most that a client may ask for."""

    default: int = 3600
    max: int = 86400


@dataclass(frozen=True)
class Keep:
    """Days until a job is destroyed: the default, and the most that a client may ask for; 0 leaves it to the server."""

    default: int = 0
    max: int = 0


EXECUTIONS = ("local", "slurm")
"""Where a job may run: on the machine of the server, on a cluster."""


@dataclass(frozen=True)
class Control:
    """The resources of a job of the definition. `memory` and `disk` in bytes, 0 for what the server allows.

    `cpus` is the number of cores that the script takes and is told to use; `max_running` how many jobs of the
    definition may run at a time, on all servers, 0 for any number; `execution` where it runs, '' for where the server
    has jobs run; `partition` the queue of a cluster. `quote` is how many seconds a job is expected to take, 0 where
    nobody knows. `statuses` are the exit statuses of the script, beside 0, that are no failure, each with a sentence
    that says what it stands for. A Python script that is not `warm` is started in a new interpreter; any other may be
    forked from one that has its imports loaded. `secrets` are the names of what a job gets for other services, each in
    a file that only it can read. `needs` are variables that the server must have in its environment for the script to
    work, each with a sentence that says what is not there where it has not.
    """

    duration: Duration = field(default_factory=Duration)
    destruction: Keep = field(default_factory=Keep)
    memory: int = 0
    disk: int = 0
    cpus: int = 1
    max_running: int = 0
    partition: str = ""
    quote: int = 0
    statuses: Mapping[str, str] = field(default_factory=dict)
    warm: bool = True
    secrets: tuple[str, ...] = ()
    execution: str = ""
    needs: Mapping[str, str] = field(default_factory=dict)

    def lacking(self, environment: Mapping[str, str]) -> tuple[str, ...]:
        """Return the sentences about what is needed and not there in an environment, each once."""
        return tuple(dict.fromkeys(text for variable, text in self.needs.items() if not environment.get(variable)))


@dataclass(frozen=True)
class Definition:
    """A job definition.

    `documentation` is the address of further documentation; `group` the heading under which it is listed; `roles` are
    those of which an account needs one to run it (none: everybody may); `test` the values of a trial job, by name.
    `gather` is the last script of a job that is spread over a parameter, a file beside the script of the entry: it runs
    once, after all parts.
    """

    name: str
    version: str
    title: str
    entry: Entry
    description: str = ""
    documentation: str = ""
    contact: Contact = field(default_factory=Contact)
    group: str = ""
    roles: tuple[str, ...] = ()
    parameters: tuple[ParameterSpec, ...] = ()
    results: tuple[ResultSpec, ...] = ()
    control: Control = field(default_factory=Control)
    test: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gather: str = ""

    def parameter(self, name: str) -> ParameterSpec | None:
        """Return the parameter of that name, in any case, or None."""
        return self._by_name.get(name.lower())

    @functools.cached_property
    def _by_name(self) -> Mapping[str, ParameterSpec]:
        return {spec.name.lower(): spec for spec in reversed(self.parameters)}

    @property
    def scripts(self) -> Mapping[str, Literal["python", "shell"]]:
        """Return the files that run, each with its language: the script, and the one that gathers the parts."""
        found: dict[str, Literal["python", "shell"]] = {self.entry.script: self.entry.type}
        if self.gather:
            found[self.gather] = "shell" if self.gather.endswith(".sh") else "python"
        return found

    @property
    def spread(self) -> ParameterSpec | None:
        """Return the parameter that a job is spread over; None for a job of one script."""
        return next((spec for spec in self.parameters if spec.spread), None)

    @property
    def is_plain_with_one(self) -> bool:
        """Return whether a job with one value of the parameter it is spread over runs as any other job, without parts.

        So it is where there would be nothing to gather: no script gathers the parts, or every file of it is optional.
        """
        return all(result.optional for result in self.results if result.gathered)

    @property
    def inputs(self) -> tuple[ParameterSpec, ...]:
        """Return the parameters that are files: the inputs of a job."""
        return tuple(spec for spec in self.parameters if spec.type in FILE_TYPES)
