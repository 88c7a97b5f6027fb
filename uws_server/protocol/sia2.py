"""SIA 2.0 at /sia2: the images and cubes of archive and jobs, by GET or POST, as ObsCore rows with their links.

A DALI resource. Each parameter may come several times: one of its values must fit; different ones must all fit. Data of
other types (event lists, spectra) are found where DPTYPE names them. Imports the conditions and the services.

Source: IVOA Recommendation Simple Image Access 2.0 (2015-12-23).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from bottle import Bottle, HTTPResponse, request

from provenance.obscore import ENUMERATIONS
from uws_server.discovery import reading
from uws_server.discovery.conditions import Condition, Covers, HasState, Interval, OneOf, Overlaps, Within
from uws_server.errors import BadRequest
from uws_server.incoming.callers import job_service_of
from uws_server.protocol import dali
from uws_server.protocol.obscore_formats import answer, format_of
from uws_server.services import product_search
from uws_server.services.context import Services

_TYPES: Final = ("image", "cube")
"""What is found where DPTYPE does not come."""
_STATES: Final = ("I", "Q", "U", "V", "RR", "LL", "RL", "LR", "XX", "YY", "XY", "YX", "POLI", "POLA")
_TEXTS: Final[Mapping[str, str]] = {
    "ID": "obs_publisher_did",
    "COLLECTION": "obs_collection",
    "FACILITY": "facility_name",
    "INSTRUMENT": "instrument_name",
    "TARGET": "target_name",
    "FORMAT": "access_format",
}
"""Parameters that are the text of a column."""
_NUMBERS: Final[Mapping[str, tuple[str, str]]] = {
    "FOV": ("s_fov", "degrees"),
    "SPATRES": ("s_resolution", "arcsec"),
    "SPECRP": ("em_res_power", "wavelength over its resolution"),
    "EXPTIME": ("t_exptime", "seconds"),
    "TIMERES": ("t_resolution", "seconds"),
}
"""Parameters that are an interval in which the number of a column must lie, and its unit."""
_SPANS: Final[Mapping[str, tuple[str, str, str]]] = {
    "BAND": ("em_min", "em_max", "wavelengths in m, such as 1e-10 6e-9,"),
    "TIME": ("t_min", "t_max", "MJD, such as 52000 52010,"),
}
"""Parameters that are an interval which overlaps that of two columns."""
_KNOWN: Final = ("POS", *_SPANS, "POL", *_NUMBERS, *_TEXTS, "DPTYPE", "CALIB")


class SIA2:
    """The search over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def routes(self, app: Bottle) -> None:
        """Add the resource to the application."""
        app.route("/sia2", ["GET", "POST"], dali.answering(self.query))

    def query(self) -> HTTPResponse:
        """GET or POST: the products that fulfil all parameters."""
        job_service = job_service_of(self.services, request.environ)
        job_service.require_entry()
        given = dali.parameters(request, self.services.spool, self.services.config)
        dali.require_known(given, _KNOWN)
        asked = dali.by_name(given)
        form = format_of(dali.last(asked, dali.RESPONSEFORMAT))
        most = dali.most_rows(dali.last(asked, "MAXREC"))
        rows = product_search.found(self.services, job_service.caller, conditions(asked))
        return answer(rows, most, form, self.services.base_url, "sia2")


def conditions(asked: Mapping[str, Sequence[str]]) -> list[Condition]:
    """Return what parameters, by their names in capitals, ask of a row. Raise BadRequest for a value that is none."""
    found: list[Condition] = [
        OneOf("dataproduct_type", frozenset(_words("DPTYPE", asked, ENUMERATIONS["dataproduct_type"]) or _TYPES))
    ]
    for name, column in _TEXTS.items():
        if name in asked:
            found.append(OneOf(column, frozenset(text.lower() for text in asked[name])))
    for name, (column, unit) in _NUMBERS.items():
        if name in asked:
            found.append(Within(column, _intervals(name, asked, f"an interval in {unit}, such as 0.1 10,")))
    for name, (low, high, allowed) in _SPANS.items():
        if name in asked:
            found.append(Overlaps(low, high, _intervals(name, asked, f"an interval of {allowed}")))
    if "CALIB" in asked:
        found.append(Within("calib_level", dali.each("CALIB", asked, lambda text: reading.whole(text, 0, 4))))
    if states := _words("POL", asked, _STATES):
        found.append(HasState("pol_states", frozenset(state.upper() for state in states)))
    if "POS" in asked:  # the dearest one comes last
        found.append(Covers(dali.each("POS", asked, reading.place)))
    return found


def _intervals(name: str, asked: Mapping[str, Sequence[str]], allowed: str) -> tuple[Interval, ...]:
    return dali.each(name, asked, lambda text: _some(reading.interval(text, allowed)))


def _some(interval: Interval) -> Interval:
    if interval.low == math.inf or interval.high == -math.inf:
        raise ValueError("an interval that begins at +Inf, or ends at -Inf, has nothing in it")
    return interval


def _words(name: str, asked: Mapping[str, Sequence[str]], known: Sequence[str]) -> list[str]:
    """Return the values of a parameter, in lower case. Raise BadRequest for one that is none of those known."""
    lower = {word.lower() for word in known}
    for text in asked.get(name, ()):
        if text.lower() not in lower:
            raise BadRequest(f"{name}: {text[:40]!r} came; {', '.join(known)} are allowed")
    return [text.lower() for text in asked.get(name, ())]
