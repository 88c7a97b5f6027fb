"""The keys of jobs and sessions that nobody owns, on a server where such are in no list. Imports the rights.

The id of a job is no secret: it stands in step lists, in products that are passed on, in graphs. The address that the
maker of such a job is given therefore ends with a key as well, `<id>-<key>`, which is computed of the id with a secret
of the server and stored nowhere. The secret lies in the data folder, so that all servers over it have the same. The
keys of sessions in which work is kept are computed alike, and are other ones.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from uws_server.services.rights import Caller
from uws_server.storage.keyfile import read_secret

__all__ = ["ADDRESS", "MOST_REMEMBERED", "JobKeys", "SessionKeys", "read_secret", "without_keys"]

ADDRESS = "[0-9a-f]{32}(?:-[0-9a-f]{32})?"
"""What names a job in an address, as a pattern: its id, and its key where it has one."""
_KEY_DIGITS = 32
_ADDRESS = re.compile(rf"(?<![0-9a-f])([0-9a-f]{{32}})-([0-9a-f]{{{_KEY_DIGITS}}})(?![0-9a-f])")
_ID_BYTES = 16
MOST_REMEMBERED = 150
"""Jobs that a browser remembers: those of one cookie, which has at most 4096 bytes."""


def without_keys(text: str) -> str:
    """Return a text, such as a path for the log, with the ids of jobs alone where their keys follow them."""
    return _ADDRESS.sub(r"\1", text)


class JobKeys:
    """Issues and checks keys with the secret in a folder, created there when it is missing."""

    _key_of, _seal_of = "job", "cookie"
    """What is before an id, and before the ids of a cookie, where a digest is computed of them."""

    def __init__(self, folder: Path) -> None:
        self._secret = read_secret(folder / "jobs.key")

    def address(self, job_id: str, caller: Caller) -> str:
        """Return what names a job in an address for a caller: its id, and its key if the caller has that."""
        return f"{job_id}-{self._key(job_id)}" if job_id in caller.opened else job_id

    def open(self, text: str, caller: Caller) -> tuple[str, Caller]:
        """Return a text without the keys of jobs in it, and the caller, who has those keys from now on.

        A key that does not belong to the id before it is removed and counts for nothing.
        """
        found = _ADDRESS.findall(text)
        if not found:
            return text, caller
        right = {job_id for job_id, key in found if hmac.compare_digest(self._key(job_id), key)}
        return _ADDRESS.sub(r"\1", text), replace(caller, opened=caller.opened | right)

    def remember(self, job_ids: Iterable[str]) -> str:
        """Return the text of a cookie that remembers the keys of some jobs: the first MOST_REMEMBERED of them."""
        latest = list(dict.fromkeys(job_ids))[:MOST_REMEMBERED]
        ids = base64.urlsafe_b64encode(bytes.fromhex("".join(latest))).decode().rstrip("=")
        return f"{ids}.{self._seal(ids)}"

    def remembered(self, cookie: str) -> tuple[str, ...]:
        """Return the ids of the jobs in the text of a cookie; none of a text that this server did not write."""
        ids, _, seal = cookie.partition(".")
        if not hmac.compare_digest(self._seal(ids).encode(), seal.encode("utf-8", "replace")):
            return ()
        try:
            packed = base64.urlsafe_b64decode(ids + "=" * (-len(ids) % 4))
        except (binascii.Error, ValueError):
            return ()
        return tuple(packed[at : at + _ID_BYTES].hex() for at in range(0, len(packed), _ID_BYTES))

    def _key(self, job_id: str) -> str:
        return self._digest(f"{self._key_of} {job_id}")[:_KEY_DIGITS]

    def _seal(self, ids: str) -> str:
        return self._digest(f"{self._seal_of} {ids}")

    def _digest(self, text: str) -> str:
        return hmac.new(self._secret, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


class SessionKeys(JobKeys):
    """Issues and checks the keys of sessions in which work is kept."""

    _key_of, _seal_of = "session", "session cookie"
