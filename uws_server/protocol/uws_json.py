"""The documents of UWS 1.1 as JSON, for who asks for application/json: the words are those of the XML documents.

UWS has no JSON of its own; the IVOA's experiments with one agree on these words. A time is ISO 8601 in UTC, what is not
known is null, and each parameter and result is an object of a list, as several may have one name. Imports the values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from uws_server.jobs.job import Job, JobReference, Progress, moment_of
from uws_server.jobs.parameters import texts_of
from uws_server.protocol.uws_xml import timestamp, timestamp_or_none

JSON: Final = "application/json"
_JOBS_A_PIECE: Final = 200


def job_document(job: Job, url: str, progress: Progress | None, query: str = "") -> bytes:
    """Return the document of one job; the arguments are those of the XML document."""
    error = job.error
    summary = {"type": "fatal" if error.fatal else "transient", "message": error.message} if error else None
    return _written({
        "version": "1.1",
        "jobId": url.rpartition("/")[2],
        "runId": job.run_id,
        "ownerId": job.owner,
        "phase": job.phase.value,
        "quote": timestamp_or_none(job.quote),
        "creationTime": timestamp(job.created),
        "startTime": timestamp_or_none(job.started),
        "endTime": timestamp_or_none(job.ended),
        "executionDuration": job.execution_duration,
        "destruction": timestamp_or_none(job.destruction),
        "parameters": _parameters(job, url, query),
        "results": _results(job, url, query),
        "errorSummary": summary,
        "jobInfo": _job_info(job, progress),
    })  # fmt: skip


def parameters_document(job: Job, url: str, query: str = "") -> bytes:
    """Return the document of a job's parameters."""
    return _written({"parameters": _parameters(job, url, query)})


def results_document(job: Job, url: str, query: str = "") -> bytes:
    """Return the document of a job's results."""
    return _written({"results": _results(job, url, query)})


def list_document(jobs: Iterable[JobReference], list_address: Callable[[str], str]) -> Iterator[bytes]:
    """Yield the job list in pieces of some tens of kilobytes; `list_address` gives the list of a definition."""
    lines: list[str] = []
    begin, between = '{"version":"1.1","jobs":[', ""
    for job_id, definition, phase, created_us, owner, run_id in jobs:
        reference = {
            "id": job_id, "href": f"{list_address(definition)}/{job_id}", "phase": phase, "runId": run_id,
            "ownerId": owner or None, "creationTime": timestamp(moment_of(created_us)),
        }  # fmt: skip
        lines.append(between + json.dumps(reference, separators=(",", ":")))
        between = ",\n"
        if len(lines) >= _JOBS_A_PIECE:
            yield f"{begin}{''.join(lines)}".encode()
            begin = ""
            lines.clear()
    yield f"{begin}{''.join(lines)}]}}\n".encode()


def _parameters(job: Job, url: str, query: str) -> list[dict[str, Any]]:
    """Return the parameters: several of one id if one has several values; of a file its address."""
    found = []
    for name, value in job.parameters.items():
        for number, text in enumerate(texts_of(value), start=1):
            is_file = value.each[number - 1].kind == "upload"
            place = f"{name}/{number}" if value.parts else name
            told = f"{url}/parameters/{place}{query}" if is_file else text
            found.append({"id": name, "byReference": is_file, "value": told})
    return found


def _results(job: Job, url: str, query: str) -> list[dict[str, Any]]:
    return [
        {"id": result.name, "href": f"{url}/results/{result.name}{query}", "size": result.size, "mimeType": result.mime}
        for result in job.results
    ]


def _job_info(job: Job, progress: Progress | None) -> dict[str, Any]:
    """Return what UWS has no word for: how far the job is, with which warning it ended, what it used."""
    told: dict[str, Any] = {}
    if progress is not None and (position := progress.position) is not None:
        told["queue"] = {"place": position.place, "of": position.total, "start": timestamp_or_none(position.start),
                         "obstacle": position.obstacle or None}  # fmt: skip
    elif progress is not None:
        told["progress"] = {"n": progress.number, "m": progress.total, "stage": progress.stage,
                            "end": timestamp_or_none(progress.end)}  # fmt: skip
    if job.warning:
        told["warning"] = job.warning
    if job.parts is not None:
        told["parts"] = {"total": job.parts.total, "failed": job.parts.failed}
    usage = job.usage or (progress.usage if progress else None)
    if usage is not None:
        told["usage"] = {"cpuSeconds": round(usage.cpu_s, 3), "maxMemory": usage.memory}
    return told


def _written(document: dict[str, Any]) -> bytes:
    return f"{json.dumps(document, indent=1)}\n".encode()
