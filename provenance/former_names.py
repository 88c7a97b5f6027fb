"""Modules by the names that they had before the libraries got rooms.

Scripts of job definitions import them, and a server keeps each revision of a definition as long as a job needs it: a
job of version 0.1.0 is run again by the script of then, which knows these names only.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

FORMER_NAMES: Final = {
    "provenance.args": "provenance.steps.model",
    "provenance.beside": "provenance.fits.atomic",
    "provenance.bintable": "provenance.fits.bintable",
    "provenance.cards": "provenance.fits.cards",
    "provenance.chain": "provenance.graph.model",
    "provenance.columns": "provenance.obscore.columns",
    "provenance.digests": "provenance.fits.digests",
    "provenance.errors": "provenance.text.errors",
    "provenance.export": "provenance.graph.export",
    "provenance.footprint": "provenance.obscore.footprint",
    "provenance.gzipped": "provenance.fits.gzipped",
    "provenance.hdus": "provenance.fits.hdus",
    "provenance.headers": "provenance.fits.headers",
    "provenance.instruments": "provenance.obscore.instruments",
    "provenance.intervals": "provenance.obscore.intervals",
    "provenance.jsontext": "provenance.text.jsontext",
    "provenance.links": "provenance.steps.dependencies",
    "provenance.making": "provenance.steps.recording",
    "provenance.obscore_hea": "provenance.obscore.high_energy",
    "provenance.ogip": "provenance.obscore.ogip",
    "provenance.records": "provenance.graph.records",
    "provenance.rerun": "provenance.steps.rerun",
    "provenance.sky": "provenance.obscore.sky",
    "provenance.table": "provenance.obscore.table",
    "provenance.times": "provenance.obscore.times",
    "provenance.walking": "provenance.graph.traversal",
    "provenance.xmltext": "provenance.text.xmltext",
    "reduction.area": "reduction.spectra.area",
    "reduction.dss": "reduction.events.dss",
    "reduction.eventlist": "reduction.events.eventlist",
    "reduction.filtered": "reduction.events.filtered",
    "reduction.fitsfile": "reduction.events.fitsfile",
    "reduction.fitswrite": "reduction.events.fitswrite",
    "reduction.grouping": "reduction.spectra.grouping",
    "reduction.gti": "reduction.events.gti",
    "reduction.inflate": "reduction.events.fitsfile",
    "reduction.ogip": "reduction.spectra.ogip",
    "reduction.selection": "reduction.events.selection",
    "reduction.spectrum": "reduction.spectra.spectrum",
}


class _FormerNames(MetaPathFinder, Loader):
    """Finds a module that moved where it is now: both names are of one module."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for a former name; None for any other."""
        return ModuleSpec(fullname, self) if fullname in self._names else None

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of today in the place of the empty one."""
        sys.modules[module.__name__] = importlib.import_module(self._names[module.__name__])


def know_former_names() -> None:
    """Let the former names be imported, once for a process."""
    if not any(isinstance(each, _FormerNames) for each in sys.meta_path):
        sys.meta_path.append(_FormerNames(FORMER_NAMES))
