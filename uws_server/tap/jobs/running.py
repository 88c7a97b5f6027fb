"""One query of a job, from its parameters to the file of its result. Imports its neighbours and what fetches URLs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path

from uws_server.config import Config
from uws_server.errors import BadRequest, ServerError
from uws_server.execution import fetch
from uws_server.jobs.job import Job
from uws_server.tap.formats.answer import Answer
from uws_server.tap.jobs.definition import FILES
from uws_server.tap.jobs.work import write_outcome
from uws_server.tap.query.budget import Budget, TimedOut
from uws_server.tap.query.connections import Connection
from uws_server.tap.query.request import QueryRequest, read_request
from uws_server.tap.query.service import Owners, Queries, require_files
from uws_server.tap.upload.request import MOST_BYTES, UploadPair


class QueryRun:
    """The query of a job; `owners` are those whose rows its owner may see."""

    def __init__(self, job: Job, folder: Path, queries: Queries, config: Config, owners: Owners) -> None:
        self._job, self._folder, self._queries, self._config, self._owners = job, folder, queries, config, owners
        self._budget = Budget(job.execution_duration)
        self._may_go_on = threading.Event()
        self._may_go_on.set()
        self._connection: Connection | None = None

    def run(self) -> tuple[str, int]:
        """Run the query. Return the reason for which it ended and its status, as those of a script."""
        try:
            request = read_request({name.upper(): [self._job.parameters[name].text] for name in self._job.parameters})
            answer = self._queries.answer(request, self._owners, self._files(request), self._budget, self._opened)
            self._write(request, answer)
        except TimedOut:
            return "timeout", -15
        except ServerError as error:
            write_outcome(self._folder, reason=str(error))
            return "exit", 1
        return "exit", 0

    def cancel(self) -> None:
        """Have the query stopped; called from any thread."""
        self._budget.cancel()
        self._may_go_on.set()
        connection: object = self._connection
        if hasattr(connection, "cancel"):
            connection.cancel()

    def hold(self) -> None:
        """Have no more rows written."""
        self._may_go_on.clear()

    def go_on(self) -> None:
        """Have rows written again."""
        self._may_go_on.set()

    def _opened(self, connection: Connection) -> None:
        self._connection = connection

    def _files(self, request: QueryRequest) -> Mapping[str, Path]:
        """Return the files of the uploaded tables by their names; those at URLs are fetched."""
        value = self._job.parameters.get(FILES)
        places = iter([str(part.value) for part in value.each] if value is not None else [])
        files = {}
        for pair in request.uploads:
            if pair.url:
                files[pair.name] = fetched(pair, self._folder, self._config)
            elif (place := next(places, None)) is not None:
                files[pair.name] = self._folder / place
        require_files(request, files)
        return files

    def _write(self, request: QueryRequest, answer: Answer) -> None:
        """Write the result. Raise BadRequest if its rows could not be read to their end."""
        name = f"result.{request.format.suffix}"
        path = self._folder / "results" / name
        written, most = 0, self._config.jobs.max_disk
        with contextlib.closing(answer), path.open("wb") as stream:
            for piece in request.format.write()(answer):
                written += stream.write(piece)
                if most and written > most:
                    answer.failed = f"the result has more than {most:,} bytes, the most that a job may write"
                    break
                self._may_go_on.wait()
        if answer.failed:
            path.unlink()
            self._budget.require_left()
            raise BadRequest(answer.failed)
        write_outcome(self._folder, file=name, mime=request.format.mime)


def fetched(pair: UploadPair, folder: Path, config: Config) -> Path:
    """Return the file of an uploaded table that is at a URL, by the rules for URLs of jobs. Raise BadRequest."""
    rules = fetch.Rules.of(config)
    place = f"inputs/upload-{pair.name.lower()}"
    item = {"url": pair.url, "place": place, "most": min(config.remote.max_fetch, MOST_BYTES), "name": pair.name,
            "schemes": rules.schemes, "hosts": rules.hosts, "private": rules.private}  # fmt: skip
    try:
        rules.require(pair.url)
        fetch.fetch(item, folder)
    except fetch.Refused as error:
        raise BadRequest(f"UPLOAD {pair.name}: {error}") from error
    return folder / place
