"""A small UWS client: create a job on any server, follow it, fetch its results. Imports the errors.

It speaks plain UWS 1.1, so it works with other servers too; progress is shown where a server reports it in
`jobInfo` as ours does.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests
from lxml import etree

from uws_server.errors import ClientError

_UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
_OWN = "{urn:uws-server:progress}"
_XLINK = "{http://www.w3.org/1999/xlink}"
_TIMEOUT_S = 60
ENDED = frozenset({"COMPLETED", "ERROR", "ABORTED", "ARCHIVED"})
"""Phases after which nothing more happens."""
_ACTIVE = frozenset({"PENDING", "QUEUED", "EXECUTING"})
"""Phases in which a server keeps an answer back when it is asked to WAIT (UWS 1.1, section 2.2.1.1)."""
_NOT_BEGUN = frozenset({"PENDING", "HELD"})
_WAIT_S = 1

Credentials = tuple[str, str] | None
"""Name and token of an account, sent as HTTP Basic authentication; None for an anonymous request."""


@dataclass(frozen=True)
class RemoteResult:
    """A result of a job on a server: its name, its address, its size in bytes (None if the server does not say)."""

    name: str
    url: str
    size: int | None


@dataclass(frozen=True)
class JobState:
    """The state of a job as its document describes it; stage `number` of `total` where the server reports progress.

    `warning` is what a COMPLETED job of this server says of its ending.
    """

    url: str
    phase: str
    stage: str
    number: int
    total: int
    error: str | None
    results: tuple[RemoteResult, ...]
    warning: str = ""

    @property
    def ended(self) -> bool:
        """Return whether the job has ended."""
        return self.phase in ENDED


def create(
    job_list: str,
    values: Mapping[str, str | Sequence[str]],
    files: Mapping[str, Path | Sequence[Path]] | None = None,
    who: Credentials = None,
) -> str:
    """Create a job in the job list at `job_list`, run it unless PHASE says otherwise, and return its address.

    A value may be several, which are sent one by one. `files` are uploaded as the parameters of their names.
    """
    to_run = not any(name.upper() == "PHASE" for name in values)
    sent = {**values, "PHASE": "RUN"} if to_run else dict(values)
    opened = [(name, path.open("rb")) for name, path in _one_by_one(files or {})]
    try:
        response = ask("POST", job_list, who, data=sent, files=opened or None)
    finally:
        for _, stream in opened:
            stream.close()
    if response.status_code not in (302, 303) or "Location" not in response.headers:
        raise refusal(job_list, response)
    job = urljoin(job_list, response.headers["Location"])
    # a server may make the job without running it: UWS lets PHASE in the first request be ignored
    if to_run and state(job, who).phase in _NOT_BEGUN:
        set_phase(job, "RUN", who)
    return job


def _one_by_one(files: Mapping[str, Path | Sequence[Path]]) -> list[tuple[str, Path]]:
    return [
        (name, path) for name, paths in files.items() for path in ([paths] if isinstance(paths, Path) else list(paths))
    ]


def set_phase(job: str, phase: str, who: Credentials = None) -> None:
    """Request a change of phase: RUN or ABORT."""
    response = ask("POST", f"{job}/phase", who, data={"PHASE": phase})
    if response.status_code not in (200, 302, 303):
        raise refusal(f"{job}/phase", response)


def state(job: str, who: Credentials = None, wait_s: int = 0) -> JobState:
    """Return the state of a job: now, or when its phase changes, or after `wait_s` seconds."""
    response = ask("GET", job, who, params={"WAIT": str(wait_s)} if wait_s else None)
    if response.status_code in (302, 303) and "Location" in response.headers:
        # UWS lets a server send who waits to the address with the rest of the time
        response = ask("GET", urljoin(job, response.headers["Location"]), who)
    if response.status_code != 200:
        raise refusal(job, response)
    return read_state(job, response.content)


def follow(
    job: str, seen: Callable[[JobState], None], every_s: float = 0.1, who: Credentials = None, wait_s: int = 0
) -> JobState:
    """Wait until a job has ended and return its last state; `seen` is called with each state on the way.

    With `wait_s` the server is asked to keep its answer back until the phase changes, so that the end is known at once
    and few requests are sent. One that knows no WAIT, or tells how far the job is, is asked every `every_s` seconds.
    """
    current = state(job, who)
    while not current.ended:
        seen(current)
        asked = time.monotonic()
        waiting = wait_s if current.phase in _ACTIVE and not current.stage else 0
        before, current = current, state(job, who, waiting)
        if current.phase == before.phase:
            time.sleep(max(0.0, every_s - (time.monotonic() - asked)))
    seen(current)
    return current


def download(result: RemoteResult, folder: Path, who: Credentials = None, taken: Collection[str] = ()) -> Path:
    """Fetch a result into a folder under the file name that the server gives it, complete or not at all.

    The name is made plain, so that it never leads out of the folder, and another one than those `taken`.
    """
    try:
        with requests.get(result.url, stream=True, timeout=_TIMEOUT_S, auth=who) as response:
            if response.status_code != 200:
                raise ClientError(f"{result.url} answered {response.status_code}")
            path = folder / _free(_file_name(response, result.name), taken)
            beside = path.with_name(f".{path.name}.part")
            try:
                with beside.open("wb") as stream:
                    for chunk in response.iter_content(1 << 20):
                        stream.write(chunk)
                return beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
    except requests.RequestException as error:
        raise ClientError(f"{result.url} could not be fetched: {_reason(error)}") from error


def _free(name: str, taken: Collection[str]) -> str:
    """Return the name, with a number where it is taken."""
    stem, dot, rest = name.partition(".")
    number = 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}{dot}{rest}"
    return name


def _file_name(response: requests.Response, otherwise: str) -> str:
    """Return the name in Content-Disposition if it is a plain one, else the name of the result made plain."""
    match = re.search(r'filename="?([^";]+)', response.headers.get("Content-Disposition", ""))
    plain = re.sub(r"[^A-Za-z0-9._+-]", "_", match[1] if match else otherwise).lstrip(".-")
    return plain[:120] or "result"


def read_state(url: str, document: bytes) -> JobState:
    """Return what the document of a job states."""
    try:
        root = etree.fromstring(document, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        raise ClientError(f"{url} is no job of a UWS: it answers with something that is no XML") from error
    if root.tag != f"{_UWS}job":
        raise ClientError(f"{url} is no job of a UWS: it answers with {etree.QName(root).localname}")
    progress = root.find(f"{_UWS}jobInfo/{_OWN}progress")
    message = root.findtext(f"{_UWS}errorSummary/{_UWS}message")
    results = [
        RemoteResult(str(item.get("id")), urljoin(url, str(item.get(f"{_XLINK}href"))), _size(item.get("size")))
        for item in root.iterfind(f"{_UWS}results/{_UWS}result")
    ]
    return JobState(
        url=url,
        phase=root.findtext(f"{_UWS}phase") or "UNKNOWN",
        stage="" if progress is None else progress.text or "",
        number=0 if progress is None else _size(progress.get("n")) or 0,
        total=0 if progress is None else _size(progress.get("m")) or 0,
        error=message,
        results=tuple(results),
        warning=root.findtext(f"{_UWS}jobInfo/{_OWN}warning") or "",
    )


def _size(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def ask(
    method: str, url: str, who: Credentials = None, timeout_s: int = _TIMEOUT_S, **content: Any
) -> requests.Response:
    """Send one request without following redirections. Raise ClientError where no answer comes."""
    try:
        return requests.request(method, url, timeout=timeout_s, allow_redirects=False, auth=who, **content)
    except requests.RequestException as error:
        raise ClientError(f"no answer from {url}: {_reason(error)}") from error


def _reason(error: requests.RequestException) -> str:
    """Return why no answer came, as the operating system puts it, without the chain of Python exceptions."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error)


def refusal(url: str, response: requests.Response) -> ClientError:
    """Return the error for an unexpected answer, with the sentence of the server."""
    return ClientError(f"{url} answered {response.status_code}: {response.text.strip()[:2000]}")
