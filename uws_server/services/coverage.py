"""The coverage of the archive and of the products that a caller may see: sky, time and energies.

The sky of exposures is that of the archive's index; that of products follows from their ObsCore rows. What makes MOCs
(mocpy, astropy) is imported when the first one is asked for.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from uws_server.discovery.conditions import Row
from uws_server.discovery.footprints import covered
from uws_server.discovery.sphere import Circle, Outline
from uws_server.errors import BadRequest, NotFound
from uws_server.services import obscore
from uws_server.services.exposures import Exposures, require_format, written_moc
from uws_server.services.rights import Caller

if TYPE_CHECKING:
    from mocpy import MOC, TimeMOC

PARTS: Final = ("all", "archive", "products")
_USED: Final = ("access_url", "s_region", "s_ra", "s_dec", "s_fov", "t_min", "t_max", "em_min", "em_max")
_OF_ARCHIVE: Final = "/archive/file/"
_SKY_ORDER: Final = 12
"""The order of the cells of products, 52 arcsec."""
_TIME_ORDER: Final = 31
"""The order of the cells of times, 0.9 hours."""
_PLANCK_C: Final = 6.62607015e-34 * 299792458.0


class Needs(obscore.Needs, Protocol):
    """The parts of a server that coverage is read from."""

    @property
    def exposures(self) -> Exposures:
        """The footprints of the exposures of the archive."""


@dataclass(frozen=True)
class Extent:
    """What is covered, as VODataService has it: cells of a low order, MJD, and energies in J; None for nothing."""

    spatial: str | None
    temporal: tuple[float, float] | None
    spectral: tuple[float, float] | None


def sky(needs: Needs, caller: Caller, part: str, form: str) -> bytes:
    """Return the MOC of all, of the archive or of products. Raise BadRequest for another word."""
    require_format(form)
    return written_moc(_sky(needs, _require_part(part), _rows(needs, caller, part)), form)


def time(needs: Needs, caller: Caller, part: str, form: str) -> bytes:
    """Return the T-MOC of all, of the archive or of products. Raise BadRequest for another word."""
    require_format(form)
    rows = _rows(needs, caller, _require_part(part))
    return _written_time(_times((row["t_min"], row["t_max"]) for row in rows if _has_both(row, "t_min", "t_max")), form)


def extent(needs: Needs, caller: Caller) -> Extent:
    """Return what all rows cover together, for a registry."""
    rows: list[dict[str, Any]] = [{name: row.get(name) for name in _USED} for row in _rows(needs, caller, "all")]
    moc = _sky(needs, "all", rows)
    spatial = None if moc.empty() else str(moc.degrade_to_order(min(6, moc.max_order)).serialize("str")).strip()
    times = [(float(row["t_min"]), float(row["t_max"])) for row in rows if _has_both(row, "t_min", "t_max")]
    bands = [(float(row["em_min"]), float(row["em_max"])) for row in rows if _has_both(row, "em_min", "em_max")]
    bands = [band for band in bands if band[0] > 0]
    temporal = (min(low for low, _ in times), max(high for _, high in times)) if times else None
    shortest, longest = min((low for low, _ in bands), default=0.0), max((high for _, high in bands), default=0.0)
    return Extent(spatial, temporal, (_PLANCK_C / longest, _PLANCK_C / shortest) if bands else None)


def _require_part(part: str) -> str:
    if part not in PARTS:
        raise BadRequest(f"OF: {part[:40]!r} came; {', '.join(PARTS)} are allowed")
    return part


def _rows(needs: Needs, caller: Caller, part: str) -> Iterator[Row]:
    """Yield the rows of a part."""
    for row in obscore.rows(needs, caller):
        if part == "all" or (part == "archive") == _is_archived(row):
            yield row


def _is_archived(row: Row) -> bool:
    return _OF_ARCHIVE in str(row.get("access_url"))


def _has_both(row: Row, low: str, high: str) -> bool:
    return row.get(low) is not None and row.get(high) is not None


def _sky(needs: Needs, part: str, rows: Iterable[Row]) -> MOC:
    """Return the sky of rows; that of the exposures of the archive as its index has it."""
    from mocpy import MOC

    outlines = dict.fromkeys(shape for row in rows if not _is_archived(row) for shape in covered(row))
    found = MOC.new_empty(_SKY_ORDER)
    if outlines:
        found = found.union(*map(_cells, outlines))
    if part != "products":
        with contextlib.suppress(NotFound):  # there may be no archive
            found = found.union(needs.exposures.sky())
    return found


def _cells(shape: Outline) -> MOC:
    import astropy.units as u
    from astropy.coordinates import Latitude, Longitude
    from mocpy import MOC

    if isinstance(shape, Circle):
        where = {"lon": Longitude(shape.ra * u.deg), "lat": Latitude(shape.dec * u.deg)}
        return MOC.from_cone(**where, radius=max(shape.radius, 1e-4) * u.deg, max_depth=_SKY_ORDER)
    lon, lat = zip(*shape.corners, strict=True)
    return MOC.from_polygon(Longitude(lon * u.deg), Latitude(lat * u.deg), max_depth=_SKY_ORDER)


def _times(spans: Iterable[tuple[float, float]]) -> TimeMOC:
    """Return the cells of time ranges, MJD in TT."""
    from astropy.time import Time, TimeDelta
    from mocpy import TimeMOC

    ranges = sorted({(float(low), float(high)) for low, high in spans if low <= high})
    if not ranges:
        return TimeMOC.new_empty(_TIME_ORDER)
    begins, ends = (Time(list(side), format="mjd", scale="tt") for side in zip(*ranges, strict=True))
    return TimeMOC.from_time_ranges(begins, ends, delta_t=TimeDelta(3000, format="sec", scale="tdb"))


def _written_time(moc: TimeMOC, form: str) -> bytes:
    if form == "json":
        return json.dumps(moc.serialize("json"), separators=(",", ":")).encode()
    if form == "ascii":
        return f"{moc.serialize('str')}\n".encode()
    return written_moc(moc, form)
