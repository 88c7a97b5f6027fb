"""An independent look at event lists with astropy, numpy and regions alone, and the bytes of their rows."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from regions import PixCoord, Regions


@contextmanager
def opened(path: Path) -> Iterator[fits.HDUList]:
    """Open a FITS file, whatever astropy thinks of its units."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path, memmap=False) as hdus:
            yield hdus


def hdu_bytes(path: Path, index: int) -> bytes:
    """The header and the data of an HDU as they lie in the file, inflated."""
    with opened(path) as hdus:
        info = hdus[index].fileinfo()
    packed = path.read_bytes()[:2] == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as file:
        file.seek(info["hdrLoc"])
        return bytes(file.read(info["datLoc"] + info["datSpan"] - info["hdrLoc"]))


def raw_rows(path: Path, name: str = "EVENTS") -> np.ndarray:
    """The rows of a table, each as opaque bytes, shape (n,)."""
    with opened(path) as hdus:
        index, header = hdus.index_of(name), hdus[name].header
        start = hdus[index].fileinfo()["datLoc"] - hdus[index].fileinfo()["hdrLoc"]
    data = hdu_bytes(path, index)[start : start + header["NAXIS1"] * header["NAXIS2"]]
    return np.frombuffer(data, dtype=f"V{header['NAXIS1']}")


def events(path: Path) -> tuple[dict[str, np.ndarray], fits.Header]:
    """The columns of an event list by name in small letters, and its header."""
    with opened(path) as hdus:
        table = hdus["EVENTS"]
        return {name.lower(): np.array(table.data[name]) for name in table.columns.names}, table.header.copy()


def in_region(path: Path, ds9: str) -> np.ndarray:
    """Tell which events lie in the first shape of a DS9 text."""
    columns, header = events(path)
    x, y = (list(columns).index(axis) + 1 for axis in ("x", "y"))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [header[f"TCTYP{x}"], header[f"TCTYP{y}"]]
    wcs.wcs.crpix = [header[f"TCRPX{x}"], header[f"TCRPX{y}"]]
    wcs.wcs.crval = [header[f"TCRVL{x}"], header[f"TCRVL{y}"]]
    wcs.wcs.cdelt = [header[f"TCDLT{x}"], header[f"TCDLT{y}"]]
    wcs.wcs.radesys = str(header.get("RADESYS", header.get("RADECSYS", "ICRS"))).strip()
    shape = Regions.parse(ds9, format="ds9")[0].to_pixel(wcs)
    return np.asarray(shape.contains(PixCoord(columns["x"].astype(float) - 1, columns["y"].astype(float) - 1)))


def in_tables(times: np.ndarray, path: Path, *names: Any) -> np.ndarray:
    """Tell which times lie in any interval of some GTI tables, both ends included."""
    good = np.zeros(len(times), dtype=bool)
    with opened(path) as hdus:
        for name in names:
            for start, stop in zip(hdus[name].data["START"], hdus[name].data["STOP"], strict=True):
                good |= (times >= start) & (times <= stop)
    return good
