"""Sends a file over HTTP: whole, in part, or not at all if the client has it already. Imports errors, plain files.

Conditions and ranges as in RFC 9110. A request for several ranges gets the whole file, as the RFC allows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO

from bottle import HTTPResponse, request

from uws_server.errors import Forbidden, NotFound
from uws_server.storage.plainfiles import NotPlain, opened

_PIECE = 1 << 18
_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*")
_TAG = re.compile(r'"[^"]*"')
_STRONG_TAG = re.compile(r'(?<!W/)"[^"]*"')


@dataclass
class _Part:
    """The next `left` bytes of an open file, in pieces."""

    stream: BinaryIO
    left: int

    def __iter__(self) -> Iterator[bytes]:
        while self.left and (piece := self.stream.read(min(self.left, _PIECE))):
            self.left -= len(piece)
            yield piece

    def close(self) -> None:
        self.stream.close()


def send(path: Path, mime: str, digest: str = "") -> HTTPResponse:
    """Return the answer to the current request for a file; `digest` of its content, if known, makes the ETag.

    A browser never runs it in our name. Raise NotFound if it is gone, Forbidden if it is no plain file.
    """
    try:
        stream = opened(path)
    except FileNotFoundError as error:
        raise NotFound(f"the file {path.name} is no longer there") from error
    except NotPlain as error:
        raise Forbidden(f"the file {error}") from error
    except OSError as error:
        raise Forbidden(f"the file {path.name} cannot be read") from error
    status = os.fstat(stream.fileno())
    size, changed = status.st_size, int(status.st_mtime)
    tag = f'"{digest[:32] or f"{status.st_mtime_ns:x}-{size:x}"}"'
    headers = {"ETag": tag, "Last-Modified": formatdate(changed, usegmt=True), "Accept-Ranges": "bytes"}
    if _is_another(tag, changed):
        stream.close()
        headers["Content-Type"] = "text/plain; charset=UTF-8"
        return HTTPResponse(f"{path.name} is no longer the file that the request is meant for\n", 412, headers)
    part = _asked_part(size, tag, headers["Last-Modified"])
    if _is_known(tag, changed):
        stream.close()
        return HTTPResponse("", 304, headers)
    if part is not None and not part:
        stream.close()
        headers |= {"Content-Range": f"bytes */{size}", "Content-Type": "text/plain; charset=UTF-8"}
        return HTTPResponse(f"{path.name} has {size} bytes: there are none in the range asked for\n", 416, headers)
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    sent = range(size) if part is None else part
    headers |= _description(path, mime) | {"Content-Length": str(len(sent))}
    code = 200 if part is None else 206
    if request.method == "HEAD" or not sent:
        stream.close()
        return HTTPResponse("", code, headers)
    stream.seek(sent.start)
    return HTTPResponse(_Part(stream, len(sent)), code, headers)


def _description(path: Path, mime: str) -> dict[str, str]:
    """Return the headers that describe the file to a browser: it is shown at most, and has its own name."""
    plain = re.sub(r'[^ -~]|["\\]', "_", path.name)
    kind = f"{mime}; charset=UTF-8" if mime.startswith("text/") and "charset=" not in mime else mime
    return {
        "Content-Type": kind,
        "Content-Security-Policy": "sandbox",
        "Content-Disposition": f'inline; filename="{plain}"',
    }


def _is_known(tag: str, changed: int) -> bool:
    """Check whether the client has the file as it is (RFC 9110, section 13.2.2: the date counts only without tags)."""
    tags = request.get_header("If-None-Match")
    if tags is not None:
        return tags.strip() == "*" or tag in _TAG.findall(tags)
    try:
        return changed <= parsedate_to_datetime(request.get_header("If-Modified-Since", "")).timestamp()
    except (ValueError, TypeError, OverflowError):  # no date: the condition is none
        return False


def _is_another(tag: str, changed: int) -> bool:
    """Check whether the client wants a file that this one is not (RFC 9110, section 13.1.1), to resume a download."""
    tags = request.get_header("If-Match")
    if tags is not None:
        return tags.strip() != "*" and tag not in _STRONG_TAG.findall(tags)
    try:
        return changed > parsedate_to_datetime(request.get_header("If-Unmodified-Since", "")).timestamp()
    except (ValueError, TypeError, OverflowError):  # no date: the condition is none
        return False


def _asked_part(size: int, tag: str, date: str) -> range | None:
    """Return the bytes asked for, empty if the file has none of them. Return None for the whole file."""
    match = _RANGE.fullmatch(request.get_header("Range", ""))
    if match is None or request.method != "GET" or request.get_header("If-Range", tag) not in (tag, date):
        return None
    first, last = match.groups()
    if not first:
        return range(max(0, size - int(last)), size) if last else None
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)
