"""What several commands say of themselves and take: their sentence, and the folder and configuration of a server."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_command(commands: Any, name: str, sentence: str) -> argparse.ArgumentParser:
    """Add a command, or an action of one, that says the same of itself in the list of commands and in its own help."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=sentence, description=f"{sentence[0].upper()}{sentence[1:]}."
    )
    return parser


def add_configuration(parser: argparse.ArgumentParser, data: str = "folder of the server") -> None:
    """Add --data and --config."""
    parser.add_argument("--data", type=Path, metavar="DIR", help=f"{data} (default uws-data)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration in TOML")
