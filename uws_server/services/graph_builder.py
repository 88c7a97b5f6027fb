"""A graph made of what the database knows: jobs, the files they used and made, and what step lists tell beside.

Imports provenance, the jobs' values and their storage. Who may see what is for `reader`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from provenance.graph import FACTS, Activity, File, Link, ProvenanceGraph, Value, key_of_file, safe
from provenance.steps import recording
from uws_server.jobs.definition import Definition, ParameterSpec
from uws_server.jobs.job import LOG, Job, ParameterValue, Result
from uws_server.jobs.phases import Phase
from uws_server.storage.uses import Kept, Use

_UNKNOWN = ParameterSpec("", "")


@dataclass(frozen=True)
class About:
    """What a graph tells of a definition; nothing, where it is not known any more."""

    title: str = ""
    description: str = ""
    documentation: str = ""
    parameters: Mapping[str, ParameterSpec] = field(default_factory=dict)
    globs: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(definition: Definition) -> About:
        """What is told of a definition."""
        return About(
            definition.title, definition.description, definition.documentation,
            {spec.name: spec for spec in definition.parameters},
            {spec.name: spec.file for spec in definition.results if any(mark in spec.file for mark in "*?[")},
            {spec.name: spec.description for spec in definition.results},
        )  # fmt: skip


class GraphBuilder:
    """Makes a graph of jobs, results and uses."""

    def __init__(
        self, base_url: str, hide: Sequence[Path], definition: Callable[[Job], About], wanted: set[str]
    ) -> None:
        self._base_url, self._hide, self._definition, self._wanted = base_url, hide, definition, wanted
        self._activities: dict[str, Activity] = {}
        self._files: dict[str, File] = {}
        self._results: dict[str, list[Result]] = {}
        self._parents: dict[str, str] = {}

    def knows(self, key: str) -> bool:
        """Whether an activity of that key was added."""
        return key in self._activities

    def add(self, kept: Kept) -> None:
        """Add a job with all that is known of it."""
        job, key = kept.job, f"job_{kept.job.id}"
        about = self._definition(job)
        values = [(name, value) for name, value in job.parameters.items() if not value.is_file]
        self._results[job.id] = list(kept.results)
        if job.parent:
            self._parents[job.id] = job.parent
        self._activities[key] = Activity(
            key, job.definition, job.version,
            title=about.title, description=about.description, documentation=about.documentation,
            started=job.started, ended=job.ended, agent=job.owner or "",
            parameters=tuple(self._value(name, value, about) for name, value in values),
            used=tuple(self._used(use, about, place) for use, place in zip(kept.used, _places(kept), strict=True)),
            made=tuple(self._made(kept, about)),
            informed_by=(f"job_{job.parent}",) if job.parent else (), facts={"phase": job.phase.value},
        )  # fmt: skip

    def add_hidden(self, kept: Kept) -> None:
        """Add a job that the caller may not see: its id, and the files of it that seen jobs used."""
        key = f"job_{kept.job.id}"
        made = [Link(f"result_{result.id}") for result in kept.results if f"result_{result.id}" in self._wanted]
        for result in kept.results:
            if f"result_{result.id}" in self._wanted:
                self._files.setdefault(f"result_{result.id}", File(f"result_{result.id}", result.file_name))
        used = [Link(f"result_{use.result_id}") for use in kept.used if use.result_id]
        self._activities[key] = Activity(key, made=tuple(made), used=tuple(used), hidden=True)

    def add_facts(self, listed: Iterable[Mapping[str, Any]]) -> None:
        """Add what a step list (as JSON has it) knows of our jobs beside their arguments."""
        for each in listed:
            key = f"job_{each.get('job')}"
            mine = self._activities.get(key)
            if mine is not None and not mine.hidden:
                facts = {name: each[name] for name in FACTS if name in each}
                self._activities[key] = replace(mine, facts={**mine.facts, **facts})

    def add_told(self, told: ProvenanceGraph, hidden: set[str]) -> None:
        """Add what a step list tells: activities that are not ours, and what of it ours used."""
        same = self._same_files(told)
        foreign: dict[str, Activity] = {}
        for each in told.activities:
            mine = self._activities.get(each.key)
            if mine is not None:
                if not mine.hidden:
                    self._activities[each.key] = replace(mine, used=_renamed(mine.used, each.used, same))
                continue
            links = tuple(replace(link, key=same.get(link.key, link.key)) for link in each.used)
            made = Activity(each.key, made=each.made, hidden=True) if each.key in hidden else replace(each, used=links)
            foreign[each.key] = made
            for link in (*made.used, *made.made):
                if link.key in told.files:
                    self._files.setdefault(link.key, told.files[link.key])
        self._activities = {**foreign, **self._activities}

    def graph(self) -> ProvenanceGraph:
        """All that was added."""
        return ProvenanceGraph(tuple(self._activities.values()), self._files, tuple(self._derived()))

    def _same_files(self, told: ProvenanceGraph) -> dict[str, str]:
        """The files of a step list that are results of ours: their keys there and here."""
        same = {}
        for each in told.activities:
            names = {result.file_name: result for result in self._results.get(each.key.removeprefix("job_"), ())}
            for link in each.made:
                result = names.get(told.files[link.key].name)
                if result is not None:
                    same[link.key] = f"result_{result.id}"
                    self._files.setdefault(f"result_{result.id}", self._file(result, None))
        return same

    def _derived(self) -> Iterable[tuple[str, str]]:
        """Results of jobs that run another one again, each with the result of that one that has its name."""
        for job_id, parent in self._parents.items():
            before = {result.name: f"result_{result.id}" for result in self._results.get(parent, ())}
            for result in self._results[job_id]:
                if result.name in before and result.name != LOG:
                    yield f"result_{result.id}", before[result.name]

    def _used(self, use: Use, about: About, place: str) -> Link:
        key = f"result_{use.result_id}" if use.result_id else key_of_file(use.sha256, use.text)
        if key not in self._files:
            said = recording.redacted(use.text, self._hide)
            location = f"{self._base_url}{place}" if place else said
            self._files[key] = File(key, recording.located(said)[1], location, use.sha256)
        return Link(key, use.name, about.parameters.get(use.name, _UNKNOWN).description)

    def _made(self, kept: Kept, about: About) -> list[Link]:
        links, groups = [], dict[str, list[str]]()
        for result in kept.results:
            key = f"result_{result.id}"
            if result.name == LOG and key not in self._wanted:
                continue
            self._files[key] = self._file(result, kept.job)
            links.append(Link(key, result.name, result.description))
            several = recording.collection_of(result.file_name, about.globs) if about.globs else ""
            if several:
                groups.setdefault(several, []).append(key)
        for name, members in groups.items():
            key = f"job_{kept.job.id}.collection.{safe(name)}"
            self._files[key] = File(key, name, description=about.results[name], members=tuple(members))
            links.append(Link(key, name))
        return links

    def _file(self, result: Result, job: Job | None) -> File:
        name = result.file_name
        gone = job is not None and job.phase is Phase.ARCHIVED
        return File(
            f"result_{result.id}", name, "" if gone else f"{self._base_url}/store/{result.id}/{name}", result.sha256,
            result.mime, result.size, result.description, job.ended if job else None,
        )  # fmt: skip

    def _value(self, name: str, value: ParameterValue, about: About) -> Value:
        spec = about.parameters.get(name, _UNKNOWN)
        content = [recording.HIDDEN if recording.is_secret(name) else self._plain(each) for each in value.each]
        return Value(
            name, tuple(content) if value.parts else content[0], spec.unit, spec.description, spec.type, spec.ucd,
            spec.editable,
        )  # fmt: skip

    def _plain(self, value: ParameterValue) -> str | int | float | bool | None:
        return recording.redacted(value.value, self._hide) if isinstance(value.value, str) else value.value


def _places(kept: Kept) -> list[str]:
    """Where each file that a job used may still be had below this server; '' for what was not uploaded, or is gone."""
    counts: dict[str, int] = {}
    places = []
    for use in kept.used:
        given = kept.job.parameters.get(use.name)
        number = counts[use.name] = counts.get(use.name, 0) + 1
        place = f"/rest/{kept.job.definition}/{kept.job.id}/parameters/{use.name}"
        is_there = given is not None and number <= len(given.each) and given.each[number - 1].kind == "upload"
        place += f"/{number}" if given is not None and given.parts else ""
        places.append(place if is_there and kept.job.phase is not Phase.ARCHIVED else "")
    return places


def _renamed(mine: Sequence[Link], told: Sequence[Link], same: Mapping[str, str]) -> tuple[Link, ...]:
    """Used files as the database has them; one it knows by its hash only, as the step list has it."""
    waiting: dict[str, deque[str]] = {}
    for link in told:
        waiting.setdefault(link.role, deque()).append(same.get(link.key, link.key))
    renamed = []
    for link in mine:
        others = waiting.get(link.role)
        key = others.popleft() if others else link.key
        renamed.append(replace(link, key=key) if link.key.startswith("file_") else link)
    return tuple(renamed)
