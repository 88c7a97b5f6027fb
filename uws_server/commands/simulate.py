"""The command `uws-server simulate`: writes the event lists of a simulated observation. Imports the simulator."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reduction.errors import ReductionError
from uws_server.errors import ClientError

if TYPE_CHECKING:
    from reduction.simulate import Observation


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to write them")
    parser.add_argument("--observation", type=Path, metavar="FILE",
                        help="what is simulated, as JSON: an observation, or a recipe of a bench with one "
                             "(uws-server bench --example)")  # fmt: skip
    parser.add_argument("--seed", type=int, metavar="N", help="another seed gives other photons of the same sources")
    parser.add_argument("--exposure", type=float, metavar="S", help="seconds to observe (default 12000)")
    parser.add_argument("--pn-rows", type=int, metavar="N", help="scale the background until pn has N events")
    parser.add_argument("--pn-mode", metavar="MODE", help="PrimeFullWindow (default) or PrimeFullWindowExtended")
    parser.add_argument("--responses", action="store_true", help="write the RMFs and ARFs photons were drawn through")
    parser.add_argument("--through", nargs=3, action="append", default=[], metavar=("CAMERA", "RMF", "ARF"),
                        help="draw the photons of EPN, EMOS1 or EMOS2 through these files; the ARF is that of a circle "
                             "of 40 arcsec about each source")  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    # here: --help needs no coordinates
    from reduction import responses
    from reduction.simulate import CAMERAS, simulate, small, with_pn_rows, write_responses

    observation = _read(options.observation, options.seed) if options.observation else small()
    changes = {"seed": options.seed, "exposure_s": options.exposure, "pn_mode": options.pn_mode}
    observation = replace(observation, **{name: value for name, value in changes.items() if value is not None})
    if options.pn_rows is not None:
        observation = with_pn_rows(observation, options.pn_rows)
    through = {
        camera: (responses.read_redistribution(Path(rmf)), responses.read_effective_area(Path(arf)))
        for camera, rmf, arf in options.through
    }
    for path in simulate(observation, options.folder, through=through):
        print(path)
    if options.responses:
        for key in (key for key in CAMERAS if key not in through):
            for path in write_responses(observation, options.folder, observation.camera(key)):
                print(path)


def _read(path: Path, seed: int | None) -> Observation:
    """Return the observation of a file, with its population drawn by the seed. Raise ClientError for what is wrong."""
    from reduction.simulate.document import read_observation
    from reduction.simulate.fields import Fields

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        inner = document.get("observation") if isinstance(document, dict) else None
        beside = {each.name: each for each in path.absolute().parent.iterdir() if each.is_file()}
        plan = read_observation(Fields(document if inner is None else inner, "observation"), beside)
        return plan.of_seed(1 if seed is None else seed)
    except ReductionError as error:
        raise ClientError(f"{path}: {f'{error.parameter}: ' if error.parameter else ''}{error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ClientError(f"{path}: {error.strerror if isinstance(error, OSError) else 'no text in UTF-8'}") from error
    except json.JSONDecodeError as error:
        raise ClientError(f"{path}: line {error.lineno}, column {error.colno}: {error.msg}") from error
