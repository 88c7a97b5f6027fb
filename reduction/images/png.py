"""Writes pixels as PNG (RFC 2083), indexed or in true colour; the one writer of this format."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

_INDEXED, _TRUE_COLOUR = 3, 2


def indexed(pixels: Bytes, palette: bytes, transparent: int | None = None) -> bytes:
    """Write numbers of colours as PNG.

    Parameters
    ----------
    pixels
        Shape (rows, columns), the first row on top.
    palette
        Red, green and blue of 256 colours.
    transparent
        The number of the colour that is not painted; None for none.

    Returns
    -------
    bytes
        The file.
    """
    clear = b"" if transparent is None else b"\xff" * transparent + b"\0"
    return _written(pixels[:, :, None], _INDEXED, palette, clear)


def true_colour(pixels: Bytes) -> bytes:
    """Return red, green and blue, shape (rows, columns, 3), the first row on top."""
    return _written(pixels, _TRUE_COLOUR, b"", b"")


def _written(pixels: Bytes, kind: int, palette: bytes, clear: bytes) -> bytes:
    height, width = pixels.shape[:2]
    lines = np.zeros((height, width * pixels.shape[2] + 1), dtype=np.uint8)  # each line begins with its filter, 0: none
    lines[:, 1:] = pixels.reshape(height, -1)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))]
    parts += [(name, data) for name, data in ((b"PLTE", palette), (b"tRNS", clear)) if data]
    parts += [(b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
              for name, data in parts)  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
