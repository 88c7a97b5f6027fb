"""What the queue says of jobs: those that wait, what runs and what it uses. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Candidate(NamedTuple):
    """A job that waits, since when (microseconds since 1970), and what it needs.

    `most` is how many jobs of its owner may run, 0 for any number, None for what the configuration says; `served` is
    when one of its owner was started last, in microseconds, 0 for never. One that `resumes` stands still on this
    server, and is to go on. One that is chosen for `elsewhere` stays QUEUED, in the hands of this server.

    Of `wanted` parts that could run at a time `width` may; `wanted` is 0 for one without parts. One that `grows` runs
    on this server, and gets a place for one more part; one that waits gets the first place, and then grows. The first
    `kept` places are its own for now.
    """

    id: str
    owner: str
    definition: str
    since: int
    short: bool
    cores: int
    memory: int
    most: int | None = None
    served: int = 0
    width: int = 0
    wanted: int = 0
    resumes: bool = False
    elsewhere: bool = False
    grows: bool = False
    kept: int = 0

    def grown(self) -> Candidate | None:
        """Return the job as one that has one more place and waits for another; None if it could not use that."""
        width = self.width + 1
        return self._replace(width=width, grows=True) if width < self.wanted and not self.resumes else None


class Load(NamedTuple):
    """What some jobs that servers have taken use: jobs of one owner and definition that need the same.

    They are `mine` where this process runs them, `here` where they run on this machine; `stands` for those that are
    SUSPENDED. `cores` and `memory` are those of all of them, and each part that may run counts as a job.
    """

    owner: str
    definition: str
    mine: bool
    here: bool
    stands: bool
    short: bool
    number: int
    cores: int
    memory: int


class Waiting(NamedTuple):
    """A job in the queue, as one looks at all of them: times in microseconds since 1970, else as in a candidate."""

    id: str
    owner: str
    definition: str
    since: int
    short: bool
    cores: int
    expected_s: int | None
    memory: int = 0
    most: int | None = None
    served: int = 0


class Started(NamedTuple):
    """A job that runs: when it was started, in microseconds since 1970, and the seconds that it is expected to run.

    `cores` are those of each of `width` parts, each of which has a place.
    """

    owner: str
    definition: str
    short: bool
    cores: int
    started: int
    expected_s: int | None
    width: int = 1
    memory: int = 0


class QueueState(NamedTuple):
    """The whole queue at a moment: who waits, longest first, what runs, the places of all servers, if it is drained.

    `standing` is the memory of the jobs that are SUSPENDED.
    """

    waiting: Sequence[Waiting]
    running: Sequence[Started]
    places: int
    servers: int
    drained: bool
    standing: int = 0


class Moved(NamedTuple):
    """Whether a job went to another phase, and how many its owner had of those that count against a limit."""

    done: bool
    counted: int = 0
