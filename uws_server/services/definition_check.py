"""Whether the values in a job definition fit their types, and what else is wrong with it. Imports the reader."""

from __future__ import annotations

from uws_server.archive.observations import Archive
from uws_server.errors import DefinitionError
from uws_server.jobs import checks, parameters
from uws_server.jobs.definition import Definition
from uws_server.services.parameters import Outside, ParameterReader


class DefinitionCheck:
    """Checks job definitions by the parameter types of this server, and looks nothing up for it."""

    def __init__(self, archive: Archive, outside: Outside) -> None:
        self._reader = ParameterReader(archive, outside.at_rest())

    def require_sound(self, definition: Definition) -> None:
        """Raise DefinitionError with every problem of a definition, and of its values that do not fit their types."""
        problems = checks.problems(definition)
        problems += parameters.check_values(definition, self._reader.checks(), problems)
        if problems:
            raise DefinitionError.of(f"{definition.name}/job.json", problems)
