"""The good time intervals of a product, read from its tables: its start and end, and the same as a T-MOC.

The tables are those that the data subspace of the science header names (DSREFn, also with the number of a component
in front), where it names some; else every table of good time intervals. What is good on any CCD counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

import numpy as np

from provenance.fits import gtitables
from provenance.fits.hdus import Hdu
from provenance.fits.headers import Cards
from provenance.fits.timing import SECONDS
from provenance.obscore import times
from provenance.obscore.product import Found, Product
from provenance.text.errors import FitsError

MAX_TEXT: Final = 2000
"""Longest T-MOC in characters: one of more is made coarser."""

_FINEST: Final = 41
"""Order of the finest cells written, 1.05 s: a cell of order n lasts 2^(61-n) microseconds (MOC 2.0, section 4.2)."""

_REFERENCE: Final = re.compile(r"\d*DSREF\d+")
_TCB_RATE: Final = 1.550519768e-8
_TCB_ORIGIN_MJD: Final = 43144.0003725
_TCB_OFFSET_S: Final = 6.55e-5
"""TCB - TDB = rate * (TDB - origin) + offset (IAU 2006, resolution B3); TDB is never 2 ms from TT."""

Intervals = np.ndarray[Any, np.dtype[np.float64]]
"""Starts and ends, shape (n, 2)."""


def columns(stream: IO[bytes], hdus: Sequence[Hdu], product: Product) -> Found:
    """Derive start, end and T-MOC (`t_min`, `t_max`, `t_intervals`) of a product's good times.

    Parameters
    ----------
    stream
        The open file, inflated.
    hdus
        Its HDUs.
    product
        Its headers.

    Returns
    -------
    Found
        Columns of ObsCore; empty where the product has no good times.
    """
    good = read(stream, hdus, product)
    if not len(good):
        return {}
    return {"t_min": float(good[0, 0]), "t_max": float(good[-1, 1]), "t_intervals": tmoc(good)}


def read(stream: IO[bytes], hdus: Sequence[Hdu], product: Product) -> Intervals:
    """Read the union of a product's good time intervals.

    Parameters
    ----------
    stream
        The open file, inflated.
    hdus
        Its HDUs.
    product
        Its headers.

    Returns
    -------
    Intervals
        Starts and ends, MJD (TT), sorted and apart, shape (n, 2). Tables that cannot be read are passed over.
    """
    parts = [found for hdu in _tables(hdus, product) if (found := _intervals(stream, hdu, product)) is not None]
    edges = np.concatenate([*parts, np.empty((0, 2))])
    return np.stack(gtitables.joined(edges[:, 0], edges[:, 1]), axis=1)


def tmoc(good: Intervals) -> str:
    """Write intervals, MJD (TT), as a T-MOC in text: cells of 1.05 s, longer ones if need be.

    Source: MOC 2.0, section 4.3.2. The text is empty where not even one cell fits.

    >>> tmoc(np.array([[61100.0, 61100.0 + 3 / 86400]]))
    '40/101394216167-101394216168'
    """
    for order in range(_FINEST, 0, -1):
        cells = _cells(good, order)
        if len(cells) * 4 < MAX_TEXT:
            text = _written(cells, order)
            if len(text) <= MAX_TEXT:
                return text
    return ""


def _tables(hdus: Sequence[Hdu], product: Product) -> Iterator[Hdu]:
    """Return the tables of good time intervals that hold for the product."""
    named = {text.removeprefix(":").upper() for keyword, text in product.science.texts(_REFERENCE)}
    tables = gtitables.gti_tables(hdus)
    chosen = [hdu for hdu in tables if hdu.name in named]
    return iter(chosen or tables)


def _intervals(stream: IO[bytes], hdu: Hdu, product: Product) -> Intervals | None:
    """Return the intervals of one table, MJD (TT); None where it cannot be read or its times have no reference.

    Rows whose times are not finite or not in order are left out.
    """
    try:
        table = gtitables.read(stream, hdu)
    except FitsError:
        return None
    if table.unit not in SECONDS:
        return None
    day = SECONDS["d"] / SECONDS[table.unit]
    cards = Cards(hdu.cards)
    origin, later = times.mjd(cards, 0.0, product), times.mjd(cards, day, product, table.unit)
    if origin is None or later is None:
        return None
    edges = np.stack([table.start, table.stop], axis=1)
    good = edges[np.isfinite(edges).all(axis=1) & (edges[:, 0] < edges[:, 1])]
    return np.asarray(origin + good * ((later - origin) / day)) if len(good) else None


def _cells(good: Intervals, order: int) -> list[tuple[int, int]]:
    """Return the first and last cell of an order in each stretch that the intervals touch."""
    tcb = good + ((good - _TCB_ORIGIN_MJD) * _TCB_RATE) + _TCB_OFFSET_S / 86400
    length_s = 2.0 ** (61 - order) / 1e6
    numbers = (tcb + 2400000.5) * (86400.0 / length_s)
    stretches: list[tuple[int, int]] = []
    for first, last in zip(np.floor(numbers[:, 0]).tolist(), (np.ceil(numbers[:, 1]) - 1).tolist(), strict=True):
        first, last = int(first), max(int(first), int(last))
        if stretches and first <= stretches[-1][1] + 1:
            stretches[-1] = (stretches[-1][0], max(last, stretches[-1][1]))
        else:
            stretches.append((first, last))
    return stretches


def _written(stretches: list[tuple[int, int]], order: int) -> str:
    """Write stretches as the largest cells that fill them, order by order, ranges joined."""
    by_order: dict[int, list[str]] = {}
    while stretches:
        above: list[tuple[int, int]] = []
        here: list[tuple[int, int]] = []
        for first, last in stretches:
            inner = (first + 1) // 2, (last + 1) // 2 - 1
            if order == 0 or inner[0] > inner[1]:
                here.append((first, last))
                continue
            above.append(inner)
            here += [(first, first)] * (first % 2) + [(last, last)] * (1 - last % 2)
        by_order[order] = [f"{first}-{last}" if last > first else f"{first}" for first, last in here]
        stretches, order = above, order - 1
    return " ".join(f"{level}/{' '.join(cells)}" for level, cells in sorted(by_order.items()) if cells)
