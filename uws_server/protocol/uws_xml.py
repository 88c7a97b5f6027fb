"""The XML documents of UWS 1.1, written with the literal prefixes that clients look for. Imports the jobs' values.

The namespace of version 1.1 is that of 1.0, as the standard has it. Elements stand in the order of the schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from uws_server.jobs.job import Job, JobSummary, Progress

UWS = "http://www.ivoa.net/xml/UWS/v1.0"
XLINK = "http://www.w3.org/1999/xlink"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
OWN = "urn:uws-server:progress"
"""The namespace of what stands in jobInfo."""

_JOBS_A_PIECE = 200

_ROOTS = {"uws": UWS, "xlink": XLINK, "xsi": XSI}
_NIL = f"{{{XSI}}}nil"


def timestamp(when: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond, with Z."""
    utc = when if when.tzinfo is UTC else when.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds")[:-6] + "Z"


def job_document(job: Job, url: str, progress: Progress | None, style: str) -> bytes:
    """The document of one job; `url` is its own, absolute and without a slash at the end, `style` that of the XSLT."""
    root = etree.Element(f"{{{UWS}}}job", {"version": "1.1"}, _ROOTS)
    _text(root, "jobId", job.id)
    if job.run_id is not None:
        _text(root, "runId", job.run_id)
    _text(root, "ownerId", job.owner)
    _text(root, "phase", job.phase.value)
    _time(root, "quote", job.quote)
    _time(root, "creationTime", job.created)
    _time(root, "startTime", job.started)
    _time(root, "endTime", job.ended)
    _text(root, "executionDuration", str(job.execution_duration))
    _time(root, "destruction", job.destruction)
    root.append(_parameters(job, url))
    root.append(_results(job, url))
    if job.error is not None:
        kind = "fatal" if job.error.fatal else "transient"
        summary = etree.SubElement(root, f"{{{UWS}}}errorSummary", {"type": kind, "hasDetail": "true"})
        _text(summary, "message", job.error.message)
    if progress is not None:
        info = etree.SubElement(root, f"{{{UWS}}}jobInfo")
        element = etree.SubElement(info, f"{{{OWN}}}progress", nsmap={"progress": OWN})
        element.set("n", str(progress.number))
        element.set("m", str(progress.total))
        element.text = progress.stage
    root.addprevious(etree.ProcessingInstruction("xml-stylesheet", f'type="text/xsl" href={quoteattr(style)}'))
    return _serialize(root)


def parameters_document(job: Job, url: str) -> bytes:
    """The document of a job's parameters."""
    return _serialize(_parameters(job, url))


def results_document(job: Job, url: str) -> bytes:
    """The document of a job's results."""
    return _serialize(_results(job, url))


def list_document(jobs: Iterable[JobSummary], base: str, style: str) -> Iterator[bytes]:
    """The job list in pieces of some tens of kilobytes.

    Text, because building elements for thousands of jobs takes far longer; large pieces, because each one goes
    from a thread to the event loop.
    """
    names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _ROOTS.items())
    lines = [
        f'<?xml version="1.0" encoding="UTF-8"?>\n<?xml-stylesheet type="text/xsl" href={quoteattr(style)}?>\n',
        f'<uws:jobs {names} version="1.1">\n',
    ]
    lists: dict[str, str] = {}
    for job in jobs:
        address = lists.get(job.definition)
        if address is None:
            address = lists[job.definition] = escape(f"{base}/rest/{job.definition}", {'"': "&quot;"})
        run_id = "" if job.run_id is None else f"<uws:runId>{escape(job.run_id)}</uws:runId>"
        owner = "" if job.owner is None else f"<uws:ownerId>{escape(job.owner)}</uws:ownerId>"
        lines.append(
            f'<uws:jobref id="{job.id}" xlink:type="simple" xlink:href="{address}/{job.id}">'
            f"<uws:phase>{job.phase.value}</uws:phase>"
            f"{run_id}{owner}<uws:creationTime>{timestamp(job.created)}</uws:creationTime></uws:jobref>\n"
        )
        if len(lines) >= _JOBS_A_PIECE:
            yield "".join(lines).encode()
            lines.clear()
    lines.append("</uws:jobs>\n")
    yield "".join(lines).encode()


def _parameters(job: Job, url: str) -> etree._Element:
    parent = etree.Element(f"{{{UWS}}}parameters", nsmap=_ROOTS)
    for name, value in job.parameters.items():
        element = etree.SubElement(parent, f"{{{UWS}}}parameter", {"id": name})
        element.text = value.text
        if value.kind == "upload":
            element.set("byReference", "true")
            element.text = f"{url}/parameters/{name}"
    return parent


def _results(job: Job, url: str) -> etree._Element:
    parent = etree.Element(f"{{{UWS}}}results", nsmap=_ROOTS)
    for result in job.results:
        element = etree.SubElement(parent, f"{{{UWS}}}result", {"id": result.name})
        element.set(f"{{{XLINK}}}type", "simple")
        element.set(f"{{{XLINK}}}href", f"{url}/results/{result.name}")
        element.set("size", str(result.size))
        element.set("mime-type", result.mime)
    return parent


def _text(parent: etree._Element, name: str, text: str | None) -> None:
    element = etree.SubElement(parent, f"{{{UWS}}}{name}")
    element.text = text
    if text is None:
        element.set(_NIL, "true")


def _time(parent: etree._Element, name: str, when: datetime | None) -> None:
    _text(parent, name, None if when is None else timestamp(when))


def _serialize(root: etree._Element) -> bytes:
    return etree.tostring(root.getroottree(), xml_declaration=True, encoding="UTF-8", pretty_print=True)
