"""The folded curves of forms: spectra are kept under keys while there is room, and what is too large is refused."""

from __future__ import annotations

import gzip
import threading
from pathlib import Path

import pytest

import fitfiles
from reduction.fitting.inputs import GivenFile
from uws_server.errors import InvalidParameters, NotFound, Unavailable
from uws_server.services import fit_preview
from uws_server.services.fit_preview import Asked, FitPreviews

ASKED = Asked("powerlaw")


def given(folder: Path, name: str = "source") -> dict[str, list[GivenFile]]:
    files = fitfiles.write(folder, name=name)
    return {key: [GivenFile(path.name, path)] for key, path in files.given.items()}


def test_the_same_files_have_the_same_key_and_others_another(tmp_path: Path) -> None:
    previews, files = FitPreviews(), given(tmp_path)
    key = previews.open(files)
    assert previews.open(files) == key
    assert previews.open(given(tmp_path, "other")) != key
    assert FitPreviews().open(files) != key, "nobody can guess a key from what the files are"
    files["spectrum"][0].path.touch()
    assert previews.open(files) != key, "a file that was changed is read anew"


def test_what_was_asked_for_longest_ago_is_forgotten(tmp_path: Path) -> None:
    previews = FitPreviews(room_bytes=1)
    first, second = previews.open(given(tmp_path, "a")), previews.open(given(tmp_path, "b"))
    assert previews.fold(second, ASKED).size
    with pytest.raises(NotFound):
        previews.fold(first, ASKED)


def test_files_that_are_too_large_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that are small only until they are inflated."""
    files = given(tmp_path)
    packed = tmp_path / "large.rmf.gz"
    packed.write_bytes(gzip.compress(files["response"][0].path.read_bytes() + bytes(5_000_000)))
    monkeypatch.setattr(fit_preview, "MOST_BYTES", 1_000_000)
    with pytest.raises(InvalidParameters, match="more than 1 MB when it is inflated"):
        FitPreviews().open({**files, "response": [GivenFile("large.rmf.gz", packed)]})
    monkeypatch.setattr(fit_preview, "MOST_BYTES", 1000)
    with pytest.raises(InvalidParameters, match="a preview takes"):
        FitPreviews().open(files)


def test_a_table_of_endless_lines_is_refused_at_once(tmp_path: Path) -> None:
    previews = FitPreviews()
    key = previews.open(given(tmp_path))
    for text in ("powerlaw.norm = " + "1" * 2_000_000, "\n" * 10_000):
        with pytest.raises(InvalidParameters, match="at most 1000 lines"):
            previews.fold(key, Asked("powerlaw", text))


def test_who_waits_too_long_for_others_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_preview, "_WAIT_S", 0.01)
    previews, files = FitPreviews(), given(tmp_path)
    go, at_work = threading.Event(), threading.Barrier(3)

    def work() -> None:
        with previews._turn():
            at_work.wait()
            go.wait()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    at_work.wait()
    with pytest.raises(Unavailable):
        previews.open(files)
    go.set()
    for thread in threads:
        thread.join()
    assert previews.open(files)
