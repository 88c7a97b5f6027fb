"""How many parts of a job run at a time on real servers: what others leave, never more than any limit allows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from joblab import PARAMETERS, Lab, Remote, define, signed_in
from processes import carrying, until
from serving import running_server

SPREAD = {"name": "word", "type": "string", "max_values": 1000, "required": True, "spread": True}
WORK = """
echo "begin $word" >> "$track"
while [ ! -e "$gate/$word" ] && [ ! -e "$gate/all" ]; do sleep 0.02; done
echo "end $word" >> "$track"
"""
QUICK = """
echo "begin $word" >> "$track"
sleep "$seconds"
echo "end $word" >> "$track"
"""
SETTLED_S = 1.0
"""Seconds after which nothing more is begun, if nothing more may be: five looks of a driver."""


@pytest.fixture
def lab(tmp_path: Path, database_url: str) -> Iterator[Lab]:
    made = Lab(tmp_path, database_url)
    (tmp_path / "gate").mkdir()
    for name, script, control in (
        ("gated", WORK, {}),
        ("pair", WORK, {"cpus": 2}),
        ("large", WORK, {"memory": 400_000_000}),
        ("few", WORK, {"max_running": 2}),
        ("quick", QUICK, {}),
    ):
        define(made.definitions, name, script, parameters=[SPREAD, *PARAMETERS], control=control)
    yield made
    made.close()


def spread(lab: Lab, prefix: str, number: int, name: str = "gated", **form: object) -> Remote:
    """A job of so many parts, which wait for the gate of each."""
    words = [f"{prefix}{part}" for part in range(1, number + 1)]
    return lab.create(name, PHASE="RUN", word=words, track=str(lab.track), gate=str(lab.root / "gate"), **form)


def let(lab: Lab, *words: str) -> None:
    for word in words:
        (lab.root / "gate" / word).touch()


def working(lab: Lab) -> list[str]:
    """The parts, and jobs, whose script runs."""
    lines = lab.tracked()
    ended = {line.removeprefix("end ") for line in lines if line.startswith("end ")}
    return sorted({line.removeprefix("begin ") for line in lines if line.startswith("begin ")} - ended)


def until_working(lab: Lab, *words: str) -> None:
    """Wait until these scripts run, and require that no other one begins."""
    until(lambda: working(lab) == sorted(words), what=f"{words} run", every=0.05)
    time.sleep(SETTLED_S)
    assert working(lab) == sorted(words)


def test_a_lone_job_uses_the_whole_machine_and_gives_another_owner_a_share(lab: Lab) -> None:
    with lab.serving(max_running=3, short_places=0):
        ada, bob = signed_in(lab, "ada"), signed_in(lab, "bob")
        job = spread(ada, "a", 9)
        until_working(lab, "a1", "a2", "a3")
        late = spread(bob, "b", 1)
        until_working(lab, "a1", "a2", "a3")
        let(lab, "a2")
        until_working(lab, "a1", "a3", "b1")
        let(lab, "a1")
        until_working(lab, "a3", "a4", "b1")
        let(lab, "b1")
        assert late.ended() == "COMPLETED"
        until_working(lab, "a3", "a4", "a5")
        let(lab, "all")
        assert job.ended() == "COMPLETED"
        begun = [line for line in lab.tracked() if line.startswith("begin a")]
        assert sorted(begun) == [f"begin a{part}" for part in range(1, 10)], "each once"


def test_five_hundred_parts_on_one_place_let_another_owner_pass(lab: Lab) -> None:
    with lab.serving(max_running=1, short_places=0):
        ada, bob = signed_in(lab, "ada"), signed_in(lab, "bob")
        job = spread(ada, "a", 500, "quick", seconds=0.2)
        until(lambda: "end a2" in lab.tracked())
        let(lab, "b1")
        late = spread(bob, "b", 1)
        before = sum(line.startswith("begin a") for line in lab.tracked())  # now the server knows of it
        assert late.ended() == "COMPLETED"
        lines = lab.tracked()
        passed = sum(line.startswith("begin a") for line in lines[: lines.index("begin b1")]) - before
        assert passed < 15, "those of a second, not of the time until the queue is looked at anyway"
        until(lambda: lab.tracked()[-1].startswith("end a"), what="the parts go on")
        assert job.post(PHASE="ABORT").ok
        assert job.ended() == "ABORTED"


def test_parts_of_two_owners_have_as_many_places_and_what_one_leaves_the_other_gets(lab: Lab) -> None:
    with lab.serving(max_running=4, short_places=0):
        ada, bob = signed_in(lab, "ada"), signed_in(lab, "bob")
        first = spread(ada, "a", 40, "quick", seconds=0.3)
        until(lambda: len(working(lab)) == 4)
        second = spread(bob, "b", 6)
        until(lambda: {"b1", "b2"} <= set(working(lab)), what="two of the second owner's run")
        time.sleep(SETTLED_S)
        assert sum(word.startswith("b") for word in working(lab)) == 2
        assert first.ended() == "COMPLETED"
        until_working(lab, "b1", "b2", "b3", "b4")
        let(lab, "all")
        assert second.ended() == "COMPLETED"


def test_cores_memory_and_limits_bound_the_parts_together(lab: Lab) -> None:
    with lab.serving(max_running=8, cores=5, memory="1 GB", max_running_owner=3):
        for name, words in (
            ("pair", ["p1", "p2"]),  # of two cores each
            ("large", ["l1", "l2"]),  # of 0.4 GB each
            ("few", ["f1", "f2"]),  # its definition allows two
            ("gated", ["g1", "g2", "g3"]),  # its owner has three
        ):
            job = spread(lab, name[0], 6, name)
            until_working(lab, *words)
            let(lab, *(f"{name[0]}{part}" for part in range(1, 7)))
            assert job.ended() == "COMPLETED"


def test_limits_hold_for_the_parts_on_two_servers(lab: Lab) -> None:
    settings = {"definitions": lab.definitions, "database": lab.database, "max_running": 4, "max_running_owner": 5}
    with ExitStack() as stack:
        one, other = (stack.enter_context(running_server(lab.data, **settings)) for _ in range(2))
        lab.served = one
        jobs = [spread(lab, "a", 9), spread(lab, "b", 9)]
        until(lambda: len(working(lab)) == 5, what="as many parts run as the owner may have")
        time.sleep(SETTLED_S)
        assert len(working(lab)) == 5
        one.kill()
        lab.served = other
        let(lab, *working(lab)[:3])
        until(lambda: len(working(lab)) == 5 and sum("end" in line for line in lab.tracked()) == 3)
        time.sleep(SETTLED_S)
        assert len(working(lab)) == 5
        let(lab, "all")
        assert [lab.again(job).ended() for job in jobs] == ["COMPLETED"] * 2
        begun = [line for line in lab.tracked() if line.startswith("begin")]
        assert len(begun) == len(set(begun)) == 18


def test_parts_that_stand_still_give_their_places_and_go_on_together(lab: Lab) -> None:
    with lab.serving(max_running=3, short_places=0):
        ada, bob = signed_in(lab, "ada"), signed_in(lab, "bob")
        job = spread(ada, "a", 5)
        until_working(lab, "a1", "a2", "a3")
        assert job.post(PHASE="SUSPEND").ok
        other = spread(bob, "b", 4)
        until_working(lab, "a1", "a2", "a3", "b1", "b2", "b3")
        assert job.post(PHASE="RESUME").ok
        let(lab, "a1", "a2", "a3", "b1")
        time.sleep(SETTLED_S)
        assert job.phase() == "SUSPENDED", "there is not yet room for all that stand still"
        let(lab, "all")
        assert [job.ended(), other.ended()] == ["COMPLETED"] * 2


def test_a_last_script_waits_for_a_place(lab: Lab) -> None:
    place = define(
        lab.definitions, "merged", WORK, parameters=[SPREAD, *PARAMETERS], gather="merge.sh",
        results=[{"name": "all", "file": "all.txt", "gathered": True}],
    )  # fmt: skip
    merge = 'echo "begin merge" >> "$track"\necho all > all.txt\necho "end merge" >> "$track"\n'
    (place / "merge.sh").write_text(merge, encoding="utf-8")
    with lab.serving(max_running=1, short_places=0):
        ada, bob = signed_in(lab, "ada"), signed_in(lab, "bob")
        job = spread(ada, "a", 1, "merged")
        until_working(lab, "a1")
        other = spread(bob, "b", 1)
        time.sleep(SETTLED_S)
        let(lab, "a1")
        until(lambda: job.phase() == "COMPLETED" or "begin b1" in lab.tracked())
        let(lab, "b1")
        assert [job.ended(), other.ended()] == ["COMPLETED"] * 2
        lines = lab.tracked()
        assert not lines.index("begin b1") < lines.index("begin merge") < lines.index("end b1")
        assert carrying("UWS_JOB_ID", job.id) == []
