"""The work of jobs that are queries, on disk: any other job is left to another kind of work. Imports execution."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from uws_server.execution import local
from uws_server.execution.job_steps import EndedJob
from uws_server.execution.products import Products
from uws_server.execution.work import Outcome, Work
from uws_server.jobs.job import Job, Result, new_id
from uws_server.jobs.part import Held
from uws_server.storage.files import read_json, sha256_of
from uws_server.storage.library import Installed
from uws_server.tap.jobs.definition import NAME

OUTCOME_FILE: Final = "query.json"
"""What became of a query, in the folder of its job: file and media type of the result, or why there is none."""


@dataclass(frozen=True)
class QueryWork:
    """The work of queries; `others` is for all other jobs."""

    others: Work

    def prepare(self, job: Job, installed: Installed, folder: Path, secrets: Path | None = None) -> dict[str, Any]:
        """Prepare the folder of a job that is about to run. Return the content of its `launch.json`; {} for a query."""
        if job.definition != NAME:
            return self.others.prepare(job, installed, folder, secrets)
        (folder / "results").mkdir(exist_ok=True)
        (folder / OUTCOME_FILE).unlink(missing_ok=True)
        return {}

    def share(self, folder: Path, places: int) -> None:
        """Tell a job how many of its parts may run at a time."""
        self.others.share(folder, places)

    def held(self, folder: Path) -> Held | None:
        """Return how many places a job holds that has heard what it was told last."""
        return self.others.held(folder)

    def outcome(self, ended: EndedJob, status: local.Status | None) -> Outcome:
        """Return what a job left that has ended."""
        if ended.job.definition != NAME:
            return self.others.outcome(ended, status)
        told = read_json(ended.folder / OUTCOME_FILE)
        path = ended.folder / "results" / str(told.get("file", ""))
        if not told.get("file") or not path.is_file():
            return Outcome(Products((), (), ()), reason=str(told.get("reason", "")))
        result = Result(
            new_id(), "result", f"results/{path.name}", str(told["mime"]), path.stat().st_size, sha256_of(path),
            ended.definition.results[0].description,
        )  # fmt: skip
        return Outcome(Products((result,), (), ()), str(told.get("warning", "")), reason=str(told.get("reason", "")))


def write_outcome(folder: Path, **told: str) -> None:
    """Leave what became of a query in the folder of its job."""
    (folder / OUTCOME_FILE).write_text(json.dumps(told), encoding="utf-8")
