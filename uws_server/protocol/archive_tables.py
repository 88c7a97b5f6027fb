"""The tables of the archive, exposures, observations and products, in the formats of DALI; written in pieces."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from provenance.obscore import plaintable, table
from provenance.obscore.columns import Column
from provenance.obscore.table import About
from uws_server.protocol import dali
from uws_server.services.archive_files import ArchiveProduct, archive_address
from uws_server.services.archive_search import ExposureFound, ObservationFound
from uws_server.services.exposures import ExposureSeen
from uws_server.storage.archive_rows import ArchiveRow

_BATCH: Final = 100
_TYPES: Final = {"text": ("str", "VARCHAR"), "number": ("float", "DOUBLE"), "count": ("int", "BIGINT")}


def _column(name: str, kind: str, unit: str, ucd: str, description: str) -> Column:
    python, adql = _TYPES[kind]
    return Column("", name, True, python, adql, unit or None, ucd, "", description)


_OF_OBSERVATION: Final = (
    _column("obs_id", "text", "", "meta.id;obs", "identifier of the observation"),
    _column("target", "text", "", "meta.id;src", "object of the observation"),
    _column("observer", "text", "", "meta.id;obs.observer", "who proposed the observation"),
    _column("ra", "number", "deg", "pos.eq.ra;instr.fov", "right ascension of the pointing"),
    _column("dec", "number", "deg", "pos.eq.dec;instr.fov", "declination of the pointing"),
    _column("t_min", "number", "d", "time.start;obs.exposure", "begin, MJD"),
    _column("t_max", "number", "d", "time.end;obs.exposure", "end, MJD"),
    _column("exposure_s", "number", "s", "time.duration;obs.exposure", "live time"),
)
_CAMERA: Final = _column("instrument", "text", "", "meta.id;instr", "camera")
_EXPOSURE_ID: Final = _column("exposure", "text", "", "meta.id", "identifier of the exposure")
_COLLECTION: Final = _column("collection", "text", "", "meta.id", "archive or mission")
_SOURCE: Final = _column("source", "text", "", "meta.id;meta.main",
                         "name in the archive: a path, or // and what tells an exposure apart")  # fmt: skip
_HERE: Final = _column(
    "here", "count", "", "meta.code", "1 if the event list is in the archive, 0 if a table tells of it"
)

_OF_REGION: Final = (
    _column("fraction", "number", "", "obs.field;arith.ratio", "part of the region that the exposure sees"),
    _column("field_fraction", "number", "", "instr.fov;arith.ratio", "part of the field of the exposure that this is"),
    _column("off_axis", "number", "arcmin", "pos.angDistance", "from the pointing to the middle of the region"),
)
EXPOSURES: Final = (
    _OF_OBSERVATION[0], _CAMERA, _EXPOSURE_ID, *_OF_OBSERVATION[1:],
    _column("filter", "text", "", "meta.id;instr.filter", "optical filter"),
    _column("mode", "text", "", "meta.code;instr.setup", "submode of the camera"),
    *_OF_REGION,
    _column("eventlist", "text", "", "meta.id;meta.file", "what a job names as its event list; empty if not here"),
    _SOURCE, _HERE, _COLLECTION,
)  # fmt: skip
OBSERVATIONS: Final = (
    *_OF_OBSERVATION,
    _column("instruments", "text", "", "meta.id;instr", "cameras, with blanks between"),
    _column("exposures", "count", "", "meta.number;obs.exposure", "number of exposures"),
    _column("here", "count", "", "meta.number;meta.file", "number of exposures whose event list is in the archive"),
    _COLLECTION,
)
PRODUCTS: Final = (
    _OF_OBSERVATION[0], _CAMERA, _EXPOSURE_ID, _OF_OBSERVATION[1], *_OF_OBSERVATION[3:],
    _column("dataproduct_type", "text", "", "meta.code.class", "type of product, in the words of ObsCore"),
    _column("product", "text", "", "meta.title", "what the product is, as its name tells"),
    _column("subset", "text", "", "meta.code", "energy band, order or filter, as its name tells"),
    _column("size", "count", "byte", "phys.size;meta.file", "size of the file"),
    _column("access_url", "text", "", "meta.ref.url", "address of the file"),
    _SOURCE, _COLLECTION,
    _column("note", "text", "", "meta.note", "what is missing in the file, or wrong with it"),
)  # fmt: skip


@dataclass(frozen=True)
class ArchiveTable:
    """Rows of one of the tables; `is_cut` says that there are more."""

    about: About
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    is_cut: bool


FORMATS: Final[Mapping[str, str]] = {
    **dict.fromkeys(dali.VOTABLE_WORDS, "votable"),
    **dict.fromkeys(("json", "application/json"), "json"),
    **dict.fromkeys(("csv", "text/csv"), "csv"),
    **dict.fromkeys(("fits", "application/fits"), "fits"),
}
ALLOWED: Final = "votable, json, csv and fits are allowed"
MIME: Final = {"votable": dali.VOTABLE, "json": "application/json", "fits": "application/fits",
               "csv": "text/csv; charset=UTF-8; header=present"}  # fmt: skip


def written(answer: ArchiveTable, form: str) -> Iterator[bytes]:
    """Yield a table in one of FORMATS, piece by piece: a long one lets others have their answers meanwhile."""
    if form == "json":
        return _json(answer)
    if form == "csv":
        return plaintable.delimited(answer.rows, None, ",", answer.columns)
    if form == "fits":
        return plaintable.fits_table(answer.rows, None, answer.columns, answer.about)
    most = len(answer.rows) if answer.is_cut else None
    rows = [*answer.rows, {}] if answer.is_cut else answer.rows  # one more than is written: that tells OVERFLOW
    return table.votable(rows, most, answer.columns, about=answer.about)


def _json(answer: ArchiveTable) -> Iterator[bytes]:
    names = [column.name for column in answer.columns]
    begin = f'{{"{answer.about.name}":['
    rows = iter(answer.rows)
    while batch := list(islice(rows, _BATCH)):
        yield begin.encode() + json.dumps([{name: row[name] for name in names} for row in batch],
                                          separators=(",", ":"), allow_nan=False).encode()[1:-1]  # fmt: skip
        begin = ","
    ending = f'],"overflow":{"true" if answer.is_cut else "false"}}}'
    yield (ending if answer.rows else begin + ending).encode()


def exposures(found: Sequence[ExposureFound], is_cut: bool) -> ArchiveTable:
    """Return the table of exposures."""
    about = About("exposures", "Exposures of the archive")
    return ArchiveTable(about, EXPOSURES, [_exposure(one) for one in found], is_cut)


def exposures_json(found: Sequence[ExposureSeen]) -> bytes:
    """Return the table of exposures that is not cut as JSON, as `written` does; what stays of each is kept with it."""
    lines = []
    for row, fraction, field_fraction, off_axis in found:
        begin, end = row.written or _pieces(row)
        angle = "null" if off_axis is None else float.__repr__(off_axis)
        lines.append(f'{begin}"fraction":{fraction!r},"field_fraction":{field_fraction!r},"off_axis":{angle},{end}')
    return f'{{"exposures":[{",".join(lines)}],"overflow":false}}'.encode()


def _pieces(row: ArchiveRow) -> tuple[str, str]:
    """Return the JSON of an exposure before and after what depends on the region, and keep it with the row."""
    exposure = _exposure(ExposureFound(row))
    names = [column.name for column in EXPOSURES]
    first = names.index("fraction")
    begin, end = (
        json.dumps({name: exposure[name] for name in some}, separators=(",", ":"), allow_nan=False)
        for some in (names[:first], names[first + len(_OF_REGION) :])
    )
    row.written = f"{begin[:-1]},", end[1:]
    return row.written


def _exposure(one: ExposureFound) -> Mapping[str, Any]:
    row = one.row
    here = row["kind"] == "events"
    return {**row, "fraction": one.fraction, "field_fraction": one.field_fraction, "off_axis": one.off_axis_arcmin,
            "eventlist": row["source"] if here else "", "here": int(here)}  # fmt: skip


def observations(found: Sequence[ObservationFound], is_cut: bool) -> ArchiveTable:
    """Return the table of observations."""
    about = About("observations", "Observations of the archive")
    return ArchiveTable(about, OBSERVATIONS, [_observation(one) for one in found], is_cut)


def _observation(one: ObservationFound) -> Mapping[str, Any]:
    first = one.exposures[0]
    return {
        "obs_id": one.id,
        "target": " / ".join(one.each("target")),
        "observer": " / ".join(one.each("observer")),
        "ra": first["ra"],
        "dec": first["dec"],
        "t_min": one.least("t_min"),
        "t_max": one.most("t_max"),
        "exposure_s": one.most("exposure_s"),
        "instruments": " ".join(one.cameras),
        "exposures": len(one.exposures),
        "here": sum(row["kind"] == "events" for row in one.exposures),
        "collection": first["collection"],
    }


def products(found: Sequence[ArchiveProduct], is_cut: bool, base_url: str) -> ArchiveTable:
    """Return the table of products."""
    about = About("products", "Products of the archive that are no event lists")
    return ArchiveTable(about, PRODUCTS, [_product(one, base_url) for one in found], is_cut)


def _product(one: ArchiveProduct, base_url: str) -> Mapping[str, Any]:
    return {
        **one.row,
        "dataproduct_type": one.dataproduct_type,
        "product": one.words,
        "subset": one.subset,
        "access_url": archive_address(base_url, one.row["source"]),
    }
