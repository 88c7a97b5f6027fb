"""What the form of the search page asks for: as it stands in the address, as conditions, and as a query of SIA2."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final

from bottle import FormsDict

from provenance.obscore import wavelength_m
from uws_server.discovery import reading
from uws_server.discovery.conditions import Condition, Covers, Interval, OneOf, Overlaps
from uws_server.discovery.sphere import Circle
from uws_server.errors import BadRequest
from uws_server.services.sky_places import SkyPlace

KINDS: Final = ("event", "image", "spectrum", "timeseries", "cube", "sed", "measurements")
"""The kinds of products that can be chosen."""
_TEXTS: Final = {"instrument": ("instrument_name", "INSTRUMENT"), "target": ("target_name", "TARGET"),
                 "collection": ("obs_collection", "COLLECTION")}  # fmt: skip
_USUAL_RADIUS: Final = "10"


@dataclass(frozen=True)
class SearchForm:
    """The fields as they were typed: radius in arcmin, dates in UTC, energies in keV."""

    place: str = ""
    radius: str = ""
    kind: str = ""
    instrument: str = ""
    target: str = ""
    collection: str = ""
    begin: str = ""
    end: str = ""
    low: str = ""
    high: str = ""

    @classmethod
    def of(cls, query: FormsDict) -> SearchForm:
        """Return the form that an address has."""
        return cls(**{each.name: query.getunicode(each.name, "").strip()[:1000] for each in fields(cls)})

    @property
    def radius_arcmin(self) -> str:
        """The radius, the usual one where none is given."""
        return self.radius or _USUAL_RADIUS

    def wanted(self, find: Callable[[str], SkyPlace]) -> Wanted:
        """Return what is wanted of a product; `find` looks a place up. Raise BadRequest for a field that is none."""
        conditions: list[Condition] = []
        sia: list[tuple[str, str]] = []
        if self.kind and self.kind not in KINDS:
            raise BadRequest(f"kind: {self.kind[:40]!r} came; {', '.join(KINDS)} are allowed")
        if self.kind:
            conditions.append(OneOf("dataproduct_type", frozenset({self.kind})))
        sia += [("DPTYPE", kind) for kind in ([self.kind] if self.kind else KINDS)]
        for name, (column, parameter) in _TEXTS.items():
            if text := getattr(self, name):
                conditions.append(OneOf(column, frozenset({text.lower()})))
                sia.append((parameter, text))
        for name, column, interval in (("TIME", "t", self._dates()), ("BAND", "em", self._wavelengths())):
            if interval is not None:
                conditions.append(Overlaps(f"{column}_min", f"{column}_max", (interval,)))
                sia.append((name, " ".join(_open(bound) for bound in (interval.low, interval.high))))
        if self.place:  # last: it takes longest
            radius = _number("radius", self.radius_arcmin, 0, 5400, "arcmin") / 60
            place = find(self.place)
            circle = Circle(place.ra_deg, place.dec_deg, radius)
            conditions.append(Covers((circle,)))
            sia.append(("POS", f"CIRCLE {circle.ra!r} {circle.dec!r} {radius!r}"))
            return Wanted(tuple(conditions), tuple(sia), circle)
        return Wanted(tuple(conditions), tuple(sia))

    def _dates(self) -> Interval | None:
        if not (self.begin or self.end):
            return None
        try:
            return reading.dates(f"{self.begin}/{self.end}")
        except ValueError as error:
            raise BadRequest(f"date: {error}") from error

    def _wavelengths(self) -> Interval | None:
        """Return the band in metres: the highest energy has the shortest wavelength."""
        if not (self.low or self.high):
            return None
        low, high = (_number("energy", text, 1e-6, 1e9, "keV") if text else None for text in (self.low, self.high))
        if low is not None and high is not None and low > high:
            raise BadRequest(f"energy: {self.low[:20]!r} and {self.high[:20]!r} came; the lower one comes first")
        return Interval(
            0.0 if high is None else wavelength_m(high), math.inf if low is None else wavelength_m(low)
        )  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What is wanted: conditions, the same as parameters of SIA2, and the place, None for any."""

    conditions: tuple[Condition, ...]
    sia: tuple[tuple[str, str], ...]
    place: Circle | None = None


def _number(name: str, text: str, low: float, high: float, unit: str) -> float:
    try:
        return reading.number(text, low, high, unit)
    except ValueError as error:
        raise BadRequest(f"{name}: {error}") from error


def _open(bound: float) -> str:
    """Return a bound as DALI writes it."""
    return repr(bound) if math.isfinite(bound) else ("+Inf" if bound > 0 else "-Inf")
