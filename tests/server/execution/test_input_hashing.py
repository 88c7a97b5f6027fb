"""Files of the archive are hashed once: what their later jobs record is told to them, and true after any change."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from joblab import Lab, Remote
from processes import until
from provenance import steps
from uws_server.execution.hashes import Hashes
from uwsjobs import define

COPY = """
from reduction import task

def main(job):
    for number, path in enumerate(job.paths("tables")):
        job.output(f"copy{number}.txt", "a copy").write_bytes(path.read_bytes())

task.run(main, stages=1)
"""
TABLES = {"name": "tables", "type": "file", "max_values": 10}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    root = tmp_path_factory.mktemp("lab")
    made = Lab(root, "")
    define(made.definitions, "copy", COPY, "python", parameters=[TABLES])
    define(made.definitions, "shell", "wc -c $UWS_PARAM_tables", parameters=[TABLES])
    define(made.definitions, "each", COPY, "python", parameters=[TABLES | {"spread": True, "required": True}])
    (root / "archive").mkdir()
    with made.serving(archive=root / "archive"):
        yield made
    made.close()


def archived(lab: Lab, *names: str) -> list[Path]:
    """New files in the archive."""
    paths = [lab.root / "archive" / name for name in names]
    for path in paths:
        path.write_text(f"content of {path.name}")
    return paths


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def used(lab: Lab, name: str, *paths: Path) -> Remote:
    """A job that has used these files."""
    job = lab.create(name, PHASE="RUN", tables=[path.name for path in paths])
    assert job.ended() == "COMPLETED", job.document()
    return job


def told(folder: Path) -> Any:
    """What a script was told of the hashes of its files, whole ones only."""
    entry = json.loads((folder / "parameters.json").read_text())["parameters"]["tables"]
    known = entry.get("hashes") or []
    return [each and each["whole"] for each in (known if isinstance(known, list) else [known])]


def recorded(lab: Lab, job: Remote) -> list[str]:
    """The hashes of the inputs in the steps of a job, each once."""
    found = steps.read(lab.folder(job) / "steps.json")
    inputs = [arg for step in found for arg in step.args if isinstance(arg, steps.InputData)]
    return list(dict.fromkeys(str(arg.extra["sha256"]) for arg in inputs))


def test_a_file_that_is_used_again_is_hashed_and_its_later_jobs_are_told(lab: Lab) -> None:
    again, once = archived(lab, "again.txt", "once.txt")
    hashes = Hashes(lab.data)
    jobs = [used(lab, "copy", again, once), used(lab, "copy", again)]
    until(lambda: hashes.known(again), 300, "the file that is used again is hashed")
    assert hashes.known(once) is None, "it was looked at before, and not read for nothing"
    jobs.append(used(lab, "copy", again, once))
    assert [told(lab.folder(job)) for job in jobs] == [[], [], [sha256(again), None]]
    assert [recorded(lab, job) for job in jobs] == [
        [sha256(again), sha256(once)], [sha256(again)], [sha256(again), sha256(once)]]  # fmt: skip


@pytest.mark.parametrize("name", ["copy", "shell"])
def test_a_file_that_was_changed_since_is_recorded_as_it_is_whatever_its_time_says(lab: Lab, name: str) -> None:
    (path,) = archived(lab, f"{name}.txt")
    assert Hashes(lab.data).of(path).whole == sha256(path)
    assert recorded(lab, used(lab, name, path)) == [sha256(path)]
    times = path.stat()
    path.write_text(path.read_text().upper())
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    assert recorded(lab, used(lab, name, path)) == [sha256(path)]


def test_each_part_is_told_of_its_own_file(lab: Lab) -> None:
    known, unknown, third = archived(lab, "known.txt", "unknown.txt", "third.txt")
    for path in (known, third):
        Hashes(lab.data).of(path)
    job = used(lab, "each", unknown, known, third)
    parts = [lab.folder(job) / f"parts/{number:04d}" for number in (1, 2, 3)]
    assert [told(part) for part in parts] == [[], [sha256(known)], [sha256(third)]]
    assert sorted(recorded(lab, job)) == sorted(map(sha256, (known, unknown, third)))


def test_a_script_of_a_shell_definition_is_hashed_for_once(lab: Lab) -> None:
    (path,) = archived(lab, "shell-only.txt")
    job = used(lab, "shell", path)
    assert recorded(lab, job) == [sha256(path)]
    assert Hashes(lab.data).known(path), "the server took it itself, so it is kept at once"
