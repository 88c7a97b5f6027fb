"""The command `uws-server simulate`: writes the event lists of a simulated observation. Imports the simulator."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to write them")
    parser.add_argument("--seed", type=int, metavar="N", help="another seed gives other photons of the same sources")
    parser.add_argument("--exposure", type=float, metavar="S", help="seconds to observe (default 12000)")
    parser.add_argument("--pn-rows", type=int, metavar="N", help="scale the background until pn has N events")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from reduction.simulate import simulate, small, with_pn_rows  # here: --help needs no coordinates

    observation = small()
    changes = {"seed": options.seed, "exposure_s": options.exposure}
    observation = replace(observation, **{name: value for name, value in changes.items() if value is not None})
    if options.pn_rows is not None:
        observation = with_pn_rows(observation, options.pn_rows)
    for path in simulate(observation, options.folder):
        print(path)
