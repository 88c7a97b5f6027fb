"""The warm processes of a server, with real ones: what they load, when they are given up, and that jobs go on."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from processes import descriptors, state, until
from starts import FORKED, Starts, warm, warm_processes
from uws_server.execution import local
from uws_server.execution.warm import link
from uws_server.storage import plainfiles

NEW = "[INFO] the script starts in a new Python: "
SLEEPS = FORKED + "import time, pathlib\npathlib.Path('begun').touch()\nwhile not pathlib.Path('go').exists():\n"
SLEEPS += "    time.sleep(0.02)\nprint('done')\n"

# modules that a script may import, and why its process is not to be forked then
SPOILING = {
    "threads": ("import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n",
                "importing spoiling started threads"),
    "open file": ("kept = open(__file__)\n", "importing spoiling opened files or sockets that stay open"),
    "socket": ("import socket\nkept = socket.socket()\n", "importing spoiling opened files or sockets that stay open"),
    "environment": ("import os\nos.environ['BACKEND'] = 'agg'\n", "importing spoiling changed the environment"),
    "folder": ("import os\nos.chdir('/tmp')\n", "importing spoiling changed the current folder"),
    "path": ("import sys\nsys.path.append('/nowhere')\n", "importing spoiling changed sys.path"),
    "signals": ("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n",
                "importing spoiling changed what signals do"),
    "failure": ("raise RuntimeError('no licence')\n", "importing spoiling failed: RuntimeError: no licence"),
    "exit": ("import sys\nsys.exit('bye')\n", "importing spoiling failed: SystemExit: bye"),
    "unfit": ("import sys\nsys.modules['mpi4py'] = sys\n",
              "importing spoiling loaded mpi4py, which does not work in a fork"),
    "end": ("import os\nif os.getcwd() == '/': os._exit(1)\n", "its imports did not come to an end: it has ended"),
    "crash": ("import os\nif os.getcwd() == '/': os.abort()\n", "its imports did not come to an end: it has ended"),
    "memory": ("kept = b'x' * 80_000_000\n", "its imports need "),
}  # fmt: skip

Installs = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installs:
    """Writes modules where all scripts find them."""
    place = tmp_path / "site"
    place.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(place))

    def write(name: str, text: str) -> Path:
        path = place / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        past = time.time() - 60  # as one that was installed a while ago
        os.utime(path, (past, past))
        return path

    return write


@pytest.fixture
def starts(tmp_path: Path, install: Installs) -> Iterator[Starts]:
    made = warm(tmp_path, tmp_path / "definitions", "PYTHONPATH", most_bytes=60 << 20)
    yield made
    made.close()


def test_what_scripts_import_is_loaded_once(starts: Starts, install: Installs) -> None:
    install("slow", "import os\nopen(os.path.dirname(__file__) + '/loads', 'a').write(f'{os.getpid()}\\n')\n")
    installed = starts.define(FORKED + "import slow, os\nprint(os.getpid())", "imports")
    starts.until_forked(installed)
    loads = install("other", "").parent / "loads"
    before = loads.read_text()
    assert str(warm_processes(os.getpid())[1]) in before.split()
    for _ in range(3):
        assert starts.run(installed).out.startswith("forked\n")
    assert loads.read_text() == before


def test_modules_of_several_definitions_share_a_process(starts: Starts, install: Installs) -> None:
    for name in ("one", "two"):
        install(name, f"NAME = '{name}'\n")
        starts.until_forked(starts.define(FORKED + f"from {name} import NAME", name))
    assert len(warm_processes(os.getpid())) == 2
    assert starts.run(starts.define(FORKED + "import one, two", "both")).out == "new\n"


@pytest.mark.parametrize("what", SPOILING)
def test_an_import_that_spoils_a_process_makes_the_script_start_cold(
    starts: Starts, install: Installs, what: str
) -> None:
    text, why = SPOILING[what]
    install("spoiling", text)
    installed = starts.define(FORKED + "import spoiling\nprint('end')", "spoils")
    for _ in range(100):
        ended = starts.run(installed)
        assert ended.out.startswith("new\n")
        if NEW in ended.log:
            break
        time.sleep(0.05)
    assert ended.log.startswith(f"{NEW}{why}"), ended.log
    assert ended.code == (1 if what in ("failure", "exit") else 0)
    until(lambda: len(warm_processes(os.getpid())) == 1, what="the spoiled process is gone")
    install("fine", "")
    assert starts.until_forked(starts.define(FORKED + "import fine", "fine")).code == 0  # others are not held up


def test_an_import_that_hangs_holds_nobody_up(
    starts: Starts, install: Installs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "LOAD_S", 2.0)
    install("spoiling", "import os, time\nif os.getcwd() == '/': time.sleep(600)\n")
    installed = starts.define(FORKED + "import spoiling\nprint('end')", "hangs")
    assert starts.run(installed).out == "new\nend\n"
    assert starts.run(starts.define(FORKED, "ready")).out == "forked\n"  # the other process goes on meanwhile
    until(lambda: NEW in starts.run(installed).log, what="it is given up", every=0.2)
    assert "its imports did not come to an end" in starts.run(installed).log


def test_a_module_that_does_not_exist_is_the_scripts_own_fault(starts: Starts) -> None:
    installed = starts.define(FORKED + "import nowhere_at_all", "missing")
    until(lambda: NEW in starts.run(installed).log, every=0.05)
    ended = starts.run(installed)
    assert ended.log.startswith(f"{NEW}there is no module nowhere_at_all\n")
    assert "ModuleNotFoundError: No module named 'nowhere_at_all'" in ended.err


def test_changed_code_of_a_module_is_seen_by_the_next_job(starts: Starts, install: Installs) -> None:
    install("changing", "VALUE = 1\n")
    installed = starts.define(FORKED + "import changing\nprint(changing.VALUE)", "changes")
    assert starts.until_forked(installed).out == "forked\n1\n"
    install("changing", "VALUE = 'another'\n")
    assert starts.run(installed).out == "new\nanother\n"
    assert starts.until_forked(installed).out == "forked\nanother\n"


def test_a_changed_script_is_seen_at_once(starts: Starts) -> None:
    starts.run(starts.define(FORKED + "print(1)", "script"))
    assert starts.run(starts.define(FORKED + "print(2)", "script")).out == "forked\n2\n"


def test_a_file_of_the_definition_goes_before_a_loaded_module(starts: Starts, install: Installs) -> None:
    """As in a new interpreter; where the script's process has loaded another one of that name, it starts cold."""
    install("shared", "WHOSE = 'all'\n")
    starts.until_forked(starts.define(FORKED + "import shared", "loads"))
    installed = starts.define(FORKED + "import shared, json\nprint(shared.WHOSE, json.__doc__[:4])", "own")
    (installed.folder / "shared.py").write_text("WHOSE = 'own'\n", encoding="utf-8")
    assert starts.run(installed).out == "forked\nown JSON\n"
    (installed.folder / "json").mkdir()
    (installed.folder / "json" / "__init__.py").write_text("'''mine'''\n", encoding="utf-8")
    installed = starts.define(FORKED + "import shared, json\nprint(shared.WHOSE, json.__doc__[:4])", "own2")
    for name in ("shared.py", "json.py"):
        (installed.folder / name).write_text("'''mine'''\nWHOSE = 'own'\n", encoding="utf-8")
    ended = starts.run(installed)
    assert ended.out == "new\nown mine\n"
    assert ended.log.startswith(f"{NEW}json in the folder of the definition has the name of a loaded module\n")


def test_what_a_definition_asks_for_itself(starts: Starts) -> None:
    assert starts.run(starts.define(FORKED, "cold", warm=False)).log == "new\n"
    cores = starts.run(starts.define(FORKED + "import os\nprint(os.environ['OMP_NUM_THREADS'])", "cores", cpus=2))
    assert cores.log == f"{NEW}control.cpus is 2, which libraries read when they are loaded\nnew\n2\n"
    little = starts.define(FORKED + "import numpy", "little")
    assert starts.run(little, max_memory=500_000_000).log.startswith(f"{NEW}the limit of memory of 500,000,000 bytes")


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("which", [0, 1])
def test_jobs_go_on_when_a_warm_process_dies_or_hangs(
    starts: Starts, install: Installs, which: int, sign: signal.Signals
) -> None:
    """Those that run end as they would have; the next one starts, and a new process is made."""
    install("shared", "")
    installed = starts.define(SLEEPS + ("import shared" if which else ""), "sleeps")
    quick = starts.define(FORKED + ("import shared" if which else ""), "quick")
    starts.until_forked(quick)
    running = [starts.start(installed) for _ in range(2)]
    until(lambda: all((folder / "begun").exists() for _, folder in running))
    before = warm_processes(os.getpid())[which]
    os.kill(before, sign)
    assert starts.run(quick).code == 0
    assert not any((folder / "status.json").exists() for _, folder in running), "it waited for no other job"
    until(lambda: state(before) == "", what="it is gone")
    for _, folder in running:
        (folder / "go").touch()
    assert [starts.ended(*each).out for each in running] == ["forked\ndone\n"] * 2
    assert starts.until_forked(quick).code == 0
    assert before not in warm_processes(os.getpid())


def test_the_supervisor_of_a_fork_can_be_found_asked_and_told_from_others(starts: Starts) -> None:
    installed = starts.define(SLEEPS, "sleeps")
    (handle, folder), (other, elsewhere) = starts.start(installed), starts.start(installed)
    until(lambda: (folder / "begun").exists() and (elsewhere / "begun").exists())
    found = local.find(folder)
    assert found is not None and found.pid == handle.pid
    found.close()
    # neither the warm process nor the supervisor of another job is that of this one
    claim = json.loads((elsewhere / "shepherd.json").read_text())
    (folder / "shepherd.json").write_text(json.dumps(claim))
    assert local.find(folder) is None
    for pid in warm_processes(os.getpid()):
        start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        (folder / "shepherd.json").write_text(json.dumps(claim | {"pid": pid, "start": start}))
        assert local.find(folder) is None
    for each, place in ((handle, folder), (other, elsewhere)):
        each.abort()
        ended = starts.ended(each, place)
        assert (ended.reason, ended.code) == ("abort", -signal.SIGTERM)


def test_all_processes_of_a_killed_supervisor_are_found(starts: Starts) -> None:
    text = (
        FORKED
        + "import os, time, pathlib\nif os.fork() == 0:\n    os.setsid()\npathlib.Path(f'alive{os.getpid()}').touch()\n"
    )
    handle, folder = starts.start(starts.define(text + "time.sleep(600)", "tree"))
    until(lambda: len(list(folder.glob("alive*"))) == 2)
    pids = [int(path.name[5:]) for path in folder.glob("alive*")]
    handle.kill()
    local.end_orphans(starts.ids[-1])
    until(lambda: all(state(pid) == "" for pid in pids))


def test_the_supervisor_and_the_script_lead_sessions_of_their_own(starts: Starts) -> None:
    text = "import os\nme, above = os.getpid(), os.getppid()\n"
    text += "print(os.getsid(0) == me, os.getpgid(0) == me, os.getsid(above) == above, os.getpgid(above) == above)\n"
    assert starts.run(starts.define(text, "session")).out == "True True True True\n"


def test_time_limit_suspension_and_disk_hold_for_forks(starts: Starts) -> None:
    limited = starts.run(starts.define("import time; time.sleep(600)", "slow"), duration=1)
    assert (limited.reason, limited.code) == ("timeout", -signal.SIGTERM)
    large = starts.run(starts.define("open('large', 'wb').write(bytes(3_000_000))", "large"), max_disk=10**6)
    assert large.reason == "disk"
    greedy = starts.run(starts.define("bytearray(900_000_000)", "greedy"), max_memory=600_000_000)
    assert greedy.code == 1 and "MemoryError" in greedy.err
    handle, folder = starts.start(starts.define(SLEEPS, "sleeps"))
    until((folder / "begun").exists)
    handle.suspend()
    script = int(Path(f"/proc/{handle.pid}/task/{handle.pid}/children").read_text())
    until(lambda: state(script) == "T")
    handle.resume()
    (folder / "go").touch()
    assert starts.ended(handle, folder).code == 0


def test_a_process_that_grew_is_ended(starts: Starts, install: Installs) -> None:
    """Here, because two definitions that fit alone do not fit together."""
    for name in ("one", "two"):
        install(name, "kept = b'x' * 30_000_000\n")
    one, two = (starts.define(FORKED + f"import {name}", name) for name in ("one", "two"))
    starts.until_forked(one)
    starts.until_forked(two)
    starts.starter.look()
    assert starts.run(one).out == "new\n"
    assert NEW not in starts.run(one).log


def test_warm_processes_end_with_their_server(tmp_path: Path, install: Installs) -> None:
    install("shared", "")
    made = warm(tmp_path, tmp_path / "definitions", "PYTHONPATH")
    made.until_forked(made.define(FORKED + "import shared", "shares"))
    pids = warm_processes(os.getpid())
    assert len(pids) == 2
    handle, folder = made.start(made.define(SLEEPS, "sleeps"))
    until((folder / "begun").exists)
    made.starter.stop()
    until(lambda: all(state(pid) == "" for pid in pids))
    (folder / "go").touch()
    assert made.ended(handle, folder).out == "forked\ndone\n"
    made.close()


def test_an_idle_process_ends_and_the_next_job_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "IDLE_S", 1)
    made = warm(tmp_path, tmp_path / "definitions")
    (pid,) = warm_processes(os.getpid())
    until(lambda: state(pid) in ("", "Z"))
    assert made.run(made.define(FORKED, "next")).out == "new\n"
    made.starter.look()
    until(lambda: state(pid) == "", what="no zombie is left")
    made.close()


def test_a_server_with_thousands_of_connections_starts_jobs(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[1], 4096), before[1]))
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    made = None
    try:
        made = warm(tmp_path, tmp_path / "definitions")
        assert made.run(made.define(FORKED, "many")).out == "forked\n"
    finally:
        if made is not None:
            made.close()
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_starts_leave_no_descriptor_and_no_zombie(starts: Starts) -> None:
    installed = starts.define(FORKED, "ready")
    before = descriptors()
    for _ in range(10):
        handle, folder = starts.start(installed)
        starts.ended(handle, folder)
        handle.close()
        starts.handles.remove(handle)
        until(lambda pid=handle.pid: state(pid) == "")
    assert not descriptors() - before
    assert plainfiles.size_of(starts.root) > 0
