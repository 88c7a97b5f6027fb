"""The data folder of a server of version 0.1.0, served by this build: what its users see is what they saw then.

The folder, and what the old server answered, were made by tests/data/make_data_folder.py.
"""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from astropy.io import fits

from olddata import ARCHIVE, DATA, RECORD, Seen, Who, differing, missing, settle, sha256, unpack
from pagereader import visit
from serving import Served, run_command, running_server
from uwsjobs import ENDED, define, reached

pytestmark = pytest.mark.slow

OLD: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
JOBS: dict[str, dict[str, Any]] = OLD["jobs"]
UNFINISHED: dict[str, dict[str, Any]] = OLD["unfinished"]
NEVER_SET = {("jobs", "quote")}
"""Columns that version 0.1.0 never put anything into."""
MINUTES = 300.0
"""Seconds in which what must happen has happened on any machine."""


def who(name: str | None) -> Who:
    return None if name is None else (name, OLD["tokens"][name])


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """A server on the old folder, once it has ended what the old one left unfinished."""
    with running_server(folder / "data", "--archive", str(folder / "archive")) as served:
        for job in UNFINISHED.values():
            ended(served.url + job["path"], who(job["who"]))
        yield served


def ended(job: str, as_who: Who) -> str:
    """The phase of a job, once it has ended."""
    if as_who is None:
        return reached(job, *ENDED, seconds=MINUTES)
    server, _, path = job.partition("/rest/")
    seen = Seen(server, as_who)
    while (phase := seen.document(f"/rest/{path}?WAIT=60")["phase"]) not in ENDED:
        assert phase in ("PENDING", "QUEUED", "EXECUTING"), phase
    return phase


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for the tests that change nothing."""
    with serving(settle(unpack(tmp_path_factory.mktemp("old")))) as served:
        yield served


@pytest.fixture(scope="module")
def worked_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for the tests that go on with the work, each of another job."""
    with serving(settle(unpack(tmp_path_factory.mktemp("old")))) as served:
        yield served


# --- what is in the folder ------------------------------------------------------------------------------------


def test_every_table_and_column_of_the_old_database_holds_something(tmp_path: Path) -> None:
    database = sqlite3.connect(unpack(tmp_path) / "data" / "jobs.sqlite")
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    tables = [name for name in tables if not name.startswith("sqlite_")]
    unset = set()
    for table in tables:
        assert database.execute(f"SELECT count(*) FROM {table}").fetchone()[0], table
        for _, column, *_ in database.execute(f"PRAGMA table_info({table})").fetchall():
            if not database.execute(f"SELECT count({column}) FROM {table}").fetchone()[0]:
                unset.add((table, column))
    database.close()
    assert len(tables) == 12
    assert unset == NEVER_SET


def test_the_old_folder_holds_jobs_in_every_phase_that_can_be_on_disk() -> None:
    phases = {job["document"]["phase"] for job in (*JOBS.values(), *UNFINISHED.values())}
    assert phases == {
        *("PENDING", "HELD", "QUEUED", "EXECUTING", "SUSPENDED"),
        *("COMPLETED", "ERROR", "ABORTED", "ARCHIVED"),
    }


# --- each job -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", JOBS)
def test_a_job_is_told_as_it_was(looked_at: Served, label: str) -> None:
    then, seen = JOBS[label], Seen(looked_at.url, who(JOBS[label]["who"]))
    now = seen.job(then["path"])
    assert differing(then["document"], now["document"]) == {}
    assert now["files"] == then["files"]
    assert now["inputs"] == then["inputs"]
    assert missing(then["links"], now["links"]) == []
    for kind, names in then["provenance"].items():
        assert missing(names, now["provenance"][kind]) == [], kind


@pytest.mark.parametrize("label", [*JOBS, *UNFINISHED])
def test_a_job_has_its_page(looked_at: Served, label: str) -> None:
    then = JOBS.get(label) or UNFINISHED[label]
    session = requests.Session()
    session.auth = who(then["who"])
    page = visit(f"{looked_at.url}/jobs/{then['document']['jobId']}", session)
    now = Seen(looked_at.url, session.auth).document(then["path"])
    words = page.text("//body")
    assert page.status == 200
    assert now["phase"].lower() in words.lower()
    for name, text, by_reference in now["parameters"]:
        assert name in words
        shown = Path(text).name if text.startswith(OLD["url"]) else " ".join(text.split())
        assert by_reference or shown in words, name
    for name, *_ in now["results"]:
        assert page.all(f"//main//a[contains(@href, '/{name}') or contains(@href, '/store/')]"), name
    assert now["error"] is None or now["error"][1].split(";")[0].lower() in words.lower()


# --- what the old server had left unfinished -------------------------------------------------------------------


def finished(served: Served, label: str, *changed: str) -> dict[str, Any]:
    """The document of such a job now, which differs from what it was in nothing but `changed`."""
    then = UNFINISHED[label]
    now = Seen(served.url, who(then["who"])).document(then["path"])
    assert differing(then["document"], now).keys() <= {"phase", "endTime", "results", *changed}
    return now


def test_a_job_that_ended_while_no_server_ran_is_registered(looked_at: Served) -> None:
    now = finished(looked_at, "running")
    assert (now["phase"], now["error"]) == ("COMPLETED", None)
    assert now["endTime"] == end_of(now["jobId"]), "when its script ended, not when that was noticed"
    result = Seen(looked_at.url).content(f"{UNFINISHED['running']['path']}/results/result")
    assert result == b"finished without its server\n"


def end_of(job_id: str) -> str:
    """When the script of a job ended, as the file that it left says it."""
    with tarfile.open(ARCHIVE) as tar:
        content = tar.extractfile(f"data/jobs/{job_id[:2]}/{job_id}/status.json")
        assert content is not None
        end = datetime.fromtimestamp(json.load(content)["end"], UTC)
    return end.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_queued_jobs_are_run(looked_at: Served) -> None:
    now = finished(looked_at, "in line", "startTime")
    assert (now["phase"], now["error"]) == ("COMPLETED", None)
    result = Seen(looked_at.url, who("boss")).content(f"{UNFINISHED['in line']['path']}/results/result")
    assert result == b"next, please\n"


def test_a_chain_that_had_not_begun_is_run(looked_at: Served) -> None:
    """It makes again what a chain of the old server had made, of the same files."""
    first, second = (finished(looked_at, label, "startTime") for label in ("queued", "waiting"))
    assert (first["phase"], second["phase"]) == ("COMPLETED", "COMPLETED"), (first["error"], second["error"])
    assert first["endTime"] <= second["startTime"]
    seen = Seen(looked_at.url)
    for label, model in (("queued", "spectrum"), ("waiting", "second")):
        for name in ("source_spectrum", "events"):
            made, before = (seen.content(f"{path}/results/{name}") for path in
                            (UNFINISHED[label]["path"], JOBS[model]["path"]))  # fmt: skip
            assert science(made) == science(before), (label, name)


def test_a_suspended_job_whose_machine_is_gone_is_told_to_be_lost(looked_at: Served) -> None:
    now = finished(looked_at, "suspended", "error")
    assert now["phase"] == "ERROR"
    kind, message = now["error"]
    assert (kind, "run the job again" in message) == ("transient", True), message


# --- many jobs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OLD["lists"])
def test_the_lists_hold_what_they_held_for_each_caller(looked_at: Served, name: str) -> None:
    seen = Seen(looked_at.url, who(None if name == "None" else name))
    unfinished = {job["path"] for job in UNFINISHED.values()}
    for definition, then in OLD["lists"][name].items():
        now = seen.listed(definition)
        assert [each[0] for each in now] == [each[0] for each in then], "in the same order"
        for before, after in zip(then, now, strict=True):
            assert after == before or (before[0] in unfinished and [after[0], *after[2:]] == [before[0], *before[2:]])


def test_archived_jobs_are_listed_where_they_are_asked_for(looked_at: Served) -> None:
    seen = Seen(looked_at.url, who("boss"))
    assert {name: seen.listed(name, PHASE="ARCHIVED") for name in OLD["archived"]} == OLD["archived"]


def test_the_table_of_products_holds_what_it_held(looked_at: Served) -> None:
    now = Seen(looked_at.url, who("boss")).obscore()
    assert len(OLD["obscore"]) > 10
    for address, then in OLD["obscore"].items():
        assert differing(then, now[address]) == {}, address
    for name, addresses in OLD["obscore of"].items():
        mine = Seen(looked_at.url, who(None if name == "None" else name)).obscore().keys()
        assert set(addresses) == mine & OLD["obscore"].keys(), name


# --- who may do what ------------------------------------------------------------------------------------------


def test_owned_jobs_are_for_their_owner_and_admins(looked_at: Served) -> None:
    for job in JOBS.values():
        answers = {name: Seen(looked_at.url, who(name)).get(job["path"]).status_code for name in (None, "ann", "boss")}
        own = {None: {None: 200, "ann": 200}, "ann": {None: 401, "ann": 200}, "boss": {None: 401, "ann": 403}}
        assert answers == {**own[job["who"]], "boss": 200}, job["path"]


def test_tokens_hold_and_a_disabled_account_stays_out(looked_at: Served) -> None:
    for name, token, status in (
        ("ann", OLD["tokens"]["ann"], 200), ("ann", OLD["tokens"]["boss"], 401), ("guest", OLD["tokens"]["guest"], 401)
    ):  # fmt: skip
        assert Seen(looked_at.url, (name, token)).get("/rest/dummy").status_code == status, name


def test_a_share_link_shows_its_job_and_no_other(looked_at: Served) -> None:
    nobody = Seen(looked_at.url)
    path, share = JOBS["public"]["path"], OLD["share"]
    assert nobody.document(f"{path}?share={share}")["ownerId"] == "ann"
    assert nobody.content(f"{path}/results/result", share=share) == b"shared\n"
    page = visit(f"{looked_at.url}/jobs/{path.rpartition('/')[2]}?share={share}")
    assert (page.status, "shared" in page.text()) == (200, True)
    assert nobody.get(JOBS["stacked"]["path"], share=share).status_code == 401


# --- definitions ----------------------------------------------------------------------------------------------


def test_definitions_are_there_in_every_version(looked_at: Served) -> None:
    ann = Seen(looked_at.url, who("ann"))
    assert ann.definitions()["stack"] == OLD["revisions"]["2.0"]
    assert "retired" not in ann.definitions()
    for version, revision in OLD["revisions"].values():
        page = visit(f"{looked_at.url}/definitions/stack/versions/{revision}", ann.session)
        assert (page.status, f"stacked by version {version}" in page.text()) == (200, True)
    for name in ("dummy", "spectrum"):
        revision = OLD["definitions"][name][1]
        assert ann.get(f"/definitions/{name}/versions/{revision}").status_code == 200
    for name, words in (("stack", ("Made live", "looks right")), ("retired", ("Removed", "nobody needs it"))):
        told = visit(f"{looked_at.url}/definitions/{name}", ann.session).text()
        assert all(word in told for word in words), told


def test_drafts_are_there_with_their_trial_and_their_state(looked_at: Served) -> None:
    ann = Seen(looked_at.url, who("ann"))
    draft = visit(f"{looked_at.url}/definitions/stack/edit", ann.session)
    assert draft.all("//input[@name='version']/@value") == ["3.0"]
    assert "stacked by version 3.0" in draft.all("//textarea[@name='script']")[0].text_content()
    assert draft.all(f"//a[contains(@href, '{JOBS['trial']['document']['jobId']}')]")
    assert "Waits for validation" in visit(f"{looked_at.url}/definitions/later/edit", ann.session).text()
    assert ann.get("/definitions/dropped/edit").status_code == 404


# --- the work goes on -----------------------------------------------------------------------------------------


def post(served: Served, path: str, name: str | None, values: Any, files: Any = None) -> requests.Response:
    return requests.post(
        served.url + path, data=values, files=files, auth=who(name), allow_redirects=False, timeout=300
    )


def science(content: bytes) -> list[tuple[str, str, str, bytes]]:
    """Name, kind, exposure and data of each HDU, but for the VO-TAGS."""
    with fits.open(io.BytesIO(content)) as hdus:
        return [
            (hdu.name, hdu.header.get("XTENSION", ""), str(hdu.header.get("EXPOSURE")),
             b"" if hdu.data is None else hdu.data.tobytes())
            for hdu in hdus if hdu.name != "VO-TAGS"
        ]  # fmt: skip


@pytest.mark.parametrize("label", ["spectrum", "second", "again", "chain", "copied"])
def test_an_old_job_is_run_again_and_makes_the_same(worked_on: Served, label: str) -> None:
    old = JOBS[label]
    answer = post(worked_on, f"{old['path']}/rerun", old["who"], {"PHASE": "RUN"})
    assert answer.status_code == 303, answer.text
    job = answer.headers["Location"]
    seen = Seen(worked_on.url, who(old["who"]))
    assert ended(job, who(old["who"])) == "COMPLETED", seen.document(job.removeprefix(worked_on.url))
    made = seen.document(job.removeprefix(worked_on.url))
    assert [each[0] for each in made["results"]] == [each[0] for each in old["document"]["results"]]
    compared = 0
    for name, href, _, mime in made["results"]:
        if mime == "application/fits":
            assert science(seen.content(href)) == science(seen.content(f"{old['path']}/results/{name}")), name
            compared += 1
    assert compared >= 2


def test_an_old_job_is_run_again_with_its_own_version(worked_on: Served) -> None:
    answer = post(worked_on, f"{JOBS['stacked']['path']}/rerun", "ann", {"PHASE": "RUN", "words": "new words"})
    assert answer.status_code == 303, answer.text
    path = answer.headers["Location"].removeprefix(worked_on.url)
    assert ended(worked_on.url + path, who("ann")) == "COMPLETED"
    made = Seen(worked_on.url, who("ann")).content(f"{path}/results/stacked")
    assert made == b"stacked by version 1.0\nnew words\none\ntwo\n"


def test_a_held_job_is_run_and_a_pending_one_changed(worked_on: Served) -> None:
    held, pending = JOBS["held"]["path"], JOBS["pending"]["path"]
    assert post(worked_on, f"{held}/phase", None, {"PHASE": "RUN"}).status_code == 303
    assert ended(worked_on.url + held, None) == "COMPLETED"
    assert Seen(worked_on.url).content(f"{held}/results/result") == b"later\n"

    answer = post(worked_on, f"{pending}/parameters", "ann", {"count": "9"})
    assert answer.status_code == 303, answer.text
    ann = Seen(worked_on.url, who("ann"))
    now, then = ann.document(pending)["parameters"], JOBS["pending"]["document"]["parameters"]
    assert now == [["count", "9", None] if name == "count" else [name, *others] for name, *others in then]
    assert {path: sha256(ann.content(path)) for path in JOBS["pending"]["inputs"]} == JOBS["pending"]["inputs"]


def test_the_limits_of_an_account_hold_and_count_what_is_there(worked_on: Served) -> None:
    for _ in range(2):
        assert post(worked_on, "/rest/dummy", "ann", {"seconds": "600", "PHASE": "RUN"}).status_code == 303
    third = post(worked_on, "/rest/dummy", "ann", {"PHASE": "RUN"})
    assert (third.status_code, "2 are allowed" in third.text) == (403, True), third.text
    # with what its old jobs hold, two megabytes are too many; without them they would just fit
    answer = post(worked_on, "/rest/stack", "ann", {}, {"tables": ("t.txt", b"x" * 1_999_000)})
    assert (answer.status_code, "2.0 MB are allowed" in answer.text) == (403, True), answer.text
    for path, phase, *_ in Seen(worked_on.url, who("ann")).listed("dummy"):
        if phase in ("QUEUED", "EXECUTING"):
            post(worked_on, f"{path}/phase", "ann", {"PHASE": "ABORT"})


def test_a_draft_that_waited_is_made_live_and_a_removed_definition_restored(worked_on: Served) -> None:
    boss = requests.Session()
    boss.auth = who("boss")
    live = visit(f"{worked_on.url}/definitions/later/edit", boss).send("/edit", {"_do": "accept", "_why.accept": "yes"})
    assert "It is live now" in live.text()
    restored = visit(f"{worked_on.url}/definitions/retired", boss).send("/restore", {"_why": "somebody does"})
    assert restored.status == 200, restored.text()
    assert {"later", "retired"} <= Seen(worked_on.url).definitions().keys()
    job = post(worked_on, "/rest/later", None, {"words": "at last", "PHASE": "RUN"}).headers["Location"]
    assert ended(job, None) == "COMPLETED"


# --- commands, and what is left on disk -------------------------------------------------------------------------


def command(folder: Path, *words: str) -> list[str]:
    """The lines that a command prints about the data folder."""
    done = run_command(*words, "--data", str(folder / "data"))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_commands_take_the_old_folder(tmp_path: Path) -> None:
    folder = unpack(tmp_path)
    assert command(folder, "db", "version")
    (upgraded,) = command(folder, "db", "upgrade")
    assert upgraded.startswith("the database is at version ")
    assert command(folder, "accounts", "list") == OLD["accounts"]
    assert command(folder, "check", "--files")[-1].endswith("all as they were")


def test_no_file_of_the_old_jobs_and_definitions_is_touched(tmp_path: Path) -> None:
    """A server that starts destroys what is due and sweeps what belongs to nothing; here is nothing of either."""
    folder = settle(unpack(tmp_path))
    with serving(folder):
        pass  # when it has stopped, the tidying that begins with it is done
    unfinished = tuple(job["document"]["jobId"] for job in UNFINISHED.values())
    compared = 0
    with tarfile.open(ARCHIVE) as tar:
        for member in tar.getmembers():
            if not member.isreg() or not member.name.startswith(("data/jobs/", "data/definitions/", "archive/")):
                continue
            if member.name.split("/")[3:4] and member.name.split("/")[3] in unfinished:
                continue
            content = tar.extractfile(member)
            assert content is not None
            assert sha256((folder / member.name).read_bytes()) == sha256(content.read()), member.name
            compared += 1
    assert compared > 150
    assert command(folder, "check", "--files")[-1].endswith("all as they were")


# --- the configuration ----------------------------------------------------------------------------------------


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server with the old configuration, in whose folder it was started."""
    unpack(tmp_path)
    shutil.move(tmp_path / "data" / "jobs.sqlite", tmp_path / "elsewhere.sqlite")
    parameters = [{"name": "text", "type": "string"}, {"name": "link", "type": "url"}]
    parameters += [{"name": "list", "type": "eventlist"}]
    script = 'mkdir -p results; echo "$OLD_SETTING, $OTHER_SETTING, $THIRD_SETTING" > results/result\n'
    script += 'if [ -n "$list" ]; then cp "$list" results/list.fits; fi\n'
    results = [{"name": "result", "file": "result", "mime": "text/plain"}]
    control = {"duration": {"default": 60, "max": 600}}
    define(tmp_path / "definitions", "tell", script, parameters=parameters, results=results, control=control)
    (tmp_path / "downtime.toml").write_text(
        "down_at = 2126-01-01T00:00:00Z\nback_at = 2126-01-02T00:00:00Z\nnote = 'a new roof'\n"
    )
    shutil.copy(DATA / "server-0.1.0.toml", tmp_path / "server.toml")
    for name in ("OLD_SETTING", "OTHER_SETTING", "THIRD_SETTING"):
        monkeypatch.setenv(name, f"value of {name}")
    monkeypatch.chdir(tmp_path)
    with running_server(Path("data"), "--config", "server.toml") as served:
        yield served


def test_the_old_configuration_is_read(configured: Served) -> None:
    """Every key stands in it, and what can be seen of the keys is seen."""
    boss = Seen(configured.url, who("boss"))
    assert boss.document(JOBS["text"]["path"])["runId"] == "first <run>", "database"
    assert "tell" in boss.definitions()
    assert "a new roof" in boss.content("/availability").decode()

    rows = boss.obscore().keys()
    job = post(configured, "/rest/tell", "boss", {"PHASE": "RUN", "list": "P0999990101PNS003PIEVLI0000"})
    assert job.status_code == 303, job.text
    path = job.headers["Location"].removeprefix(configured.url)
    assert ended(configured.url + path, who("boss")) == "COMPLETED"
    told = boss.document(path)
    assert told["executionDuration"] == "45"
    assert boss.content(f"{path}/results/result") == b"value of OLD_SETTING, value of OTHER_SETTING, \n"
    created, destroyed = (told[name] for name in ("creationTime", "destruction"))
    assert days_between(created, destroyed) == 7
    (row,) = [row for address, row in boss.obscore().items() if address not in rows]
    assert row["obs_publisher_did"].startswith("ivo://old.example.org/uws?")
    assert (row["data_rights"], row["publisher_id"]) == ("secure", "ivo://old.example.org/uws")

    link = post(configured, "/rest/tell", "boss", {"link": "https://data.example.com/x"})
    assert link.status_code == 400
    assert "*.example.org" in link.text
    assert "data.example.net:8443" in link.text
    for allowed in ("http://data.example.org/x", "https://data.example.net:8443/x"):
        assert post(configured, "/rest/tell", "boss", {"link": allowed}).status_code == 303, allowed
    assert post(configured, "/rest/tell", "boss", {"text": "x" * 30_000}).status_code == 413
    assert Seen(configured.url).listed("tell") == [], "anonymous callers are unlisted"
    assert Seen(configured.url).get(path).status_code == 401


def days_between(first: str, last: str) -> float:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds() / 86400
