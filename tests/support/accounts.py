"""Accounts of a test's server, made as an operator makes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def account(data: Path, name: str, *options: str) -> tuple[str, str]:
    """Make an account with the command; returns name and token."""
    command = [sys.executable, "-m", "uws_server", "accounts", "add", name, "--data", str(data), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    told, token = done.stdout.split()
    assert told == name
    return name, token
