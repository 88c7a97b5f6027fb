"""The help of the commands: each says what it does, and every argument of it is described."""

from __future__ import annotations

import re

import pytest

from uws_server.cli import main

COMMANDS = [
    "serve", "bench", "demo", "simulate", "run", "rerun", "check",
    "tag", "tag show", "tag write", "tag check", "tag strip",
    "accounts", "accounts add", "accounts roles", "accounts token", "accounts remove", "accounts list", "db",
    "db upgrade", "db version", "backup", "restore",
    "jobs", "jobs list", "jobs abort", "jobs hold", "jobs release", "jobs drain", "jobs undrain",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_what_it_does_and_what_it_takes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main([*command.split(), "--help"])
    text = capsys.readouterr().out
    usage, _, rest = text.partition("\n\n")
    assert usage.startswith(f"usage: uws-server {command} ")
    assert re.match(r"[A-Z][^\n]*(\n[^\n]+)*\.\n\n", rest), "a sentence stands before the arguments"
    entries = re.findall(r"^  (?!uws-server )(\S.*(?:\n {8,}\S.*)*)", rest, re.MULTILINE)
    undescribed = [
        entry for entry in entries if not re.search(r"\s{2,}\S", entry) and entry not in ("ACTION", "COMMAND")
    ]
    assert not undescribed
