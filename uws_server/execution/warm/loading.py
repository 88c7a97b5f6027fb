"""Loads modules into a process that is forked afterwards, and says what an import spoiled. Imports its neighbours."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import sys
from collections.abc import Iterable, Sequence

from uws_server.execution.warm import state


def load(imports: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Import modules, with the names taken from each. Return why this process is then not to be forked, or ''."""
    before = state.State.now()
    for module, names in imports:
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            return f"there is no module {module.partition('.')[0]}"
        try:
            __import__(module, fromlist=list(names))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the script meets it, too
            return f"importing {module} failed: {type(error).__name__}: {str(error)[:200]}"
        if change := before.change(state.State.now()):
            return f"importing {module} {change}"
        if name := state.unfit():
            return f"importing {module} loaded {name}, which does not work in a fork"
    return ""


def settle() -> None:
    """Leave what is loaded alone from now on, so that forks share its memory."""
    gc.collect()
    gc.freeze()
    ctypes.CDLL(None).malloc_trim(0)


def shadowed(own: Iterable[str]) -> str:
    """Return why a script with these modules in its folder may not run in this process; '' where it may."""
    loaded = {name.partition(".")[0] for name in sys.modules}
    found = loaded.intersection(own)
    return f"{min(found)} in the folder of the definition has the name of a loaded module" if found else ""
