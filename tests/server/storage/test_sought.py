"""Jobs that are looked for: what they are found by, and that it costs what is found and not what there is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from uws_server.jobs.job import Filter, Job, Place, Result, new_id
from uws_server.jobs.phases import Phase
from uws_server.storage import obscore_rows, sought
from uws_server.storage.jobstore import JobStore
from uws_server.storage.rows import job_row
from uws_server.storage.tables import jobs

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


def test_the_target_is_that_of_the_first_product_that_names_one(store: JobStore) -> None:
    job = Job(new_id(), "dummy", "1", Phase.PENDING, NOW, 60)
    store.add(job)
    assert store.move(job.id, [Phase.PENDING], Phase.QUEUED)
    assert store.move(job.id, [Phase.QUEUED], Phase.EXECUTING, server=store.server)
    products = [Result(new_id(), f"p{n}", f"results/p{n}.fits", "application/fits", 1, "0") for n in range(4)]
    assert store.end(job.id, Phase.COMPLETED, NOW, None, products)
    named = ({"target_name": None}, {"target_name": "Cas A: it's"}, {"target_name": "other"})
    texts = ("", *map(json.dumps, named))
    rows = [obscore_rows.KeptRow(one.id, 1, 1, text) for one, text in zip(products, texts, strict=True)]
    obscore_rows.keep(store.engine, rows)
    assert store.get(job.id).target == "Cas A: it's"
    for looked_for in (Filter(text="casa:"), Filter(target="CAS A"), Filter(text="cas a: it's", definition="dummy")):
        assert [found.target for found in store.summaries(looked_for)] == ["Cas A: it's"]
    assert list(store.summaries(Filter(target="other"))) == []


@pytest.mark.parametrize("run_id", ["Nuit d'été", "100%", "a_b", "STRASSE", "𝛾 Cas", "  two  words "])
def test_a_run_id_is_found_by_each_beginning_whatever_it_is_made_of(store: JobStore, run_id: str) -> None:
    store.add(Job(new_id(), "dummy", "1", Phase.PENDING, NOW, 60, run_id=run_id))
    store.add(Job(new_id(), "dummy", "1", Phase.PENDING, NOW, 60, run_id="other"))
    for length in range(1, len(run_id) + 1):
        for text in (run_id[:length], run_id[:length].upper(), run_id[:length].lower()):
            if text.strip():
                assert [found.run_id for found in store.summaries(Filter(run_id=text))] == [run_id], text
    assert list(store.summaries(Filter(run_id=run_id + "x"))) == []


SEARCHES = (
    Filter(text="night 12", last=51), Filter(run_id="night 12", last=51), Filter(target="ngc 12", last=51),
    Filter(text="0000001", last=51, oldest_first=True), Filter(target="ngc 12", run_id="night", last=51),
    Filter("dummy", (Phase.ERROR,), owners=("ada",), text="ngc12", last=51, until=NOW + timedelta(days=1)),
)  # fmt: skip


def test_what_is_looked_for_is_found_by_an_index(store: JobStore) -> None:
    """No search looks at all jobs: neither at their table, nor at a list of them."""
    made = [
        Job(f"{number:08x}{new_id()[8:]}", "dummy", "1", (Phase.ERROR, Phase.COMPLETED)[number % 2],
            NOW + timedelta(seconds=number), 60, owner=("ada", None)[number % 3 % 2], run_id=f"Night {number}",
            target=f"NGC {number}")
        for number in range(4000)
    ]  # fmt: skip
    with store.engine.begin() as connection:
        connection.execute(jobs.insert(), [job_row(one) for one in made])
        connection.exec_driver_sql("ANALYZE")
    for wanted in SEARCHES:
        plan = explained(store, sought.query(wanted, wanted.last))
        assert "Seq Scan on jobs" not in plan and "SCAN jobs" not in plan, (wanted, plan)
        assert "jobs_listed" not in plan and "jobs_of_owner" not in plan, (wanted, plan)
        assert "jobs_by_run_key" in plan or "jobs_by_target_key" in plan or "jobs_pkey" in plan or "(id>?" in plan, plan
        assert list(store.summaries(wanted))


@pytest.mark.parametrize("oldest_first", [False, True])
def test_many_that_are_alike_are_found_along_the_list_as_by_the_index(
    store: JobStore, monkeypatch: pytest.MonkeyPatch, oldest_first: bool
) -> None:
    made = [
        Job(f"{number % 16:x}{new_id()[1:]}", ("dummy", "other")[number % 2], "1", Phase.COMPLETED,
            NOW + timedelta(seconds=number // 2), 60, run_id=f"Night {number}",
            target=("a bc", "Night Sky", "")[number % 3])
        for number in range(900)
    ]  # fmt: skip
    with store.engine.begin() as connection:
        connection.execute(jobs.insert(), [job_row(one) for one in made])
    for looked_for in ({"text": "night"}, {"text": "ABC"}, {"text": "abcd"}, {"target": "ab"}, {"run_id": "night 8"},
                       {"text": "n", "target": "night", "definition": "other"}):  # fmt: skip
        wanted = Filter(**looked_for, last=60, oldest_first=oldest_first)
        monkeypatch.setattr(sought, "MANY", 10_000)
        found = list(store.summaries(wanted))
        after = list(store.summaries(replace(wanted, start=Place(found[-1].created_us, found[-1].id)))) if found else []
        monkeypatch.setattr(sought, "MANY", 0)
        assert list(store.summaries(wanted)) == found
        if found:
            place = Place(found[-1].created_us, found[-1].id)
            assert list(store.summaries(replace(wanted, start=place))) == after
            assert not {one.id for one in found} & {one.id for one in after}
        whole = len(list(store.summaries(replace(wanted, last=None))))
        assert [store.count_to(wanted, most) for most in (10_000, 1)] == [whole, min(1, whole)]


def explained(store: JobStore, query: sa.Select[Any]) -> str:
    explain = "EXPLAIN QUERY PLAN " if store.engine.name == "sqlite" else "EXPLAIN "
    compiled = query.compile(store.engine, compile_kwargs={"literal_binds": True})
    with store.engine.connect() as connection:
        return "\n".join(str(row) for row in connection.exec_driver_sql(explain + str(compiled).replace("%", "%%")))
