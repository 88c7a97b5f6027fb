"""Accounts of a test's server, made as an operator makes them."""

from __future__ import annotations

from pathlib import Path

from serving import run_command


def account(data: Path, name: str, *options: str) -> tuple[str, str]:
    """Make an account with the command; returns name and token."""
    done = run_command("accounts", "add", name, "--data", str(data), *options)
    assert done.returncode == 0, done.stderr
    told, token = done.stdout.split()
    assert told == name
    return name, token
