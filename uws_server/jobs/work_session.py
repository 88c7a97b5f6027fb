"""Work that is kept as a session, as a value: regions, search, selection, a definition with values, and its jobs.

It is no session of a browser that is signed in. Imports the phases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from uws_server.jobs.phases import Phase

MOST_JOBS: Final = 1000
"""Jobs of one session."""


@dataclass(frozen=True)
class SessionContent:
    """What is saved of a session at once; '' and nothing where there is none.

    `source` and `background` are the texts of regions, `search` that of the search bar, as they were written;
    `exposures` the sources of those that are selected, `parameters` the values that are being edited for `definition`.
    """

    name: str = ""
    source: str = ""
    background: str = ""
    search: str = ""
    exposures: tuple[str, ...] = ()
    definition: str = ""
    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class WorkSession:
    """A session: whose it is (None for nobody), what is saved in it, how often it was, and the key of its share link.

    `used` is when somebody who may change it opened or changed it last.
    """

    id: str
    owner: str | None
    created: datetime
    changed: datetime
    used: datetime
    content: SessionContent
    revision: int = 1
    share: str | None = None


class SessionSummary(NamedTuple):
    """A session in a list; `selected` counts its exposures."""

    id: str
    owner: str | None
    name: str
    created: datetime
    changed: datetime
    source: str
    background: str
    definition: str
    selected: int
    share: str | None


class LinkedJob(NamedTuple):
    """A job of a session: `phase` is None where it was deleted.

    `via` is '' for a job that somebody linked who could change it, else the session of which this one is a copy, whose
    share link with the key `via_share` shows the job. `is_open` says that whoever may look at the session may look at
    the job: it is of the session's owner, or of nobody, or the share link that it came by still shows it.
    """

    session_id: str
    job_id: str
    via: str
    via_share: str
    phase: Phase | None
    owner: str | None
    is_open: bool
