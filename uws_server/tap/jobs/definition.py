"""The job definition of queries: every server has it, and what runs its jobs is no script, but a module of the server.

Imports the values of definitions and the library.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from uws_server.jobs.definition import Control, Definition, Duration, Entry, ParameterSpec, ResultSpec
from uws_server.storage.library import Installed

NAME: Final = "tap"
"""The name of the definition, and of its job list, which is at /tap/async."""
FILES: Final = "tables"
"""The parameter that holds the files of uploaded tables, in the order in which UPLOAD names them."""
LONGEST_QUERY: Final = 100_000


def _text(name: str, description: str, longest: int = 2000) -> ParameterSpec:
    return ParameterSpec(name, "string", description, max_length=longest)


DEFINITION: Final = Definition(
    NAME,
    "1.1",
    "Query the tables of this server",
    Entry("python", "running.py"),
    "A query in ADQL (TAP 1.1)",
    parameters=(
        _text("REQUEST", "doQuery"),
        _text("LANG", "ADQL, or one of its versions"),
        _text("QUERY", "the query", LONGEST_QUERY),
        _text("MAXREC", "the most rows that are wanted"),
        _text("RESPONSEFORMAT", "the format of the result"),
        _text("FORMAT", "the same, of former versions of TAP"),
        _text("UPLOAD", "uploaded tables: NAME,param:PART or NAME,URL; several with semicolons between", 20_000),
        ParameterSpec(FILES, "file", "the files of uploaded tables", max_values=10),
    ),
    results=(ResultSpec("result", "result.*", description="The rows that the query found."),),
    control=Control(duration=Duration(default=3600, max=86_400), execution="local"),
)
INSTALLED: Final = Installed(DEFINITION, Path(__file__).parent)
"""The definition as the library has it."""
