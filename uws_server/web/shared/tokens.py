"""Tokens that distinguish our own forms from those of other sites: a cookie and its signature in the form.

The key lies in the data folder, so that a form opened before a restart, or from another process over the same
folder, still works. Imports the keys.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from pathlib import Path

from uws_server.services.job_keys import read_secret

COOKIE = "uws_form"
_VALUE = re.compile(r"[0-9a-f]{32}")


class Tokens:
    """Issues and checks tokens with the key in a folder, created there when it is missing."""

    def __init__(self, folder: Path) -> None:
        self._key = read_secret(folder / "forms.key")

    def cookie(self, sent: str) -> str:
        """Return the value of the cookie: the one that was sent if it is valid, else a new one."""
        return sent if _VALUE.fullmatch(sent) else secrets.token_hex(16)

    def token(self, cookie: str) -> str:
        """Return the token that belongs to a cookie."""
        return hmac.new(self._key, cookie.encode(), hashlib.sha256).hexdigest()

    def valid(self, cookie: str, token: str | None) -> bool:
        """Return whether a form brought the token of its cookie."""
        if not token or not _VALUE.fullmatch(cookie):
            return False
        return hmac.compare_digest(self.token(cookie).encode(), token.encode())
