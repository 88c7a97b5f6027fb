"""Measures the shape of real EPIC redistributions, and holds the built-in ones against them in a fit.

The shape of each row of a real RMF is fitted by that of `reduction.responses.lineshape`: the table of that module is
what this prints. Then an absorbed power law is fitted to counts that are expected of one through the real RMF: the
column density and the index that the built-in matrix, and a Gaussian without shelf and tail, give back.

    python bench/redistribution.py FOLDER [--table]      (FOLDER: where xmm_psrj0855/ and xmm_ngc7793_ulx4/ lie)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from reduction.responses import Redistribution, read_redistribution
from reduction.responses.lineshape import ENERGIES_KEV, SILICON_KEV, Shape

Floats = npt.NDArray[np.float64]

MATRICES = {
    "EPN": ("xmm_psrj0855/xmm_pn_0605960101.rmf", "xmm_ngc7793_ulx4/PN.rmf"),
    "EMOS": ("xmm_psrj0855/xmm_mos1_0605960101.rmf", "xmm_psrj0855/xmm_mos2_0605960101.rmf"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    for camera, names in MATRICES.items():
        real = [read_redistribution(options.folder / name) for name in names]
        print(f"    {camera!r}: (")
        for energy in ENERGIES_KEV:
            mean = np.mean([measured(matrix, energy) for matrix in real], axis=0)
            print(f"        ({', '.join(f'{value:.4f}' for value in mean)}),  # {energy:g} keV")
        print("    ),")


def measured(matrix: Redistribution, energy_kev: float) -> Floats:
    """Return shift, FWHM, tail, tail's length, shelf, escape that fit a row best in its cumulative distribution."""
    first = int(matrix.energies.index(np.array([energy_kev]))[0])
    row = np.maximum(matrix.matrix()[first], 0.0)
    # By number of the channel, for PI is in eV: EBOUNDS of pn is 27 eV above it at 0.5 keV, and a spectrum has PI.
    step = round(200 * float(np.median(matrix.channels.high - matrix.channels.low))) / 200
    energy, bounds = float(matrix.energies.middle[first]), step * np.arange(matrix.channels.size + 1.0)
    wanted = np.append(0.0, np.cumsum(row)) / row.sum()
    near = bounds <= energy + 0.5

    def away(values: Floats) -> Floats:
        shape = Shape(*values)
        found = shape.below(bounds[near], energy)
        low = shape.below(bounds[:1], energy)[0]
        return np.asarray((found - low) / (1 - low) - wanted[near])

    start, least = (-0.01, 0.09, 0.1, 0.1, 0.02, 0.01), (-0.18, 0.03, 0, 0.01, 0, 0)
    most = (0.04, 0.3, 0.98, 0.6, 0.4, 0.05 if energy > SILICON_KEV else 0.0)
    values = fitted(away, np.minimum(start, most), np.array(least), np.array(most))
    print(f"{energy:.3f} keV: largest difference {np.abs(away(values)).max():.4f}", file=sys.stderr)
    return values


def fitted(away: Callable[[Floats], Floats], values: Floats, least: Floats, most: Floats) -> Floats:
    """Return the values within limits that make the squares of some differences least (Levenberg and Marquardt)."""
    damping, now = 1e-2, away(values)
    for _ in range(60):
        steps = np.array([(away(values + change) - now) / 1e-5 for change in 1e-5 * np.eye(values.size)])
        square = steps @ steps.T
        change = np.linalg.solve(square + damping * np.diag(np.diag(square) + 1e-9), -steps @ now)
        tried = np.clip(values + change, least, most)
        found = away(tried)
        if found @ found < now @ now:
            values, now, damping = tried, found, damping / 5
        else:
            damping *= 4
        if damping > 1e8:
            break
    return values


if __name__ == "__main__":
    main()
