"""Writes files beside those they replace: a reader sees the old one or the whole new one, never a part."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from provenance.fits.settling import settle, settle_names


@contextlib.contextmanager
def replacing(path: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """Open a file beside `path` for writing and reading, which replaces `path`, on the disk, when the block ends well.

    `mode` are its permissions; None for those of any new file. A symbolic link is replaced: give its target to keep it.
    Raises OSError when there is no room; the old file then stays.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(3)}.part")

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, 0o666 if mode is None else 0o600)

    try:
        with open(beside, "xb+", opener=opener) as stream:  # Path.open takes no opener
            yield stream
            if mode is not None:
                os.fchmod(stream.fileno(), mode)
            settle(stream, path)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    settle_names(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all. Raise OSError."""
    with replacing(path) as stream:
        stream.write(data)
