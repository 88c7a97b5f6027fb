"""The work of jobs that are spread over a parameter; any other is left to another kind of work. Imports its neighbours.

The parts are read as jobs of their own: each has its step, with its own input and products, and its products are
results of the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from provenance import steps
from provenance.fits.digests import digests
from provenance.text.errors import ProvenanceError
from uws_server.config import Config
from uws_server.execution import job_steps, local, products, results
from uws_server.execution.arrays import journal, listing, plan, planning, sharing, verdict
from uws_server.execution.arrays.plan import Plan
from uws_server.execution.arrays.verdict import Verdict
from uws_server.execution.hashes import Hashes
from uws_server.execution.job_steps import Digesting, EndedJob
from uws_server.execution.products import Products
from uws_server.execution.results import LOG_RESULT
from uws_server.execution.work import Outcome, Work
from uws_server.jobs.job import Job, ParameterValue, Result
from uws_server.jobs.part import Held, Part
from uws_server.jobs.phases import Phase
from uws_server.storage.failures import meaning_of
from uws_server.storage.files import STEPS_FILE, sha256_of
from uws_server.storage.library import Installed
from uws_server.storage.plainfiles import write_bytes
from uws_server.storage.uses import Use

_NOT_BEGUN = "the job ended before it began"
_ENDED_OUTSIDE = "it was ended on the cluster, not with the job"
_CUT_OFF = frozenset({"abort", "timeout", "disk"})
"""Reasons for which a job was ended: its parts were then ended with it."""


@dataclass(frozen=True)
class ArrayWork:
    """The work of arrays; `single` is for all other jobs."""

    config: Config
    base_url: str
    single: Work

    def prepare(self, job: Job, installed: Installed, folder: Path, secrets: Path | None = None) -> dict[str, Any]:
        """Prepare the folder of a job that is about to run; `secrets` is that of what it was given, None for nothing.

        Return the content of its `launch.json`.
        """
        if not planning.is_array(job, installed.definition):
            job, single = planning.without_parts(job, installed.definition)
            return self.single.prepare(job, replace(installed, definition=single), folder, secrets)
        return planning.prepare(job, installed, folder, self.config, self.base_url, secrets)

    def share(self, folder: Path, places: int) -> None:
        """Tell a job how many of its parts may run at a time, if it has parts and was told something else before."""
        if (folder / plan.PLAN_FILE).exists():
            sharing.tell(folder, places)

    def held(self, folder: Path) -> Held | None:
        """Return how many places a job holds that has heard what it was told last; None before, or without parts."""
        return sharing.answer(folder)

    def outcome(self, ended: EndedJob, status: local.Status | None) -> Outcome:
        """Return what a job left whose supervisor has ended: that of its parts and of its last script."""
        if not planning.is_array(ended.job, ended.definition):
            job, single = planning.without_parts(ended.job, ended.definition)
            return self.single.outcome(replace(ended, job=job, definition=single), status)
        try:
            planned = plan.read(ended.folder)
            planning.require_fitting(planned, ended.job)
        except (OSError, ValueError) as error:
            return Outcome(Products(_log(ended.folder), (f"{plan.PLAN_FILE} cannot be read: {error}",), ()))
        return _Collector(ended, planned, status, Hashes(self.config.folders.data).of).outcome()


class _Collector:
    """Collects what one array left; `digest_of` hashes the files that its parts were given."""

    def __init__(self, ended: EndedJob, planned: Plan, status: local.Status | None, digest_of: Digesting) -> None:
        self.ended, self.plan, self.status, self.digest_of = ended, planned, status, digest_of
        self.found: list[Products] = []
        self.inherited: list[tuple[steps.Step, ...]] = []
        self.uses: dict[int, tuple[Use, ...]] = {}

    def outcome(self) -> Outcome:
        """Return what the job left, and write its list of steps."""
        parts = [self.part(number) for number in range(1, len(self.plan.inputs) + 1)]
        made = [result for found in self.found for result in found.results]
        used = self.used()
        if self.plan.gather is not None and local.claimed(self.ended.folder / plan.GATHERED_FOLDER):
            made = [*self.gathered(made), *made]  # what it was all for comes first
        notes = [note for found in self.found for note in found.notes] + self.write_steps()
        whole = Products((*_unique(made), *_log(self.ended.folder)), tuple(notes), (), used)
        is_well = self.status is not None and (self.status.reason, self.status.code) == ("exit", 0)
        return Outcome(whole, warning_of(parts) if is_well else "", tuple(parts), self.reason())

    def reason(self) -> str:
        """Return why the job failed if the driver could not say it; '' if it could."""
        if self.status is None or self.status.reason != "exit" or self.status.code >= 0:
            return ""
        return f"what runs the parts of the job was ended by signal {-self.status.code}: run the failed parts again"

    def part(self, number: int) -> Part:
        """Collect what a part left, and return how it ended."""
        text = self.plan.inputs[number - 1].text
        place = self.ended.folder / plan.folder_of(number)
        ended = verdict.of_part(place, self.plan.part, self.plan.statuses)
        if ended is None:
            was_cut_off = self.status is None or self.status.reason != "exit" or self.status.code < 0
            is_early = was_cut_off or not journal.is_kept(self.ended.folder)  # as inputs could not be fetched
            ended = Verdict(Phase.ABORTED, _NOT_BEGUN) if is_early else verdict.of_unbegun(self.ended.folder)
            return Part(number, text, ended.phase, sentence=ended.sentence)
        if ended.status is None and (self.status is None or self.status.reason in _CUT_OFF):
            ended = Verdict(Phase.ABORTED, "it was ended with the job")
        elif ended.phase is Phase.ABORTED and self.status is not None and self.status.reason == "exit":
            ended = ended._replace(sentence=_ENDED_OUTSIDE)
        started, moment = _moments(ended.status, self.ended.ended)
        definition = planning.definition_of_parts(self.ended.definition)
        job = planning.of_part(self.ended.job, self.ended.definition, number, self.ended.folder)
        url = f"{self.plan.url}/{number}/results"
        below = f"{plan.folder_of(number)}/"
        ended_part = EndedJob(replace(job, started=started), definition, place, url, moment)
        self.collect(ended_part, below, f"_part{number}", self.digest_of)
        self.uses[number] = self.found[-1].used
        stage = listing.last_stage(place)
        return Part(number, text, ended.phase, started, moment, ended.sentence, stage)

    def gathered(self, made: Sequence[Result]) -> Sequence[Result]:
        """Collect what the last script left, which used what the parts made."""
        job, definition, folder = self.ended.job, self.ended.definition, self.ended.folder
        place = folder / plan.GATHERED_FOLDER
        files = [
            ParameterValue(f"{self.plan.url}/{_number(result)}/results/{result.file_name}",
                           str(folder / result.file), "archive")
            for result in made
        ]  # fmt: skip
        last = planning.of_gather(job, definition, folder, files)
        started, moment = _moments(local.status(place), self.ended.ended)
        whole = EndedJob(
            replace(last, started=started), planning.definition_of_gather(definition), place, self.ended.results_url,
            moment,
        )  # fmt: skip
        self.collect(whole, f"{plan.GATHERED_FOLDER}/", "", digests)
        return self.found[-1].results

    def collect(self, ended: EndedJob, below: str, suffix: str, digest_of: Digesting) -> None:
        """Collect what lies in the folder of a part, or of the last script."""
        # the list of the whole, which is written last, is brought to the disk
        found = products.collect(
            ended.job, ended.definition, ended.folder, ended.results_url, ended.ended, digest_of, lambda _: None
        )
        named = [
            replace(result, name=f"{result.name}{suffix}", file=f"{below}{result.file}")
            for result in found.results
            if result.name != LOG_RESULT.name
        ]
        self.found.append(replace(found, results=tuple(named)))
        try:
            self.inherited.append(steps.read(ended.folder / STEPS_FILE))
        except (OSError, ProvenanceError):
            return  # which the notes say

    def used(self) -> tuple[Use, ...]:
        """Return the files that the job was given, in its order, with the hashes in the steps of its parts."""
        by_part = {number: {(use.name, use.text): use for use in uses} for number, uses in self.uses.items()}
        of_any = {key: use for uses in by_part.values() for key, use in uses.items()}
        number, found = 0, []
        for use in job_steps.uses_of(self.ended.job, ()):
            number += use.name == self.plan.parameter
            known = by_part.get(number, {}) if use.name == self.plan.parameter else of_any
            found.append(known.get((use.name, use.text), use))
        return tuple(found)

    def write_steps(self) -> list[str]:
        """Write the steps of all parts and of the last script into the folder of the job. Return notes for the log."""
        try:
            text = steps.dump(steps.merge(*self.inherited))
            write_bytes(self.ended.folder / STEPS_FILE, text.encode("ascii") + b"\n")
        except (OSError, ProvenanceError) as error:
            if meaning_of(error):
                raise  # the job is registered when there is room
            return [f"{STEPS_FILE} cannot be written: {error}"]
        return []


def warning_of(parts: Sequence[Part]) -> str:
    """Return the warning with which a job ends of which at least one part succeeded; '' where nothing is to be said."""
    failed = sum(part.phase is not Phase.COMPLETED for part in parts)
    excused = [part.sentence for part in parts if part.phase is Phase.COMPLETED and part.sentence]
    told = [f"{failed:,} of {len(parts):,} parts failed"] if failed else []
    if excused:
        told.append(excused[0] if len(parts) == 1 else f"{len(excused):,} of {len(parts):,} parts: {excused[0]}")
    return "; ".join(told)


def _moments(status: local.Status | None, otherwise: datetime) -> tuple[datetime | None, datetime]:
    """When a script began and ended, by what its supervisor left."""
    if status is None:
        return None, otherwise
    return datetime.fromtimestamp(status.start, UTC), datetime.fromtimestamp(status.end, UTC)


def _number(result: Result) -> int:
    """The number of the part that made a result."""
    return int(result.file.split("/")[1])


def _unique(made: Sequence[Result]) -> list[Result]:
    """The results, of which a later one gets another name if an earlier one has it."""
    taken: set[str] = {LOG_RESULT.name}
    found = []
    for result in made:
        name, number = result.name, 1
        while name in taken:
            number += 1
            name = f"{result.name}_{number}"
        taken.add(name)
        found.append(replace(result, name=name))
    return found


def _log(folder: Path) -> tuple[Result, ...]:
    """The log of the job as a result; none where it is missing."""
    log = folder / LOG_RESULT.file
    if not log.is_file():
        return ()
    found = results.FoundResult(LOG_RESULT.name, log, LOG_RESULT)
    return (results.describe(found, folder, sha256_of(log)),)
