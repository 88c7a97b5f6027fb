"""The picture of contours of a fit: ellipses of a statistic that is a paraboloid, at heights of their confidences."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from uws_server.previews.cache import Previews
from uws_server.previews.preview import ResultFile

SIDE = 41


def contour(path: Path, rows: int = SIDE, **changed: object) -> ResultFile:
    """Write the grid of a statistic that rises by (x / 0.1)^2 + (y / 2)^2 around (1, 10)."""
    x, y = np.meshgrid(np.linspace(0.6, 1.4, SIDE), np.linspace(2, 18, rows))
    rise = ((x - 1) / 0.1) ** 2 + ((y - 10) / 2) ** 2
    columns = {"X": x, "Y": y, "RISE": rise}
    table = fits.BinTableHDU.from_columns([fits.Column(name, "D", array=values.ravel())
                                           for name, values in columns.items()], name="CONTOUR1")  # fmt: skip
    table.header.update({"HDUCLAS1": "CONTOUR", "XPAR": "tbabs.nH", "YPAR": "powerlaw.norm", "NX": SIDE, "NY": rows,
                         "XBEST": 1.0, "YBEST": 10.0, "LEVEL1": 0.6827, "LEVEL2": 0.9, **changed})  # fmt: skip
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return ResultFile("contour", path, {})


def test_contours_are_lines_at_the_heights_of_their_confidences(tmp_path: Path) -> None:
    previews, file = Previews(), contour(tmp_path / "contours.fits")
    assert previews.look(file).kind == "contour"
    rows = list(csv.DictReader(io.StringIO(previews.plot_table(file).data.decode())))
    for label, height in (("68.27 %", 2.296), ("90 %", 4.605)):
        points = np.array([[float(row["tbabs.nH"]), float(row["powerlaw.norm"])] for row in rows
                           if row["series"] == label])  # fmt: skip
        found = ((points[:, 0] - 1) / 0.1) ** 2 + ((points[:, 1] - 10) / 2) ** 2
        assert found == pytest.approx(height, abs=0.08)
        assert np.ptp(points[:, 0]) == pytest.approx(2 * 0.1 * np.sqrt(height), rel=0.02)
    assert [(row["tbabs.nH"], row["powerlaw.norm"]) for row in rows if row["series"] == "Best fit"] == [("1", "10")]
    assert previews.plot_picture(file).ok and previews.thumbnail(file).ok


@pytest.mark.parametrize("changed", [{"NX": 40}, {"NX": 0}, {"NY": 10**6}])
def test_a_table_that_is_no_grid_becomes_a_table(tmp_path: Path, changed: dict[str, int]) -> None:
    preview = Previews().look(contour(tmp_path / "contours.fits", **changed))
    assert preview.kind == "table" and "no whole grid" in preview.reason
