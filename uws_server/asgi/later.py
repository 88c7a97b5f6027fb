"""Answers that are ready before what they say has happened: a new job's, which its commit makes true. Imports nothing.

The application returns at once and its thread goes on with other requests; the answer is sent once the event is over.
If that failed the application is called again, to answer with the error.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

Value = TypeVar("Value")

_OFFER = "uws.later"
_FAILURE = "uws.failure"


class Event(Protocol):
    """What an answer waits for."""

    error: Exception | None

    def then(self, call: Callable[[], object]) -> None:
        """Have `call` called once the event is over, in any thread; `error` then tells whether it failed."""


@dataclass(frozen=True)
class After(Generic[Value]):
    """A value that is handed back after an event, whether or not that failed."""

    value: Value
    event: Event


class Offer:
    """That an answer may be sent later, for one request; `event` is what the application has it wait for."""

    event: Event | None = None


def offer(environ: MutableMapping[str, Any]) -> Offer:
    """Offer the application, by the environ of a request, that its answer is sent later."""
    made = environ[_OFFER] = Offer()
    return made


def fail(environ: MutableMapping[str, Any], error: Exception) -> None:
    """Have the application, by the environ of a request, answer with the error of the event, and at once."""
    environ[_FAILURE] = error
    environ.pop(_OFFER, None)


def send_after(environ: MutableMapping[str, Any], event: Event) -> bool:
    """Have the answer to a request sent after an event. Return False where that is not offered."""
    offered = environ.get(_OFFER)
    if offered is None:
        return False
    offered.event = event
    return True


def raise_failure(environ: MutableMapping[str, Any]) -> None:
    """Raise the error of the event after which the answer to the request was to be sent, if there was one."""
    if error := environ.get(_FAILURE):
        raise error
