"""What is made of a fit: draws of the posterior, goodness by simulation, a contour, fluxes; CPU in this process.

    python bench/fit_beside.py SPECTRUM [BACKGROUND RESPONSE AREA] [--model powerlaw]

Without files a small spectrum of ours (120 channels) is taken; what a spectrum's header names is found beside it.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from reduction.fitting import contours, fluxes, goodness, posterior
from reduction.fitting.expression import parse_model
from reduction.fitting.fit import fit
from reduction.fitting.foldedmodel import choose
from reduction.fitting.inputs import GivenFile, read_spectra
from reduction.fitting.tables import configured

NAMES = ("spectrum", "background", "response", "area")
Made = TypeVar("Made")
OURS = Path(__file__).resolve().parents[1] / "job_definitions" / "fit"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="spectrum, background, response, area")
    parser.add_argument("--model", default="powerlaw")
    options = parser.parse_args()
    files = options.files or [
        OURS / name for name in ("test_spectrum.fits", "test_background.fits", "test_response.fits", "test_area.fits")
    ]
    given = {key: [GivenFile(path.name, path, path.parent)] for key, path in zip(NAMES, files, strict=False)}
    data = choose(read_spectra(given), "0.3 10", "file", "1", "5")
    result = fit(data, parse_model(options.model, configured()))
    pair = [result[name] for name in result.free_names[:2]]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {options.model}, {result.bins} bins")
    drawn = timed("posterior, 4,000 draws", lambda: posterior.draw(result, 4000))
    print(f"    worth about {drawn.independent:.0f} independent ones")
    timed("goodness, 100 simulations", lambda: goodness.goodness(result, 100))
    timed(f"contour of {contours.SIDE} x {contours.SIDE}", lambda: contours.contour(result, *pair))
    timed("fluxes with errors", lambda: fluxes.fluxes(result, 0.5, 10.0))


def timed(what: str, make: Callable[[], Made]) -> Made:
    """Make something once and print what it cost."""
    begun = time.process_time()
    made = make()
    print(f"{what}: {time.process_time() - begun:.2f} s of CPU")
    return made


if __name__ == "__main__":
    main()
