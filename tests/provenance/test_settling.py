"""What is written reaches the disk at once, or once each at the end of a block: seen by what the system is asked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from provenance import votags
from provenance.fits import settling
from provenance.fits.atomic import write_bytes

Synced = list[tuple[Path, int]]


@pytest.fixture
def synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Synced:
    """The files that the system was asked to bring to the disk, with the bytes that they had then (the folder: 0)."""
    seen: Synced = []
    really: Callable[[int], None] = os.fsync

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_relative_to(tmp_path):
            seen.append((path, os.fstat(descriptor).st_size if path.is_file() else 0))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


def product(path: Path) -> None:
    """Write an image and tag it twice, as a script and the server do."""
    fits.PrimaryHDU(np.zeros((10, 10))).writeto(path)
    for note in ("first", "second"):
        votags.write(path, {"obs_id": note, "calib_level": 2}, ())


def test_a_file_is_on_the_disk_as_soon_as_it_is_written(tmp_path: Path, synced: Synced) -> None:
    write_bytes(tmp_path / "a.txt", b"abc")
    assert [(path.name[:6], size) for path, size in synced[:-1]] == [(".a.txt", 3)]
    assert synced[-1] == (tmp_path, 0)
    synced.clear()
    product(tmp_path / "b.fits")
    assert len(synced) >= 2
    assert synced[-1][0] == tmp_path or synced[-1] == (tmp_path / "b.fits", (tmp_path / "b.fits").stat().st_size)


def test_what_is_written_in_a_block_is_brought_to_the_disk_once_as_it_is_in_the_end(
    tmp_path: Path, synced: Synced
) -> None:
    names = [f"{number}.fits" for number in range(12)]
    with settling.together():
        for name in names:
            product(tmp_path / name)
        write_bytes(tmp_path / "steps.json", b"{}")
        write_bytes(tmp_path / "gone.txt", b"gone")
        (tmp_path / "gone.txt").unlink()
        assert synced == []
    there = [(path, path.stat().st_size) for path in tmp_path.iterdir()]
    assert sorted(synced) == sorted([*there, (tmp_path, 0)])
    write_bytes(tmp_path / "later.txt", b"later")
    assert len(synced) == len(there) + 3, "behind the block a file is synced at once, and its folder"


def test_after_an_error_nothing_is_waited_for(tmp_path: Path, synced: Synced) -> None:
    with pytest.raises(KeyError), settling.together():
        write_bytes(tmp_path / "a.txt", b"abc")
        raise KeyError
    assert synced == []
    assert (tmp_path / "a.txt").read_bytes() == b"abc"


def test_a_file_that_does_not_reach_the_disk_is_an_error_of_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"), settling.together():
        write_bytes(tmp_path / "a.txt", b"abc")
