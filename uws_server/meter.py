"""A progress bar for a terminal, and plain lines elsewhere. Imports nothing of ours."""

from __future__ import annotations

import sys
from typing import TextIO

_BAR = 30
_WIDTH = 96


class Meter:
    """A progress bar: drawn over itself on a terminal, a line for each stage elsewhere."""

    def __init__(self, stream: TextIO | None = None, indent: int = 15) -> None:
        self._stream = stream or sys.stdout
        self._indent = " " * indent
        self._last = ""
        self.live = self._stream.isatty()

    def show(self, number: int, total: int, text: str, elapsed_s: float | None = None) -> None:
        """Stage `number` of `total`, called `text`; the time that has passed is shown on a terminal."""
        full = _BAR * number // total if total else 0
        count = f"{number}/{total}" if total else ""
        passed = f"{_clock(elapsed_s)} " if self.live and elapsed_s is not None else ""
        line = f"{self._indent}[{'#' * full}{'.' * (_BAR - full)}] {passed}{count:6}{text[:40]}"
        if line == self._last:
            return
        self._last = line
        print(
            f"\r{line:<{_WIDTH}}" if self.live else line, end="" if self.live else "\n", flush=True, file=self._stream
        )

    def done(self) -> None:
        """End the line of the bar."""
        if self.live and self._last:
            print(f"\r{'':{_WIDTH}}\r", end="", flush=True, file=self._stream)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
