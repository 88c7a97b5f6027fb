"""What a script imports, read from its text without running it. Imports nothing of ours."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from pathlib import Path

Import = tuple[str, tuple[str, ...]]
"""A module and the names that are taken from it, which may be modules, too."""

_AT_MOST = 200


def of_script(script: Path, own: Iterable[str]) -> tuple[Import, ...]:
    """Return the imports at the top of a script that need a module which neither Python has nor the script's folder.

    Parameters
    ----------
    script
        The path of the script.
    own
        The names of modules in its folder.

    Returns
    -------
    tuple
        Modules with names; empty for a script that cannot be read, which its run reports.
    """
    try:
        body = ast.parse(script.read_bytes()).body
    except (OSError, ValueError, SyntaxError, RecursionError):
        return ()
    found: list[Import] = []
    for node in body:
        if isinstance(node, ast.Import):
            found += [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.append((node.module, tuple(alias.name for alias in node.names if alias.name != "*")))
    left_out = {*own, *sys.stdlib_module_names}
    return tuple(each for each in dict.fromkeys(found) if each[0].partition(".")[0] not in left_out)[:_AT_MOST]


def own_modules(folder: Path) -> tuple[str, ...]:
    """Return the names under which Python would import what is in a folder, such as that of a script."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        return ()
    names = {
        entry.name.partition(".")[0] for entry in entries if entry.suffix in (".py", ".pyc", ".so") or entry.is_dir()
    }
    return tuple(sorted(name for name in names if name.isidentifier()))
