"""What a browser keeps between the way to the provider and the way back: one try to sign in, sealed in a cookie.

Imports the files of secrets, and `cryptography` not before somebody signs in.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uws_server.errors import Unauthorized
from uws_server.storage.keyfile import read_secret

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

LIFETIME_S = 600
"""Seconds within which somebody has to come back from the provider."""


@dataclass(frozen=True)
class Attempt:
    """One try to sign in: what the provider must give back, where to go on to, whose account it is for ('': any)."""

    state: str
    nonce: str
    verifier: str
    place: str
    account: str = ""

    @classmethod
    def begun(cls, place: str, account: str = "") -> Attempt:
        """Return a new try."""
        return cls(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), place, account)


class Sealing:
    """Seals tries with the key in a folder, created there when it is missing: no browser reads or changes them."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "oidc.key"

    def seal(self, attempt: Attempt) -> str:
        """Return the text of a cookie."""
        return self._fernet().encrypt(json.dumps(asdict(attempt)).encode()).decode()

    def open(self, cookie: str) -> Attempt:
        """Return the try in a cookie. Raise Unauthorized if there is none, or if it is too old."""
        from cryptography.fernet import InvalidToken

        try:
            text = self._fernet().decrypt(cookie.encode(), ttl=LIFETIME_S)
        except InvalidToken as error:
            raise Unauthorized(
                f"the sign-in took longer than {LIFETIME_S // 60} minutes, or this browser did not keep its cookie: "
                "begin again"
            ) from error
        return Attempt(**json.loads(text))

    def _fernet(self) -> Fernet:
        from cryptography.fernet import Fernet

        return Fernet(base64.urlsafe_b64encode(read_secret(self._file)))
