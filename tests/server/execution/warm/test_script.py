"""A script that is a fork of the warm process beside the same one in a new interpreter: they must not differ."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from starts import FORKED, Starts, cold, warm

HOW_THEY_END = {
    "nothing": "",
    "prints": "import sys; print('ä out'); print('err', file=sys.stderr); sys.exit()",
    "status": "import sys; sys.exit(7)",
    "large status": "raise SystemExit(256 + 5)",
    "negative status": "raise SystemExit(-1)",
    "true": "raise SystemExit(True)",
    "sentence": "raise SystemExit('[ERROR] radius: -1 came')",
    "object": "raise SystemExit(['a', 1])",
    "error": "def f():\n    return 1 / 0\n\nf()\n",
    "error in an error": "try:\n    {}['a']\nexcept KeyError as e:\n    raise ValueError('no') from e\n",
    "group": "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
    "syntax": "print('never')\nif True print(1)\n",
    "coding": "# -*- coding: latin-1 -*-\nprint('\xe4', __file__)",
    "interrupt": "raise KeyboardInterrupt",
    "hook": "import sys\nsys.excepthook = lambda *a: print('hook', a[0].__name__, a[2].tb_lineno)\n1 / 0",
    "hook that fails": "import sys\nsys.excepthook = None\n1 / 0",
    "at once": "import os; print('a', flush=True); os._exit(3)",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "aborted": "import os; os.abort()",
    "exit functions": "import atexit\nfor word in ('one', 'two'): atexit.register(print, word)\nraise SystemExit(4)",
    "threads": "import threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(0.3), print('thread'))).start()\nprint('main')",
    "daemon": "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
    "file left open": "f = open('left', 'w'); f.write('x' * 99)\ng = open('gone', 'wb'); g.write(b'y'); g = None\n"
    "import atexit\natexit.register(lambda: print(open('gone').read()))",
    "file in a cycle": "class A: pass\na = A(); a.me = a; a.f = open('left', 'w'); a.f.write('x' * 99)",
    "file of a module": "import json; json.kept = open('left', 'w'); json.kept.write('x' * 99)",
    "file of a thread": "import threading\nlocal = threading.local(); local.f = open('left', 'w'); local.f.write('x')",
    "compressed": "import gzip; f = gzip.GzipFile('left.gz', 'wb', mtime=0); f.write(b'x' * 99)\n"
    "import atexit\natexit.register(lambda: f.close())",
    "deleted at the end": "class A:\n    def __del__(self): print('deleted', print is not None)\na = A()",
    "error while deleting": "exec('class A:\\n    def __del__(self): 1 / 0')\na = A()\nprint('end')",
    "output closed": "import sys; sys.stdout.close()",
    "other output": "import sys, io; sys.stdout = io.StringIO(); print('lost')",
    "much output": "print('x' * 200_000)",
    "exit in an exit function": "import atexit, sys; atexit.register(lambda: sys.exit(9)); print('end')",
    "fork": "import os\nif os.fork() == 0:\n    print('child'); raise SystemExit(0)\nos.wait(); print('parent')",
}

WHAT_THEY_SEE = {
    "folder": "import os; print(os.getcwd() == os.environ['FOLDER'], os.umask(0))",
    "environment": "import os; print({k: v for k, v in os.environ.items() if k not in ('UWS_JOB_ID', 'FOLDER')})",
    "environment of programs": "import subprocess, sys\n"
    "out = subprocess.run(['env'], capture_output=True, text=True).stdout\n"
    "print([line for line in sorted(out.splitlines()) if line.partition('=')[0] not in ('UWS_JOB_ID', 'FOLDER')])",
    "path": "import sys; print(sys.path, sys.argv, sys.orig_argv, sys.executable, sys.flags, sys.warnoptions)",
    "names": "print(sorted((k, repr(v)) for k, v in globals().items() if k != '__loader__'))\n"
    "print(__loader__.name, __loader__.path)",
    "main": "import sys; print(sys.modules['__main__'].__dict__ is globals(), __name__)",
    "streams": "import sys\nfor s in (sys.stdin, sys.stdout, sys.stderr):\n"
    "    print(s.fileno(), s.name, s.mode, s.encoding, s.errors, s.line_buffering, s.write_through)\n"
    "    print(s.seekable(), s.isatty(), type(s.buffer))\n"
    "print(sys.stdin.read(), sys.stdout is sys.__stdout__)",
    "descriptors": "import os\nopen_now = os.listdir('/proc/self/fd')\n"
    "print(sorted(fd for fd in open_now if os.path.exists(f'/proc/self/fd/{fd}')))",
    "session": "import os; print(os.getsid(0) == os.getpid() == os.getpgid(0), os.nice(0))",
    "signals": "import signal\nprint([(s, str(signal.getsignal(s))) for s in signal.valid_signals()"
    " if signal.getsignal(s) not in (signal.SIG_DFL, None) and s != 2], signal.getsignal(2).__name__)\n"
    "print(signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.set_wakeup_fd(-1))",
    "status": "lines = dict(line.split(':\\t', 1) for line in open('/proc/self/status') if ':\\t' in line)\n"
    "print([lines[k] for k in ('Name', 'Umask', 'Threads', 'SigBlk', 'SigIgn', 'SigCgt', 'NoNewPrivs')])",
    "limits": "import resource as r; print([r.getrlimit(getattr(r, k)) for k in dir(r) if k.startswith('RLIMIT')])",
    "locale": "import locale, sys, time\n"
    "print(locale.setlocale(locale.LC_ALL), locale.getpreferredencoding(), sys.getfilesystemencoding(), time.tzname)",
    "hashes": "print(hash('a'), hash(b'b'), list({'a', 'b', 'c', 'd'}))",
    "garbage": "import gc; print(gc.isenabled(), gc.get_threshold(), gc.get_debug())",
    "threads": "import threading; print(threading.enumerate(), threading.main_thread().ident == threading.get_ident())",
    "own module": "import beside; print(beside.NAME, beside.__file__)",
    "own module of a known name": "import timeit; print(timeit.NAME)",
    "command line": "print(open('/proc/self/cmdline').read().rstrip('\\0').split('\\0'))",
    "processes": "import multiprocessing as m\ndef f(x): return x * x\nif __name__ == '__main__':\n"
    "    for way in ('spawn', 'fork', 'forkserver'):\n"
    "        with m.get_context(way).Pool(1) as pool: print(pool.map(f, [1, 2]))\n",
    "pools of threads": "from concurrent.futures import ThreadPoolExecutor as T\n"
    "print(T(2).submit(lambda: 3).result())",
    "pickles": "import pickle\nclass A:\n    x = 1\nprint(pickle.loads(pickle.dumps(A())).x)",
    "source": "import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f))",
    "annotations": "x: int = 1\nprint(__annotations__)",
    "warning": "import warnings; warnings.warn('careful'); warnings.warn('old', DeprecationWarning)",
    "future": "from __future__ import annotations\nx: undefined = 1\nprint(__annotations__)",
    "recursion": "import sys\nprint(sys.getrecursionlimit())",
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Starts, Starts]]:
    root = tmp_path_factory.mktemp("both")
    pair = cold(root, root / "definitions"), warm(root, root / "definitions")
    yield pair
    for each in pair:
        each.close()


@pytest.mark.parametrize("what", HOW_THEY_END)
def test_scripts_end_alike(both: tuple[Starts, Starts], what: str) -> None:
    require_alike(both, HOW_THEY_END[what])


@pytest.mark.parametrize("what", WHAT_THEY_SEE)
def test_scripts_see_the_same(both: tuple[Starts, Starts], what: str) -> None:
    require_alike(both, WHAT_THEY_SEE[what])


def require_alike(both: tuple[Starts, Starts], script: str) -> None:
    """Run a script in both ways: output, status and files must be the same."""
    seen = []
    for starts in both:
        text = script.encode("latin-1" if "latin-1" in script else "utf-8")
        installed = starts.define("", "alike")
        (installed.folder / "run.py").write_bytes(text)
        (installed.folder / "beside.py").write_text("NAME = 'beside'\n", encoding="utf-8")
        (installed.folder / "timeit.py").write_text("NAME = 'ours'\n", encoding="utf-8")
        starts.environment["FOLDER"] = str(starts.root / f"job{starts.count}")
        ended = starts.run(installed)
        left = {
            path.name: path.read_bytes() for path in ended.folder.iterdir() if path.name.startswith(("left", "gone"))
        }
        seen.append((ended.code, ended.reason, steady(ended.out), steady(ended.err), left))
    assert seen[0] == seen[1]


def test_scripts_see_the_same_where_python_leaves_out_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    pair = [cold(tmp_path, tmp_path / "definitions"), warm(tmp_path, tmp_path / "definitions", "PYTHONSAFEPATH")]
    pair[0].more = pair[1].more
    seen = [each.run(each.define("import sys; print(sys.path, sys.flags)", "safe")).out for each in pair]
    for each in pair:
        each.close()
    assert seen[0] == seen[1]


def steady(text: str) -> str:
    """A text without the addresses in memory that Python prints."""
    return re.sub(r"0x[0-9a-f]+|started \d+", "somewhere", text)


def test_the_scripts_of_these_tests_are_forks(both: tuple[Starts, Starts]) -> None:
    new, forked = (starts.run(starts.define(FORKED, "how")) for starts in both)
    assert (new.out, forked.out) == ("new\n", "forked\n")
    assert forked.log == "forked\n"


def test_a_function_is_called_alike(both: tuple[Starts, Starts]) -> None:
    """By a fork that has what runs it, once that is loaded."""
    text = "import sys\ndef main(job):\n    print(sys.argv[1:], sys.path[0], __name__); 1 / 0\n"
    new = both[0].run(both[0].define(text, "function", "main"))
    for _ in range(100):
        again = both[1].run(both[1].define(text, "function", "main"))
        assert (again.code, again.out, again.err) == (new.code, new.out, new.err)
    assert "ZeroDivisionError" in new.err


def test_nothing_of_the_process_that_it_was_forked_from_is_in_reach(both: tuple[Starts, Starts]) -> None:
    """Neither descriptors nor the environment of the server, also not where the system shows it."""
    os.environ["UWS_TEST_SECRET"] = "secret"
    text = (
        "import json, os\nnames = os.listdir('/proc/self/fd')\n"
        "fds = [(fd, os.readlink(f'/proc/self/fd/{fd}')) for fd in names if os.path.exists(f'/proc/self/fd/{fd}')]\n"
        "print(json.dumps([fds, open('/proc/self/environ').read()]))"
    )
    try:
        ended = both[1].run(both[1].define(text, "reach"))
    finally:
        del os.environ["UWS_TEST_SECRET"]
    descriptors, environment = json.loads(ended.out)
    assert sorted(fd for fd, _ in descriptors) == ["0", "1", "2"]
    assert all(target == "/dev/null" or target.startswith("pipe:") for _, target in descriptors)
    assert "secret" not in environment
    assert environment.startswith("UWS_JOB_ID=")


def test_each_job_has_random_numbers_and_an_environment_of_its_own(both: tuple[Starts, Starts]) -> None:
    text = FORKED + (
        "import numpy, random, os, uuid, multiprocessing\n"
        "from numpy.random import rand\n"
        "print(random.random(), rand(), numpy.random.default_rng().random(), uuid.uuid4(), os.urandom(4).hex())\n"
        "print(multiprocessing.current_process().authkey.hex())\n"
        "print(os.environ.get('TRACE'), os.getcwd()); os.environ['TRACE'] = 'left'; os.chdir('/')\n"
    )
    installed = both[1].define(text, "numbers")
    both[1].until_forked(installed)
    first, second = (both[1].run(installed).out.split() for _ in range(2))
    assert first[0] == second[0] == "forked"
    assert not set(first[1:7]) & set(second[1:7])
    assert first[7] == second[7] == "None"
    assert Path(first[8]) != Path(second[8])
