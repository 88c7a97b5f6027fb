"""What is remembered of files that were read once: while they are as they were, and no longer than that."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from uws_server.execution.hashes import Hashes


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Some files, each of another content."""
    paths = [tmp_path / f"{number}.txt" for number in range(20)]
    for path in paths:
        path.write_text(f"content of {path.name}")
    return paths


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def kept(data: Path) -> int:
    return sum(path.is_file() for path in (data / "hashes").rglob("*"))


def test_what_was_read_once_is_found_by_what_it_holds(tmp_path: Path, files: list[Path]) -> None:
    hashes = Hashes(tmp_path / "data")
    for path in files:
        assert hashes.known(path) is None
        assert hashes.of(path).whole == sha256(path)
        assert Hashes(tmp_path / "data").known(path) == hashes.of(path), "another server knows it, too"
        assert hashes.find(sha256(path)) == path


def test_files_that_are_gone_or_were_changed_are_forgotten(tmp_path: Path, files: list[Path]) -> None:
    hashes = Hashes(tmp_path / "data")
    gone, changed, *same = files
    before = sha256(changed)
    for path in files:
        hashes.of(path)
    gone.unlink()
    changed.write_text("something else")
    hashes.of(changed)
    assert kept(tmp_path / "data") == 2 * len(files) + 1  # the changed file under both its contents
    assert sum(hashes.sweep() for _ in range(256)) == 3
    assert kept(tmp_path / "data") == 2 * (len(files) - 1)
    assert hashes.find(before) is None
    assert all(hashes.find(sha256(path)) == path for path in (changed, *same))
    assert sum(hashes.sweep() for _ in range(256)) == 0
