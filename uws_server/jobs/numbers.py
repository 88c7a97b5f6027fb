"""Whole numbers, numbers with a unit, and energy ranges. Imports the specification, units and words."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from uws_server.jobs.definition import ParameterSpec
from uws_server.jobs.job import ParameterValue
from uws_server.jobs.units import convert
from uws_server.jobs.words import short_word, shorten

_NUMBER = re.compile(r"([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)\s*([a-zA-Zµμ%°ÅΩ'\"′″(].*)?", re.ASCII)
_END = r"([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|[-+]?[iI]nf(?:inity)?)"
_UNIT = r"((?!to\b)[a-zA-ZµμÅ]+?)?"
_RANGE = re.compile(rf"{_END} ?{_UNIT}(?: ?(?:[/,:]|-(?![iI]nf)|to) ?| ){_END} ?{_UNIT}", re.ASCII)
"""Two ends of a range, in a text without more than one blank in a row."""
_ROUNDING = Fraction(1, 10**9)
"""The deviation from a whole number of steps that is taken for rounding, in steps."""


def integer(text: str, spec: ParameterSpec) -> ParameterValue:
    """Read a whole number of at most 18 digits."""
    word = short_word(text)
    if not re.fullmatch(r"[-+]?\d{1,18}", word, re.ASCII):
        raise ValueError(f"{shorten(text)} is not a whole number{_expected(spec)}")
    value = int(word)
    _within(value, word, spec)
    return ParameterValue(str(value), value)


def number(text: str, spec: ParameterSpec) -> ParameterValue:
    """Read a number, in the unit of the parameter or in one that converts to it."""
    word = short_word(text)
    match = _NUMBER.fullmatch(word)
    if match is None:
        raise ValueError(f"{shorten(text)} is not a number{_expected(spec)}")
    value = _in_unit(float(match[1]), match[2] or "", spec)
    plain = f"{value:.15g}"
    if match[2]:
        value = float(plain)  # without the noise of the conversion
    _within(value, word, spec)
    return ParameterValue(plain if float(plain) == value else repr(value), value)


def energy_range(text: str, spec: ParameterSpec) -> ParameterValue:
    """Read two energies, the lower one first, each with a unit or one unit for both.

    An end may be infinite, as in the intervals of DALI: the bound of the parameter is taken. Wavelengths may begin with
    the shorter one, as BAND of SODA does.
    """
    word = short_word(text)
    match = _RANGE.fullmatch(" ".join(word.split()))
    if match is None:
        allowed = f", {bounds(spec)}" if bounds(spec) else f" {spec.unit}".rstrip()
        expected = f"two numbers such as {spec.default or '0.2 12.0'!r}{allowed}"
        raise ValueError(f"{shorten(text)} is not an energy range; expected are {expected}")
    units = (match[2] or match[4] or "", match[4] or match[2] or "")
    ends = [_end(one, unit, spec) for one, unit in zip((match[1], match[3]), units, strict=True)]
    if all(_falls_with_energy(unit, spec) for unit in units) and float(match[1]) < float(match[3]):
        ends.reverse()
    canonical = " ".join(f"{_bound(end, spec, text):.10g}" for end in ends)
    low, high = map(float, canonical.split())
    if not low < high:
        raise ValueError(f"{shorten(text)}: the lower energy must come first and be below the higher one")
    _within(low, word, spec)
    _within(high, word, spec)
    return ParameterValue(canonical, canonical)


def _end(number: str, unit: str, spec: ParameterSpec) -> float:
    """Return an end of a range in the unit of the parameter; an infinite wavelength is the least energy."""
    value = float(number)
    if math.isinf(value):
        return -value if _falls_with_energy(unit, spec) else value
    return _in_unit(value, unit, spec)


def _bound(end: float, spec: ParameterSpec, text: str) -> float:
    """Return an end of a range, the bound of the parameter for an infinite one. Raise ValueError if it has none."""
    if not math.isinf(end):
        return end
    bound = spec.min if end < 0 else spec.max
    if bound is None:
        raise ValueError(f"{shorten(text)} has an open end, and this parameter no bound there; give a number")
    return float(bound)


def _falls_with_energy(unit: str, spec: ParameterSpec) -> bool:
    """Return whether a number in a unit grows where the one in the parameter's falls, as wavelengths do."""
    return bool(unit) and _in_unit(1.0, unit, spec) > _in_unit(2.0, unit, spec)


def bounds(spec: ParameterSpec) -> str:
    """Return the range of a number in words, such as '0.2 to 12 keV' or '1 or more'; '' where it has none."""
    unit = f" {spec.unit}" if spec.unit else ""
    if spec.min is not None and spec.max is not None:
        return f"{plain_number(spec.min)} to {plain_number(spec.max)}{unit}"
    if spec.min is not None:
        return f"{plain_number(spec.min)}{unit} or more"
    return f"{plain_number(spec.max)}{unit} or less" if spec.max is not None else ""


def plain_number(number: float | Fraction) -> str:
    """Return a number of a definition as a sentence shows it."""
    return f"{float(number):,.10g}"


def _in_unit(value: float, unit: str, spec: ParameterSpec) -> float:
    return convert(value, unit, spec.unit) if unit else value


def _within(value: float, text: str, spec: ParameterSpec) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{shorten(text)} is not a finite number{_expected(spec)}")
    if (spec.min is not None and value < spec.min) or (spec.max is not None and value > spec.max):
        raise ValueError(f"{shorten(text)} is out of range; allowed is {bounds(spec)}")
    if spec.step is not None:
        _on_step(value, text, spec, Fraction(str(spec.step)))


def _on_step(value: float, text: str, spec: ParameterSpec, step: Fraction) -> None:
    """Refuse a number that is not a whole number of steps from the minimum, or from 0 where there is none."""
    begin = Fraction(str(spec.min)) if spec.min is not None else Fraction(0)
    exact = Fraction(str(value))
    steps = (exact - begin) / step
    rounding = _ROUNDING + (2 * Fraction(math.ulp(value)) / step if isinstance(value, float) else 0)
    if abs(steps - round(steps)) <= rounding:
        return
    unit = f" {spec.unit}" if spec.unit else ""
    near = [begin + k * step for k in (math.floor(steps), math.ceil(steps))]
    allowed = [each for each in near if spec.max is None or each <= Fraction(str(spec.max))]
    words = " and ".join(f"{float(each):.15g}" for each in allowed)
    in_words = f"{plain_number(step)}{unit}"
    raise ValueError(f"{shorten(text)} is not in steps of {in_words}; the nearest allowed is {words}{unit}")


def _expected(spec: ParameterSpec) -> str:
    if spec.min is None and spec.max is None:
        return f"; a number in {spec.unit} is expected" if spec.unit else ""
    return f"; allowed is {bounds(spec)}"
