"""Checks whether a script can be read by its interpreter, without running it. Imports the errors.

The compiler runs in a process of its own, which a malicious source may bring down without harm to the server.
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import subprocess
import sys
from types import TracebackType
from typing import IO

from uws_server.errors import Problem

_SECONDS = 10
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
_COMPILE = """
import json, resource, sys, warnings
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
warnings.simplefilter("ignore")
while size := sys.stdin.buffer.readline():
    answer = []
    try:
        compile(sys.stdin.buffer.read(int(size)), "script", "exec", dont_inherit=True)
    except SyntaxError as error:
        answer = [error.lineno, error.msg]
    except (ValueError, RecursionError, MemoryError) as error:
        answer = [None, str(error) or type(error).__name__]
    print(json.dumps(answer), flush=True)
"""
_BASH_ERROR = re.compile(rb"line (\d+): (.*)")


def problems(kind: str, content: bytes) -> list[Problem]:
    """Return what is wrong with a script of an entry's type ('python' or 'shell'), at the place `script:LINE`."""
    with ScriptCheck() as check:
        return check.problems(kind, content)


class ScriptCheck:
    """Checks scripts one after the other; those in Python by one process, which the first of them begins."""

    def __init__(self) -> None:
        self._compiler: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ScriptCheck:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._end()

    def problems(self, kind: str, content: bytes) -> list[Problem]:
        """Return what is wrong with a script of an entry's type ('python' or 'shell'), at the place `script:LINE`."""
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            return [Problem(f"script:{line}", f"byte {content[error.start]:#04x} is not UTF-8")]
        if "\0" in text:
            line = text.count("\n", 0, text.index("\0")) + 1
            return [Problem(f"script:{line}", "a NUL character came; text is expected")]
        try:
            return self._problems_of_python(content) if kind == "python" else _problems_of_shell(content)
        except subprocess.TimeoutExpired:
            return [Problem("script", f"it could not be read within {_SECONDS} s")]

    def _problems_of_python(self, content: bytes) -> list[Problem]:
        try:
            answer = self._compile(content)
        except BaseException:
            self._end()  # whatever it is still doing, or will never do again
            raise
        if answer is None:
            return [Problem("script", "Python gave it up; is it nested too deeply?")]
        if not answer:
            return []
        line, message = answer
        return [Problem(f"script:{line}" if line else "script", str(message))]

    def _compile(self, content: bytes) -> list[int | str | None] | None:
        """Return line and message of what the compiler refuses, an empty list for nothing; None if it came down."""
        if self._compiler is None:
            self._compiler = _begun([sys.executable, "-I", "-S", "-c", _COMPILE])
        compiler = self._compiler
        assert compiler.stdin is not None and compiler.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            compiler.stdin.write(b"%d\n" % len(content) + content)
            compiler.stdin.flush()
        _wait_for(compiler.stdout)
        line = compiler.stdout.readline()
        if not line:
            self._end()
            return None
        answer: list[int | str | None] = json.loads(line)
        return answer

    def _end(self) -> None:
        if self._compiler is not None:
            self._compiler.kill()
            with contextlib.suppress(BrokenPipeError):
                self._compiler.communicate()
            self._compiler = None


def _begun(command: list[str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=_ENVIRONMENT, cwd="/")


def _wait_for(stream: IO[bytes]) -> None:
    """Return when there is something to be read. Raise TimeoutExpired if nothing comes in time."""
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    if not poll.poll(_SECONDS * 1000):
        raise subprocess.TimeoutExpired("compile", _SECONDS)


def _problems_of_shell(content: bytes) -> list[Problem]:
    content = content.replace(b"\r\n", b"\n")  # as it will run: staging takes the line ends of a browser away, too
    command = ["/bin/bash", "--norc", "--noprofile", "-n", "/dev/stdin"]
    done = subprocess.run(command, input=content, capture_output=True, env=_ENVIRONMENT, timeout=_SECONDS, cwd="/")
    if done.returncode == 0:
        return []
    found = _BASH_ERROR.search(done.stderr)
    if found is None:
        return [Problem("script", "bash gave it up; is it nested too deeply?")]
    return [Problem(f"script:{int(found[1])}", found[2].decode("utf-8", "replace"))]
