"""The ObsCore rows of all results that a caller may see listed, newest job first. Imports the services and below.

A row is what the VO-TAGS of its file say; the database keeps it for as long as the file stays as it was. Only where the
file is had (access_url) and its size are the server's own knowledge: its address may have changed since. Who publishes
it and who may have it are what the configuration says where the file says nothing.
"""

from __future__ import annotations

import itertools
import json
import os
import stat
from collections.abc import Iterator, Mapping

from provenance.obscore import Value
from uws_server.execution import curation
from uws_server.execution.obscore import read_row
from uws_server.jobs.job import Filter
from uws_server.services.context import Services
from uws_server.services.rights import Caller
from uws_server.storage import obscore_rows
from uws_server.storage.obscore_rows import FitsResult, KeptRow

Row = Mapping[str, Value]
"""Columns by name."""

_JOBS_AT_ONCE = 250
_KEPT_AT_ONCE = 200


def rows(services: Services, caller: Caller) -> Iterator[Row]:
    """The rows, one by one; holds nothing of the database between two of them."""
    owners = services.rights.listed_owners(caller)
    return _rows(services, Filter(owners=owners))


def _rows(services: Services, wanted: Filter) -> Iterator[Row]:
    engine = services.store.engine
    jobs = (summary.id for summary in services.store.summaries(wanted))
    found: list[KeptRow] = []
    store = f"{services.base_url}/store"
    told = curation.of(services.config)
    try:
        while ids := list(itertools.islice(jobs, _JOBS_AT_ONCE)):
            for result in obscore_rows.of_jobs(engine, ids):
                row = _row(services, result, found)
                if row is not None:
                    row = {**told, **row}
                    row["access_url"] = f"{store}/{result.result_id}/{result.file.rpartition('/')[2]}"
                    yield row
            if len(found) >= _KEPT_AT_ONCE:
                obscore_rows.keep(engine, found)
                found.clear()
    finally:
        obscore_rows.keep(engine, found)


def _row(services: Services, result: FitsResult, found: list[KeptRow]) -> dict[str, Value] | None:
    """The row of one result; one that had to be read is put into `found`. None where there is no file or no row."""
    path = services.files.place(result.job_id, result.file)
    try:
        status = os.lstat(path)
    except OSError:
        return None
    text = result.row
    if status.st_size != result.size or status.st_mtime_ns != result.changed or not stat.S_ISREG(status.st_mode):
        kept = read_row(services.files.folder(result.job_id) / result.file, result.result_id)
        if kept is None:
            return None
        found.append(kept)
        text = kept.row
    if not text:
        return None
    row: dict[str, Value] = json.loads(text)
    row["access_estsize"] = max(1, round(status.st_size / 1000))
    return row
