"""Reads a definition of any format, recognised by the content alone. Imports the formats."""

from __future__ import annotations

from uws_server.errors import DefinitionError
from uws_server.jobs.formats import Package, content, native, par, sas, votable, wadl, xmltext


def read_any(document: bytes, where: str) -> Package:
    """Return the package in a document of any format. Raise DefinitionError, beginning with `where`, for any other."""
    text = content.decoded(document, where)
    beginning = text.lstrip()[:1]
    if beginning == "{":
        return native.read_package(document, where)
    if beginning == "<":
        return _of_xml(document, where)
    if par.looks_like_one(text):
        return par.read(document, where)
    raise DefinitionError(f"{where}: neither JSON, WADL, VOTable nor a parameter file: it begins with {text[:40]!r}")


def _of_xml(document: bytes, where: str) -> Package:
    root = xmltext.parse(document, where)
    match xmltext.kind(root).lower():
        case "application":
            return wadl.from_root(root, where)
        case "votable":
            return votable.from_root(root, where)
        case "config" | "file":
            return sas.from_root(root, where)
        case _:
            name = xmltext.kind(root)[:80]
            read = "application (WADL), VOTABLE and CONFIG (a task of SAS)"
            raise DefinitionError(f"{where}: its root is {name!r}; {read} are read")
