"""The index of an archive: files that come, change and go, broken ones, the exposures that see a region."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from astropy.coordinates import SkyCoord
from mocpy import MOC

import fitfiles
from reduction import regions
from synthetic import Epic, write
from uws_server.errors import ConfigurationError
from uws_server.services.archive_files import product_of
from uws_server.services.archive_index import FILE, ArchiveIndex, Report
from uws_server.services.search_region import search_region
from uws_server.storage.archive_rows import ArchiveRows
from uws_server.storage.jobstore import JobStore

CENTRE = "Circle ICRS 150 2 0.02"
"""Where the synthetic lists look."""


def cells(region: str) -> MOC:
    return search_region(regions.parse(region)).cells


@dataclass
class Lab:
    """An archive with two lists of one observation, its rows, and its index."""

    folder: Path
    rows: ArchiveRows
    index: ArchiveIndex

    def update(self, below: Path | None = None) -> Report:
        return self.index.update(below or self.folder, lambda *_: None)

    def found(self, region: str = CENTRE) -> list[str]:
        return [row["source"] for _, row in self.index.seeing(cells(region))]


@pytest.fixture
def lab(database_url: str, tmp_path: Path) -> Iterator[Lab]:
    store = JobStore(database_url)
    folder = tmp_path / "archive"
    (folder / "0123456789").mkdir(parents=True)
    write(folder / "0123456789" / "pn.fits", Epic(rows=20_000))
    write(folder / "lost.fits", Epic(rows=100, sky=False))
    rows = ArchiveRows(store.engine)
    yield Lab(folder, rows, ArchiveIndex(rows, folder, tmp_path))
    store.close()


def test_files_are_described_once_and_again_when_they_change(lab: Lab) -> None:
    first = lab.update()
    assert (first.found, first.added, first.changed, first.removed) == (2, 2, 0, 0)
    assert lab.found() == ["0123456789/pn.fits"]
    keys = {row["source"]: row["key"] for row in lab.rows.page("events")}
    again = lab.update()
    assert (again.found, again.added, again.changed, again.removed) == (2, 0, 0, 0)
    (lab.folder / "lost.fits").unlink()
    write(lab.folder / "lost.fits", Epic(rows=200, sky=False, cards=(("RA_PNT", 150.0), ("DEC_PNT", 2.1))))
    write(lab.folder / "new.fits", Epic(rows=20_000, seed=9))
    changed = lab.update()
    assert (changed.added, changed.changed, changed.removed) == (1, 1, 0)
    assert lab.found() == ["0123456789/pn.fits", "lost.fits", "new.fits"]
    assert keys.items() <= {row["source"]: row["key"] for row in lab.rows.page("events")}.items()


def test_files_that_are_gone_are_forgotten_but_only_below_the_folder_that_was_looked_at(lab: Lab) -> None:
    lab.update()
    (lab.folder / "lost.fits").unlink()
    shutil.rmtree(lab.folder / "0123456789")
    (lab.folder / "0123456789").mkdir()
    assert lab.update(lab.folder / "0123456789").removed == 1
    assert [row["source"] for row in lab.rows.page("events")] == ["lost.fits"]
    assert lab.found() == []
    assert lab.update().removed == 1


def test_what_is_known_of_an_exposure_is_what_its_header_says(lab: Lab) -> None:
    lab.update()
    row = next(row for row in lab.rows.page("events") if row["source"] == "0123456789/pn.fits")
    assert (row["obs_id"], row["instrument"], row["exposure"]) == ("0123456789", "EPN", "S003")
    assert (row["filter"], row["mode"], row["target"]) == ("Medium", "PrimeFullWindow", "SYNTHETIC")
    assert row["t_max"] - row["t_min"] == pytest.approx(10000 / 86400, rel=0.01)
    assert row["ra"] == pytest.approx(150, abs=0.01) and row["dec"] == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize(
    ("spoil", "note"),
    [
        (lambda path: path.write_bytes(b"no FITS at all"), "no FITS file"),
        (lambda path: path.write_bytes(path.read_bytes()[:40_000]), "truncated|ends"),
        (lambda path: path.write_bytes(b""), "no FITS file|empty"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_and_no_exposure(
    lab: Lab, spoil: Callable[[Path], object], note: str
) -> None:
    path = lab.folder / "0123456789" / "pn.fits"
    spoil(path)
    report = lab.update()
    assert "0123456789/pn.fits" in report.notes
    assert lab.found() == []
    assert re.search(note, report.notes["0123456789/pn.fits"], re.IGNORECASE)
    assert str(lab.folder) not in report.notes["0123456789/pn.fits"]


def test_links_that_lead_out_of_the_archive_are_left_out(lab: Lab, tmp_path: Path) -> None:
    write(tmp_path / "outside.fits", Epic(rows=20_000))
    (lab.folder / "link.fits").symlink_to(tmp_path / "outside.fits")
    (lab.folder / "nowhere.fits").symlink_to(tmp_path / "absent.fits")
    assert lab.update().found == 2
    with pytest.raises(ConfigurationError, match="is not in the folder of the archive"):
        lab.update(tmp_path)


def test_footprints_that_are_gone_or_of_another_version_are_made_again(lab: Lab, tmp_path: Path) -> None:
    lab.update()
    expected = lab.found()
    (tmp_path / FILE).unlink()
    assert ArchiveIndex(lab.rows, lab.folder, tmp_path).seeing(cells(CENTRE))
    (tmp_path / FILE).write_bytes(b"UWSFOOT\0" + b"\xff" * 100)
    fresh = ArchiveIndex(lab.rows, lab.folder, tmp_path)
    assert [row["source"] for _, row in fresh.seeing(cells(CENTRE))] == expected
    write(lab.folder / "new.fits", Epic(rows=20_000, seed=9))
    ArchiveIndex(lab.rows, lab.folder, tmp_path).update(lab.folder, lambda *_: None, processes=2)
    assert lab.found() == [*expected, "new.fits"]
    assert "new.fits" in [row["source"] for _, row in fresh.seeing(cells(CENTRE))]


KILLED = """
import os, signal, sys
from pathlib import Path
from uws_server.services.archive_index import ArchiveIndex
from uws_server.storage.archive_rows import ArchiveRows
from uws_server.storage.jobstore import JobStore

def progress(done, count, name):
    if done == 55:
        os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[2])
ArchiveIndex(ArchiveRows(JobStore(sys.argv[1]).engine), folder, folder.parent).update(folder, progress)
"""


def test_what_a_killed_run_has_stored_is_found_after_the_next(lab: Lab, database_url: str) -> None:
    """Its rows are there, and unchanged since; the file of footprints knows nothing of them."""
    lab.update()
    for number in range(60):
        shutil.copy(lab.folder / "0123456789" / "pn.fits", lab.folder / f"{number:02}.fits")
    done = subprocess.run([sys.executable, "-c", KILLED, database_url, str(lab.folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    stored = {row["source"] for row in lab.rows.page("events")}
    assert len(stored) == 2 + 50 and lab.found() == ["0123456789/pn.fits"]
    for source in {f"{number:02}.fits" for number in range(60)} - stored:
        (lab.folder / source).unlink()
    again = lab.update()
    assert (again.added, again.changed, again.removed) == (0, 0, 0)
    assert set(lab.found()) == stored - {"lost.fits"}


def test_progress_names_every_file_that_is_read(lab: Lab) -> None:
    seen: list[tuple[int, int, str]] = []
    lab.index.update(lab.folder, lambda *each: seen.append(each))
    assert seen == [(0, 2, "0123456789/pn.fits"), (1, 2, "lost.fits")]


def test_the_coverage_follows_the_footprints_and_is_found_once(lab: Lab) -> None:
    lab.update()
    first = lab.index.coverage()
    assert lab.index.coverage() is first
    write(lab.folder / "north.fits", Epic(rows=100, sky=False, cards=(("RA_PNT", 10.0), ("DEC_PNT", 80.0))))
    lab.update()
    north = SkyCoord(10, 80, unit="deg")
    assert not first.contains_skycoords(north) and lab.index.coverage().contains_skycoords(north)


def test_two_lists_of_one_exposure_are_two_rows(lab: Lab) -> None:
    shutil.copy(lab.folder / "0123456789" / "pn.fits", lab.folder / "again.fits")
    lab.update()
    assert lab.found() == ["0123456789/pn.fits", "again.fits"]
    (lab.folder / "again.fits").unlink()
    lab.update()
    assert lab.found() == ["0123456789/pn.fits"]


def test_files_that_vanish_while_they_are_read_are_passed_over(lab: Lab) -> None:
    """Progress is told before a file is read: then the next ones go, a folder as a whole."""

    def spoil(number: int, _total: int, _source: str) -> None:
        if number == 0:
            (lab.folder / "lost.fits").unlink()
            shutil.rmtree(lab.folder / "z")

    (lab.folder / "z").mkdir()
    for name in ("one", "two"):
        write(lab.folder / "z" / f"{name}.fits", Epic(rows=200))
    report = lab.index.update(lab.folder, spoil)
    assert (report.added, lab.found()) == (1, ["0123456789/pn.fits"])
    assert {row["source"] for row in lab.rows.page("events")} == {"0123456789/pn.fits"}
    assert lab.update().found == 1


def test_a_header_without_pointing_is_told(lab: Lab) -> None:
    report = lab.update()
    assert report.notes == {"lost.fits": "no pointing and no positions: no region finds it"}


def test_an_index_of_another_version_is_made_again_and_told(
    lab: Lab, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lab.update()
    content = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content[:8] + b"\x63" + content[9:])
    assert ArchiveIndex(lab.rows, lab.folder, tmp_path).seeing(cells(CENTRE))
    assert "made anew" in caplog.text and "version 99" in caplog.text
    assert (tmp_path / FILE).read_bytes() == content


def test_spectra_and_responses_are_products_with_rows_of_obscore(lab: Lab, tmp_path: Path) -> None:
    files = fitfiles.write(lab.folder)
    packed = lab.folder / "packed.arf.gz"
    packed.write_bytes(gzip.compress(files.area.read_bytes()))
    assert lab.update().found == 7
    found = {row["source"]: product_of(row) for row in lab.rows.page("product")}
    assert {source: (one.dataproduct_type, one.words) for source, one in found.items()} == {
        files.spectrum.name: ("spectrum", "spectrum"),
        files.background.name: ("spectrum", "background spectrum"),
        files.response.name: ("measurements", "response matrix"),
        files.area.name: ("measurements", "ancillary response"),
        packed.name: ("measurements", "ancillary response"),
    }
    spectrum = json.loads(found[files.spectrum.name].row["row"])
    assert spectrum["obs_id"] == "0999990101" and spectrum["instrument_name"] == "EPN"
