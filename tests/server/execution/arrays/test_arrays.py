"""Jobs that are spread over a parameter: their parts on a real server, their results, failures and last scripts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from joblab import Lab, Remote, define

SPREAD = {"name": "word", "type": "string", "max_values": 1000, "required": True, "spread": True}
RESULT = {"name": "out", "file": "out.txt", "mime": "text/plain"}
MERGED = {"name": "all", "file": "all.txt", "mime": "text/plain", "gathered": True}

WORK = """
import json, sys
from pathlib import Path

document = json.loads(Path("parameters.json").read_text(encoding="utf-8"))
word = document["parameters"]["word"]["value"]
print("[STAGE 1/2] Looking at", word, flush=True)
if word == "bad":
    sys.exit(f"[ERROR] word: {word} came")
if word == "empty":
    sys.exit(3)
if word == "nothing":
    sys.exit(0)
Path("results/out.txt").write_text(word + "\\n", encoding="utf-8")
"""
MERGE = """
import json, sys
from pathlib import Path

parts = json.loads(Path("parts.json").read_text(encoding="utf-8"))["parts"]
words = [Path(path).read_text(encoding="utf-8").strip() for part in parts for path in part["results"]]
if "cursed" in words:
    sys.exit("[ERROR] cursed came")
given = json.loads(Path("parameters.json").read_text(encoding="utf-8"))["parameters"]["parts"]["value"]
assert given == [path for part in parts for path in part["results"]]
phases = [part["phase"] for part in parts]
Path("results/all.txt").write_text(f"{words} {phases}\\n", encoding="utf-8")
"""
STATUSES = {"statuses": {"3": "no counts"}}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("arrays"), module_database_url)
    define(made.definitions, "words", WORK, "python", parameters=[SPREAD], results=[RESULT], control=STATUSES)
    place = define(
        made.definitions, "merged", WORK, "python", parameters=[SPREAD], results=[RESULT, MERGED], control=STATUSES,
        gather="merge.py",
    )  # fmt: skip
    (place / "merge.py").write_text(MERGE, encoding="utf-8")
    define(
        made.definitions, "shell", 'cat "$file" > out.txt; echo "$word $UWS_PART"', results=[RESULT],
        parameters=[{**SPREAD, "name": "file", "type": "file"}, {"name": "word", "type": "string", "default": "x"}],
    )  # fmt: skip
    with made.serving():
        yield made
    made.close()


def run(lab: Lab, name: str, **form: Any) -> Remote:
    return lab.create(name, PHASE="RUN", **form)


def warning(document: Any) -> str | None:
    text: str | None = document.findtext(".//{urn:uws-server:progress}warning")
    return text


def test_each_value_has_a_part_and_each_part_its_results(lab: Lab) -> None:
    job = run(lab, "words", word=["one", "two", "three"])
    assert job.ended() == "COMPLETED"
    assert warning(job.document()) is None
    assert list(job.results()) == ["out_part1", "out_part2", "out_part3", "log"]
    texts = [lab.session.get(f"{job.url}/results/out_part{number}", timeout=300).text for number in (1, 2, 3)]
    assert texts == ["one\n", "two\n", "three\n"]
    log = lab.session.get(f"{job.url}/results/log", timeout=300).text
    assert "[STAGE 3/3] 3 of 3 parts have ended" in log
    assert job.processes() == []


def test_a_part_that_fails_stops_no_other(lab: Lab) -> None:
    job = run(lab, "words", word=["one", "bad", "nothing", "two", "empty"])
    assert job.ended() == "COMPLETED"
    assert warning(job.document()) == "2 of 5 parts failed; 1 of 5 parts: no counts"
    assert list(job.results()) == ["out_part1", "out_part4", "log"]
    log = lab.session.get(f"{job.url}/results/log", timeout=300).text
    assert "[WARNING] part 2 (bad): word: bad came" in log
    assert "[WARNING] part 3 (nothing): the script ended well but left no out.txt" in log


def test_a_job_whose_parts_all_fail_is_an_error(lab: Lab) -> None:
    job = run(lab, "words", word=["bad", "nothing"])
    assert job.ended() == "ERROR"
    assert job.text("message") == "none of the 2 parts succeeded; part 1: word: bad came"


def test_one_value_has_no_parts_where_nothing_gathers_them(lab: Lab) -> None:
    job = run(lab, "words", word="one")
    assert job.ended() == "COMPLETED"
    assert list(job.results()) == ["out", "log"]
    failed = run(lab, "words", word="bad")
    assert (failed.ended(), failed.text("message")) == ("ERROR", "word: bad came")
    excused = run(lab, "words", word="empty")
    assert (excused.ended(), warning(excused.document())) == ("COMPLETED", "no counts")


def test_the_last_script_sees_every_part(lab: Lab) -> None:
    job = run(lab, "merged", word=["one", "bad", "two"])
    assert job.ended() == "COMPLETED", job.text("message")
    assert list(job.results()) == ["all", "out_part1", "out_part3", "log"]
    told = lab.session.get(f"{job.url}/results/all", timeout=300).text
    assert told == "['one', 'two'] ['COMPLETED', 'ERROR', 'COMPLETED']\n"


def test_a_last_script_that_fails_keeps_the_parts(lab: Lab) -> None:
    job = run(lab, "merged", word=["one", "cursed"])
    assert job.ended() == "ERROR"
    assert job.text("message") == "the parts could not be gathered: cursed came"
    assert list(job.results()) == ["out_part1", "out_part2", "log"]


def test_uploaded_files_and_shell_scripts(lab: Lab) -> None:
    assert lab.served is not None
    files = [("file", (name, name.encode(), "text/plain")) for name in ("a.txt", "b.txt")]
    answer = lab.session.post(f"{lab.served.url}/rest/shell", data={"PHASE": "RUN"}, files=files, timeout=300)
    assert answer.status_code == 200, answer.text
    job = Remote(answer.url, lab.session)
    assert job.ended() == "COMPLETED", job.text("message")
    texts = [lab.session.get(f"{job.url}/results/out_part{number}", timeout=300).text for number in (1, 2)]
    assert texts == ["a.txt", "b.txt"]
    folder = lab.folder(job)
    assert [(folder / f"parts/000{n}/stdout.log").read_text() for n in (1, 2)] == ["x 1\n", "x 2\n"]
    given = json.loads((folder / "parts/0002/parameters.json").read_text())["parameters"]["file"]
    assert given["source"] == "b.txt"
    assert given["value"].startswith(str(folder))
