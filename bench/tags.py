"""Tags a 500 MB event list, beside astropy's append mode; round trips a list of 1,000 steps, beside json alone.

The file is real bytes in the page cache, written before; what tagging writes is on disk when the time is taken (ours
calls fsync itself, for the peer it is called after). That the science HDUs are not rewritten is checked by the count of
bytes that the process wrote and by the hash of the HDUs.

    python bench/tags.py [--runs 7] [--megabytes 500]
    python bench/tags.py --against FOLDER                 only the tagging, in turns with another checkout
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _pairing import add_arguments, in_turns, report, trees
from astropy.io import fits

from provenance import obscore, steps, votags

ROW = obscore.ObsCoreRow(
    dataproduct_type="event", calib_level=2, target_name="NGC 7793 ULX4", obs_id="0693760101",
    obs_collection="XMM-Newton", obs_publisher_did="ivo://example/xmm?0693760101/events", s_ra=359.4625, s_dec=-32.6239,
    s_region="Circle ICRS 359.4625 -32.6239 0.25", t_min=56061.18591885538, em_min=1.0332e-10, em_max=6.1992e-9,
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=500)
    add_arguments(parser)
    options = parser.parse_args()
    if options.against:
        against(options)
        return
    tagging(options.megabytes, options.runs)
    round_trips(options.runs)


def tagging(megabytes: int, runs: int) -> None:
    """Append the tags to a large event list."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.fits"
        make(path, megabytes * 10**6)
        size, digest = path.stat().st_size, sha256(path)
        cell = steps.dump(made(20))

        def ours() -> None:
            votags.write(path, ROW, made(20))

        def peer() -> None:
            columns = [fits.Column("provenance", f"A{len(cell)}", array=[cell])]
            table = fits.TableHDU.from_columns(columns, name="VO-TAGS")
            for column in obscore.COLUMNS:
                if column.name in ROW:
                    table.header[column.keyword] = (ROW[column.name], column.name)
            with fits.open(path, mode="append") as opened:
                opened.append(table)
            with path.open("rb+") as stream:
                os.fsync(stream.fileno())

        figures = {}
        for _ in range(runs):
            for name, use in (("ours", ours), ("astropy, append mode", peer)):
                before = written()
                figures.setdefault(name, []).append((timed(use), written() - before))
                if name == "ours" and votags.read(path) != votags.Tags(ROW, made(20)):
                    sys.exit("the tags are not those that were written")
                os.truncate(path, size)
        if sha256(path) != digest:
            sys.exit("the science HDUs were changed")
    print(f"tagging an event list of {size / 1e6:,.0f} MB, medians of {runs}")
    medians = {}
    for name, runs_of in figures.items():
        medians[name] = statistics.median(seconds for seconds, _ in runs_of)
        kb = statistics.median(count for _, count in runs_of) / 1000
        print(f"  {name:24} {1000 * medians[name]:>9.2f} ms   {kb:>8,.0f} kB written")
    print(f"  {'ratio':24} {medians['astropy, append mode'] / medians['ours']:>9.1f}")


TURNS = """
import json, os, sys, time
from pathlib import Path
sys.path.append(sys.argv[2])
from tags import ROW, made
from provenance import votags
path, steps = Path(sys.argv[1]), made(20)
size = path.stat().st_size
for _ in sys.stdin:
    wall, cpu = time.perf_counter(), time.process_time()
    votags.write(path, ROW, steps)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    os.truncate(path, size)
    print(json.dumps({"tagging, wall ms": 1000 * wall, "tagging, CPU ms": 1000 * cpu}), flush=True)
"""


def against(options: argparse.Namespace) -> None:
    """Tag the same large event list by either tree in turn, each in a process that stays."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        path = Path(folder) / "events.fits"
        make(path, options.megabytes * 10**6)
        workers = {
            tree.name: stack.enter_context(tree.start("-c", TURNS, str(path), str(Path(__file__).parent)))
            for tree in trees(options)
        }
        print(f"tagging an event list of {path.stat().st_size / 1e6:,.0f} MB, {options.runs} times each")
        report(in_turns({name: functools.partial(turn, worker) for name, worker in workers.items()}, options.runs))


def turn(worker: subprocess.Popen[str]) -> dict[str, float]:
    """Have a worker tag the file once and return its figures."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write("again\n")
    worker.stdin.flush()
    figures: dict[str, float] = json.loads(worker.stdout.readline())
    return figures


def round_trips(runs: int) -> None:
    """Write and read 1,000 steps: of four arguments like those of the slides, and of eight with hashes like ours."""
    for name, listed in (("of 4 arguments", slides(1000)), ("of 8 arguments", made(1000))):
        text = steps.dump(listed)
        plain = json.loads(text)
        if steps.parse(text) != listed:
            sys.exit("the steps are not those that were written")
        ours, peer = [], []
        for _ in range(3 * runs):
            ours.append(timed(lambda listed=listed: steps.parse(steps.dump(listed))))
            peer.append(timed(lambda plain=plain: json.loads(json.dumps(plain))))
        print(f"round trip of {len(listed):,} steps {name}, {len(text) / 1000:,.0f} kB, median and best of {3 * runs}")
        for who, seconds in (("ours", ours), ("json alone", peer)):
            print(f"  {who:24} {1000 * statistics.median(seconds):>9.2f} ms {1000 * min(seconds):>9.2f} ms")
        medians = statistics.median(peer) / statistics.median(ours)
        print(f"  {'ratio':24} {medians:>9.2f}    {min(peer) / min(ours):>9.2f}")


def slides(count: int) -> tuple[steps.Step, ...]:
    """Steps as the slides show one."""
    return tuple(
        steps.Step((
            steps.InputData(0, "a python script", False, "/data", "DummyJob.py"),
            steps.Parameter(1, "first parameter", False, f"param{number}"),
            steps.Parameter(2, "second parameter", True, "2"),
            steps.OutputData(3, "output file", False, "/data", "out.fits"),
        ))
        for number in range(count)
    )  # fmt: skip


def made(count: int) -> tuple[steps.Step, ...]:
    """Steps as a job makes them: a file in, five parameters, two files out."""
    return tuple(
        steps.Step(
            (
                steps.InputData(0, "Event list", False, "https://example.org/data", f"PN{number}.fits",
                                {"name": "eventlist", "sha256": "0" * 64}),
                *(steps.Parameter(index, f"Parameter {index}", True, index * number, {"name": f"p{index}"})
                  for index in range(1, 6)),
                steps.OutputData(6, "Spectrum", False, "https://example.org/results", "spectrum.fits"),
                steps.OutputData(7, "Events", False, "https://example.org/results", "events.fits"),
            ),
            {"task": "spectrum", "version": "1.0", "job": f"{number:032x}", "exit_status": 0},
        )
        for number in range(count)
    )  # fmt: skip


def make(path: Path, size: int) -> None:
    """An event list of about that size, in pieces."""
    row = np.dtype([("TIME", ">f8"), ("X", ">i4"), ("Y", ">i4"), ("PI", ">i2"), ("FLAG", ">i4"), ("CCDNR", "u1")])
    rows = size // row.itemsize
    forms = {"f8": "D", "i2": "I", "i4": "J", "u1": "B"}
    columns = [fits.Column(name, forms[row[name].str[1:]]) for name in row.names or ()]
    header = fits.BinTableHDU.from_columns(columns, nrows=0, name="EVENTS").header
    header["NAXIS2"] = rows
    rng = np.random.default_rng(1)
    with path.open("wb") as stream:
        stream.write(fits.PrimaryHDU().header.tostring().encode())
        stream.write(header.tostring().encode())
        left = rows * row.itemsize
        while left:
            piece = rng.bytes(min(left, 1 << 24))
            stream.write(piece)
            left -= len(piece)
        stream.write(b"\0" * (-rows * row.itemsize % 2880))
        stream.flush()
        os.fsync(stream.fileno())


def timed(use: Callable[[], object]) -> float:
    begun = time.perf_counter()
    use()
    return time.perf_counter() - begun


def written() -> int:
    """Bytes that this process has written, as the kernel counts them."""
    lines = Path("/proc/self/io").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


if __name__ == "__main__":
    main()
