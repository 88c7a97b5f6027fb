"""The command `uws-server bench`: runs a recipe many times as one job in parts, and fetches its report.

Everything but the look at the recipe goes through UWS, on a server of its own or a running one. Imports the client and
the bench.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from uws_server import client
from uws_server.client import Credentials, JobState
from uws_server.commands.own_server import own_server
from uws_server.commands.progress import ProgressBar
from uws_server.commands.run import credentials, interruptible, make_folder
from uws_server.errors import ClientError, counted
from uws_server.resources import definitions_folder

MOST_RUNS = 1000
_KEPT = "products_part"
_PART = re.compile(r"_part([0-9]+)$")
_EPILOG = """\
examples:
  uws-server bench --example > recipe.json       (or --example pipeline, fit, detection)
  uws-server bench recipe.json --check
  uws-server bench recipe.json --runs 500 --out bench

A recipe is an object of JSON: `observation` (what is simulated, anew with a seed of its own for each run), `steps`
(definitions of jobs with their parameters; a value may refer to the truth, ${source.A.ra}, and to results of earlier
steps, ${flares.EPN.gti}), `measure` (quantities: from a product, from the truth, or a formula of others), `compare`
(which quantity is the truth of which), `detections` (the source list that is held against the sources). docs/bench.md
describes each.

Each run is a part of one job; the parts run side by side on the server. In DIR there are then report.html, and the
tables runs.ecsv, comparisons.ecsv and sources.ecsv. The same recipe, seed and number of a run give the same photons.
exit status: 0 every run was made, 1 some failed, 2 the recipe, the server or the command line is wrong.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = "Simulate an observation many times, reduce each, and hold the results against the truth."
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("recipe", type=Path, nargs="?", metavar="RECIPE", help="file of JSON that says what is done")
    parser.add_argument("--example", nargs="?", const="example", metavar="NAME",
                        help="print a recipe to begin with, and end: example, pipeline, fit or detection")  # fmt: skip
    parser.add_argument("--check", action="store_true", help="only say what is wrong with the recipe")
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="how many runs (default 10, at most 1000)")
    parser.add_argument("--first", type=int, default=1, metavar="K", help="number of the first run (default 1)")
    parser.add_argument("--out", type=Path, metavar="DIR", default=Path("bench-out"),
                        help="folder for report and tables (default bench-out)")  # fmt: skip
    parser.add_argument("--keep", action="store_true",
                        help="keep event lists and products of each run, in DIR/run0001/products.tar (some 50 MB each)")
    parser.add_argument("--places", type=int, metavar="N", default=os.cpu_count() or 1,
                        help="runs side by side on a server of its own (default: one a core)")  # fmt: skip
    parser.add_argument("--definitions", type=Path, metavar="DIR", help="definitions of a server of its own")
    parser.add_argument("--server", metavar="URL", help="a running server, in place of one of its own")
    parser.add_argument("--account", metavar="NAME", help="name of your account on it")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="holds its token (else UWS_TOKEN does)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.example:
        print(_example(options.example), end="")
        return 0
    if options.recipe is None:
        raise ClientError("no RECIPE came; uws-server bench --example prints one")
    for name, value, most in (("--runs", options.runs, MOST_RUNS), ("--first", options.first, 10**6 - MOST_RUNS),
                              ("--places", options.places, 1000)):  # fmt: skip
        if not 1 <= value <= most:
            raise ClientError(f"{name}: {value} came; 1 to {most} is allowed")
    recipe, files = _checked(options)
    if options.check:
        steps, compared = len(recipe.steps), len(recipe.comparisons)
        print(f"{options.recipe}: {recipe.name}: {steps} step{'s' * (steps != 1)}, "
              f"{compared} comparison{'s' * (compared != 1)}")  # fmt: skip
        return 0
    make_folder(options.out, "--out")
    if options.server:
        who = credentials(options.account, options.token_file)
        return _bench(options, options.server.rstrip("/"), files, who)
    settings = {"UWS_SERVER_MAX_RUNNING": str(options.places), "UWS_SERVER_MAX_DURATION": str(7 * 86400)}
    with tempfile.TemporaryDirectory(prefix="uws-bench-") as folder:
        served = ["--definitions", str(options.definitions)] if options.definitions else []
        with own_server(Path(folder) / "data", served, settings) as url:
            return _bench(options, url, files, None)


def _example(name: str) -> str:
    """Return a recipe that comes with the software. Raise ClientError if there is none of that name."""
    folder = definitions_folder() / "bench"
    names = sorted(path.stem for path in folder.glob("*.json") if path.stem != "job")
    if name not in names:
        raise ClientError(f"--example: there is none called {name[:40]!r}; there are {', '.join(names)}")
    return (folder / f"{name}.json").read_text(encoding="utf-8")


def _checked(options: argparse.Namespace) -> tuple[Any, Mapping[str, list[Path]]]:
    """Return the recipe, and the files to send with it. Raise ClientError, with the place, for what is wrong."""
    # here: --help needs neither numpy nor astropy
    from reduction.bench.recipe import parse
    from reduction.errors import ReductionError

    try:
        return _read(options, parse(_text(options.recipe)))
    except ReductionError as error:
        place = f"{error.parameter}: " if error.parameter else ""
        raise ClientError(f"{options.recipe}: {place}{error}") from error


def _read(options: argparse.Namespace, document: Any) -> tuple[Any, Mapping[str, list[Path]]]:
    from reduction.bench import pipeline
    from reduction.bench.recipe import files_of, read_recipe

    beside = {name: options.recipe.parent / name for name in files_of(document)}
    beside = {name: path for name, path in beside.items() if path.is_file()}
    if twice := [name for name in beside if Path(name).name != name]:
        raise ClientError(f"{twice[0]}: files of a recipe lie beside it, and are named without a folder")
    recipe = read_recipe(document, beside)
    if not options.server:
        pipeline.definitions_of(recipe, options.definitions or definitions_folder())
    return recipe, {"recipe": [options.recipe], **({"files": list(beside.values())} if beside else {})}


def _text(path: Path) -> str:
    """Return the text of the recipe. Raise ClientError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ClientError(f"{path}: {why}") from error


def _bench(options: argparse.Namespace, url: str, files: Mapping[str, list[Path]], who: Credentials) -> int:
    """Run the job, fetch its tables and its report, and say what they say."""
    numbers = ",".join(str(options.first + at) for at in range(options.runs))
    values = {"run": numbers, "RUNID": "bench", **({"keep": "true"} if options.keep else {})}
    address = client.create(f"{url}/rest/bench", values, files, who)
    print(f"Job            {address}", flush=True)
    bar, began = ProgressBar(), time.monotonic()
    try:
        with interruptible() as check:
            final = client.follow(address, lambda state: _show(bar, check, state, began), 0.3, who)
    except KeyboardInterrupt:
        _abort(address, who)
        raise
    bar.done()
    took = time.monotonic() - began
    if final.phase != "COMPLETED":
        raise ClientError(f"the job ended in {final.phase}: {final.error or 'no reason is given'}")
    for result in final.results:
        part = _PART.search(result.name)
        if part is None:
            print(f"               {client.download(result, options.out, who)}")
        elif result.name.startswith(_KEPT):
            folder = options.out / f"run{options.first + int(part[1]) - 1:04d}"
            folder.mkdir(exist_ok=True)
            client.download(result, folder, who)
    print(f"Time           {took:.1f} s for {counted(options.runs, 'run')}: {took / options.runs:.2f} s a run")
    return _summary(options.out)


def _abort(address: str, who: Credentials) -> None:
    """End the job, which would outlive the command and a server of its own, and wait until its parts have ended."""
    print("\nEnding         the runs", flush=True)
    with contextlib.suppress(ClientError):
        client.set_phase(address, "ABORT", who)
        client.follow(address, lambda state: None, 0.3, who)


def _show(bar: ProgressBar, check: Callable[[], None], state: JobState, began: float) -> None:
    check()
    if not state.ended:
        bar.show(state.number, state.total, state.stage or state.phase, time.monotonic() - began)


def _summary(folder: Path) -> int:
    """Print the comparisons, and how many runs failed; return the exit status."""
    import numpy as np
    from astropy.table import Table

    runs = Table.read(folder / "runs.ecsv", format="ascii.ecsv")
    print(
        f"               {np.median(runs['seconds']):.2f} s each (median), {np.median(runs['cpu_s']):.2f} s of a core"
    )
    failed = [row for row in runs if str(row["failed_step"]) not in ("", "--")]
    if (folder / "comparisons.ecsv").is_file():
        print(f"\n{'quantity':44}{'runs':>6}{'pull, mean':>20}{'pull, width':>20}")
        for row in Table.read(folder / "comparisons.ecsv", format="ascii.ecsv"):
            mean, width = (
                f"{row[f'pull_{name}']:.3f} +- {row[f'pull_{name}_error']:.3f}" for name in ("mean", "width")
            )
            print(f"{str(row['quantity'])[:43]:44}{row['runs']:>6}{mean:>20}{width:>20}")
    for row in failed[:5]:
        print(f"run {row['run']} failed at {row['failed_step']}: {row['sentence']}")
    print(f"\n{counted(len(runs), 'run')}, {len(failed)} of them failed; look at {folder / 'report.html'}")
    return 1 if failed else 0
