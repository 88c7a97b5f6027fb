"""How long ADQL takes to become SQL, and what the SQL of a cone takes over many rows in SQLite.

    python bench/adql.py [--rounds 200] [--rows 1000000]

The tables are one of 60 columns, as ObsCore has them, and one of 300, as a catalogue has them. The first query of a
process, which imports the parser, is told apart. With --rows 0 no table is filled.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import time

import numpy as np

from uws_server.tap.adql import AdqlError, translate
from uws_server.tap.adql.sqlite import register
from uws_server.tap.tables import ColumnDescription, Position, TableDescription

QUERIES = {
    "all of it": "SELECT * FROM ivoa.obscore",
    "one observation": "SELECT TOP 10 * FROM ivoa.obscore WHERE obs_id = '0123700101' AND calib_level >= 2",
    "a cone": "SELECT obs_id, s_ra, s_dec FROM ivoa.obscore WHERE 1 = CONTAINS(POINT('ICRS', s_ra, s_dec), "
    "CIRCLE('ICRS', 83.633, 22.014, 0.1))",
    "a cone, nearest first": "SELECT TOP 100 *, DISTANCE(POINT(s_ra, s_dec), POINT(83.6, 22.0)) AS d FROM ivoa.obscore "
    "WHERE DISTANCE(POINT(s_ra, s_dec), POINT(83.6, 22.0)) < 0.5 ORDER BY d",
    "footprints": "SELECT obs_id FROM ivoa.obscore WHERE 1 = INTERSECTS(s_region, POLYGON(10, 20, 11, 20, 11, 21)) "
    "AND dataproduct_type IN ('image', 'event') AND em_min < 1e-9 AND t_min BETWEEN 55000 AND 56000",
    "groups": "SELECT c001, COUNT(*) AS n, AVG(c002) FROM xmm.sources WHERE c003 > 1e-14 GROUP BY c001 "
    "HAVING COUNT(*) > 3 ORDER BY n DESC",
    "a cross match": "SELECT o.obs_id, x.c001 FROM ivoa.obscore AS o JOIN xmm.sources AS x ON "
    "1 = CONTAINS(POINT(x.ra, x.de), CIRCLE(o.s_ra, o.s_dec, 0.25)) WHERE o.calib_level = 2",
    "WITH and UNION": "WITH near AS (SELECT obs_id, s_ra FROM ivoa.obscore WHERE s_dec > 80) SELECT obs_id FROM near "
    "UNION SELECT obs_id FROM ivoa.obscore WHERE s_dec < -80 ORDER BY obs_id OFFSET 10",
    "a misspelt column": "SELECT obs_id, s_raa FROM ivoa.obscore",
}


def tables() -> dict[str, TableDescription]:
    numbers = ("s_ra", "s_dec", "t_min", "em_min", *(f"o{number:02d}" for number in range(50)))
    texts = ("obs_id", "dataproduct_type")
    columns = (
        *(ColumnDescription(name, "double", unit="deg") for name in numbers),
        *(ColumnDescription(name, "char", "*") for name in texts),
        ColumnDescription("calib_level", "int"),
        ColumnDescription("s_region", "char", "*", xtype="adql:REGION"),
    )
    position = Position("s_ra", "s_dec", region="s_region", reach_deg=0.3)
    wide = tuple(ColumnDescription(name, "double") for name in ("ra", "de", *(f"c{n:03d}" for n in range(298))))
    found = (
        TableDescription("ivoa.obscore", "obscore", columns, (position,)),
        TableDescription("xmm.sources", "sources", wide, (Position("ra", "de"),)),
    )
    return {table.name: table for table in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    known = tables()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; ms of the processor, of the clock (medians)")
    told("first of a process", [timed(QUERIES["a cone"], known)])
    every = []
    for name, query in QUERIES.items():
        times = [timed(query, known) for _ in range(options.rounds)]
        every += times
        told(name, times)
    told("all", every)
    if options.rows:
        cones(options.rows, options.rounds, known)


def timed(query: str, known: dict[str, TableDescription]) -> tuple[float, float]:
    """Seconds of the processor and of the clock for one translation; a refusal is an answer, too."""
    processor, clock = time.process_time(), time.perf_counter()
    try:
        translate(query, known, "sqlite", 10_000)
    except AdqlError as refused:
        assert "did you mean" in str(refused), refused
    return time.process_time() - processor, time.perf_counter() - clock


def told(name: str, times: list[tuple[float, float]]) -> None:
    processor, clock = (statistics.median(column) * 1e3 for column in zip(*times, strict=True))
    print(f"{name:24} {processor:8.2f} {clock:8.2f}")


def cones(rows: int, rounds: int, known: dict[str, TableDescription]) -> None:
    """Cones of 6 arcmin at random places, over rows that lie all over the sky, with the index that geometry wants."""
    random = np.random.default_rng(3)
    connection = sqlite3.connect(":memory:")
    register(connection)
    connection.execute("CREATE TABLE obscore (obs_id TEXT, s_ra REAL, s_dec REAL)")
    ra, dec = random.uniform(0, 360, rows), np.degrees(np.arcsin(random.uniform(-1, 1, rows)))
    filled = zip(map(str, range(rows)), ra.tolist(), dec.tolist(), strict=True)
    connection.executemany("INSERT INTO obscore VALUES (?, ?, ?)", filled)
    connection.execute("CREATE INDEX by_place ON obscore (s_dec, s_ra)")
    times = []
    for place in zip(random.uniform(0, 360, rounds), np.degrees(np.arcsin(random.uniform(-1, 1, rounds))), strict=True):
        query = QUERIES["a cone"].replace("83.633, 22.014", f"{place[0]:.5f}, {place[1]:.5f}")
        processor, clock = time.process_time(), time.perf_counter()
        done = translate(query, known, "sqlite", 10_000)
        connection.execute(done.sql, done.parameters).fetchall()
        times.append((time.process_time() - processor, time.perf_counter() - clock))
    told(f"a cone over {rows} rows", times)


if __name__ == "__main__":
    main()
