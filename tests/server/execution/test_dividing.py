"""Whose turn it is where some definitions run elsewhere: neither place keeps the jobs of the other waiting."""

from __future__ import annotations

from uws_server.execution.dividing import choose_somewhere, has_room_somewhere
from uws_server.execution.fairness import Limits
from uws_server.storage.queued_jobs import Candidate, Load

HERE = Limits(places=1, cores=2)


def queue(definition: str, *ids: str, owner: str = "ann", cores: int = 1) -> list[Candidate]:
    return [Candidate(each, owner, definition, since, False, cores, 0) for since, each in enumerate(ids)]


def chosen(queues: list[list[Candidate]], loads: list[Load], limits: Limits = HERE, free: int = 10) -> list[str]:
    return [one.id for one in choose_somewhere(map(iter, queues), loads, limits, {"far"}, free)]


def test_each_place_has_its_own_room() -> None:
    """A full machine keeps no job from the cluster, a full cluster none from the machine."""
    waiting = [queue("near", "n1", "n2"), queue("far", "f1", "f2", "f3")]
    full = Load("bob", "near", True, True, False, False, 1, 2, 0)
    assert chosen(waiting, []) == ["n1", "f1", "f2", "f3"]
    assert chosen(waiting, [full]) == ["f1", "f2", "f3"]
    assert chosen(waiting, [], free=2) == ["n1", "f1", "f2"]
    assert chosen(waiting, [], free=0) == ["n1"]


def test_job_on_cluster_takes_nothing_here() -> None:
    """Its server is on this machine; what it takes is not."""
    far = Load("ann", "far", True, True, False, False, 5, 40, 10**12)
    limits = Limits(places=1, cores=2, memory=10**9)
    assert chosen([queue("near", "n1")], [far], limits) == ["n1"]
    assert has_room_somewhere([far], limits, {"far"}, 0)


def test_larger_than_this_machine_is_for_the_cluster() -> None:
    assert chosen([queue("far", "f1", cores=64)], []) == ["f1"]
    assert chosen([queue("near", "n1", cores=64)], []) == []


def test_limits_of_definition_and_owner_hold_there() -> None:
    """Those that wait on the cluster count: they may begin at any moment."""
    limits = Limits(places=1, cores=2, of_owner=3, of_definition={"far": 2})
    waits = Load("ann", "far", True, True, False, False, 1, 1, 0)
    assert chosen([queue("far", "f1", "f2")], [waits], limits) == ["f1"]


def test_fair_between_owners() -> None:
    """Who has fewer cores there comes first."""
    busy = Load("ann", "far", True, True, False, False, 4, 4, 0)
    waiting = [queue("far", "a1", "a2"), queue("far", "b1", owner="bob")]
    assert chosen(waiting, [busy], free=1) == ["b1"]


def test_job_that_stands_still_there_goes_on() -> None:
    """It has its node: no place is waited for."""
    still = Candidate("f1", "ann", "far", 0, False, 1, 0, resumes=True)
    near = Candidate("n1", "ann", "near", 0, False, 1, 0, resumes=True)
    full = Load("bob", "near", True, True, False, False, 1, 2, 0)
    found = choose_somewhere([iter([still, near])], [full], HERE, {"far"}, 0)
    assert [(one.id, one.resumes, one.elsewhere) for one in found] == [("f1", True, False)]
