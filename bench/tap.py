"""Asks TAP of a real server over made-up rows of ivoa.obscore, beside astropy with the same rows in memory.

Cones by /tap/sync against a match of SkyCoord; queries a second from many clients; the whole table streamed as BINARY2
against astropy's writer of the same columns, and the memory that the server takes for it.

    python bench/tap.py [--rows 1000000] [--folder DIR]

A folder that is given is filled once, and kept.
"""

from __future__ import annotations

import argparse
import csv
import http.client
import io
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np
from _serving import Served, own_server
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io.votable import parse_single_table
from astropy.table import Table

from uws_server.storage.jobstore import JobStore

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))
from obscorerows import fill, made_up

RADIUS_DEG = 0.5
CLIENTS = 16
RATE = 200
SECONDS = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, metavar="DIR", help="data folder that is filled once")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        filled(folder, options.rows)
        with own_server(folder) as served:
            ask(served, "SELECT TOP 1 * FROM ivoa.obscore")
            cones(served, options.rows)
            load(served)
            stream(served, options.rows, options.runs)


def filled(folder: Path, count: int) -> None:
    """Put rows into a data folder that has none."""
    folder.mkdir(parents=True, exist_ok=True)
    store = JobStore(f"sqlite:///{folder / 'jobs.sqlite'}")
    with store.engine.connect() as connection:
        there = connection.exec_driver_sql("SELECT count(*) FROM tap_obscore").scalar()
    if there != count:
        print(f"making {count:,} rows", flush=True)
        fill(store.engine, count)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()


class Client:
    """One connection to a server, which is kept."""

    def __init__(self, served: Served) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=600)

    def query(self, query: str, form: str = "csv") -> bytes:
        """Return the answer to a query."""
        wanted = urlencode({"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": form})
        return self.get(f"/tap/sync?{wanted}")

    def get(self, address: str) -> bytes:
        """Return what is at an address of the server."""
        self._connection.request("GET", address)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            sys.exit(body.decode())
        return body

    def pieces(self, query: str, form: str) -> Iterator[bytes]:
        """Yield the answer to a query, piece by piece."""
        wanted = urlencode({"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": form})
        self._connection.request("GET", f"/tap/sync?{wanted}")
        response = self._connection.getresponse()
        while piece := response.read(1 << 18):
            yield piece


def ask(served: Served, query: str) -> list[list[str]]:
    """Return the rows that a query finds."""
    return list(csv.reader(io.StringIO(Client(served).query(query).decode())))[1:]


def cone(ra: float, dec: float) -> str:
    """Return the query for what lies around a place."""
    place = f"CIRCLE('ICRS', {ra:.6f}, {dec:.6f}, {RADIUS_DEG})"
    return (
        "SELECT obs_id, s_ra, s_dec, target_name, access_url FROM ivoa.obscore "
        f"WHERE 1 = CONTAINS(POINT('ICRS', s_ra, s_dec), {place})"
    )


def places(number: int, seed: int = 7) -> list[tuple[float, float]]:
    """Return places on the sphere."""
    random = np.random.default_rng(seed)
    ra, dec = random.uniform(0, 360, number), np.degrees(np.arcsin(random.uniform(-1, 1, number)))
    return list(zip(ra.tolist(), dec.tolist(), strict=True))


def cones(served: Served, rows: int) -> None:
    """Measure cones, by turns with astropy on the same rows; both must find the same."""
    pieces = [[(row["s_ra"], row["s_dec"]) for row in some] for some in made_up(rows)]
    table = np.array([place for piece in pieces for place in piece])
    sky, client = SkyCoord(table[:, 0], table[:, 1], unit="deg"), Client(served)
    ours, theirs, least = [], [], []
    for ra, dec in places(20):
        begun = time.perf_counter()
        body = client.query(cone(ra, dec))
        ours.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        found = np.flatnonzero(sky.separation(SkyCoord(ra, dec, unit="deg")) <= RADIUS_DEG * u.deg)
        theirs.append(time.perf_counter() - begun)
        if (came := len(body.splitlines()) - 1) != len(found):
            sys.exit(f"{came} rows came, astropy finds {len(found)}")
        begun = time.perf_counter()
        client.get("/availability")
        least.append(time.perf_counter() - begun)
        sky.separation(SkyCoord(ra, dec, unit="deg"))  # the next cone, too, comes to a server that has rested
    compared(f"cone of {RADIUS_DEG} deg among {rows:,} rows", theirs, ours, 0.1)
    print(f"beside them GET /availability, which asks no table: {statistics.median(least):.3f} s", flush=True)


def load(served: Served) -> None:
    """Measure cones from many clients at a time, at the rate asked, then as fast as they can."""
    for rate in (RATE, None):
        load_at(served, rate)


def load_at(served: Served, rate: float | None) -> None:
    """Measure cones from many clients at a rate; a query that waits for the one before is late from when it was due."""
    ends: list[float] = []
    start = time.perf_counter() + 0.2
    lock = threading.Lock()

    def run(seed: int) -> None:
        client, own = Client(served), []
        for number, (ra, dec) in enumerate(places(20_000, seed)):
            begun = time.perf_counter() if rate is None else start + (number * CLIENTS + seed) / rate
            if begun > start + SECONDS:
                break
            time.sleep(max(0.0, begun - time.perf_counter()))
            client.query(cone(ra, dec))
            own.append(time.perf_counter() - begun)
        with lock:
            ends.extend(own)

    cpu = served.cpu_s()
    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    each = (served.cpu_s() - cpu) / len(ends)
    p99 = np.percentile(ends, 99)
    told = "as fast as they can" if rate is None else f"at {rate:,} queries/s"
    print(
        f"{CLIENTS} clients {told}: {len(ends) / SECONDS:,.0f} queries/s, p99 {p99 * 1e3:.0f} ms (asked 100), "
        f"{each * 1e3:.1f} ms of the server's CPU each", flush=True,
    )  # fmt: skip


def stream(served: Served, rows: int, runs: int) -> None:
    """Measure the whole table as BINARY2, and astropy's writer on what came."""
    query = "SELECT * FROM ivoa.obscore"
    before, most, ours = served.rss_kib(), 0, []
    for _ in range(runs):
        begun, size = time.perf_counter(), 0
        for piece in Client(served).pieces(query, "votable/b2"):
            size += len(piece)
            most = max(most, served.rss_kib())
        ours.append(time.perf_counter() - begun)
    print(f"{rows:,} rows as BINARY2: {size / 1e6:,.0f} MB; memory grew by {(most - before) / 1024:.0f} MiB (asked 60)")
    part = 20_000
    body = Client(served).query(f"SELECT TOP {part} * FROM ivoa.obscore", "votable/b2")
    table = parse_single_table(io.BytesIO(body)).to_table()
    theirs = [written(table) * rows / part for _ in range(runs)]
    compared(f"astropy's writer of BINARY2 ({part:,} rows, scaled)", theirs, ours, 2.0)


def written(table: Table) -> float:
    """Return the seconds in which astropy writes a table."""
    begun = time.perf_counter()
    table.write(io.BytesIO(), format="votable", tabledata_format="binary2")
    return time.perf_counter() - begun


def compared(what: str, theirs: Sequence[float], ours: Sequence[float], asked: float) -> None:
    """Print the medians of both and their ratio."""
    median: Callable[[Sequence[float]], float] = statistics.median
    ratio = median(ours) / median(theirs)
    print(
        f"{what}: peer {median(theirs):.3f} s, ours {median(ours):.3f} s, ratio {ratio:.3f} (asked {asked})", flush=True
    )


if __name__ == "__main__":
    main()
