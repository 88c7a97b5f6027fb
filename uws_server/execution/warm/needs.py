"""What a script needs of a process that it is forked from, and what keeps it from that. Imports jobs and storage."""

from __future__ import annotations

from dataclasses import dataclass

from uws_server.execution.warm import imports
from uws_server.storage.library import Installed

_LEAST_LIMIT = 1 << 30
"""The lowest limit of memory of a job that starts with modules loaded, which it may not need."""
_OF_FUNCTIONS: tuple[imports.Import, ...] = (("reduction.task", ()), ("reduction.errors", ()))
"""What `python -m reduction` imports, which calls the function of a definition."""


@dataclass(frozen=True)
class Needs:
    """What a script imports that Python does not have, and the modules in its folder."""

    imports: tuple[imports.Import, ...]
    own: tuple[str, ...]


def of_script(installed: Installed) -> Needs:
    """Return what the script of a definition needs."""
    script = installed.script
    own = imports.own_modules(script.parent)
    needed = imports.of_script(script, own)
    return Needs((*_OF_FUNCTIONS, *needed) if installed.definition.entry.function else needed, own)


def obstacle(installed: Installed, needs: Needs, max_memory: int) -> str:
    """Return why a script needs a new interpreter; empty for one that may be forked."""
    if (cpus := installed.definition.control.cpus) != 1:
        return f"control.cpus is {cpus}, which libraries read when they are loaded"
    if needs.imports and 0 < max_memory < _LEAST_LIMIT:
        return f"the limit of memory of {max_memory:,} bytes is below {_LEAST_LIMIT:,}"
    return ""
