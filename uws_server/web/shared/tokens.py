"""Tokens that distinguish our own forms from those of other sites: a cookie and its signature in the form.

The key lies in the data folder, so that a form opened before a restart, or from another process over the same
folder, still works.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

COOKIE = "uws_form"
_VALUE = re.compile(r"[0-9a-f]{32}")


class Tokens:
    """Issues and checks tokens with the key in a folder, created there when it is missing."""

    def __init__(self, folder: Path) -> None:
        self._key = _read_key(folder / "forms.key")

    def cookie(self, sent: str | None) -> str:
        """Return the value of the cookie: the one that was sent if it is valid, else a new one."""
        return sent if sent and _VALUE.fullmatch(sent) else secrets.token_hex(16)

    def token(self, cookie: str) -> str:
        """Return the token that belongs to a cookie."""
        return hmac.new(self._key, cookie.encode(), hashlib.sha256).hexdigest()

    def valid(self, cookie: str | None, token: str | None) -> bool:
        """Return whether a form brought the token of its cookie."""
        if not cookie or not token or not _VALUE.fullmatch(cookie):
            return False
        return hmac.compare_digest(self.token(cookie).encode(), token.encode())


def _read_key(path: Path) -> bytes:
    """Return the key in a file; of several processes that create one at the same time the first wins."""
    if not path.exists():
        beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(secrets.token_bytes(32))
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
        beside.unlink()
    return path.read_bytes()
