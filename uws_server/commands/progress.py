"""A progress bar for a terminal, and plain lines elsewhere. Imports nothing of ours."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_BAR = 30
_EVERY_S = 0.2


class ProgressBar:
    """A progress bar that redraws its line on a terminal and prints one line for each stage elsewhere; or a count."""

    def __init__(self, stream: TextIO | None = None, indent: int = 15) -> None:
        self._stream = stream or sys.stdout
        self._indent = " " * indent
        self._last = ""
        self._counted = time.monotonic()
        self.live = self._stream.isatty()

    def show(self, number: int, total: int, text: str, elapsed_s: float | None = None) -> None:
        """Show stage `number` of `total`, called `text`; on a terminal also the time that has passed.

        The stage has begun and has not ended, so half of it is counted: the bar of the last one is not full.
        """
        full = max(0, _BAR * (2 * number - 1) // (2 * total)) if total else 0
        count = f"{number}/{total}" if total else ""
        passed = f"{_clock(elapsed_s)} " if self.live and elapsed_s is not None else ""
        line = f"{self._indent}[{'#' * full}{'.' * (_BAR - full)}] {passed}{count:6}{text[:40]}"
        if line == self._last:
            return
        if self.live:
            self._draw(line)
        else:
            self._last = line
            print(line, flush=True, file=self._stream)

    def count(self, text: str) -> None:
        """Show an amount whose total is not known: on a terminal only, and not too often."""
        now = time.monotonic()
        if self.live and now - self._counted >= _EVERY_S:
            self._counted = now
            self._draw(f"{self._indent}{text}")

    def done(self) -> None:
        """Clear the line of a terminal; the next stage begins a new one."""
        if self.live and self._last:
            self._draw("")
            print("\r", end="", flush=True, file=self._stream)

    def _draw(self, line: str) -> None:
        print(f"\r{line:<{len(self._last)}}", end="", flush=True, file=self._stream)
        self._last = line


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
