"""The fields of the form of a new job, made from its definition. Imports the jobs' values and errors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from uws_server.errors import Problem
from uws_server.jobs import numbers
from uws_server.jobs.definition import Definition, ParameterSpec
from uws_server.jobs.job import Job
from uws_server.jobs.parameters import texts_of
from uws_server.jobs.words import truth

Control = Literal["text", "number", "datetime", "url", "textarea", "lines", "checkbox", "select", "checkboxes", "file"]
"""The control for a value; `lines` is a text with one value a line."""

_CONTROLS: Mapping[str, Control] = {
    "boolean": "checkbox",
    "integer": "number",
    "float": "number",
    "choice": "select",
    "datetime": "datetime",
    "region": "textarea",
    "url": "url",
    "file": "file",
    "eventlist": "file",
}
_CONTROLS_OF_SEVERAL: Mapping[str, Control] = {"choice": "checkboxes", "file": "file", "eventlist": "file"}
_EXAMPLES: Mapping[str, str] = {
    "datetime": "2026-11-20T12:00:00Z",
    "position": "148.97 69.65, or 09:55:53 +69:39:04",
    "region": 'icrs; circle(148.97, 69.65, 40")',
    "energy_range": "0.2 12.0",
    "time_range": "2026-11-20T12:00:00 / 2026-11-20T18:00:00",
    "url": "https://",
    "observation": "an observation, such as 0693760101",
}
"""The placeholder of a field whose definition gives no example."""
_LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z?")
"""A time as a browser's own control for times can show it."""


@dataclass(frozen=True)
class Filled:
    """The content of a form: texts by parameter name, problems, and uploads of an earlier job that may stay.

    `kept` maps the name of a parameter to the names its files were given; `session` names the session that the new job
    is to be added to.
    """

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    earlier: str = ""
    run_id: str = ""
    duration: str = ""
    session: str = ""

    def problem(self, name: str) -> str:
        """Return the message that belongs to a field, '' for none."""
        return "; ".join(problem.message for problem in self.problems if problem.parameter == name)


@dataclass(frozen=True)
class Field:
    """A field: its control, its content, and its problem."""

    spec: ParameterSpec
    control: Control
    values: tuple[str, ...]
    problem: str
    kept: str

    @property
    def id(self) -> str:
        """Return the id of its control in the page; a name as typed in the editor may have characters that no id
        has.
        """
        return "p-" + re.sub(r"[^A-Za-z0-9_.-]", "_", self.spec.name)

    @property
    def value(self) -> str:
        """Return the content of a control for text; several values one a line."""
        return "\n".join(self.values)

    @property
    def described_by(self) -> str:
        """Return the ids of the texts that describe it."""
        ids = [f"{self.id}-about"] if self.about else []
        return " ".join([*ids, f"{self.id}-problem"] if self.problem else ids)

    @property
    def about(self) -> str:
        """Return the description, the bounds, and how many values there may be."""
        return " ".join(text for text in (self.spec.description, bounds(self.spec), _count(self.spec)) if text)

    @property
    def example(self) -> str:
        """Return the placeholder of the empty control."""
        return self.spec.annotation or _EXAMPLES.get(self.spec.type, "")

    @property
    def checked(self) -> bool:
        """Return whether a boolean is true."""
        return truth(self.value) is True

    def chosen(self, option: str) -> bool:
        """Return whether an option is chosen."""
        return option.lower() in (value.strip().lower() for value in self.values)

    @property
    def needed(self) -> bool:
        """Return whether the browser may refuse to send the form without a value."""
        return self.spec.required and not self.spec.defaults


@dataclass(frozen=True)
class Group:
    """Fields under one heading; '' is no heading."""

    title: str
    fields: tuple[Field, ...]


def groups(definition: Definition, filled: Filled) -> list[Group]:
    """Return the fields in the order of the definition, each group at the position of its first field."""
    found: dict[str, list[Field]] = {}
    for spec in definition.parameters:
        found.setdefault(spec.group, []).append(_field(spec, filled))
    return [Group(title, tuple(fields)) for title, fields in found.items()]


def from_job(definition: Definition, job: Job) -> Filled:
    """Return the content of the form of a new job that runs an earlier one again."""
    values: dict[str, Sequence[str]] = {}
    kept = {}
    for name, value in job.parameters.items():
        texts = texts_of(value)
        if len(texts) == len(value.each):  # else observations, each with its files: none was uploaded
            texts = [text for text, part in zip(texts, value.each, strict=True) if part.kind != "upload"]
        values[name] = texts
        files = [part.text for part in value.each if part.kind == "upload"]
        if files:
            kept[name] = ", ".join(files)
    for spec in definition.parameters:
        values.setdefault(spec.name, ())  # a parameter that the job did not have stays empty
    return Filled(values, kept=kept, earlier=job.id, run_id=job.run_id or "", duration=str(job.execution_duration))


def sent(spec: ParameterSpec, texts: Sequence[str]) -> list[str]:
    """Return the values that a field sent: each line of a field that takes one value a line, the boxes that are
    ticked.
    """
    if control_of(spec) == "checkboxes":
        return [text for text in texts if text] or [""]
    if control_of(spec) != "lines" and not (control_of(spec) == "file" and spec.max_values > 1):
        return list(texts)
    return [line.strip() for text in texts for line in text.splitlines() if line.strip()]


def complete(definition: Definition, values: dict[str, list[str]]) -> None:
    """Put the values that the fields of a form stand for in place of what a browser sent of them."""
    for spec in definition.parameters:
        if spec.type == "boolean":
            values.setdefault(spec.name, ["false"])  # what a browser sends of an empty box
        if spec.name in values:
            values[spec.name] = sent(spec, values[spec.name])


def control_of(spec: ParameterSpec) -> Control:
    """Return the control for the values of a parameter."""
    if spec.max_values > 1:
        return _CONTROLS_OF_SEVERAL.get(spec.type, "lines")
    return _CONTROLS.get(spec.type, "text")


def bounds(spec: ParameterSpec) -> str:
    """Return the range and the step of a number, as sentences."""
    allowed = numbers.bounds(spec)
    begin = "From " if spec.min is not None and spec.max is not None else ""
    step = f"In steps of {numbers.plain_number(spec.step)} {spec.unit}".rstrip() if spec.step is not None else ""
    return " ".join(f"{text}." for text in (f"{begin}{allowed}", step) if text)


def has_all_defaults(definition: Definition) -> bool:
    """Return whether a job can be run without any value, as a test.

    One that may read an event list cannot: where it need not be given, other data are, in its place.
    """
    return all(spec.defaults or not (spec.required or spec.type == "eventlist") for spec in definition.parameters)


def _field(spec: ParameterSpec, filled: Filled) -> Field:
    values = tuple(filled.values.get(spec.name, spec.default_texts))
    control = control_of(spec)
    if control == "text" and any("\n" in value for value in values):
        control = "textarea"
    if control == "datetime":
        if not all(_LOCAL_TIME.fullmatch(value.strip()) for value in values if value):
            control = "text"
        else:
            values = tuple(value.strip().removesuffix("Z") for value in values)
    return Field(spec, control, values, filled.problem(spec.name), filled.kept.get(spec.name, ""))


def _count(spec: ParameterSpec) -> str:
    if spec.max_values == 1:
        return ""
    one_a_line = "" if control_of(spec) == "checkboxes" else ", one a line"
    return f"Up to {spec.max_values:,} values{one_a_line}."
