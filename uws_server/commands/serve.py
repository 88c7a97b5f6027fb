"""The command `uws-server serve`: runs the server until it is stopped. Imports the server when it runs."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from logging.handlers import MemoryHandler
from pathlib import Path

from uws_server import config
from uws_server.commands.logformat import formatter_of
from uws_server.commands.options import add_configuration
from uws_server.errors import ConfigurationError

_COLLECTIONS = (5000, 20, 20)
"""When Python looks for cycles: by its own settings after 700 new objects, a request or two."""
_MOST_HELD = 1000
"""Lines of the log that are held until it is known how they shall look."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        "Every other setting: a key of the configuration, or the variable UWS_SERVER_<KEY>; README lists them."
    )
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, metavar="N", help="port to listen on; 0 takes a free one (default 8080)")
    parser.add_argument("--archive", type=Path, metavar="DIR", help="folder of event lists that jobs may name")
    parser.add_argument("--definitions", type=Path, metavar="DIR", help="folder of job definitions (default: ours)")
    add_configuration(parser, "folder for the database and the jobs")
    parser.add_argument("--verbose", action="store_true", help="log what the server does, not only what goes wrong")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    settings = _logging(options)
    if settings.server.log_format == "text":
        print("Starting: the first start takes some seconds", file=sys.stderr, flush=True)
    # before the modules are loaded: to look through their objects as often as Python does is a tenth of the start
    gc.set_threshold(*_COLLECTIONS)
    from uws_server.server import serve  # not before the line above: it takes a moment

    serve(settings, lambda url: print(f"Listening on {url}", flush=True))


def _logging(options: argparse.Namespace) -> config.Config:
    """Log in the format that the configuration asks for, what is said of it itself included; return it."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter_of("text"))
    held = MemoryHandler(_MOST_HELD, flushLevel=logging.CRITICAL + 1, target=handler)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, handlers=[held])
    try:
        settings = _settings(options)
        handler.setFormatter(formatter_of(settings.server.log_format))
    finally:
        logging.getLogger().removeHandler(held)
        logging.getLogger().addHandler(handler)
        held.close()  # what it holds goes to the other one
    return settings


def _settings(options: argparse.Namespace) -> config.Config:
    """Return the configuration with what the options set. Raise ConfigurationError for a folder that is not there."""
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
    return settings
