"""Reads the form of a request, streaming files to disk as they come. Imports the services' values and errors.

Both doors use it. A body larger than the limit is refused before it is read where its length is announced, and
otherwise as soon as it has grown too large.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from uws_server.errors import BadRequest, TooLarge, UnsupportedMedia
from uws_server.services.parameters import Upload, discard

Spool = Callable[[], Path]
"""Makes a new empty file."""

_MOST_TEXT = 4_000_000
"""Characters of all values that are no files, together."""
_MOST_FIELDS = 10_000
_CHUNK = 1 << 18
_BOUNDARY = re.compile(r";\s*boundary=([^\s;,\"]{1,70})(?:;|\s*$)", re.IGNORECASE)


@dataclass
class Form:
    """The fields of a request: values by name (as sent) and spooled files by name (in lower case).

    Of several files of one name, the second is `name[2]`, and so on.
    """

    values: dict[str, list[str]] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    def take(self, name: str) -> str | None:
        """Return the last value of a name in any case, removed from the form. Return None if it did not come."""
        return next(reversed(self.take_all(name)), None)

    def take_all(self, name: str) -> list[str]:
        """Return every value of a name in any case, removed from the form."""
        wanted = name.lower()
        keys = [key for key in self.values if key.lower() == wanted]
        return [value for key in keys for value in self.values.pop(key)]

    def add(self, name: str, value: str) -> None:
        """Add a value of a name, with the line ends of Unix: a browser sends those of a text area as CR LF."""
        self.values.setdefault(name, []).append(value.replace("\r\n", "\n"))

    def attach(self, name: str, upload: Upload) -> None:
        """Add a file of a name."""
        key = name
        while key in self.uploads:
            self._numbers[name] = self._numbers.get(name, 1) + 1
            key = f"{name}[{self._numbers[name]}]"
        self.uploads[key] = upload


@contextlib.contextmanager
def reading(environ: Mapping[str, Any], spool: Spool, most: int) -> Iterator[Form]:
    """Give the form of a request (body and query string); files that nobody took are removed at the end."""
    form = Form()
    try:
        for name, value in query(environ):
            form.add(name, value)
        _read_body(form, environ, spool, most)
        yield form
    finally:
        discard(form.uploads)


@contextlib.contextmanager
def receiving(environ: Mapping[str, Any], spool: Spool, most: int, name: str) -> Iterator[Upload]:
    """Give the body of a request as one file, removed at the end if nobody took it.

    The file has the name that Content-Disposition gives, else `name`.
    """
    _refuse_coded(environ)
    kind, _ = parse_options_header(environ.get("CONTENT_TYPE", ""))
    if kind.startswith("multipart/"):
        raise UnsupportedMedia(f"Content-Type {kind[:80]!r} came; the body of a PUT is the value itself, text or file")
    _, options = parse_options_header(environ.get("HTTP_CONTENT_DISPOSITION", ""))
    body = _Body(environ["wsgi.input"], _length(environ, most), most)
    path = spool()
    try:
        with path.open("wb") as stream:
            stream.writelines(body.chunks())
        yield Upload(path, options.get("filename") or name)
    finally:
        path.unlink(missing_ok=True)


def body_text(environ: Mapping[str, Any], most: int) -> str:
    """Return the body of a request that is text. Raise what `reading` raises of a body without files."""
    _refuse_coded(environ)
    raw = _Body(environ["wsgi.input"], _length(environ, most), most).read_text_body()
    return _text(raw)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest("the body is not UTF-8 text") from error


def query(environ: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and values of the query string. Raise BadRequest if it is no UTF-8 text or too long."""
    try:
        text = environ.get("QUERY_STRING", "").encode("latin-1").decode("utf-8")  # bytes decoded as Latin-1 (PEP 3333)
    except UnicodeError as error:
        raise BadRequest("the query string is not UTF-8 text") from error
    return _decode(text, "query string")


def _refuse_coded(environ: Mapping[str, Any]) -> None:
    coding = environ.get("HTTP_CONTENT_ENCODING", "").strip()
    if coding.lower() not in ("", "identity"):
        raise UnsupportedMedia(f"Content-Encoding {coding[:40]!r} came; bodies are read as they are, uncompressed")


def _read_body(form: Form, environ: Mapping[str, Any], spool: Spool, most: int) -> None:
    _refuse_coded(environ)
    length = _length(environ, most)
    content_type, options = parse_options_header(environ.get("CONTENT_TYPE", ""))
    body = _Body(environ["wsgi.input"], length, most)
    if content_type == "multipart/form-data":
        _read_multipart(form, body, options.get("boundary", "") or _bare_boundary(environ), spool)
    elif content_type in ("application/x-www-form-urlencoded", ""):
        for name, value in _decode(_text(body.read_text_body()), "body"):
            form.add(name, value)
    else:
        raise UnsupportedMedia(
            f"Content-Type {content_type[:80]!r} came; "
            "application/x-www-form-urlencoded and multipart/form-data are read"
        )


def _bare_boundary(environ: Mapping[str, Any]) -> str:
    """Return a boundary that should stand in quotes and does not, such as ===1=== (astroquery); '' if there is none."""
    found = _BOUNDARY.search(environ.get("CONTENT_TYPE", ""))
    return found[1] if found else ""


def _length(environ: Mapping[str, Any], most: int) -> int | None:
    announced = environ.get("CONTENT_LENGTH") or ""
    if not announced:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", announced):
        raise BadRequest(f"Content-Length {announced[:40]!r} is not a number")
    if int(announced) > most:
        raise _too_large(int(announced), most)
    return int(announced)


def _too_large(size: int, most: int) -> TooLarge:
    return TooLarge(f"the request has {size / 1e6:,.0f} MB or more; this server takes {most / 1e6:,.0f} MB at most")


class _Body:
    """The body of a request, counted."""

    def __init__(self, stream: BinaryIO, length: int | None, most: int) -> None:
        self._stream, self._length, self._most = stream, length, most
        self._read = 0

    def chunks(self) -> Iterator[bytes]:
        while True:
            left = _CHUNK if self._length is None else min(_CHUNK, self._length - self._read)
            chunk = self._stream.read(left) if left else b""
            if not chunk:
                break
            self._read += len(chunk)
            if self._read > self._most:
                raise _too_large(self._read, self._most)
            yield chunk
        if self._length is not None and self._read < self._length:
            raise BadRequest(f"the body ended after {self._read} of {self._length} bytes")

    def read_text_body(self) -> bytes:
        whole = bytearray()
        for chunk in self.chunks():
            whole += chunk
            if len(whole) > _MOST_TEXT:
                raise TooLarge(f"a form without files may have {_MOST_TEXT:,} bytes; send long values as files")
        return bytes(whole)


def _decode(text: str, where: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except UnicodeDecodeError as error:
        raise BadRequest(f"the {where} is not UTF-8 text") from error
    except ValueError as error:
        raise BadRequest(f"the {where} has more than {_MOST_FIELDS:,} fields") from error


def _read_multipart(form: Form, body: _Body, boundary: str, spool: Spool) -> None:
    if not boundary:
        raise BadRequest("multipart/form-data came without a boundary")
    target: _Part | None = None
    text_left = _MOST_TEXT
    try:
        with PushMultipartParser(boundary, max_segment_count=_MOST_FIELDS) as parser:
            for chunk in body.chunks():
                for event in parser.parse(chunk):
                    if isinstance(event, MultipartSegment):
                        target = _Part(event, spool, form)
                    elif event is None:
                        assert target is not None
                        text_left -= target.close()
                        target = None
                    else:
                        assert target is not None
                        target.write(event, text_left)
    except MultipartError as error:
        raise BadRequest(f"the multipart body cannot be read: {error}") from error
    finally:
        if target is not None:
            target.abandon()


class _Part:
    """One part of a multipart body: a file goes to disk, a value to the form."""

    def __init__(self, segment: MultipartSegment, spool: Spool, form: Form) -> None:
        if not segment.name or len(segment.name) > 200:
            raise BadRequest("a part of the multipart body has no name (or one of more than 200 characters)")
        self._name, self._filename, self._form = segment.name, segment.filename, form
        self._path: Path | None = None
        self._text = bytearray()
        if self._filename:
            self._path = spool()
            self._stream = self._path.open("wb")

    def write(self, data: bytes | bytearray, most: int) -> None:
        if self._path is not None:
            self._stream.write(data)
            return
        self._text += data
        if len(self._text) > most:
            raise TooLarge(f"values that are no files may have {_MOST_TEXT:,} bytes in all; send long ones as files")

    def close(self) -> int:
        """Add the part to the form, and return how many bytes of text it was."""
        if self._path is not None:
            self._stream.close()
            self._form.attach(self._name.lower(), Upload(self._path, str(self._filename)))
            return 0
        if self._filename is None:
            try:
                self._form.add(self._name, self._text.decode("utf-8"))
            except UnicodeDecodeError as error:
                raise BadRequest(f"{self._name}: the value is not UTF-8 text") from error
        elif self._text:
            raise BadRequest(f"{self._name}: a file came without a file name; give it one")
        return len(self._text)

    def abandon(self) -> None:
        if self._path is not None:
            self._stream.close()
            self._path.unlink(missing_ok=True)
