"""The chart of a response: an effective area by energy, or where photons of a few energies are counted.

Imports the readers of responses.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from provenance.fits.hdus import Hdu
from provenance.fits.headers import Cards
from reduction.errors import ReductionError
from reduction.responses import read_effective_area, read_redistribution
from uws_server.previews.chart import Chart, ChartSeries
from uws_server.previews.spectra import NoPreview

Floats = npt.NDArray[np.float64]

_AREA, _MATRIX = ("SPECRESP",), ("MATRIX", "SPECRESP MATRIX")
_PHOTONS_KEV = (0.3, 0.6, 1.0, 2.0, 4.0, 6.4, 10.0)
_LEAST = 1e-4
"""Part of the highest probability below which a line is not drawn."""

_MOST_BYTES = 300_000_000


def is_response(hdu: Hdu) -> bool:
    """Return whether a table holds an effective area or a redistribution matrix."""
    return hdu.is_table and hdu.name.upper() in (*_AREA, *_MATRIX)


def origin(hdu: Hdu) -> str:
    """Return in words where a response of ours comes from, if it is approximate; empty for any other."""
    cards = Cards(hdu.cards)
    if cards.value("APPROX") is not True:
        return ""
    told = [text for number in range(1, 10) if (text := cards.text(f"RESPFRM{number}"))]
    return f"Approximate: {'; '.join(told)}."


def read(path: Path, hdu: Hdu) -> Chart:
    """Return the chart of a response. Raise NoPreview if it cannot be read."""
    if path.stat().st_size > _MOST_BYTES:
        raise NoPreview(f"the response has more than {_MOST_BYTES // 10**6} MB")
    try:
        return _of_area(path) if hdu.name.upper() in _AREA else _of_matrix(path)
    except ReductionError as error:
        raise NoPreview(str(error)) from error


def _of_area(path: Path) -> Chart:
    found = read_effective_area(path)
    grid, area = found.energies, found.area_cm2
    top = int(np.argmax(area))
    summary = (f"Effective area from {grid.low[0]:.3g} to {grid.high[-1]:.3g} keV, highest {area[top]:.4g} cm2 at "
               f"{grid.middle[top]:.3g} keV")  # fmt: skip
    shown = area > 0
    if not shown.any():
        raise NoPreview("the effective area is 0 everywhere")
    ends = float(max(grid.low[shown][0], 1e-3)), float(grid.high[shown][-1])
    line = _line(found.camera.instrument or "area", grid.low, grid.middle, grid.high, np.where(shown, area, np.nan))
    return Chart("Effective area", path.name, "Energy (keV)", "Effective area (cm2)", (line,), summary, ends, "log",
                 "log", ("energy_keV", "area_cm2"))  # fmt: skip


def _of_matrix(path: Path) -> Chart:
    found = read_redistribution(path)
    channels, lines = found.channels, []
    middle, width = (channels.low + channels.high) / 2, np.maximum(channels.high - channels.low, 1e-9)
    for energy in _PHOTONS_KEV:
        row = int(found.energies.index(np.array([energy]))[0])
        if row < 0:
            continue
        density = found.fold(np.eye(1, found.energies.size, row)[0]) / width
        kept = density > _LEAST * max(density.max(), 1e-30)
        if kept.any():
            lines.append(_line(f"photons of {energy:g} keV", channels.low[kept], middle[kept], channels.high[kept],
                               density[kept]))  # fmt: skip
    if not lines:
        raise NoPreview("the matrix counts no photon of 0.3 to 10 keV")
    summary = (f"Where photons of {len(lines)} energies are counted, of {found.energies.size} energies from "
               f"{found.energies.low[0]:.3g} to {found.energies.high[-1]:.3g} keV, in {channels.size} channels from "
               f"number {channels.first} on")  # fmt: skip
    ends = (float(max(min(line.low.min() for line in lines), channels.high[0])),
            float(max(line.high.max() for line in lines)))  # fmt: skip
    return Chart("Redistribution", path.name, "Energy of the channel (keV)", "Probability / keV", tuple(lines), summary,
                 ends, "log", "log", ("energy_keV", "probability_per_keV"))  # fmt: skip


def _line(label: str, low: Floats, middle: Floats, high: Floats, y: Floats) -> ChartSeries:
    none = np.full(y.shape, np.nan)
    return ChartSeries(label, low, middle, high, y, none, none, joined=True)
