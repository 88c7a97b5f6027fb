"""Runs a function of a script: ``python -m reduction SCRIPT FUNCTION``, in the folder of a job. Imports the task.

The function gets the `Task`. The number of its stages is that of the calls of ``.stage(...)`` in the script.
"""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

from reduction import task
from reduction.errors import ReductionError


def main() -> None:
    """Run the function that the command line names; a failure ends the process as in `task.run`."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m reduction SCRIPT FUNCTION, in the folder of a job")
    script, name = Path(sys.argv[1]), sys.argv[2]
    task.run(lambda job: call(script, name, job), stages_in(script))


def call(script: Path, name: str, job: task.Task) -> None:
    """Call a function of a script.

    Parameters
    ----------
    script
        The path of the script.
    name
        The name of the function.
    job
        The job, which the function gets.

    Raises
    ------
    ReductionError
        For a script that is no Python, or has no function of that name.
    """
    sys.path.insert(0, str(script.parent))
    try:
        found = runpy.run_path(str(script), run_name=script.stem).get(name)
    except SyntaxError as error:
        raise ReductionError(f"{script.name}, line {error.lineno}: {error.msg}") from error
    if not callable(found):
        raise ReductionError(f"{script.name} has no function {name}")
    found(job)


def stages_in(script: Path) -> int:
    """Return the number of calls of `.stage(...)` in a script; 0 if it cannot be read, which its run reports."""
    try:
        tree = ast.parse(script.read_bytes())
    except (OSError, ValueError, SyntaxError):
        return 0
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return sum(isinstance(function, ast.Attribute) and function.attr == "stage" for function in calls)


if __name__ == "__main__":
    main()
