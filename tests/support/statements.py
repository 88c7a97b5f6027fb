"""The statements that a database is sent: a count that neither a slow nor a busy machine changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa


@contextmanager
def noted(engine: sa.Engine) -> Iterator[list[str]]:
    """Note the statements that the engine's connections execute in the block, in SQLite without those of triggers."""
    executed: list[str] = []

    def traced(connection: Any, *_: Any) -> None:
        connection.set_trace_callback(lambda text: text.startswith("--") or executed.append(text))

    def untraced(connection: Any, *_: Any) -> None:
        connection.set_trace_callback(None)

    if engine.dialect.name == "sqlite":
        events: list[tuple[str, Any]] = [("checkout", traced), ("checkin", untraced)]
    else:
        events = [("before_cursor_execute", lambda *args: executed.append(args[2]))]
    for name, note in events:
        sa.event.listen(engine, name, note)
    try:
        yield executed
    finally:
        for name, note in events:
            sa.event.remove(engine, name, note)
