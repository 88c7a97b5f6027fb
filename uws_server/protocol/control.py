"""Reads from forms and query strings what UWS and DALI reserve: control parameters, filters, WAIT.

Imports the values, the errors and the form reader.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from uws_server.errors import BadRequest
from uws_server.incoming.forms import Form
from uws_server.jobs.job import Filter, Job
from uws_server.jobs.phases import Phase
from uws_server.jobs.words import run_id_problem
from uws_server.protocol import dali
from uws_server.services.parameters import Request

_LONGEST_WAIT_S = 300
"""Shorter than what clients and proxies allow a request: pyvo reads for 600 s, then gives up."""
_WHOLE = "[0-9]{1,19}"
"""A whole number of up to 64 bits: clients send the largest number they have for "all there is"."""
_MOST = 10**9
_WAITING = frozenset({Phase.PENDING, Phase.QUEUED, Phase.EXECUTING})
"""Phases in which a request may wait: UWS 1.1, section 2.2.1.2."""


def job_request(form: Form) -> Request:
    """Return the request for a job that a form makes; its control parameters are taken out of the form."""
    run_id = form.take("RUNID") or None
    if problem := run_id_problem(run_id or ""):
        raise BadRequest(f"RUNID: {problem}")
    duration = form.take("EXECUTIONDURATION")
    destruction = form.take("DESTRUCTION")
    # UPLOAD=name,param:part (DALI) says the same as name=param:part
    for pair in [pair for text in form.take_all("UPLOAD") for pair in text.split(";")]:
        name, comma, reference = pair.partition(",")
        if not comma:
            raise BadRequest(f"UPLOAD: {pair[:80]!r} came; NAME,param:PART is allowed")
        form.add(name.strip(), reference.strip())
    return Request(
        values=form.values,
        uploads=form.uploads,
        run_id=run_id,
        execution_duration=None if duration is None else _seconds(duration),
        destruction=None if destruction is None else parse_time("DESTRUCTION", destruction),
    )


def list_filter(name: str, query: list[tuple[str, str]]) -> Filter:
    """Return the filter of a list request: UWS 1.1, section 2.2.2.1. Raise BadRequest for an unknown one."""
    phases: list[Phase] = []
    after: datetime | None = None
    last: int | None = None
    for key, value in query:
        match key.upper():
            case "PHASE":
                if value not in Phase.__members__:
                    raise BadRequest(f"PHASE: {value[:40]!r} is not one of {', '.join(Phase)}")
                phases.append(Phase(value))
            case "AFTER":
                when = parse_time("AFTER", value)
                after = when if after is None else max(after, when)
            case "LAST":
                if not re.fullmatch(_WHOLE, value) or int(value) == 0:
                    raise BadRequest(f"LAST: {value[:40]!r} came; a whole number from 1 on is allowed")
                last = min(int(value), last or _MOST)
            case dali.RESPONSEFORMAT:
                pass  # the format of errors; that of the list itself is asked for by Accept
            case _:
                raise BadRequest(f"{key[:40]}: no such filter of a job list; there are PHASE, AFTER and LAST")
    return Filter(name, tuple(phases), after, last)


def wait_seconds(job: Job, query: list[tuple[str, str]]) -> int:
    """Return the seconds that the request for a job is to wait: UWS 1.1, section 2.2.1.2; 0 for not at all.

    WAIT=-1 asks for as long as possible; with PHASE the wait is only for a job that is still in that phase.
    """
    asked = {key.upper(): value for key, value in query}
    seconds = asked_wait(asked) or 0
    phase = asked.get("PHASE")
    if phase is not None and phase not in Phase.__members__:
        raise BadRequest(f"PHASE: {phase[:40]!r} is not one of {', '.join(Phase)}")
    if job.phase not in _WAITING or (phase is not None and phase != job.phase):
        return 0
    return seconds


def asked_wait(asked: Mapping[str, str]) -> int | None:
    """Return the seconds that WAIT asks for, by the names of parameters in capitals; None where it does not come."""
    text = asked.get("WAIT")
    if text is None:
        return None
    if not re.fullmatch(f"-1|{_WHOLE}", text):
        raise BadRequest(f"WAIT: {text[:40]!r} came; seconds from 0 on, or -1 for as long as possible, are allowed")
    return _LONGEST_WAIT_S if text == "-1" else min(int(text), _LONGEST_WAIT_S)


def asked_offset(asked: Mapping[str, str]) -> int | None:
    """Return the byte that OFFSET asks to begin at; None where it does not come."""
    text = asked.get("OFFSET")
    if text is not None and not re.fullmatch(r"[0-9]{1,15}", text, re.ASCII):
        raise BadRequest(f"OFFSET: {text[:40]!r} came; a number of bytes from 0 on is allowed")
    return None if text is None else int(text)


def parse_time(name: str, text: str) -> datetime:
    """Return a time in UTC: ISO 8601 (also only a year, or a date), with or without Z.

    Raise BadRequest for any other text, and for another offset.
    """
    plain = text.strip().removesuffix("Z")
    try:
        if not re.fullmatch(r"[-0-9:.T ]+", plain):
            raise ValueError("a week, or an offset")
        if re.fullmatch(r"[0-9]{4}", plain):
            return datetime(int(plain), 1, 1, tzinfo=UTC)
        when = datetime.fromisoformat(plain)
        if when.tzinfo is not None:
            raise ValueError("a negative offset")
        return when.replace(tzinfo=UTC)
    except ValueError as error:
        raise BadRequest(
            f"{name}: {text[:40]!r} is not a time; ISO 8601 in UTC is allowed, such as 2026-11-20T12:00:00Z"
        ) from error


def _seconds(text: str) -> int:
    whole = re.fullmatch(rf"\s*({_WHOLE})(\.0*)?\s*", text)
    if whole is None:
        raise BadRequest(f"EXECUTIONDURATION: {text[:40]!r} came; whole seconds from 0 on are allowed")
    return min(int(whole[1]), _MOST)


def phase_command(text: str | None, allowed: Sequence[str]) -> str | None:
    """Return the command to the phase that came, or None. Raise BadRequest if it is not one of those allowed."""
    if text is None:
        return None
    if text not in allowed:
        raise BadRequest(f"PHASE: {text[:40]!r} came; {' or '.join(allowed)} is allowed")
    return text


def prefers_page(accept: str) -> bool:
    """Check whether an Accept header prefers a page for people to XML, which is the default.

    Java's own HTTP client, which TOPCAT uses, names text/html first and means nothing by it: a browser names
    application/xhtml+xml too.
    """
    if "text/html" not in accept.lower():
        return False
    weights = {kind: weight for kind, weight in map(_weighed, accept.lower().split(",")) if kind and weight}
    xml = max(weights.get("text/xml", 0.0), weights.get("application/xml", 0.0))
    is_browser = "application/xhtml+xml" in weights or weights.keys() <= {"text/html", "*/*"}
    return weights.get("text/html", 0.0) > xml and is_browser


def prefers_json(accept: str) -> bool:
    """Check whether an Accept header prefers JSON to XML, which is the default: of two of one weight XML."""
    if "application/json" not in accept.lower():
        return False
    weights = {kind: weight for kind, weight in map(_weighed, accept.lower().split(",")) if kind}
    xml = max(weights.get("text/xml", 0.0), weights.get("application/xml", 0.0))
    return weights.get("application/json", 0.0) > xml


def _weighed(item: str) -> tuple[str, float]:
    """Return a media type of an Accept header, and its weight."""
    kind, _, options = item.partition(";")
    weight = re.search(r"(?:^|;)\s*q\s*=\s*([0-9]*\.?[0-9]+)", options)
    return kind.strip(), float(weight[1]) if weight else 1.0
