"""Channels of another width: against histograms of PI and the keywords of a real MOS spectrum of 15 eV."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from provenance.fits import digests
from reduction.events.eventlist import open_eventlist
from reduction.simulate import simulate, small
from scriptjobs import prepare, run

REGION = "physical; circle(25921,25921,4000)"
OF_CHANNELS = ("DETCHANS", "SPECDELT", "SPECPIX", "SPECVAL", "TLMIN1", "TLMAX1", "CHANTYPE")


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("simulated")
    simulate(small(), folder, cameras=("EPN", "EMOS1"))
    found = {}
    for path in sorted(folder.glob("*.[fF]*")):
        with open_eventlist(path) as events:
            found[events.mission.instruments[0]] = path
    return found


def test_mos_at_15_ev_has_the_channels_of_a_spectrum_of_the_sas(
    lists: dict[str, Path], shared: Path, tmp_path: Path
) -> None:
    folder = prepare(tmp_path / "job", eventlist=lists["EMOS1"], source_region=REGION, channel_width=15)
    assert run(folder).returncode == 0
    sas = fits.getheader(shared / "real/xmm_psrj0855/xmm_mos1_0605960101_src.pha", "SPECTRUM")
    with fits.open(folder / "results/source_spectrum.fits") as made:
        header, table = made["SPECTRUM"].header, made["SPECTRUM"].data
        assert {key: header[key] for key in OF_CHANNELS} == {key: sas[key] for key in OF_CHANNELS}
        assert np.array_equal(table["CHANNEL"], np.arange(800))
        selected = fits.getdata(folder / "results/events.fits", "EVENTS")["PI"]
        assert np.array_equal(table["COUNTS"], np.histogram(selected, 15 * np.arange(801))[0])
        assert table["COUNTS"].sum() > 1000
        # channels whose middle lies within 0.2 to 12 keV are good: 15 eV * 13 + 7.5 eV is the first
        assert np.array_equal(np.flatnonzero(table["QUALITY"] != 1), np.arange(13, 800))


def test_channels_of_15_ev_are_three_of_5_ev(lists: dict[str, Path], tmp_path: Path) -> None:
    counts = {}
    for width in (5, 15):
        folder = prepare(tmp_path / str(width), eventlist=lists["EMOS1"], source_region=REGION, channel_width=width)
        assert run(folder).returncode == 0
        counts[width] = fits.getdata(folder / "results/source_spectrum.fits", "SPECTRUM")["COUNTS"]
    assert np.array_equal(counts[15], counts[5].reshape(-1, 3).sum(axis=1))


@pytest.mark.parametrize("grouping", ["mincounts", "optimal", "none"])
def test_the_usual_width_is_what_a_job_without_the_parameter_has(
    lists: dict[str, Path], tmp_path: Path, grouping: str
) -> None:
    """To the byte: jobs made before there was such a parameter are run again as they were."""
    science = []
    for name, more in (("absent", {}), ("empty", {"channel_width": None}), ("five", {"channel_width": 5})):
        folder = prepare(tmp_path / name, eventlist=lists["EPN"], source_region=REGION, grouping=grouping, **more)
        assert run(folder).returncode == 0
        science.append(digests.digests(folder / "results/source_spectrum.fits").science)
    assert science[0] == science[1] == science[2]
    assert len(science[0]) == len(hashlib.sha256().hexdigest())


@pytest.mark.parametrize(
    ("camera", "width", "words"),
    [
        ("EPN", 15, "15 eV is no channel width of XMM-Newton EPIC pn; its responses have 5 eV"),
        ("EMOS1", 10, "10 eV is no channel width of XMM-Newton EPIC MOS1; its responses have 5 or 15 eV"),
    ],
)
def test_a_width_that_no_response_has_is_refused(
    lists: dict[str, Path], tmp_path: Path, camera: str, width: int, words: str
) -> None:
    done = run(prepare(tmp_path / "job", eventlist=lists[camera], source_region=REGION, channel_width=width))
    assert done.returncode == 1
    assert f"[ERROR] channel_width: {words}" in done.stderr


def test_other_missions_have_one_width(shared: Path, tmp_path: Path) -> None:
    path = shared / "real/nicer/ngc300nicer_bary.evt"
    done = run(prepare(tmp_path / "job", eventlist=path, channel_width=5))
    assert "[ERROR] channel_width: the channels of NICER XTI are those of its PI column" in done.stderr
