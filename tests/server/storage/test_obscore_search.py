"""Products chosen by their rows in the database: no row that fulfils the conditions is missing, and few others come."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from uws_server.discovery.conditions import (
    CentredIn,
    Condition,
    Covers,
    HasState,
    Interval,
    OneOf,
    Overlaps,
    Within,
    fulfils,
)
from uws_server.discovery.sphere import Circle, Polygon, Range
from uws_server.jobs.job import Job, Result, new_id
from uws_server.jobs.phases import Phase
from uws_server.storage import obscore_rows, obscore_search
from uws_server.storage.archive_rows import ArchiveRows
from uws_server.storage.jobstore import JobStore

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
INF = math.inf


def rows(count: int) -> list[dict[str, Any]]:
    """Rows everywhere on the sky, some of which lack what others have."""
    chance = random.Random(15)
    found = []
    for number in range(count):
        ra, dec = chance.uniform(0, 360), math.degrees(math.asin(chance.uniform(-1, 1)))
        size = chance.choice([0.01, 0.5, 2.9, 8.0, None])
        corners = ((-0.2, -0.2), (0.2, -0.2), (0.0, 0.2))
        region = " ".join(f"{(ra + x) % 360} {max(-90, min(90, dec + y))}" for x, y in corners)
        row: dict[str, Any] = {
            "obs_id": str(number), "dataproduct_type": chance.choice(["event", "Image ", "spectrum", None]),
            "s_ra": ra, "s_dec": dec, "s_fov": size, "t_min": 50000.0 + number, "t_max": 50001.0 + number,
            "em_min": 1e-10, "em_max": chance.choice([1e-9, None]), "instrument_name": chance.choice(["EPN", "epn"]),
            "s_region": chance.choice([f"Polygon ICRS {region}", None]), "pol_states": chance.choice([None, "/I/"]),
        }  # fmt: skip
        found.append({name: value for name, value in row.items() if value is not None and chance.random() > 0.05})
    return found


def fill(store: JobStore, wanted: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Store half of the rows as results of jobs of two owners, half as files of the archive; by what is chosen."""
    found: dict[str, dict[str, Any]] = {}
    for number in range(0, len(wanted) // 2, 10):
        job = Job(new_id(), "dummy", "1", Phase.PENDING, NOW, 60, owner="ann" if number % 20 else None)
        store.add(job)
        store.move(job.id, [Phase.PENDING], Phase.QUEUED)
        store.move(job.id, [Phase.QUEUED], Phase.EXECUTING, server=store.server)
        some = wanted[number : number + 10]
        results = [Result(new_id(), f"p{n}", f"results/p{n}.fits", "application/fits", 1, "0") for n in range(10)]
        store.end(job.id, Phase.COMPLETED, NOW, None, results)
        kept = [obscore_rows.KeptRow(each.id, 1, 1, json.dumps(row)) for each, row in zip(results, some, strict=True)]
        obscore_rows.keep(store.engine, kept)
        found |= {each.id: row for each, row in zip(results, some, strict=True)}
    files = [
        {"kind": "events", "collection": "XMM", "obs_id": row.get("obs_id", ""), "instrument": "", "exposure": "",
         "filter": "", "mode": "", "target": "", "observer": "", "ra": None, "dec": None, "t_min": None, "t_max": None,
         "exposure_s": None, "source": f"{number}.fits", "size": 1, "changed": 1, "row": json.dumps(row), "note": "",
         "footprint": b""}
        for number, row in enumerate(wanted[len(wanted) // 2 :])
    ]  # fmt: skip
    archive = ArchiveRows(store.engine)
    archive.keep(files)
    listed = archive.page("events", 0, len(files))
    return found | {str(row["key"]): json.loads(row["row"]) for row in listed}


def chosen(store: JobStore, conditions: list[Condition], owners: list[str | None] | None = None) -> set[str]:
    made = obscore_search.chosen(store.engine, conditions, owners)
    assert made is not None
    return {*(each for ids in made.results.values() for each in ids), *map(str, made.archive)}


CONDITIONS: list[list[Condition]] = [
    [],
    [Covers((Circle(10, 20, 5),))],
    [Covers((Circle(359.9, -5, 2), Circle(180, 89, 3)))],
    [Covers((Circle(100, 80, 12),))],
    [Covers((Polygon(((350, -10), (20, -10), (5, 15))),))],
    [Covers((Range(350, 20, -30, 30),))],
    [CentredIn(0.1, 45, 20)],
    [Overlaps("t_min", "t_max", (Interval(50010, 50020), Interval(-INF, 50002), Interval(50300, INF)))],
    [Overlaps("em_min", "em_max", (Interval(-INF, INF),))],
    [Within("s_fov", (Interval(0.4, 0.6),))],
    [OneOf("dataproduct_type", frozenset({"event", "image"})), OneOf("instrument_name", frozenset({"epn"}))],
    [OneOf("obs_publisher_did", frozenset({"ivo://x?1"})), OneOf("target_name", frozenset({"é"}))],
    [HasState("pol_states", frozenset({"I"}))],
]


def test_no_row_that_fulfils_the_conditions_is_missing(store: JobStore) -> None:
    known = fill(store, rows(400))
    for conditions in CONDITIONS:
        found = chosen(store, conditions)
        assert {key for key, row in known.items() if fulfils(row, conditions)} <= found, conditions
    near = [Covers((Circle(10, 20, 1),))]
    small = {key for key, row in known.items() if 0 < row.get("s_fov", 0) < 3 and {"s_ra", "s_dec"} <= row.keys()}
    assert len(chosen(store, near) & small) < len(small) / 20
    assert len(chosen(store, CONDITIONS[9])) < len(known) / 3


def test_one_sees_the_jobs_that_one_may_and_the_archive(store: JobStore) -> None:
    known = fill(store, rows(80))
    archived = {key for key in known if len(key) < 32}
    of_ann, of_nobody = chosen(store, [], ["ann"]), chosen(store, [], [None])
    assert of_ann & of_nobody == archived and of_ann | of_nobody == set(known)
    assert archived < of_ann and archived < of_nobody and chosen(store, [], []) == archived


def test_where_there_are_too_many_all_rows_are_looked_at(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, rows(40))
    monkeypatch.setattr(obscore_search, "MOST", 19)
    assert obscore_search.chosen(store.engine, [], None) is None
