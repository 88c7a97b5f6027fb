"""Writes pixels as PNG (RFC 2083), indexed or in true colour; the one writer of this format."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

_INDEXED, _TRUE_COLOUR = 3, 2


def indexed(pixels: Bytes, palette: bytes) -> bytes:
    """Return numbers of colours, shape (rows, columns), the first row on top, with their palette of 256 x 3 bytes."""
    return _written(pixels[:, :, None], _INDEXED, palette)


def true_colour(pixels: Bytes) -> bytes:
    """Return red, green and blue, shape (rows, columns, 3), the first row on top."""
    return _written(pixels, _TRUE_COLOUR, b"")


def _written(pixels: Bytes, kind: int, palette: bytes) -> bytes:
    height, width = pixels.shape[:2]
    lines = np.zeros((height, width * pixels.shape[2] + 1), dtype=np.uint8)  # each line begins with its filter, 0: none
    lines[:, 1:] = pixels.reshape(height, -1)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))]
    parts += [(b"PLTE", palette)] if palette else []
    parts += [(b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
              for name, data in parts)  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
