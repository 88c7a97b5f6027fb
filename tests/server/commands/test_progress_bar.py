"""The progress bar: one line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import time

import pytest

from uws_server.commands.progress import ProgressBar


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True

    @property
    def line(self) -> str:
        """What is seen: each drawing begins where the line does."""
        seen = ""
        for drawn in self.getvalue().split("\r"):
            seen = drawn + seen[len(drawn) :]
        return seen.rstrip()


def test_a_bar_is_one_line_on_a_terminal() -> None:
    terminal = Terminal()
    progress_bar = ProgressBar(terminal, indent=0)
    progress_bar.show(1, 3, "reading the event list", 61.0)
    progress_bar.show(3, 3, "writing", 70.0)
    assert terminal.line == f"[{'#' * 25}{'.' * 5}] 1:10 3/3   writing"  # begun, not done: not full
    progress_bar.show(2, 3, "regions", 3600.0)
    assert terminal.line == f"[{'#' * 15}{'.' * 15}] 1:00:00 2/3   regions"
    assert "\n" not in terminal.getvalue()
    progress_bar.done()
    assert terminal.line == ""


def test_elsewhere_each_stage_is_a_line_once() -> None:
    file = io.StringIO()
    progress_bar = ProgressBar(file, indent=2)
    for _ in range(3):
        progress_bar.show(1, 2, "regions", 5.0)
    progress_bar.count("3 files")
    progress_bar.done()
    assert file.getvalue() == f"  [{'#' * 7}{'.' * 23}] 1/2   regions\n"


def test_a_count_is_drawn_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: begun)
    terminal = Terminal()
    progress_bar = ProgressBar(terminal, indent=0)
    progress_bar.count("1 file")
    assert terminal.line == ""
    monkeypatch.setattr(time, "monotonic", lambda: begun + 0.25)
    for number in range(2, 50):
        progress_bar.count(f"{number} files")
    assert terminal.line == "2 files"
    progress_bar.done()
    assert terminal.line == ""
