"""An ObsCore row: its values, the checks of them, and its derivation from a FITS file.

`from_tags` reads a VO-TAGS header, `from_science` a product's own OGIP keywords, `from_file` these and its tables of
good time intervals and regions.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from provenance.fits import hdus
from provenance.fits.headers import Cards, plain
from provenance.obscore import high_energy
from provenance.obscore.columns import COLUMNS, ENUMERATIONS, NOT_NULL, Column
from provenance.obscore.product import product
from provenance.obscore.times import timestamp
from provenance.text.errors import FitsError, ObsCoreError

if TYPE_CHECKING:
    import numpy as np

Value: TypeAlias = str | int | float
"""A value of a column."""

Given: TypeAlias = "Value | np.generic | None"
"""A value given for a column: also a number of numpy, or None for one that is not known."""

ALL_COLUMNS: Final = (*COLUMNS, *high_energy.COLUMNS)
"""The columns of the standard, then those of the draft high-energy extension."""

_BY_NAME: Final = {column.name: column for column in ALL_COLUMNS}
_TIMESTAMP: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)")
_FROM_ZERO: Final = frozenset(
    {"access_estsize", "s_fov", "s_resolution", "s_resolution_min", "s_resolution_max", "s_stat_error", "s_pixel_scale",
     "t_exptime", "t_resolution", "t_stat_error", "em_min", "em_max", "em_res_power", "em_resolution", "em_stat_error",
     "o_stat_error", "pol_xel", "ev_xel", "energy_min", "energy_max"}
)
_ORDERED: Final = (("t_min", "t_max"), ("em_min", "em_max"), ("s_resolution_min", "s_resolution_max"),
                   ("em_res_power_min", "em_res_power_max"), ("energy_min", "energy_max"))
_RANGES: Final = {"calib_level": (0, 4), "s_ra": (0.0, 360.0), "s_dec": (-90.0, 90.0)}
_OLD_KEYWORDS: Final = {"obs_release_date": "RELEA_DAT"}
_OLD_VALUES: Final = {"events": "event"}


class ObsCoreRow(Mapping[str, Value]):
    """The values of one row, by column name, in the standard's order; columns that are not known are absent. Immutable.

    None and blank text count as not known. Numbers of numpy become those of Python. Raises ObsCoreError for a column
    that does not exist, or a value that is neither text nor a number; whether a column may have it, `problems` says.

    >>> row = ObsCoreRow(s_ra=359.4625, dataproduct_type="spectrum", s_dec=None)
    >>> dict(row)
    {'dataproduct_type': 'spectrum', 's_ra': 359.4625}
    """

    __slots__ = ("_values",)
    _values: dict[str, Value]

    def __init__(self, values: Mapping[str, Given] | None = None, /, **more: Given) -> None:
        given = {name: value for name, value in {**(values or {}), **more}.items() if value is not None}
        if unknown := sorted(given.keys() - _BY_NAME.keys()):
            near = difflib.get_close_matches(unknown[0], _BY_NAME, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ObsCoreError(f"ObsCore 1.1 has no column {unknown[0]}{hint}")
        plain = {name: _plain(name, given[name]) for name in _BY_NAME if name in given}
        self._values = {name: value for name, value in plain.items() if value != ""}

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def __repr__(self) -> str:
        return f"ObsCoreRow({self._values})"

    def replaced(self, **values: Given) -> ObsCoreRow:
        """Return the row with these values in the place of its own; None removes a value."""
        return ObsCoreRow({**self._values, **values})

    def filled(self, **values: Given) -> ObsCoreRow:
        """Return the row with these values where it has none."""
        return ObsCoreRow({**values, **self._values})


def problems(row: Mapping[str, Value]) -> tuple[str, ...]:
    """Return all that makes a row invalid in ObsCore 1.1, in words; empty for a valid one."""
    return (*missing(row), *invalid(row))


def missing(row: Mapping[str, Value]) -> tuple[str, ...]:
    """Return the columns that the standard never lets be absent and that are absent, in words."""
    return tuple(f"{name} is absent; ObsCore requires it" for name in NOT_NULL if row.get(name) in (None, ""))


def invalid(row: Mapping[str, Value]) -> tuple[str, ...]:
    """Return the values that their columns may not have, in words."""
    found = [problem for name, value in row.items() if (problem := _problem(name, value))]
    for low, high in _ORDERED:
        first, last = row.get(low), row.get(high)
        if isinstance(first, (int, float)) and isinstance(last, (int, float)) and first > last:
            found.append(f"{low} is {first}, above {high}, which is {last}")
    return tuple(found)


def from_tags(header: Mapping[str, Any]) -> ObsCoreRow:
    """Read the ObsCore row from a VO-TAGS header (a mapping keyword -> value, or an astropy header).

    Tolerates what other writers write: 'NotSet', blank and undefined values are absent, numbers may be strings, closed
    lists are read in any case, `events` is event, a date may lack its time or have a zone letter, the release date may
    stand under HIERARCH RELEA_DAT. Raises nothing for the values of a header: text where a number belongs is left out.
    """
    cards = Cards(header)
    return ObsCoreRow({column.name: _tag(column, cards) for column in ALL_COLUMNS})


def from_science(headers: Sequence[Mapping[str, Any]], **known: Given) -> ObsCoreRow:
    """Derive the ObsCore row of a product from its headers, the primary one first, and from what the caller knows.

    `known` are columns by name; they win over the headers. The rules are those of `ogip.columns`. Raises nothing for
    the values of the headers, and ObsCoreError for a column that does not exist.
    """
    from provenance.obscore import ogip  # here: tables and projections need numpy, a row needs none

    sound = _sound(ogip.columns(headers))
    given = {name: value for name, value in known.items() if value is not None}
    row = ObsCoreRow({**sound, **given})
    return row.filled(**_sound(_implied(headers, row)))


def from_file(path: str | Path, **known: Given) -> ObsCoreRow:
    """Derive the ObsCore row of a FITS file, gzipped or not, from its headers and tables and what the caller knows.

    As `from_science`; besides, start and end are those of its good time intervals, position and s_region those of the
    region table that its data subspace names, and access_estsize is its size. Raises FitsError when it is no FITS file.
    """
    from provenance.obscore import footprint, intervals  # here: tables need numpy, a row needs none

    path = Path(path)
    with hdus.opened(path) as (stream, limit):
        layout = hdus.scan(stream, limit)
        if not layout.readable:
            raise FitsError(f"{path}: no FITS file: {layout.fault}")
        headers = [hdu.cards for hdu in layout.readable]
        found = product(headers)
        measured: dict[str, Any] = {"access_estsize": max(1, round(path.stat().st_size / 1000))}
        if found is not None:
            measured |= intervals.columns(stream, layout.readable, found)
            measured |= footprint.columns(stream, layout.readable, found)
    given = {name: value for name, value in known.items() if value is not None}
    return from_science(headers, **{**_sound(measured), **given})


def _sound(found: Mapping[str, Any]) -> dict[str, Value]:
    """The derived values that a row may have."""
    return {name: value for name, value in found.items() if value is not None and not _problem(name, value)}


def _implied(headers: Sequence[Mapping[str, Any]], row: ObsCoreRow) -> dict[str, Any]:
    """The columns that others imply: energies and resolving power from the band, resolution from the exposure.

    A product of one bin in time resolves no less than its exposure (ObsCore 1.1, section 4.10).
    """
    from provenance.obscore import ogip  # here: it needs numpy, a row needs none

    low, high = row.get("em_min"), row.get("em_max")
    found: dict[str, Any] = dict(high_energy.energies(row))
    if isinstance(low, float) and isinstance(high, float):
        found |= ogip.resolution(headers, low, high)
    if row.get("t_xel") == 1:
        found["t_resolution"] = row.get("t_exptime")
    return found


def wavelength_m(energy_kev: float) -> float:
    """Return the wavelength (m) of photons of an energy in keV (h c / e = 12.398419843 keV Angstrom, CODATA 2018).

    >>> f"{wavelength_m(0.2):.4g} {wavelength_m(12.0):.4g}"
    '6.199e-09 1.033e-10'
    """
    if not (math.isfinite(energy_kev) and energy_kev > 0):
        raise ObsCoreError(f"an energy above 0 keV is expected, not {energy_kev}")
    return high_energy.KEV_METRE / energy_kev


def _plain(name: str, value: object) -> Value:
    """A value in a type of Python: text without blanks around it, whole floats as integers in such a column."""
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ObsCoreError(f"{name}: text or a number is expected, not {value!r}")
    if isinstance(value, str):
        return value.strip()
    kind = _BY_NAME[name].type
    if kind == "float" and isinstance(value, int):
        return float(value)
    if kind == "int" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _problem(name: str, value: Value) -> str:
    """What is wrong with a value, in words; empty for a correct one."""
    column = _BY_NAME.get(name)
    if column is None:
        return f"{name} is no column of ObsCore 1.1"
    if column.type == "str":
        return _text_problem(column, value)
    expected = {"int": "a whole number", "float": "a number"}[column.type]
    if isinstance(value, str) or (column.type == "int" and not isinstance(value, int)) or not math.isfinite(value):
        return f"{name} is {value!r}; {expected} is expected"
    low, high = _RANGES.get(name, (0 if name in _FROM_ZERO else -math.inf, math.inf))
    if not low <= value <= high or (column.type == "int" and abs(value) >= 2**63):
        return f"{name} is {value}; {expected} from {low} to {high} is expected"
    return ""


def _text_problem(column: Column, value: Value) -> str:
    if not isinstance(value, str):
        return f"{column.name} is {value!r}; text is expected"
    allowed: Iterable[str] = ENUMERATIONS.get(column.name, ())
    if allowed and value not in allowed:
        return f"{column.name} is {value!r}; one of {', '.join(allowed)} is expected"
    if column.adql == "TIMESTAMP" and not _TIMESTAMP.fullmatch(value):
        return f"{column.name} is {value!r}; YYYY-MM-DDThh:mm:ss is expected"
    return ""


def _tag(column: Column, cards: Cards) -> Value | None:
    """The value of a column in a VO-TAGS header; None when it is absent or cannot be read."""
    value = cards.value(column.keyword)
    if value is None:
        value = cards.value(_OLD_KEYWORDS.get(column.name, column.keyword))
    if isinstance(value, str):
        value = value.strip()
    if value is None or isinstance(value, bool) or (isinstance(value, str) and value.lower() in ("", "notset")):
        return None
    if column.type == "str":
        text = str(value)
        if column.adql == "TIMESTAMP":
            return timestamp(text) or text
        return _OLD_VALUES.get(text.lower(), text.lower()) if column.name in ENUMERATIONS else text
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number) or (column.type == "int" and not number.is_integer()):
        return None
    return number if column.type == "float" else int(value if isinstance(value, int) else number)
