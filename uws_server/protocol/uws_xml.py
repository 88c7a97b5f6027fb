"""The XML documents of UWS 1.1, written with the literal prefixes that clients look for. Imports the jobs' values.

The namespace of version 1.1 is that of 1.0, as the standard has it. Elements stand in the order of the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from xml.sax import saxutils
from xml.sax.saxutils import quoteattr

from uws_server.jobs.job import Job, JobReference, Progress
from uws_server.jobs.parameters import texts_of

UWS = "http://www.ivoa.net/xml/UWS/v1.0"
XLINK = "http://www.w3.org/1999/xlink"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
OWN = "urn:uws-server:progress"
"""The namespace of what stands in jobInfo."""

_JOBS_A_PIECE = 200

_NAMES = f'xmlns:uws="{UWS}" xmlns:xlink="{XLINK}" xmlns:xsi="{XSI}"'
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def timestamp(when: datetime) -> str:
    """Return ISO 8601 in UTC, to the millisecond, with Z."""
    utc = when if when.tzinfo is UTC else when.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds")[:-6] + "Z"


def timestamp_or_none(when: datetime | None) -> str | None:
    """Return the same of a moment that may not have come."""
    return None if when is None else timestamp(when)


def job_document(job: Job, url: str, progress: Progress | None, style: str, query: str = "") -> bytes:
    """Return the document of one job; `url` is its absolute address without a final slash, `style` that of the XSLT.

    Clients put the address of a job together from that of its list and the job's id, which therefore stands here as it
    does in `url`. `query` is appended to the addresses in it, so that a client that came by a share link can follow
    them. The document is written as text: elements would take four times as long, and every client that waits for its
    job asks for it.
    """
    lines = [
        DECLARATION,
        f'<?xml-stylesheet type="text/xsl" href={quoteattr(style)}?>\n<uws:job {_NAMES} version="1.1">\n',
        f"  <uws:jobId>{url.rpartition('/')[2]}</uws:jobId>\n",
        "" if job.run_id is None else f"  <uws:runId>{escaped(job.run_id)}</uws:runId>\n",
        _element("ownerId", job.owner),
        f"  <uws:phase>{job.phase.value}</uws:phase>\n",
        _time("quote", job.quote),
        _time("creationTime", job.created),
        _time("startTime", job.started),
        _time("endTime", job.ended),
        f"  <uws:executionDuration>{job.execution_duration}</uws:executionDuration>\n",
        _time("destruction", job.destruction),
        _parameters(job, url, query, ""),
        _results(job, url, query, ""),
    ]
    if job.error is not None:
        kind = "fatal" if job.error.fatal else "transient"
        message = _element("message", job.error.message)
        lines.append(f'  <uws:errorSummary type="{kind}" hasDetail="true">\n  {message}  </uws:errorSummary>\n')
    lines.append(_job_info(job, progress))
    lines.append("</uws:job>\n")
    return "".join(lines).encode()


def _job_info(job: Job, progress: Progress | None) -> str:
    """Return the element of what UWS has no word for: how far the job is, with which warning it ended, what it used."""
    told = []
    position = progress.position if progress else None
    if position is not None:
        start = f' start="{timestamp(position.start)}"' if position.start else ""
        told.append(("queue", f' place="{position.place}" of="{position.total}"{start}', position.obstacle))
    elif progress is not None:
        end = f' end="{timestamp(progress.end)}"' if progress.end else ""
        told.append(("progress", f' n="{progress.number}" m="{progress.total}"{end}', progress.stage))
    if job.warning:
        told.append(("warning", "", job.warning))
    if job.parts is not None:
        told.append(("parts", f' total="{job.parts.total}" failed="{job.parts.failed}"', ""))
    usage = job.usage or (progress.usage if progress else None)
    if usage is not None:
        now = f' memory="{usage.memory_now}"' if usage.memory_now else ""
        told.append(("usage", f' cpuSeconds="{usage.cpu_s:.3f}" maxMemory="{usage.memory}"{now}', ""))
    elements = [
        f'    <progress:{name} xmlns:progress="{OWN}"{attributes}>{escaped(text)}</progress:{name}>\n'
        for name, attributes, text in told
    ]
    return f"  <uws:jobInfo>\n{''.join(elements)}  </uws:jobInfo>\n" if elements else ""


def parameters_document(job: Job, url: str, query: str = "") -> bytes:
    """Return the document of a job's parameters."""
    return (DECLARATION + _parameters(job, url, query, f" {_NAMES}")).encode()


def results_document(job: Job, url: str, query: str = "") -> bytes:
    """Return the document of a job's results."""
    return (DECLARATION + _results(job, url, query, f" {_NAMES}")).encode()


def list_document(jobs: Iterable[JobReference], list_address: Callable[[str], str], style: str) -> Iterator[bytes]:
    """Yield the job list in pieces of some tens of kilobytes; `list_address` gives the list of a definition.

    It is written as text, because building elements for thousands of jobs takes far longer, and in large pieces,
    because each one goes from a thread to the event loop.
    """
    lines = [
        f'{DECLARATION}<?xml-stylesheet type="text/xsl" href={quoteattr(style)}?>\n',
        f'<uws:jobs {_NAMES} version="1.1">\n',
    ]
    lists: dict[str, str] = {}
    before, second = -1, ""
    for job_id, definition, phase, created_us, owner, run_id in jobs:
        now, microsecond = divmod(created_us, 1_000_000)
        if now != before:  # many jobs of a list were made in the same second: it is written once
            before, second = now, datetime.fromtimestamp(now, UTC).isoformat()[:-6]
        address = lists.get(definition)
        if address is None:
            address = lists[definition] = quoteattr(list_address(definition))[1:-1]
        run = f"<uws:runId>{escaped(run_id)}</uws:runId>" if run_id is not None else ""
        of = f"<uws:ownerId>{escaped(owner)}</uws:ownerId>" if owner else ""
        lines.append(
            f'<uws:jobref id="{job_id}" xlink:type="simple" xlink:href="{address}/{job_id}">'
            f"<uws:phase>{phase}</uws:phase>{run}{of}"
            f"<uws:creationTime>{second}.{microsecond // 1000:03d}Z</uws:creationTime></uws:jobref>\n"
        )
        if len(lines) >= _JOBS_A_PIECE:
            yield "".join(lines).encode()
            lines.clear()
    lines.append("</uws:jobs>\n")
    yield "".join(lines).encode()


def _parameters(job: Job, url: str, query: str, names: str) -> str:
    """Return the element of the parameters: several with one id if a parameter has several values."""
    lines = [f"  <uws:parameters{names}>\n"]
    for name, value in job.parameters.items():
        for number, text in enumerate(texts_of(value), start=1):
            if value.each[number - 1].kind == "upload":
                place = f"{name}/{number}" if value.parts else name
                lines.append(f'    <uws:parameter id="{name}" byReference="true">')
                lines.append(escaped(f"{url}/parameters/{place}{query}"))
            else:
                lines.append(f'    <uws:parameter id="{name}">{escaped(text)}')
            lines.append("</uws:parameter>\n")
    lines.append("  </uws:parameters>\n")
    return "".join(lines)


def _results(job: Job, url: str, query: str, names: str) -> str:
    lines = [f"  <uws:results{names}>\n"]
    for result in job.results:
        href, mime = quoteattr(f"{url}/results/{result.name}{query}"), quoteattr(result.mime)
        lines.append(f'    <uws:result id="{result.name}" xlink:type="simple" xlink:href={href} ')
        lines.append(f'size="{result.size}" mime-type={mime}/>\n')
    lines.append("  </uws:results>\n")
    return "".join(lines)


def _element(name: str, text: str | None) -> str:
    if text is None:
        return f'  <uws:{name} xsi:nil="true"/>\n'
    return f"  <uws:{name}>{escaped(text)}</uws:{name}>\n"


def escaped(text: str) -> str:
    """Return text as it stands in an element; a reader would take a carriage return as such for a line feed."""
    return saxutils.escape(text).replace("\r", "&#13;")


def _time(name: str, when: datetime | None) -> str:
    return _element(name, None if when is None else timestamp(when))
