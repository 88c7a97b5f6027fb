"""A parameter of a job as its script finds it in `parameters.json`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from reduction.errors import ReductionError

PARAMETERS_FILE = "parameters.json"


@dataclass(frozen=True)
class Argument:
    """A parameter of the job as the server wrote it; one that may have several values has lists."""

    name: str
    value: Any
    kind: str
    editable: bool
    description: str
    unit: str | None
    source: Any

    @property
    def each(self) -> tuple[Argument, ...]:
        """Its values one by one: an argument for each."""
        if not isinstance(self.value, list):
            return (self,)
        sources = self.source if isinstance(self.source, list) else [self.source] * len(self.value)
        return tuple(replace(self, value=value, source=source)
                     for value, source in zip(self.value, sources, strict=False))  # fmt: skip

    @property
    def said(self) -> str:
        """How the user named a file: never a path of this machine."""
        named = str(self.source if self.source is not None else self.value)
        if "://" in named:
            return named
        return PurePosixPath(named).name if named.startswith(("/", "~", "..")) or self.source is None else named


def read_argument(name: str, entry: Any) -> Argument:
    """A parameter from its entry in the file; ReductionError if that is odd."""
    if not isinstance(entry, dict):
        raise ReductionError(f"its entry in {PARAMETERS_FILE} must be an object with a value", name)
    unit, source = entry.get("unit"), entry.get("source")
    if source is not None and not isinstance(source, list):
        source = str(source)
    return Argument(
        name=name, value=entry.get("value"), kind=str(entry.get("kind") or "value"),
        editable=bool(entry.get("editable", False)), description=str(entry.get("description") or ""),
        unit=str(unit) if unit is not None else None, source=source,
    )  # fmt: skip
