"""Images of two axes, read in strips: the only place where BSCALE, BZERO and BLANK are applied to pixels.

Source: FITS Standard 4.0, sections 4.4.2.5, 5 and 7.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from provenance.fits import hdus
from provenance.fits.hdus import Hdu
from provenance.fits.headers import Cards
from provenance.text.errors import FitsError

_TYPES: Final = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


@dataclass(frozen=True)
class Image:
    """An image: its size in pixels, where it lies in the file, and how stored numbers become values.

    A value is ``zero + scale * stored``; a stored integer equal to `blank` is none.
    """

    width: int
    height: int
    data: int
    dtype: np.dtype[Any]
    scale: float
    zero: float
    blank: int | None

    def strips(self, stream: IO[bytes], rows: int) -> Iterator[npt.NDArray[np.float64]]:
        """Yield the values of `rows` rows of pixels at a time, shape (rows, width), from the first row upwards.

        NaN is where there is no number. Rows that are left at the end and fill no strip are not read, but of an image
        of fewer rows there is one strip. Raises FitsError if the file ends inside the image.
        """
        rows = min(rows, self.height)
        stream.seek(self.data)
        for _ in range(self.height // rows):
            wanted = rows * self.width * self.dtype.itemsize
            content = stream.read(wanted)
            if len(content) < wanted:
                raise FitsError("the file ends inside the image")
            stored = np.frombuffer(content, dtype=self.dtype).reshape(rows, self.width)
            values = self.zero + self.scale * stored.astype(np.float64)
            if self.blank is not None:
                values[stored == self.blank] = np.nan
            yield values


def image(hdu: Hdu) -> Image:
    """Read from its header what an image is. Raise FitsError if it has not two axes with pixels."""
    try:
        bits = hdus.whole(hdu, "BITPIX", -64, 64)
        axes = hdus.whole(hdu, "NAXIS", 0, 999)
        sides = [hdus.whole(hdu, f"NAXIS{axis}", 0, hdus.LARGEST) for axis in range(1, min(axes, 2) + 1)]
    except FitsError as error:
        raise FitsError(f"the image {error}") from error
    if axes != 2 or min(sides) < 1:
        raise FitsError(f"the image has {axes} axes; two are drawn")
    if bits not in _TYPES:
        raise FitsError(f"the image has BITPIX = {bits}, which is no FITS format")
    cards = Cards(hdu.cards)
    scale, zero, blank = cards.number("BSCALE"), cards.number("BZERO"), cards.value("BLANK")
    null = blank if bits > 0 and type(blank) is int else None
    return Image(sides[0], sides[1], hdu.data, np.dtype(_TYPES[bits]), 1.0 if scale is None else scale, zero or 0.0,
                 null)  # fmt: skip
