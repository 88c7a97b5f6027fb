"""What the tests start as forks are as new interpreters are: tests/support/warmpython.py against subprocess."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import warmpython
from processes import descriptors, until
from starts import parent_of
from uws_server.execution.warm.imports import Import

NEEDED: tuple[Import, ...] = (("json", ()), ("fractions", ()))
"""A module that no program of these tests has loaded unless it is a fork, among others."""
ABOUT = """
import json, locale, os, resource, signal, sys

def read(name):
    with open(f"/proc/self/{name}") as file:
        return file.read()

# that of this listing is closed already
descriptors = [int(number) for number in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{number}")]
json.dump({
    "environment": dict(os.environ), "seen": sorted(read("environ").strip("\\0").split("\\0")),
    "folder": os.getcwd(), "arguments": [sys.argv, sys.orig_argv], "line": read("cmdline").rstrip("\\0"),
    "open": sorted(descriptors), "input": [sys.stdin.read(), os.readlink("/proc/self/fd/0")],
    "signals": [line for line in read("status").splitlines() if line.startswith(("SigBlk", "SigIgn", "SigCgt"))],
    "handled": [str(signal.getsignal(number)) for number in (2, 13, 15, 17)],
    "group": [os.getpgrp(), os.getsid(0)], "umask": os.umask(0o22), "nice": os.nice(0),
    "limits": [resource.getrlimit(kind) for kind in range(16)], "threads": len(os.listdir("/proc/self/task")),
    "path": sys.path, "flags": list(sys.flags), "name": __name__, "file": globals().get("__file__"),
    "encodings": [stream.encoding for stream in (sys.stdin, sys.stdout, sys.stderr)] + [locale.getencoding()],
    "warnings": sys.warnoptions,
}, sys.stdout)
"""
LOADED = "import sys; print('fractions' in sys.modules)"
ENDS = {
    "at its end": "print('out'); import sys; print('err', file=sys.stderr)",
    "with a status": "import sys; print('äöü'); sys.exit(3)",
    "with a sentence": "import sys; sys.exit('why')",
    "with an error": "print('before')\ndef fails():\n    raise ValueError('Ä')\nfails()",
    "at once": "import os, sys; print('lost'); sys.stderr.write('kept'); os._exit(4)",
    "by a signal": "import os; os.kill(os.getpid(), 15)",
    "by an interrupt": "import os, signal; os.kill(os.getpid(), signal.SIGINT); signal.pause()",
    "with exit functions": "import atexit; atexit.register(print, 'last'); print('first')",
}
LISTENS = "import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); print('ready', flush=True); signal.pause()"
SLEEPS = "import time; print('ready', flush=True); time.sleep(600)"


@pytest.mark.parametrize("kind", ["code", "file", "module"])
def test_a_fork_is_told_what_a_new_interpreter_is_told(tmp_path: Path, kind: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(ABOUT, encoding="utf-8")
    start = {"code": ["-c", ABOUT, "one", "a word"], "file": [str(program)], "module": ["-m", "program", "one"]}[kind]
    words = [sys.executable, *start]
    environment = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "ÄRGER": "ü\n1",
        "PYTHONWARNINGS": "error::SyntaxWarning",
    }
    new = subprocess.run(
        words, env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    forked = warmpython.run(words, NEEDED, env=environment, cwd=tmp_path)
    assert (forked.returncode, forked.stderr) == (0, "")
    assert json.loads(forked.stdout) == json.loads(new.stdout)


def test_its_modules_are_loaded_unless_none_are_named() -> None:
    assert warmpython.run([sys.executable, "-c", LOADED], NEEDED).stdout == "True\n"
    assert warmpython.run([sys.executable, "-c", LOADED], ()).stdout == "False\n"


@pytest.mark.parametrize("how", ENDS)
def test_it_ends_and_prints_as_a_new_interpreter_does(how: str) -> None:
    words = [sys.executable, "-c", ENDS[how]]
    new = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    forked = warmpython.run(words, NEEDED)
    assert (forked.returncode, forked.stdout, forked.stderr) == (new.returncode, new.stdout, new.stderr)


@pytest.mark.parametrize(
    ("program", "sign", "code"),
    [
        (LISTENS, signal.SIGTERM, 7),
        (SLEEPS, signal.SIGTERM, -signal.SIGTERM),
        (LISTENS, signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_one_that_is_sent_a_signal_is_reaped_and_leaves_no_descriptor(program: str, sign: int, code: int) -> None:
    warmpython.run([sys.executable, "-c", ""], NEEDED)  # the process that is forked is there
    before = descriptors()
    started = warmpython.popen([sys.executable, "-c", program], NEEDED, stdout=subprocess.PIPE)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    assert started.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        started.wait(0.01)
    started.send_signal(sign)
    assert started.wait(300) == started.poll() == started.returncode == code
    assert not Path(f"/proc/{started.pid}").exists(), "it is not left as a zombie"
    started.send_signal(sign)  # nobody else gets it
    started.stdout.close()
    assert descriptors() == before


def test_one_that_takes_too_long_is_ended() -> None:
    warmpython.run([sys.executable, "-c", ""], NEEDED)
    before = descriptors()
    with pytest.raises(subprocess.TimeoutExpired):
        warmpython.run([sys.executable, "-c", SLEEPS], NEEDED, timeout=0.1)
    assert descriptors() == before


@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), 9)"])
def test_what_is_forked_ends_with_its_owner(end: str) -> None:
    owner = (
        "import os, subprocess, sys, warmpython\n"
        f"started = warmpython.popen([sys.executable, '-c', {SLEEPS!r}], {NEEDED!r}, stdout=subprocess.PIPE)\n"
        f"print(started.stdout.readline(), started.pid, flush=True); sys.stdin.readline()\n{end}\n"
    )
    support = str(Path(warmpython.__file__).parent)
    environment = os.environ | {"PYTHONPATH": f"{support}:{warmpython.ROOT}"}
    with subprocess.Popen(
        [sys.executable, "-c", owner], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        started = int(process.stdout.readline())
        forked = parent_of(started)
        try:
            assert Path(f"/proc/{forked}").exists()
            process.stdin.write("\n")
            process.stdin.flush()
            process.wait(300)
            until(lambda: not Path(f"/proc/{forked}").exists(), what="the process that is forked has ended")
        finally:
            os.kill(started, signal.SIGKILL)
