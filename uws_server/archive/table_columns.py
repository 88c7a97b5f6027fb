"""Recognises the columns of a table of observations by name, UCD and unit, and reads their values.

Positions come out in degrees, times as MJD, exposures in seconds.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from uws_server.archive.tables import TableColumn
from uws_server.errors import BadRequest

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "obs_id": ("obsid", "observationid", "observation", "obsno", "obsnum", "idobs"),
    "ra": ("ra", "rapnt", "rapointing", "pntra", "sra", "raj2000", "radeg", "raicrs", "alpha", "ranom", "raobj"),
    "dec": ("dec", "decpnt", "decpointing", "pntdec", "sdec", "dej2000", "decj2000", "decdeg", "deicrs", "decicrs",
            "de", "delta", "decnom", "decobj"),
    "angle": ("papnt", "positionangle", "posangle", "pa", "roll", "rollangle", "rollpnt", "aspectangle"),
    "target": ("target", "targetname", "targname", "object", "objectname", "source", "name"),
    "observer": ("observer", "pi", "piname", "proposer", "principalinvestigator", "pilname", "observername"),
    "t_min": ("tmin", "dateobs", "start", "starttime", "startdate", "startutc", "obsstart", "tstart", "begin", "time",
              "date", "mjdstart", "startmjd"),
    "t_max": ("tmax", "dateend", "end", "endtime", "enddate", "endutc", "obsend", "tstop", "stop", "stoptime",
              "stoputc", "mjdend", "endmjd"),
    "exposure_s": ("exposure", "exposuretime", "exptime", "texptime", "duration", "livetime", "ontime", "obsduration"),
    "instrument": ("instrument", "instrumentname", "instrume", "camera", "detector", "instr"),
    "exposure": ("expid", "exposureid", "expidstr", "expno", "scheduledexposure"),
    "filter": ("filter", "filtername"),
    "mode": ("mode", "submode", "datamode", "obsmode", "instrumentmode"),
    "telescope": ("telescope", "telescop", "mission", "facility", "facilityname", "observatory", "obscollection"),
}  # fmt: skip
"""What columns are called, in small letters and digits: the likeliest name first."""

_UCDS: Final[Mapping[str, tuple[str, ...]]] = {
    "obs_id": ("meta.id;obs", "obs.id", "id_obs"),
    "ra": ("pos.eq.ra", "pos_eq_ra"),
    "dec": ("pos.eq.dec", "pos_eq_dec"),
    "angle": ("pos.posang", "pos_pos-ang"),
    "target": ("meta.id;src", "meta.id;meta.main", "id_target"),
    "observer": ("meta.id.pi", "obs.observer", "meta.id;obs.observer", "obs.proposal.pi"),
    "t_min": ("time.start", "time.obs.start"),
    "t_max": ("time.end", "time.obs.end"),
    "exposure_s": ("time.duration;obs.exposure", "time.expo", "obs.exposure", "time.duration"),
    "instrument": ("meta.id;instr", "instr.det"),
    "filter": ("instr.filter", "meta.id;instr.filter"),
    "mode": ("meta.code;instr.setup", "instr.setup"),
    "telescope": ("instr.tel", "meta.id;instr.tel"),
}

_SEXAGESIMAL: Final = re.compile(
    r"([+-]?)\s*(\d{1,3})\s*([:hd°\s])\s*(\d{1,2})\s*(?:[:m'′\s]\s*(\d{1,2}(?:\.\d*)?)\s*[s\"″]?)?", re.IGNORECASE
)
_HOURS: Final = ("h", "hr", "hour", "hours", "hourangle", "hms", "h:m:s")
_DEGREES: Final = ("deg", "degree", "degrees", "dms", "d:m:s", "d")
_LOCAL_DEG: Final = 6.0
"""Positions without a unit that all lie below 24, and spread over more than this, may be hours."""

_MJD0: Final = datetime.datetime(1858, 11, 17, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Readings:
    """The values of a column, None where there is none or it cannot be read; `notes` say why, by row from 0."""

    values: Sequence[float | None]
    notes: Mapping[int, str] = field(default_factory=dict)


def named(columns: Sequence[TableColumn]) -> dict[str, TableColumn]:
    """Return the columns that are recognised, by what they hold: a word of `NAMES`."""
    by_name = {_plain(column.name): column for column in reversed(columns)}
    found: dict[str, TableColumn] = {}
    for what, names in NAMES.items():
        column = next((by_name[name] for name in names if name in by_name), None)
        column = column or _of_ucd(what, columns)
        if column is not None and all(column is not other for other in found.values()):
            found[what] = column
    return found


def _of_ucd(what: str, columns: Sequence[TableColumn]) -> TableColumn | None:
    """Return the column that a UCD says holds something; of several the one that is the main one."""
    fitting = [
        column for column in columns
        for ucd in (column.ucd.lower(),)
        if any(ucd == word or ucd.startswith((f"{word};", f"{word}_")) for word in _UCDS.get(what, ()))
        and "error" not in ucd
    ]  # fmt: skip
    return max(fitting, key=lambda column: "main" in column.ucd.lower(), default=None)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def texts(column: TableColumn | None, count: int) -> list[str]:
    """Return the values as texts, '' where there is none; a whole number without a decimal point."""
    if column is None:
        return [""] * count
    return [_text(value) for value in column.values]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return " ".join(str(value).split())


def degrees(column: TableColumn, in_hours: bool | None) -> Readings:
    """Return positions in degrees; those of right ascension may be in hours.

    Parameters
    ----------
    column
        The column; texts may be sexagesimal.
    in_hours
        Whether numbers without a unit are hours; None where only the numbers can tell.

    Raises
    ------
    BadRequest
        The unit is none of an angle, most values are no angles, or nothing tells hours from degrees.
    """
    unit = column.unit.strip().strip("\"'").lower()
    in_texts = in_hours is not False and unit not in _DEGREES
    plain = [number for value in column.values if (number := _number(value)) is not None]
    factor = _angle_factor(column, unit, in_hours, plain) if plain else 1.0

    def read(value: Any) -> float:
        number = _number(value)
        return _sexagesimal(column, str(value), in_texts) if number is None else factor * number

    return _readings(column, read)


def _readings(column: TableColumn, read: Callable[[Any], float | None]) -> Readings:
    """Read each value of a column. Raise BadRequest where most cannot be read: then it is none of what was sought."""
    values: list[float | None] = []
    notes: dict[int, str] = {}
    for row, value in enumerate(column.values):
        found = None
        if value is not None:
            try:
                found = read(value)
            except BadRequest as error:
                notes[row] = str(error)
        values.append(found)
    if len(notes) > len(values) / 2:
        raise BadRequest(next(iter(notes.values())))
    return Readings(values, notes)


def _angle_factor(column: TableColumn, unit: str, in_hours: bool | None, numbers: Sequence[float]) -> float:
    """Return the degrees of a unit of a column. Raise BadRequest for a unit of something else, or an unclear one."""
    if unit in _HOURS:
        return 15.0
    if unit in _DEGREES:
        return 1.0
    if unit:
        return _factor(column, unit, "deg", "degrees, radians or hours")
    if in_hours is not None:
        return 15.0 if in_hours else 1.0
    if max(numbers) < 24 and max(numbers) - min(numbers) > _LOCAL_DEG:
        raise BadRequest(
            f"column {column.name}: it has no unit, and all its values lie below 24: hours or degrees? "
            "say so by --ra-unit h or --ra-unit deg"
        )
    return 1.0


def seconds(column: TableColumn) -> Readings:
    """Return durations in seconds. Raise BadRequest for a unit of something else, or where most are no durations."""
    unit = column.unit.strip()
    factor = _factor(column, unit, "s", "seconds, such as s, ks, min, h or d") if unit else 1.0

    def read(value: Any) -> float:
        number = _number(value)
        if number is None or number < 0:
            raise BadRequest(f"column {column.name}: {str(value)[:40]!r} is no duration; a number from 0 on is read")
        return factor * number

    return _readings(column, read)


def _factor(column: TableColumn, unit: str, wanted: str, allowed: str) -> float:
    """Return how many of the wanted unit one of a column is."""
    import astropy.units as u

    try:
        return float(u.Unit(unit).to(wanted))
    except (ValueError, TypeError, u.UnitConversionError) as error:
        raise BadRequest(f"column {column.name}: its unit is {unit[:40]!r}; {allowed} are read") from error


def mjds(column: TableColumn) -> Readings:
    """Return times as MJD: of dates as ISO 8601 has them, of MJD and of JD.

    Raise BadRequest where most are numbers of something else, such as the seconds of a spacecraft.
    """
    return _readings(column, lambda value: _mjd(column, value))


def _mjd(column: TableColumn, value: Any) -> float | None:
    number = _number(value)
    if number is None:
        try:
            when = datetime.datetime.fromisoformat(str(value).replace("Z", "+00:00").replace("/", "-"))
        except ValueError as error:
            raise BadRequest(
                f"column {column.name}: {str(value)[:40]!r} is no date such as 2001-08-19T07:05:23"
            ) from error
        when = when if when.tzinfo else when.replace(tzinfo=datetime.UTC)
        return (when - _MJD0) / datetime.timedelta(days=1)
    if number == 0:
        return None
    if 15_000 < number < 90_000:
        return number
    if 2_415_000.5 < number < 2_490_000.5:
        return number - 2_400_000.5
    raise BadRequest(
        f"column {column.name}: {number:.10g} is no time: dates (2001-08-19T07:05:23), MJD and JD are read"
    )


def _number(value: Any) -> float | None:
    """Return a finite number; None for what is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _sexagesimal(column: TableColumn, text: str, in_hours: bool) -> float:
    """Return an angle such as 12:34:56.7 or 12h34m56.7s in degrees."""
    match = _SEXAGESIMAL.fullmatch(text.strip())
    if match is None or int(match[4]) >= 60 or float(match[5] or 0) >= 60:
        raise BadRequest(
            f"column {column.name}: {text[:40]!r} is no angle; degrees, or texts such as 12:34:56.7, are read"
        )
    mark = match[3].lower()
    value = int(match[2]) + int(match[4]) / 60 + float(match[5] or 0) / 3600
    hours = mark == "h" or (in_hours and mark not in "d°")
    return (-1 if match[1] == "-" else 1) * value * (15 if hours else 1)
