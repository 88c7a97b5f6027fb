"""Results of jobs as files of other jobs, by their addresses: `https://.../store/<id>/<name>`, or from `/store/` on."""

from __future__ import annotations

import re
from urllib.parse import unquote

from uws_server.archive.observations import ArchiveFile
from uws_server.errors import NotFound
from uws_server.services.job_results import store_address
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore

_ADDRESS = re.compile(r"/store/([0-9a-f]{32})/([^/?#]+)")


class StoredFiles:
    """The results of one server. No right is checked: the id in an address is secret."""

    def __init__(self, store: JobStore, files: JobFiles, base_url: str) -> None:
        self._store, self._files, self._base_url = store, files, base_url.rstrip("/")

    def find(self, text: str) -> ArchiveFile | None:
        """Return the file of an address; None for any other text.

        Raise ValueError, with the reason, for an address that leads to no file.
        """
        found = _ADDRESS.fullmatch(text.strip().removeprefix(self._base_url))
        if found is None:
            return None
        result_id, name = found[1], unquote(found[2])
        try:
            job_id, result = self._store.result(result_id)
        except NotFound:
            raise ValueError(f"{text[:120]!r} is the address of no result of this server") from None
        path = self._files.folder(job_id) / result.file
        if result.file_name != name or not path.is_file():
            raise ValueError(f"{text[:120]!r} is the address of a result whose file is gone")
        return ArchiveFile(result.name, store_address(self._base_url, result_id, name), path)
