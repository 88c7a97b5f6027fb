"""Values of the columns of tables that a fit leaves. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt


def ascii_text(text: str) -> str:
    """Return a text as a FITS table or header holds it."""
    return text.encode("ascii", "replace").decode()


def floats(values: Iterable[float | None]) -> npt.NDArray[np.float64]:
    """Return numbers as a column: NaN where there is none."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def texts(each: Iterable[str]) -> npt.NDArray[np.bytes_]:
    """Return texts as a column: at least one byte wide."""
    found = [ascii_text(text) for text in each]
    return np.array(found, dtype=f"S{max([1, *map(len, found)])}")
