"""A part of a job that is spread over a parameter, as a value. Imports the phases only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from uws_server.jobs.phases import Phase

PARTS = "parts"
"""The parameter by which a script that gathers the parts of a job gets the files that they made."""


@dataclass(frozen=True)
class Part:
    """A part of a job: its number from 1 on, and the text of the value that it has.

    `sentence` says why it failed, or what its exit status stands for, `stage` which one it reached. One that has not
    begun is QUEUED.
    """

    number: int
    text: str
    phase: Phase
    started: datetime | None = None
    ended: datetime | None = None
    sentence: str = ""
    stage: str = ""

    @property
    def seconds(self) -> float | None:
        """Return for how many seconds it ran; None if it has not ended, or never began."""
        return None if self.started is None or self.ended is None else (self.ended - self.started).total_seconds()


class Held(NamedTuple):
    """What a job of several parts says of its places: how many it holds, and how many it could use."""

    places: int
    wanted: int


class PartCounts(NamedTuple):
    """How many parts a job had that has ended, and how many of them failed."""

    total: int
    failed: int
