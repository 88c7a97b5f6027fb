"""The factors that turn the counts of an X-ray product into rates: EXPOSURE, AREASCAL, BACKSCAL, as they stand there.

Each is a keyword or a column (OGIP/92-007, section 3.1). Nothing is put in the place of a factor that is not given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from provenance.fits.headers import Cards, numeral

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """A factor of a spectrum: one number for each channel, shape (n,), 0 where a channel has none.

    `values` is None where the file gives no such factor; `words` then say what stands there, as the end of a sentence
    that begins with the keyword, and else what is odd about it (empty: nothing).
    """

    keyword: str
    values: Floats | None
    words: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the file gives this factor."""
        return self.values is not None

    @property
    def number(self) -> float | None:
        """The number that holds for all channels; None where they differ or it is not known."""
        if self.values is None or not self.values.size or np.any(self.values != self.values[0]):
            return None
        return float(self.values[0])

    @property
    def sentence(self) -> str:
        """What is to be told about the factor; empty where it is as it should be."""
        return f"{self.keyword} {self.words}" if self.words else ""


def keyword_number(headers: Sequence[Cards], keyword: str) -> tuple[float | None, str]:
    """Return the number above 0 of a keyword, from the first header that has it, and what is odd about it.

    A text that is a number counts as one, as it does for CFITSIO. None with what stands there instead: absent, 0, below
    0, no number.
    """
    value = next((value for cards in headers if (value := cards.value(keyword)) is not None), None)
    if value is None:
        return None, "is absent"
    if isinstance(value, bool):
        return None, f"is {'T' if value else 'F'}, which is no number"
    number, odd = numeral(value), f"is the text {value[:20]!r}" if isinstance(value, str) else ""
    if number is None:
        return None, f"is {str(value)[:20]!r}, which is no number"
    return (number, odd) if number > 0 else (None, f"is {number:g}")


def from_keyword(headers: Sequence[Cards], keyword: str, size: int) -> Scale:
    """Return the factor that a keyword gives all channels.

    Parameters
    ----------
    headers
        The headers in which it may stand, the nearest one first.
    keyword
        Its name.
    size
        The number of channels.

    Returns
    -------
    Scale
        The factor, not known where no header has a number above 0.
    """
    number, words = keyword_number(headers, keyword)
    return Scale(keyword, None if number is None else np.full(size, number), words)


def from_column(keyword: str, cells: npt.NDArray[np.generic], size: int) -> Scale:
    """Return the factor that a column gives.

    Parameters
    ----------
    keyword
        The name of the column.
    cells
        Numbers or texts, shape (size,), or () for one that holds for all channels.
    size
        The number of channels.

    Returns
    -------
    Scale
        The factor, not known where no channel has a number above 0.
    """
    if cells.dtype.kind == "S":
        texts = [numeral(text.decode("ascii", "replace")) for text in np.atleast_1d(cells).tolist()]
        cells = np.array([math.nan if number is None else number for number in texts]).reshape(cells.shape)
    values = np.nan_to_num(np.broadcast_to(cells.astype(np.float64), (size,)), nan=0.0, posinf=0.0, neginf=0.0)
    values = np.where(values > 0, values, 0.0)
    if not values.any():
        return Scale(keyword, None, "is 0 in every channel")
    return Scale(keyword, values)
