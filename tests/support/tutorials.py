"""A tutorial as its reader follows it: block by block, in one folder and one shell, beside a server."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from checkout import ROOT
from serving import running_server

ADDRESS = "http://127.0.0.1:8080"
"""The server of every tutorial; a test puts the address of its own in the place of it."""

END_OF_BLOCK = "--- end of block ---"
_COMMANDS = """\
python() {{ {python} "$@"; }}
uws-server() {{
    case $1 in
        run | rerun) python -m uws_server "$@" --server "$server" ;;
        *) python -m uws_server "$@" ;;
    esac
}}
"""
"""The commands of a reader, those of this installation; what is run without --server goes to the test's own."""

CHANGING = (
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"\b[0-9a-f]{32}\b", "ID"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z?)", r"TIME\1"),
    (r" +[\d,]+ bytes", " SIZE bytes"),
)
"""What differs each time: ports, ids of jobs, times, and the sizes of files that hold them."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line of prose above it, and the heading it stands under."""

    kind: str
    text: str
    above: str
    heading: str


@dataclass
class Reader:
    """Somebody who follows a tutorial in a folder: types what it says, and holds what comes against what it shows."""

    folder: Path
    url: str = ADDRESS
    output: str = ""
    _stack: ExitStack = field(default_factory=ExitStack)
    _shell: subprocess.Popen[str] | None = None

    def follow(self, blocks: Sequence[Block]) -> None:
        """Do what the blocks say, one after the other."""
        for block in blocks:
            if block.kind == "sh" and "uws-server serve" in block.text:
                self._serve(block.text)
            elif block.kind == "sh":
                self.output = self._run(block.text)
            elif block.kind == "":
                assert re.fullmatch(pattern_of(block.text), steady(self.output) + "\n"), (
                    f"the tutorial shows\n{steady(block.text)}\nbut what came is\n{steady(self.output)}"
                )
            elif named := re.search(r"`([\w./-]+)`:$", block.above):
                path = self.folder / named[1]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, encoding="utf-8")
            else:
                self.output = self._run(f"python - <<'END'\n{block.text}END")

    def _serve(self, command: str) -> None:
        """Start the server of the tutorial on a free port; its options are folders of the reader."""
        words = shlex.split(command)
        options = {word: str(self.folder / value) for word, value in pairwise(words) if word.startswith("--")}
        data = Path(options.pop("--data"))
        given = [word for option in options.items() for word in option]
        self.url = self._stack.enter_context(running_server(data, *given)).url

    def _run(self, script: str) -> str:
        """Type a script into the shell; what it prints."""
        if self._shell is None:
            self._shell = self._start_shell()
        assert self._shell.stdin is not None and self._shell.stdout is not None
        typed = script.replace(ADDRESS, self.url).rstrip()
        self._shell.stdin.write(f"server={self.url}\n{typed}\necho; echo '{END_OF_BLOCK}'\n")
        self._shell.stdin.flush()
        printed = []
        for line in self._shell.stdout:
            if line.rstrip() == END_OF_BLOCK:
                return "".join(printed).removesuffix("\n")
            printed.append(line)
        errors = (self.folder / "errors.log").read_text(encoding="utf-8")
        raise AssertionError(f"{script}\nended the shell; it printed\n{''.join(printed)}{errors}")

    def _start_shell(self) -> subprocess.Popen[str]:
        """A shell that stops at the first command that fails and knows `uws-server` and `python`."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        errors = self._stack.enter_context((self.folder / "errors.log").open("w"))
        shell = subprocess.Popen(
            ["bash", "-eu"], cwd=self.folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
        self._stack.enter_context(shell)
        assert shell.stdin is not None
        python = shlex.quote(sys.executable)
        shell.stdin.write(_COMMANDS.format(python=python))
        return shell

    def leave(self) -> None:
        """Close the shell and stop the server."""
        self._stack.close()


@contextmanager
def reading(folder: Path) -> Iterator[Reader]:
    """A reader for as long as the block lasts."""
    reader = Reader(folder)
    try:
        yield reader
    finally:
        reader.leave()


def blocks_of(path: Path) -> list[Block]:
    """The fenced blocks of a Markdown file."""
    blocks = []
    above = heading = kind = ""
    inside: list[str] | None = None
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            if inside is None:
                inside, kind = [], line.removeprefix("```")
                continue
            blocks.append(Block(kind, "".join(f"{each}\n" for each in inside), above, heading))
            inside = None
        elif inside is not None:
            inside.append(line)
        elif line.strip():
            above = line.strip()
            heading = line.lstrip("# ") if line.startswith("#") else heading
    return blocks


def steady(text: str) -> str:
    """A text without what differs each time."""
    for pattern, word in CHANGING:
        text = re.sub(pattern, word, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def pattern_of(text: str) -> str:
    """What the output of a command must match: the text shown, where a line `...` stands for any lines."""
    lines = steady(text).splitlines()
    return "".join(r"(?:.*\n)*" if line == "..." else f"{re.escape(line)}\n" for line in lines)
