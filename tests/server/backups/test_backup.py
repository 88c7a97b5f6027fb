"""Backups of a server that works meanwhile, and the servers that are made of them, on either database and from one to
the other."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from joblab import OUT, Lab, Remote
from postgres import Cluster
from processes import until
from serving import COMMAND, run_command
from uws_server.backups import manifest, restoring, taking
from uws_server.backups.manifest import BackupError, Manifest
from uws_server.storage import dump, migrate
from uwsjobs import define

SENTENCE = "the job was running when the backup of"
SUMS = 'cat "$source" > results/out.txt; sleep "$seconds"'
LONG = 100_000


@pytest.fixture
def lab(tmp_path: Path, database_url: str) -> Iterator[Lab]:
    made = Lab(tmp_path / "lab", database_url)
    parameters = [{"name": "source", "type": "file"}, {"name": "seconds", "type": "float", "default": 0}]
    define(made.definitions, "sums", SUMS, parameters=parameters, results=[OUT])
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database to restore into."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'restored.sqlite'}"
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    with cluster.lent_database() as url:
        yield url


def restored_lab(lab: Lab, url: str) -> Lab:
    """A lab with the same definitions over another folder and database."""
    made = Lab(lab.root, url)
    made.data = lab.root.parent / "restored"
    return made


def command(lab: Lab, *words: str) -> subprocess.CompletedProcess[str]:
    config = lab.root / f"{lab.data.name}.toml"
    config.write_text(f"[folders]\ndata = {str(lab.data)!r}\ndatabase = {lab.database!r}\n", encoding="utf-8")
    return run_command(words[0], "--config", str(config), *words[1:])


def told(lab: Lab, *words: str) -> str:
    done = command(lab, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def with_file(lab: Lab, content: bytes, **form: str) -> Remote:
    assert lab.served is not None
    answer = lab.session.post(
        f"{lab.served.url}/rest/sums", data=form, files={"source": content}, allow_redirects=False, timeout=300
    )
    assert answer.status_code == 303, answer.text
    return Remote(answer.headers["Location"], lab.session)


def made_of(job: Remote) -> str:
    """The SHA-256 of what a job made."""
    return hashlib.sha256(job.session.get(f"{job.url}/results/out", timeout=300).content).hexdigest()


class Load(threading.Thread):
    """A client that makes jobs and deletes every third of those that have ended, until it is told to stop."""

    def __init__(self, lab: Lab, number: int) -> None:
        super().__init__(name=f"load {number}")
        assert lab.served is not None
        self.url, self.number, self.stopping = lab.served.url, number, threading.Event()
        self.kept: dict[str, str] = {}
        """The SHA-256 of what each job is to make, by its address, of jobs that were not deleted."""

    def run(self) -> None:
        with requests.Session() as session:
            for turn in range(10**6):
                if self.stopping.is_set():
                    return
                content = f"{self.number} {turn}".encode() * LONG
                answer = session.post(
                    f"{self.url}/rest/sums",
                    data={"PHASE": "RUN"},
                    files={"source": content},
                    allow_redirects=False,
                    timeout=300,
                )
                assert answer.status_code == 303, answer.text
                job = answer.headers["Location"]
                if turn % 3 == 0:
                    session.get(f"{job}?WAIT=10", timeout=300)
                    session.delete(job, allow_redirects=False, timeout=300)
                else:
                    self.kept[job] = hashlib.sha256(content).hexdigest()


def test_nothing_is_lost_that_was_acknowledged_before(lab: Lab, other: str, tmp_path: Path) -> None:
    with lab.serving():
        loads = [Load(lab, number) for number in range(3)]
        for load in loads:
            load.start()
        until(lambda: sum(len(load.kept) for load in loads) >= 20, what="there are jobs")
        acknowledged = {job: digest for load in loads for job, digest in list(load.kept.items())}
        told(lab, "backup", str(tmp_path / "backups"))
        told(lab, "backup", str(tmp_path / "backups" / "later"))
        for load in loads:
            load.stopping.set()
            load.join()
    after = restored_lab(lab, other)
    for place in ("backups",):
        assert "jobs" in told(after, "restore", str(tmp_path / place))
    with after.serving():
        for address, digest in acknowledged.items():
            job = after.again(Remote(address, after.session))
            if job.ended() == "ERROR":
                assert SENTENCE in job.text("message")
            else:
                assert made_of(job) == digest
    assert "all as they were" in told(after, "check", "--files")
    after.close()


def test_a_job_that_ran_is_not_run_again(lab: Lab, other: str, tmp_path: Path) -> None:
    with lab.serving(max_running=1):
        done = lab.run(label="done")
        assert done.ended() == "COMPLETED"
        running = lab.run(label="running", gate=str(tmp_path / "gate"))
        until(lambda: "begin running" in lab.tracked(), what="it runs")
        queued, held = lab.run(label="queued"), lab.run(label="held")
        held.session.post(f"{held.url}/phase", data={"PHASE": "HOLD"}, timeout=300)
        pending = with_file(lab, b"given" * LONG)
        told(lab, "backup", str(tmp_path / "backups"))
        (tmp_path / "gate").touch()
        assert running.ended() == queued.ended() == "COMPLETED"
    lab.track.unlink()
    after = restored_lab(lab, other)
    told(after, "restore", str(tmp_path / "backups"))
    with after.serving():
        done, running, queued, pending = (after.again(job) for job in (done, running, queued, pending))
        assert (done.phase(), made_of(done)) == ("COMPLETED", hashlib.sha256(b"done\n").hexdigest())
        assert running.phase() == "ERROR"
        assert SENTENCE in running.session.get(f"{running.url}/error", timeout=300).text
        assert queued.ended() == "COMPLETED"
        assert pending.phase() == "PENDING"
        pending.session.post(f"{pending.url}/phase", data={"PHASE": "RUN"}, timeout=300)
        assert pending.ended() == "COMPLETED"
        assert made_of(pending) == hashlib.sha256(b"given" * LONG).hexdigest()
        assert lab.tracked() == ["begin queued", "end queued"]
        new = after.run(label="new")
        assert new.ended() == "COMPLETED"
    after.close()


def test_jobs_that_change_while_files_are_copied_come_whole(lab: Lab, tmp_path: Path) -> None:
    """The rows are read, then a job is deleted and another one gets another file."""
    with lab.serving():
        doomed, changed = with_file(lab, b"doomed", PHASE="RUN"), with_file(lab, b"before")
        assert doomed.ended() == "COMPLETED"
        acted = []

        def act(_so_far: str) -> None:
            if not acted:
                acted.append(True)
                assert doomed.session.delete(doomed.url, allow_redirects=False, timeout=300).status_code == 303
                answer = changed.session.post(
                    f"{changed.url}/parameters", files={"source": b"after"}, allow_redirects=False, timeout=300
                )
                assert answer.status_code == 303, answer.text

        place, made = taking.take(lab.database, lab.data, tmp_path / "backups", act)
    assert (made.deleted, list(made.parameters), made.lacking) == ((doomed.id,), [changed.id], ())
    assert doomed.id not in " ".join(entry.path for entry in manifest.entries(place))
    after = restored_lab(lab, f"sqlite:///{tmp_path / 'restored.sqlite'}")
    told(after, "restore", str(place))
    with after.serving():
        assert requests.get(after.again(doomed).url, timeout=300).status_code == 404
        job = after.again(changed)
        job.session.post(f"{job.url}/phase", data={"PHASE": "RUN"}, timeout=300)
        assert job.ended() == "COMPLETED"
        assert made_of(job) == hashlib.sha256(b"after").hexdigest()
    after.close()


def test_a_second_backup_holds_once_what_did_not_change(lab: Lab, tmp_path: Path) -> None:
    with lab.serving():
        first = with_file(lab, b"first", PHASE="RUN")
        assert first.ended() == "COMPLETED"
        told(lab, "backup", str(tmp_path))
        second = with_file(lab, b"second", PHASE="RUN")
        assert second.ended() == "COMPLETED"
        time.sleep(1.1)  # backups are named by the second
        told(lab, "backup", str(tmp_path))
    one, two = manifest.wholes(tmp_path)
    file = f"files/jobs/{first.id[:2]}/{first.id}/results/out.txt"
    assert (one / file).samefile(two / file)
    assert not (lab.folder(first) / "results/out.txt").samefile(two / file), "what writes there does not reach it"
    assert second.id in " ".join(entry.path for entry in manifest.entries(two))
    for path in (one, two):
        assert path.stat().st_mode & 0o077 == 0, "nobody else reads it"


# --- bad backups ---------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A backup of one job, in SQLite."""
    lab = Lab(tmp_path / "small", f"sqlite:///{tmp_path / 'small.sqlite'}")
    with lab.serving():
        assert lab.run(label="small").ended() == "COMPLETED"
        place, _ = taking.take(lab.database, lab.data, tmp_path / "backups")
    return place


def refusal(backup: Path, tmp_path: Path) -> str:
    """Why a backup cannot be restored; nothing is written then."""
    data, url = tmp_path / "new", f"sqlite:///{tmp_path / 'new.sqlite'}"
    with pytest.raises(BackupError) as caught:
        restoring.restore(restoring.chosen(backup), url, data)
    assert not data.exists() or not list(data.iterdir())
    assert dump.is_empty(url)
    return str(caught.value)


def test_a_missing_and_a_changed_file_are_named(small: Path, tmp_path: Path) -> None:
    results = list((small / "files").rglob("out.txt"))
    logs = list((small / "files").rglob("status.json"))
    content = bytearray(results[0].read_bytes())
    content[0] ^= 1
    results[0].write_bytes(content)
    logs[0].unlink()
    sentence = refusal(small, tmp_path)
    assert f"{results[0]} was changed" in sentence
    assert f"{logs[0]} is missing" in sentence


@pytest.mark.parametrize("name", ["rows.jsonl.gz", "files.jsonl.gz"])
def test_a_changed_list_is_named(small: Path, tmp_path: Path, name: str) -> None:
    content = bytearray((small / name).read_bytes())
    content[-1] ^= 1
    (small / name).write_bytes(content)
    assert name in refusal(small, tmp_path)


@pytest.mark.parametrize(("key", "value", "words"), [("revision", "9999", "newer version"), ("format", 2, "format 2")])
def test_one_of_a_newer_version_is_refused(small: Path, tmp_path: Path, key: str, value: object, words: str) -> None:
    content = json.loads((small / "manifest.json").read_text())
    (small / "manifest.json").write_text(json.dumps(content | {key: value}))
    assert words in refusal(small, tmp_path)


def test_one_that_did_not_come_to_its_end_is_none(small: Path, tmp_path: Path) -> None:
    (small / "manifest.json").unlink()
    assert "no whole backup" in refusal(small, tmp_path)
    assert "no whole backup" in refusal(small.parent, tmp_path)


def test_a_backup_that_is_killed_leaves_nothing_that_passes_for_one(lab: Lab, tmp_path: Path) -> None:
    with lab.serving():
        for _ in range(3):
            with_file(lab, b"x" * 30_000_000, PHASE="RUN")
        told(lab, "backup", str(tmp_path / "other"))
        place = tmp_path / "backups"
        words = [*COMMAND, "backup", "--config", str(lab.root / "data.toml"), str(place)]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: list(place.glob(".begun-*/files/jobs")) or process.poll() is not None, what="files are copied")
        process.send_signal(signal.SIGKILL)
        process.wait()
        for found in manifest.wholes(place):  # it may have come to its end before
            list(manifest.require_sound(found, Manifest.read(found)))
        told(lab, "backup", str(place))
    assert not list(place.glob(".begun-*"))


def test_what_is_there_is_never_overwritten(small: Path, tmp_path: Path) -> None:
    data, url = tmp_path / "there", f"sqlite:///{tmp_path / 'small.sqlite'}"
    with pytest.raises(BackupError, match="has rows already"):
        restoring.restore(small, url, data)
    data.mkdir(exist_ok=True)
    (data / "note").write_text("mine")
    with pytest.raises(BackupError, match="is not empty"):
        restoring.restore(small, f"sqlite:///{tmp_path / 'new.sqlite'}", data)
    assert [path.name for path in data.iterdir()] == ["note"]


def test_a_backup_goes_nowhere_into_the_data_folder(lab: Lab) -> None:
    with lab.serving():
        done = command(lab, "backup", str(lab.data / "backups"))
    assert done.returncode == 2
    assert "lies in the data folder" in done.stderr
    assert not (lab.data / "backups").exists()


def test_one_of_an_older_version_is_upgraded(small: Path, tmp_path: Path) -> None:
    """The rows go into tables of their own revision, which the migrations then bring up to date."""
    url = f"sqlite:///{tmp_path / 'older.sqlite'}"
    row = {"id": "1" * 32, "definition": "d", "version": "1", "phase": "COMPLETED", "created": 1, "parameters": "{}",
           "execution_duration": 60}  # fmt: skip
    dump.load(url, "0004", [("jobs", row)], lambda: None)
    assert migrate.current(url) == migrate.HEAD
    with dump.snapshot(url) as held, (tmp_path / "rows").open("w") as stream:
        held.write(stream, lambda: None)
    with (tmp_path / "rows").open() as stream:
        (found,) = (each for table, each in dump.rows(stream) if table == "jobs")
    assert (found["id"], found["warning"]) == ("1" * 32, None)
