"""How the scripts of an array run: forked from the driver or anew, shut in, killed at random, a thousand of them."""

from __future__ import annotations

import json
import os
import random
import signal
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


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path, f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    parameters = [SPREAD, {"name": "track", "type": "string"}]
    for name, imports in (("plain", ""), ("numpy", "import numpy"), ("astropy", "from astropy.io import fits")):
        define(made.definitions, name, TELL.format(imports=imports), "python", parameters=[SPREAD], results=[OUT])
    define(made.definitions, "cold", TELL.format(imports=""), "python", parameters=[SPREAD], control={"warm": False})
    define(made.definitions, "cores", TELL.format(imports=""), "python", parameters=[SPREAD], control={"cpus": 2})
    define(made.definitions, "tracked", TRACK, parameters=parameters, results=[OUT])
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


@pytest.mark.parametrize("round_number", range(100 if SOAK else 4))
def test_nothing_runs_twice_and_nothing_is_left_whatever_is_killed(lab: Lab, round_number: int) -> None:
    chance = random.Random(round_number)
    words = [f"w{number}" for number in range(12)]
    with lab.serving(max_running=3) as served:
        job = lab.create("tracked", PHASE="RUN", word=words, track=str(lab.track))
        until(lambda: lab.tracked(), what="a part has begun")
        time.sleep(chance.random())
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
        until(lambda: not job.processes(), 30, f"no process is left after {what} was killed")
        begun = Counter(line for line in lab.tracked() if line.startswith("begin"))
        assert set(begun.values()) == {1}, what
        parts = {part["input"]: part["phase"]
                 for part in job.session.get(f"{job.url}/parts", timeout=300).json()["parts"]}  # fmt: skip
        ended = {line.removeprefix("end ") for line in lab.tracked() if line.startswith("end")}
        completed = {word for word, phase in parts.items() if phase == "COMPLETED"}
        assert completed <= ended, what
        assert phase == ("ERROR" if what in ("supervisor", "driver") else "COMPLETED"), what


def test_a_thousand_parts(lab: Lab) -> None:
    with lab.serving(max_running=4):
        job = lab.create("plain", PHASE="RUN", word=[f"w{number}" for number in range(1000)])
        assert job.ended(600) == "COMPLETED", job.text("message")
        document = job.session.get(f"{job.url}/parts?FIRST=900", timeout=300).json()
        assert (document["total"], document["failed"], len(document["parts"])) == (1000, 0, 100)
        assert len(job.results()) == 1001
