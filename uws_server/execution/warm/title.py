"""What /proc tells of a process that was forked: the command line and the environment of what runs in it.

By these the supervisor of a job is found by a later server, and the processes of a job are found when its supervisor is
lost: a fork has those of the process that it was forked from until it writes others over them. Imports nothing of ours.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ARGUMENTS_ROOM, ENVIRONMENT_ROOM = 1 << 13, 1 << 14
"""Bytes that the warm process is given in vain, so that the longest path of a job fits."""
ROOM_VARIABLE = "UWS_WARM_ROOM"
"""The variable whose value makes room in the environment."""
_FIRST = 45
"""The index, behind the name of the command in /proc/PID/stat, of arg_start; arg_end, env_start, env_end follow."""


class Title:
    """The places of the command line and the environment in the memory of this process and its forks."""

    def __init__(self) -> None:
        text = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace")
        places = [int(word) for word in text.rpartition(")")[2].split()[_FIRST : _FIRST + 4]]
        self._arguments, self._environment = slice(*places[:2]), slice(*places[2:])

    def set_arguments(self, words: Sequence[str]) -> None:
        """Set the command line; of one that is too long the end is missing."""
        _write(self._arguments, (word.encode(errors="surrogateescape") for word in words))

    def set_environment(self, variables: Mapping[str, str]) -> None:
        """Set the environment, variables of the server's own first; what does not fit is missing.

        The C library must not refer to the former one any more: its variables are unset before.
        """
        own_first = sorted(variables, key=lambda name: (name != "UWS_JOB_ID", name))
        _write(self._environment, (f"{name}={variables[name]}".encode(errors="surrogateescape") for name in own_first))


def _write(place: slice, parts: Iterable[bytes]) -> None:
    """Fill a place with texts, each ended by a zero; the last byte stays zero, by which the system sees its end."""
    room, content = place.stop - place.start, b""
    for part in parts:
        if len(content) + len(part) + 1 <= room:
            content += part + b"\0"
    ctypes.memmove(place.start, content.ljust(room, b"\0"), room)
