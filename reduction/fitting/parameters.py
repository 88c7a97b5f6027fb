"""Parameters of models: value, limits, unit, and whether a fit changes them; settings of them, checked."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reduction.errors import ReductionError

_TIE = re.compile(r"\s*(?:(?P<factor>[+-]?[\d.]+(?:[eE][+-]?\d+)?)\s*\*\s*)?(?P<name>[A-Za-z]\w*(?:\.\w+)?)\s*")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a model.

    `name` is the component and XSPEC's name (``powerlaw.PhoIndex``); `value`, `min` and `max` are in `unit`. A fit
    leaves a `frozen` parameter as it is, and sets a `tied` one from another: ``"tbabs.nH"`` or ``"2 * tbabs.nH"``.
    """

    name: str
    value: float
    min: float
    max: float
    unit: str = ""
    frozen: bool = False
    tied: str = ""
    description: str = ""

    @property
    def is_free(self) -> bool:
        """Whether a fit changes it."""
        return not self.frozen and not self.tied

    @property
    def is_norm(self) -> bool:
        """Whether the counts of its component are proportional to it."""
        return self.name.endswith(".norm")


@dataclass(frozen=True)
class Setting:
    """What is asked of a parameter; None leaves what the model has."""

    value: float | None = None
    min: float | None = None
    max: float | None = None
    frozen: bool | None = None
    tied: str | None = None


@dataclass(frozen=True)
class Tie:
    """A parameter that is a factor times another one."""

    name: str
    factor: float = 1.0


def apply(
    parameters: Sequence[Parameter], settings: Mapping[str, Setting], parameter: str = "parameters"
) -> tuple[Parameter, ...]:
    """Return parameters as they are asked for.

    Parameters
    ----------
    parameters
        The parameters of a model.
    settings
        What is asked, by name; case does not matter.
    parameter
        Job parameter named in errors.

    Returns
    -------
    tuple
        The parameters, in their order.

    Raises
    ------
    ReductionError
        There is no parameter of a name, a value lies outside of its limits, or it is tied to none that is free.
    """
    known = {each.name.lower(): each.name for each in parameters}
    asked = {}
    for name, setting in settings.items():
        if name.lower() not in known:
            raise ReductionError(f"the model has no parameter {name[:60]!r}{did_you_mean(name, known.values())}; "
                                 f"it has {', '.join(known.values())}", parameter)  # fmt: skip
        asked[known[name.lower()]] = setting
    found = tuple(_with(each, asked.get(each.name, Setting()), parameter) for each in parameters)
    by_name = {each.name: each for each in found}
    return tuple(replace(each, tied=_tie_text(each, by_name, parameter)) if each.tied else each for each in found)


def tie_of(parameter: Parameter) -> Tie | None:
    """Return what a parameter is tied to; None for one that is not, or whose tie cannot be read."""
    found = _TIE.fullmatch(parameter.tied)
    return Tie(found["name"], float(found["factor"] or 1)) if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the question whether a name like another was meant; empty where none is like it."""
    names = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), list(names), n=1, cutoff=0.6)
    return f" (did you mean {names[close[0]]}?)" if close else ""


def _with(each: Parameter, setting: Setting, parameter: str) -> Parameter:
    low = each.min if setting.min is None else setting.min
    high = each.max if setting.max is None else setting.max
    value = min(max(each.value, low), high) if setting.value is None else setting.value
    for what, number in (("value", value), ("min", low), ("max", high)):
        if not math.isfinite(number):
            raise ReductionError(f"{what} of {each.name} is {number}; give a finite number", parameter)
    if not low < high:
        raise ReductionError(f"{each.name} has limits from {low:g} to {high:g}; the lower one must be below the upper",
                             parameter)  # fmt: skip
    tied = each.tied if setting.tied is None else setting.tied.strip()
    if not low <= value <= high and not tied:
        raise ReductionError(f"{each.name} is {value:g}, outside of its limits: {low:g} to {high:g}"
                             f"{' ' + each.unit if each.unit else ''} are allowed", parameter)  # fmt: skip
    frozen = each.frozen if setting.frozen is None else setting.frozen
    return replace(each, value=value, min=low, max=high, frozen=frozen and not tied, tied=tied)


def _tie_text(each: Parameter, by_name: Mapping[str, Parameter], parameter: str) -> str:
    """Return a tie with the name as the model writes it. Raise ReductionError if it leads to no such parameter."""
    tie = tie_of(each)
    names = {name.lower(): name for name in by_name}
    if tie is None or tie.name.lower() not in names:
        raise ReductionError(f"{each.name} is tied to {each.tied[:60]!r}, which is no parameter of the model"
                             f"{did_you_mean(each.tied, by_name)}; write a name, or a number * name",
                             parameter)  # fmt: skip
    other = by_name[names[tie.name.lower()]]
    if other.name == each.name or other.tied:
        raise ReductionError(f"{each.name} is tied to {other.name}, which is itself tied; tie it to one that is free "
                             "or frozen", parameter)  # fmt: skip
    return other.name if tie.factor == 1 else f"{tie.factor:g} * {other.name}"
