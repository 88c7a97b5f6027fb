"""Plans a rerun of a step list: what may be changed, which steps must run, in which order, with which inputs.

Pure values: no file is read and no job is made here. Steps are named by their position in the list, from 0.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from provenance.steps.dependencies import LinkedSteps, hashes_of, label, name_of, place_of
from provenance.steps.model import InputData, OutputData, Parameter, Scalar, Step
from provenance.steps.recording import HIDDEN
from provenance.text.errors import StepsError

Value: TypeAlias = Scalar | tuple[Scalar, ...]
"""The value of a parameter."""

MOST_STEPS: Final = 100
"""The most steps of a plan."""

_NUMBERED: Final = re.compile(r"(\d{1,6})\.(.+)", re.DOTALL)


class LockedError(StepsError):
    """A change of a parameter or an input that a rerun may not change."""


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter or an input as a rerun offers it: `step` and `index` say where it is, `value` what it was."""

    step: int
    index: int
    name: str
    description: str
    value: Value
    editable: bool
    is_file: bool

    @property
    def key(self) -> str:
        """The name by which a change means it where several steps have that name."""
        return f"{self.step}.{self.name}"

    @property
    def text(self) -> str:
        """Its value as text; several values stand one a line."""
        return text_of(self.value)


@dataclass(frozen=True, slots=True)
class PlannedInput:
    """A file that a step needs: what is recorded of it, and the step of the plan that makes it (None: to be found).

    `hashes` are its SHA-256, without VO-TAGS (where it has some) and of all its bytes; empty where none is recorded.
    `output` is the name of the file that the step `made_by` leaves, `given` the text that a change puts in its place;
    None for no change.
    """

    index: int
    name: str
    description: str
    location: str
    path: str
    hashes: tuple[str, ...]
    editable: bool = False
    made_by: int | None = None
    output: str = ""
    given: str | None = None

    @property
    def hash(self) -> str:
        """The recorded SHA-256 of all its bytes; '' where none is recorded."""
        return self.hashes[-1] if self.hashes else ""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One run: the task, its values by name, its inputs, and the names of the changed parameters and inputs."""

    number: int
    task: str
    version: str
    job: str
    values: Mapping[str, Value]
    inputs: tuple[PlannedInput, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps to run, in order; `notes` tell the user how the list was understood."""

    steps: tuple[PlannedStep, ...]
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[tuple[PlannedStep, PlannedInput], ...]:
        """The inputs that no step of the plan makes, each with its step."""
        return tuple((step, file) for step in self.steps for file in step.inputs if file.made_by is None)


def fields(steps: Sequence[Step], number: int) -> tuple[Field, ...]:
    """Return the parameters and inputs of a step. Raises StepsError if there is no such step."""
    found = []
    for arg in _step(steps, number).args:
        if not isinstance(arg, OutputData):
            value = arg.value if isinstance(arg, Parameter) else "/".join(filter(None, (arg.location, arg.path)))
            is_file = isinstance(arg, InputData)
            found.append(Field(number, arg.index, name_of(arg), arg.description, value, arg.editable, is_file))
    return tuple(found)


def target(steps: Sequence[Step], wanted: str | None) -> int:
    """Return the number of the step that makes what is wanted: a step's number, or the name of an output.

    None or blank text means the last step; of several outputs of one name the last is meant. Raises StepsError, which
    lists the outputs, if there is none of that name.
    """
    if not steps:
        raise StepsError("the list is empty: nothing can be run again", "provenance")
    if wanted is None or not wanted.strip():
        return len(steps) - 1
    text = wanted.strip()
    if re.fullmatch(r"\d{1,6}", text):
        _step(steps, int(text))
        return int(text)
    names: set[str] = set()
    for number in reversed(range(len(steps))):
        made = set(outputs(steps[number]))
        if text in made:
            return number
        names |= made
    known = ", ".join(sorted(names)[:10]) or "none"
    raise StepsError(f"{text[:80]!r} is neither the number of a step nor an output; outputs are {known}",
                     "target")


def outputs(step: Step) -> tuple[str, ...]:
    """Return the names of the files that came out of a step."""
    paths = [arg.path for arg in step.args if isinstance(arg, OutputData)]
    return tuple(name for path in paths for name in ((path,) if isinstance(path, str) else path))


def from_step(linked: LinkedSteps, first: int, last: int | None = None) -> tuple[int, ...]:
    """Return a step and every later one that depends on it; with `last`, only those of them that lead to it.

    Parameters
    ----------
    linked
        The step list and its dependencies.
    first
        The number of the step to begin with.
    last
        The number of the step to end with; None for no end.

    Returns
    -------
    tuple of int
        The numbers of the steps, in order.

    Raises
    ------
    StepsError
        If there is no step `first`, or `last` does not depend on it.
    """
    _step(linked.steps, first)
    chosen = linked.dependents({first})
    if last is None:
        return tuple(sorted(chosen))
    if last not in chosen:
        raise StepsError(f"does not depend on {place_of(first)}: from there it cannot be reached", place_of(last))
    return tuple(sorted(chosen & linked.ancestors({last})))


def leading_to(linked: LinkedSteps, last: int, needed: Iterable[int] = ()) -> tuple[int, ...]:
    """Return the fewest steps that must run to make step `last` again when the steps `needed` run again, too.

    Parameters
    ----------
    linked
        The step list and its dependencies.
    last
        The number of the wanted step.
    needed
        The numbers of steps that run again whatever depends on them.

    Returns
    -------
    tuple of int
        The numbers of the steps, in order.

    Raises
    ------
    StepsError
        If `last` does not depend on one of `needed`.
    """
    ancestors = linked.ancestors({last})
    for number in sorted(set(needed) - ancestors):
        raise StepsError(f"the wanted {place_of(last)} does not depend on it: name another target", place_of(number))
    return tuple(sorted(linked.dependents({last, *needed}) & ancestors))


def plan(linked: LinkedSteps, chosen: Collection[int], changes: Mapping[str, Value] | None = None) -> Plan:
    """Plan the run of some steps, in order, with changes.

    Parameters
    ----------
    linked
        The step list and its dependencies.
    chosen
        The numbers of the steps.
    changes
        New values by name: that of the parameter, or step and parameter (`0.energy`) where several of the chosen steps
        have it.

    Returns
    -------
    Plan
        The steps with their values and inputs, and the notes of the dependencies.

    Raises
    ------
    LockedError
        For a change of what is not editable.
    StepsError
        For an unknown name, a step without a task, an input without a name, or more than MOST_STEPS steps; it names the
        place.
    """
    numbers = sorted(set(chosen))
    if len(numbers) > MOST_STEPS:
        raise StepsError(f"{len(numbers)} steps are to be run; at most {MOST_STEPS} are", "provenance")
    changed = resolve(linked.steps, numbers, changes or {})
    planned = (_planned(linked, number, set(numbers), changed.get(number, {})) for number in numbers)
    return Plan(tuple(planned), linked.notes)


def resolve(
    steps: Sequence[Step], numbers: Sequence[int], changes: Mapping[str, Value]
) -> dict[int, dict[int, Value]]:
    """Find the argument of a step that each change means.

    Parameters
    ----------
    steps
        The step list.
    numbers
        The numbers of the steps that run.
    changes
        New values by name, as for `plan`.

    Returns
    -------
    dict
        By number of the step and index of the argument, the new value; changes that change nothing are left out.

    Raises
    ------
    LockedError
        For a change of what is not editable.
    StepsError
        For an unknown name, or one that several steps have.
    """
    resolved: dict[int, dict[int, Value]] = {}
    known = {number: fields(steps, number) for number in numbers}
    named: dict[tuple[int | None, str], list[Field]] = {}
    for candidate in (candidate for found in known.values() for candidate in found):
        for number in (None, candidate.step):
            named.setdefault((number, candidate.name.casefold()), []).append(candidate)
    for key, value in changes.items():
        field, *others = _meant(steps, known, named, key)
        if not field.is_file and text_of(value).strip() == field.text.strip():
            continue
        if field.is_file and not text_of(value).strip():
            continue
        if not field.editable and field.value != HIDDEN:
            what = "the input" if field.is_file else "the parameter"
            raise LockedError(f"{what} {field.name} is locked: it stays {field.text[:80]!r} when "
                              f"{label(steps, field.step)} is run again",
                              f"{place_of(field.step)}.args[{field.index}]")
        files = others if field.is_file else ()
        resolved.setdefault(field.step, {}).update({changed.index: value for changed in (field, *files)})
    return resolved


def text_of(value: Value) -> str:
    """Return a value as text: true and false in words, nothing for null, several values one a line."""
    if isinstance(value, tuple):
        return "\n".join(map(text_of, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _meant(
    steps: Sequence[Step],
    known: Mapping[int, tuple[Field, ...]],
    named: Mapping[tuple[int | None, str], Sequence[Field]],
    key: str,
) -> Sequence[Field]:
    """The fields that the name of a change means: one, or the files of a parameter that has several."""
    numbered = _NUMBERED.fullmatch(key)
    number, name = (int(numbered[1]), numbered[2]) if numbered else (None, key)
    if number is not None and number not in known:
        labels = " and ".join(label(steps, one) for one in list(known)[:10])
        raise StepsError(f"that step is not run, so nothing of it can be set; what is run: {labels}", key[:80])
    where = known if number is None else {number: known[number]}
    found = named.get((number, name.casefold()), ())
    by_step = {field.step for field in found}
    if len(by_step) > 1:
        keys = " or ".join(field.key for field in found)
        raise StepsError(f"several steps have it: write {keys}", key[:80])
    if not found:
        editable = sorted({field.name for fields_ in where.values() for field in fields_ if field.editable})
        allowed = f"may be changed: {', '.join(editable[:20])}" if editable else "nothing may be changed"
        labels = " or ".join(label(steps, number) for number in where)
        raise StepsError(f"no such parameter of {labels}; {allowed}", key[:80])
    return found


def _planned(linked: LinkedSteps, number: int, chosen: set[int], changed: Mapping[int, Value]) -> PlannedStep:
    step = linked.steps[number]
    task = step.extra.get("task")
    if not isinstance(task, str) or not task:
        raise StepsError("is missing: which task this was is neither recorded nor told by its descriptions; write it "
                         "into the list",
                         f"{place_of(number)}.task")
    values: dict[str, Value] = {}
    inputs = []
    for arg in step.args:
        if isinstance(arg, Parameter):
            value = changed.get(arg.index, arg.value)
            if value is not None:
                values[name_of(arg)] = value
        elif isinstance(arg, InputData):
            inputs.append(_planned_input(linked, number, arg, chosen, changed.get(arg.index)))
    names = tuple(name_of(step.args[index]) for index in changed)
    return PlannedStep(number, task, str(step.extra.get("version") or ""), str(step.extra.get("job") or ""),
                       MappingProxyType(values), tuple(inputs), names)


def _planned_input(linked: LinkedSteps, number: int, arg: InputData, chosen: set[int], given: Value) -> PlannedInput:
    place = f"{place_of(number)}.args[{arg.index}].inputdata"
    hashes = hashes_of(arg)
    if given is None and not arg.path and not hashes:
        raise StepsError("has neither a path nor a sha256: which file it was is not recorded", place)
    makers = [origin for origin in linked.origins.get((number, arg.index), ()) if origin.step in chosen]
    if given is not None:
        makers = []
    if len({origin.step for origin in makers}) > 1:
        candidates = " and ".join(place_of(origin.step) for origin in makers)
        raise StepsError(f"{arg.path[:80]!r} may come from {candidates}: without sha256 it is not known from which",
                         f"{place}.path")
    maker = makers[0] if makers else None
    return PlannedInput(arg.index, name_of(arg), arg.description, arg.location, arg.path, hashes,
                        arg.editable, maker.step if maker else None, maker.path if maker else "",
                        None if given is None else text_of(given))


def _step(steps: Sequence[Step], number: int) -> Step:
    if not 0 <= number < len(steps):
        raise StepsError(f"there is no such step; the list has {len(steps)}, counted from 0", place_of(number))
    return steps[number]
