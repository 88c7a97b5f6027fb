"""How a line of the server's log looks: a line of text, or an object of JSON for what collects logs."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

_ID = re.compile(r"[0-9a-f]{32}")
_ADDRESS = re.compile(r"/(?:rest/[^/\s]+|jobs)/([0-9a-f]{32})\b")
"""A job in the address of a request; another id may be that of a result."""


class OneLine(logging.Formatter):
    """A formatter that keeps each message on one line, so that text of a client cannot look like a line of the log."""

    def __init__(self, pattern: str = "%(asctime)s %(levelname)s %(name)s: %(message)s") -> None:
        super().__init__(pattern)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging calls it so
        """Return the line, with line ends and control characters written as Python escapes."""
        line = super().formatMessage(record)
        return "".join(each if each.isprintable() else repr(each)[1:-1] for each in line)


class JsonLine(logging.Formatter):
    """A formatter that makes an object of JSON of each record, in one line, with the id of the job that it is about."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: time (UTC), level, logger and message; job and exception where there is one."""
        message = record.getMessage()
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname,
            "logger": record.name,
            "message": message,
            "job": job_of(record.args, message),
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({name: value for name, value in told.items() if value is not None})


def job_of(arguments: Any, message: str) -> str | None:
    """Return the id of the job that a record names, as an argument or in an address. Return None if it names none."""
    given = arguments if isinstance(arguments, tuple) else ()
    named = next((each for each in given if isinstance(each, str) and _ID.fullmatch(each)), None)
    in_address = _ADDRESS.search(message) if named is None else None
    return in_address[1] if in_address else named


def formatter_of(log_format: str) -> logging.Formatter:
    """Return the formatter of a value of the setting `log_format`."""
    return JsonLine() if log_format == "json" else OneLine()
