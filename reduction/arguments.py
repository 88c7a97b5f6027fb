"""A parameter of a job as `parameters.json` holds it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from reduction.errors import ReductionError

PARAMETERS_FILE = "parameters.json"


@dataclass(frozen=True)
class Argument:
    """A parameter of the job as the server wrote it; one that may have several values has lists.

    `kind` is 'file' or 'value', `source` how the user named a file (None for a value), `unit` None where it has none,
    `hashes` what the server knows of a file already (`provenance.fits.digests.KnownDigests`), None for nothing.
    """

    name: str
    value: Any
    kind: str
    editable: bool
    description: str
    unit: str | None
    source: Any
    hashes: Any = None

    @property
    def parts(self) -> tuple[Argument, ...]:
        """An argument for each of its values."""
        if not isinstance(self.value, list):
            return (self,)
        sources = self.source if isinstance(self.source, list) else [self.source] * len(self.value)
        hashes = self.hashes if isinstance(self.hashes, list) else [None] * len(self.value)
        return tuple(replace(self, value=value, source=source, hashes=known)
                     for value, source, known in zip(self.value, sources, hashes, strict=False))  # fmt: skip

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
        hashes=entry.get("hashes"),
    )  # fmt: skip


def read_parameters(folder: Path) -> tuple[dict[str, Any], dict[str, Argument]]:
    """Read ``parameters.json`` of a job's folder: what it says of the job, and its parameters by name.

    Raises ReductionError if the file is absent or cannot be understood.
    """
    try:
        document = json.loads((folder / PARAMETERS_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ReductionError(f"there is no {PARAMETERS_FILE} here; a job's script runs in the job's folder") from error
    except (OSError, ValueError) as error:
        raise ReductionError(f"{PARAMETERS_FILE} cannot be read: {error}") from error
    about, given = (document.get(key) if isinstance(document, dict) else None for key in ("job", "parameters"))
    if not isinstance(about, dict) or not isinstance(given, dict):
        raise ReductionError(f"{PARAMETERS_FILE} must be an object with the objects job and parameters")
    return about, {name: read_argument(name, entry) for name, entry in given.items()}
