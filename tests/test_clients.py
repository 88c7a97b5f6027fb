"""The recipes of docs/clients.md, each run exactly as it is printed, beside a server of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from astropy.io import fits

from checkout import ROOT
from tutorials import blocks_of, reading


def test_the_recipes_for_other_programs_run_as_they_are_printed(tmp_path: Path) -> None:
    for program in ("curl", "stilts"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program}: apt-get install {program}")
    with reading(tmp_path) as reader:
        reader.follow(blocks_of(ROOT / "docs" / "clients.md"))
        assert "source_region: " in reader.output, "a refusal comes in the words of the server"
    counts = fits.getdata(tmp_path / "source_spectrum.fits", "SPECTRUM")["COUNTS"].sum()
    assert counts == fits.getheader(tmp_path / "events.fits", "EVENTS")["NAXIS2"]
    assert fits.getdata(tmp_path / "lightcurve.fits", "RATE")["RATE"].sum() > 0
