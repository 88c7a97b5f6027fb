"""What is live: definitions of the folder, read again on change, and of the editor; a broken one harms no other."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

import uwsjobs
from growth import counted_calls
from processes import until
from serving import running_server
from uws_server.errors import ConfigurationError, DefinitionError, NotFound, Problem
from uws_server.jobs import parameters
from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Job, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.resources import definitions_folder
from uws_server.storage.definitions import DefinitionStore
from uws_server.storage.jobstore import JobStore
from uws_server.storage.library import Installed, Library
from uws_server.storage.revisions import Revisions

Open = Callable[[], Library]


def install(folder: Path, name: str, /, **changes: Any) -> Path:
    return uwsjobs.define(folder, name, "true\n", **changes)


def check(definition: Definition) -> None:
    problems = parameters.check_values(definition, parameters.TYPES)
    if problems:
        raise DefinitionError.of(f"{definition.name}/job.json", problems)


class House:
    """A folder of definitions, a data folder and a database: what servers share."""

    def __init__(self, tmp_path: Path, url: str) -> None:
        self.folder, self.data = tmp_path / "job_definitions", tmp_path / "data"
        self.folder.mkdir()
        self.jobs = JobStore(url)
        self.store = DefinitionStore(self.jobs.engine)
        self.check: Callable[[Definition], None] = check

    def open(self) -> Library:
        """The library of a server that starts."""
        return Library(self.folder, self.check, Revisions(self.data), self.store)

    def accept(self, name: str, version: str) -> str:
        """Make a version live as the editor does; returns its revision."""
        place = install(self.data / "drafts", name, version=version)
        revision = Revisions(self.data).keep({path.name: path.read_bytes() for path in place.iterdir()})
        self.store.restore(name, revision, "admin", "")
        return revision

    def told(self, name: str) -> list[tuple[str, str]]:
        """What happened to a definition, the oldest first, and by whom."""
        return [(change.action, change.who) for change in reversed(self.store.history(name))]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    yield made
    made.jobs.close()


@pytest.fixture
def any_house(tmp_path: Path, database_url: str) -> Iterator[House]:
    """The same with each kind of database."""
    made = House(tmp_path, database_url)
    yield made
    made.jobs.close()


def look(library: Library) -> None:
    """Have the library look, once the folder was left alone for as long as it wants."""
    time.sleep(0.35)
    library.look_now()


def versions(library: Library) -> dict[str, str]:
    return {name: found.definition.version for name, found in library.by_name().items()}


def job_of(installed: Installed) -> Job:
    return Job(new_id(), installed.definition.name, "1", Phase.QUEUED, utcnow(), 60, revision=installed.revision)


# --- when a server starts ------------------------------------------------------------------------------


def test_definitions_are_found_by_name(house: House) -> None:
    install(house.folder, "b")
    place = install(house.folder, "a")
    (place / "README.md").write_text("# Ä\n", encoding="utf-8")
    (house.folder / "notes").mkdir()
    (house.folder / "README.md").write_text("no definition", encoding="utf-8")
    library = house.open()
    assert [installed.definition.name for installed in library] == ["a", "b"]
    assert list(library.by_name()) == ["a", "b"]
    assert library.get("a").script.read_text() == "true\n"
    assert (library.get("a").readme(), library.get("b").readme()) == ("# Ä\n", "")
    assert library.get("a").folder == house.data / "definitions" / library.get("a").revision
    assert library.get("a").source == "folder"
    assert library.problems == {}
    assert house.told("a") == [("install", "folder")]


@pytest.mark.parametrize("name", ["c", "", "A", "../a", "x" * 5000])
def test_an_unknown_name_is_answered_with_those_there_are(house: House, name: str) -> None:
    install(house.folder, "a")
    with pytest.raises(NotFound, match="there are a") as caught:
        house.open().get(name)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "other"}, "'other' is not the name of its folder, 'bad'"),
        ({"entry": {"type": "shell", "script": "gone.sh"}}, "there is no 'gone.sh' beside it"),
        ({"parameters": [{"name": "x_a", "type": "quark"}]}, "unknown type 'quark'; known are string"),
        ({"parameters": [{"name": "x_a", "type": "integer", "max": 3, "default": 4}]}, "parameters[0].default"),
        ({"parameters": [{"name": "x_a", "type": "choice", "options": ["1"], "default": 2}]}, "parameters[0].default"),
        ({"parameters": [{"name": "x_a", "type": "string", "default": "\0"}]}, "parameters[0].default"),
        ({"version": None}, "version"),
    ],
)
def test_a_broken_definition_is_left_out_and_told(
    house: House, caplog: pytest.LogCaptureFixture, changes: dict[str, object], said: str
) -> None:
    install(house.folder, "bad", **changes)
    install(house.folder, "good")
    library = house.open()
    assert list(library.by_name()) == ["good"]
    assert said in library.problems["bad"]
    assert said in caplog.text


@pytest.mark.parametrize("content", [b"\xff", b"{", b"[]", b"[" * 100_000])
def test_a_definition_that_cannot_be_read_is_left_out(house: House, content: bytes) -> None:
    place = install(house.folder, "bad")
    (place / "job.json").write_bytes(content)
    assert "bad/job.json" in house.open().problems["bad"]


@pytest.mark.parametrize(
    ("kind", "script", "said"),
    [
        ("python", b"x = 1\nif x:\nprint(x)\n", "bad/run.sh: script:3: expected an indented block"),
        ("python", b"x = '\xe9'\n", "bad/run.sh: script:1: byte 0xe9 is not UTF-8"),
        ("python", b"x = 1\n\n\0", "bad/run.sh: script:3: a NUL character came"),
        ("python", b"(" * 5000, "bad/run.sh: script"),
        ("python", b"x = " + b"-" * 200_000 + b"1", "bad/run.sh: script"),
        ("shell", b"if true; then\n  echo (\nfi\n", "bad/run.sh: script:2: syntax error near unexpected token"),
        ("shell", b"echo hello\nif true\n", "bad/run.sh: script:3: syntax error: unexpected end of file"),
        ("shell", b"# na\xefve\ntrue", "bad/run.sh: script:1: byte 0xef is not UTF-8"),
    ],
)
def test_a_script_that_cannot_be_read_is_told_with_its_line(house: House, kind: str, script: bytes, said: str) -> None:
    place = install(house.folder, "bad", entry={"type": kind, "script": "run.sh"})
    (place / "run.sh").write_bytes(script)
    library = house.open()
    assert said in library.problems["bad"]
    assert list(Revisions(house.data).folder.iterdir()) == []


def test_a_script_is_looked_at_and_not_run(house: House, tmp_path: Path) -> None:
    place = install(house.folder, "a", entry={"type": "python", "script": "run.py"})
    (place / "run.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    other = install(house.folder, "b")
    (other / "run.sh").write_text(f"touch '{tmp_path}/ran' $(touch '{tmp_path}/ran')\n")
    assert house.open().problems == {}
    assert not (tmp_path / "ran").exists()


def test_a_required_parameter_needs_no_default(house: House) -> None:
    install(house.folder, "a", parameters=[{"name": "x_a", "type": "integer", "min": 5, "required": True}])
    assert house.open().problems == {}


def test_a_check_that_finds_something_leaves_the_definition_out(house: House) -> None:
    def refuse(definition: Definition) -> None:
        raise DefinitionError(f"{definition.name}: not here")

    install(house.folder, "a")
    house.check = refuse
    assert house.open().problems == {"a": "a/job.json line 1: a: not here"}


def test_every_problem_is_told_with_its_line(house: House) -> None:
    def refuse(definition: Definition) -> None:
        raise DefinitionError.of("", [Problem("parameters[1].default", "too wide"), Problem("title", "too long")])

    install(house.folder, "a", name="b", parameters=[{"name": "x", "type": "string"}, {"name": "y", "type": "float"}])
    document = house.folder / "a" / "job.json"
    document.write_text(json.dumps(json.loads(document.read_text()), indent=1))
    (house.folder / "a" / "run.sh").unlink()
    house.check = refuse
    told = house.open().problems["a"].splitlines()
    assert {re.sub(r" line [0-9]+", "", line) for line in told} == {
        "a/job.json: name: 'b' is not the name of its folder, 'a'",
        "a/job.json: title: too long",
        "a/job.json: entry.script: there is no 'run.sh' beside it",
        "a/job.json: parameters[1].default: too wide",
    }
    lines = [int(line.split(":")[0].split()[-1]) for line in told]
    assert lines == sorted(set(lines)), "each in its line, from the top on"


def test_a_folder_that_is_meant_to_be_a_definition_is_not_passed_over(house: House) -> None:
    for name, file in (("shouted", "Job.json"), ("forgotten", "run.py"), ("notes", "README.md")):
        (house.folder / name).mkdir()
        (house.folder / name / file).write_text("x", encoding="utf-8")
    assert house.open().problems == {
        "shouted": "shouted: there is Job.json, but no job.json",
        "forgotten": "forgotten: there is run.py, but no job.json",
    }


UNLISTED = """
import os, sys
from pathlib import Path
from uws_server.storage.definitions import DefinitionStore
from uws_server.storage.jobstore import JobStore
from uws_server.storage.library import Library
from uws_server.storage.revisions import Revisions
root = Path(sys.argv[1])
private = root / "definitions/private"
private.parent.mkdir()
store = DefinitionStore(JobStore(f"sqlite:///{root / 'jobs.sqlite'}").engine)
library = Library(private.parent, lambda definition: None, Revisions(root / "data"), store)
private.mkdir(0o300)
if os.geteuid() == 0:  # root may list anything
    os.chown(private, 65534, 65534)
    os.setegid(65534); os.seteuid(65534)
library.look_now()
print(dict(library.by_name()), dict(library.problems))
"""


def test_a_folder_that_may_not_be_listed_stands_in_nobodys_way() -> None:
    with tempfile.TemporaryDirectory() as name:  # not tmp_path, which only its owner may enter
        Path(name).chmod(0o777)
        done = subprocess.run([sys.executable, "-c", UNLISTED, name], check=True, capture_output=True, text=True)
    assert done.stdout == "{} {}\n"


def test_a_definition_without_its_description_is_taken_out_of_use_and_told(house: House) -> None:
    place = install(house.folder, "a")
    library = house.open()
    (place / "job.json").unlink()
    library.look_now()
    assert not library.by_name()
    assert library.problems == {"a": "a: there is run.sh, but no job.json"}
    assert not house.open().by_name()


def test_a_folder_that_is_not_there_is_a_mistake_of_the_configuration(house: House) -> None:
    house.folder.rmdir()
    with pytest.raises(ConfigurationError, match="there is no such folder"):
        house.open()


def test_scripts_are_found_from_anywhere(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(house.folder, "a")
    monkeypatch.chdir(tmp_path)
    library = Library(Path("job_definitions"), check, Revisions(Path("data")), house.store)
    monkeypatch.chdir("/")
    assert library.get("a").script.is_file()
    assert versions(library) == {"a": "1"}


def test_what_comes_with_the_server_has_no_problem_but_types_of_the_services(house: House) -> None:
    def check_what_is_known_here(definition: Definition) -> None:
        unknown = ("region", "file", "eventlist", "url", "observation", "position", "energy_range", "time_range")
        known = {**dict.fromkeys(unknown, parameters.TYPES["string"]), **parameters.TYPES}
        assert parameters.check_values(definition, known) == []

    house.folder, house.check = definitions_folder(), check_what_is_known_here
    library = house.open()
    assert library.problems == {}
    assert "dummy" in library.by_name()
    assert all(installed.script.is_file() for installed in library)


def test_a_folder_whose_name_is_no_text_is_told(house: House) -> None:
    install(house.folder, "good")
    place = install(house.folder, "bad")
    place.rename(place.with_name("b\udcffd"))
    library = house.open()
    assert versions(library) == {"good": "1"}
    assert "'bad' is not the name of its folder, 'b?d'" in library.problems["b?d"]


def test_a_disk_that_takes_nothing_more_harms_no_definition_that_is_live(house: House) -> None:
    install(house.folder, "a")
    library = house.open()
    kept = house.data / "definitions"
    kept.rename(kept.with_name("away"))
    kept.write_text("in the way")
    install(house.folder, "a", version="2")
    look(library)
    assert versions(library) == {"a": "1"}
    assert "a: " in library.problems["a"]
    kept.unlink()
    kept.with_name("away").rename(kept)
    look(library)
    assert (versions(library), library.problems) == ({"a": "2"}, {})


# --- while it runs -------------------------------------------------------------------------------------


def test_a_change_is_noticed_in_use(house: House) -> None:
    install(house.folder, "a")
    library = house.open()
    install(house.folder, "a", version="2")
    install(house.folder, "b")
    until(lambda: versions(library) == {"a": "2", "b": "1"}, what="the change is noticed")
    assert house.told("a") == [("install", "folder")] * 2


def test_looking_up_a_definition_costs_next_to_nothing(house: House) -> None:
    for name in "abcdefghij":
        install(house.folder, name)
    library = house.open()
    counts = []
    for _ in range(5):  # once a second it looks at the folder: not each time
        with counted_calls() as calls:
            for _ in range(10):
                library.get("e")
        counts.append(calls.total())
    assert min(counts) < 10 * 8


def test_nobody_waits_for_one_who_looks(house: House) -> None:
    install(house.folder, "a")
    library = house.open()
    looking, go_on = threading.Event(), threading.Event()

    def slow(definition: Definition) -> None:
        looking.set()
        assert go_on.wait(300)

    library._check = slow
    install(house.folder, "a", version="2")
    time.sleep(1.1)
    slower = threading.Thread(target=library.look)
    slower.start()
    assert looking.wait(300)
    assert library.get("a").definition.version == "1"
    go_on.set()
    slower.join()
    assert library.get("a").definition.version == "2"


def test_while_a_definition_is_broken_its_last_good_version_lives(any_house: House) -> None:
    place = install(any_house.folder, "a")
    install(any_house.folder, "b")
    library = any_house.open()
    good = library.get("a")
    (place / "job.json").write_text('{\n  "name": "a",\n  "version" "2"\n}')
    look(library)
    assert library.get("a") == good
    assert "a/job.json line 3: not JSON: Expecting ':' delimiter" in library.problems["a"]
    restarted = any_house.open()
    assert restarted.get("a") == good
    assert "line 3" in restarted.problems["a"]
    assert versions(restarted) == {"a": "1", "b": "1"}
    install(any_house.folder, "a")  # as it was
    look(library)
    assert (library.problems, library.get("a")) == ({}, good)
    assert any_house.told("a") == [("install", "folder")]
    install(any_house.folder, "a", version="2")
    look(library)
    assert versions(library) == {"a": "2", "b": "1"}


def test_a_folder_that_is_being_written_is_left_until_it_is_quiet(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = install(house.folder, "a")
    library = house.open()
    time.sleep(0.35)
    (place / "run.sh").write_text("half")
    with monkeypatch.context() as patient:  # a machine may need longer than that to get from one line to the next
        patient.setattr("uws_server.storage.library._QUIET_S", 30.0)
        library.look_now()
    assert library.get("a").script.read_text() == "true\n"
    (place / "run.sh").write_text("half of it and the rest\n")
    look(library)
    assert library.get("a").script.read_text() == "half of it and the rest\n"


def test_other_files_of_a_definition_are_part_of_it(house: House) -> None:
    place = install(house.folder, "a")
    (place / "tables").mkdir()
    (place / "tables" / "lines.txt").write_text("6.4 keV\n")
    library = house.open()
    first = library.get("a")
    assert (first.folder / "tables" / "lines.txt").read_text() == "6.4 keV\n"
    (place / "tables" / "lines.txt").write_text("6.7 keV\n")
    look(library)
    assert (library.get("a").folder / "tables" / "lines.txt").read_text() == "6.7 keV\n"
    assert (first.folder / "tables" / "lines.txt").read_text() == "6.4 keV\n"
    (place / "secret").symlink_to("/etc/passwd")
    look(library)
    assert "a/secret: a link out of the definition's folder" in library.problems["a"]
    assert library.get("a").folder != first.folder


def test_what_goes_from_the_folder_is_no_longer_live(any_house: House) -> None:
    install(any_house.folder, "a")
    install(any_house.folder, "b")
    library = any_house.open()
    job = job_of(library.get("a"))
    shutil.rmtree(any_house.folder / "a")
    look(library)
    with pytest.raises(NotFound, match="there are b"):
        library.get("a")
    assert library.of(job).script.read_text() == "true\n"
    shutil.rmtree(any_house.folder / "b")
    restarted = any_house.open()  # it went while no server ran
    assert versions(restarted) == {}
    assert any_house.told("b") == [("install", "folder"), ("remove", "folder")]
    install(any_house.folder, "a")
    look(restarted)
    assert versions(restarted) == {"a": "1"}
    assert any_house.told("a") == [("install", "folder"), ("remove", "folder"), ("install", "folder")]


def test_a_folder_that_is_away_for_a_moment_takes_nothing_along(house: House, caplog: pytest.LogCaptureFixture) -> None:
    install(house.folder, "a")
    library = house.open()
    house.folder.rename(house.folder.with_name("away"))
    time.sleep(1.1)
    assert versions(library) == {"a": "1"}
    assert "those known so far stay" in caplog.text
    house.folder.with_name("away").rename(house.folder)
    look(library)
    assert house.told("a") == [("install", "folder")]


def test_a_database_that_is_away_for_a_moment_takes_nothing_along(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(house.folder, "a")
    library = house.open()
    with house.jobs.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE definitions RENAME TO elsewhere")
    time.sleep(1.1)
    assert versions(library) == {"a": "1"}
    assert "those known so far stay" in caplog.text
    with house.jobs.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO definitions")
    look(library)
    assert versions(library) == {"a": "1"}


# --- revisions -----------------------------------------------------------------------------------------


def test_a_job_keeps_the_revision_it_was_made_with(house: House) -> None:
    place = install(house.folder, "a")
    library = house.open()
    job = job_of(library.get("a"))
    install(house.folder, "a", version="2")
    (place / "run.sh").write_text("false\n")
    look(library)
    assert library.get("a").script.read_text() == "false\n"
    for found in (library.of(job), house.open().of(job)):
        assert (found.definition.version, found.script.read_text()) == ("1", "true\n")
    old = replace(job, revision="")
    assert library.of(old) == library.get("a"), "a job of a server that kept no revisions"
    with pytest.raises(NotFound, match="no revision"):
        library.of(replace(job, revision="0" * 64))
    assert library.revision(job.revision).definition.version == "1"


# --- the editor, and other servers ---------------------------------------------------------------------


def test_what_became_live_last_is_live(any_house: House) -> None:
    install(any_house.folder, "a")
    library = any_house.open()
    revision = any_house.accept("a", "2-editor")
    library.look_now()
    assert (library.get("a").revision, library.get("a").source) == (revision, "editor")
    assert versions(any_house.open()) == {"a": "2-editor"}, "a start is no change of the folder"
    install(any_house.folder, "a", version="3-folder")
    look(library)
    assert (versions(library), library.get("a").source) == ({"a": "3-folder"}, "folder")
    any_house.accept("a", "4-editor")
    shutil.rmtree(any_house.folder / "a")
    look(library)
    assert versions(library) == {"a": "4-editor"}, "the folder takes away what came from the folder only"
    assert versions(any_house.open()) == {"a": "4-editor"}
    install(any_house.folder, "a", version="3-folder")
    look(library)
    assert versions(library) == {"a": "3-folder"}, "it came back: a change"


def test_what_an_admin_removed_stays_so_until_the_folder_changes(any_house: House) -> None:
    install(any_house.folder, "a")
    library = any_house.open()
    any_house.store.remove("a", "admin", "wrong results")
    library.look_now()
    assert versions(library) == {}
    assert versions(any_house.open()) == {}
    install(any_house.folder, "a", version="2")
    look(library)
    assert versions(library) == {"a": "2"}


def test_servers_of_one_database_see_each_others_changes(any_house: House) -> None:
    install(any_house.folder, "a")
    one, other = any_house.open(), any_house.open()
    assert any_house.told("a") == [("install", "folder")]
    any_house.accept("a", "2")
    until(lambda: versions(one) == versions(other) == {"a": "2"}, what="both know of the change")
    install(any_house.folder, "a", version="3")
    look(one)
    look(other)
    assert versions(one) == versions(other) == {"a": "3"}
    assert [action for action, _ in any_house.told("a")] == ["install", "restore", "install"]


def test_servers_that_start_at_once_install_once(any_house: House) -> None:
    for name in "abcde":
        install(any_house.folder, name)
    gate, libraries = threading.Barrier(4), []

    def start() -> None:
        gate.wait()
        libraries.append(any_house.open())

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [versions(library) for library in libraries] == [dict.fromkeys("abcde", "1")] * 4
    assert {name: any_house.told(name) for name in "abcde"} == {name: [("install", "folder")] for name in "abcde"}


def test_two_servers_with_folders_of_their_own_do_not_take_turns(house: House, tmp_path: Path) -> None:
    install(house.folder, "a", version="old")
    one = house.open()
    house.folder = tmp_path / "newer"
    install(house.folder, "a", version="new")
    other = house.open()
    for _ in range(3):
        look(one)
        look(other)
    assert versions(one) == versions(other) == {"a": "new"}
    assert house.told("a") == [("install", "folder")] * 2


def test_a_live_revision_whose_files_are_gone_is_told(house: House, caplog: pytest.LogCaptureFixture) -> None:
    install(house.folder, "a")
    revision = house.accept("b", "1")
    shutil.rmtree(house.data / "definitions" / revision)
    with caplog.at_level(logging.ERROR):
        library = house.open()
    assert versions(library) == {"a": "1"}
    assert revision in library.problems["b"]
    assert revision in caplog.text


def test_the_database_is_asked_once_a_second_at_most(house: House) -> None:
    install(house.folder, "a")
    opened = time.monotonic()
    library = house.open()
    asked: list[str] = []

    @sa.event.listens_for(house.jobs.engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    while time.monotonic() - opened < 1.3 or not asked:
        library.get("a")
        library.by_name()
        assert library.problems == {}
    assert len(asked) <= time.monotonic() - opened, asked


# --- on a server ---------------------------------------------------------------------------------------


def test_jobs_of_the_first_version_run_it_after_the_second_went_live(tmp_path: Path) -> None:
    folder = tmp_path / "job_definitions"

    def write(version: str, text: str, **spec: object) -> None:
        parameter = {"name": "text", "type": "string", "default": text, **spec}
        place = install(folder, "a", version=version, parameters=[parameter], results=[{"name": "out", "file": "out"}])
        (place / "run.sh").write_text(f'echo "version {version}: $text" > results/out\n')

    write("1", "one")
    with running_server(tmp_path / "data", definitions=folder, max_running=1) as server:
        first, changed = uwsjobs.create(server.url, "a"), uwsjobs.create(server.url, "a")
        write("2", "two", max_length=3)

        def text() -> str:
            return requests.get(uwsjobs.create(server.url, "a") + "/parameters/text", timeout=300).text

        until(lambda: "two" in text(), what="the second version is live", every=0.2)
        assert uwsjobs.change(f"{changed}/parameters", text="longer than three").status_code == 303
        fresh = uwsjobs.create(server.url, "a")
        assert uwsjobs.change(f"{fresh}/parameters", text="longer than three").status_code == 400
        shutil.rmtree(folder / "a")
        jobs = f"{server.url}/rest/a"
        until(lambda: requests.get(jobs, timeout=300).status_code == 404, what="it is gone", every=0.2)
        expected = {first: "version 1: one\n", changed: "version 1: longer than three\n", fresh: "version 2: two\n"}
        for job, text in expected.items():
            assert uwsjobs.change(f"{job}/phase", PHASE="RUN").status_code == 303
            assert uwsjobs.reached(job, *uwsjobs.ENDED) == "COMPLETED"
            assert requests.get(f"{job}/results/out", timeout=300).text == text
