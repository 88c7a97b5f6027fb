"""The life of a definition that somebody writes: draft, trial, request, live, back, removed and restored."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from serving import SANDBOX
from uws_server.config import Config
from uws_server.errors import BadRequest, Conflict, DefinitionError, Forbidden, InvalidParameters, NotFound
from uws_server.execution import sandbox
from uws_server.jobs.job import Filter, Job
from uws_server.jobs.phases import Phase
from uws_server.jobs.rerun_origin import RerunOrigin
from uws_server.resources import definitions_folder
from uws_server.services.context import Services
from uws_server.services.drafts import Change, Draft, Drafts, Edited
from uws_server.services.job_service import JobService
from uws_server.services.parameters import Request
from uws_server.services.rights import Caller
from uws_server.web.shared.differences import Line, between

ANN = Caller("ann", roles=frozenset({"author"}))
BOB = Caller("bob", roles=frozenset({"author"}))
ADMIN = Caller("root", is_admin=True)

SCRIPT = 'echo "$text" > results/out.txt\n'


def definition(name: str = "curve", **changes: Any) -> str:
    document: dict[str, Any] = {
        "name": name,
        "version": "1.0",
        "title": "A light curve",
        "entry": {"type": "shell", "script": "run.sh"},
        "parameters": [{"name": "text", "type": "string", "default": "hello"}],
        "results": [{"name": "out", "file": "out.txt", "mime": "text/plain"}],
        "test": {"text": "tried"},
    }
    return json.dumps(document | changes)


def files(name: str = "curve", script: str = SCRIPT, readme: str = "# Curve\n", **changes: Any) -> dict[str, str]:
    return {"job.json": definition(name, **changes), "run.sh": script, "README.md": readme}


class Desk:
    """The drafts of everybody on one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.ann, self.bob, self.admin = (Drafts(services, caller) for caller in (ANN, BOB, ADMIN))

    def live(self, name: str = "curve", **changes: Any) -> str:
        """Bring a definition to life; returns its revision."""
        self.ann.create(files(name, **changes))
        self.ann.request(name, "please")
        return self.admin.accept(name, "good").revision

    def told(self, name: str = "curve") -> list[tuple[str, str, str]]:
        """What happened, the oldest first: action, who, why."""
        return [(change.action, change.who, change.why) for change in reversed(self.ann.history(name))]


def services_of(tmp_path: Path, **settings: Any) -> Services:
    folder = tmp_path / "job_definitions"
    if not folder.exists():
        shutil.copytree(definitions_folder() / "dummy", folder / "dummy")
    return Services(Config.of(data=tmp_path / "data", **settings), "http://x.org", folder)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    services = services_of(tmp_path)
    yield Desk(services)
    services.store.close()


@pytest.fixture
def any_desk(tmp_path: Path, database_url: str) -> Iterator[Desk]:
    """The same with each kind of database."""
    services = services_of(tmp_path, database=database_url)
    yield Desk(services)
    services.store.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Desk]:
    """Services that run jobs."""
    services = services_of(tmp_path, max_running=2, sandbox=SANDBOX)
    services.start()
    yield Desk(services)
    services.stop()


def ended(desk: Desk, job: Job) -> Job:
    now = desk.services.scheduler.wait_for_end(job.id, 30)
    assert now.phase is Phase.COMPLETED, (now.phase, now.error)
    return now


def product(desk: Desk, job: Job) -> str:
    return (desk.services.files.folder(job.id) / "results" / "out.txt").read_text()


def test_what_was_typed_for_a_discarded_draft_is_not_saved_over_a_new_one(any_desk: Desk) -> None:
    """Nor for one that went live: the edits of a name count on."""
    desk = any_desk
    old = desk.ann.create(files())
    desk.ann.discard("curve")
    new = desk.bob.create(files(title="Another"))
    assert new.edit > old.edit
    with pytest.raises(Edited):
        desk.ann.save("curve", old.edit, files(title="Typed before"))
    assert desk.ann.get("curve") == new
    saved = desk.bob.save("curve", new.edit, files(title="Saved"))
    desk.ann.request("curve", "please")
    desk.admin.accept("curve", "good")
    assert desk.ann.edit_live("curve").edit > saved.edit


# --- from a draft to a live definition -----------------------------------------------------------------


def test_a_definition_is_written_asked_for_and_goes_live(any_desk: Desk) -> None:
    desk = any_desk
    draft = desk.ann.create(files())
    assert (draft.name, draft.edit, draft.state, draft.author, draft.based_on) == ("curve", 1, "draft", "ann", "")
    assert draft.definition.title == "A light curve"
    assert draft.files == files()
    saved = desk.bob.save("curve", 1, files(title="Light curve"))
    assert (saved.edit, saved.author, saved.definition.title) == (2, "ann", "Light curve")
    assert desk.ann.get("curve") == saved
    assert list(desk.ann.all()) == [saved]
    with pytest.raises(NotFound):
        desk.services.library.get("curve")
    assert desk.ann.request("curve", "for the paper").state == "requested"
    live = desk.admin.accept("curve", "checked against stingray")
    assert (live.definition.title, live.source) == ("Light curve", "editor")
    assert live.script.read_text() == SCRIPT
    assert live.readme() == "# Curve\n"
    assert desk.services.library.get("curve") == live
    assert desk.ann.all() == []
    assert desk.told() == [
        ("create", "ann", ""),
        ("request", "ann", "for the paper"),
        ("accept", "root", "checked against stingray"),
    ]
    accepted, requested, _ = desk.ann.history("curve")
    assert isinstance(accepted, Change)
    assert accepted.revision == requested.revision == live.revision
    assert accepted.made > requested.made
    assert desk.ann.files_of(live.revision) == files(title="Light curve")
    job = JobService(desk.services, ANN).create("curve", Request())
    assert (job.revision, job.version, job.trial) == (live.revision, "1.0", False)


def test_an_admin_gives_a_draft_back_with_the_reason(any_desk: Desk) -> None:
    desk = any_desk
    desk.ann.create(files())
    desk.ann.request("curve", "please")
    with pytest.raises(BadRequest, match="say why"):
        desk.admin.refuse("curve", "  ")
    back = desk.admin.refuse("curve", "no unit\nat text")
    assert (back.state, back.edit) == ("draft", 1)
    assert desk.told()[-1] == ("refuse", "root", "no unit at text")
    desk.ann.save("curve", 1, files(title="With units"))
    desk.ann.request("curve", "now")
    assert desk.ann.withdraw("curve").state == "draft"
    desk.ann.request("curve", "again")
    assert desk.admin.accept("curve", "").definition.title == "With units"
    steps = ["create", "request", "refuse", "request", "withdraw", "request", "accept"]
    assert [action for action, _, _ in desk.told()] == steps


def test_what_is_asked_for_stays_as_it_is(desk: Desk) -> None:
    desk.ann.create(files())
    desk.ann.request("curve", "please")
    with pytest.raises(Conflict, match="waits for an admin: withdraw the request to change it"):
        desk.ann.save("curve", 1, files(title="Other"))
    for use in (desk.ann.discard, lambda name: desk.ann.request(name, "")):
        with pytest.raises(Conflict, match="waits for an admin already"):
            use("curve")
    assert desk.ann.get("curve").files == files()
    desk.ann.withdraw("curve")
    for use in (desk.ann.withdraw, lambda name: desk.admin.accept(name, ""), lambda name: desk.admin.refuse(name, "x")):
        with pytest.raises(Conflict, match="has not been asked for"):
            use("curve")
    with pytest.raises(NotFound):
        desk.services.library.get("curve")


def test_an_admin_accepts_what_was_read_and_nothing_else(desk: Desk) -> None:
    desk.ann.create(files())
    desk.ann.request("curve", "please")
    read = desk.admin.get("curve").edit
    desk.ann.withdraw("curve")
    desk.ann.save("curve", 1, files(script="rm -rf ~\n"))
    desk.ann.request("curve", "please")
    with pytest.raises(Edited) as caught:
        desk.admin.accept("curve", "good", edit=read)
    assert caught.value.current.files["run.sh"] == "rm -rf ~\n"
    assert desk.admin.accept("curve", "very well", edit=caught.value.current.edit).script.read_text() == "rm -rf ~\n"


@pytest.mark.parametrize("name", ["nothing", "", "../dummy", "x" * 5000, "a\0", "\ud800"])
def test_a_draft_that_is_not_there_is_not_found(any_desk: Desk, name: str) -> None:
    desk = any_desk
    for use in (desk.ann.get, desk.ann.discard, desk.ann.try_out, desk.ann.withdraw, desk.ann.edit_live):
        with pytest.raises(NotFound):
            use(name)
    for step in (desk.ann.request, desk.admin.accept, desk.admin.refuse, desk.admin.remove):
        with pytest.raises(NotFound):
            step(name, "why")
    with pytest.raises(NotFound):
        desk.admin.restore(name, "0" * 64, "why")
    with pytest.raises(NotFound):
        desk.admin.restore("dummy", name, "why")
    with pytest.raises(NotFound):
        desk.ann.files_of(name)
    assert desk.ann.history(name) == []


def test_who_began_a_draft_discards_it(desk: Desk) -> None:
    desk.ann.create(files())
    with pytest.raises(Forbidden, match="begun by ann"):
        desk.bob.discard("curve")
    desk.ann.discard("curve")
    desk.bob.create(files())
    desk.admin.discard("curve")
    assert desk.ann.all() == []
    assert [action for action, _, _ in desk.told()] == ["create", "discard"] * 2


# --- two people ----------------------------------------------------------------------------------------


def test_the_second_to_save_is_told_and_nothing_is_lost(any_desk: Desk) -> None:
    desk = any_desk
    desk.ann.create(files())
    mine, theirs = files(title="Ann's"), files(title="Bob's")
    desk.bob.save("curve", 1, theirs)
    with pytest.raises(Edited, match="saved by somebody else") as caught:
        desk.ann.save("curve", 1, mine)
    current = caught.value.current
    assert (current.edit, dict(current.files)) == (2, theirs)
    assert current == desk.ann.get("curve")
    (changed,) = between(current.files, mine)
    assert changed.name == "job.json"
    assert Line("removed", "-" + theirs["job.json"].split("\n")[0]) in changed.lines
    assert desk.ann.save("curve", current.edit, mine).files == mine


def test_saving_the_same_again_is_no_edit(desk: Desk) -> None:
    draft = desk.ann.create(files())
    assert desk.ann.save("curve", 1, files()) == draft


def test_of_many_who_save_at_once_one_wins(any_desk: Desk) -> None:
    desk = any_desk
    desk.ann.create(files())
    gate, won, told = threading.Barrier(6), [], []

    def save(number: int) -> None:
        gate.wait()
        try:
            won.append(desk.ann.save("curve", 1, files(title=f"Title {number}")))
        except Edited as error:
            told.append(error.current)

    threads = [threading.Thread(target=save, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert told == won * 5
    assert desk.ann.get("curve") == won[0]


# --- what cannot be ------------------------------------------------------------------------------------


def refused(desk: Desk, content: Mapping[str, str]) -> str:
    """What is said of files that cannot be a draft; nothing of them is kept."""
    with pytest.raises(DefinitionError) as caught:
        desk.ann.create(content)
    assert desk.ann.all() == []
    assert desk.ann.problems(content)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"job.json": "{"}, "job.json"),
        ({"job.json": "[" * 100_000}, "nested too deeply"),
        ({"job.json": definition(parameters=[{}] * 100_000)}, "parameters: 100,000 came, at most 500"),
        ({"job.json": definition(name="../dummy")}, "name: '../dummy' is not a letter"),
        ({"job.json": definition(name="a/b")}, "name: 'a/b'"),
        ({"job.json": definition(name="..")}, "name: '..'"),
        ({"job.json": definition(name="a\nb")}, "name: 'a\\nb'"),
        ({"job.json": definition(name="x" * 65)}, "at most 64"),
        ({"job.json": definition(quark=1)}, "quark: unknown key"),
        ({"run.py": "print()"}, "entry.script: 'run.sh' is the script here; the file 'run.py' came"),
        ({"../../evil": "x"}, "the file '../../evil' came"),
        ({"run.sh": "a\nb\0"}, "run.sh: line 2: a NUL character came"),
        ({"run.sh": "ok\n\n\udcff"}, "run.sh: line 3: what came is not UTF-8"),
        ({"run.sh": "é" * 500_001}, "run.sh: 1,000,002 bytes came, at most 1,000,000 are allowed"),
        ({"README.md": "x" * 1_000_001}, "README.md: 1,000,001 bytes came"),
    ],
)
def test_what_no_draft_can_hold_is_refused_with_its_place(desk: Desk, changes: dict[str, str], said: str) -> None:
    assert said in refused(desk, files() | changes)


def test_a_draft_without_a_definition_is_refused(desk: Desk) -> None:
    assert "job.json: is missing" in refused(desk, {"run.sh": SCRIPT})


def test_a_refused_save_changes_nothing(desk: Desk) -> None:
    draft = desk.ann.create(files())
    for content in (files(script="\0"), files() | {"job.json": "{"}, files("other")):
        with pytest.raises(DefinitionError):
            desk.ann.save("curve", 1, content)
    with pytest.raises(DefinitionError, match="name: this draft is of 'curve'; begin another"):
        desk.ann.save("curve", 1, files("other"))
    assert desk.ann.get("curve") == draft


def test_a_name_has_one_draft(desk: Desk) -> None:
    draft = desk.ann.create(files())
    with pytest.raises(Conflict, match="there is a draft 'curve' already"):
        desk.bob.create(files(title="Bob's"))
    assert desk.ann.get("curve") == draft


def test_an_incomplete_draft_is_kept_but_never_asked_for(desk: Desk) -> None:
    content = {"job.json": definition(title="", parameters=[{"name": "PATH", "type": "quark"}], test={})}
    draft = desk.ann.create(content)
    assert draft.files == content
    places = [problem.parameter for problem in desk.ann.problems(content)]
    assert places == ["title", "parameters[0].name", "parameters[0].type", "script"]
    for use in (lambda: desk.ann.request("curve", ""), lambda: desk.ann.try_out("curve")):
        with pytest.raises(DefinitionError, match="title: a title is needed"):
            use()
    assert desk.ann.get("curve") == draft
    assert len(list(desk.services.revisions.folder.iterdir())) == 1, "that of dummy"
    assert desk.told() == [("create", "ann", "")]


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({}, []),
        ({"script": ""}, ["script"]),
        ({"script": "if\n"}, ["script:2"]),
        ({"script": "echo (\n"}, ["script:1"]),
        ({"script": "x = (\n", "entry": {"type": "python", "script": "run.sh"}}, ["script:1"]),
        ({"script": "import os\n\ndef f(:\n", "entry": {"type": "python", "script": "run.sh"}}, ["script:3"]),
        ({"parameters": [{"name": "text", "type": "integer", "default": 7, "max": 3}], "test": {}},
         ["parameters[0].default"]),
        ({"parameters": [{"name": "text", "type": "integer"}]}, ["test.text"]),
        ({"parameters": [{"name": "text", "type": "string"}] * 2}, ["parameters[1].name"]),
        ({"title": "", "parameters": [{"name": "text", "type": "integer", "default": 7, "step": 0},
                                      {"name": "bin", "type": "float", "default": "wide"}],
          "test": {"text": "x", "bin": "thin"}}, ["title", "parameters[0].step", "parameters[1].default", "test.bin"]),
        ({"parameters": [{"name": "a", "type": "float", "default": 1, "step": 0}],
          "results": [{"name": "r", "file": "r"}] * 501, "test": {}}, ["results"]),
    ],
)  # fmt: skip
def test_every_problem_has_its_place(desk: Desk, changes: dict[str, Any], places: list[str]) -> None:
    assert [problem.parameter for problem in desk.ann.problems(files(**changes))] == places


def test_lines_end_as_on_unix(desk: Desk) -> None:
    content = {name: text.replace("\n", "\r\n") for name, text in files(script="true\necho a \\\n b\n").items()}
    assert desk.ann.create(content).files["run.sh"] == "true\necho a \\\n b\n"


def test_nobody_asks_for_what_is_live_already(desk: Desk) -> None:
    desk.live()
    draft = desk.ann.edit_live("curve")
    with pytest.raises(Conflict, match="differs from what is live"):
        desk.ann.request("curve", "")
    changed = files(script="true\n")
    saved = desk.ann.save("curve", draft.edit, changed)
    assert [problem.parameter for problem in desk.ann.problems(changed)] == ["version"]
    with pytest.raises(DefinitionError, match=r"version: '1\.0' is live with other content"):
        desk.ann.request("curve", "")
    desk.ann.save("curve", saved.edit, files(script="true\n", version="1.1"))
    desk.ann.request("curve", "")
    desk.admin.accept("curve", "")
    assert desk.services.library.get("curve").definition.version == "1.1"


def test_an_acceptance_is_refused_if_another_version_of_that_name_went_live_meanwhile(desk: Desk) -> None:
    desk.live()
    desk.ann.save("curve", desk.ann.edit_live("curve").edit, files(version="1.1"))
    desk.ann.request("curve", "")
    place = desk.services.config.folders.data.parent / "job_definitions" / "curve"
    place.mkdir()
    for name, text in files(version="1.1", title="Of the folder").items():
        (place / name).write_text(text)
    while desk.services.library.get("curve").source != "folder":
        desk.services.library.look_now()
    with pytest.raises(DefinitionError, match=r"version: '1\.1' is live with other content"):
        desk.admin.accept("curve", "")
    assert desk.admin.refuse("curve", "another 1.1 came").state == "draft"


# --- from what is live ---------------------------------------------------------------------------------


def test_a_definition_of_the_folder_is_drafted_with_all_its_files(desk: Desk) -> None:
    place = desk.services.config.folders.data.parent / "job_definitions" / "dummy"
    (place / "data").mkdir()
    (place / "data" / "lines.bin").write_bytes(b"\xff\0")
    while "data" not in [path.name for path in desk.services.library.get("dummy").folder.iterdir()]:
        desk.services.library.look_now()
    live = desk.services.library.get("dummy")
    draft = desk.ann.edit_live("dummy")
    assert draft.based_on == live.revision
    assert draft.files.keys() == {"job.json", "run.py", "README.md"}
    with pytest.raises(Conflict, match="there is a draft 'dummy' already"):
        desk.bob.edit_live("dummy")
    document = json.loads(draft.files["job.json"]) | {"version": "77", "entry": {"type": "python", "script": "go.py"}}
    content = {"job.json": json.dumps(document), "go.py": draft.files["run.py"]}
    desk.ann.save("dummy", 1, content)
    desk.ann.request("dummy", "")
    accepted = desk.admin.accept("dummy", "")
    assert (accepted.folder / "data" / "lines.bin").read_bytes() == b"\xff\0"
    assert {path.name for path in accepted.folder.iterdir()} == {"job.json", "go.py", "data"}
    assert "2 bytes with the SHA-256" in desk.ann.files_of(accepted.revision)["data/lines.bin"]


def test_further_files_are_part_of_the_draft_of_its_trial_and_of_what_goes_live(any_desk: Desk) -> None:
    desk = any_desk
    script = 'cat "$(dirname "$0")/data/table.txt" > results/out.txt\n'
    draft = desk.ann.create(files(script=script))
    assert (draft.based_on, desk.ann.further(draft)) == ("", {})
    draft = desk.ann.add_file("curve", draft.edit, "data/table.txt", b"one\n")
    draft = desk.bob.add_file("curve", draft.edit, "image.bin", b"\xff\0")
    assert draft.edit == 3
    with pytest.raises(Edited):
        desk.ann.add_file("curve", 2, "late.txt", b"")
    draft = desk.ann.add_file("curve", draft.edit, "data/table.txt", b"two\n")
    assert desk.ann.further(draft) == {"data/table.txt": b"two\n", "image.bin": b"\xff\0"}
    draft = desk.ann.save("curve", draft.edit, files(script=script, title="Saved after"))
    draft = desk.ann.remove_file("curve", draft.edit, "image.bin")
    with pytest.raises(NotFound, match=r"no file 'image\.bin'"):
        desk.ann.remove_file("curve", draft.edit, "image.bin")
    tried = desk.ann.try_out("curve")
    revision = desk.services.revisions.path(tried.revision)
    assert {f"{path.relative_to(revision)}": path.read_bytes() for path in revision.rglob("*") if path.is_file()} == {
        "job.json": files(script=script, title="Saved after")["job.json"].encode(), "run.sh": script.encode(),
        "README.md": b"# Curve\n", "data/table.txt": b"two\n",
    }  # fmt: skip
    desk.ann.request("curve", "with a table")
    with pytest.raises(Conflict, match="waits for an admin"):
        desk.ann.add_file("curve", draft.edit, "x", b"")
    first = desk.admin.accept("curve", "good")
    assert (first.folder / "data" / "table.txt").read_bytes() == b"two\n"
    again = desk.ann.edit_live("curve")
    assert desk.ann.further(again) == {"data/table.txt": b"two\n"}
    assert desk.ann.is_of_live(again)
    again = desk.ann.remove_file("curve", again.edit, "data/table.txt")
    assert not desk.ann.is_of_live(again)
    with pytest.raises(DefinitionError, match=r"'1\.0' is live with other content"):
        desk.ann.request("curve", "the same texts, another table")
    desk.ann.discard("curve")
    assert desk.ann.history("curve")[0].revision == "", "nothing to look at"


@pytest.mark.parametrize(
    ("name", "said"),
    [("run.sh", "a field of its own"), ("JOB.json", "a field of its own"), ("readme.md", "a field of its own"),
     ("../x", "no name of a file"), ("/x", "no name of a file"), ("", "no name of a file"),
     (".x", "no name of a file"),
     ("a/.git/x", "no name of a file"), ("a//b", "no name of a file"), ("a b", "no name of a file"),
     ("ü", "no name of a file"), ("a/b/c/d/e/f", "no name of a file"), ("x~", "no name of a file"),
     ("__pycache__/x", "Python compiled"),
     ("data", "the folder of the other"), ("data/table.txt/x", "the folder of the other")],
)  # fmt: skip
def test_names_that_no_further_file_can_have(desk: Desk, name: str, said: str) -> None:
    edit = desk.ann.create(files()).edit
    edit = desk.ann.add_file("curve", edit, "data/table.txt", b"").edit
    with pytest.raises(BadRequest, match=said):
        desk.ann.add_file("curve", edit, name, b"x")
    assert desk.ann.further(desk.ann.get("curve")) == {"data/table.txt": b""}


def test_further_files_have_limits(desk: Desk) -> None:
    edit = desk.ann.create(files()).edit
    with pytest.raises(BadRequest, match=r"has 10\.0 MB; at most 10 MB"):
        desk.ann.add_file("curve", edit, "big", bytes(10_000_001))
    for number in range(5):
        edit = desk.ann.add_file("curve", edit, f"f{number}", bytes(9_990_000)).edit
    with pytest.raises(BadRequest, match="at most 50 MB are allowed in all"):
        desk.ann.add_file("curve", edit, "f5", bytes(9_990_000))
        desk.ann.try_out("curve")


def test_a_version_is_removed_and_an_old_one_restored(any_desk: Desk) -> None:
    desk = any_desk
    first = desk.live()
    desk.ann.save("curve", desk.ann.edit_live("curve").edit, files(version="2.0", script="echo two\n"))
    desk.ann.request("curve", "faster")
    second = desk.admin.accept("curve", "").revision
    job = JobService(desk.services, ANN).create("curve", Request())
    with pytest.raises(BadRequest, match="say why"):
        desk.admin.remove("curve", "")
    desk.admin.remove("curve", "wrong counts")
    with pytest.raises(NotFound):
        desk.services.library.get("curve")
    with pytest.raises(NotFound):
        JobService(desk.services, ANN).create("curve", Request())
    assert desk.services.library.of(job).script.read_text() == "echo two\n"
    restored = desk.admin.restore("curve", first, "that one was right")
    assert restored.definition.version == "1.0"
    assert desk.services.library.get("curve").revision == first
    with pytest.raises(Conflict, match="live already"):
        desk.admin.restore("curve", first, "again")
    assert desk.told()[-2:] == [("remove", "root", "wrong counts"), ("restore", "root", "that one was right")]
    changes = {one.name: one.lines for one in between(desk.ann.files_of(first), desk.ann.files_of(second))}
    assert changes.keys() == {"job.json", "run.sh"}
    assert [line.text for line in changes["run.sh"]] == [
        "@@ -1,2 +1,2 @@", '-echo "$text" > results/out.txt', "+echo two", " ",
    ]  # fmt: skip


def test_only_what_was_live_is_restored(desk: Desk) -> None:
    desk.live()
    desk.ann.create(files("other"))
    desk.ann.request("other", "")
    (requested,) = [change for change in desk.ann.history("other") if change.action == "request"]
    live = desk.services.library.get("curve").revision
    for name, revision in (("other", requested.revision), ("other", live), ("curve", "0" * 64), ("curve", "../x")):
        with pytest.raises(NotFound, match="was never live"):
            desk.admin.restore(name, revision, "why")
    with pytest.raises(NotFound):
        desk.ann.files_of("../../etc")


@pytest.mark.parametrize("why", ["x" * 2001, "a\x1bb", "\ud800"])
def test_a_reason_is_text(desk: Desk, why: str) -> None:
    desk.ann.create(files())
    with pytest.raises(BadRequest, match="the reason: printable text"):
        desk.ann.request("curve", why)
    assert desk.ann.get("curve").state == "draft"


# --- trials --------------------------------------------------------------------------------------------


def test_a_draft_is_tried_with_its_test_values(running: Desk) -> None:
    desk = running
    desk.ann.create(files())
    job = desk.ann.try_out("curve")
    assert (job.trial, job.owner, job.run_id, job.definition) == (True, "ann", "trial", "curve")
    assert product(desk, ended(desk, job)) == "tried\n"
    assert desk.ann.get("curve").trial == job.id
    assert desk.ann.request("curve", "").trial == job.id, "an admin sees the trial of what is asked for"
    desk.ann.withdraw("curve")
    assert desk.ann.save("curve", 1, files(title="Other")).trial is None
    second = desk.ann.try_out("curve")
    assert desk.ann.get("curve").trial == second.id != job.id
    assert second.revision != job.revision
    ended(desk, second)
    with pytest.raises(NotFound):
        desk.services.library.get("curve")


def test_a_trial_leaves_the_live_version_alone(running: Desk) -> None:
    desk = running
    desk.live()
    desk.ann.save("curve", desk.ann.edit_live("curve").edit, files(script="echo draft > results/out.txt\n"))
    trial = desk.ann.try_out("curve")  # of the version that is live: no matter for a trial
    live = JobService(desk.services, BOB).create("curve", Request())
    JobService(desk.services, BOB).run(live)
    assert product(desk, ended(desk, trial)) == "draft\n"
    assert product(desk, ended(desk, live)) == "hello\n"
    assert desk.services.store.get(live.id).trial is False


def test_a_trial_is_listed_to_its_owner_and_admins_only(running: Desk) -> None:
    desk = running
    desk.live()
    desk.ann.save("curve", desk.ann.edit_live("curve").edit, files(version="2"))
    trial = ended(desk, desk.ann.try_out("curve"))

    def listed(caller: Caller) -> list[str | None]:
        return [job.run_id for job in JobService(desk.services, caller).jobs(Filter("curve"))]

    assert listed(ANN) == listed(ADMIN) == ["trial"]
    assert listed(BOB) == listed(Caller("eve")) == listed(Caller()) == []
    with pytest.raises(Forbidden):
        JobService(desk.services, BOB).job(trial.id)


def test_test_values_are_checked_like_any_others(desk: Desk) -> None:
    spec = [{"name": "table", "type": "file"}]
    desk.ann.create(files(parameters=spec, test={"table": "no-such-file.txt"}))
    with pytest.raises((InvalidParameters, DefinitionError), match="table"):
        desk.ann.try_out("curve")
    assert list(JobService(desk.services, ADMIN).jobs(Filter())) == []
    assert list((desk.services.config.folders.data / "incoming").iterdir()) == []
    assert desk.ann.get("curve").trial is None


def test_drafts_are_there_after_a_restart(desk: Desk, tmp_path: Path) -> None:
    draft: Draft = desk.ann.create(files())
    revision = desk.live("other")
    again = services_of(tmp_path)
    assert Drafts(again, BOB).get("curve") == draft
    assert again.library.get("other").revision == revision
    again.store.close()


def test_of_a_trial_that_may_not_run_now_nothing_is_left(tmp_path: Path) -> None:
    services = services_of(tmp_path, max_active=1, sandbox=SANDBOX)
    desk = Desk(services)
    desk.ann.create(files())
    first = desk.ann.try_out("curve")  # nothing runs it: it stays in the queue
    with pytest.raises(Forbidden, match="1 are allowed"):
        desk.ann.try_out("curve")
    assert [job.id for job in services.store.summaries(Filter())] == [first.id]
    services.store.close()


def test_where_no_trial_can_be_shut_in_none_is_made_and_the_author_reads_what_to_install(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = services_of(tmp_path, database=database_url, sandbox="none")
    ann = Drafts(before, ANN)
    ann.create(files())
    earlier = ann.try_out("curve")  # nothing runs it: it stays in the queue
    before.store.move(earlier.id, [Phase.QUEUED], Phase.HELD)
    before.store.close()
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox.obstacle.cache_clear()
    after = services_of(tmp_path, database=database_url)
    service = JobService(after, ANN)
    again = Request(origin=RerunOrigin(parent=earlier.id, revision=earlier.revision))
    try:
        for attempt in (
            lambda: Drafts(after, ANN).try_out("curve"),
            lambda: service.run(service.job(earlier.id)),
            lambda: service.create("curve", again),
        ):
            with pytest.raises(Forbidden, match=r"trials are refused.*Debian package bubblewrap.*sandbox = 'none'"):
                attempt()
    finally:
        sandbox.obstacle.cache_clear()
    assert [job.id for job in after.store.summaries(Filter())] == [earlier.id]
    assert list((after.config.folders.data / "incoming").iterdir()) == []
    after.store.close()


def test_an_author_has_a_limited_number_of_drafts(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uws_server.services.drafts.MOST_DRAFTS", 2)
    for name in ("one", "two"):
        desk.ann.create(files(name))
    with pytest.raises(Forbidden, match="discard some"):
        desk.ann.create(files("three"))
    desk.bob.create(files("three"))
    desk.ann.discard("one")
    desk.ann.create(files("one"))


def test_no_more_drafts_are_begun_by_beginning_them_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uws_server.services.drafts.MOST_DRAFTS", 2)
    gate = threading.Barrier(8)

    def begin(number: int) -> bool:
        gate.wait()
        try:
            desk.ann.create(files(f"draft{number}"))
        except Forbidden:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(begin, range(8))) == 2


def test_no_version_of_a_removed_definition_makes_jobs_again(desk: Desk) -> None:
    revision = desk.live()
    bob = JobService(desk.services, Caller("bob"))
    again = Request(origin=RerunOrigin(revision=revision))
    assert bob.create("curve", again).revision == revision
    desk.admin.remove("curve", "it harms")
    with pytest.raises(NotFound, match="no job definition 'curve'"):
        bob.create("curve", again)


def test_what_was_only_tried_goes_with_its_last_job(any_desk: Desk) -> None:
    desk = any_desk
    kept, old = desk.services.revisions, time.time() - 2 * 3600

    def sweep() -> None:
        for place in kept.folder.iterdir():
            os.utime(place, (old, old))
        desk.services.housekeeping.idle()
        desk.services.housekeeping.sweep_revisions()

    was_live, live = desk.live(), desk.live(version="2")
    based = desk.live(version="3")
    desk.admin.remove("curve", "no more")
    desk.live("other")
    trials = []
    for text in ("1", "2"):
        desk.ann.edit_live("other")
        desk.ann.save("other", desk.ann.get("other").edit, files("other", script=f"echo {text}\n"))
        trials.append(desk.ann.try_out("other"))
        desk.ann.discard("other")
    asked = files("asked")
    desk.ann.create(asked)
    desk.ann.request("asked", "")
    before = {place.name for place in kept.folder.iterdir()}
    sweep()
    assert {place.name for place in kept.folder.iterdir()} == before
    desk.services.life.end(trials[0])
    desk.services.life.forget(trials[0].id)
    sweep()
    assert before - {place.name for place in kept.folder.iterdir()} == {trials[0].revision}
    assert all(kept.has(digest) for digest in (was_live, live, based, trials[1].revision))
