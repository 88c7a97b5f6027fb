"""Public functions of the libraries with three parameters or more say in numpydoc's sections what each of them is.

That the sections agree with the signature, pydoclint checks (`make lint`); which functions need them, it cannot say.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkout import ROOT

FEWEST = 3
"""Parameters from which on a function needs the sections."""
SECTION = re.compile(r"^Parameters\n-{10}$", re.MULTILINE)
HELD = re.findall(r"^SECTIONS :=(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[0].split()
"""The packages and rooms that the Makefile holds to it."""
SAMPLE = '''
def public(a, b, *, c):
    """Return nothing."""

def short(a, b):
    """Return nothing."""

def _private(a, b, c):
    """Return nothing."""

class Shape:
    def move(self, x, y, z):
        """Move.

        Parameters
        ----------
        x, y, z
            Where to.
        """

    def turn(self, x, *args, **kwargs):
        """Turn."""

    @staticmethod
    def make(a, b, c):
        """Make."""
'''


def without_sections(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of the public functions and methods that need a section of parameters and have none."""
    for function, is_method in public_functions(ast.parse(source)):
        if count_parameters(function, is_method) >= FEWEST and not SECTION.search(ast.get_docstring(function) or ""):
            yield function.lineno, function.name


def public_functions(node: ast.Module | ast.ClassDef) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
    for child in node.body:
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from public_functions(child)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            static = any(isinstance(name, ast.Name) and name.id == "staticmethod" for name in child.decorator_list)
            yield child, isinstance(node, ast.ClassDef) and not static


def count_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef, is_method: bool) -> int:
    """How many parameters a caller gives; what belongs to the class is not counted."""
    names = function.args
    named = [*names.posonlyargs, *names.args, *names.kwonlyargs]
    return len(named) + (names.vararg is not None) + (names.kwarg is not None) - is_method


def test_a_function_without_its_section_is_found() -> None:
    assert [name for _, name in without_sections(SAMPLE)] == ["public", "turn", "make"]


def test_the_linter_finds_sections_that_disagree(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "def add(a: int, b: int) -> int:\n"
        '    """Add.\n\n    Parameters\n    ----------\n    a\n        One.\n    c\n        Another.\n    """\n'
        "    return a + b\n"
    )
    command = [sys.executable, "-m", "pydoclint.main", "--config", str(ROOT / "pyproject.toml"), str(wrong)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "DOC103" in done.stdout + done.stderr
    assert "DOC201" in done.stdout + done.stderr, "there is no section of what is returned"


@pytest.mark.parametrize("held", HELD)
def test_public_functions_say_what_their_parameters_are(held: str) -> None:
    place = ROOT / held
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert files, f"SECTIONS in the Makefile: there is no {held}"
    missing = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in files
        for line, name in without_sections(path.read_text(encoding="utf-8"))
    ]
    assert not missing, "write the section Parameters:\n" + "\n".join(missing)
