"""A small UWS client: create a job on any server, follow it, fetch its results. Imports nothing of ours.

It speaks plain UWS 1.1, so it works with other servers too; progress is shown where a server reports it in
`jobInfo` as ours does.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import requests
from lxml import etree

_UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
_XLINK = "{http://www.w3.org/1999/xlink}"
_TIMEOUT_S = 60
_ENDED = frozenset({"COMPLETED", "ERROR", "ABORTED", "ARCHIVED"})


class ClientError(Exception):
    """The server refused a request, or could not be reached; the message is the server's own sentence."""


@dataclass(frozen=True)
class RemoteResult:
    """A result of a job on a server: its name, its address, its size in bytes (None if the server does not say)."""

    name: str
    url: str
    size: int | None


@dataclass(frozen=True)
class JobState:
    """A job as its document describes it; stage `number` of `total` where the server reports progress."""

    url: str
    phase: str
    stage: str
    number: int
    total: int
    error: str | None
    results: tuple[RemoteResult, ...]

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase in _ENDED


def create(job_list: str, values: Mapping[str, str], files: Mapping[str, Path] | None = None) -> str:
    """Create a job in the list at that address and run it; returns the job's address.

    `files` are uploaded as the parameters of their names.
    """
    opened = {name: path.open("rb") for name, path in (files or {}).items()}
    try:
        response = _ask("POST", job_list, data={**values, "PHASE": "RUN"}, files=opened or None)
    finally:
        for stream in opened.values():
            stream.close()
    if response.status_code != 303:
        raise ClientError(f"{job_list} answered {response.status_code}: {response.text.strip()[:2000]}")
    return response.headers["Location"]


def state(job: str) -> JobState:
    """The job at that address, now."""
    response = _ask("GET", job)
    if response.status_code != 200:
        raise ClientError(f"{job} answered {response.status_code}: {response.text.strip()[:2000]}")
    return read_state(job, response.content)


def follow(job: str, seen: Callable[[JobState], None], every_s: float = 0.1) -> JobState:
    """Wait until a job has ended; `seen` is called with each state on the way. Returns the last one."""
    while not (current := state(job)).ended:
        seen(current)
        time.sleep(every_s)
    seen(current)
    return current


def download(result: RemoteResult, folder: Path) -> Path:
    """Fetch a result into a folder, under the file name that the server gives it: written beside, then renamed."""
    with requests.get(result.url, stream=True, timeout=_TIMEOUT_S) as response:
        if response.status_code != 200:
            raise ClientError(f"{result.url} answered {response.status_code}")
        path = folder / _file_name(response, result.name)
        beside = path.with_name(f"{path.name}.part")
        with beside.open("wb") as stream:
            for chunk in response.iter_content(1 << 20):
                stream.write(chunk)
    return beside.replace(path)


def _file_name(response: requests.Response, otherwise: str) -> str:
    """The name in Content-Disposition where it is a plain one, else the result's name made plain."""
    said = re.search(r'filename="?([^";]+)', response.headers.get("Content-Disposition", ""))
    plain = re.sub(r"[^A-Za-z0-9._+-]", "_", said[1] if said else otherwise).lstrip(".")
    return plain[:120] or "result"


def read_state(url: str, document: bytes) -> JobState:
    """What a job's document says."""
    root = etree.fromstring(document, etree.XMLParser(resolve_entities=False, no_network=True))
    progress = root.find(f"{_UWS}jobInfo/{{urn:uws-server:progress}}progress")
    message = root.findtext(f"{_UWS}errorSummary/{_UWS}message")
    results = [
        RemoteResult(str(item.get("id")), str(item.get(f"{_XLINK}href")), _size(item.get("size")))
        for item in root.iterfind(f"{_UWS}results/{_UWS}result")
    ]
    return JobState(
        url=url,
        phase=root.findtext(f"{_UWS}phase") or "UNKNOWN",
        stage="" if progress is None else progress.text or "",
        number=0 if progress is None else int(progress.get("n", "0")),
        total=0 if progress is None else int(progress.get("m", "0")),
        error=message,
        results=tuple(results),
    )


def _size(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _ask(method: str, url: str, **content: object) -> requests.Response:
    try:
        return requests.request(method, url, timeout=_TIMEOUT_S, allow_redirects=False, **content)  # type: ignore[arg-type]
    except requests.RequestException as error:
        raise ClientError(f"no answer from {url}: {error}") from error
