"""The inputs of one new job of a job sequence: texts, files that are copied or used where they are, notes.

Every file that is copied belongs to the job inputs until a job has taken it; `discard` removes what is left.
Imports provenance, storage and its neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from provenance.steps.rerun import PlannedInput
from uws_server.execution.fetch import NOTES_FILE, RECORDED_FILE
from uws_server.jobs.definition import Definition, ParameterSpec
from uws_server.jobs.job import ParameterValue, new_id
from uws_server.reruns import sources
from uws_server.reruns.inputs import Found
from uws_server.reruns.preview import notes_on
from uws_server.storage.files import copy, safe_name


class JobInputs:
    """The inputs of a new job, gathered one by one; `spool` gives a new empty file on the disk of the jobs.

    `values` are texts by parameter. A file that is no text stands there as a token, whose value is in `tokens`;
    `placed` are the files to move into the job's folder, by their place below it.
    """

    def __init__(self, spool: Callable[[], Path], values: dict[str, list[str]], notes: Sequence[str]) -> None:
        self.values = values
        self.tokens: dict[str, ParameterValue] = {}
        self.placed: dict[str, Path] = {}
        self._spool = spool
        self._notes = list(notes)
        self._files: dict[str, list[ParameterValue | str]] = {}
        self._taken: dict[Path, ParameterValue] = {}
        self._recorded: dict[str, Any] = {}

    def add(self, spec: ParameterSpec, value: ParameterValue | str) -> None:
        """Add one more file of a parameter: a value, or the text that stands for one."""
        self._files.setdefault(spec.name, []).append(value)

    def add_found(self, spec: ParameterSpec, file: PlannedInput, found: Found, accept_changed: bool) -> None:
        """Add one more file of a parameter: one that was found, or a URL that is fetched when the job runs."""
        if found.kind == "url":
            if file.hashes:
                self._recorded[found.text] = {"sha256": file.hashes, "accept_changed": accept_changed}
            self.add(spec, found.text)
        else:
            if found.path not in self._taken:  # of a file that stands twice one copy is enough
                self._taken[found.path] = self._take(found, spec.name)
            self.add(spec, self._taken[found.path])
        self._notes += notes_on(file, found)

    def complete(self, definition: Definition) -> None:
        """Put the files among the values, and what the script needs to know beside the parameters among the files."""
        for name, parts in self._files.items():
            spec = sources.spec_of(definition, name, name)
            here = [part for part in parts if isinstance(part, ParameterValue)]
            together = spec.max_values == 1 and (len(here) > 1 or spec.type == "observation")  # one value, some files
            many = [ParameterValue.several(here)] if together else parts
            named = {part if isinstance(part, str) else f"{spec.name}-{new_id()}": part for part in many}
            self.tokens |= {token: part for token, part in named.items() if isinstance(part, ParameterValue)}
            self.values[name] = list(named)
        for place, content in ((NOTES_FILE, self._notes), (RECORDED_FILE, self._recorded)):
            if content:
                self.placed[place] = self._spool()
                self.placed[place].write_text(json.dumps(content), encoding="utf-8")

    def discard(self) -> None:
        """Remove the copies that no job took."""
        for path in self.placed.values():
            path.unlink(missing_ok=True)

    def _take(self, found: Found, name: str) -> ParameterValue:
        """Return a found file as a value: the archive's by its path, any other as a copy for the new job's folder."""
        if found.kind == "archive":
            return ParameterValue(found.text, str(found.path), "archive")
        plain = safe_name(found.text)
        place = f"inputs/{name}-{plain}"
        number = 1
        while place in self.placed:
            number += 1
            place = f"inputs/{name}-{number}-{plain}"
        self.placed[place] = self._spool()
        copy(found.path, self.placed[place])
        return ParameterValue(found.text if "://" in found.text else plain, place, "upload")
