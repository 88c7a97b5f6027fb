"""Runs a Python script in a fork of the warm process as a new interpreter would run it. Imports the supervisor.

The fork gets its session, folder, environment, streams, signals and limits as a started process does, random numbers of
its own, and ends as an interpreter does: threads joined, exit functions called, files written out, its exit status.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import runpy
import signal
import sys
import threading
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import IO, Any

from uws_server.execution import supervisor
from uws_server.execution.warm.title import Title

_COERCED = "LC_CTYPE"
"""The variable that Python sets for itself and what it starts where the locale is C."""
_MODULE_OPTION, _CODE_OPTION = "-m", "-c"
_FLUSH_FAILED = 120


@dataclass
class ForkedScript:
    """A script that runs in a fork, like a `subprocess.Popen` of it."""

    pid: int
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None
    returncode: int | None = None


def fork(keeper: supervisor.Supervisor, title: Title) -> ForkedScript:
    """Fork the script of a supervisor, its output in two pipes. Raises OSError where that is impossible."""
    (out, out_end), (errors, errors_end) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _become(keeper, out_end, errors_end)
            _describe(keeper.launch["command"], keeper.launch["environment"], title)
            modules = set(sys.modules)
            code = _run(keeper.launch["command"])
            code = _end(code, modules)
        finally:
            os._exit(code)
    os.close(out_end)
    os.close(errors_end)
    return ForkedScript(pid, os.fdopen(out, "rb", 0), os.fdopen(errors, "rb", 0))


def _become(keeper: supervisor.Supervisor, out: int, errors: int) -> None:
    """Make this fork a process of its own.

    The streams of Python stay the same objects, to which modules may refer, and what the supervisor has open is closed
    beneath its objects, which live as long as this process: `keeper` is held by the caller.
    """
    os.setsid()
    signal.set_wakeup_fd(-1)
    for sign in (*supervisor.SIGNALS, signal.SIGCHLD):
        signal.signal(sign, signal.SIG_DFL)
    keeper.limits()
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (out, 1), (errors, 2)):
        os.dup2(source, target)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(keeper.folder)


def _describe(command: Sequence[str], environment: Mapping[str, str], title: Title) -> None:
    """Set environment, arguments and what else a process has of its own from its start on."""
    coerced = {_COERCED: os.environ[_COERCED]} if _COERCED in os.environ else {}
    os.environ.clear()
    os.environ.update(coerced | dict(environment))
    title.set_environment(os.environ)
    title.set_arguments(command)
    sys.orig_argv[:] = command
    if numpy_random := sys.modules.get("numpy.random"):
        numpy_random.seed()
    if processes := sys.modules.get("multiprocessing.process"):
        processes.ORIGINAL_DIR = str(Path.cwd())  # type: ignore[attr-defined]
        processes.current_process().authkey = os.urandom(32)


def _run(command: Sequence[str]) -> int:
    """Run the script, the module or the code that a command line names, as __main__. Return its exit status."""
    try:
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        vars(main).update(__annotations__={}, __builtins__=sys.modules["builtins"])
        if _MODULE_OPTION in command:
            at = command.index(_MODULE_OPTION)
            sys.argv[:] = [_MODULE_OPTION, *command[at + 2 :]]
            runpy._run_module_as_main(command[at + 1])  # type: ignore[attr-defined]
        elif command[1] == _CODE_OPTION:
            sys.argv[:] = [_CODE_OPTION]
            if not sys.flags.safe_path:
                sys.path.insert(0, "")
            exec(compile(command[2], "<string>", "exec", dont_inherit=True), vars(main))
        else:
            _run_file(command[1], vars(main))
    except SystemExit as error:
        return _status_of(error.code)
    except BaseException as error:  # noqa: BLE001 - printed as the interpreter prints it
        _print(error)
        return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _run_file(script: str, names: dict[str, Any]) -> None:
    sys.argv[:] = [script]
    if not sys.flags.safe_path:
        sys.path.insert(0, str(Path(script).resolve().parent))
    names.update(__file__=script, __cached__=None, __loader__=SourceFileLoader("__main__", script))
    exec(compile(Path(script).read_bytes(), script, "exec", dont_inherit=True), names)


def _print(error: BaseException) -> None:
    """Print an error that nobody caught, from the frame of the script on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    _flush()
    try:
        sys.excepthook(type(error), error.with_traceback(trace), trace)
    except BaseException as other:  # noqa: BLE001 - a hook of the script that fails
        print("Error in sys.excepthook:", file=sys.stderr)
        other.__context__ = None
        inner = other.__traceback__.tb_next if other.__traceback__ else None
        sys.__excepthook__(type(other), other.with_traceback(inner), inner)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(error), error, trace)


def _status_of(code: object) -> int:
    if code is None or isinstance(code, int):
        number = int(code or 0)
        return number & 0xFF if -(2**63) <= number < 2**63 else 0xFF
    with contextlib.suppress(Exception):
        print(code, file=sys.stderr)
    return 1


def _end(code: int, before: set[str]) -> int:
    """End as an interpreter does, but for taking apart what it shares with others. Return the exit status.

    `before` are the modules that were there when the script began.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    failed = not _flush()
    for name in ("__main__", *(name for name in sys.modules if name not in before)):
        with contextlib.suppress(Exception):
            _clear(vars(sys.modules[name]))
    _write_out()  # what refers to itself may lose its file before what it has not written yet
    gc.collect()
    _write_out()
    failed = not _flush() or failed
    if code == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return code or (_FLUSH_FAILED if failed else 0)


def _write_out() -> None:
    """Write out the files that the script has opened and something still refers to, such as a module."""
    for left in gc.get_objects():
        if isinstance(left, io.BufferedWriter | io.BufferedRandom | io.TextIOWrapper):
            with contextlib.suppress(Exception):
                left.flush()


def _clear(names: dict[str, Any]) -> None:
    """Let go of what a module holds, those with an underscore first, as the interpreter does, and builtins never."""
    private = [name for name in names if name.startswith("_") and not name.startswith("__")]
    for name in (*private, *(name for name in list(names) if name != "__builtins__")):
        names[name] = None


def _flush() -> bool:
    """Write out the two streams. Return False if that fails."""
    done = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except Exception:  # noqa: BLE001 - such as a full disk, or a stream of the script's own
            done = stream is sys.stderr and done
    return done
