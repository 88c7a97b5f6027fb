"""The data subspace of a product: the DS keywords, GTI and REG tables that say which events are in it.

The convention is that of the SAS and of CIAO: DSTYPn names a quantity, DSVALn what is allowed, DSREFn a table; the
keywords of a further CCD have the number of its component in front.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from provenance.fits import timing
from provenance.fits.cards import Value
from provenance.fits.hdus import Hdu
from reduction.events import fitswrite
from reduction.events.eventlist import EventList
from reduction.events.fitswrite import Cards, TableColumn
from reduction.events.goodtime import GTI
from reduction.events.selection import ALL_FLAG_BITS, Selection
from reduction.missions import Ranges

REGION_TABLE = "REG{:03d}01"
"""The name of a region table: its number counts those of earlier selections too."""

MAX_DESCRIPTORS = 9
"""Most quantities of a data subspace: their number has one digit, so that 12DSREF9 fits a keyword."""

MAX_EARLIER = 3
"""Most descriptors of earlier selections beside one whose regions do not hold on."""

MAX_COMPONENTS = 99
"""Most CCDs of a data subspace: the number of a component has two digits."""

MAX_EXPRESSION = 4000
"""Longest SLCTEXPR written, in characters; longer ones refer to the region table."""

_GTI_NAME = re.compile(r"[A-Z0-9_]{0,60}GTI[A-Z0-9_]{0,5}")
"""Names that a table of good times keeps: others are not those of good times to everybody."""

_TIME_KEYS = (*timing.KEYWORDS, "TASSIGN", "CLOCKAPP")


class RegionRow(Protocol):
    """A row of a region table."""

    @property
    def shape(self) -> str:
        """The shape in capitals; '!' in front excludes."""

    @property
    def x(self) -> list[float]:
        """Its vector X."""

    @property
    def y(self) -> list[float]:
        """Its vector Y."""

    @property
    def r(self) -> list[float]:
        """Its vector R: radii, semi-axes or full sides."""

    @property
    def rotang(self) -> list[float]:
        """Its vector ROTANG, in degrees."""


class TabledRegion(Protocol):
    """A region that can be written as a table."""

    def table_rows(self) -> Sequence[RegionRow]:
        """Return its rows."""

    def components(self) -> Sequence[int]:
        """Return the component of each row."""


@dataclass(frozen=True)
class DataSubspace:
    """What a product holds, ready to be written: keywords for its header, and as bytes the tables that follow it.

    `gtis` are its good times by CCD; `phase_share` is the part of them whose phases were selected, where they would be
    too many intervals to be written, else 1. `earlier` are the region tables of earlier selections, which hold on and
    are among `tables`.
    """

    cards: Cards
    tables: tuple[bytes, ...]
    expression: str
    gtis: Mapping[int | None, GTI]
    phase_share: float = 1.0
    earlier: tuple[Hdu, ...] = ()


@dataclass(frozen=True)
class NamedGTI:
    """Good times of a CCD (None: of all) and the name of their table.

    Tables of one name are told apart by their number, EXTVER, which is that of the CCD as in lists of CIAO.
    """

    name: str
    ccd: int | None
    good: GTI

    @property
    def version(self) -> int | None:
        """The value of EXTVER; None where the name says enough."""
        return None if self.name[-1].isdigit() else self.ccd

    @property
    def reference(self) -> str:
        """The table as a data subspace refers to it: its name and EXTVER."""
        return self.name if self.version is None else f"{self.name}{self.version}"


def describe(
    events: EventList, selection: Selection, region: TabledRegion | None, earlier: Sequence[Hdu] = ()
) -> DataSubspace:
    """Describe the events that a selection and a region leave, on top of what the event list says of itself.

    Parameters
    ----------
    events
        The open event list.
    selection
        What an event must be.
    region
        Where it must be, in the plane of the X,Y columns; None for everywhere.
    earlier
        Region tables of the event list that hold on, those of `earlier_regions`. The new region has a table beside
        them.

    Returns
    -------
    DataSubspace
        Keywords and tables; of more than MAX_DESCRIPTORS quantities the last are kept.
    """
    mission = events.mission
    gtis, phase_share = _within_phases(selection)
    named = _by_ccd(events, gtis)
    common = gtis.get(None)
    tabled = [*named]
    if common is not None:
        names = [name for name in (_kept_name(events, None), "GTI", "STDGTI") if name]
        taken = {gti.name for gti in named}
        tabled.append(NamedGTI(next(name for name in names if name not in taken), None, common))
    selected = _selected(events, selection)
    entries = _earlier(events)[:MAX_EARLIER]
    if earlier:  # with their regions, but without what is selected again
        tables_before = {f":{hdu.name}" for hdu in earlier}
        entries = [entry for entry in _earlier(events, tables_before) if entry not in selected]
    if named:
        entries.append({"TYP": events.ccd.name if events.ccd else "CCDNR", "VAL": str(named[0].ccd)})
    entries += selected
    entries.append({"TYP": events.time.name, "UNI": "s", "VAL": "TABLE", "REF": f":{tabled[0].reference}"})
    name = _region_name(earlier)
    if region is not None:
        entries.append({"TYP": f"POS({mission.x},{mission.y})", "VAL": "TABLE", "REF": f":{name}"})
    entries = entries[-MAX_DESCRIPTORS:]
    cards = list(_cards(entries))
    cards += _component_cards(events, [entry["TYP"] for entry in entries], named, region)
    if selection.phases is not None:
        cards += [("PHPERIOD", selection.phases.period_s, "[s] period of the phases that were selected"),
                  ("PHEPOCH", selection.phases.epoch_s, "[s] time of phase 0, as the times of this table")]
    if region is not None:
        cards += [("MTYPE1", "POS", "DM Keyword: Descriptor name"), ("MFORM1", f"{mission.x},{mission.y}", "")]
    tables = [gti_table(gti, events.keywords) for gti in tabled]
    if region is not None:
        tables.insert(1, _region_table(region, name, f"{mission.x},{mission.y}"))
    tables[1:1] = _bytes_of(events, earlier)
    text = expression(events, selection, region, name)
    return DataSubspace(cards, tuple(tables), text, gtis, phase_share, tuple(earlier))


def _within_phases(selection: Selection) -> tuple[Mapping[int | None, GTI], float]:
    """Return the good times at the phases of a selection, and 1; all good times and a share if they are too many."""
    phases = selection.phases
    if phases is None:
        return selection.gtis, 1.0
    narrowed = {ccd: phases.within(good) for ccd, good in selection.gtis.items()}
    found = {ccd: good for ccd, good in narrowed.items() if good is not None}
    return (found, 1.0) if len(found) == len(narrowed) else (selection.gtis, phases.share)


def _bytes_of(events: EventList, hdus: Sequence[Hdu]) -> list[bytes]:
    """Return some small HDUs as they lie in the event list."""
    with events.path.open("rb") as stream:
        found = []
        for hdu in hdus:
            stream.seek(hdu.start)
            found.append(stream.read(hdu.end - hdu.start))
        return found


def earlier_regions(events: EventList) -> list[Hdu]:
    """Return the region tables that the data subspace of an event list refers to: its events lie in all of them."""
    referred = {str(events.header.get(f"DSREF{number}") or "").strip().upper() for number in range(1, 10)}
    tables = [hdu for hdu in events.hdus if str(hdu.cards.get("HDUCLAS1")).strip().upper() == "REGION"]
    return [hdu for hdu in tables if hdu.is_table and f":{hdu.name}" in referred]


def _region_name(earlier: Sequence[Hdu]) -> str:
    """Return the name of a new region table beside some others."""
    taken = {hdu.name for hdu in earlier}
    return next(name for number in range(1, 1000) if (name := REGION_TABLE.format(number)) not in taken)


def _component_cards(
    events: EventList, types: Sequence[str], named: Sequence[NamedGTI], region: TabledRegion | None
) -> Iterator[tuple[str, Value, str]]:
    """Yield the keywords of the second CCD and the further ones: its number and the table of its good times."""
    for component, gti in enumerate(named[1:MAX_COMPONENTS], start=2):
        ccd_number = types.index(events.ccd.name if events.ccd else "CCDNR") + 1
        time_number = len(types) - (region is not None)
        yield f"{component}DSVAL{ccd_number}", str(gti.ccd), "data subspace descriptor: value"
        yield f"{component}DSREF{time_number}", f":{gti.reference}", "data subspace descriptor: reference"


def _by_ccd(events: EventList, gtis: Mapping[int | None, GTI]) -> list[NamedGTI]:
    """Return the good times of the CCDs, named as the SAS does, or as the event list's own tables are."""
    by_ccd = {ccd: gtis[ccd] for ccd in sorted(ccd for ccd in gtis if ccd is not None)}
    if events.mission.is_xmm:
        return [NamedGTI(f"GTI{number:03d}01", ccd, good) for number, (ccd, good) in enumerate(by_ccd.items())]
    kept = [NamedGTI(_kept_name(events, ccd) or f"GTI{ccd}", ccd, good) for ccd, good in by_ccd.items()]
    if len({gti.reference for gti in kept}) < len(kept):
        return [NamedGTI(f"GTI{ccd}", ccd, good) for ccd, good in by_ccd.items()]
    return kept


def _kept_name(events: EventList, ccd: int | None) -> str:
    """Return the name of the event list's own table of good times of a CCD; empty where none alone says them."""
    name = events.gti_names.get(ccd, "")
    return name if _GTI_NAME.fullmatch(name) else ""


def _earlier(events: EventList, tables: Collection[str] = ()) -> list[dict[str, str]]:
    """Return the descriptors of earlier selections, but those of CCDs, times and places, which are written anew.

    Of places those are kept that are limited by one of some tables (``:REG00101``).
    """
    entries = []
    skip = {"CCDNR", "CCD_ID", "TIME"}
    for number in range(1, MAX_DESCRIPTORS + 1):
        keys = (f"DS{part}{number}" for part in ("TYP", "VAL", "REF"))
        kind, value, table = (str(events.header.get(key, "")).strip() for key in keys)
        is_anew = kind.upper() in skip or kind.startswith("POS") or value.upper() == "TABLE"
        if not kind or not value or (is_anew and table.upper() not in tables):
            continue
        entry = {"TYP": kind, "VAL": value} | ({"REF": table} if is_anew else {})
        unit = events.header.get(f"DSUNI{number}", events.header.get(f"DSUNIT{number}"))
        form = events.header.get(f"DSFORM{number}")
        entries.append(entry | ({"UNI": str(unit)} if unit else {}) | ({"FORM": str(form)} if form else {}))
    return entries


def _selected(events: EventList, selection: Selection) -> list[dict[str, str]]:
    """Return the descriptors of flag, pattern, energy and phase."""
    entries = []
    if events.flag and selection.flag_mask == ALL_FLAG_BITS:
        entries.append({"TYP": events.flag.name, "VAL": "0"})
    elif events.flag and selection.flag_mask:
        bits = f"{selection.flag_mask:b}".replace("0", "x").replace("1", "0")
        entries.append({"TYP": events.flag.name, "FORM": "X", "VAL": f"b{bits}"})
    if events.pattern and selection.patterns is not None:
        entries.append({"TYP": events.pattern.name, "VAL": _ranges(selection.patterns)})
    if not selection.takes_all_energies:
        low, high = selection.stored_energies(events)
        entry = {"TYP": events.energy.name, "VAL": f"{low:.10g}:{high:.10g}"}
        entries.append(entry | ({"UNI": events.energy.unit} if events.energy.unit else {}))
    if selection.phases is not None:
        entries.append({"TYP": "PHASE", "VAL": selection.phases.text})
    return entries


def _ranges(ranges: Ranges) -> str:
    """Write ranges as the data subspace has them: ``:4`` from the lowest, ``2:4``, ``6``."""
    return ",".join(str(low) if low == high else f"{low or ''}:{high}" for low, high in ranges)


def _cards(entries: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, Any, str]]:
    words = {"TYP": "name", "UNI": "units", "FORM": "data type", "VAL": "value", "REF": "reference"}
    for number, entry in enumerate(entries, start=1):
        for part, word in words.items():
            if part in entry:
                yield f"DS{part}{number}", entry[part], f"data subspace descriptor: {word}"


def gti_table(gti: NamedGTI, keywords: Mapping[str, Any]) -> bytes:
    """Write good time intervals as the SAS does."""
    good = gti.good
    columns = [TableColumn("START", good.start, "s", "lower GTI boundary"),
               TableColumn("STOP", good.stop, "s", "upper GTI boundary")]  # fmt: skip
    cards: Cards = [("EXTVER", gti.version, "number among the tables of this name"), ("CCDID", gti.ccd, "CCD ID")]
    cards += [
        ("HDUCLASS", "OGIP", "format conforms to OGIP standard"),
        ("HDUCLAS1", "GTI", "table contains Good Time Intervals"),
        ("HDUCLAS2", "STANDARD", "standard Good Time Interval table"),
        ("ONTIME", good.total, "[s] sum of all Good Time Intervals"),
    ]
    if len(good):
        cards.append(("TSTART", float(good.start[0]), "[s] Lower bound of first GTI"))
        cards.append(("TSTOP", float(good.stop[-1]), "[s] Upper bound of last GTI"))
    cards.append(("TIMEUNIT", "s", "All times in s unless specified otherwise"))
    cards += [(key, keywords.get(key), "") for key in _TIME_KEYS]
    return fitswrite.table(gti.name, columns, cards)


def _region_table(region: TabledRegion, title: str, form: str) -> bytes:
    """Write a region as the SAS does: vectors are as long as the longest, filled up with 0."""
    rows = region.table_rows()
    columns = [TableColumn("SHAPE", np.array([row.shape.encode("ascii") for row in rows], dtype="S16"))]
    for name, values in (("X", [row.x for row in rows]), ("Y", [row.y for row in rows]), ("R", [row.r for row in rows]),
                         ("ROTANG", [row.rotang for row in rows])):  # fmt: skip
        length = max(map(len, values))
        array = np.array([[*value, *[0.0] * (length - len(value))] for value in values], dtype=np.float32)
        if length:
            columns.append(TableColumn(name, array.ravel() if length == 1 else array))
    columns.append(TableColumn("COMPONENT", np.asarray(region.components(), dtype=np.int16)))
    cards: Cards = [("HDUCLASS", "ASC", ""), ("HDUCLAS1", "REGION", ""), ("HDUCLAS2", "STANDARD", ""),
                    ("MTYPE1", "pos", ""), ("MFORM1", form, "")]  # fmt: skip
    return fitswrite.table(title, columns, cards)


def expression(
    events: EventList, selection: Selection, region: TabledRegion | None, table: str = REGION_TABLE.format(1)
) -> str:
    """Write the selection as an expression of the SAS (evselect), which selects the same events.

    Parameters
    ----------
    events
        The open event list.
    selection
        What an event must be.
    region
        Where it must be; None for everywhere.
    table
        The name of the table of that region.

    Returns
    -------
    str
        At most about MAX_EXPRESSION characters: of a longer region only the name of its table is given.
    """
    parts = []
    if events.flag and selection.flag_mask == ALL_FLAG_BITS:
        parts.append(f"{events.flag.name} == 0")
    elif events.flag and selection.flag_mask:
        parts.append(f"({events.flag.name} & {selection.flag_mask:#x}) == 0")
    if events.pattern and selection.patterns is not None:
        parts.append(f"({events.pattern.name} in [{_ranges(selection.patterns)}])")
    if not selection.takes_all_energies:
        low, high = selection.stored_energies(events)
        parts.append(f"({events.energy.name} in [{low:.10g}:{high:.10g}])")
    if events.ccd and selection.ccds is not None:
        parts.append(f"({events.ccd.name} in [{_ranges(selection.ccds)}])")
    if selection.phases is not None:
        parts.append(f"(PHASE in [{selection.phases.text}])")
    if region is not None:
        shapes = " || ".join(_shapes(region, f"({events.mission.x},{events.mission.y})"))
        text = " && ".join([*parts, f"({shapes})"])
        if len(text) <= MAX_EXPRESSION:
            return text
        parts.append(f"region({table})")
    return " && ".join(parts)


def _shapes(region: TabledRegion, position: str) -> Iterator[str]:
    """Yield each component of a region: a shape, less those cut out of it."""
    terms: list[str] = []
    for row in region.table_rows():
        term = f"({position} IN {_function(row)})"
        if row.shape.startswith("!"):
            terms.append(f"!{term}")
            continue
        if terms:
            yield " && ".join(terms)
        terms = [term]
    yield " && ".join(terms)


def _function(row: RegionRow) -> str:
    """Return the function of selectlib that a row of a region table is; its box has half-widths.

    The numbers have all their digits, so that others find the same events.
    """
    name = re.sub(r"\W", "", row.shape).lower()
    sizes = [side / 2 for side in row.r] if name == "box" else row.r
    numbers = [value for pair in zip(row.x, row.y, strict=True) for value in pair] + [*sizes, *row.rotang]
    return f"{name}({','.join(_plain(number) for number in numbers)})"


def _plain(number: float) -> str:
    return repr(float(number)).removesuffix(".0")
