"""The command `uws-server demo`: simulates an observation and runs the spectrum job. Imports client and simulator.

What it does is what any client does: everything after the simulation goes through UWS.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from astropy.io import fits

from provenance import votags
from reduction.simulate import Observation, simulate, small, truth_path
from uws_server import client
from uws_server.client import JobState
from uws_server.commands.progress import ProgressBar
from uws_server.errors import ServerError

LISTENING = "Listening on "
"""What the server prints, before its address, once it accepts connections."""

_START_S = 60.0


class DemoError(ServerError):
    """The demonstration failed; the message names the step."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--data", type=Path, metavar="DIR", default=Path("demo-data"), help="folder for all of it (default demo-data)"
    )
    parser.add_argument("--serve", action="store_true", help="keep the server running until Ctrl-C")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    """Simulate, serve, run the spectrum job and print its products; with --serve, serve on until Ctrl-C."""
    folder: Path = options.data.absolute()
    archive, products = folder / "archive", folder / "products"
    shutil.rmtree(products, ignore_errors=True)
    products.mkdir(parents=True)
    observation = small()
    _simulate(observation, archive)
    with _server(folder, archive) as url:
        print(f"Server         {url}")
        page = _spectrum(url, observation, archive, products)
        if options.serve:
            ended = threading.Event()
            for number in (signal.SIGINT, signal.SIGTERM):  # before the line that says so: who reads it may send one
                signal.signal(number, lambda *_: ended.set())
            print(f"\nLook at it:    {page}\nThe server stays up until Ctrl-C.", flush=True)
            ended.wait()
            return
    print(f"\nThe page of the job was {page}")
    print(f"The server has stopped; `uws-server demo --serve` keeps it up. The products are in {products}")


def _simulate(observation: Observation, archive: Path) -> None:
    print(f"Simulating     observation {observation.obs_id}: pn, MOS1, MOS2, two sources, a flare")
    progress_bar = ProgressBar()
    paths = simulate(observation, archive, progress_bar.show if progress_bar.live else None)
    progress_bar.done()
    for path in paths:
        print(f"               {path.name}  {fits.getval(path, 'NAXIS2', 'EVENTS'):7,d} events")


def _spectrum(url: str, observation: Observation, archive: Path, products: Path) -> str:
    """Run the job on the pn list and the brighter source, and return the address of its page."""
    source = observation.sources[0]
    place = f"{source.ra}, {source.dec}"
    values = {
        "eventlist": f"P{observation.obs_id}PNS003PIEVLI0000",
        "source_region": f'icrs; circle({place}, 40")',
        "background_region": f'icrs; annulus({place}, 60", 120")',
        "energy": "0.2 12.0 keV",
        "RUNID": "demo",
    }
    print(f"Job            spectrum of {source.name}, pn")
    for name, value in values.items():
        print(f"               {name} = {value}")
    address = client.create(f"{url}/rest/spectrum", values)
    progress_bar = ProgressBar()
    final = client.follow(address, lambda state: _show(progress_bar, state))
    progress_bar.done()
    print(f"               {final.phase}")
    if final.phase != "COMPLETED":
        raise DemoError(f"the job {address} ended in {final.phase}: {final.error}")
    _print_products(final, products, _drawn(archive, observation))
    return f"{url}/jobs/{address.rpartition('/')[2]}"


def _show(progress_bar: ProgressBar, state: JobState) -> None:
    if not state.ended:
        progress_bar.show(state.number, state.total, state.stage or state.phase)


def _drawn(archive: Path, observation: Observation) -> int:
    """Return how many events the simulator drew inside the source circle, after the usual selections."""
    truth: dict[str, Any] = json.loads(truth_path(archive, observation).read_text(encoding="utf-8"))
    return int(truth["cameras"]["EPN"]["sources"][0]["circle"]["usual_200_12000_eV"])


def _print_products(final: JobState, products: Path, drawn: int) -> None:
    print(f"\n{'Product':28}{'size':>12}{'counts':>9}{'exposure':>12}{'BACKSCAL':>12}   VO-TAGS")
    for result in final.results:
        path = client.download(result, products)
        line = f"{path.name:28}{_size(path.stat().st_size):>12}"
        if result.name.endswith("_spectrum"):
            with fits.open(path) as hdus:
                header, counts = hdus["SPECTRUM"].header, int(hdus["SPECTRUM"].data["COUNTS"].sum())
            line += f"{counts:9,d}{header['EXPOSURE']:10,.1f} s{header['BACKSCAL']:12,.0f}"
        elif path.suffix == ".fits":
            line += f"{fits.getval(path, 'NAXIS2', 'EVENTS'):9,d}{'':24}"
        tags = votags.read(path) if path.suffix == ".fits" else None
        if tags is not None:
            line += f"   {tags.row.get('dataproduct_type')}, {len(tags.steps)} step"
        print(line)
    print(f"\nThe simulator drew {drawn:,} events into the source circle.")


def _size(size: int) -> str:
    return f"{size / 1024:,.1f} KiB"


@contextmanager
def _server(folder: Path, archive: Path) -> Iterator[str]:
    """Run a server process on a free port for the length of the block."""
    command = [sys.executable, "-m", "uws_server", "serve", "--port", "0"]
    command += ["--data", str(folder / "data"), "--archive", str(archive)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UWS_SERVER_")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield _address(process)
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _address(process: subprocess.Popen[str]) -> str:
    watchdog = threading.Timer(_START_S, process.kill)
    watchdog.start()
    line = process.stdout.readline() if process.stdout is not None else ""
    watchdog.cancel()
    if not line.startswith(LISTENING):
        raise DemoError("the server did not start; what it printed is above")
    return line.removeprefix(LISTENING).strip()
