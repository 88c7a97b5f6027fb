"""The job definitions that one caller meets: which are live, which of them it may run. Imports the rights and storage.

Writing definitions and making them live is for `drafts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Job
from uws_server.services.rights import Caller, Rights
from uws_server.storage.library import Installed, Library


class DefinitionService:
    """The definitions of a server, for one caller; iterating gives the live ones."""

    def __init__(self, library: Library, rights: Rights, caller: Caller) -> None:
        self._library, self._rights, self._caller = library, rights, caller

    def __iter__(self) -> Iterator[Installed]:
        return iter(self._library)

    def by_name(self) -> Mapping[str, Installed]:
        """Return all live definitions by name."""
        return self._library.by_name()

    def get(self, name: str) -> Installed:
        """Return the live definition of that name. Raise NotFound, which names those there are, if there is none."""
        return self._library.get(name)

    def are_read(self) -> bool:
        """Check whether who asks for a definition now, or a moment later, has nothing read first."""
        return self._library.is_fresh()

    def of(self, job: Job) -> Installed:
        """Return the definition that a job was made with, as it was then. Raise NotFound if its files are gone."""
        return self._library.of(job)

    @property
    def problems(self) -> Mapping[str, str]:
        """What is wrong with broken definitions, by name: file, place and reason; nothing for who is no author."""
        return self._library.problems if self._rights.may_draft(self._caller) else {}

    def may_run(self, definition: Definition) -> bool:
        """Check whether the caller may make and run jobs of a definition."""
        return self._rights.may_run(self._caller, definition)

    def require_run(self, definition: Definition) -> None:
        """Raise Forbidden or Unauthorized if the caller may not make and run jobs of a definition."""
        self._rights.require_run(self._caller, definition)
