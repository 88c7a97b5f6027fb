"""Checks tokens of earlier versions, which were kept as argon2 hashes. Imports nothing of ours."""

from __future__ import annotations

import base64
import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from argon2.low_level import ARGON2_VERSION

_MOST_AT_ONCE = 2
"""Argon2 hashes that are checked at the same time: each takes 64 MiB and all the cores there are."""


class EarlierTokens:
    """Checks tokens against argon2 hashes, a few at a time."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._nobody = hash_of_nobody(self._hasher)
        self._checking = threading.BoundedSemaphore(_MOST_AT_ONCE)

    def fits(self, token_hash: str, token: str) -> bool:
        """Check whether a token is the one of a hash; '' is the hash of nobody, which takes as long to check."""
        try:
            with self._checking:
                return self._hasher.verify(token_hash or self._nobody, token)
        except VerificationError:
            return False


def hash_of_nobody(hasher: PasswordHasher) -> str:
    """Return a hash that no token fits, which takes as long to check as one that was made, and none to make."""
    kind = hasher.type.name.lower()
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=")
        for length in (hasher.salt_len, hasher.hash_len)
    )
    return f"$argon2{kind}$v={ARGON2_VERSION}${costs}${salt}${digest}"
