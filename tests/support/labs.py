"""A server on which a test runs jobs, and runs them again: over HTTP, as a program does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from serving import Served
from uws_server import client
from uws_server.client import JobState


@dataclass(frozen=True)
class Lab:
    """A running server and the folder that holds its data and, as `archive`, its observations."""

    served: Served
    folder: Path

    @property
    def url(self) -> str:
        return self.served.url

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    def run(
        self, name: str, values: Mapping[str, str | Sequence[str]], files: Mapping[str, Any] | None = None
    ) -> JobState:
        """The end of a new job."""
        return client.follow(client.create(f"{self.url}/rest/{name}", values, files), lambda state: None)

    def rerun(self, job: str, **values: Any) -> requests.Response:
        """The answer to running a job again."""
        return requests.post(f"{job}/rerun", data={"PHASE": "RUN", **values}, allow_redirects=False, timeout=300)

    def again(self, job: str, **values: Any) -> JobState:
        """The end of a job run again."""
        answer = self.rerun(job, **values)
        assert answer.status_code == 303, answer.text
        return client.follow(answer.headers["Location"], lambda state: None)

    def reprocess(self, listed: Any, **more: Any) -> requests.Response:
        """The answer to running a step list again."""
        document = {"provenance": listed, **more} if isinstance(listed, list) else listed
        return requests.post(f"{self.url}/reprocessing", json=document, allow_redirects=False, timeout=300)

    def products(self, job: JobState, folder: Path) -> dict[str, Path]:
        """Every result of a job that was completed, downloaded."""
        assert job.phase == "COMPLETED", job.error
        folder.mkdir(exist_ok=True)
        return {result.name: client.download(result, folder) for result in job.results}
