"""Which job came of which, for one caller: the jobs and files upstream or downstream of something. Imports storage.

Jobs are connected by the results that other jobs used. Of a job that the caller may not see nothing is told, not even
its id: what it made is then a file with a hash. What the caller named is told by that name. Steps of other servers,
known from the step lists of files that came from there, precede our jobs. `graph_builder` makes the graph of what is
found.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from provenance import steps
from provenance.graph import ProvenanceGraph, key_of_file, of_steps
from provenance.graph.traversal import ALL, Direction, cut, joined, reached
from provenance.steps import recording
from provenance.text import jsontext
from uws_server.config import Config
from uws_server.errors import NotFound
from uws_server.execution.arrays.plan import folder_of
from uws_server.jobs.job import Job, ParameterValue
from uws_server.services import step_lists
from uws_server.services.graph_builder import About, GraphBuilder
from uws_server.services.job_keys import JobKeys
from uws_server.services.rights import Caller, Rights
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore
from uws_server.storage.library import Library
from uws_server.storage.uses import MOST, Kept, Use, UseStore

_HEX = "[0-9a-f]{32}"
_NAMED = re.compile(rf"(?:this:)?(?:job_|result_)?({_HEX})")
_FILE = re.compile(r"(?:this:)?(?:file_)?([0-9a-f]{64})")
_PUBLISHED = re.compile(rf"ivo://[^?#]+\?({_HEX})", re.IGNORECASE)
"""A publisher's identifier of a result; of another publisher too: the one that this server had before."""
_STORED = re.compile(rf"/store/({_HEX})(?:/[^/?#]*)?$")
_RESULT = re.compile(rf"/rest/[^/]+/({_HEX})/(?:parts/([1-9][0-9]{{0,5}})/)?results/([^/?#]+)$")
_JOB = re.compile(rf"(?:/rest/[^/]+|/jobs)/({_HEX})/?$")
_URN = re.compile(rf"urn:uws-server:({_HEX})(?::(.+))?")


@dataclass(frozen=True)
class Start:
    """Something whose provenance was asked for: its key in the graph, and the ids of the jobs that made or used it."""

    key: str
    jobs: tuple[str, ...]


class Needs(Protocol):
    """The parts of a server that provenance is read from."""

    config: Config
    base_url: str
    rights: Rights
    keys: JobKeys
    files: JobFiles
    store: JobStore
    uses: UseStore
    library: Library


class ProvenanceReader:
    """What one caller may know of where jobs and files come from.

    With `most_made`, a job of very many results has so many of them in the graph, and a file that stands for the rest.
    """

    def __init__(self, needs: Needs, caller: Caller, most_made: int | None = None) -> None:
        self._needs, self._uses, self._caller, self._most_made = needs, needs.uses, caller, most_made
        self._definitions: dict[tuple[str, str], About] = {}

    def find(self, identifier: str) -> Start:
        """Return what an identifier names: a job, a result, or a file by its hash. Raise NotFound for anything else.

        Ids, keys of a provenance document, addresses and publisher DIDs of this server are understood.
        """
        text = identifier.strip()
        if match := _RESULT.search(text):
            return self._result_of(match[1], unquote(match[3]), f"{folder_of(int(match[2]))}/" if match[2] else "")
        if match := _URN.fullmatch(text):
            return self._result_of(match[1], match[2]) if match[2] else self._job_or_result(match[1])
        if match := _PUBLISHED.fullmatch(text):
            return self._job_or_result(match[1].lower())
        if match := _STORED.search(text) or _JOB.search(text) or _NAMED.fullmatch(text):
            return self._job_or_result(match[1])
        if match := _FILE.fullmatch(text):
            makers = self._seen(self._uses.makers(match[1]))
            if makers:
                return self._file(match[1], makers)
        raise NotFound(f"ID: {identifier[:120]!r} is no job, result or file of this server")

    def graph(self, starts: Sequence[Start], direction: Direction, depth: int = ALL) -> ProvenanceGraph:
        """Return the graph of what is at most `depth` relations upstream or downstream of some things."""
        whole = self._whole(starts, direction)
        return cut(whole, reached(whole, [start.key for start in starts], direction, depth))

    def around(self, job: Job, downstream: int = 1) -> ProvenanceGraph:
        """Return the graph of all upstream of a job, the job, and at most `downstream` relations downstream of it."""
        start = Start(f"job_{job.id}", (job.id,))
        upstream = self._whole([start], Direction.BACK)
        later = self._whole([start], Direction.FORWARD)
        keys = reached(upstream, [start.key], Direction.BACK, ALL)
        keys |= reached(later, [start.key], Direction.FORWARD, downstream)
        return cut(joined(upstream, later), keys)

    def inputs(self, job: Job) -> list[tuple[str, ParameterValue, str | None]]:
        """Return the files that a job was given.

        For each: its place below /parameters, its value, and the id of the result that it was of a job that the caller
        may see, or None.
        """
        uses = [use for kept in self._uses.kept([job.id]) for use in kept.used]
        visible = self._visible(uses)
        uses = [use for use in uses if use.result_id in visible]
        results = {(use.name, use.text): use.result_id for use in uses}
        found = []
        for name, value in job.parameters.items():
            for number, part in enumerate(value.each if value.is_file else (), start=1):
                place = f"{name}/{number}" if value.parts else name
                found.append((place, part, results.get((name, recording.redacted(part.text)))))
        return found

    # --- where to start --------------------------------------------------------------------------------

    def _job_or_result(self, some_id: str) -> Start:
        with contextlib.suppress(NotFound):
            return Start(f"job_{some_id}", (self._needs.store.get(some_id).id,))
        maker = self._uses.maker(some_id)
        if maker is None:
            raise NotFound(f"ID: there is no job and no result {some_id!r}")
        return Start(f"result_{some_id}", (maker,))

    def _result_of(self, job_id: str, name: str, below: str = "") -> Start:
        for kept in self._seen([job_id]):
            for result in kept.results:
                if name in (result.name, result.file_name) and result.file.startswith(below):
                    return Start(f"result_{result.id}", (job_id,))
        raise NotFound(f"ID: there is no result {name[:80]!r} of a job {job_id!r}")

    def _seen(self, job_ids: Sequence[str]) -> list[Kept]:
        """Return those of some jobs that the caller may see: an unseen job gives away no id of its results."""
        return [kept for kept in self._uses.kept(job_ids) if self._may_look(kept.job)]

    def _file(self, sha256: str, makers: Sequence[Kept]) -> Start:
        ids = tuple(kept.job.id for kept in makers)
        for kept in makers:
            for result in kept.results:
                if result.sha256 == sha256:
                    return Start(f"result_{result.id}", ids)
        return Start(key_of_file(sha256, ""), ids)

    # --- the whole of it -------------------------------------------------------------------------------

    def _whole(self, starts: Sequence[Start], direction: Direction) -> ProvenanceGraph:
        """Return everything upstream or downstream of some things, as far as the caller may look."""
        first = list(dict.fromkeys(job_id for start in starts for job_id in start.jobs))
        kept = self._uses.kept(self._ids(first, direction), self._most_made)
        kept.sort(key=lambda record: record.job.created)
        seen = {record.job.id: record for record in kept if self._may_look(record.job)}
        named = {start.key for start in starts}
        visible = self._visible(use for record in seen.values() for use in record.used)
        visible |= {key.removeprefix("result_") for key in named}
        wanted = named | {f"result_{result_id}" for result_id in visible}
        builder = GraphBuilder(self._needs.base_url, self._hidden_folders(), self.definition, wanted, self._address)
        for record in kept:
            if record.job.id in seen:
                used = (use if use.result_id in visible else replace(use, result_id=None) for use in record.used)
                builder.add(record._replace(used=tuple(used)))
            else:
                builder.add_hidden(record, named)
        if direction is Direction.BACK:
            for job_id in first:
                if job_id in seen:
                    self._add_step_list(builder, seen[job_id].job)
        return builder.graph()

    def _ids(self, first: Sequence[str], direction: Direction) -> list[str]:
        """Return the ids of all jobs in one direction of some: by what they used, and by what they run again."""
        uses = self._uses
        walk = uses.upstream if direction is Direction.BACK else uses.downstream
        again = uses.parents if direction is Direction.BACK else uses.children
        found: dict[str, None] = {}
        fresh = list(first)
        while fresh and len(found) < MOST:
            walked = walk(fresh)
            found.update(dict.fromkeys(walked))
            fresh = [job_id for job_id in again(walked) if job_id not in found]
        return list(found)[:MOST]

    def _visible(self, used: Iterable[Use]) -> set[str]:
        """Return the ids of those used results whose makers the caller may see."""
        makers = self._uses.makers_of({use.result_id for use in used if use.result_id})
        may_look = {job.id: self._may_look(job) for job in makers.values()}
        return {result_id for result_id, job in makers.items() if may_look[job.id]}

    def _may_look(self, job: Job) -> bool:
        return self._needs.rights.may_look(self._caller, job)

    def _address(self, job_id: str) -> str:
        return self._needs.keys.address(job_id, self._caller)

    def _hidden_folders(self) -> list[Path]:
        config = self._needs.config
        return [
            config.folders.data.absolute(),
            *([config.folders.archive.absolute()] if config.folders.archive else []),
        ]

    def definition(self, job: Job) -> About:
        """Return what is known of the definition that a job was made with."""
        key = (job.definition, job.revision)
        if key not in self._definitions:
            try:
                self._definitions[key] = About.of(self._needs.library.of(job).definition)
            except NotFound:
                self._definitions[key] = About()
        return self._definitions[key]

    def _add_step_list(self, builder: GraphBuilder, job: Job) -> None:
        """Add what the step list of a job holds beyond the database: steps of other servers, software, host."""
        try:
            text = step_lists.read(self._needs.files, job.id)
            listed = jsontext.read(text)["provenance"]
            builder.add_facts(listed)
            if all(builder.knows(f"job_{step.get('job')}") for step in listed):
                return  # a long list of our own jobs: the database has the rest
            recorded = of_steps(steps.parse(text))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return  # the script's own list, and none that can be read
        keys = [activity.key for activity in recorded.activities if not builder.knows(activity.key)]
        unknown = self._uses.kept(key.removeprefix("job_") for key in keys)
        builder.add_recorded(recorded, {f"job_{kept.job.id}" for kept in unknown if not self._may_look(kept.job)})
