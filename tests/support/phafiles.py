"""OGIP spectra and responses written with astropy, with the keywords and columns that a test asks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

CHANNELS = 200


def write_pha(
    path: Path, counts: Any = 100, columns: Sequence[fits.Column] = (), drop: Sequence[str] = (), **keywords: Any
) -> Path:
    """A spectrum of type I: EXPOSURE 1000 s, AREASCAL and BACKSCAL 1, channels from 1, unless keywords say else."""
    header = {
        "TELESCOP": "XMM", "INSTRUME": "RGS1", "HDUCLASS": "OGIP", "HDUCLAS1": "SPECTRUM", "HDUCLAS2": "TOTAL",
        "EXPOSURE": 1000.0, "AREASCAL": 1.0, "BACKSCAL": 1.0, "BACKFILE": "NONE", "RESPFILE": "NONE", "CHANTYPE": "PI",
        "DETCHANS": CHANNELS, "POISSERR": True, **keywords,
    }  # fmt: skip
    own = [] if counts is None else [fits.Column("COUNTS", "J", array=np.broadcast_to(counts, CHANNELS))]
    channel = fits.Column("CHANNEL", "J", array=np.arange(1, CHANNELS + 1))
    table = fits.BinTableHDU.from_columns([channel, *own, *columns], name="SPECTRUM")
    table.header.update({key: value for key, value in header.items() if key not in drop})
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True)
    return path


def write_pha2(path: Path, counts: Any, columns: Sequence[fits.Column] = (), **keywords: Any) -> Path:
    """A spectrum file of type II, `counts` of the shape (spectra, channels)."""
    counts = np.asarray(counts)
    spectra, channels = counts.shape
    numbers = np.tile(np.arange(1, channels + 1), (spectra, 1))
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("SPEC_NUM", "I", array=np.arange(1, spectra + 1)),
            fits.Column("CHANNEL", f"{channels}I", array=numbers),
            fits.Column("COUNTS", f"{channels}J", array=counts),
            *columns,
        ],
        name="SPECTRUM",
    )
    table.header.update({"HDUCLAS1": "SPECTRUM", "HDUCLAS4": "TYPE:II", "POISSERR": True, **keywords})
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True)
    return path


def write_ebounds(path: Path, edges: Any, unit: str = "keV", first: int = 1) -> Path:
    """A response with the energies of its channels alone; `edges` of the shape (channels + 1,), in any order."""
    edges = np.asarray(edges, dtype=float)
    low, high = np.minimum(edges[:-1], edges[1:]), np.maximum(edges[:-1], edges[1:])
    columns = [
        fits.Column("CHANNEL", "J", array=np.arange(first, first + low.size)),
        fits.Column("E_MIN", "D", unit=unit, array=low),
        fits.Column("E_MAX", "D", unit=unit, array=high),
    ]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="EBOUNDS")]).writeto(path)
    return path
