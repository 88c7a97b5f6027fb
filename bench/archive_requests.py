"""The archive of a running server: how many searches by region it answers a second, and how long each takes.

    python bench/archive_requests.py TABLE [--columns t_min,t_max,ra,dec] [--connections 8] [--rate 500] [--seconds 10]
        [--warm 2]

TABLE is one of observations, as `uws-server archive import` takes it, of which about 14,000 rows make 42,000
footprints. Each request asks for the exposures that see a cone of 10 arcmin about a pointing, no two alike, as JSON.
With --rate requests begin at that rate, whatever those before took; their time counts from when they were to
begin. Without they follow one another on each connection. The rows of an exposure are read when it is first found:
after --warm 25 the server has all that are asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote, urlsplit

from _serving import own_server

RADIUS_DEG = 1 / 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--columns", default="")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm", type=float, default=2.0, help="seconds of requests before those that are timed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, archive = Path(folder) / "data", Path(folder) / "archive"
        archive.mkdir()
        command = [sys.executable, "-m", "uws_server", "archive", "import", str(options.table), "--number-rows",
                   "--archive", str(archive), "--data", str(data)]  # fmt: skip
        if options.columns:
            command += ["--columns", options.columns]
        begin = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        print(f"import: {time.perf_counter() - begin:.1f} s; {done.stdout.splitlines()[0]}")
        os.environ["UWS_SERVER_ARCHIVE"] = str(archive)
        with own_server(data) as server:
            tell_tables(server.url)
            places = pointings(server.url)
            asyncio.run(ask(server.url, places, options.connections, 0.0, options.warm))  # what is first needed
            cpu = server.cpu_s()
            times, sizes = asyncio.run(ask(server.url, places, options.connections, options.rate, options.seconds))
            cpu = server.cpu_s() - cpu
    times.sort()
    p50, p99 = (1e3 * times[int(len(times) * share)] for share in (0.5, 0.99))
    print(f"{len(times) / options.seconds:.0f} a second, median {p50:.1f} ms, p99 {p99:.1f} ms, "
          f"{1e3 * cpu / len(times):.2f} ms of CPU each, {sum(sizes) / len(sizes) / 1e3:.1f} kB each; "
          f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")  # fmt: skip


def tell_tables(url: str) -> None:
    """Print how long the largest answers take that are given without asking for more."""
    for form in ("votable", "json", "csv", "fits"):
        begin = time.perf_counter()
        with urllib.request.urlopen(f"{url}/archive/exposures?RESPONSEFORMAT={form}") as answer:
            size = len(answer.read())
        print(f"20,000 rows as {form}: {time.perf_counter() - begin:.2f} s, {size / 1e6:.1f} MB")


def pointings(url: str) -> list[tuple[float, float]]:
    with urllib.request.urlopen(f"{url}/archive/observations?RESPONSEFORMAT=json") as answer:
        return [(row["ra"], row["dec"]) for row in json.load(answer)["observations"]]


async def ask(
    url: str, places: list[tuple[float, float]], connections: int, rate: float, seconds: float
) -> tuple[list[float], list[int]]:
    """Return how long each request took in seconds, and the sizes of the answers."""
    times: list[float] = []
    sizes: list[int] = []
    stop = time.perf_counter() + seconds
    draw = random.Random(3)

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
        due = time.perf_counter() + number / rate if rate else 0.0
        while (begin := time.perf_counter()) < stop:
            if rate:
                await asyncio.sleep(max(0.0, due - begin))
                begin, due = due, due + connections / rate
            ra, dec = draw.choice(places)
            region = quote(
                f"Circle ICRS {ra % 360:.5f} {dec + draw.uniform(-0.05, 0.05) * (abs(dec) < 89):.5f} {RADIUS_DEG}"
            )
            target = f"/archive/exposures?REGION={region}&RESPONSEFORMAT=json"
            writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            sizes.append(await answered(reader))
            times.append(time.perf_counter() - begin)
        writer.close()

    await asyncio.gather(*(client(number) for number in range(connections)))
    return times, sizes


async def answered(reader: asyncio.StreamReader) -> int:
    """Return the size of an answer. Raise RuntimeError if it is none of success."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b" 200 " not in head[:20]:
        raise RuntimeError(head.decode("latin-1"))
    if b"content-length:" in head:
        size = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(size)
        return size
    size, piece = 0, -1
    while piece:
        piece = int((await reader.readuntil(b"\r\n")).strip(), 16)
        await reader.readexactly(piece + 2)
        size += piece
    return size


if __name__ == "__main__":
    main()
