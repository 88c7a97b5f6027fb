"""The fields of the form of a new job, made from its definition. Imports the jobs' values and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from uws_server.errors import Problem
from uws_server.jobs.definition import Definition, ParameterSpec
from uws_server.jobs.job import Job

Control = Literal["text", "number", "textarea", "checkbox", "select", "file"]

FILE_TYPES = frozenset({"file", "eventlist"})
"""Types that take an upload or a file of the archive."""

_CONTROLS: Mapping[str, Control] = {
    "boolean": "checkbox",
    "integer": "number",
    "float": "number",
    "choice": "select",
    "region": "textarea",
    "file": "file",
    "eventlist": "file",
}


@dataclass(frozen=True)
class Filled:
    """What a form is filled with: texts by parameter name, problems, and uploads of an earlier job that may stay.

    `kept` maps the name of a parameter to the name its file was given.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    earlier: str = ""
    run_id: str = ""
    duration: str = ""

    def problem(self, name: str) -> str:
        """The message that belongs to a field, '' for none."""
        return "; ".join(problem.message for problem in self.problems if problem.parameter == name)


@dataclass(frozen=True)
class Field:
    """One field: its control, what is in it, what is wrong with it."""

    spec: ParameterSpec
    control: Control
    value: str
    problem: str
    kept: str

    @property
    def id(self) -> str:
        """The id of its control in the page."""
        return f"p-{self.spec.name}"

    @property
    def described_by(self) -> str:
        """The ids of the texts that tell of it."""
        told = [f"{self.id}-about"] if self.about else []
        return " ".join([*told, f"{self.id}-problem"] if self.problem else told)

    @property
    def about(self) -> str:
        """The description, and the bounds."""
        return " ".join(text for text in (self.spec.description, bounds(self.spec)) if text)

    @property
    def checked(self) -> bool:
        """Whether a boolean is true."""
        return self.value.strip().lower() in ("true", "yes", "on", "1", "t", "y")

    @property
    def needed(self) -> bool:
        """Whether the browser may refuse to send the form without a value."""
        return self.spec.required and self.spec.default is None


@dataclass(frozen=True)
class Group:
    """Fields under one heading; '' is no heading."""

    title: str
    fields: tuple[Field, ...]


def groups(definition: Definition, filled: Filled) -> list[Group]:
    """The fields in the order of the definition, each group where its first field stands."""
    found: dict[str, list[Field]] = {}
    for spec in definition.parameters:
        found.setdefault(spec.group, []).append(_field(spec, filled))
    return [Group(title, tuple(fields)) for title, fields in found.items()]


def from_job(definition: Definition, job: Job) -> Filled:
    """What the form of a new job is filled with to run an earlier one again."""
    values = {name: value.text for name, value in job.parameters.items() if value.kind != "upload"}
    for spec in definition.parameters:
        values.setdefault(spec.name, "")  # a parameter that the job did not have stays empty
    kept = {name: value.text for name, value in job.parameters.items() if value.kind == "upload"}
    return Filled(values, kept=kept, earlier=job.id, run_id=job.run_id or "", duration=str(job.execution_duration))


def bounds(spec: ParameterSpec) -> str:
    """The range of a number, as a sentence."""
    unit = f" {spec.unit}" if spec.unit else ""
    if spec.min is not None and spec.max is not None:
        return f"From {_plain(spec.min)} to {_plain(spec.max)}{unit}."
    if spec.min is not None:
        return f"{_plain(spec.min)}{unit} or more."
    if spec.max is not None:
        return f"{_plain(spec.max)}{unit} or less."
    return ""


def default_text(spec: ParameterSpec) -> str:
    """The default as it stands in a field."""
    if spec.default is None:
        return ""
    return str(spec.default).lower() if isinstance(spec.default, bool) else str(spec.default)


def has_all_defaults(definition: Definition) -> bool:
    """Whether a job can be made without any value, as a test."""
    return all(spec.default is not None or not spec.required for spec in definition.parameters)


def _field(spec: ParameterSpec, filled: Filled) -> Field:
    value = filled.values.get(spec.name, default_text(spec))
    control: Control = _CONTROLS.get(spec.type, "text")
    if control == "text" and "\n" in value:
        control = "textarea"
    return Field(spec, control, value, filled.problem(spec.name), filled.kept.get(spec.name, ""))


def _plain(number: float) -> str:
    return f"{number:,.10g}"
