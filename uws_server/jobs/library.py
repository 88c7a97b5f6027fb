"""The job definitions on disk: one folder each, with job.json, the script and a README. Imports the definition.

A broken definition is reported and left out; the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from uws_server.errors import ConfigurationError, DefinitionError, NotFound
from uws_server.jobs.definition import Definition, from_json

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Installed:
    """A definition and the folder it was read from."""

    definition: Definition
    folder: Path

    @property
    def script(self) -> Path:
        """The script that runs a job of this definition."""
        return self.folder / self.definition.entry.script

    def readme(self) -> str:
        """The documentation for the scientist, as Markdown; empty where there is none."""
        path = self.folder / "README.md"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


class Library:
    """All usable definitions of a folder, read once when the server starts."""

    def __init__(self, folder: Path, check: Callable[[Definition], None]) -> None:
        self._installed: dict[str, Installed] = {}
        self.problems: dict[str, str] = {}
        if not folder.is_dir():
            raise ConfigurationError(f"definitions = '{folder}': there is no such folder")
        for place in sorted(folder.absolute().iterdir()):
            if (place / "job.json").is_file():
                self._read(place, check)

    def _read(self, place: Path, check: Callable[[Definition], None]) -> None:
        try:
            definition = load(place)
            check(definition)
        except DefinitionError as error:
            self.problems[place.name] = str(error)
            LOG.error("job definition left out: %s", error)
            return
        self._installed[definition.name] = Installed(definition, place)

    def get(self, name: str) -> Installed:
        """The definition of that name; NotFound names those there are."""
        try:
            return self._installed[name]
        except KeyError:
            known = ", ".join(self._installed) or "none"
            raise NotFound(f"no job definition {name[:80]!r}; there are {known}") from None

    def __iter__(self) -> Iterator[Installed]:
        return iter(self._installed.values())

    def by_name(self) -> Mapping[str, Installed]:
        """All definitions by name."""
        return dict(self._installed)


def load(place: Path) -> Definition:
    """Read and check the definition in folder `place`; its name must be the folder's."""
    path = place / "job.json"
    where = f"{place.name}/job.json"
    try:
        definition = from_json(path.read_text(encoding="utf-8"), where)
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{where}: cannot be read: {error}") from error
    if definition.name != place.name:
        raise DefinitionError(f"{where}: name: {definition.name!r} is not the name of its folder, {place.name!r}")
    if not (place / definition.entry.script).is_file():
        raise DefinitionError(f"{where}: entry.script: there is no {definition.entry.script!r} beside it")
    return definition
