"""Phases: which may follow which, written down from UWS 1.1 (sections 2.1.3 and 2.2.3) and not from the table."""

from __future__ import annotations

import pytest

from uws_server.jobs.phases import ACTIVE, ENDED, Phase, may

LETTERS = dict(zip("PQECRAUHSX", ("PENDING", "QUEUED", "EXECUTING", "COMPLETED", "ERROR", "ABORTED", "UNKNOWN", "HELD",
                                  "SUSPENDED", "ARCHIVED"), strict=True))  # fmt: skip
"""One letter a phase; R is ERROR, X is ARCHIVED."""

FOLLOW = {
    "PENDING": "Q H A R X",  # sent to the queue, held, aborted, refused by what would run it, destroyed
    "HELD": "P Q A R X",  # as PENDING: the client has to run it again
    "QUEUED": "E H A R U",  # started, held back, aborted, cannot start, lost sight of
    "EXECUTING": "C R A S U Q",  # ended in three ways, stopped, lost sight of, given back by a machine that died
    "SUSPENDED": "E C R A U",  # goes on by itself; its end may be seen before that it went on
    "UNKNOWN": "Q E S C R A",  # found again: still waiting, at work, stopped, or ended
    "COMPLETED": "X",
    "ERROR": "X",
    "ABORTED": "X",
    "ARCHIVED": "",
}
"""What may follow each phase, and why."""


def test_the_phases_are_those_of_the_standard() -> None:
    assert {phase.value for phase in Phase} == set(LETTERS.values()) == set(FOLLOW)


@pytest.mark.parametrize("before", FOLLOW)
def test_a_phase_is_followed_by_those_that_may_follow_it_and_no_other(before: str) -> None:
    expected = {LETTERS[letter] for letter in FOLLOW[before].split()}
    assert {after.value for after in Phase if may(Phase(before), after)} == expected


def test_a_job_has_ended_waits_for_its_owner_or_is_at_work() -> None:
    """An ended job keeps its results; the server has nothing to do for one that waits to be run."""
    assert {phase.value for phase in ENDED} == {"COMPLETED", "ERROR", "ABORTED", "ARCHIVED"}
    assert {phase.value for phase in ACTIVE} == {"QUEUED", "EXECUTING", "SUSPENDED", "UNKNOWN"}


def test_every_job_can_be_brought_to_an_end() -> None:
    """Whatever happens to it, a job that is not at its end may be aborted, and one at its end goes nowhere else."""
    for phase in Phase:
        assert may(phase, Phase.ABORTED) == (phase.value not in ("COMPLETED", "ERROR", "ABORTED", "ARCHIVED"))
