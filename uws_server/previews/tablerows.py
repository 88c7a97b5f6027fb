"""Columns and rows of a table that is drawn whole. Imports the FITS reader and what is said without a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from provenance.fits import FitsError, bintable
from provenance.fits.columns import Column, Rows
from provenance.fits.hdus import Hdu
from uws_server.previews.spectra import NoPreview


def read_table(path: Path, hdu: Hdu) -> tuple[Mapping[str, Column], Rows]:
    """Read the columns and the rows of a table. Raise NoPreview."""
    try:
        table = bintable.table(hdu, path.name)
        with path.open("rb") as stream:
            return table.columns, table.read(stream)
    except (OSError, FitsError) as error:
        raise NoPreview(str(error)) from error
