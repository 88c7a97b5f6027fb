"""The tutorials are true, and the commands of other pages run: a test follows each as its reader does."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from checkout import ROOT
from provenance import steps, votags
from provenance.fits.digests import digests
from reduction.simulate import simulate, small
from serving import running_server
from tutorials import Block, blocks_of, reading
from uws_server import client


def test_a_reduction_is_written_as_the_tutorial_says(tmp_path: Path) -> None:
    with reading(tmp_path) as reader:
        reader.follow(blocks_of(ROOT / "docs" / "tutorial-reduction.md"))
        reader.follow([typed("uws-server rerun products/lightcurve.fits --download same")])
    first, second = (digests(tmp_path / folder / "lightcurve.fits") for folder in ("products", "same"))
    assert first.science == second.science
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


def typed(text: str, kind: str = "sh") -> Block:
    """A block that stands in no page."""
    return Block(kind, f"{text.rstrip()}\n", above="", heading="")


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


def test_the_commands_of_the_pages_about_products_and_definitions_run(tmp_path: Path) -> None:
    """Each that stands on a line of its own, and each snippet, on a product of the spectrum job."""
    pages = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("products.md", "definitions.md")]
    commands = [
        each for page in pages for each in re.findall(r"^    (uws-server .+?)(?: {2,}.*)?$", page, re.MULTILINE)
    ]
    snippets = [
        each for page in pages for each in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    ]
    assert (len(commands), len(snippets)) == (8, 2)
    simulate(small(), tmp_path / "archive", cameras=("EPN",))
    with (
        running_server(tmp_path / "data", "--archive", str(tmp_path / "archive")) as server,
        reading(tmp_path) as reader,
    ):
        product = spectrum_of(server.url, tmp_path)
        shutil.copy(product, tmp_path / "copy.fits")
        shutil.copy(product, tmp_path / "spectrum.fits")
        (tmp_path / "steps.json").write_text(steps.dump(votags.read(product).steps), encoding="utf-8")
        stands_for = {"FILE...": "copy.fits", "DIR": "data", "https://example.org/uws": server.url,
                      "http://localhost:8080": server.url}  # fmt: skip
        reader.url = server.url
        for kind, text in [("sh", each) for each in commands] + [("python", each) for each in snippets]:
            for word, meant in stands_for.items():
                text = text.replace(word, meant)
            reader.follow([typed(text, kind)])
    assert reader.output == "b'hello\\n'\n"
    counts = [Table.read(path, hdu="SPECTRUM")["COUNTS"].sum() for path in (product, tmp_path / "new" / product.name)]
    assert counts[0] > counts[1] > 0


def spectrum_of(url: str, folder: Path) -> Path:
    """Have a server make the spectrum of the simulated source; returns the file, with its tags."""
    values = {"eventlist": "P0999990101PNS003PIEVLI0000", "source_region": 'icrs; circle(148.974, 69.6512, 40")'}
    final = client.follow(client.create(f"{url}/rest/spectrum", values), lambda state: None)
    return client.download(next(each for each in final.results if each.name == "source_spectrum"), folder)
