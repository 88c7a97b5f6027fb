"""Results of jobs as files of other jobs, by their addresses, whole or from `/` on.

They are those of the file, `/store/<id>/<name>`, and of a result in the list of its job,
`/rest/<definition>/<job>/results/<name>`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from uws_server.archive.observations import ArchiveFile
from uws_server.errors import NotFound, ServerError
from uws_server.jobs.job import Job, Result
from uws_server.services.job_keys import ADDRESS, without_keys
from uws_server.services.job_results import store_address
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore

_ADDRESS = re.compile(r"/store/([0-9a-f]{32})/([^/?#]+)")
_OF_JOB = re.compile(rf"/rest/([^/?#]+)/({ADDRESS})/results/([^/?#]+)")
_NAMED = 8
"""Results of a job that an error names."""

Look = Callable[[str, str], Job]
"""Returns the job of an id (its key may follow it) in the list of a definition, for one caller.

Raises NotFound, Forbidden or Unauthorized."""


class StoredFiles:
    """The results of one server. The id in the address of a file is secret; a job is for whoever may look at it."""

    def __init__(self, store: JobStore, files: JobFiles, base_url: str) -> None:
        self._store, self._files, self._base_url = store, files, base_url.rstrip("/")

    def find(self, text: str, look: Look | None = None) -> ArchiveFile | None:
        """Return the file of an address; None for any other text. Without `look` nobody may look at any job.

        Raise ValueError, with the reason, for an address that leads to no file, or to one of a job of somebody else.
        """
        address = text.strip().removeprefix(self._base_url)
        if of_job := _OF_JOB.fullmatch(address):
            definition, job_id, name = map(unquote, of_job.groups())
            return self._of_job(text, definition, job_id, name, look)
        found = _ADDRESS.fullmatch(address)
        if found is None:
            return None
        result_id, name = found[1], unquote(found[2])
        try:
            job_id, result = self._store.result(result_id)
        except NotFound:
            raise ValueError(f"{text[:120]!r} is the address of no result of this server") from None
        if result.file_name != name:
            raise _gone(text)
        return self._file(text, job_id, result)

    def _of_job(self, text: str, definition: str, job_id: str, name: str, look: Look | None) -> ArchiveFile:
        """Return the file of a result that the list of its job names."""
        if look is None:
            raise ValueError(f"{text[:120]!r} is the address of a result in the list of its job; give that of its file")
        try:
            job = look(job_id, definition)
        except ServerError as error:
            raise ValueError(f"{without_keys(text)[:120]!r} cannot be taken: {error}") from error
        result = next((one for one in job.results if one.name == name), None)
        if result is None:
            names = ", ".join(one.name for one in job.results[:_NAMED]) or "none"
            raise ValueError(f"{name[:60]!r} is no result of job {job.id}, whose results are: {names}")
        return self._file(text, job.id, result)

    def _file(self, text: str, job_id: str, result: Result) -> ArchiveFile:
        path: Path = self._files.folder(job_id) / result.file
        if not path.is_file():
            raise _gone(text)
        return ArchiveFile(result.name, store_address(self._base_url, result.id, result.file_name), path)


def _gone(text: str) -> ValueError:
    return ValueError(f"{without_keys(text)[:120]!r} is the address of a result whose file is gone")
