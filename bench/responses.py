"""Compares effective areas made without calibration files with real ones, and draws the ratios.

    python bench/responses.py SHARED [PICTURE.svg]

SHARED is the folder with `real/xmm_ngc7793_ulx4` and `real/xmm_psrj0855`. Prints a table of the ratio, ours over the
real one in steps of 25 eV, from 0.5 to 8 keV, and writes the picture.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from realresponses import REAL, STEP_KEV, Real, ratio
from uws_server.previews import chartplot
from uws_server.previews.chart import Chart, ChartSeries
from uws_server.previews.extent import WHOLE

BAND_KEV = (0.5, 8.0)


def series(real: Real, shared: Path) -> ChartSeries:
    """Return the ratio of one response as a line."""
    energies, found = ratio(real, shared)
    inside = (energies > BAND_KEV[0]) & (energies < BAND_KEV[1])
    middle, y = energies[inside], found[inside]
    none = np.full(y.shape, np.nan)
    kind = "point" if "ngc7793" in real.file else "extended"
    return ChartSeries(f"{real.instrument} {kind}", middle - STEP_KEV / 2, middle, middle + STEP_KEV / 2, y, none, none,
                       joined=True)  # fmt: skip


def main(shared: Path, picture: Path | None) -> None:
    """Print the table and write the picture."""
    lines = [series(real, shared) for real in REAL]
    print(f"{'response':20}{'lowest':>8}{'at keV':>8}{'highest':>9}{'at keV':>8}{'mean':>8}")
    for line in lines:
        low, high = int(np.argmin(line.y)), int(np.argmax(line.y))
        print(f"{line.label:20}{line.y[low]:8.3f}{line.middle[low]:8.2f}{line.y[high]:9.3f}{line.middle[high]:8.2f}"
              f"{line.y.mean():8.3f}")  # fmt: skip
    if picture is not None:
        chart = Chart("Ratio", "Effective area: ours over that of the SAS", "Energy (keV)", "Ratio", tuple(lines), "",
                      BAND_KEV, "log", "linear", ("energy_keV", "ratio"))  # fmt: skip
        picture.write_text(chartplot.draw(chart, WHOLE), encoding="utf-8")


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else None)
