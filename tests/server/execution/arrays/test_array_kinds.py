"""How the scripts of an array run: forked from the driver or anew, shut in, killed at random, a thousand of them."""

from __future__ import annotations

import http.server
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from joblab import SOAK, Lab, define
from processes import until
from uws_server.execution import local, sandbox
from uws_server.execution.processes import children

SPREAD = {"name": "word", "type": "string", "max_values": 1000, "required": True, "spread": True}
OUT = {"name": "out", "file": "out.txt", "mime": "text/plain"}

TELL = """
import json, os, random, sys
{imports}
from pathlib import Path

files = sorted(os.readlink(f"/proc/self/fd/{{fd}}").split(":")[0] for fd in os.listdir("/proc/self/fd")
               if fd not in ("0", "1", "2") and os.path.exists(f"/proc/self/fd/{{fd}}"))
told = {{
    "argv": sys.argv, "path": sys.path, "folder": os.getcwd(), "part": os.environ["UWS_PART"], "seed": hash("a"),
    "random": random.random(), "urandom": os.urandom(8).hex(), "files": files, "name": __name__,
    "leader": os.getsid(0) == os.getpid(), "nice": os.nice(0), "environment": dict(os.environ),
}}
Path("results/out.txt").write_text(json.dumps(told))
"""
THREADS = "import threaded"
THREADED = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"

TRACK = """
echo "begin $word" >> "$track"
setsid sleep 300 & sleep 0.$((RANDOM % 5))
echo "$word" > out.txt
echo "end $word" >> "$track"
kill $!
"""

MERGE = 'echo "merge begins" >> "$track"\nsetsid sleep 300 & sleep 0.5\necho all > all.txt\n'


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path, f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    for name, imports in (("plain", ""), ("numpy", "import numpy"), ("astropy", "from astropy.io import fits")):
        define(made.definitions, name, TELL.format(imports=imports), "python", parameters=[SPREAD], results=[OUT])
    define(made.definitions, "cold", TELL.format(imports=""), "python", parameters=[SPREAD], control={"warm": False})
    define(made.definitions, "cores", TELL.format(imports=""), "python", parameters=[SPREAD], control={"cpus": 2})
    yield made
    made.close()


def told(lab: Lab, name: str, words: list[str]) -> list[dict[str, object]]:
    job = lab.create(name, PHASE="RUN", word=words)
    assert job.ended() == "COMPLETED", job.text("message")
    folder = lab.folder(job)
    paths = [folder / f"parts/{number:04d}/results/out.txt" for number in range(1, len(words) + 1)]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


@pytest.mark.parametrize("name", ["plain", "numpy", "astropy"])
def test_a_forked_script_finds_what_a_new_interpreter_would_give_it(lab: Lab, name: str) -> None:
    with lab.serving(max_running=2):
        for _ in range(4):  # by then its driver is forked from the warm process, too
            forked = told(lab, name, ["a", "b", "c"])
    with lab.serving(max_running=2, warm="false"):
        anew = told(lab, name, ["a", "b", "c"])
    for number, (one, other) in enumerate(zip(forked, anew, strict=True), start=1):
        for key in ("path", "seed", "name", "leader", "nice", "part"):
            assert one[key] == other[key], key
        assert one["files"] == other["files"] == []
        assert (one["part"], Path(str(one["folder"])).name) == (str(number), f"{number:04d}")
        mine, theirs = ({key: value for key, value in each["environment"].items()  # type: ignore[attr-defined]
                         if str(each["folder"]) not in value and key not in ("UWS_JOB_ID", "LC_CTYPE")}
                        for each in (one, other))  # fmt: skip
        assert mine == theirs
    assert len({str(one["random"]) for one in forked}) == len({str(one["urandom"]) for one in forked}) == 3


def test_a_script_that_cannot_be_forked_starts_anew_and_says_so(lab: Lab, tmp_path: Path) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    place = define(lab.definitions, "threads", TELL.format(imports=THREADS), "python", parameters=[SPREAD])
    (place / "threaded.py").write_text(THREADED, encoding="utf-8")  # its own module: it is loaded in each part
    shadowing = define(lab.definitions, "shadowing", TELL.format(imports=""), "python", parameters=[SPREAD])
    (shadowing / "uws_server.py").write_text("", encoding="utf-8")
    with lab.serving():
        for name, reason in (
            ("cores", "control.cpus is 2"), ("shadowing", "uws_server in the folder of the definition"),
        ):  # fmt: skip
            job = lab.create(name, PHASE="RUN", word=["a", "b"])
            assert job.ended() == "COMPLETED"
            assert f"[INFO] the script starts in a new Python for each part: {reason}" in (
                lab.folder(job) / "job.log"
            ).read_text(encoding="utf-8")
        for name in ("cold", "threads"):
            assert len(told(lab, name, ["a", "b"])) == 2


@pytest.mark.skipif(bool(sandbox.obstacle()), reason="no sandbox can be made here")
def test_each_part_is_shut_in_by_itself(lab: Lab) -> None:
    probe = """
    ls "$UWS_JOB_FOLDER/.." > out.txt 2>&1
    cat "$file" >> out.txt
    echo x > "$UWS_JOB_FOLDER/../../parts.json"
    exit 0
    """
    files = {"name": "file", "type": "file", "max_values": 9, "required": True, "spread": True}
    merged = {"name": "all", "file": "all.txt", "gathered": True}
    place = define(
        lab.definitions, "probe", probe, parameters=[files], results=[OUT, merged], gather="merge.sh",
    )  # fmt: skip
    (place / "merge.sh").write_text("cat ../parts/*/results/out.txt > all.txt\n", encoding="utf-8")
    with lab.serving(sandbox="all"):
        assert lab.served is not None
        sent = [("file", (f"{word}.txt", f"{word}\n".encode(), "text/plain")) for word in ("one", "two")]
        answer = lab.session.post(
            f"{lab.served.url}/rest/probe", data={"PHASE": "RUN"}, files=sent, allow_redirects=False, timeout=300
        )
        job = type(lab.create("plain", word="x"))(answer.headers["Location"], lab.session)
        assert job.ended() == "COMPLETED", job.text("message")
        assert (lab.folder(job) / "parts.json").read_text(encoding="utf-8").startswith("{")
        seen = [job.session.get(f"{job.url}/results/out_part{n}", timeout=300).text for n in (1, 2)]
        assert seen == ["0001\none\n", "0002\ntwo\n"]
        assert job.session.get(f"{job.url}/results/all", timeout=300).text == "".join(seen)


@pytest.fixture
def stored_lab(tmp_path: Path, database_url: str) -> Iterator[Lab]:
    """A lab on either database, with a definition that tells what it runs, and gathers."""
    made = Lab(tmp_path, database_url)
    parameters, merged = [SPREAD, {"name": "track", "type": "string"}], {"name": "all", "gathered": True}
    place = define(
        made.definitions, "tracked", TRACK, parameters=parameters, results=[OUT, merged | {"file": "all.txt"}],
        gather="merge.sh",
    )  # fmt: skip
    (place / "merge.sh").write_text(MERGE, encoding="utf-8")
    yield made
    made.close()


@pytest.mark.parametrize("round_number", range(100 if SOAK else 3))
def test_nothing_runs_twice_and_nothing_is_left_whatever_is_killed(stored_lab: Lab, round_number: int) -> None:
    lab, chance = stored_lab, random.Random(round_number)
    words = [f"w{number}" for number in range(12)]
    with lab.serving(max_running=3) as served:
        job = lab.create("tracked", PHASE="RUN", word=words, track=str(lab.track))
        until(lambda: lab.tracked(), what="a part has begun")
        time.sleep(2.5 * chance.random())  # also while it gathers
        supervisor = local.find(lab.folder(job))
        targets = {"server": served.process.pid}
        if supervisor is not None:
            supervisor.close()
            targets["supervisor"] = supervisor.pid
            for driver in children(supervisor.pid):
                targets |= {"driver": driver} | {f"part {pid}": pid for pid in children(driver)}
        what = chance.choice(sorted(targets))
        try:
            os.kill(targets[what], signal.SIGKILL)
        except ProcessLookupError:
            what = "nothing"
        served.kill()
    with lab.serving(max_running=3):
        job = lab.again(job)
        phase = job.ended()
        until(lambda: not job.processes(), what=f"no process is left after {what} was killed")
        begun = Counter(line for line in lab.tracked() if line.startswith("begin"))
        assert set(begun.values()) == {1}, what
        parts = {part["input"]: part["phase"]
                 for part in job.session.get(f"{job.url}/parts", timeout=300).json()["parts"]}  # fmt: skip
        ended = {line.removeprefix("end ") for line in lab.tracked() if line.startswith("end")}
        completed = {word for word, phase in parts.items() if phase == "COMPLETED"}
        assert completed <= ended, what
        assert lab.tracked().count("merge begins") <= 1, what
        if what.startswith("part") and phase == "ERROR":
            assert "the parts could not be gathered" in job.text("message"), what
        elif what in ("supervisor", "driver"):
            assert phase == "ERROR" or len(completed) == len(words), what
        else:
            assert phase == "COMPLETED", what
        if phase == "COMPLETED":
            assert "all" in job.results(), what


def test_a_thousand_parts(lab: Lab) -> None:
    with lab.serving(max_running=4):
        job = lab.create("plain", PHASE="RUN", word=[f"w{number}" for number in range(1000)])
        assert job.ended(600) == "COMPLETED", job.text("message")
        document = job.session.get(f"{job.url}/parts?FIRST=900", timeout=300).json()
        assert (document["total"], document["failed"], len(document["parts"])) == (1000, 0, 100)
        assert len(job.results()) == 1001


class Words(http.server.BaseHTTPRequestHandler):
    """Answers with the name that was asked for; one is missing."""

    def do_GET(self) -> None:
        body = self.path.removeprefix("/").encode()
        self.send_response(404 if body == b"missing" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def words_url() -> Iterator[str]:
    """Where a word is that is fetched."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Words)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_inputs_are_fetched_before_the_parts_run(lab: Lab, words_url: str) -> None:
    """Each part has its own; what cannot be fetched is told before any part has begun."""
    files = {"name": "file", "type": "url", "max_values": 9, "required": True, "spread": True}
    define(lab.definitions, "copy", 'cat "$file" > out.txt', parameters=[files], results=[OUT])
    opened = {"url_schemes": "http", "url_hosts": "localhost:*", "url_private": "localhost:*"}
    with lab.serving(max_running=2, **opened):
        job = lab.create("copy", PHASE="RUN", file=[f"{words_url}/{word}" for word in ("one", "two", "three")])
        assert job.ended() == "COMPLETED", job.text("message")
        texts = [job.session.get(f"{job.url}/results/out_part{number}", timeout=300).text for number in (1, 2, 3)]
        assert texts == ["one", "two", "three"]
        job = lab.create("copy", PHASE="RUN", file=[f"{words_url}/one", f"{words_url}/missing"])
        assert job.ended() == "ERROR"
        assert "/missing" in job.text("message") and "404" in job.text("message")
        parts = job.session.get(f"{job.url}/parts", timeout=300).json()["parts"]
        assert {part["phase"] for part in parts} == {"ABORTED"}
