"""Takes secrets out of what a script prints, as its supervisor copies it. Imports nothing of ours.

Exact occurrences only, also such as come in two reads: a script that prints a secret in another form (in base64, say)
has printed it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_LEAST = 8
"""Bytes of a line of a secret that is looked for by itself: scripts print line by line."""


class Redactor:
    """What comes of one stream, with the names of secrets in place of their values."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._names: dict[bytes, bytes] = {}
        for name, value in secrets.items():
            for piece in (value, *value.splitlines()):
                if len(piece) >= _LEAST:
                    self._names[piece] = b"[secret %s]" % name.encode()
        pieces = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, pieces))) if pieces else None
        self._longest = len(pieces[0]) if pieces else 0
        self._kept = b""

    def cleaned(self, data: bytes) -> bytes:
        """Return what can be copied now: an end that may be the beginning of a secret is kept back."""
        if self._pattern is None:
            return data
        data, self._kept = self._kept + data, b""
        out, at, held = [], 0, self._begun(data, 0)
        for match in self._pattern.finditer(data):
            if match.start() >= held:
                break
            out += [data[at : match.start()], self._names[match[0]]]
            at = match.end()
            held = self._begun(data, at)
        self._kept = data[held:]
        return b"".join([*out, data[at:held]])

    def rest(self) -> bytes:
        """Return what was kept back, at the end of the stream."""
        kept, self._kept = self._kept, b""
        return kept if self._pattern is None else self._pattern.sub(lambda match: self._names[match[0]], kept)

    def _begun(self, data: bytes, start: int) -> int:
        """Return where the end of data begins that may go on as a secret."""
        first = {piece[0] for piece in self._names}
        for at in range(max(start, len(data) - self._longest + 1), len(data)):
            if data[at] in first:
                end = data[at:]
                if any(len(piece) > len(end) and piece.startswith(end) for piece in self._names):
                    return at
        return len(data)
