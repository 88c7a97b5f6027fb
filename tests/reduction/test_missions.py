"""Missions: identification, energies, and the user's words for patterns and flags."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from reduction import missions
from reduction.errors import ReductionError
from reduction.missions import ACIS, EMOS1, EMOS2, EPN, FPMA, FPMB, MISSIONS, XTI, identify, parse_patterns


@pytest.mark.parametrize(("telescope", "instrument", "mission"), [
    ("XMM", "EPN", EPN), ("XMM     ", "EMOS1 ", EMOS1), ("XMM", "EMOS2", EMOS2), ("CHANDRA", "ACIS", ACIS),
    ("NuSTAR", "FPMA", FPMA), ("NUSTAR", "FPMB", FPMB), ("NICER", "XTI", XTI),
])  # fmt: skip
def test_identifies_every_mission(telescope: str, instrument: str, mission: missions.Mission) -> None:
    assert identify({"TELESCOP": telescope, "INSTRUME": instrument, "DATAMODE": "IMAGING"}) is mission


def test_unknown_telescope_is_named_with_the_known_ones() -> None:
    with pytest.raises(ReductionError, match=r"from ROSAT PSPCB; known are XMM-Newton EPIC pn.*NICER XTI") as caught:
        identify({"TELESCOP": "ROSAT", "INSTRUME": "PSPCB"}, parameter="eventlist")
    assert caught.value.parameter == "eventlist"
    with pytest.raises(ReductionError, match="no TELESCOP"):
        identify({})


@pytest.mark.parametrize("mode", ["TIMING", "BURST"])
def test_timing_and_burst_mode_are_refused_with_the_reason(mode: str) -> None:
    with pytest.raises(ReductionError, match=f"{mode} mode, only IMAGING mode.*RAWY is time"):
        identify({"TELESCOP": "XMM", "INSTRUME": "EPN", "DATAMODE": mode})


def test_energies_and_channels() -> None:
    assert EPN.energy_to_value(0.2) == pytest.approx(200)
    assert FPMA.energy_to_value(3.0) == pytest.approx(35)
    assert FPMA.energy_to_value(165.4) == pytest.approx(4095)
    assert XTI.energy_to_value(12.0) == pytest.approx(1200)
    assert (EPN.channels[0], EPN.channels[-1], len(EPN.channels)) == (0, 4095, 4096)
    assert len(EMOS1.channels) == 2400
    assert (ACIS.channels[0], ACIS.channels[-1]) == (1, 1024)
    assert ACIS.channel_energies()[:2] == pytest.approx([0.0, 0.0146])


@pytest.mark.parametrize("mission", MISSIONS, ids=lambda mission: mission.name)
def test_resolution_worsens_with_energy_in_kev(mission: missions.Mission) -> None:
    width = mission.fwhm_channels()
    assert width.shape == mission.channels.shape
    assert (np.diff(width) >= 0).all()
    assert width[0] > 0


def test_pn_resolution_is_that_of_a_real_matrix(shared: Path) -> None:
    with fits.open(shared / "real/xmm_ngc7793_ulx4/PN.rmf") as hdus:
        matrix, bounds = hdus["MATRIX"].data, hdus["EBOUNDS"].data
        for energy in (1.5, 3.0, 6.4):
            row = matrix[np.searchsorted(matrix["ENERG_LO"], energy) - 1]
            line = np.zeros(len(bounds))
            place = 0
            for first, count in zip(np.atleast_1d(row["F_CHAN"]), np.atleast_1d(row["N_CHAN"]), strict=True):
                line[first : first + count] = row["MATRIX"][place : place + count]
                place += count
            peak = int(line.argmax())
            near = np.flatnonzero(line[peak - 60 : peak + 60] > line[peak] / 2)
            assert EPN.fwhm_channels()[int(energy * 200)] == pytest.approx(near[-1] - near[0] + 1, rel=0.12)


def test_flag_mask_comes_from_the_card_of_the_file() -> None:
    assert EPN.flag_mask({"XMMEA_EP": "(FLAG & 0xcfa0000) == 0"}) == (0xCFA0000, "XMMEA_EP of the event list")
    assert EMOS1.flag_mask({"XMMEA_EM": "(FLAG & 0x1234) == 0"})[0] == 0x1234
    assert EMOS1.flag_mask({"XMMEA_EP": "(FLAG & 0x1) == 0"})[0] == 0x766BA000
    mask, origin = EPN.flag_mask({"XMMEA_EP": "something else"})
    assert mask == 0xCFA0000
    assert "no readable XMMEA_EP" in origin


def test_live_fraction_prefers_the_ccd() -> None:
    header = {"ONTIME": 100.0, "LIVETIME": 90.0, "ONTIME04": 80.0, "LIVETI04": 60.0}
    assert EPN.live_fraction(header, 4) == (0.75, "LIVETI04/ONTIME04")
    assert EPN.live_fraction(header, 5)[0] == 0.9
    assert FPMA.live_fraction({"DEADC": 0.93}, None) == (0.93, "DEADC")
    assert EPN.live_fraction({"ONTIME": 0.0, "LIVETIME": float("nan")}, 1)[0] == 1.0


@pytest.mark.parametrize(("text", "expected"), [
    ("default", ((0, 4),)), ("all", None), ("0:4", ((0, 4),)), ("0,2,3,4,6", ((0, 0), (2, 4), (6, 6))),
    (" 0 : 2, 12 ", ((0, 2), (12, 12))), ("4,0:3", ((0, 4),)),
])  # fmt: skip
def test_patterns(text: str, expected: missions.Ranges | None) -> None:
    assert parse_patterns(text, EPN) == expected


@given(st.sets(st.integers(0, 255), min_size=1, max_size=30))
def test_patterns_hold_exactly_the_numbers_given(numbers: set[int]) -> None:
    ranges = parse_patterns(",".join(map(str, numbers)), EPN)
    assert ranges is not None
    assert {n for low, high in ranges for n in range(low, high + 1)} == numbers
    assert all(b[0] > a[1] + 1 for a, b in itertools.pairwise(ranges))


@pytest.mark.parametrize("text", ["", "0-4", "4:0", "0:999", "single", "1;2", "0:4,"])
def test_odd_patterns_are_refused_by_name(text: str) -> None:
    with pytest.raises(ReductionError) as caught:
        parse_patterns(text, EPN)
    assert caught.value.parameter == "pattern"


def test_missions_without_patterns() -> None:
    assert parse_patterns("default", XTI) is None
    with pytest.raises(ReductionError, match="NICER XTI have no pattern"):
        parse_patterns("0:4", XTI)
