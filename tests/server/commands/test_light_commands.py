"""What the command line loads: `--help` and a command that is named wrongly need none of the large libraries."""

from __future__ import annotations

import subprocess
import sys

import pytest

LARGE = {"astropy", "bottle", "lxml", "numpy", "regions", "requests", "sqlalchemy", "uvicorn"}

PROGRAM = """
import sys
from uws_server.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("loaded:", *{name.partition(".")[0] for name in sys.modules})
"""


def loaded_by(*words: str) -> set[str]:
    """Packages that the command line loads, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], [], ["nonsense"], ["serve", "--help"], ["serve", "--port", "x"], ["simulate", "--help"],
     ["check", "--help"], ["tag", "--help"], ["accounts", "--help"], ["db", "--help"]],
    ids=" ".join,
)  # fmt: skip
def test_the_help_loads_no_large_library(words: list[str]) -> None:
    assert not loaded_by(*words) & LARGE


def test_a_library_that_is_loaded_is_seen() -> None:
    assert "requests" in loaded_by("run", "--help")
