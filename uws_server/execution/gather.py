"""Gathers the results of a script, and reads its notes on them. Imports provenance, storage and its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from provenance import obscore
from provenance.text import jsontext
from provenance.text.errors import JsonError
from uws_server.execution import declared
from uws_server.jobs.definition import Definition, ResultSpec
from uws_server.storage.files import HELPERS_FILE

_MOST_BYTES = 4_000_000
_COLUMNS = frozenset(column.name for column in obscore.ALL_COLUMNS)


@dataclass(frozen=True)
class Noted:
    """The notes of a script on a result: a description, and columns of ObsCore."""

    description: str = ""
    columns: Mapping[str, str | int | float] = field(default_factory=dict)


def gather(definition: Definition, folder: Path) -> list[str]:
    """Move declared results from the folder of a job into its `results/`. Return notes for the log."""
    return declared.move([spec.file for spec in definition.results], folder)


def noted(folder: Path) -> Mapping[str, Noted]:
    """Return the notes of a script on its results, by file name; those that the commands did not write are left out."""
    try:
        with (folder / HELPERS_FILE).open("rb") as stream:
            # half a character, as in a description that is no UTF-8, spoils that description and not the other notes
            document = jsontext.parse(stream.read(_MOST_BYTES).decode("utf-8"))
    except (OSError, UnicodeDecodeError, JsonError):
        return {}
    results = document.get("results") if isinstance(document, dict) else None
    return {name: _noted(entry) for name, entry in results.items()} if isinstance(results, dict) else {}


def described(spec: ResultSpec, noted: Noted | None) -> ResultSpec:
    """Return a result with the description that the script noted, if it did."""
    return replace(spec, description=noted.description) if noted and noted.description else spec


def _noted(entry: Any) -> Noted:
    """The notes in an entry of the file; empty ones where it is no object."""
    if not isinstance(entry, dict):
        return Noted()
    text, columns = entry.get("description"), entry.get("columns")
    kept = columns if isinstance(columns, dict) else {}
    return Noted(
        text[:10_000] if isinstance(text, str) and text.isprintable() else "",
        {name: value for name, value in kept.items() if name in _COLUMNS and isinstance(value, str | int | float)},
    )
