"""The steps of a job with parts as the one job that is run again. Imports provenance, the definitions and the parts.

Each part has a step of its own, and the products of a script that gathers name what the parts made as its inputs, which
is nothing that a request can give: the job is run again with the files that its parts were given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from provenance import steps
from provenance.steps import InputData, OutputData, Parameter, Step
from provenance.steps.dependencies import name_of
from uws_server.jobs.definition import Definition
from uws_server.jobs.part import PARTS

File = tuple[str, str, str, str]
"""Task and job of a step, location and path of a file that it made or used."""


def as_whole_jobs(listed: Sequence[Step], definitions: Mapping[str, Definition]) -> tuple[Step, ...]:
    """Return steps in which each one of a script that gathers stands for its whole job, under its own number.

    Its inputs are then the files of the parts instead of what the parts made. The steps of the parts stay where they
    are; what was made of a part's products goes on from there.
    """
    made_by: dict[File, int] = {}
    whole = []
    for number, step in enumerate(listed):
        whole.append(_whole(listed, step, made_by, definitions))
        made_by |= {_file(step, arg): number for arg in step.args if isinstance(arg, OutputData)}
    return tuple(whole)


def as_one_job(listed: Sequence[Step], own: Step) -> tuple[Step, ...]:
    """Return the steps that lead to a job with parts, then the whole job in place of the steps of its parts.

    Parameters
    ----------
    listed
        The steps of the parts, of a script that gathered them, and of what their inputs were made by.
    own
        The step of the job by its own record, which knows no hashes and units, but every input, also that of a part
        that recorded none.
    """
    of_parts = [step for step in listed if step.extra.get("job") == own.extra["job"]]
    recorded = {_given(arg): arg for step in of_parts for arg in step.args if not isinstance(arg, OutputData)}
    known = [arg if isinstance(arg, OutputData) else recorded.get(_given(arg), arg) for arg in own.args]
    whole = Step(tuple(replace(arg, index=index) for index, arg in enumerate(known)), own.extra)
    return (*(step for step in listed if step not in of_parts), whole)


def _given(arg: InputData | Parameter) -> tuple[str, ...]:
    """Return what tells an argument of a job: its name, for a file also where it was."""
    place = (arg.location, str(arg.path)) if isinstance(arg, InputData) else ()
    return (name_of(arg), *place)


def _whole(
    listed: Sequence[Step], step: Step, made_by: Mapping[File, int], definitions: Mapping[str, Definition]
) -> Step:
    """Return a step, as that of its whole job if its script gathered the parts of one."""
    definition = definitions.get(str(step.extra.get("task")))
    spread = definition.spread if definition is not None and definition.gather else None
    if spread is None or not any(_is_of(arg, PARTS) for arg in step.args):
        return step
    files = [_file(step, arg) for arg in step.args if isinstance(arg, InputData) and _is_of(arg, PARTS)]
    given = [arg for number in sorted({made_by[file] for file in files if file in made_by})
             for arg in listed[number].args if isinstance(arg, InputData) and _is_of(arg, spread.name)]  # fmt: skip
    kept = [arg for arg in step.args if not _is_of(arg, PARTS)]
    if not given and not any(_is_of(arg, spread.name) for arg in kept):
        return step  # the list does not hold the parts: it says so when the step is to be run
    args = (replace(arg, index=index) for index, arg in enumerate([*given, *kept]))
    return Step(tuple(args), step.extra)


def _is_of(arg: steps.Arg, name: str) -> bool:
    """Tell whether an argument is a value of a parameter."""
    return not isinstance(arg, OutputData) and name_of(arg) == name


def _file(step: Step, arg: InputData | OutputData) -> File:
    """Return a file as the steps of one job name it."""
    return str(step.extra.get("task")), str(step.extra.get("job")), arg.location, str(arg.path)
