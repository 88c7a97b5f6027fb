"""A parameter of a job as `parameters.json` holds it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from reduction.errors import ReductionError

PARAMETERS_FILE = "parameters.json"


@dataclass(frozen=True)
class Argument:
    """A parameter of the job as the server wrote it; one that may have several values has lists.

    `kind` is 'file' or 'value', `source` how the user named a file (None for a value), `unit` None where it has none.
    """

    name: str
    value: Any
    kind: str
    editable: bool
    description: str
    unit: str | None
    source: Any

    @property
    def parts(self) -> tuple[Argument, ...]:
        """An argument for each of its values."""
        if not isinstance(self.value, list):
            return (self,)
        sources = self.source if isinstance(self.source, list) else [self.source] * len(self.value)
        return tuple(replace(self, value=value, source=source)
                     for value, source in zip(self.value, sources, strict=False))  # fmt: skip

    @property
    def display_name(self) -> str:
        """The name that the user gave a file: a URL, a path in the archive, or a bare name; no path of this machine."""
        name = str(self.source if self.source is not None else self.value)
        if "://" in name:
            return name
        return PurePosixPath(name).name if name.startswith(("/", "~", "..")) or self.source is None else name


def read_argument(name: str, entry: Any) -> Argument:
    """Return the parameter of an entry of the file. Raises ReductionError if the entry is no object."""
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
