"""The tutorials are true: a test follows each as its reader does, and sees what it shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from checkout import ROOT
from tutorials import blocks_of, reading


def test_a_reduction_is_written_as_the_tutorial_says(tmp_path: Path) -> None:
    with reading(tmp_path) as reader:
        reader.follow(blocks_of(ROOT / "docs" / "tutorial-reduction.md"))
    with fits.open(tmp_path / "archive" / "P0999990101PNS003PIEVLI0000.FITS") as hdus:
        expected = hard_times(hdus["EVENTS"])
    curve = Table.read(tmp_path / "harder" / "lightcurve.fits", hdu="RATE")
    good = Table.read(tmp_path / "harder" / "lightcurve.fits", hdu="GTI")
    length = curve.meta["TIMEDEL"]
    live = curve.meta["EXPOSURE"] / np.sum(good["STOP"] - good["START"])
    for time, rate, share in zip(curve["TIME"], curve["RATE"], curve["FRACEXP"], strict=True):
        overlaps = [min(time + length, stop) - max(time, start) for start, stop in good.iterrows()]
        assert share == pytest.approx(live * sum(each for each in overlaps if each > 0) / length, abs=1e-6)
        counts = np.count_nonzero((expected >= time) & (expected < time + length))
        assert rate * share * length == pytest.approx(counts, abs=0.01)


def hard_times(events: fits.BinTableHDU) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The times of the events in the tutorial's circle from 2 to 10 keV, found with astropy alone."""
    wcs = WCS(naxis=2)
    for card, name in (("CRPX", "crpix"), ("CRVL", "crval"), ("CDLT", "cdelt"), ("CTYP", "ctype")):
        setattr(wcs.wcs, name, [events.header[f"REF{axis}{card}"] for axis in "XY"])
    ra, dec = wcs.wcs_pix2world(events.data["X"], events.data["Y"], 1)
    sky = SkyCoord(ra, dec, unit="deg", frame="fk5")
    near = sky.separation(SkyCoord(148.974, 69.6512, unit="deg")).arcsec <= 40
    usual = (events.data["PATTERN"] <= 4) & (events.data["FLAG"] & 0xCFA0000 == 0)
    hard = (events.data["PI"] >= 2000) & (events.data["PI"] <= 10_000)
    return np.asarray(events.data["TIME"][near & usual & hard])


def test_a_spectrum_is_made_as_the_tutorial_says(tmp_path: Path) -> None:
    """All of it but what is done in a browser and in TOPCAT, which tests/e2e/test_topcat.py does."""
    with reading(tmp_path) as reader:
        reader.follow(blocks_of(ROOT / "docs" / "tutorial-spectrum.md"))
    with fits.open(tmp_path / "archive" / "P0999990101PNS003PIEVLI0000.FITS") as hdus:
        expected = hard_times(hdus["EVENTS"])
    counts = Table.read(tmp_path / "hard" / "source_spectrum.fits", hdu="SPECTRUM")["COUNTS"]
    assert counts.sum() == len(expected)
