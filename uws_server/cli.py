"""The command `uws-server`. Imports everything below."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reduction.errors import ReductionError
from uws_server import config
from uws_server.client import ClientError
from uws_server.commands import accounts, check, rerun, run, tag
from uws_server.commands.options import add_command, add_configuration
from uws_server.errors import ConfigurationError, ServerError
from uws_server.version import VERSION


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    options = _parse(_parser(), arguments)
    try:
        return int(options.run(options) or 0)
    except (ServerError, ClientError, ReductionError) as error:
        print(f"uws-server: {error}", file=sys.stderr)
        return 2
    except (PermissionError, NotADirectoryError, FileExistsError) as error:  # a folder that cannot be used
        print(f"uws-server: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; words after an option join the list in which the command keeps its last words."""
    options, rest = parser.parse_known_args(arguments)
    last = getattr(options, "last_words", "")
    if rest and (not last or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        getattr(options, last).extend(rest)
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="uws-server",
        description="A UWS 1.1 job server for X-ray photon lists.",
        epilog="uws-server COMMAND --help describes a command.",
    )
    parser.add_argument("--version", action="version", version=f"uws-server {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = add_command(commands, "serve", "serve jobs until Ctrl-C")
    serve.epilog = (
        "Every other setting: a key of the configuration, or the variable UWS_SERVER_<KEY>; README lists them."
    )
    _server_options(serve)
    serve.set_defaults(run=_serve)
    demo = add_command(commands, "demo", "simulate an observation and run the spectrum job on it")
    demo.add_argument(
        "--data", type=Path, metavar="DIR", default=Path("demo-data"), help="folder for all of it (default demo-data)"
    )
    demo.add_argument("--serve", action="store_true", help="keep the server running until Ctrl-C")
    demo.set_defaults(run=_demo)
    simulate = add_command(commands, "simulate", "write the event lists of a small XMM observation, and its truth")
    simulate.add_argument("folder", type=Path, metavar="DIR", help="where to write them")
    simulate.add_argument("--seed", type=int, metavar="N", help="another seed gives other photons of the same sources")
    simulate.add_argument("--exposure", type=float, metavar="S", help="seconds to observe (default 12000)")
    simulate.add_argument("--pn-rows", type=int, metavar="N", help="scale the background until pn has N events")
    simulate.set_defaults(run=_simulate)
    run.add(commands)
    rerun.add(commands)
    check.add(commands)
    tag.add(commands)
    accounts.add(commands)
    _database_commands(commands)
    return parser


def _database_commands(commands: Any) -> None:
    database = add_command(commands, "db", "show the version of the database, or upgrade it")
    actions = database.add_subparsers(required=True, metavar="ACTION")
    upgrade = add_command(actions, "upgrade", "upgrade the tables to this version")
    upgrade.set_defaults(run=_upgrade)
    version = add_command(actions, "version", "show the version of the tables")
    version.set_defaults(run=_database_version)
    for action in (upgrade, version):
        add_configuration(action)


def _upgrade(options: argparse.Namespace) -> None:
    from uws_server.storage import migrate

    settings = config.load(options.config, os.environ, data=options.data)
    settings.folders.data.mkdir(parents=True, exist_ok=True)
    migrate.upgrade(settings.database_url())
    print(f"the database is at version {migrate.current(settings.database_url())}")


def _database_version(options: argparse.Namespace) -> None:
    from uws_server.storage import migrate

    settings = config.load(options.config, os.environ, data=options.data)
    print(migrate.current(settings.database_url()) or "none: there are no tables yet")


def _demo(options: argparse.Namespace) -> None:
    from uws_server.commands import demo

    demo.run(options.data.absolute(), options.serve)


def _simulate(options: argparse.Namespace) -> None:
    from reduction.simulate import simulate, small, with_pn_rows

    observation = small()
    changes = {"seed": options.seed, "exposure_s": options.exposure}
    observation = replace(observation, **{name: value for name, value in changes.items() if value is not None})
    if options.pn_rows is not None:
        observation = with_pn_rows(observation, options.pn_rows)
    for path in simulate(observation, options.folder):
        print(path)


def _server_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, metavar="N", help="port to listen on; 0 takes a free one (default 8080)")
    parser.add_argument("--archive", type=Path, metavar="DIR", help="folder of event lists that jobs may name")
    parser.add_argument("--definitions", type=Path, metavar="DIR", help="folder of job definitions (default: ours)")
    add_configuration(parser, "folder for the database and the jobs")
    parser.add_argument("--verbose", action="store_true", help="log what the server does, not only what goes wrong")


class _OneLine(logging.Formatter):
    """A formatter that keeps each message on one line, so that text of a client cannot look like a line of the log."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging calls it so
        """Return the line, with line ends and control characters written as Python escapes."""
        line = super().formatMessage(record)
        return "".join(each if each.isprintable() else repr(each)[1:-1] for each in line)


def _serve(options: argparse.Namespace) -> None:
    print("Starting: the first start takes some seconds", file=sys.stderr, flush=True)
    from uws_server.server import serve  # here: --help and other commands need not load astropy

    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, handlers=[handler])
    settings = config.load(
        options.config,
        os.environ,
        host=options.host,
        port=options.port,
        data=options.data,
        archive=options.archive,
        definitions=options.definitions,
    )
    for key, folder in (("archive", settings.folders.archive), ("definitions", settings.folders.definitions)):
        if folder and not folder.is_dir():
            raise ConfigurationError(f"{key} = {str(folder)!r}: there is no such folder")
    serve(settings, lambda url: print(f"Listening on {url}", flush=True))
