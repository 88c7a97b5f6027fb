"""The charts of responses: what they show of real ones, and what stands in their place for a broken one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from reduction.calibration.builtin import built_in_redistribution
from reduction.missions.xmm import EPN
from reduction.responses import write_redistribution
from reduction.responses.grid import Camera
from uws_server.previews.cache import Previews
from uws_server.previews.preview import ResultFile


def file(path: Path) -> ResultFile:
    return ResultFile(str(path), path, {})


def test_a_real_area_is_drawn_by_energy(shared: Path) -> None:
    path = shared / "real" / "xmm_ngc7793_ulx4" / "PN.arf"
    previews = Previews()
    found = previews.look(file(path))
    assert found.kind == "response" and found.chart is not None and found.text == ""
    table = fits.getdata(path, "SPECRESP")
    top = table[np.argmax(table["SPECRESP"])]
    assert found.chart.summary.endswith(f"highest {top['SPECRESP']:.4g} cm2 at "
                                        f"{(top['ENERG_LO'] + top['ENERG_HI']) / 2:.3g} keV")  # fmt: skip
    picture = previews.plot_picture(file(path))
    assert picture.ok and "Effective area (cm2)" in picture.data.decode() and "Energy (keV)" in picture.data.decode()
    assert previews.thumbnail(file(path)).ok
    lines = previews.plot_table(file(path)).data.decode().splitlines()
    header = next(line for line in lines if "energy_keV" in line)
    assert "area_cm2" in header and len(lines) > 2000
    assert json.loads(previews.plot_data(file(path)).data)


def test_a_real_matrix_is_drawn_where_it_counts(shared: Path) -> None:
    path = shared / "real" / "xmm_psrj0855" / "xmm_mos1_0605960101.rmf"
    chart = Previews().chart(file(path))
    assert [series.label for series in chart.series][2] == "photons of 1 keV"
    for series, energy in zip(chart.series[2:5], (1.0, 2.0, 4.0), strict=True):
        assert series.middle[np.argmax(series.y)] == pytest.approx(energy, abs=0.05)
        assert np.sum(series.y * (series.high - series.low)) == pytest.approx(1, abs=0.05)
    assert "in 800 channels from number 0 on" in chart.summary


def test_our_own_matrix_is_drawn_and_said_to_be_approximate(tmp_path: Path) -> None:
    path = tmp_path / "response.rmf"
    cards = [("APPROX", True, ""), ("RESPFRM1", "a Gaussian " * 9, ""), ("RESPFRM2", "a curve", "")]
    write_redistribution(path, built_in_redistribution(EPN, Camera("XMM", "EPN", "Medium")), cards)  # type: ignore[arg-type]
    previews = Previews()
    assert previews.plot_picture(file(path)).ok
    assert previews.look(file(path)).text == f"Approximate: {('a Gaussian ' * 9).strip()}; a curve."


def test_a_broken_response_says_why(shared: Path, tmp_path: Path) -> None:
    path = tmp_path / "broken.arf"
    with fits.open(shared / "real" / "xmm_ngc7793_ulx4" / "PN.arf") as hdus:
        hdus["SPECRESP"].data["SPECRESP"][7] = np.nan
        hdus.writeto(path)
    found = Previews().look(file(path))
    assert (found.kind, found.chart) == ("table", None)
    assert "an effective area is no number" in found.reason
    assert not Previews().plot_picture(file(path)).ok
