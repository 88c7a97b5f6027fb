"""The steps of a product as a rerun reads them: of a job of this server or of elsewhere, with names and locks.

Imports the services, the values of the jobs and provenance.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from provenance import steps, votags
from provenance.steps import InputData, OutputData, Parameter, Step, dependencies, rerun
from provenance.steps.rerun import PlannedStep
from provenance.text.errors import ProvenanceError
from uws_server.errors import BadRequest, NotFound
from uws_server.jobs.definition import Definition, ParameterSpec
from uws_server.jobs.job import Job, ParameterValue
from uws_server.reruns.gathered import as_one_job
from uws_server.services import step_lists
from uws_server.services.context import Services

_MOST_OPENED = 100
"""Products of a job that are opened to find the steps in their tags."""


@dataclass(frozen=True)
class RerunSource:
    """A step list, and the job of this server that its last step was, or None."""

    steps: tuple[Step, ...]
    job: Job | None = None


def of_job(services: Services, job: Job) -> RerunSource:
    """Return the steps that a job's script recorded, else those in its products, else the job's own record.

    A job with parts is one step, which is run again as a whole.
    """
    listed = _recorded(services, job) or _in_products(services, job)
    if job.parts is not None:
        return RerunSource(as_one_job(listed, own_step(services, job)), job)
    if not listed or listed[-1].extra.get("job") != job.id:
        listed = (own_step(services, job),)
    return RerunSource(listed, job)


def own_step(services: Services, job: Job) -> Step:
    """Return the step of a job, by its own record."""
    try:
        definition: Definition | None = services.library.of(job).definition
    except NotFound:  # its files are gone
        definition = None
    args: list[steps.Arg] = []
    for name, value in job.parameters.items():
        spec = definition.parameter(name) if definition else None
        about, editable, known = spec.description if spec else "", bool(spec and spec.editable), {"name": name}
        if any(part.is_file for part in value.each):
            args += [InputData(len(args) + i, about, editable, *_located(part), known)
                     for i, part in enumerate(value.each)]  # fmt: skip
        else:
            texts = tuple(part.text for part in value.each)
            args.append(Parameter(len(args), about, editable, texts if value.parts else texts[0], known))
    for result in job.results:
        args.append(OutputData(len(args), result.description, False, "", Path(result.file).name, {"name": result.name}))
    return Step(tuple(args), {"task": job.definition, "version": job.version, "job": job.id})


def completed(step: Step, definitions: Mapping[str, Definition]) -> Step:
    """Return a step whose arguments have the names of the definition's parameters, where a definition is here.

    A step that names no task is one of the definition that alone has all its descriptions. A parameter without a name
    gets that of the one with the same description. What may be set but was not is added without a value. What the
    definition locks is locked.
    """
    task = step.extra.get("task") or _task_of(step, definitions.values())
    definition = definitions.get(str(task))
    if definition is None:
        return step
    args: list[steps.Arg] = []
    for arg in step.args:
        spec = None if isinstance(arg, OutputData) else _spec_for(definition, arg)
        if spec is None:
            args.append(arg)
        else:
            extra = {**arg.extra, "name": spec.name}
            args.append(replace(arg, editable=arg.editable and spec.editable, extra=extra))
    there = {dependencies.name_of(arg) for arg in args if not isinstance(arg, OutputData)}
    for spec in definition.parameters:
        if spec.editable and spec.name not in there and spec not in definition.inputs:
            args.append(Parameter(len(args), spec.description, True, None, {"name": spec.name}))
    return Step(tuple(args), {**step.extra, "task": task})


def spec_of(definition: Definition, name: str, place: str) -> ParameterSpec:
    """Return the parameter of that name. Raise BadRequest if the argument at `place` has none."""
    spec = definition.parameter(name)
    if spec is not None:
        return spec
    if name.startswith("args["):
        raise BadRequest(
            f"{place}: which parameter of {definition.name} it is cannot be told: the list has neither its name nor a "
            "description that fits one"
        )
    names = ", ".join(one.name for one in definition.parameters) or "none"
    raise BadRequest(f"{place}: {definition.name} {definition.version} has no parameter {name[:80]!r}; it has {names}")


def values_of(step: PlannedStep, definition: Definition) -> dict[str, list[str]]:
    """Return the values of a step as a request would send them."""
    values: dict[str, list[str]] = {}
    for name, value in step.values.items():
        spec = spec_of(definition, name, f"provenance[{step.number}]")
        if isinstance(value, tuple) and spec.max_values > 1:
            values[spec.name] = [rerun.text_of(each) for each in value]
        elif isinstance(value, tuple):
            values[spec.name] = [" ".join(rerun.text_of(each) for each in value)]
        else:
            values[spec.name] = rerun.text_of(value).split("\n") if spec.max_values > 1 else [rerun.text_of(value)]
    return values


def _spec_for(definition: Definition, arg: InputData | Parameter) -> ParameterSpec | None:
    name = arg.extra.get("name")
    if isinstance(name, str) and name:
        return definition.parameter(name)
    is_file = isinstance(arg, InputData)
    files = definition.inputs
    alike = [
        spec
        for spec in definition.parameters
        if arg.description and spec.description == arg.description and (spec in files) is is_file
    ]
    return alike[0] if len(alike) == 1 else None


def _task_of(step: Step, definitions: Iterable[Definition]) -> str | None:
    """Return the one task that has a parameter for each argument of a step, by name or description; None otherwise.

    The lists of the slides name no task.
    """
    asked = [arg for arg in step.args if not isinstance(arg, OutputData)]
    fitting = []
    for definition in definitions:
        found = [spec.name if (spec := _spec_for(definition, arg)) else None for arg in asked]
        if found and None not in found and len(set(found)) == len(found):
            fitting.append(definition.name)
    return fitting[0] if len(fitting) == 1 else None


def _recorded(services: Services, job: Job) -> tuple[Step, ...]:
    """Return the steps that a script recorded; none if it recorded none, or none that can be read."""
    try:
        return steps.parse(step_lists.read(services.files, job.id))
    except (OSError, ProvenanceError):
        return ()


def _in_products(services: Services, job: Job) -> tuple[Step, ...]:
    """Return the steps in the tags of a job's products."""
    return next(_tagged(services.files.folder(job.id), job), ())


def _tagged(folder: Path, job: Job) -> Iterator[tuple[Step, ...]]:
    for result in job.results[:_MOST_OPENED]:
        with contextlib.suppress(OSError, ProvenanceError):
            tags = votags.read(folder / result.file)
            if tags is not None and tags.steps:
                yield tags.steps


def _located(value: ParameterValue) -> tuple[str, str]:
    location, _, name = value.text.rpartition("/")
    return (location, name) if name else ("", value.text)
