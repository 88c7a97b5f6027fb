"""What scripts leave beside `results/`: declared files are results all the same, the server's own are not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from astropy.io import fits

from provenance import votags
from reduction import shell
from uws_server.execution import gather, products
from uws_server.jobs.definition import Definition, Entry, ResultSpec
from uws_server.jobs.job import Job, ParameterValue, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.files import HELPERS_FILE, OURS


def definition(*files: str) -> Definition:
    results = tuple(ResultSpec(f"r{number}", file, description="declared") for number, file in enumerate(files))
    return Definition("d", "1", "D", Entry("shell", "run.sh"), results=results)


def left(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def test_declared_files_are_taken_to_the_results(tmp_path: Path) -> None:
    for name in ("out.txt", "part_1.txt", "part_2.txt", "notes.txt", ".hidden"):
        (tmp_path / name).write_text(name)
    assert gather.gather(definition("out.txt", "part_*.txt"), tmp_path) == []
    assert left(tmp_path) == [".hidden", "notes.txt", "results/out.txt", "results/part_1.txt", "results/part_2.txt"]


def test_files_of_the_server_links_and_folders_stay(tmp_path: Path) -> None:
    for name in OURS:
        (tmp_path / name).write_text(name)
    (tmp_path / "inputs").mkdir()
    (tmp_path / "link.txt").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    assert gather.gather(definition("*"), tmp_path) == []
    assert not (tmp_path / "results").exists()


def test_what_is_in_results_is_the_result(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results/out.txt").write_text("the result")
    (tmp_path / "out.txt").write_text("another")
    assert gather.gather(definition("out.txt"), tmp_path) == [
        "'out.txt' lies beside results/ and in it; the one in results/ is the result"
    ]
    assert (tmp_path / "results/out.txt").read_text() == "the result"


def test_results_that_cannot_be_taken_are_told(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("no folder")
    (tmp_path / "out.txt").write_text("x")
    (note,) = gather.gather(definition("out.txt"), tmp_path)
    assert note.startswith("'out.txt' cannot be taken to results/")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"results": 3}',
        '{"results": {"a": {"columns": {"path": "/", "headers": 1, "no": "2"}}}}',
        '{"results": {"a": 3, "b": {"description": 4, "columns": [1]}}}',
        "[" * 10**5,
    ],
)
def test_odd_notes_are_no_notes(tmp_path: Path, content: str) -> None:
    (tmp_path / HELPERS_FILE).write_text(content)
    found = gather.noted(tmp_path)
    assert all(each == gather.Noted() for each in found.values())


def test_a_description_that_is_no_utf8_costs_no_other_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script in Latin-1 gives uws-result such bytes; Python hands them on as halves of characters."""
    (tmp_path / "parameters.json").write_text('{"job": {"globs": {}}, "parameters": {}}')
    monkeypatch.chdir(tmp_path)
    for name, description in (("a.txt", b"plain"), ("b.txt", "Größe".encode("latin-1"))):
        (tmp_path / name).write_text("x")
        monkeypatch.setattr("sys.argv", ["uws-result", name, "--description", os.fsdecode(description)])
        shell.result()
    assert gather.noted(tmp_path) == {"a.txt": gather.Noted("plain"), "b.txt": gather.Noted()}


def test_what_a_script_told_of_a_result_is_in_its_record_and_its_tags(tmp_path: Path) -> None:
    fits.HDUList([fits.PrimaryHDU()]).writeto(tmp_path / "out.fits")
    columns = {"dataproduct_type": "image", "t_exptime": 12.5}
    told = {"results": {"out.fits": {"description": "told by the script", "columns": columns}}}
    (tmp_path / HELPERS_FILE).write_text(json.dumps(told))
    job = Job(new_id(), "d", "1", Phase.EXECUTING, utcnow(), 60)
    found = products.collect(job, definition("out.fits"), tmp_path, "http://x/results", utcnow())
    (result,) = found.results
    assert (found.missing, found.notes, result.description) == ((), (), "told by the script")
    tags = votags.read(tmp_path / "results/out.fits")
    assert tags is not None
    assert (tags.row["dataproduct_type"], tags.row["t_exptime"]) == ("image", 12.5)
    assert tags.row["access_url"] == "http://x/results/out.fits"


def test_links_and_pipes_in_the_place_of_inputs_go(tmp_path: Path) -> None:
    """What was put there would be read with the rights of the server; for a pipe it would wait for ever."""
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs/plain.txt").write_text("x")
    (tmp_path / "inputs/link.txt").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "inputs/pipe.txt")
    names = ("plain", "link", "pipe")
    values = {name: ParameterValue(f"{name}.txt", f"inputs/{name}.txt", "upload") for name in names}
    job = Job(new_id(), "d", "1", Phase.EXECUTING, utcnow(), 60, parameters=values)
    found = products.collect(job, definition(), tmp_path, "http://localhost", utcnow())
    assert left(tmp_path / "inputs") == ["plain.txt"]
    assert sum("put a link or a pipe in the place of inputs/" in note for note in found.notes) == 2
    hashes = {use.name: use.sha256 for use in found.used}
    assert (len(hashes["plain"]), hashes["link"], hashes["pipe"]) == (64, "", "")
    (tmp_path / "inputs").chmod(0)
    assert gather.gather(definition(), tmp_path) == []
    (tmp_path / "inputs").chmod(0o700)
