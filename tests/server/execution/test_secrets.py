"""Secrets of jobs: who gets whose, by which file, and where they never come."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from joblab import OUT, Lab, Remote
from processes import until
from serving import COMMAND, run_command
from starts import warm_processes
from uws_server.config import Config
from uws_server.errors import ConfigurationError, DefinitionError, Forbidden
from uws_server.execution import job_secrets, local, sandbox
from uws_server.execution.job_secrets import Asking, JobSecrets
from uws_server.jobs.definition import Control, Definition, Entry
from uws_server.jobs.formats import native
from uws_server.jobs.job import utcnow
from uws_server.storage.accounts import Account, AccountStore
from uws_server.storage.database import engine_for
from uws_server.storage.definitions import DefinitionStore
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore
from uws_server.storage.secrets import SecretStore
from uwsjobs import define

NAME, OWN, OPERATORS = "xsa_token", "own-value-9f8e7d", "operators-value-1a2b3c"
NEEDS = {"secrets": [NAME]}
GATE = [{"name": "gate", "type": "string"}, {"name": "code", "type": "integer", "default": 0}]
SHELL = """
printf %s "$(cat "$UWS_SECRET_xsa_token")" | sha256sum > results/out.txt
stat -c %a "$UWS_SECRET_xsa_token" "$(dirname "$UWS_SECRET_xsa_token")" >> results/out.txt
ls -A "$(dirname "$(dirname "$UWS_SECRET_xsa_token")")" >> results/out.txt
value=$(cat "$UWS_SECRET_xsa_token")
echo "[STAGE 1/2] with $value"
printf %s "cut ${value:0:7}"; sleep 0.3; echo "${value:7}"
while [ "$gate" ] && [ ! -e "$gate" ]; do sleep 0.05; done
echo "[ERROR] refused: $value" >&2
exit "$code"
"""
PYTHON = """
import hashlib, os, pathlib, sys
import numpy
value = pathlib.Path(os.environ["UWS_SECRET_xsa_token"]).read_bytes()
pathlib.Path("results/out.txt").write_text(hashlib.sha256(value).hexdigest())
print("forked" if "uws_server.execution.supervisor" in sys.modules else "new", value.decode())
"""
SPREAD = {"name": "word", "type": "string", "max_values": 9, "required": True, "spread": True}
EACH = 'cat "$UWS_SECRET_xsa_token"; echo; sha256sum < "$UWS_SECRET_xsa_token" > results/out.txt'
needs_bubblewrap = pytest.mark.skipif(bool(sandbox.obstacle()), reason=f"no sandbox here: {sandbox.obstacle()}")


class House(Lab):
    """A lab with definitions that need a secret, and an account that may have one."""

    def __init__(self, root: Path, database: str) -> None:
        super().__init__(root, database)
        define(self.definitions, "asks", SHELL, parameters=GATE, results=[OUT], control=NEEDS)
        define(self.definitions, "python", PYTHON, "python", results=[OUT], control=NEEDS)
        self.folder_of_operator = root / "secrets"
        self.folder_of_operator.mkdir(mode=0o700)
        self.name = ""

    def put_operators(self, value: str = OPERATORS) -> None:
        (self.folder_of_operator / NAME).write_text(f"{value}\n")
        (self.folder_of_operator / NAME).chmod(0o600)

    def config(self) -> Path:
        path = self.root / "server.toml"
        path.write_text(f"[folders]\ndata = {str(self.data)!r}\ndatabase = {self.database!r}\n", encoding="utf-8")
        return path

    def sign_in(self, name: str = "ann", *options: str) -> None:
        words = ["accounts", "add", name, "--config", str(self.config()), *options]
        done = run_command(*words)
        assert done.returncode == 0, done.stderr
        self.session.auth = (name, done.stdout.split()[1])

    def set_own(self, value: str = OWN, name: str = NAME) -> requests.Response:
        assert self.served is not None
        page = self.session.get(f"{self.served.url}/account", timeout=300).text
        token = re.search(r'name="_token" value="([^"]+)"', page)
        assert token is not None
        form = {"_token": token[1], "name": name, "value": value}
        return self.session.post(f"{self.served.url}/account/secrets", data=form, timeout=300)

    def refusal(self, name: str = "asks") -> str:
        assert self.served is not None
        answer = self.session.post(f"{self.served.url}/rest/{name}", allow_redirects=False, timeout=300)
        assert answer.status_code == 403, answer.text
        return answer.text

    def given(self) -> list[Path]:
        return [path for path in self.data.glob("secrets/*/*") if path.is_file()]


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    made = House(tmp_path / "house", database_url)
    yield made
    made.close()


def out(job: Remote) -> list[str]:
    return job.session.get(f"{job.url}/results/out", timeout=300).text.split()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def places_with(folder: Path, value: str) -> list[str]:
    """The files below a folder that hold a value."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [str(path.relative_to(folder)) for path in found if value.encode() in path.read_bytes()]


def test_a_job_has_its_owners_secret_and_nothing_else_does(house: House, tmp_path: Path) -> None:
    house.put_operators()
    with house.serving(secrets=house.folder_of_operator, log_format="json") as served:
        house.sign_in()
        assert house.set_own().status_code == 200
        job = house.create("asks", PHASE="RUN", code="3", gate=str(tmp_path / "gate"))
        until(lambda: "[STAGE" in job.session.get(f"{job.url}/log", timeout=300).text, what="it has printed")
        (path,) = house.given()
        assert (path.read_text(), oct(path.stat().st_mode)[-3:]) == (OWN, "400")
        assert oct(path.parent.stat().st_mode)[-3:] == "700"
        (tmp_path / "gate").touch()
        assert job.ended() == "ERROR"
        assert house.given() == []
        assert out(job)[0] == sha256(OWN), "its own goes before the operator's"
        log = job.session.get(f"{job.url}/log", timeout=300).text
        assert log.splitlines()[:2] == [f"[STAGE 1/2] with [secret {NAME}]", f"cut [secret {NAME}]"]
        assert f"refused: [secret {NAME}]" in job.session.get(f"{job.url}/error", timeout=300).text
        pages = ("", "/log", "/stdout", "/stderr", "/parameters", "/results", "/error")
        texts = [job.session.get(f"{job.url}{page}", timeout=300).text for page in pages]
        page = f"{served.url}/jobs/{job.id}"
        texts += [house.session.get(place, timeout=300).text for place in (f"{served.url}/account", page)]
        assert house.session.get(page, timeout=300).status_code == 200
        archive = house.session.get(f"{page}/all.zip", timeout=300)
        assert not any(OWN in text or OPERATORS in text for text in texts)
        assert OWN.encode() not in archive.content
        backup = [*COMMAND, "backup", "--config", str(house.config()), str(tmp_path / "backups")]
        subprocess.run(backup, check=True, capture_output=True)
    assert places_with(house.data, OWN) == places_with(house.data, OPERATORS) == []
    (found,) = (tmp_path / "backups").iterdir()
    assert places_with(found, OWN) == []
    assert not list(found.rglob("secrets*"))
    rows = subprocess.run(["gzip", "-dc", str(found / "rows.jsonl.gz")], capture_output=True, check=True).stdout
    assert b'"table": "accounts"' in rows
    assert b"owner_secrets" not in rows


def test_a_missing_secret_is_told_before_there_is_a_job(house: House) -> None:
    with house.serving(anonymous="listed") as served:
        assert f"secrets: {NAME} is needed and not set: sign in, and set it on the page" in house.refusal()
        house.sign_in()
        assert f"{NAME} is needed and not set: set it on the page of your account" in house.refusal()
        assert "uws:jobref" not in house.session.get(f"{served.url}/rest/asks", timeout=300).text
        house.set_own()
        assert house.create("asks", PHASE="RUN").ended() == "COMPLETED"
        token = re.findall(
            r'name="_token" value="([^"]+)"', house.session.get(f"{served.url}/account", timeout=300).text
        )[0]
        late = house.create("asks")
        gone = house.session.post(f"{served.url}/account/secrets/{NAME}/delete", data={"_token": token}, timeout=300)
        assert gone.status_code == 200
        late.post(PHASE="RUN")
        late.session.post(f"{late.url}/phase", data={"PHASE": "RUN"}, timeout=300)
        assert late.ended() == "ERROR"
        assert f"{NAME} is needed" in late.session.get(f"{late.url}/error", timeout=300).text


def test_the_operators_are_for_live_definitions(house: House) -> None:
    house.put_operators()
    with house.serving(secrets=house.folder_of_operator, anonymous="listed"):
        job = house.create("asks", PHASE="RUN")
        assert job.ended() == "COMPLETED"
        assert out(job)[0] == sha256(OPERATORS)


def test_a_value_is_set_replaced_and_never_shown(house: House) -> None:
    with house.serving() as served:
        house.sign_in()
        page = house.set_own().text
        assert NAME in page
        assert OWN not in page
        assert house.set_own("another-value").status_code == 200
        job = house.create("asks", PHASE="RUN")
        assert job.ended() == "COMPLETED"
        assert out(job)[0] == sha256("another-value")
        short = house.set_own("short")
        assert (short.status_code, "5 bytes came; 8 to 8,192 are allowed" in short.text) == (400, True)
        wrong = house.set_own(name="no-name")
        assert (wrong.status_code, OWN in wrong.text) == (400, False)
        assert (
            house.session.post(
                f"{served.url}/account/secrets", data={"name": NAME, "value": OWN}, timeout=300
            ).status_code
            == 403
        )


def test_one_whose_supervisor_and_server_were_killed_leaves_no_file(house: House, tmp_path: Path) -> None:
    house.put_operators()
    settings = {"secrets": house.folder_of_operator, "anonymous": "listed"}
    with house.serving(**settings) as served:
        job = house.create("asks", PHASE="RUN", gate=str(tmp_path / "gate"))
        until(lambda: "[STAGE" in job.session.get(f"{job.url}/log", timeout=300).text, what="it has printed")
        served.kill()
        handle = local.find(house.folder(job))
        assert handle is not None
        os.kill(handle.pid, signal.SIGKILL)
        handle.close()
        assert len(house.given()) == 1
    with house.serving(**settings):
        assert house.again(job).ended() == "ERROR"
        assert house.given() == []


def test_what_is_left_of_no_job_is_swept(tmp_path: Path) -> None:
    files = JobFiles(tmp_path)
    for number in ("1", "2"):
        files.put_secrets(number * 32, {NAME: b"left-behind"})
    files.sweep_secrets(lambda: ["2" * 32])
    assert [path.parent.name for path in tmp_path.glob("secrets/*/*")] == ["2" * 32]


def test_a_warm_process_never_has_one(house: House) -> None:
    house.put_operators()
    with house.serving(secrets=house.folder_of_operator, anonymous="listed") as served:

        def run() -> str:
            job = house.create("python", PHASE="RUN")
            assert job.ended() == "COMPLETED", job.session.get(f"{job.url}/error", timeout=300).text
            assert out(job) == [sha256(OPERATORS)]
            return job.session.get(f"{job.url}/log", timeout=300).text.splitlines()[-1]

        until(lambda: run() == f"forked [secret {NAME}]", what="a script is forked from a warm process")
        warm = warm_processes(served.process.pid)
        assert warm
        assert not any(OPERATORS.encode() in memory_of(pid) for pid in warm)
        assert b"uws_server" in memory_of(warm[0]), "its memory can be read"


def memory_of(pid: int) -> bytes:
    """What a process has in memory that can be written."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            if rights.startswith("rw"):
                start, end = (int(part, 16) for part in place.split("-"))
                with contextlib.suppress(OSError, ValueError):
                    memory.seek(start)
                    found.append(memory.read(end - start))
    return b"".join(found)


def test_every_part_of_an_array_has_it_until_the_last_has_ended(house: House, tmp_path: Path) -> None:
    define(house.definitions, "each", EACH, parameters=[SPREAD], results=[OUT], control=NEEDS)
    house.put_operators()
    settings = {"secrets": house.folder_of_operator, "anonymous": "listed", "max_running": 1}
    with house.serving(**settings) as served:  # one part after the other
        form = {"PHASE": "RUN", "word": ["a", "b", "c"]}
        answer = requests.post(f"{served.url}/rest/each", data=form, allow_redirects=False, timeout=300)
        job = Remote(answer.headers["Location"], house.session)
        assert job.ended() == "COMPLETED", job.session.get(f"{job.url}/error", timeout=300).text
        parts = sorted(house.folder(job).glob("parts/*/results/out.txt"))
        assert [part.read_text().split()[0] for part in parts] == [sha256(OPERATORS)] * 3
        assert house.given() == []
        backup = [*COMMAND, "backup", "--config", str(house.config()), str(tmp_path / "backups")]
        subprocess.run(backup, check=True, capture_output=True)
    assert places_with(house.data, OPERATORS) == []
    assert len(places_with(house.data, f"[secret {NAME}]")) >= 3
    assert not list((tmp_path / "backups").rglob("launch.json"))
    assert len(list((tmp_path / "backups").rglob("out.txt"))) == 3


@needs_bubblewrap
def test_a_job_that_is_shut_in_sees_its_own_only(house: House) -> None:
    house.put_operators()
    with house.serving(secrets=house.folder_of_operator, anonymous="listed", sandbox="all"):
        (house.data / "secrets" / ("f" * 32)).mkdir(parents=True)
        job = house.create("asks", PHASE="RUN")
        assert job.ended() == "COMPLETED"
        assert out(job) == [sha256(OPERATORS), "-", "400", "700", job.id]


# --- who gets whose ------------------------------------------------------------------------------------------


ASKS = Definition("asks", "1", "A", Entry("shell", "run.sh"), control=Control(secrets=(NAME,)))
LIVE, OLD, DRAFT = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def store(database_url: str) -> Iterator[JobStore]:
    made = JobStore(database_url)
    yield made
    made.close()


def secrets_of(store: JobStore, tmp_path: Path, mode: str = "trials") -> JobSecrets:
    folder = tmp_path / "operators"
    folder.mkdir(exist_ok=True)
    (folder / NAME).write_text(OPERATORS)
    (folder / NAME).chmod(0o600)
    definitions = DefinitionStore(store.engine)
    if not definitions.all():
        definitions.install("asks", OLD)
        definitions.install("asks", LIVE)
    config = Config.of(data=tmp_path, secrets=folder, sandbox=mode)
    return JobSecrets(config, SecretStore(store.engine, tmp_path / "secrets.key"), definitions)


def with_own(store: JobStore, tmp_path: Path, value: str = OWN) -> None:
    AccountStore(store.engine).add(Account("ann", "", is_admin=False, disabled=False, created=utcnow()))
    SecretStore(store.engine, tmp_path / "secrets.key").put("ann", NAME, value, 5)


def got(secrets: JobSecrets, revision: str, *, trial: bool = False, owner: str | None = "ann") -> str:
    try:
        return secrets.of(Asking(ASKS, revision, owner, trial, utcnow()))[NAME].decode()
    except Forbidden:
        return "refused"


def test_only_what_is_live_gets_the_operators(store: JobStore, tmp_path: Path) -> None:
    secrets = secrets_of(store, tmp_path)
    assert got(secrets, LIVE) == got(secrets, LIVE, owner=None) == OPERATORS
    assert got(secrets, OLD) == got(secrets, DRAFT) == "refused"
    assert got(secrets, LIVE, trial=True) == got(secrets, DRAFT, trial=True) == "refused"
    before = utcnow()
    DefinitionStore(store.engine).remove("asks", "root", "it leaks")
    assert got(secrets, LIVE) == "refused"
    queued = Asking(ASKS, LIVE, None, is_trial=False, made=before)
    assert secrets.of(queued) == {NAME: OPERATORS.encode()}, "a job that was made before keeps what it was promised"


def test_a_trial_gets_ones_own_where_it_is_shut_in(store: JobStore, tmp_path: Path) -> None:
    secrets, open_ones = secrets_of(store, tmp_path), secrets_of(store, tmp_path, "none")
    with_own(store, tmp_path)
    assert got(secrets, DRAFT, trial=True) == OWN
    assert got(open_ones, DRAFT, trial=True) == "refused"
    assert got(open_ones, LIVE) == OWN
    assert got(secrets, DRAFT, trial=True, owner="bob") == "refused"


def test_what_is_kept_is_of_its_owner_and_its_key(store: JobStore, tmp_path: Path) -> None:
    with_own(store, tmp_path)
    with store.engine.begin() as connection:
        (kept,) = connection.execute(sa.text("SELECT value FROM owner_secrets")).scalars()
        assert OWN not in kept
        connection.execute(sa.text("UPDATE owner_secrets SET name = 'other'"))
    kept_secrets = SecretStore(store.engine, tmp_path / "secrets.key")
    assert [each.name for each in kept_secrets.names("ann")] == ["other"]
    assert kept_secrets.value("ann", "other") is None, "it says itself what it is called"
    kept_secrets.put("ann", "other", OWN, 5)
    assert kept_secrets.value("ann", "other") == OWN.encode()
    assert SecretStore(store.engine, tmp_path / "another.key").value("ann", "other") is None
    assert (tmp_path / "secrets.key").stat().st_mode & 0o777 == 0o600


def test_secrets_that_everybody_may_read_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(OPERATORS)
    (tmp_path / NAME).chmod(0o644)
    with pytest.raises(ConfigurationError, match="everybody may read"):
        job_secrets.require(Config.of(data=tmp_path, secrets=tmp_path))
    with pytest.raises(ConfigurationError, match="no such folder"):
        job_secrets.require(Config.of(data=tmp_path, secrets=tmp_path / "nowhere"))


@pytest.mark.parametrize(("names", "place"), [(["a b"], "control.secrets[0]"), (["a", "A"], "control.secrets[1]"),
                                              ([str(i) for i in range(20)], "control.secrets")])  # fmt: skip
def test_names_of_secrets_are_checked(names: list[str], place: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        document = {"name": "a", "version": "1", "title": "A", "entry": {"type": "shell", "script": "run.sh"}}
        native.read(json.dumps(document | {"control": {"secrets": names}}), "job.json")
    assert place in [problem.parameter for problem in caught.value.problems]


def test_an_account_that_is_removed_takes_its_secrets_along(house: House) -> None:
    with house.serving():
        house.sign_in()
        house.set_own()
    command = [*COMMAND, "accounts", "remove", "ann", "--config", str(house.config())]
    subprocess.run(command, check=True, capture_output=True)
    engine = engine_for(house.database)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM owner_secrets")).scalar() == 0
    engine.dispose()
