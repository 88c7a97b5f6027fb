"""Runs the parts of a job that failed again: as a new job of only those. Imports the job service and the store."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from uws_server.errors import Forbidden
from uws_server.jobs.definition import ParameterSpec
from uws_server.jobs.job import Job, ParameterValue, new_id
from uws_server.jobs.parameters import texts_of
from uws_server.jobs.phases import ENDED
from uws_server.jobs.rerun_origin import RerunOrigin
from uws_server.services.context import Services
from uws_server.services.job_service import JobService
from uws_server.services.parameters import Request


class FailedParts:
    """The failed parts of jobs, for one caller."""

    def __init__(self, services: Services, job_service: JobService) -> None:
        self._services, self._job_service = services, job_service

    def make(self, job: Job) -> Job:
        """Make a job, PENDING, of the parts of a job that failed: with its parameters, files and version.

        Raise Forbidden if the caller may not change the job, or no part of it failed.
        """
        service = self._job_service
        if not service.may_change(job):
            raise Forbidden(f"job {job.id}: only who may change a job runs its failed parts again")
        failed = [part.number for part in service.parts.failed(job)] if job.phase in ENDED else []
        spread = service.definitions.of(job).definition.spread
        if not failed or spread is None:
            raise Forbidden(f"job {job.id} is {job.phase}: no part of it has failed")
        values = _Values(self._services, service, job)
        try:
            for name, value in job.parameters.items():
                spec = service.definitions.of(job).definition.parameter(name)
                wanted = failed if name == spread.name else range(1, len(value.each) + 1)
                values.add(name, spec, value, wanted)
            origin = RerunOrigin(job.id, None, values.tokens, values.placed, job.revision)
            request = Request(
                values.texts, run_id=job.run_id, execution_duration=job.execution_duration, origin=origin
            )  # fmt: skip
            return service.create(job.definition, request)
        finally:
            values.discard()


class _Values:
    """The values of the new job: texts, and tokens for files; `placed` are copies of uploaded files."""

    def __init__(self, services: Services, service: JobService, job: Job) -> None:
        self._spool, self._service, self._job = services.spool, service, job
        self.texts: dict[str, list[str]] = {}
        self.tokens: dict[str, ParameterValue] = {}
        self.placed: dict[str, Path] = {}

    def add(self, name: str, spec: ParameterSpec | None, value: ParameterValue, numbers: Iterable[int]) -> None:
        """Add those values of a parameter that have some numbers, from 1 on."""
        if not value.is_file:
            texts = texts_of(value)
            self.texts[name] = [texts[number - 1] for number in numbers]
            return
        files = []
        for number in numbers:
            file = value.each[number - 1]
            if file.kind == "upload":
                self.placed[str(file.value)] = self._service.copied_input(self._job, name, number)
            files.append(file)
        # of a parameter that takes one value (an observation) all files are that one
        together = [ParameterValue.several(files)] if spec is not None and spec.max_values == 1 else files
        named = {f"{name}-{new_id()}": each for each in together}
        self.tokens |= named
        self.texts[name] = list(named)

    def discard(self) -> None:
        """Remove the copies that no job took."""
        for path in self.placed.values():
            path.unlink(missing_ok=True)
