"""The columns that a search can name, with their units, and the words for cameras. Imports nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["text", "number", "date"]


@dataclass(frozen=True)
class Column:
    """A column: its name, what it is called in the table of the archive, what it means, and its other names.

    `units` are what one of each unit is in the column's own, which is the first; none for texts and dates.
    """

    name: str
    stored: str
    kind: Kind
    meaning: str
    others: tuple[str, ...] = ()
    units: tuple[tuple[str, float], ...] = ()

    @property
    def unit(self) -> str:
        """The unit of a number without one, '' for none."""
        return self.units[0][0] if self.units else ""


ANGLES: Final = (
    ("deg", 1.0), ("degree", 1.0), ("degrees", 1.0), ("d", 1.0), ("°", 1.0),
    ("arcmin", 1 / 60), ("'", 1 / 60), ("′", 1 / 60), ("arcsec", 1 / 3600), ('"', 1 / 3600), ("″", 1 / 3600),
)  # fmt: skip
"""Units of angles, in degrees."""
_TIMES: Final = (
    ("s", 1.0), ("sec", 1.0), ("ks", 1e3), ("Ms", 1e6), ("min", 60.0), ("h", 3600.0), ("hr", 3600.0), ("d", 86400.0),
)  # fmt: skip

INSTRUMENT: Final = Column("instrument", "instrument", "text", "camera, such as EPN, EMOS1, ACIS or FPMA", ("camera",))
OBS_ID: Final = Column("obsid", "obs_id", "text", "identifier of the observation", ("obs_id", "observation"))
COLUMNS: Final = (
    OBS_ID,
    Column("target", "target", "text", "object of the observation, as its header has it",
           ("object", "target_name", "name")),
    Column("observer", "observer", "text", "who proposed the observation", ("pi",)),
    Column("ra", "ra", "number", "right ascension of the pointing, ICRS", ("s_ra",), ANGLES),
    Column("dec", "dec", "number", "declination of the pointing, ICRS", ("s_dec",), ANGLES),
    Column("date", "t_min", "date", "begin of the exposure, UTC", ("start", "t_min", "date_obs")),
    Column("end", "t_max", "date", "end of the exposure, UTC", ("stop", "t_max", "date_end")),
    INSTRUMENT,
    Column("expid", "exposure", "text", "identifier of the exposure, such as S003", ("exposure_id", "exp_id")),
    Column("exposure", "exposure_s", "number", "live time",
           ("exposure_s", "exptime", "t_exptime", "livetime", "live_time"), _TIMES),
    Column("mode", "mode", "text", "mode of the camera, such as PrimeFullWindow", ("submode", "datamode")),
    Column("filter", "filter", "text", "optical filter, such as Thin1", ()),
    Column("collection", "collection", "text", "archive or mission that it comes from", ("mission", "obs_collection")),
    Column("file", "source", "text", "path of the event list below the folder of the archive", ("source", "eventlist")),
    Column("note", "note", "text", "what is missing in the file, or wrong with it", ()),
)  # fmt: skip
"""Every column, in the order in which they are explained."""

BY_NAME: Final = {name: column for column in COLUMNS for name in (column.name, *column.others)}

CAMERAS: Final = {
    **dict.fromkeys(("pn", "epn", "epicpn"), ("EPN",)),
    **dict.fromkeys(("mos1", "emos1", "epicmos1", "m1"), ("EMOS1",)),
    **dict.fromkeys(("mos2", "emos2", "epicmos2", "m2"), ("EMOS2",)),
    **dict.fromkeys(("mos", "emos", "epicmos"), ("EMOS1", "EMOS2")),
    "epic": ("EPN", "EMOS1", "EMOS2"),
    "acis": ("ACIS",),
    "fpma": ("FPMA",),
    "fpmb": ("FPMB",),
    **dict.fromkeys(("fpm", "nustar"), ("FPMA", "FPMB")),
    **dict.fromkeys(("xti", "nicer"), ("XTI",)),
    "xrt": ("XRT",),
}
"""The words for cameras, in lower case and without hyphens, and the instruments that each stands for."""


def cameras_of(word: str) -> tuple[str, ...]:
    """Return the instruments that a word for a camera stands for; none if it is no such word."""
    return CAMERAS.get(word.lower().replace("-", "").replace("_", "").replace(" ", ""), ())
