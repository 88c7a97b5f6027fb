"""What tests of regions share: the X,Y plane of an event list, points in it, and cfitsio's selection of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from reduction.errors import ReductionError
from reduction.regions import PixelRegionSet, parse

RA, DEC = 148.974458333333, 69.6509722222222


def sky_plane(ra: float = RA, dec: float = DEC) -> WCS:
    """The X,Y plane of an EPIC list: 0-based pixels of this WCS are column values."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix = [25922, 25922]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.cdelt = [-0.05 / 3600, 0.05 / 3600]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.radesys, wcs.wcs.equinox = "FK5", 2000.0
    wcs.wcs.set()
    return wcs


def points_around(placed: PixelRegionSet, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    x0, x1, y0, y1 = placed.bounds
    grow = 0.1 * max(x1 - x0, y1 - y0)
    draw = np.random.default_rng(7)
    return draw.uniform(x0 - grow, x1 + grow, count), draw.uniform(y0 - grow, y1 + grow, count)


def refusal(text: str) -> str:
    with pytest.raises(ReductionError) as caught:
        parse(text, "src_region")
    assert caught.value.parameter == "src_region"
    assert str(caught.value).startswith("src_region: ")
    return str(caught.value)


def with_projection(table: fits.BinTableHDU) -> fits.BinTableHDU:
    """The table with the projection of `sky_plane(150, 2)` on X and Y, without which cfitsio does not place regions."""
    for axis, kind, value, step in (("X", "RA---TAN", 150.0, -1.0), ("Y", "DEC--TAN", 2.0, 1.0)):
        column = table.columns.names.index(axis) + 1
        table.header[f"TCTYP{column}"], table.header[f"TCRPX{column}"] = kind, 25921
        table.header[f"TCRVL{column}"], table.header[f"TCDLT{column}"] = value, step * 0.05 / 3600
    return table


def events_file(path: Path, x: np.ndarray, y: np.ndarray) -> None:
    columns = [fits.Column("X", "D", array=x), fits.Column("Y", "D", array=y)]
    with_projection(fits.BinTableHDU.from_columns(columns, name="EVENTS")).writeto(path)


def cfitsio_selects(path: Path, region_file: str) -> np.ndarray:
    """X of the events of a file that cfitsio's row filter takes, by a region file."""
    out = path.with_name("selected.fits")
    command = ["fitscopy", f"{path}[EVENTS][regfilter('{region_file}',X,Y)]", f"!{out}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with fits.open(out) as hdus:
        return np.asarray(hdus["EVENTS"].data["X"], dtype=float)
