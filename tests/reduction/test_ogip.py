"""Keywords of a spectrum, by what OGIP/92-007 wants of a file with and without columns of grouping and quality."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy.io import fits

from reduction.events import dss
from reduction.events.eventlist import open_eventlist
from reduction.events.selection import choose
from reduction.spectra.ogip import write_spectrum
from reduction.spectra.spectrum import extract
from synthetic import Epic, write


@pytest.fixture(scope="module")
def pn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pn") / "pn.fits"
    write(path, Epic(rows=2000))
    return path


def written(path: Path, target: Path, minimum: int = 0, **words: float) -> fits.Header:
    """The header of a spectrum of all events; grouped where a minimum is given."""
    with open_eventlist(path) as events:
        selection = choose(events, "0.5 7")
        (spectrum,) = extract(events, selection, {"source_region": None}).values()
        if minimum:
            spectrum = spectrum.grouped_by_counts(minimum, selection.energy_kev)
        write_spectrum(target, spectrum, events, dss.describe(events, selection, None), **words)  # type: ignore[arg-type]
    return fits.getheader(target, "SPECTRUM")


def test_a_spectrum_says_grouping_and_quality_once(pn: Path, tmp_path: Path) -> None:
    """By keywords, where all channels are good and single, else by columns; never by both."""
    plain = written(pn, tmp_path / "plain.fits")
    assert (plain["QUALITY"], plain["GROUPING"]) == (0, 0)
    assert fits.getdata(tmp_path / "plain.fits", "SPECTRUM").names == ["CHANNEL", "COUNTS"]
    grouped = written(pn, tmp_path / "grouped.fits", 20)
    assert {"QUALITY", "GROUPING"}.isdisjoint(grouped)
    assert fits.getdata(tmp_path / "grouped.fits", "SPECTRUM").names == ["CHANNEL", "COUNTS", "GROUPING", "QUALITY"]


def test_channels_are_told_to_be_bins_only_where_they_are(pn: Path, shared: Path, tmp_path: Path) -> None:
    """A channel of pn holds the five PI from 0 to 4, whose middle is 2; Chandra and NuSTAR have a channel a PI."""
    header = written(pn, tmp_path / "pn.pha")
    assert (header["SPECDELT"], header["SPECPIX"], header["SPECVAL"]) == (5, 0, 2.0)
    for name, first in (("chandra_m82/acis_10027_events.fits", 1), ("nustar_b1937/dummy_evt.evt", 0)):
        other = written(shared / "real" / name, tmp_path / "other.pha")
        assert {"SPECDELT", "SPECPIX", "SPECVAL"}.isdisjoint(other)
        assert other["TLMIN1"] == fits.getdata(tmp_path / "other.pha", "SPECTRUM")["CHANNEL"][0] == first


@pytest.mark.parametrize(("shared_area", "kept"), [(0.0, None), (0.12346, 0.1235), (1.0, 1.0)])
def test_a_shared_area_is_written_where_there_is_one(
    pn: Path, tmp_path: Path, shared_area: float, kept: float | None
) -> None:
    assert written(pn, tmp_path / "s.fits", shared_area=shared_area).get("BKGSHARE") == kept
