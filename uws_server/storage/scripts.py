"""Checks whether a script can be read by its interpreter, without running it. Imports the errors.

The compiler runs in a process of its own, which a malicious source may bring down without harm to the server.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

from uws_server.errors import Problem

_SECONDS = 10
_COMPILE = """
import json, resource, sys, warnings
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
warnings.simplefilter("ignore")
try:
    compile(sys.stdin.buffer.read(), "script", "exec", dont_inherit=True)
except SyntaxError as error:
    print(json.dumps([error.lineno, error.msg]))
except (ValueError, RecursionError, MemoryError) as error:
    print(json.dumps([None, str(error) or type(error).__name__]))
"""
_BASH_ERROR = re.compile(rb"line (\d+): (.*)")


def problems(kind: str, content: bytes) -> list[Problem]:
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
        return _problems_of_python(content) if kind == "python" else _problems_of_shell(content)
    except subprocess.TimeoutExpired:
        return [Problem("script", f"it could not be read within {_SECONDS} s")]


def _problems_of_python(content: bytes) -> list[Problem]:
    done = _run([sys.executable, "-I", "-S", "-c", _COMPILE], content)
    if done.stdout:
        line, message = json.loads(done.stdout)
        return [Problem(f"script:{line}" if line else "script", str(message))]
    if done.returncode != 0:
        return [Problem("script", "Python gave it up; is it nested too deeply?")]
    return []


def _problems_of_shell(content: bytes) -> list[Problem]:
    content = content.replace(b"\r\n", b"\n")  # as it will run: staging takes the line ends of a browser away, too
    done = _run(["/bin/bash", "--norc", "--noprofile", "-n", "/dev/stdin"], content)
    if done.returncode == 0:
        return []
    found = _BASH_ERROR.search(done.stderr)
    if found is None:
        return [Problem("script", "bash gave it up; is it nested too deeply?")]
    return [Problem(f"script:{int(found[1])}", found[2].decode("utf-8", "replace"))]


def _run(command: list[str], content: bytes) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, input=content, capture_output=True, env=environment, timeout=_SECONDS, cwd="/")
