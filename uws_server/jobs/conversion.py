"""The conversion of numbers between units, by astropy, which takes 20 MiB: `units` imports it when two units differ.

What astropy is given is first held to a plain form, because it computes whatever powers a text asks for:
`10**999999999 m` would hold the server up for ever.
"""

from __future__ import annotations

import re

import astropy.units as u
import numpy as np

from uws_server.jobs.words import shorten

_LONGEST = 40
_WORD = r"[A-Za-zµμÅΩ]{1,20}"
_POWER = r"(?:(?:\*\*|\^)?\s*(?:[-+]?\d{1,2}|\([-+]?\d{1,2}(?:/\d)?\)))?"
_UNIT = re.compile(rf"({_WORD}){_POWER}(?:\s*[*/. ]\s*(?:{_WORD}){_POWER}){{0,7}}")
_NAMES = re.compile(_WORD)
_SYMBOLS = {'"': "arcsec", "″": "arcsec", "'": "arcmin", "′": "arcmin", "°": "deg", "%": "percent"}
"""The symbols that people write behind a number, as in the regions of DS9."""


def converted(number: float, unit: str, wanted: str) -> float:
    """Convert a number from `unit` to `wanted`; energies, wavelengths and frequencies stand for each other.

    Raises ValueError with a sentence.
    """
    try:
        # a wavelength of 0 is an infinite energy, which the bounds refuse
        with np.errstate(all="ignore"):
            quantity = u.Quantity(number, _parse(unit))
            return float(quantity.to_value(_parse(wanted), equivalencies=u.spectral()))
    except (ValueError, TypeError, ArithmeticError, u.UnitConversionError) as error:
        raise ValueError(f"unit {shorten(unit)} is not one that converts to {wanted}{_meant(unit, wanted)}") from error


def _meant(unit: str, wanted: str) -> str:
    """Return the question for a unit whose capitals are wrong, '; did you mean keV?', or ''."""
    near = [
        name
        for name, known in u.get_current_unit_registry().registry.items()
        if name != unit.strip() and name.lower() == unit.strip().lower() and _converts(known, wanted)
    ]
    return f"; did you mean {near[0]}?" if near else ""


def _converts(unit: u.UnitBase, wanted: str) -> bool:
    try:
        return bool(unit.is_equivalent(_parse(wanted), u.spectral()))
    except (ValueError, TypeError):
        return False


def _parse(text: str) -> u.UnitBase:
    plain = _SYMBOLS.get(text.strip(), text.strip())
    if len(plain) > _LONGEST or not _UNIT.fullmatch(plain):
        raise ValueError("not the product of units")
    known = u.get_current_unit_registry().registry
    if any(name not in known for name in _NAMES.findall(plain)):
        raise ValueError("no such unit")  # astropy would look for what was meant, which takes milliseconds
    first, *others = map(u.Unit, plain.split("/"))  # astropy warns of more than one slash
    for other in others:
        first /= other
    return first
