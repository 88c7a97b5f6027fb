"""Conversion of a step's numbers to the units of the definition for its rerun. Imports provenance and jobs.

astropy converts, by the same rules as for a value that a client sends with a unit.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

from provenance import steps
from provenance.steps import Parameter, Scalar, Step, rerun
from provenance.steps.dependencies import name_of
from uws_server.jobs import numbers
from uws_server.jobs.definition import NUMBER_TYPES, Definition, ParameterSpec

_ROUNDING = 1e-9
"""The deviation from a whole number that is taken for rounding in its conversion, as a fraction."""


def differ(step: Step, definition: Definition) -> bool:
    """Return whether a number of a step is recorded in another unit than the definition's."""
    parameters = (arg for arg in step.args if isinstance(arg, Parameter))
    return any(_differs(arg, spec) for arg in parameters if (spec := definition.parameter(name_of(arg))))


def in_those_of(step: Step, definition: Definition) -> Step:
    """Return a step whose numbers are in the units of the definition: those recorded in other ones are converted.

    What cannot be converted stays as it is; `problem` tells it.
    """
    args: list[steps.Arg] = []
    for arg in step.args:
        if isinstance(arg, Parameter) and (spec := definition.parameter(name_of(arg))) and _differs(arg, spec):
            with contextlib.suppress(ValueError):
                each = arg.value if isinstance(arg.value, tuple) else (arg.value,)
                made = tuple(_converted(one, str(arg.extra["unit"]), spec) for one in each)
                extra = {**arg.extra, "unit": spec.unit}
                arg = replace(arg, value=made if isinstance(arg.value, tuple) else made[0], extra=extra)
        args.append(arg)
    return Step(tuple(args), step.extra)


def problem(arg: Parameter, spec: ParameterSpec) -> str:
    """Return why a value recorded in another unit than the definition's cannot be taken; '' where it can."""
    if not _differs(arg, spec):
        return ""
    came = f"{rerun.text_of(arg.value)[:40]!r} is recorded in {str(arg.extra['unit'])[:40]!r}"
    takes = f"a number in {spec.unit}" if spec.unit else "a plain number"
    return f"{came}, which does not become {takes}{': give the value' if arg.editable else ', and it is locked'}"


def _differs(arg: Parameter, spec: ParameterSpec) -> bool:
    """Return whether a number is recorded in another unit than the definition's."""
    return spec.type in NUMBER_TYPES and arg.value is not None and arg.extra.get("unit") not in (None, "", spec.unit)


def _converted(value: Scalar, unit: str, spec: ParameterSpec) -> Scalar:
    """Return a number, or an energy range, in the unit of the definition. Raise ValueError if there is no way."""
    free = replace(spec, min=None, max=None, step=None)  # the bounds are checked when the job is created
    if spec.type == "energy_range":
        return numbers.energy_range(f"{rerun.text_of(value)} {unit}", free).text
    made = numbers.number(f"{rerun.text_of(value)} {unit}", free).value
    if spec.type == "integer":
        if not isinstance(made, float) or abs(made - round(made)) > _ROUNDING * abs(made):
            raise ValueError("a whole number is expected")
        return round(made)
    return made
