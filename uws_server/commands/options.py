"""What several commands say of themselves and take: their sentence, and the folder and configuration of a server."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uws_server.errors import ConfigurationError

if TYPE_CHECKING:
    from uws_server.config import Config


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


def require_database(settings: Config) -> None:
    """Raise ConfigurationError where a command that only looks would make a database, of a mistyped --data."""
    if settings.has_database():
        return
    folder = settings.folders.data
    why = "it has no database of a server" if folder.is_dir() else "there is no such folder"
    raise ConfigurationError(f"{folder}: {why}; --data is the folder of the server")
