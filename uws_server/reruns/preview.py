"""The plan of a rerun, as values: the request, the files found for it, the steps as a person sees them.

Imports provenance, the inputs and the values of the jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provenance.steps import rerun
from provenance.steps.dependencies import LinkedSteps
from provenance.steps.rerun import Plan, PlannedInput, Value
from uws_server.errors import Problem
from uws_server.jobs.job import Job
from uws_server.reruns.inputs import Found
from uws_server.services.parameters import Upload

_ALL_THE_SAME = "accept_changed=yes (in the command --accept-changed-input) runs with it all the same"


@dataclass(frozen=True)
class RerunRequest:
    """A request for a rerun: changes by parameter, uploads by input, the step to begin with, the target.

    Without `first` as little as possible is run. `accept_changed` lets inputs differ from what was recorded.
    """

    changes: Mapping[str, Value] = field(default_factory=dict)
    uploads: Mapping[str, Upload] = field(default_factory=dict)
    first: int | None = None
    target: str | None = None
    accept_changed: bool = False
    run_id: str | None = None


@dataclass(frozen=True)
class RerunPreview:
    """What a rerun request would do: the linked steps, the plan, and the file found for each input (None: it must be
    uploaded).
    """

    linked: LinkedSteps
    plan: Plan
    found: Mapping[tuple[int, int], Found | None]

    @property
    def asked(self) -> tuple[Problem, ...]:
        """Return the inputs that were not found, each with what is known of it."""
        return tuple(
            Problem(f"{step.number}.{file.name}", _ask_for(file))
            for step, file in self.plan.missing
            if file.given is None and self.found.get((step.number, file.index)) is None
        )

    @property
    def changed(self) -> tuple[Problem, ...]:
        """Return the inputs whose bytes are not those that were recorded."""
        return tuple(
            Problem(f"{step.number}.{file.name}", f"{_differs(file, found)}; {_ALL_THE_SAME}")
            for step, file in self.plan.missing
            if (found := self.found.get((step.number, file.index))) is not None
            and found.same is False
            and not (found.kind == "upload" and file.editable)
        )


@dataclass(frozen=True)
class View:
    """A step as a person sees it: its fields, the file found for each input, and the step that made each, by index.

    `job` is the job of this server that it was, if the reader may see it; `problem` says why it cannot be run again.
    """

    number: int
    task: str
    version: str
    job: Job | None
    fields: tuple[rerun.Field, ...]
    found: Mapping[int, Found | None]
    makers: Mapping[int, int]
    outputs: tuple[str, ...]
    notes: tuple[str, ...]
    problem: str


@dataclass(frozen=True)
class RelatedJobs:
    """The jobs related to a job: the one it runs again, those that run it again, those before and after it."""

    parent: Job | None = None
    reruns: tuple[Job, ...] = ()
    before: Job | None = None
    followers: tuple[Job, ...] = ()


def notes_on(file: PlannedInput, found: Found) -> list[str]:
    """Return the notes that a product's step must record of how its inputs were found."""
    if found.kind == "url" and file.hashes:
        return []  # what comes is held to them when it is fetched
    if found.kind == "url":
        return [f"{file.name}: {found.text} was fetched again; no SHA-256 of what it was is recorded"]
    if found.same is None:
        return [f"{file.name}: {file.path} was taken by its name, as no SHA-256 is recorded"]
    return [] if found.same else [f"{file.name}: {_differs(file, found)}"]


def _ask_for(file: PlannedInput) -> str:
    known = f" (SHA-256 {file.hash})" if file.hash else ""
    named = "/".join(part for part in (file.location, file.path) if part)
    return f"the file {named[:200]}{known} is neither in the archive nor a result that you may see; upload it"


def _differs(file: PlannedInput, found: Found) -> str:
    return (
        f"{Path(found.text).name} ({found.how}) is not the file that was used: its SHA-256 is "
        f"{found.sha256}, {file.hash} is recorded"
    )
