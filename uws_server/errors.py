"""The errors of the server: each knows its HTTP status and says what to do. Imports nothing of ours.

A message is one sentence for the person who sent the request. What only an operator may know (paths,
tracebacks) goes to the log, never into a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


def counted(number: int, what: str) -> str:
    """Return a number of things in words: "1 cell", "2,000 cells"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def at_most(number: int) -> str:
    """Return how many are allowed in words: "at most 1 is allowed", "at most 2,000 are allowed"."""
    return f"at most {number:,} {'is' if number == 1 else 'are'} allowed"


class ServerError(Exception):
    """Root of what this server raises on purpose; a subclass gives the HTTP status."""

    status = 500


class NotFound(ServerError):
    """No such job, definition, result or page."""

    status = 404


class Unauthorized(ServerError):
    """The caller must say who it is, or said it wrongly."""

    status = 401


class Forbidden(ServerError):
    """Not allowed: by the phase of the job, by the rights of the caller, or by a quota."""

    status = 403


class Conflict(ServerError):
    """The thing changed while the request was on its way; ask again."""

    status = 409


class TooLarge(ServerError):
    """The request is larger than the server takes."""

    status = 413


class TooMany(ServerError):
    """The same caller asks too often."""

    status = 429


class UnsupportedMedia(ServerError):
    """The body of the request is of a type that is not read."""

    status = 415


class BadRequest(ServerError):
    """The request cannot be understood."""

    status = 400


class DiskFull(ServerError):
    """There is no room on the disk for what would be stored."""

    status = 507


class Unavailable(ServerError):
    """Not possible now, though nothing is wrong with the request: ask again after `retry_after` seconds."""

    status = 503
    retry_after = 10


@dataclass(frozen=True)
class Problem:
    """What is wrong with one parameter: its name, and a sentence with what came and what is allowed.

    `line` is that of the document it was found in, 0 where there is none.
    """

    parameter: str
    message: str
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.parameter}: {self.message}" if self.parameter else self.message


class InvalidParameters(BadRequest):
    """Every problem found in a set of parameter values, at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def problems_of(error: BadRequest) -> tuple[Problem, ...]:
    """The problems of a refused request, each with the parameter it belongs to ('' for the request itself)."""
    return error.problems if isinstance(error, InvalidParameters | DefinitionError) else (Problem("", str(error)),)


class DefinitionError(BadRequest):
    """A job definition that cannot be used: the message names the file, the place and the reason.

    `problems` are all that were found; the parameter of each is a place, such as parameters[2].min.
    """

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems) or (Problem("", message),)
        super().__init__(message)

    @classmethod
    def of(cls, where: str, problems: Sequence[Problem]) -> DefinitionError:
        """The error of one or more problems found in `where` (a file name)."""
        places = (f"{where} line {problem.line}" if problem.line else where for problem in problems)
        return cls("\n".join(f"{place}: {problem}" for place, problem in zip(places, problems, strict=True)), problems)


class NotAtHand(ServerError):
    """What was asked for cannot be had without waiting: it is to be asked for in a thread."""


class ConfigurationError(ServerError):
    """A setting that cannot be used: the message names the key, what came and what is allowed."""


class ClientError(Exception):
    """A server refused what our client sent, or could not be reached; the message is that server's own sentence."""


def first_line(error: Exception) -> str:
    """Return the first line of what a library says of a file that it cannot read, to be told in a sentence of ours."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
