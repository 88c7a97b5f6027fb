"""Queries on both databases, without HTTP: whose rows there are, what ends a query, what a connection may not do."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from astropy.coordinates import SkyCoord
from astropy.table import Table

from obscorerows import fill
from uws_server.config import Config
from uws_server.jobs.job import Job, ParameterValue, Result, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage import obscore_rows, tables
from uws_server.storage.archive_rows import ArchiveRows
from uws_server.storage.files import read_json
from uws_server.storage.jobstore import JobStore
from uws_server.storage.obscore_rows import KeptRow
from uws_server.storage.ownership import Most, Ownership
from uws_server.storage.rows import job_row, result_row
from uws_server.storage.tap_rows import values_of
from uws_server.storage.tap_schema import SchemaStore
from uws_server.storage.tap_tables import tap_obscore
from uws_server.tap.adql import translate
from uws_server.tap.adql.backends import BackendName
from uws_server.tap.jobs.running import QueryRun
from uws_server.tap.query.budget import Budget, Cancelled, TimedOut
from uws_server.tap.query.connections import BATCH
from uws_server.tap.query.request import read_request
from uws_server.tap.query.service import Owners, Queries
from uws_server.tap.query.sqlite import SQLiteConnection
from uws_server.tap.schema.visible import Visible

BASE = "https://x.org/uws"
ENDLESS = "SELECT COUNT(*) FROM ivoa.obscore AS a, ivoa.obscore AS b, ivoa.obscore AS c WHERE a.s_ra + b.s_ra < c.s_ra"


@pytest.fixture
def store(database_url: str) -> Iterator[JobStore]:
    opened = JobStore(database_url)
    yield opened
    opened.close()


@pytest.fixture
def queries(store: JobStore, database_url: str, tmp_path: Path) -> Iterator[Queries]:
    made = Queries(SchemaStore(store.engine), Config.of(data=tmp_path, database=database_url), BASE)
    yield made
    made.close()


def ask(
    queries: Queries, query: str, owners: Owners = None, maxrec: str = "", budget: Budget | None = None
) -> list[Any]:
    request = read_request({"LANG": ["ADQL"], "QUERY": [query], "MAXREC": [maxrec]})
    answer = queries.answer(request, owners, {}, budget or Budget(60))
    found = [row for batch in answer.batches() for row in batch]
    assert not answer.failed
    return found


def make_job(store: JobStore, owner: str | None, phase: Phase = Phase.COMPLETED, trial: bool = False) -> str:
    """A job with one product, whose ObsCore row is kept."""
    result = Result(new_id(), "result", "results/spec trum.fits", "application/fits", 5000, "0" * 64, "")
    job = Job(
        id=new_id(), definition="spectrum", version="1", phase=phase, created=utcnow(), execution_duration=60,
        owner=owner, trial=trial, results=(result,),
    )  # fmt: skip
    with store.engine.begin() as connection:
        connection.execute(tables.jobs.insert(), [job_row(job)])
        connection.execute(tables.results.insert(), [result_row(job.id, 0, result)])
    row = f'{{"obs_id": "{owner}", "s_ra": 10.5, "s_dec": -3.0, "obs_publisher_did": "did", "calib_level": "x"}}'
    obscore_rows.keep(store.engine, [KeptRow(result.id, 5000, 1, row)])
    return job.id


# --- whose rows there are ------------------------------------------------------------------------------


def test_a_caller_sees_the_rows_of_the_jobs_that_a_list_shows(store: JobStore, queries: Queries) -> None:
    for owner in ("ann", "o'neil", None):
        make_job(store, owner)
    make_job(store, "ann", trial=True)
    query = "SELECT obs_id FROM ivoa.obscore ORDER BY obs_id"
    assert ask(queries, query, None) == [("None",), ("ann",), ("o'neil",)]
    assert ask(queries, query, ("ann",)) == [("ann",)]
    assert ask(queries, query, ("ann", None)) == [("None",), ("ann",)]
    assert ask(queries, query, ("o'neil",)) == [("o'neil",)]
    assert ask(queries, query, ()) == []
    for name, count in (("uws.jobs", 2), ("uws.results", 2)):
        assert ask(queries, f"SELECT COUNT(*) FROM {name}", ("ann",)) == [(count,)]
        assert ask(queries, f"SELECT COUNT(*) FROM {name}", ()) == [(0,)]


def test_no_query_gets_around_the_owner(store: JobStore, queries: Queries) -> None:
    make_job(store, "bob")
    for query in (
        "SELECT obs_id FROM ivoa.obscore WHERE 1 = 1 OR obs_id = 'bob'",
        "SELECT a.obs_id FROM uws.jobs AS j RIGHT JOIN ivoa.obscore AS a ON 1 = 1",
        "SELECT obs_id FROM ivoa.obscore UNION ALL SELECT owner FROM uws.jobs",
        "WITH w AS (SELECT * FROM ivoa.obscore) SELECT obs_id FROM w",
        "SELECT r.name FROM uws.results AS r",
    ):
        assert ask(queries, query, ("ann",)) == [], query


def test_a_row_reads_as_that_of_obscore_does(store: JobStore, queries: Queries) -> None:
    make_job(store, "ann")
    ((url, did, size, level, right),) = ask(
        queries, "SELECT access_url, obs_publisher_did, access_estsize, calib_level, data_rights FROM ivoa.obscore"
    )
    ((result_id,),) = ask(queries, "SELECT result_id FROM uws.results")
    assert url == f"{BASE}/store/{result_id}/spec%20trum.fits"
    assert (did, size, level, right) == ("did", 5, None, None)


def test_identifiers_of_a_publisher(store: JobStore, database_url: str, tmp_path: Path) -> None:
    make_job(store, "ann")
    config = Config.of(data=tmp_path, database=database_url, publisher="ivo://x.org/100%", data_rights="secure")
    queries = Queries(SchemaStore(store.engine), config, BASE)
    ((did, right, publisher, result_id),) = ask(
        queries, "SELECT obs_publisher_did, data_rights, publisher_id, result_id FROM ivoa.obscore, uws.results"
    )
    queries.close()
    assert did == f"ivo://x.org/100%?{result_id}"
    assert (right, publisher) == ("secure", "ivo://x.org/100%")


def test_rows_go_with_their_results_and_follow_their_owner(store: JobStore, queries: Queries) -> None:
    kept, gone, given = make_job(store, "ann"), make_job(store, "ann"), make_job(store, None)
    store.archive(kept)
    with store.engine.begin() as connection:
        connection.execute(tables.jobs.delete().where(tables.jobs.c.id == gone))
    Ownership(store.engine, store.server).take(given, "bob", Most(0, 0))
    assert ask(queries, "SELECT COUNT(*) FROM ivoa.obscore", ("ann",)) == [(0,)]
    assert ask(queries, "SELECT COUNT(*) FROM ivoa.obscore", ("bob",)) == [(1,)]


def test_files_of_the_archive_are_for_everybody(store: JobStore, queries: Queries) -> None:
    row = {
        "source": "a b/P0123456789PNS003PIEVLI0000.FTZ", "size": 7000, "changed": 1, "kind": "events",
        "collection": "", "obs_id": "0123456789", "instrument": "EPN", "exposure": "S003", "filter": "Thin1",
        "mode": "", "target": "Crab", "observer": "", "ra": 83.6, "dec": 22.0, "t_min": 51600.0, "t_max": 51601.0,
        "exposure_s": 1e4, "footprint": b"", "row": '{"s_ra": 83.6, "s_dec": 22.0, "dataproduct_type": "event"}',
        "note": "",
    }  # fmt: skip
    rows = ArchiveRows(store.engine)
    rows.keep([row])
    rows.keep([{**row, "size": 9000}])
    found = ask(queries, "SELECT obs_id, obs_collection, calib_level, access_url, access_estsize FROM ivoa.obscore", ())
    url = f"{BASE}/archive/file/a%20b/P0123456789PNS003PIEVLI0000.FTZ"
    assert found == [("0123456789", "archive", 2, url, 9)]
    assert ask(queries, "SELECT obs_id, target, exposures, here FROM archive.observations", ()) == [
        ("0123456789", "Crab", 1, 1)
    ]
    assert ask(queries, "SELECT source, obs_mode, here FROM archive.exposures", ()) == [(row["source"], "", 1)]
    rows.remove([row["source"]])
    assert ask(queries, "SELECT COUNT(*) FROM ivoa.obscore", ()) == [(0,)]


def test_times_of_jobs_are_iso_8601(store: JobStore, queries: Queries) -> None:
    job = store.bare(make_job(store, "ann"))
    ((created,),) = ask(queries, "SELECT created FROM uws.jobs")
    assert len(created) == len("2026-11-29T21:00:00.123")
    assert abs(datetime.fromisoformat(f"{created}Z") - job.created) <= timedelta(milliseconds=1)


# --- what an index answers -----------------------------------------------------------------------------


def plan(queries: Queries, store: JobStore, query: str) -> str:
    """What the database means to do for a query of everybody's rows."""
    backend: BackendName = "sqlite" if store.engine.dialect.name == "sqlite" else "postgresql"
    visible = Visible(backend, None, BASE, "ivo://x.org/uws")
    translated = translate(query, queries.catalog.tables(visible), backend)
    connection = queries._connections.take()
    try:
        raw = connection._connection  # type: ignore[attr-defined]
        if backend == "sqlite":
            raw.set_authorizer(None)
            return str(raw.execute(f"EXPLAIN QUERY PLAN {translated.sql}", translated.parameters).fetchall())
        raw.execute("SET enable_seqscan = off")  # a table of 4000 rows is read whole otherwise
        return str(raw.execute(f"EXPLAIN {translated.sql}".encode(), translated.parameters).fetchall())
    finally:
        connection.close()


def test_indexes_find_regions_identifiers_and_addresses(
    store: JobStore, database_url: str, tmp_path: Path
) -> None:
    fill(store.engine, 4000)
    config = Config.of(data=tmp_path, database=database_url, publisher="ivo://x.org/uws")
    queries = Queries(SchemaStore(store.engine), config, BASE)
    places = "zone" if store.engine.name == "sqlite" else "(zone|sky)"  # PostgreSQL weighs what a table has
    found = {
        "1 = INTERSECTS(s_region, CIRCLE(10, 20, 3))": "region",
        "1 = CONTAINS(POINT(10, 20), s_region)": "region",
        "1 = CONTAINS(s_region, POLYGON(8, 18, 12, 18, 12, 22, 8, 22))": "region",
        "1 = INTERSECTS(MOC('6/19861 19863 19904'), s_region)": "region",
        "1 = CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 0.5))": places,
        "DISTANCE(POINT(0, 0), POINT(s_ra, s_dec)) < 0.1": places,
        "obs_publisher_did = 'ivo://x.org/uws?archive/17.fits'": "did",
        "obs_publisher_did IN ('ivo://x.org/uws?archive/17.fits', 'ivo://x.org/uws?archive/18.fits', 'x')": "did",
        f"access_url = '{BASE}/archive/file/17.fits'": "place",
    }
    for condition, index in found.items():
        planned = plan(queries, store, f"SELECT obs_id FROM ivoa.obscore WHERE {condition}")
        assert re.search(f"ix_tap_obscore_{index}", planned), planned
        assert "SCAN" not in planned and "Seq Scan" not in planned, planned
    joined = "SELECT a.obs_id FROM ivoa.obscore AS a JOIN ivoa.obscore AS b ON a.obs_publisher_did = b.obs_title"
    assert "ix_tap_obscore_did" in plan(queries, store, f"{joined} WHERE b.obs_id = '0000000003'")
    queries.close()


def test_a_product_is_found_by_its_identifier_and_its_address(
    store: JobStore, queries: Queries, database_url: str, tmp_path: Path
) -> None:
    fill(store.engine, 40)
    make_job(store, "ann")
    config = Config.of(data=tmp_path, database=database_url, publisher="ivo://x.org/uws")
    published = Queries(SchemaStore(store.engine), config, BASE)
    for each, prefix in ((published, "ivo://x.org/uws?"), (queries, "")):
        for did, url in ask(each, "SELECT obs_publisher_did, access_url FROM ivoa.obscore"):
            assert did.startswith(prefix)
            for column, text in (("obs_publisher_did", did), ("access_url", url)):
                counted = f"SELECT {column} FROM ivoa.obscore WHERE"
                assert ask(each, f"{counted} {column} = '{text}'") == [(text,)]
                assert ask(each, f"{counted} {column} IN ('x', '{text}')") == [(text,)]
                assert ask(each, f"{counted} '{text[1:]}' = {column}") == []
        assert len(ask(each, "SELECT obs_id FROM ivoa.obscore WHERE NOT obs_publisher_did = 'x'")) == 41
    published.close()


def test_regions_of_every_size_are_found_as_brute_force_finds_them(store: JobStore, queries: Queries) -> None:
    random = np.random.default_rng(5)
    ra, dec = random.uniform(0, 360, 900), np.degrees(np.arcsin(random.uniform(-1, 1, 900)))
    radius = 10 ** random.uniform(-3, 2, 900)
    regions = [f"Circle ICRS {a!r} {d!r} {r!r}" for a, d, r in zip(ra.tolist(), dec.tolist(), radius.tolist(),
                                                                  strict=True)]  # fmt: skip
    texts = [*regions, "Union ICRS (Circle 10 20 1 Circle 30 20 1)", "nonsense", None]
    rows = [
        {**values_of({"s_region": text, "obs_id": f"{number:04d}"}, 1), "uws_owner": "*", "uws_result": None,
         "uws_archive": None, "uws_place": f"archive/file/{number}", "uws_did": f"archive/{number}"}
        for number, text in enumerate(texts)
    ]  # fmt: skip
    with store.engine.begin() as connection:
        connection.execute(tap_obscore.insert(), rows)
    places = SkyCoord(ra, dec, unit="deg")
    for at in ((10, 20, 0.1), (0.01, -0.2, 2), (120, 89.9, 1), (200, -60, 30)):
        apart = places.separation(SkyCoord(*at[:2], unit="deg")).deg
        met = [(f"{number:04d}",) for number in np.flatnonzero(apart <= radius + at[2])]
        inner = [(f"{number:04d}",) for number in np.flatnonzero(apart + radius <= at[2])]
        circle = f"CIRCLE({at[0]}, {at[1]}, {at[2]})"
        select = "SELECT obs_id FROM ivoa.obscore WHERE"
        assert ask(queries, f"{select} 1 = INTERSECTS(s_region, {circle}) ORDER BY obs_id") == met != []
        assert ask(queries, f"{select} 1 = CONTAINS(s_region, {circle}) ORDER BY obs_id") == inner
        assert len(ask(queries, f"{select} 0 = INTERSECTS(s_region, {circle})")) == 900 - len(met)
    pairs = ask(
        queries, "SELECT COUNT(*) FROM ivoa.obscore AS a JOIN ivoa.obscore AS b ON 1 = INTERSECTS(a.s_region, "
        "b.s_region) WHERE a.obs_id < '0040'"
    )  # fmt: skip
    apart = places[:40, None].separation(places[None, :]).deg
    assert pairs == [(int((apart <= radius[:40, None] + radius[None, :]).sum()),)]


def test_places_in_zones_are_found_as_brute_force_finds_them(store: JobStore, queries: Queries) -> None:
    """Also those on the border of two zones, at the poles, and with right ascensions from -180 to 180."""
    random = np.random.default_rng(6)
    ra = random.uniform(-180, 360, 3000)
    dec = np.concatenate([random.uniform(-90, 90, 1000), np.round(random.uniform(-360, 360, 1900)) / 4, [90, -90] * 50])
    rows = [
        {**values_of({"s_ra": a, "s_dec": d, "obs_id": f"{number:04d}"}, 1), "uws_owner": "*", "uws_result": None,
         "uws_archive": None, "uws_place": f"archive/file/{number}", "uws_did": f"archive/{number}"}
        for number, (a, d) in enumerate(zip(ra.tolist(), dec.tolist(), strict=True))
    ]  # fmt: skip
    with store.engine.begin() as connection:
        connection.execute(tap_obscore.insert(), [*rows, {**rows[0], **values_of({"obs_id": "nowhere"}, 1)}])
    places = SkyCoord(ra, dec, unit="deg")
    for at in ((10, 20, 3), (0.01, -0.25, 4), (359.9, 88, 3), (180, 0, 8.5), (70, -90, 0.2), (90, 45.25, 5)):
        apart = places.separation(SkyCoord(*at[:2], unit="deg")).deg
        met = [(f"{number:04d}",) for number in np.flatnonzero(apart <= at[2])]
        condition = f"CONTAINS(POINT(s_ra, s_dec), CIRCLE({at[0]}, {at[1]}, {at[2]}))"
        assert ask(queries, f"SELECT obs_id FROM ivoa.obscore WHERE 1 = {condition} ORDER BY obs_id") == met != []


# --- what ends a query ---------------------------------------------------------------------------------


def test_a_query_that_takes_too_long_is_ended(store: JobStore, queries: Queries) -> None:
    fill(store.engine, 4000)
    with pytest.raises(TimedOut, match=r"ended after 0\.3 s, its limit of time; try less"):
        ask(queries, ENDLESS, budget=Budget(0.3, "try less"))
    assert ask(queries, "SELECT COUNT(*) FROM ivoa.obscore") == [(4000,)]


def test_a_query_is_cancelled_from_another_thread(store: JobStore, queries: Queries) -> None:
    fill(store.engine, 4000)
    budget, began = Budget(0), threading.Event()
    cancels: list[Callable[[], None]] = [budget.cancel]

    def opened(connection: Any) -> None:
        cancels.append(getattr(connection, "cancel", lambda: None))
        began.set()

    def cancel() -> None:
        began.wait(300)
        while thread.is_alive():
            for each in cancels:
                each()
            time.sleep(0.01)

    request = read_request({"LANG": ["ADQL"], "QUERY": [ENDLESS]})
    failures: list[BaseException] = []

    def run() -> None:
        try:
            queries.answer(request, None, {}, budget, opened)
        except BaseException as error:  # noqa: BLE001 - looked at below
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    cancel()
    thread.join()
    assert isinstance(failures[0], Cancelled)


def test_rows_come_in_pieces_and_a_slow_reader_does_not_use_up_the_time(store: JobStore, queries: Queries) -> None:
    fill(store.engine, 3000)
    budget = Budget(5)
    answer = queries.answer(
        read_request({"LANG": ["ADQL"], "QUERY": ["SELECT s_ra FROM ivoa.obscore"]}), None, {}, budget
    )
    pieces = answer.batches()
    first = next(pieces)
    before = budget.left
    time.sleep(0.2)
    others = list(pieces)
    assert len(first) == BATCH
    assert sum(map(len, others)) == 3000 - BATCH
    assert before - budget.left < 0.2


# --- what a connection may not do --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    ["SELECT * FROM accounts", "SELECT * FROM sqlite_master", "DELETE FROM tap_obscore", "DROP TABLE jobs",
     "ATTACH 'x.sqlite' AS x", "PRAGMA table_info(jobs)", "INSERT INTO jobs DEFAULT VALUES", "CREATE TEMP TABLE x (a)",
     "SELECT load_extension('x')", "SELECT 1 UNION SELECT digest FROM tokens", "VACUUM"],
)  # fmt: skip
def test_a_connection_to_sqlite_reads_known_tables_only(tmp_path: Path, statement: str) -> None:
    store = JobStore(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    store.close()
    connection = SQLiteConnection(str(tmp_path / "jobs.sqlite"))
    with pytest.raises(sqlite3.DatabaseError):
        list(connection.batches(statement, {}, ["tap_obscore", "jobs"], Budget(10)))
    assert list(connection.batches("SELECT count(*) FROM tap_obscore", {}, ["tap_obscore"], Budget(10))) == [[(0,)]]
    connection.close()


def test_what_a_newer_version_tells_of_tables_replaces_what_an_older_one_told(
    store: JobStore, database_url: str, tmp_path: Path
) -> None:
    for _ in range(2):
        queries = Queries(SchemaStore(store.engine), Config.of(data=tmp_path, database=database_url), BASE)
        assert ask(queries, "SELECT COUNT(*) FROM TAP_SCHEMA.schemas WHERE schema_name = 'ivoa'") == [(1,)]
        assert ask(queries, "SELECT COUNT(*) FROM TAP_SCHEMA.columns WHERE column_name = 'gone'") == [(0,)]
        queries.close()
        with store.engine.begin() as connection:
            connection.execute(sa.text("UPDATE tap_columns SET column_name = 'gone' WHERE column_name = 's_ra'"))


# --- what comes of a query -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "votable/td", "votable/b2", "fits", "csv", "ecsv"])
def test_values_of_every_kind_are_written_whichever_database_they_come_from(
    store: JobStore, queries: Queries, form: str
) -> None:
    fill(store.engine, 40)
    query = (
        "SELECT dataproduct_type, COUNT(*) AS n, SUM(access_estsize) AS kb, AVG(s_ra) AS ra, MAX(t_min) AS t, "
        "SUM(t_exptime) AS s, MIN(calib_level) AS c FROM ivoa.obscore GROUP BY dataproduct_type ORDER BY 1"
    )
    request = read_request({"LANG": ["ADQL"], "QUERY": [query], "RESPONSEFORMAT": [form]})
    document = b"".join(request.format.write()(queries.answer(request, None, {}, Budget(60))))
    if form == "json":
        rows = json.loads(document)["data"]
        assert [row[:3] for row in rows] == [[kind, 10, 20000] for kind in ("event", "image", "spectrum", "timeseries")]
        assert all(isinstance(value, int | float) for row in rows for value in row[1:])
    elif form in ("votable/td", "votable/b2", "fits"):
        kind = form.partition("/")[0]
        table = Table.read(io.BytesIO(document), format=kind)
        assert table["n"].tolist() == [10] * 4
        assert table["kb"].tolist() == [20000] * 4
        assert 0 < table["ra"][0] < 360
    else:
        assert document.count(b"10,20000") == 4


def test_the_result_of_a_job_is_bounded(store: JobStore, queries: Queries, database_url: str, tmp_path: Path) -> None:
    fill(store.engine, 3000)
    query = {"LANG": "ADQL", "QUERY": "SELECT * FROM ivoa.obscore", "RESPONSEFORMAT": "csv"}
    values = {name: ParameterValue(text, text) for name, text in query.items()}
    job = Job(new_id(), "tap", "1.1", Phase.EXECUTING, utcnow(), 60, parameters=values)
    (tmp_path / "results").mkdir()
    config = Config.of(data=tmp_path, database=database_url, max_disk="100 KB")
    run = QueryRun(job, tmp_path, queries, config, None)
    assert run.run() == ("exit", 1)
    assert "more than 100,000 bytes" in read_json(tmp_path / "query.json")["reason"]
    assert list((tmp_path / "results").iterdir()) == []
    assert QueryRun(job, tmp_path, queries, Config.of(data=tmp_path), None).run() == ("exit", 0)
    assert (tmp_path / "results" / "result.csv").read_bytes().count(b"\r\n") == 3001
