"""Streams /obscore with 100,000 products from a real server, beside astropy writing the same rows from memory.

Every product is a FITS file of its own with VO-TAGS of its own, every job a job of three products. The first look reads
every file, as after an upgrade; from then on, and for jobs that the server ends itself, rows are kept.

    python bench/obscore.py [--products 100000] [--runs 3]
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from _serving import Served, own_server
from astropy.io import fits
from astropy.table import Table

from provenance import obscore, steps, votags
from uws_server.jobs.job import Job, Result, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.jobstore import JobStore
from uws_server.storage.rows import job_row, result_row
from uws_server.storage.tables import jobs, results

PRODUCTS = 100_000
OF_A_JOB = 3
MARK = "0123456789abcdef" * 2
ROW = obscore.ObsCoreRow(
    dataproduct_type="spectrum", dataproduct_subtype="spectrum.total.count", calib_level=2, target_name="NGC 7793 ULX4",
    obs_id="0693760101", obs_title="XMM-Newton EPN spectrum of NGC 7793 ULX4", obs_collection="XMM-Newton",
    obs_creation_date="2026-11-20T13:06:29", obs_creator_name="uws-server", access_format="application/fits",
    obs_publisher_did=f"https://example.org/rest/spectrum/{MARK}/spectrum.fits", access_estsize=9,
    access_url=f"https://example.org/rest/spectrum/{MARK}/spectrum.fits",
    s_ra=359.44958049201256, s_dec=-32.582502575520664, s_fov=0.0222222, s_resolution=6.6, s_xel1=1, s_xel2=1,
    s_region="Circle ICRS 359.4495805 -32.58250258 0.01111111111", t_xel=1, t_min=56061.18591885538,
    t_max=56061.64967773796, t_exptime=20265.98058616, t_resolution=20265.98058616, em_xel=4096, em_ucd="em.energy",
    em_unit="eV", em_calib_status="calibrated", em_min=1.0332016535833333e-10, em_max=6.1992099215e-09,
    em_res_power=12.634728566617953, o_ucd="phot.count", o_unit="count", pol_xel=0, facility_name="XMM-Newton",
    instrument_name="EPN", proposal_id="069376", energy_min=200.0, energy_max=12000.0, analysis_mode="spectrum 1.1",
    t_intervals="38/25297200000-25297200300 40/101188801300",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=PRODUCTS)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"making {options.products:,} tagged products", flush=True)
        fill(folder, options.products)
        with own_server(folder) as served:
            first, document = stream(served, "")
            show("ours, first look (reads every file)", options.products, [first])
            for suffix, kind in (("", "VOTable"), ("?RESPONSEFORMAT=ecsv", "ECSV")):
                seconds = [stream(served, suffix)[0] for _ in range(options.runs)]
                mine = show(f"ours, {kind} over HTTP", options.products, seconds)
                theirs = show(f"astropy, {kind} from memory", options.products, [peer(document, kind)])
                print(f"{'ratio':42} {mine / theirs:>10.1f}")
            print(f"memory of the server afterwards {served.rss_kib() / 1024:.0f} MiB")
    if document.count(b"<TR>") != options.products:
        sys.exit(f"{document.count(b'<TR>')} rows came")


def show(name: str, rows: int, seconds: Sequence[float]) -> float:
    """Print the median of some runs; returns the rows a second."""
    median = statistics.median(seconds)
    print(f"{name:42} {median:>8.2f} s {rows / median:>12,.0f} rows/s", flush=True)
    return rows / median


def stream(served: Served, query: str) -> tuple[float, bytes]:
    """Read the whole table; the seconds until its end."""
    pieces = []
    begun = time.perf_counter()
    with urllib.request.urlopen(f"{served.url}/obscore{query}") as response:
        while piece := response.read(1 << 18):
            pieces.append(piece)
    return time.perf_counter() - begun, b"".join(pieces)


def peer(document: bytes, kind: str) -> float:
    """Let astropy write the rows that ours sent."""
    table = Table.read(io.BytesIO(document), format="votable")
    out = io.BytesIO() if kind == "VOTable" else io.StringIO()
    begun = time.perf_counter()
    if kind == "VOTable":
        table.write(out, format="votable", tabledata_format="tabledata")
    else:
        table.write(out, format="ascii.ecsv", delimiter=",")
    return time.perf_counter() - begun


def fill(folder: Path, count: int) -> None:
    """Put finished jobs and their products into a data folder."""
    pattern = tagged(folder / "pattern.fits")
    store = JobStore(f"sqlite:///{folder / 'jobs.sqlite'}")
    now, left = utcnow(), count
    while left:
        job_rows, result_rows = [], []
        while left and len(job_rows) < 3000:
            created = now - timedelta(seconds=count - left)
            job = Job(new_id(), "spectrum", "1", Phase.COMPLETED, created, 60, now + timedelta(days=30))
            job_rows.append(job_row(job))
            for position in range(min(OF_A_JOB, left)):
                result_rows.append(result_row(job.id, position, product(folder, job.id, position, pattern)))
                left -= 1
        with store.engine.begin() as connection:
            connection.execute(jobs.insert(), job_rows)
            connection.execute(results.insert(), result_rows)
    store.close()


def product(folder: Path, job_id: str, position: int, pattern: bytes) -> Result:
    """Write one product of a job."""
    result_id, file = new_id(), f"results/spectrum{position}.fits"
    path = folder / "jobs" / job_id[:2] / job_id / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pattern.replace(MARK.encode(), result_id.encode()))
    return Result(result_id, f"spectrum{position}", file, "application/fits", len(pattern), "0" * 64)


def tagged(path: Path) -> bytes:
    """A small product with tags."""
    fits.PrimaryHDU().writeto(path)
    step = steps.Step((steps.Parameter(0, "radius, arcsec", True, 40),), {"task": "spectrum", "version": "1.1"})
    votags.write(path, ROW, [step])
    content = path.read_bytes()
    path.unlink()
    return content


if __name__ == "__main__":
    main()
