"""The logs of a job, as its supervisor writes them. Imports what takes the secrets out of an output."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from uws_server.execution.redaction import Redactor

_LONGEST_LINE = 1 << 13
_LAST = 2000
"""Bytes of what found no room that are kept of each log."""


class Logs:
    """The logs of the output of a script, each stream alone and both together, up to a limit.

    A full disk ends the log, not the job.
    """

    def __init__(self, folder: Path, most: int, secrets: Mapping[str, bytes]) -> None:
        self.left = most
        self.full = False
        self.all: BinaryIO = (folder / "job.log").open("ab", buffering=0)
        self.each = {name: (folder / f"{name}.log").open("ab", buffering=0) for name in ("stdout", "stderr")}
        self.begun = dict.fromkeys(self.each, b"")
        self.missed: dict[BinaryIO, bytes] = {}
        self.redactors = {name: Redactor(secrets) for name in self.each}

    def add(self, name: str, data: bytes) -> None:
        """Append the output of the stream `name` without the secrets in it."""
        self.append(name, self.redactors[name].cleaned(data))

    def end(self) -> None:
        """Append what is left of the streams."""
        for name, redactor in self.redactors.items():
            self.append(name, redactor.rest())
        self.finish()

    def append(self, name: str, data: bytes) -> None:
        """Append to the log of a stream; past the limit it is dropped, which one line of the log says."""
        kept = data[: self.left]
        self.left -= len(kept)
        self.write(self.each[name], kept)
        # job.log gets whole lines, so that one stream does not interrupt a line of the other
        begun = self.begun[name] + kept
        end = max(begun.rfind(b"\n"), begun.rfind(b"\r")) + 1
        if len(begun) - end > _LONGEST_LINE:
            end = len(begun)
        self.write(self.all, begun[:end])
        self.begun[name] = begun[end:]
        if len(kept) < len(data) and not self.full:
            self.full = True
            self.finish()
            self.write(self.all, b"\n[WARNING] the log is full: what the script prints from here on is dropped\n")

    def report(self, line: str) -> None:
        """Write a line of the supervisor to the error output, even if the log is full."""
        self.finish()
        for stream in (self.each["stderr"], self.all):
            self.write(stream, f"{line}\n".encode())

    def finish(self) -> None:
        """Write the lines that have no end yet."""
        for name, begun in self.begun.items():
            self.write(self.all, begun)
            self.begun[name] = b""

    def write(self, stream: BinaryIO, data: bytes) -> None:
        """Write as much as fits on the disk; the last of what does not is kept for `write_missed`."""
        written = 0
        with contextlib.suppress(OSError):
            written = stream.write(data)
        if written < len(data):
            self.missed[stream] = (self.missed.get(stream, b"") + data[written:])[-_LAST:]

    def write_missed(self) -> None:
        """Write what found no room before: the last words of a script that filled the disk say why it ended."""
        for stream, data in self.missed.items():
            with contextlib.suppress(OSError):
                stream.write(data)
        self.missed.clear()
