"""The phases of a UWS job and the one table of legal transitions. Imports nothing of ours."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Execution phases of UWS 1.1, section 2.1.3."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    ABORTED = "ABORTED"
    UNKNOWN = "UNKNOWN"
    HELD = "HELD"
    SUSPENDED = "SUSPENDED"
    ARCHIVED = "ARCHIVED"


_P = Phase

TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    _P.PENDING: frozenset({_P.QUEUED, _P.HELD, _P.ABORTED, _P.ERROR, _P.ARCHIVED}),
    _P.HELD: frozenset({_P.PENDING, _P.QUEUED, _P.ABORTED, _P.ERROR, _P.ARCHIVED}),
    _P.QUEUED: frozenset({_P.EXECUTING, _P.HELD, _P.ABORTED, _P.ERROR, _P.UNKNOWN}),
    _P.EXECUTING: frozenset({_P.COMPLETED, _P.ERROR, _P.ABORTED, _P.SUSPENDED, _P.UNKNOWN, _P.QUEUED}),
    _P.SUSPENDED: frozenset({_P.EXECUTING, _P.ABORTED, _P.ERROR, _P.COMPLETED, _P.UNKNOWN}),
    _P.UNKNOWN: frozenset({_P.QUEUED, _P.EXECUTING, _P.SUSPENDED, _P.COMPLETED, _P.ERROR, _P.ABORTED}),
    _P.COMPLETED: frozenset({_P.ARCHIVED}),
    _P.ERROR: frozenset({_P.ARCHIVED}),
    _P.ABORTED: frozenset({_P.ARCHIVED}),
    _P.ARCHIVED: frozenset(),
}
"""The phases to which a job may go from each phase. EXECUTING to QUEUED is a start that never happened."""

ENDED: frozenset[Phase] = frozenset({_P.COMPLETED, _P.ERROR, _P.ABORTED, _P.ARCHIVED})
"""Phases after which the results of a job no longer change."""

ACTIVE: frozenset[Phase] = frozenset({_P.QUEUED, _P.EXECUTING, _P.SUSPENDED, _P.UNKNOWN})
"""Phases in which the server still has work to do."""


def may(before: Phase, after: Phase) -> bool:
    """Return whether a job in phase `before` may go to phase `after`."""
    return after in TRANSITIONS[before]
