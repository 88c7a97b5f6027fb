"""Whether the values in a job definition fit their types, and what else is wrong with it. Imports the reader."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from uws_server.archive.observations import Archive
from uws_server.errors import DefinitionError, NotFound
from uws_server.jobs import checks, parameters
from uws_server.jobs.definition import Definition, ParameterSpec
from uws_server.jobs.formats import native
from uws_server.jobs.formats.draft import DEFINITION_FILE
from uws_server.jobs.job import ParameterValue
from uws_server.services.parameters import Outside, ParameterReader
from uws_server.services.region_texts import NamedText, RegionTexts
from uws_server.storage.definitions import DefinitionStore
from uws_server.storage.revisions import Revisions


class DefinitionCheck:
    """Checks job definitions by the parameter types of this server, and looks nothing up for it."""

    def __init__(self, archive: Archive, outside: Outside, regions: RegionTexts) -> None:
        self._reader = ParameterReader(archive, outside.at_rest())
        self._regions = regions

    def require_sound(self, definition: Definition) -> None:
        """Raise DefinitionError with every problem of a definition, and of its values that do not fit their types."""
        problems = checks.problems(definition)
        types = {**self._reader.checks(), "region": self._region}
        problems += parameters.check_values(definition, types, problems)
        if problems:
            raise DefinitionError.of(f"{definition.name}/job.json", problems)

    def prepare(self, definitions: Iterable[Definition]) -> None:
        """Find out together what takes long to find out of each of these definitions."""
        texts: list[NamedText] = []

        def note(text: str, spec: ParameterSpec) -> ParameterValue:
            texts.append((spec.name, text))
            return ParameterValue(text, text)

        for definition in definitions:
            parameters.check_values(definition, {"region": note}, checks.problems(definition))
        self._regions.learn(texts)

    def _region(self, text: str, spec: ParameterSpec) -> ParameterValue:
        if problem := self._regions.problem(spec.name, text):
            raise ValueError(problem)
        return ParameterValue(text, text)


def candidates(folder: Path, revisions: Revisions, store: DefinitionStore) -> Iterator[Definition]:
    """Yield the definitions with regions that a library will check, if they can be read.

    They are those of its folder and the live ones. A region whose type is written with an escape of JSON is left out,
    and found out about when it is checked.
    """
    known: set[str] = set()
    places = [place for place in folder.glob("*") if not place.name.startswith(".")]
    for row in store.all().values():
        with contextlib.suppress(NotFound):
            places.append(revisions.path(row.revision))
    for place in places:
        with contextlib.suppress(OSError, UnicodeDecodeError, DefinitionError):  # the library tells what is wrong
            text = (place / DEFINITION_FILE).read_text(encoding="utf-8")
            if '"region"' in text and text not in known:  # what is live is most often what is in the folder
                known.add(text)
                yield native.read_unchecked(text, DEFINITION_FILE)
