"""Style sheets, scripts and vendored parts: found, versioned, sent. Imports nothing of ours.

An address carries the first digits of the file's digest, so a browser may keep it for a year; asked for without
them the file is checked each time.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from bottle import HTTPResponse, request, static_file

_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".xsl": "text/xsl",
}
_YEAR_S = 31_536_000


class Assets:
    """The files below a folder, under the address `root`/static/."""

    def __init__(self, folder: Path, root: str) -> None:
        self._folder = folder
        self._root = root
        self._versions = {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:12]
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    def has(self, name: str) -> bool:
        """Return whether the file exists (vendored parts may be missing)."""
        return name in self._versions

    def url(self, name: str) -> str:
        """Return the address of a file, with its version."""
        return f"{self._root}/static/{name}?v={self._versions.get(name, 'none')}"

    def send(self, name: str) -> HTTPResponse:
        """Send the file, with an ETag."""
        kind = _TYPES.get(Path(name).suffix, True)
        response = static_file(name, root=str(self._folder), mimetype=kind, etag=self._versions.get(name))
        asked_for = request.query.get("v")
        fixed = asked_for is not None and asked_for == self._versions.get(name)
        response.set_header("Cache-Control", f"public, max-age={_YEAR_S}, immutable" if fixed else "no-cache")
        return response
