"""Parameter types and the validation of a set of values against a definition. Imports the definition and errors.

`validate` returns every accepted value, or raises `InvalidParameters` with every problem at once. A type is a
function from text to the value a script gets; those that need other rooms (regions, files) are handed in by
the services, so that this module knows no astronomy and no disk.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import astropy.units as u
import numpy as np

from uws_server.errors import DefinitionError, InvalidParameters, Problem
from uws_server.jobs.definition import Definition, ParameterSpec
from uws_server.jobs.job import ParameterValue

Check = Callable[[str, ParameterSpec], ParameterValue]
"""Text of one value and its specification -> the accepted value; raises ValueError with a sentence."""

_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s.+-][^/]*(?:/[^/]+)?)?", re.ASCII)
_RANGE = re.compile(
    r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*([a-zA-Z]*)\s*(?:\s|,|:|-|to)\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*([a-zA-Z]*)\s*",
    re.ASCII,
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What no XML document can hold."""
_LONGEST_WORD = 100
"""Characters of a number, a boolean, a choice or a range: the patterns above take the square of the length and more."""
_TRUE = frozenset({"true", "yes", "on", "1", "t", "y"})
_FALSE = frozenset({"false", "no", "off", "0", "f", "n"})


def shorten(text: str, length: int = 80) -> str:
    """The text as it may stand in a message: printable, and not longer than `length`."""
    return repr(text if len(text) <= length else text[:length] + "…")


def _string(text: str, spec: ParameterSpec) -> ParameterValue:
    if len(text) > spec.max_length:
        raise ValueError(f"{len(text)} characters came, at most {spec.max_length} are allowed")
    if spec.pattern and not re.fullmatch(spec.pattern, text):
        raise ValueError(f"{shorten(text)} is not allowed; expected is {spec.annotation or spec.pattern}")
    return ParameterValue(text, text)


def _boolean(text: str, spec: ParameterSpec) -> ParameterValue:
    word = _short(text).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{shorten(text)} is neither true nor false")
    return ParameterValue("true" if word in _TRUE else "false", word in _TRUE)


def _integer(text: str, spec: ParameterSpec) -> ParameterValue:
    if not re.fullmatch(r"\s*[-+]?\d{1,18}\s*", _short(text), re.ASCII):
        raise ValueError(f"{shorten(text)} is not a whole number{_expected(spec)}")
    value = int(text)
    _within(value, text.strip(), spec)
    return ParameterValue(str(value), value)


def _float(text: str, spec: ParameterSpec) -> ParameterValue:
    match = _NUMBER.fullmatch(_short(text).strip())
    if match is None:
        raise ValueError(f"{shorten(text)} is not a number{_expected(spec)}")
    value = _in_unit(float(match[1]), match[2] or "", spec)
    plain = f"{value:.15g}"
    if match[2]:
        value = float(plain)  # without the noise of the conversion
    _within(value, text.strip(), spec)
    return ParameterValue(plain if float(plain) == value else repr(value), value)


def _choice(text: str, spec: ParameterSpec) -> ParameterValue:
    for option in spec.options:
        if option.lower() == _short(text).strip().lower():
            return ParameterValue(option, option)
    raise ValueError(f"{shorten(text)} is not one of {', '.join(spec.options)}")


def _energy_range(text: str, spec: ParameterSpec) -> ParameterValue:
    match = _RANGE.fullmatch(_short(text))
    expected = f"two numbers such as {spec.default!r}{_bounds(spec)}"
    if match is None:
        raise ValueError(f"{shorten(text)} is not an energy range; expected are {expected}")
    try:
        numbers = float(match[1]), float(match[3])
    except ValueError as error:
        raise ValueError(f"{shorten(text)} is not an energy range; expected are {expected}") from error
    canonical = " ".join(
        f"{_in_unit(number, unit, spec):.10g}"
        for number, unit in zip(numbers, (match[2] or match[4], match[4] or match[2]), strict=True)
    )
    low, high = map(float, canonical.split())
    if not low < high:
        raise ValueError(f"{shorten(text)}: the lower energy must come first and be below the higher one")
    _within(low, text.strip(), spec)
    _within(high, text.strip(), spec)
    return ParameterValue(canonical, canonical)


TYPES: Mapping[str, Check] = {
    "string": _string,
    "boolean": _boolean,
    "integer": _integer,
    "float": _float,
    "choice": _choice,
    "energy_range": _energy_range,
}
"""The types that need nothing but their text. The services add `region`, `file` and `eventlist`."""


def validate(
    definition: Definition,
    given: Mapping[str, Sequence[str]],
    types: Mapping[str, Check],
    before: Mapping[str, ParameterValue] | None = None,
) -> dict[str, ParameterValue]:
    """Check the values of a request against the definition; what did not come is as `before`, or the default.

    `given` maps names (in any case) to all the values that came; an empty one takes a value back. Returns the
    values by their names in the definition, in its order; parameters without a value are left out.
    """
    before = before or {}
    problems: list[Problem] = []
    texts: dict[str, str] = {}
    for name, values in given.items():
        spec = definition.parameter(name)
        if spec is None:
            problems.append(Problem(name[:80], _unknown(definition, name)))
        elif len(values) > 1 or spec.name in texts:
            problems.append(Problem(spec.name, "several values came, one is allowed"))
        elif values:
            texts[spec.name] = values[0]
    accepted: dict[str, ParameterValue] = {}
    for spec in definition.parameters:
        if spec.name not in texts and spec.name in before:
            accepted[spec.name] = before[spec.name]
            continue
        try:
            value = _accept(spec, texts.get(spec.name, "").strip() and texts[spec.name], types)
        except ValueError as error:
            problems.append(Problem(spec.name, str(error)))
            continue
        if value is not None:
            accepted[spec.name] = value
    if problems:
        raise InvalidParameters(problems)
    return accepted


def check_defaults(definition: Definition, types: Mapping[str, Check]) -> None:
    """Refuse a definition with an unknown type or with a default outside its own range."""
    for spec in definition.parameters:
        if spec.type not in types:
            raise DefinitionError(
                f"{definition.name}: {spec.name}: unknown type {spec.type!r}; known are {', '.join(types)}"
            )
        try:
            if not spec.required:
                _accept(spec, "", types)
        except ValueError as error:
            raise DefinitionError(f"{definition.name}: {spec.name}: its own default is refused: {error}") from error


def _accept(spec: ParameterSpec, text: str, types: Mapping[str, Check]) -> ParameterValue | None:
    if not text:
        if spec.default is None:
            if spec.required:
                raise ValueError(f"a value is needed: {spec.description or spec.type}")
            return None
        text = _as_text(spec.default)
    require_printable(text)
    return types[spec.type](text, spec)


def require_printable(text: str) -> None:
    """Refuse (ValueError) text that no XML document can hold."""
    if control := _CONTROL.search(text):
        raise ValueError(f"the control character {control[0]!r} came; printable text is allowed")


def _short(text: str) -> str:
    if len(text) > _LONGEST_WORD:
        raise ValueError(f"{len(text)} characters came, at most {_LONGEST_WORD} are allowed")
    return text


def _as_text(default: Any) -> str:
    if isinstance(default, bool):
        return "true" if default else "false"
    return str(default)


def _unknown(definition: Definition, name: str) -> str:
    names = {spec.name.lower(): spec.name for spec in definition.parameters}
    near = difflib.get_close_matches(name[:80].lower(), names, n=1)
    hint = f"did you mean {names[near[0]]}? " if near else ""
    return f"no such parameter; {hint}{definition.name} takes {', '.join(names.values()) or 'none'}"


def _in_unit(number: float, unit: str, spec: ParameterSpec) -> float:
    if not unit:
        return number
    if not spec.unit:
        raise ValueError(f"unit {shorten(unit)} came, a plain number is expected")
    try:
        # a wavelength of 0 is an infinite energy, which the bounds refuse
        with np.errstate(all="ignore"):
            quantity = u.Quantity(number, u.Unit(unit))
            return float(quantity.to_value(u.Unit(spec.unit), equivalencies=u.spectral()))
    except (ValueError, TypeError, ArithmeticError, u.UnitConversionError) as error:
        raise ValueError(f"unit {shorten(unit)} is not one that converts to {spec.unit}") from error


def _within(value: float, text: str, spec: ParameterSpec) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{shorten(text)} is not a finite number{_expected(spec)}")
    if (spec.min is not None and value < spec.min) or (spec.max is not None and value > spec.max):
        raise ValueError(f"{shorten(text)} is out of range; allowed is{_bounds(spec)}")


def _expected(spec: ParameterSpec) -> str:
    if spec.min is None and spec.max is None:
        return f"; a number in {spec.unit} is expected" if spec.unit else ""
    return f"; allowed is{_bounds(spec)}"


def _bounds(spec: ParameterSpec) -> str:
    unit = f" {spec.unit}" if spec.unit else ""
    if spec.min is not None and spec.max is not None:
        return f" {spec.min:g} to {spec.max:g}{unit}"
    if spec.min is not None:
        return f" {spec.min:g}{unit} or more"
    if spec.max is not None:
        return f" {spec.max:g}{unit} or less"
    return unit
