"""The command `uws-server demo`: simulates an observation and runs six jobs on it. Imports client and simulator.

What it does is what any client does: everything after the simulation goes through UWS.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from astropy.io import fits

from provenance import votags
from reduction.simulate import Observation, simulate, small, truth_path
from uws_server import client
from uws_server.client import JobState
from uws_server.commands.own_server import clean_environment, own_server
from uws_server.commands.progress import ProgressBar
from uws_server.errors import ServerError

_BOTH = ("source_region", "background_region")
_OTHERS: tuple[tuple[str, str, Sequence[str], Mapping[str, str | Sequence[str]]], ...] = (
    ("image", "image: three bands, exposure, smoothed", (), {"bands": ("0.3 1", "1 2", "2 10")}),
    ("lightcurve", "lightcurve: of the same regions", _BOTH, {"bin_size": "100"}),
    ("flare_filter", "flare_filter: threshold by clipping", (), {"method": "sigma"}),
    ("response", "response: built-in, at the source", _BOTH[:1], {"method": "built-in"}),
)
"""The jobs beside that of the spectrum: definition, words, which of its regions they take, further values."""

_FIT = "fit: absorbed power law"
_FITTED: Mapping[str, str] = {
    "spectrum": "source_spectrum", "background": "background_spectrum", "response": "response",
    "area": "effective_area",
}  # fmt: skip
"""The files of a fit by its parameters: results of the jobs spectrum and response."""


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
    """Simulate, serve, run the jobs and print the products of the first; with --serve, serve on until Ctrl-C."""
    folder: Path = options.data.absolute()
    archive, products = folder / "archive", folder / "products"
    shutil.rmtree(products, ignore_errors=True)
    products.mkdir(parents=True)
    observation = small()
    _simulate(observation, archive)
    _index(folder, archive)
    with own_server(folder / "data", ["--archive", str(archive)]) as url:
        print(f"Server         {url}")
        page = _jobs(url, observation, archive, products)
        if options.serve:
            ended = threading.Event()
            for number in (signal.SIGINT, signal.SIGTERM):  # before the line that says so: who reads it may send one
                signal.signal(number, lambda *_: ended.set())
            print(f"\nDraw regions:  {url}/sky?{urlencode(_regions(observation))}")
            print(f"Look at it:    {page}\nThe server stays up until Ctrl-C.", flush=True)
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


def _index(folder: Path, archive: Path) -> None:
    """Index the archive as its operator does, for the search by the sky."""
    command = [sys.executable, "-m", "uws_server", "archive", "add"]
    command += ["--archive", str(archive), "--data", str(folder / "data")]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment())
    if done.returncode:
        raise DemoError(f"the archive could not be indexed: {done.stderr.strip() or done.stdout.strip()}")
    print("Indexing       the archive, for the search by the sky")


def _regions(observation: Observation) -> dict[str, str]:
    """Return a region about the brighter source and one of the background around it."""
    place = f"{observation.sources[0].ra}, {observation.sources[0].dec}"
    return {"source": f'icrs; circle({place}, 40")', "background": f'icrs; annulus({place}, 60", 120")'}


def _jobs(url: str, observation: Observation, archive: Path, products: Path) -> str:
    """Run the jobs on the pn list and the brighter source, and return the address of the page of the first."""
    source = observation.sources[0]
    eventlist, run_id = {"eventlist": f"P{observation.obs_id}PNS003PIEVLI0000"}, {"RUNID": "demo"}
    regions = {f"{name}_region": text for name, text in _regions(observation).items()}
    values = {**eventlist, **regions, "energy": "0.2 12.0 keV", **run_id}
    print(f"Job            spectrum of {source.name}, pn")
    for name, value in values.items():
        print(f"               {name} = {value}")
    address = client.create(f"{url}/rest/spectrum", values)
    others = {}
    for name, words, regional, more in _OTHERS:
        further = {**eventlist, **{each: regions[each] for each in regional}, **more, **run_id}
        others[words] = client.create(f"{url}/rest/{name}", further)
    progress_bar = ProgressBar()
    final = client.follow(address, lambda state: _show(progress_bar, state))
    progress_bar.done()
    print(f"               {_completed(final)}")
    _print_products(final, products, _drawn(archive, observation))
    print("\nFurther jobs")
    made = {name: products / f"{name}.fits" for name in ("source_spectrum", "background_spectrum")}
    for words, other in others.items():
        ended = client.follow(other, lambda state: None)
        print(f"{words:41}{_completed(ended)}   {_page(url, other)}")
        for result in ended.results:
            if result.name in _FITTED.values():
                made[result.name] = client.download(result, products)
    files = {name: made[result] for name, result in _FITTED.items()}
    values = {"model": "wabs*powerlaw", "energy": "0.5 10.0", "grouping": "optimal", **run_id}
    fit = client.create(f"{url}/rest/fit", values, files)
    print(f"{_FIT:41}{_completed(client.follow(fit, lambda state: None))}   {_page(url, fit)}")
    return _page(url, address)


def _completed(final: JobState) -> str:
    """Return the phase of a job that has ended. Raise DemoError if it is not COMPLETED."""
    if final.phase != "COMPLETED":
        raise DemoError(f"the job {final.url} ended in {final.phase}: {final.error}")
    return final.phase


def _page(url: str, address: str) -> str:
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
        line = f"{path.name:28}{_size(path.stat().st_size):>12}{_counts(path) if path.suffix == '.fits' else ''}"
        tags = votags.read(path) if path.suffix == ".fits" else None
        if tags is not None:
            line += f"   {tags.row.get('dataproduct_type')}, {len(tags.steps)} step"
        print(line)
    print(f"\nThe simulator drew {drawn:,} events into the source circle.")


def _counts(path: Path) -> str:
    """Return the counts of a spectrum or an event list, exposure and BACKSCAL, as columns; blanks for another file."""
    with fits.open(path) as hdus:
        if "SPECTRUM" in hdus:
            header, counts = hdus["SPECTRUM"].header, int(hdus["SPECTRUM"].data["COUNTS"].sum())
            return f"{counts:9,d}{header['EXPOSURE']:10,.1f} s{header['BACKSCAL']:12,.0f}"
        return f"{hdus['EVENTS'].header['NAXIS2']:9,d}{'':24}" if "EVENTS" in hdus else " " * 33


def _size(size: int) -> str:
    return f"{size / 1024:,.1f} KiB"
