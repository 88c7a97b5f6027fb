"""The ObsCore rows of all results that a caller may see listed, newest job first, and of the files of the archive.

A row is what the VO-TAGS of its file say; the database keeps it for as long as the file stays as it was. Only the
address of the file (access_url) and its size come from the server, whose address may have changed since; so does the
identifier of a server with a publisher (obs_publisher_did), which is then the same for ever. The publisher and the data
rights come from the configuration where the file does not state them. Imports storage and execution.
"""

from __future__ import annotations

import itertools
import json
import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from provenance.obscore import Value
from uws_server.config import Config
from uws_server.discovery.conditions import Condition
from uws_server.execution import curation
from uws_server.execution.obscore import read_row
from uws_server.services.archive_files import ArchiveFiles
from uws_server.services.job_results import store_address
from uws_server.services.rights import Caller, Rights
from uws_server.storage import obscore_rows, obscore_search
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore
from uws_server.storage.obscore_rows import FitsResult, KeptRow

Row = Mapping[str, Value]
"""Columns by name."""

_JOBS_AT_ONCE = 250
_KEPT_AT_ONCE = 200


class Needs(Protocol):
    """The parts of a server that the table is made of."""

    config: Config
    base_url: str
    rights: Rights
    files: JobFiles
    store: JobStore

    @property
    def archive_files(self) -> ArchiveFiles:
        """The files of the archive, by what is known of them."""


def publisher_did(publisher: str, result_id: str) -> str:
    """Return the identifier that a publisher (its own IVOA identifier) gives to a result, whatever its address."""
    return f"{publisher}?{result_id}"


def rows(needs: Needs, caller: Caller) -> Iterator[Row]:
    """Return an iterator over the rows; it holds nothing of the database between two of them."""
    jobs = obscore_rows.jobs_with_products(needs.store.engine, needs.rights.listed_owners(caller))
    return itertools.chain(_rows(needs, jobs), _of_archive(needs))


def rows_that_may(needs: Needs, caller: Caller, conditions: Sequence[Condition]) -> Iterator[Row]:
    """Return an iterator over the rows that may fulfil all conditions, and perhaps others; in the order of `rows`."""
    chosen = obscore_search.chosen(needs.store.engine, conditions, needs.rights.listed_owners(caller))
    if chosen is None:
        return rows(needs, caller)
    of_jobs = _rows(needs, iter(chosen.results), chosen.results)
    return itertools.chain(of_jobs, _of_archive(needs, chosen.archive))


def _of_archive(needs: Needs, keys: Sequence[int] | None = None) -> Iterator[Row]:
    """Yield the rows of the archive, which is open to whoever may enter: of some files by their keys, or of all."""
    configured = curation.of(needs.config)
    for row in needs.archive_files.obscore(needs.base_url, needs.config.products.publisher, keys):
        yield {**configured, **row}


def _rows(needs: Needs, jobs: Iterator[str], only: Mapping[str, Collection[str]] | None = None) -> Iterator[Row]:
    """Yield the rows of jobs: of all their results, or of some by the ids of the jobs."""
    engine = needs.store.engine
    found: list[KeptRow] = []
    configured = curation.of(needs.config)
    try:
        while ids := list(itertools.islice(jobs, _JOBS_AT_ONCE)):
            for result in obscore_rows.of_jobs(engine, ids):
                if only is not None and result.result_id not in only[result.job_id]:
                    continue
                row = _row(needs.files, result, found)
                if row is not None:
                    row = {**configured, **row}
                    if publisher := needs.config.products.publisher:
                        row["obs_publisher_did"] = publisher_did(publisher, result.result_id)
                    name = result.file.rpartition("/")[2]
                    row["access_url"] = store_address(needs.base_url, result.result_id, name)
                    yield row
            if len(found) >= _KEPT_AT_ONCE:
                obscore_rows.keep(engine, found)
                found.clear()
    finally:
        obscore_rows.keep(engine, found)


def of_results(needs: Needs, result_ids: Sequence[str]) -> Iterator[Row]:
    """Yield a row for each result of some ids, whatever it is, with its name as ``result``.

    No right is checked: who knows the id of a result may have the file. An id that there is not has no row.
    """
    found: list[KeptRow] = []
    configured = curation.of(needs.config)
    for result in obscore_rows.of_ids(needs.store.engine, result_ids):
        stored, file_name = result.stored, result.stored.file.rpartition("/")[2]
        row: dict[str, Value] = {}
        if "fits" in result.mime:
            row = {**configured, **(_row(needs.files, stored, found) or {})}
        size = _size(needs.files.path_text(stored.job_id, stored.file))
        if size is None:
            continue
        yield {
            "obs_title": result.description,
            "access_format": result.mime,
            **row,
            "access_estsize": max(1, round(size / 1000)),
            "access_url": store_address(needs.base_url, stored.result_id, file_name),
            "result": result.name,
        }
    obscore_rows.keep(needs.store.engine, found)


def _size(path: str) -> int | None:
    """Return the size of a file in bytes; None if it is gone."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return None


def _row(files: JobFiles, result: FitsResult, found: list[KeptRow]) -> dict[str, Value] | None:
    """Return the row of one result, or None for none; a row that had to be read from its file is added to `found`."""
    path = files.path_text(result.job_id, result.file)
    try:
        status = os.lstat(path)
    except OSError:
        return None
    text = result.row
    if status.st_size != result.size or status.st_mtime_ns != result.changed or not stat.S_ISREG(status.st_mode):
        kept = read_row(files.folder(result.job_id) / result.file, result.result_id)
        if kept is None:
            return None
        found.append(kept)
        text = kept.row
    if not text:
        return None
    row: dict[str, Value] = json.loads(text)
    row["access_estsize"] = max(1, round(status.st_size / 1000))
    return row
