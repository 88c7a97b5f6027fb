"""The origin of a rerun: the job that is run again, and files that need no upload. Imports the jobs.

A file stands in the values of the request as a token; whoever sends a request from outside cannot know one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from uws_server.jobs.definition import FILE_TYPES, ParameterSpec
from uws_server.jobs.job import ParameterValue
from uws_server.jobs.parameters import Check


@dataclass(frozen=True)
class RerunOrigin:
    """The job that is run again (`parent`) and the one to wait for (`after`), each None for none.

    `files` maps tokens to file values; `placed` places below the job's folder to files that move there; `revision` is
    that of the definition, '' for the live one.
    """

    parent: str | None = None
    after: str | None = None
    files: Mapping[str, ParameterValue] = field(default_factory=dict)
    placed: Mapping[str, Path] = field(default_factory=dict)
    revision: str = ""

    def types(self, types: Mapping[str, Check]) -> Mapping[str, Check]:
        """Return the readers of parameter types, which also take our tokens where a file is expected."""
        if not self.files:
            return types
        return {name: self._bound(check) if name in FILE_TYPES else check for name, check in types.items()}

    def size(self) -> int:
        """Return the size in bytes of the files that come for the job."""
        return sum(path.stat().st_size for path in self.placed.values())

    def _bound(self, check: Check) -> Check:
        def checked(text: str, spec: ParameterSpec) -> ParameterValue:
            return self.files[text] if text in self.files else check(text, spec)

        return checked
