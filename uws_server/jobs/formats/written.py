"""The formats in which a definition is written: media types, file names and writers. Imports the formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from uws_server.jobs.formats import Package, native, par, votable, wadl


@dataclass(frozen=True)
class Format:
    """A format of a definition: its media type, the suffix of its file, the writer of a package, and its name.

    `write` takes the package and the address of the server whose jobs it makes.
    """

    media_type: str
    ending: str
    write: Callable[[Package, str], bytes]
    says: str


WADL = "application/vnd.sun.wadl+xml"
FORMATS: Mapping[str, Format] = {
    "json": Format("application/json", ".json", native.write_package, "The definition as JSON, with script and README"),
    "wadl": Format(WADL, ".wadl", wadl.write_package, "The UWS interface as WADL"),
    "votable": Format(
        "application/x-votable+xml", "_vot.xml", votable.write_package, "The definition as VOTable, for OPUS too"
    ),
    "par": Format("text/plain; charset=UTF-8", ".par", par.write_package, "The parameters as a parameter file"),
}
"""The formats by the last part of their address."""
