"""Builds a provenance graph of what the database knows, jobs and the files they used and made, and of step lists.

Imports provenance, the jobs' values and their storage. Who may see what is decided in `services.provenance`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from provenance.graph import FACTS, Activity, File, Link, ProvenanceGraph, Value, key_of_file, safe
from provenance.steps import recording
from uws_server.jobs.definition import Definition, ParameterSpec
from uws_server.jobs.job import LOG, Job, ParameterValue, Result
from uws_server.jobs.phases import Phase
from uws_server.services.job_results import store_address
from uws_server.storage.uses import Kept, Use

_UNKNOWN = ParameterSpec("", "")


@dataclass(frozen=True)
class About:
    """What a graph shows of a job definition; empty for a definition that is no longer known."""

    title: str = ""
    description: str = ""
    documentation: str = ""
    parameters: Mapping[str, ParameterSpec] = field(default_factory=dict)
    globs: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(definition: Definition) -> About:
        """Return what a graph shows of a definition."""
        return About(
            definition.title, definition.description, definition.documentation,
            {spec.name: spec for spec in definition.parameters},
            {spec.name: spec.file for spec in definition.results if any(mark in spec.file for mark in "*?[")},
            {spec.name: spec.description for spec in definition.results},
        )  # fmt: skip


class GraphBuilder:
    """Builds the graph of jobs, results and used files; `address` returns what names a job, by its id, in addresses."""

    def __init__(
        self,
        base_url: str,
        hide: Sequence[Path],
        definition: Callable[[Job], About],
        wanted: set[str],
        address: Callable[[str], str] = str,
    ) -> None:
        self._base_url, self._hide, self._definition, self._wanted = base_url, hide, definition, wanted
        self._address = address
        self._activities: dict[str, Activity] = {}
        self._files: dict[str, File] = {}
        self._results: dict[str, list[Result]] = {}
        self._parents: dict[str, str] = {}

    def knows(self, key: str) -> bool:
        """Check whether an activity with that key was added which the caller may see."""
        return key in self._activities and not self._activities[key].hidden

    def add(self, kept: Kept) -> None:
        """Add a job with all that is known of it."""
        job, key = kept.job, f"job_{kept.job.id}"
        about = self._definition(job)
        values = [(name, value) for name, value in job.parameters.items() if not value.is_file]
        places = _addresses(kept, self._address)
        self._results[job.id] = list(kept.results)
        if job.parent:
            self._parents[job.id] = job.parent
        self._activities[key] = Activity(
            key, job.definition, job.version,
            title=about.title, description=about.description, documentation=about.documentation,
            started=job.started, ended=job.ended, agent=job.owner or "",
            parameters=tuple(self._value(name, value, about) for name, value in values),
            used=tuple(self._used(use, about, place) for use, place in zip(kept.used, places, strict=True)),
            made=tuple(self._made(kept, about)),
            informed_by=(f"job_{job.parent}",) if job.parent else (), facts={"phase": job.phase.value},
        )  # fmt: skip

    def add_hidden(self, kept: Kept, named: Collection[str]) -> None:
        """Add of a job that the caller may not see what the caller named, by a key: its id, a result of it."""
        for result in kept.results:
            if f"result_{result.id}" in named:
                self._files.setdefault(f"result_{result.id}", File(f"result_{result.id}", result.file_name))
        if f"job_{kept.job.id}" in named:
            self._activities[f"job_{kept.job.id}"] = Activity(f"job_{kept.job.id}", hidden=True)

    def add_facts(self, listed: Iterable[Mapping[str, Any]]) -> None:
        """Add what a step list (as JSON has it) says of our jobs besides their arguments."""
        for step in listed:
            key = f"job_{step.get('job')}"
            mine = self._activities.get(key)
            if mine is not None and not mine.hidden:
                facts = {name: step[name] for name in FACTS if name in step}
                self._activities[key] = replace(mine, facts={**mine.facts, **facts})

    def add_recorded(self, recorded: ProvenanceGraph, hidden: set[str]) -> None:
        """Add the graph of a step list: activities of other servers, and the files of theirs that our jobs used.

        Of the activities with the `hidden` keys only the files are told, by their hashes.
        """
        alone = self._files_alone(recorded, hidden)
        same = self._same_files(recorded) | alone
        foreign: dict[str, Activity] = {}
        for activity in recorded.activities:
            if activity.key in hidden:
                continue
            mine = self._activities.get(activity.key)
            if mine is not None:
                self._activities[activity.key] = replace(mine, used=_renamed(mine.used, activity.used, same, alone))
                continue
            links = tuple(replace(link, key=same.get(link.key, link.key)) for link in activity.used)
            foreign[activity.key] = theirs = replace(activity, used=links)
            for link in (*theirs.used, *theirs.made):
                if link.key in recorded.files:
                    self._files.setdefault(link.key, recorded.files[link.key])
        self._activities = {**foreign, **self._activities}

    def _files_alone(self, recorded: ProvenanceGraph, hidden: set[str]) -> dict[str, str]:
        """Return the files that some activities made: their keys in the step list, and those of what they hold."""
        alone = {}
        for link in (link for activity in recorded.activities if activity.key in hidden for link in activity.made):
            file = recorded.files[link.key]
            if not file.members:
                alone[link.key] = key_of_file(file.sha256, link.key)
                self._files.setdefault(alone[link.key], File(alone[link.key], file.name, sha256=file.sha256))
        return alone

    def graph(self) -> ProvenanceGraph:
        """Return the graph of all that was added."""
        return ProvenanceGraph(tuple(self._activities.values()), self._files, tuple(self._derived()))

    def _same_files(self, recorded: ProvenanceGraph) -> dict[str, str]:
        """Return the files of a step list that are results of ours: their keys there and here."""
        same = {}
        for activity in recorded.activities:
            names = {result.file_name: result for result in self._results.get(activity.key.removeprefix("job_"), ())}
            for link in activity.made:
                result = names.get(recorded.files[link.key].name)
                if result is not None:
                    same[link.key] = f"result_{result.id}"
                    self._files.setdefault(f"result_{result.id}", self._file(result, None))
        return same

    def _derived(self) -> Iterable[tuple[str, str]]:
        """Yield each result of a job that runs another one again, with the result of that job that has its name."""
        for job_id, parent in self._parents.items():
            before = {result.name: f"result_{result.id}" for result in self._results.get(parent, ())}
            for result in self._results[job_id]:
                if result.name in before and result.name != LOG:
                    yield f"result_{result.id}", before[result.name]

    def _used(self, use: Use, about: About, place: str) -> Link:
        key = f"result_{use.result_id}" if use.result_id else key_of_file(use.sha256, use.text)
        if key not in self._files:
            redacted = recording.redacted(use.text, self._hide)
            location = f"{self._base_url}{place}" if place else redacted
            self._files[key] = File(key, recording.located(redacted)[1], location, use.sha256)
        return Link(key, use.name, about.parameters.get(use.name, _UNKNOWN).description)

    def _made(self, kept: Kept, about: About) -> list[Link]:
        links, groups = [], dict[str, list[str]]()
        for result in kept.results:
            key = f"result_{result.id}"
            if result.name == LOG and key not in self._wanted:
                continue
            self._files[key] = self._file(result, kept.job)
            links.append(Link(key, result.name, result.description))
            collection = recording.collection_of(result.file_name, about.globs) if about.globs else ""
            if collection:
                groups.setdefault(collection, []).append(key)
        for name, members in groups.items():
            key = f"job_{kept.job.id}.collection.{safe(name)}"
            self._files[key] = File(key, name, description=about.results[name], members=tuple(members))
            links.append(Link(key, name))
        if kept.left_out:
            links.append(self._rest(kept))
        return links

    def _rest(self, kept: Kept) -> Link:
        """Return the link to what stands for the results that are left out, and leads to the list of all of them."""
        job = kept.job
        key = f"job_{job.id}.rest"
        gone = job.phase is Phase.ARCHIVED
        address = "" if gone else f"{self._base_url}/rest/{job.definition}/{job.id}/results"
        self._files[key] = File(key, f"{kept.left_out:,} more results", address)
        return Link(key)

    def _file(self, result: Result, job: Job | None) -> File:
        name = result.file_name
        gone = job is not None and job.phase is Phase.ARCHIVED
        return File(
            f"result_{result.id}", name, "" if gone else store_address(self._base_url, result.id, name), result.sha256,
            result.mime, result.size, result.description, job.ended if job else None,
        )  # fmt: skip

    def _value(self, name: str, value: ParameterValue, about: About) -> Value:
        spec = about.parameters.get(name, _UNKNOWN)
        content = [recording.HIDDEN if recording.is_secret(name) else self._plain(part) for part in value.each]
        return Value(
            name, tuple(content) if value.parts else content[0], spec.unit, spec.description, spec.type, spec.ucd,
            spec.editable,
        )  # fmt: skip

    def _plain(self, value: ParameterValue) -> str | int | float | bool | None:
        return recording.redacted(value.value, self._hide) if isinstance(value.value, str) else value.value


def _addresses(kept: Kept, address: Callable[[str], str]) -> list[str]:
    """Return the address path of each file that a job used, below this server's address.

    It is '' for a file that was not uploaded or is gone.
    """
    counts: dict[str, int] = {}
    places = []
    for use in kept.used:
        given = kept.job.parameters.get(use.name)
        number = counts[use.name] = counts.get(use.name, 0) + 1
        place = f"/rest/{kept.job.definition}/{address(kept.job.id)}/parameters/{use.name}"
        is_there = given is not None and number <= len(given.each) and given.each[number - 1].kind == "upload"
        place += f"/{number}" if given is not None and given.parts else ""
        places.append(place if is_there and kept.job.phase is not Phase.ARCHIVED else "")
    return places


def _renamed(
    mine: Sequence[Link], recorded: Sequence[Link], same: Mapping[str, str], alone: Collection[str]
) -> tuple[Link, ...]:
    """Return used files as the database has them; a file it knows only by its hash gets the key of the step list.

    One of the files `alone` keeps its own: of the step that made it nothing is told.
    """
    waiting: dict[str, deque[str]] = {}
    for link in recorded:
        waiting.setdefault(link.role, deque()).append(link.key if link.key in alone else same.get(link.key, link.key))
    renamed = []
    for link in mine:
        others = waiting.get(link.role)
        key = others.popleft() if others else link.key
        renamed.append(replace(link, key=key) if link.key.startswith("file_") and key not in alone else link)
    return tuple(renamed)
