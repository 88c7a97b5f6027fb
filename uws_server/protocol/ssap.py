"""Simple Spectral Access at /ssap: the spectra of archive and jobs, by GET or POST.

REQUEST=queryData with POS, SIZE (the diameter, degrees), BAND, TIME, FORMAT and some further parameters; what the
standard knows beside them is passed over, as it asks. FORMAT=METADATA describes the service. Imports the services.

Source: IVOA Recommendation Simple Spectral Access Protocol 1.1 (2012-02-10).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bottle import Bottle, HTTPResponse, request

from provenance.obscore import Column, table
from provenance.obscore.table import About
from uws_server.discovery import reading
from uws_server.discovery.conditions import Condition, Covers, OneOf, Overlaps
from uws_server.errors import BadRequest
from uws_server.incoming.callers import job_service_of
from uws_server.jobs.formats import etree
from uws_server.jobs.formats.votablexml import VOTABLE as NAMESPACE
from uws_server.protocol import dali
from uws_server.protocol.obscore_formats import logged
from uws_server.protocol.scs import MIME
from uws_server.services import obscore, product_search
from uws_server.services.context import Services

_TYPES: Final = frozenset({"spectrum", "sed"})
_USUAL_SIZE: Final = 0.2
"""The diameter of a search around POS that names none, degrees: some of the field of an X-ray telescope."""
_INFOS: Final = (("SERVICE_PROTOCOL", "1.1", "SSAP"),)
_ABOUT: Final = About("ssap", "Spectra of the archive and of jobs", _INFOS)
_MODEL: Final = "OGIP"
_FITS: Final = frozenset({"application/fits", "image/fits", "fits"})
_TEXTS: Final[Mapping[str, str]] = {
    "TARGETNAME": "target_name",
    "COLLECTION": "obs_collection",
    "PUBDID": "obs_publisher_did",
    "CREATORDID": "obs_creator_did",
}
_SPANS: Final = (("BAND", "em_min", "em_max", reading.band), ("TIME", "t_min", "t_max", reading.dates))
_INPUTS: Final = (
    ("POS", "char", "", "Right ascension and declination, ICRS, degrees, with a comma between"),
    ("SIZE", "double", "deg", f"Diameter of the search around POS; {_USUAL_SIZE} if it does not come"),
    ("BAND", "char", "", "Wavelengths in m, low/high, or the name of a waveband such as X-ray"),
    ("TIME", "char", "", "Dates of the observation, ISO 8601, from/to"),
    ("FORMAT", "char", "", "all, compliant, native, fits or a media type; METADATA describes the service"),
    ("TARGETNAME", "char", "", "Object that was observed"),
    ("COLLECTION", "char", "", "Archive or mission"),
    ("PUBDID", "char", "", "Identifier that the publisher gives to the spectrum"),
    ("MAXREC", "int", "", "The most rows of the answer"),
)


def _column(name: str, adql: str, unit: str, ucd: str, utype: str, description: str) -> Column:
    kind = "str" if adql in ("VARCHAR", "DOUBLE(2)") else "float"
    return Column("", name, True, kind, adql, unit or None, ucd, f"ssa:{utype}", description)


COLUMNS: Final = (
    _column("acref", "VARCHAR", "", "meta.ref.url", "Access.Reference", "Address of the spectrum"),
    _column("mime", "VARCHAR", "", "meta.code.mime", "Access.Format", "Media type of the spectrum"),
    _column("access_estsize", "BIGINT", "kbyte", "phys.size;meta.file", "Access.Size", "Size of the file, about"),
    _column("data_model", "VARCHAR", "", "", "Dataset.DataModel", "Data model that the spectrum can be read by"),
    _column("dataset_type", "VARCHAR", "", "", "Dataset.Type", "Type of the data"),
    _column("length", "BIGINT", "", "meta.number", "Dataset.Length", "Number of channels"),
    _column("obs_title", "VARCHAR", "", "meta.title;meta.dataset", "DataID.Title", "One line about the spectrum"),
    _column("obs_creator_name", "VARCHAR", "", "meta.curation", "DataID.Creator", "Who or what made it"),
    _column("obs_collection", "VARCHAR", "", "meta.id;obs", "DataID.Collection", "Archive or mission"),
    _column("obs_creation_date", "TIMESTAMP", "", "time;meta.dataset", "DataID.Date", "When the file was made"),
    _column("instrument_name", "VARCHAR", "", "meta.id;instr", "DataID.Instrument", "Instrument"),
    _column("publisher_id", "VARCHAR", "", "meta.curation", "Curation.Publisher", "Identifier of the publisher"),
    _column("obs_publisher_did", "VARCHAR", "", "meta.ref.url;meta.curation", "Curation.PublisherDID",
            "Identifier that the publisher gives to the spectrum"),
    _column("target_name", "VARCHAR", "", "meta.id;src", "Target.Name", "Object that was observed"),
    _column("target_pos", "DOUBLE(2)", "deg", "pos.eq;src", "Target.Pos", "Where it was looked for, ICRS"),
    _column("location", "DOUBLE(2)", "deg", "pos.eq", "Char.SpatialAxis.Coverage.Location.Value", "Position, ICRS"),
    _column("s_fov", "DOUBLE", "deg", "instr.fov", "Char.SpatialAxis.Coverage.Bounds.Extent", "Aperture"),
    _column("em_mid", "DOUBLE", "m", "em.wl;instr.bandpass", "Char.SpectralAxis.Coverage.Location.Value",
            "Middle of the band"),
    _column("em_width", "DOUBLE", "m", "em.wl;instr.bandwidth", "Char.SpectralAxis.Coverage.Bounds.Extent",
            "Width of the band"),
    _column("em_min", "DOUBLE", "m", "em.wl;stat.min", "Char.SpectralAxis.Coverage.Bounds.Start",
            "Shortest wavelength"),
    _column("em_max", "DOUBLE", "m", "em.wl;stat.max", "Char.SpectralAxis.Coverage.Bounds.Stop",
            "Longest wavelength"),
    _column("t_mid", "DOUBLE", "d", "time.epoch", "Char.TimeAxis.Coverage.Location.Value", "Middle, MJD"),
    _column("t_exptime", "DOUBLE", "s", "time.duration;obs.exposure", "Char.TimeAxis.Coverage.Bounds.Extent",
            "Exposure time"),
    _column("t_min", "DOUBLE", "d", "time.start;obs.exposure", "Char.TimeAxis.Coverage.Bounds.Start", "Begin, MJD"),
    _column("t_max", "DOUBLE", "d", "time.stop;obs.exposure", "Char.TimeAxis.Coverage.Bounds.Stop", "End, MJD"),
)  # fmt: skip


class SSAP:
    """The search over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def routes(self, app: Bottle) -> None:
        """Add the resource to the application."""
        app.route("/ssap", ["GET", "POST"], self.query)

    def query(self) -> HTTPResponse:
        """GET or POST: the spectra that fulfil all parameters."""
        job_service = job_service_of(self.services, request.environ)
        job_service.require_entry()
        try:
            asked = dali.by_name(dali.parameters(request, self.services.spool, self.services.config))
            wanted, most = _conditions(asked), dali.most_rows(dali.last(asked, "MAXREC"))
        except BadRequest as error:
            return HTTPResponse(dali.error_document(str(error)), 400, {"Content-Type": MIME})
        headers = {"Content-Type": MIME, "Vary": "Authorization"}
        if (dali.last(asked, "FORMAT") or "").upper() == "METADATA":
            return HTTPResponse(_metadata(), 200, headers)
        rows: Iterator[obscore.Row] = iter(())
        if wanted is not None:
            found = product_search.found(self.services, job_service.caller, wanted)
            rows = (_row(row) for row in found)
        links = f"{self.services.base_url}/datalink"
        return HTTPResponse(logged(table.votable(rows, most, COLUMNS, links, _ABOUT)), 200, headers)


def _conditions(asked: Mapping[str, Sequence[str]]) -> list[Condition] | None:
    """Return what a request asks of a row; None where no row can be asked for. Raise BadRequest."""
    if (dali.last(asked, "REQUEST") or "").lower() != "querydata":
        raise BadRequest(f"REQUEST: {(dali.last(asked, 'REQUEST') or 'nothing')[:40]!r} came; queryData is allowed")
    found: list[Condition] = [OneOf("dataproduct_type", _TYPES)]
    for name, column in _TEXTS.items():
        if name in asked:
            found.append(OneOf(column, frozenset(text.lower() for value in asked[name] for text in value.split(","))))
    for name, low, high, read in (
        ("BAND", "em_min", "em_max", reading.band),
        ("TIME", "t_min", "t_max", reading.dates),
    ):
        if name in asked:
            values = [part for text in asked[name] for part in text.split(",")]
            found.append(Overlaps(low, high, dali.each(name, {name: values}, read)))
    if "POS" in asked:
        ((ra, dec),) = dali.each("POS", {"POS": asked["POS"][-1:]}, reading.position)
        texts = asked.get("SIZE", [str(_USUAL_SIZE)])[-1:]
        (size,) = dali.each("SIZE", {"SIZE": texts}, lambda text: reading.number(text, 0, 360, "degrees"))
        found.append(Covers((reading.circle(ra, dec, size / 2),)))
    return found if _has_format(asked) else None


def _has_format(asked: Mapping[str, Sequence[str]]) -> bool:
    """Check whether spectra come in one of the formats asked for: all of ours are FITS that follow OGIP."""
    words = {word.strip().lower() for text in asked.get("FORMAT", ["all"]) for word in text.split(",")}
    return bool(words & (_FITS | {"all", "native", "metadata"}))


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a spectrum in the words of SSA."""
    ra, dec = row.get("s_ra"), row.get("s_dec")
    where = None if ra is None or dec is None else f"{ra!r} {dec!r}"
    low, high, begin, end = (row.get(name) for name in ("em_min", "em_max", "t_min", "t_max"))
    band = {} if low is None or high is None else {"em_mid": (low + high) / 2, "em_width": high - low}
    return {
        **row, **band,
        "acref": row.get("access_url"),
        "mime": row.get("access_format") or "application/fits",
        "data_model": _MODEL,
        "dataset_type": "Spectrum" if row.get("dataproduct_type") == "spectrum" else "SED",
        "length": row.get("em_xel"),
        "target_pos": where,
        "location": where,
        "t_mid": None if begin is None or end is None else (begin + end) / 2,
    }  # fmt: skip


def _metadata() -> bytes:
    """Return the document of FORMAT=METADATA: the parameters of the service, and the columns of its answer."""
    root = etree.fromstring(b"".join(table.votable((), None, COLUMNS, about=_ABOUT)))
    (holder,) = root.iter(f"{{{NAMESPACE}}}TABLE")
    for data in list(holder.iterchildren(f"{{{NAMESPACE}}}DATA")):
        holder.remove(data)
    for name, kind, unit, description in _INPUTS:
        about = {"name": f"INPUT:{name}", "datatype": kind, "value": ""}
        about |= {"unit": unit} if unit else {}
        about |= {"arraysize": "*"} if kind == "char" else {}
        param = etree.Element(f"{{{NAMESPACE}}}PARAM", about)
        etree.SubElement(param, f"{{{NAMESPACE}}}DESCRIPTION").text = description
        holder.addprevious(param)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
