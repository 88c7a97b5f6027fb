"""Detections held against the sources that there are: which is which, what was missed, what is false.

May import numpy and astropy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.coordinates import SkyCoord

from reduction.bench import measuring, references
from reduction.bench.recipe import Detections
from reduction.errors import ReductionError

Floats = npt.NDArray[np.float64]


def match(
    wanted: Detections, known: Mapping[str, Any], sources: Sequence[Mapping[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Return what became of each source, and the detections that are none.

    Each detection is taken for one source at most, the nearest pairs first.

    Parameters
    ----------
    wanted
        Where the source list is.
    known
        What references can name.
    sources
        The true sources: name, ra, dec, mean_flux.

    Returns
    -------
    dict
        `sources` and `false`, objects of JSON each.

    Raises
    ------
    ReductionError
        There is no source list, or it has no such columns.
    """
    found = _list(wanted, known)
    places = SkyCoord([each["ra"] for each in sources] * u.deg, [each["dec"] for each in sources] * u.deg)
    taken, pairs = set(), {}
    if len(found["ra"]) and sources:
        detected = SkyCoord(found["ra"] * u.deg, found["dec"] * u.deg)
        apart = places[:, None].separation(detected[None, :]).arcsec
        for flat in np.argsort(apart, axis=None):
            source, detection = divmod(int(flat), apart.shape[1])
            if apart[source, detection] > wanted.match_arcsec:
                break
            if source not in pairs and detection not in taken:
                pairs[source] = detection, float(apart[source, detection])
                taken.add(detection)
    rows = [_row(found, each, *pairs.get(number, (None, None))) for number, each in enumerate(sources)]
    false = [_values(found, number) for number in range(len(found["ra"])) if number not in taken]
    return {"sources": rows, "false": false}


def _list(wanted: Detections, known: Mapping[str, Any]) -> dict[str, Floats]:
    """Return the columns of the source list that are wanted."""
    path = references.look_up(f"{wanted.step}.{wanted.result}", known)
    if not isinstance(path, Path):
        raise ReductionError(f"{wanted.result} of {wanted.step} is no single file", "detections")
    names = {"ra": wanted.ra, "dec": wanted.dec, "error_arcsec": wanted.error, "likelihood": wanted.likelihood,
             "measured": wanted.flux}  # fmt: skip
    with measuring.opened_hdu(path, wanted.hdu) as hdu:
        table = measuring.rows(hdu, path)
        columns = {key: np.asarray(measuring.column_of(table, name, path), dtype=np.float64)
                   for key, name in names.items() if name}  # fmt: skip
    if "error_arcsec" in columns and wanted.error_of == "both":
        columns["error_arcsec"] /= np.sqrt(2)  # of each coordinate, as the distribution of Rayleigh has it
    return columns


def _row(found: Mapping[str, Floats], source: Mapping[str, Any], at: int | None, apart: float | None) -> dict[str, Any]:
    """Return a source with the detection that was taken for it."""
    row: dict[str, Any] = {name: source[name] for name in ("name", "ra", "dec")}
    row |= {"flux": source["mean_flux"], "is_extended": source.get("extent") is not None, "is_detected": at is not None}
    return row if at is None else row | {"apart_arcsec": apart} | _values(found, at)


def _values(found: Mapping[str, Floats], number: int) -> dict[str, Any]:
    return {f"detected_{name}" if name in ("ra", "dec") else name: float(column[number])
            for name, column in found.items()}  # fmt: skip
