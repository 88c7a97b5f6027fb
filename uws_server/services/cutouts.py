"""Cutouts of products, as SODA asks for them: which job makes the cutout of a product, and the job itself.

The cutout of an event list is a job of `events`, that of an image one of `cutout`: each is a job like any other, with
its provenance, and the product is given to it as it is. Imports the conditions, the provenance and the job service.

Times are MJD in TT, as t_min and t_max of the product are.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from provenance.obscore import Value
from uws_server.discovery.conditions import Covers, Interval, Overlaps
from uws_server.discovery.sphere import Circle, Polygon, Range, Shape
from uws_server.errors import BadRequest, Forbidden, NotFound, Unauthorized
from uws_server.jobs.job import Job, ParameterValue, new_id
from uws_server.jobs.rerun_origin import RerunOrigin
from uws_server.services import job_service, obscore, provenance
from uws_server.services.job_service import JobService
from uws_server.services.parameters import Request
from uws_server.services.provenance import ProvenanceReader
from uws_server.storage.files import copy, safe_name

_DEFINITIONS: Final[Mapping[str, tuple[str, str]]] = {"event": ("events", "eventlist"), "image": ("cutout", "image")}
"""What cuts a product of a type: the job definition, and its parameter that the product is."""
DEFINITIONS: Final = tuple(sorted(name for name, _ in _DEFINITIONS.values()))
"""The job definitions that make cutouts."""
_WHOLE: Final = {"pattern": ["all"], "flag": ["none"]}
"""The parameters by which no event is left out for its own sake."""
_STEP_DEG: Final = 0.5
_WIDEST_DEG: Final = 90.0


class Needs(job_service.Needs, obscore.Needs, provenance.Needs, Protocol):
    """The parts of a server by which cutouts are made."""

    def spool(self) -> Path:
        """Return a new empty file."""
        ...


@dataclass(frozen=True)
class Cut:
    """What is to be kept of a product; None where all is."""

    shape: Shape | None = None
    band_m: Interval | None = None
    time_mjd: Interval | None = None


@dataclass(frozen=True)
class CutProduct:
    """A product of which a cutout can be made: its columns, its definition and parameter, and where the file is.

    `source` is its name in the archive; '' for a result, which is at `path`.
    """

    row: Mapping[str, Value]
    definition: str
    parameter: str
    source: str = ""
    path: Path = Path()


class NothingThere(Exception):
    """The product has nothing of what is to be kept."""


class Cutouts:
    """The cutouts that one caller may have made."""

    def __init__(self, needs: Needs, jobs: JobService) -> None:
        self._needs, self._jobs = needs, jobs
        self._provenance = ProvenanceReader(needs, jobs.caller)

    def of_archive(self, source: str) -> CutProduct | None:
        """Return a file of the archive as a product to cut. Return None if no cutout is made of such."""
        return self._of_row(self._jobs.archive_files.known_of(source), source=source)

    def of_result(self, result_id: str, path: Path) -> CutProduct | None:
        """Return a result as a product to cut. Return None if no cutout is made of such."""
        rows = list(obscore.of_results(self._needs, [result_id]))
        return self._of_row(rows[0], path=path) if rows else None

    def named(self, identifier: str) -> CutProduct:
        """Return the product that an identifier names, as DataLink takes it.

        Raise NotFound if there is none, BadRequest if no cutout is made of such.
        """
        base, publisher = self._needs.base_url, self._needs.config.products.publisher
        source = self._jobs.archive_files.source_of(identifier, base, publisher)
        if source is not None:
            self._jobs.archive_files.file(source)  # which tells if it is not there
            found = self.of_archive(source)
        else:
            start = self._provenance.find(self._jobs.open(identifier))
            if not start.key.startswith("result_"):
                raise BadRequest(f"ID: {identifier[:80]!r} is no single product; the id of an event list or image is "
                                 "expected")  # fmt: skip
            result_id = start.key.removeprefix("result_")
            result = self._jobs.result(result_id)
            found = self.of_result(result_id, self._jobs.stored(result_id, result.file_name)[1])
        if found is None:
            raise BadRequest(f"ID: {identifier[:80]!r} is neither an event list nor an image: no cutout is made of it")
        return found

    def make(self, product: CutProduct, cut: Cut, given: Request | None = None, *, is_run: bool = True) -> Job:
        """Make the job of a cutout and run it; not yet if `is_run` is False.

        `given` has the control parameters of the job. Raise NothingThere if it is known before that nothing would be
        left.
        """
        _require_some(product.row, cut)
        begin = self._jobs.create_and_run if is_run else self._jobs.create
        values, given = self._values(product, cut), given or Request({})
        if product.source:
            values[product.parameter] = [product.source]
            return begin(product.definition, replace(given, values=values))
        name = safe_name(product.path.name)
        token, place, spooled = new_id(), f"inputs/{product.parameter}-{name}", self._needs.spool()
        try:
            copy(product.path, spooled)
            files = {token: ParameterValue(name, place, "upload")}
            origin = RerunOrigin(files=files, placed={place: spooled})
            values[product.parameter] = [token]
            return begin(product.definition, replace(given, values=values, origin=origin))
        finally:
            spooled.unlink(missing_ok=True)

    def _of_row(self, row: Mapping[str, Value], source: str = "", path: Path = Path()) -> CutProduct | None:
        name, parameter = _DEFINITIONS.get(str(row.get("dataproduct_type")), ("", ""))
        with contextlib.suppress(NotFound, Forbidden, Unauthorized):
            if name and (source or path.name):
                self._jobs.definitions.require_run(self._jobs.definitions.get(name).definition)
                return CutProduct(row, name, parameter, source, path)
        return None

    def _values(self, product: CutProduct, cut: Cut) -> dict[str, list[str]]:
        """Return the values of the job, without its file. Raise BadRequest for what cannot be cut so."""
        values = {"region": [region_text(cut.shape)]} if cut.shape is not None else {}
        if product.definition != "events":
            if cut.shape is None:
                raise BadRequest("CIRCLE, POLYGON or POS is needed: of an image a part of the sky can be cut")
            return values
        if cut.band_m is not None and (band := _clipped(cut.band_m, product.row, "em_min", "em_max")) is not None:
            values["energy"] = [f"{band.low!r} {band.high!r} m"]
        if cut.time_mjd is not None and (times := _clipped(cut.time_mjd, product.row, "t_min", "t_max")) is not None:
            values["time"] = [_utc_text(times)]
        return values | _WHOLE


def region_text(shape: Shape) -> str:
    """Return a shape as a region that jobs take. Raise BadRequest for a range that is too wide for a polygon."""
    if isinstance(shape, Circle):
        return f"Circle ICRS {shape.ra!r} {shape.dec!r} {shape.radius!r}"
    corners = shape.corners if isinstance(shape, Polygon) else _outline(shape)
    return "Polygon ICRS " + " ".join(f"{ra!r} {dec!r}" for ra, dec in corners)


def _outline(wanted: Range) -> tuple[tuple[float, float], ...]:
    """Return the corners of a polygon whose edges follow the parallels of a range."""
    if wanted.width > _WIDEST_DEG or wanted.north - wanted.south > _WIDEST_DEG:
        raise BadRequest(f"POS: a RANGE of more than {_WIDEST_DEG:g} degrees came; a smaller one can be cut")
    steps = max(1, math.ceil(wanted.width / _STEP_DEG))
    east = [wanted.west + wanted.width * step / steps for step in range(steps + 1)]
    south, north = ([(ra % 360, dec) for ra in east] for dec in (wanted.south, wanted.north))
    return (*south, *reversed(north))


def _require_some(row: Mapping[str, Value], cut: Cut) -> None:
    """Raise NothingThere where the columns of a product say that nothing of it is to be kept."""
    has_place = row.get("s_region") or row.get("s_ra") is not None
    if cut.shape is not None and has_place and not Covers((cut.shape,)).holds(row):
        raise NothingThere
    for wanted, low, high in ((cut.band_m, "em_min", "em_max"), (cut.time_mjd, "t_min", "t_max")):
        if wanted is not None and row.get(low) is not None and not Overlaps(low, high, (wanted,)).holds(row):
            raise NothingThere


def _clipped(wanted: Interval, row: Mapping[str, Value], low: str, high: str) -> Interval | None:
    """Return the part of an interval that a product has. Return None if that is all of the product.

    Raise BadRequest for an interval without an end where the product has none either.
    """
    begin, end = row.get(low), row.get(high)
    least = wanted.low if begin is None else max(wanted.low, float(begin))
    most = wanted.high if end is None else min(wanted.high, float(end))
    if begin is not None and end is not None and wanted.low <= float(begin) and wanted.high >= float(end):
        return None
    if not (math.isfinite(least) and math.isfinite(most)):
        raise BadRequest(f"an interval without an end came, and {low} and {high} of the product are not known")
    return Interval(least, most)


def _utc_text(times: Interval) -> str:
    """Return a range of MJD in TT as UTC, in the words of the job."""
    from astropy.time import Time  # here: a server at rest does without

    begin, end = (Time(each, format="mjd", scale="tt").utc.isot for each in (times.low, times.high))
    return f"{begin}/{end}"
