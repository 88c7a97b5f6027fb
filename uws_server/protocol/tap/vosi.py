"""What VOSI asks of TAP: its tables (VODataService 1.1), capabilities (TAPRegExt 1.0) and availability. Imports TAP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from bottle import Bottle, HTTPResponse, request

from provenance.text.xmltext import writable
from uws_server.errors import NotFound
from uws_server.incoming.callers import BASIC, BEARER, job_service_of
from uws_server.protocol.vosi import VOSI
from uws_server.services.context import Services
from uws_server.services.query_service import QueryService
from uws_server.tap.formats.choice import FORMATS
from uws_server.tap.jobs.definition import DEFINITION
from uws_server.tap.query.request import HARD_MAXREC, MAXREC
from uws_server.tap.schema import builtin
from uws_server.tap.schema.model import Schema, SchemaColumn, SchemaTable
from uws_server.tap.upload.request import MOST_BYTES
from uws_server.version import VERSION

_XML: Final = {"Content-Type": "text/xml; charset=UTF-8"}
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_TABLES: Final = "http://www.ivoa.net/xml/VOSITables/v1.0"
_DATA_SERVICE: Final = "http://www.ivoa.net/xml/VODataService/v1.1"
_CAPABILITIES: Final = "http://www.ivoa.net/xml/VOSICapabilities/v1.0"
_RESOURCE: Final = "http://www.ivoa.net/xml/VOResource/v1.0"
_TAP: Final = "http://www.ivoa.net/xml/TAPRegExt/v1.0"
_STANDARD: Final = "ivo://ivoa.net/std/TAP"
_OBSCORE: Final = "ivo://ivoa.net/std/ObsCore#core-1.1"
_FEATURES: Final = {
    "features-adqlgeo": ("POINT", "CIRCLE", "BOX", "POLYGON", "CONTAINS", "INTERSECTS", "DISTANCE", "AREA", "CENTROID",
                         "COORD1", "COORD2", "COORDSYS"),
    "features-adql-string": ("LOWER", "UPPER", "ILIKE"),
    "features-adql-sets": ("UNION", "EXCEPT", "INTERSECT"),
    "features-adql-common-table": ("WITH",),
    "features-adql-type": ("CAST",),
    "features-adql-unit": ("IN_UNIT",),
    "features-adql-offset": ("OFFSET",),
}  # fmt: skip
_UPLOADS: Final = ("upload-inline", "upload-http", "upload-https")


class TapVOSI:
    """The support interfaces of TAP over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._vosi = VOSI(services)

    def routes(self, app: Bottle) -> None:
        """Add the resources to the application."""
        app.route("/tap/tables", "GET", self.tables)
        app.route("/tap/tables/<name>", "GET", self.table)
        app.route("/tap/capabilities", "GET", self.capabilities)
        app.route("/tap/availability", "GET", self._vosi.availability)

    def tables(self) -> HTTPResponse:
        """GET all tables with their columns; with `detail=min` without."""
        detail = next((value for name, value in request.query.items() if name.lower() == "detail"), "max")
        return HTTPResponse(_table_set(self._schemas(), detail != "min"), 200, _XML)

    def table(self, name: str) -> HTTPResponse:
        """GET one table with its columns."""
        for schema in self._schemas():
            for table in schema.tables:
                if table.name.lower() == name.lower():
                    names = f'xmlns:vtm="{_TABLES}" xmlns:vs="{_DATA_SERVICE}" xmlns:xsi="{_XSI}"'
                    body = "".join(_table(table, f"vtm:table {names}", has_columns=True))
                    return HTTPResponse(f"{_HEAD}{body}", 200, _XML)
        raise NotFound(f"there is no table {name[:80]!r}; /tap/tables lists those there are")

    def capabilities(self) -> HTTPResponse:
        """GET what the service can do."""
        caller = job_service_of(self.services, request.environ).caller
        names = (
            f'xmlns:vosi="{_CAPABILITIES}" xmlns:vr="{_RESOURCE}" xmlns:vs="{_DATA_SERVICE}" xmlns:tr="{_TAP}" '
            f'xmlns:xsi="{_XSI}"'
        )
        body = (
            f"{_HEAD}<vosi:capabilities {names}>\n{self.table_access()}{''.join(self._support())}</vosi:capabilities>\n"
        )
        response = HTTPResponse(body, 200, {**_XML, "Server": f"uws-server/{VERSION}"})
        for challenge in (BASIC, BEARER) if caller.name is None else ():
            response.add_header("WWW-Authenticate", challenge)
        return response

    def table_access(self) -> str:
        """Return the capability of TAP itself, in the prefixes tr, vs, vr and xsi."""
        security = self._security()
        duration = DEFINITION.control.duration
        return (
            f'<capability standardID="{_STANDARD}" xsi:type="tr:TableAccess">\n'
            '<interface xsi:type="vs:ParamHTTP" role="std" version="1.1">\n'
            f'<accessURL use="base">{escape(self.services.base_url)}/tap</accessURL>\n{security}</interface>\n'
            f'<dataModel ivo-id="{_OBSCORE}">ObsCore 1.1</dataModel>\n'
            f"{_languages()}{''.join(_formats())}"
            f"{''.join(f'<uploadMethod ivo-id={_quoted(each)}/>' for each in _UPLOADS)}\n"
            f"<retentionPeriod><default>{self.services.config.jobs.keep_days * 86400}</default></retentionPeriod>\n"
            f"<executionDuration><default>{duration.default}</default><hard>{duration.max}</hard></executionDuration>\n"
            f'<outputLimit><default unit="row">{MAXREC}</default><hard unit="row">{HARD_MAXREC}</hard></outputLimit>\n'
            f'<uploadLimit><hard unit="byte">{MOST_BYTES}</hard></uploadLimit>\n</capability>\n'
        )

    def _support(self) -> Iterator[str]:
        base = escape(self.services.base_url)
        for word in ("capabilities", "availability", "tables"):
            yield (
                f'<capability standardID="ivo://ivoa.net/std/VOSI#{word}">\n'
                f'<interface xsi:type="vs:ParamHTTP" role="std">\n<accessURL use="full">{base}/tap/{word}</accessURL>\n'
                f"{self._security()}</interface>\n</capability>\n"
            )
        yield (
            '<capability standardID="ivo://ivoa.net/std/DALI#examples">\n<interface xsi:type="vr:WebBrowser">\n'
            f'<accessURL use="full">{base}/tap/examples</accessURL>\n</interface>\n</capability>\n'
        )

    def _security(self) -> str:
        """Return who may use an interface: an empty securityMethod is for those without an account."""
        open_to_all = "<securityMethod/>\n" if self._vosi.is_open else ""
        return f'{open_to_all}<securityMethod standardID="ivo://ivoa.net/sso#BasicAA"/>\n'

    def _schemas(self) -> tuple[Schema, ...]:
        caller = job_service_of(self.services, request.environ).caller
        return QueryService(self.services, caller).schemas()


def _quoted(feature: str) -> str:
    return quoteattr(f"ivo://ivoa.net/std/TAPRegExt#{feature}")


def _languages() -> str:
    """Return the element of ADQL."""
    features = "".join(
        f"<languageFeatures type={_quoted(kind)}>\n"
        + "".join(f"<feature><form>{escape(form)}</form></feature>\n" for form in forms)
        + "</languageFeatures>\n"
        for kind, forms in _FEATURES.items()
    )
    versions = "".join(
        f'<version ivo-id="ivo://ivoa.net/std/ADQL#v{number}">{number}</version>\n' for number in ("2.1", "2.0")
    )
    return f"<language>\n<name>ADQL</name>\n{versions}<description>ADQL 2.1</description>\n{features}</language>\n"


def _formats() -> Iterator[str]:
    for each in FORMATS:
        identifier = f" ivo-id={quoteattr(each.ivo_id)}" if each.ivo_id else ""
        aliases = "".join(
            f"<alias>{escape(word)}</alias>" for word in each.words if "/" not in word or word.count("/") > 0
        )
        yield f"<outputFormat{identifier}><mime>{escape(each.mime)}</mime>{aliases}</outputFormat>\n"


def _table_set(schemas: Iterable[Schema], has_columns: bool) -> Iterator[bytes]:
    names = f'xmlns:vosi="{_TABLES}" xmlns:vs="{_DATA_SERVICE}" xmlns:xsi="{_XSI}"'
    yield f"{_HEAD}<vosi:tableset {names}>\n".encode()
    for schema in schemas:
        yield f"<schema>\n{_element('name', schema.name)}{_element('description', schema.description)}".encode()
        for table in schema.tables:
            yield "".join(_table(table, "table", has_columns=has_columns)).encode()
        yield b"</schema>\n"
    yield b"</vosi:tableset>\n"


def _table(table: SchemaTable, tag: str, *, has_columns: bool) -> Iterator[str]:
    yield f'<{tag} type="{table.kind}">\n{_element("name", table.name)}{_element("description", table.description)}'
    yield _element("utype", table.utype)
    for each in table.columns if has_columns else ():
        yield _column(each)
    for key in builtin.KEYS if has_columns else ():
        if key.from_table == table.name:
            yield (
                f"<foreignKey>{_element('targetTable', key.target_table)}<fkColumn>"
                f"{_element('fromColumn', key.from_column)}{_element('targetColumn', key.target_column)}</fkColumn>"
                f"{_element('description', key.description)}</foreignKey>\n"
            )
    yield f"</{tag.partition(' ')[0]}>\n"


def _column(each: SchemaColumn) -> str:
    column = each.column
    size = f" arraysize={quoteattr(column.arraysize)}" if column.arraysize else ""
    extended = f" extendedType={quoteattr(column.xtype)}" if column.xtype else ""
    flags = [("indexed", each.indexed), ("primary", False)]
    return (
        f'<column std="{str(each.std).lower()}">{_element("name", column.name)}'
        f"{_element('description', column.description)}{_element('unit', column.unit)}{_element('ucd', column.ucd)}"
        f"{_element('utype', column.utype)}"
        f'<dataType xsi:type="vs:VOTableType"{size}{extended}>{escape(column.datatype)}</dataType>'
        f"{''.join(f'<flag>{name}</flag>' for name, holds in flags if holds)}</column>\n"
    )


def _element(name: str, text: str | None) -> str:
    return f"<{name}>{escape(writable(text))}</{name}>" if text else ""
