"""The installation of the SAS that a job finds in its environment, and what is missing of it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from reduction.errors import ReductionError
from reduction.sas.tasks import task_named

_SETUP = ("setsas.sh", "sas-setup.sh")
"""The scripts of an installation that set its environment."""
_WITH_SETUP = '. "$1" >/dev/null || exit; shift; exec "$@"'
_RELEASE = re.compile(r"xmmsas_\d{8}_\d{4}(?:-[\d.]+)?|\d{2}\.\d\.\d-[0-9a-f]{9}-\d{8}")


@dataclass(frozen=True)
class Installation:
    """An installation of the SAS: its folder, its release ('' where nothing tells), and the script that sets it up."""

    folder: Path
    release: str
    setup: Path | None

    def command(self, arguments: Iterable[str]) -> list[str]:
        """Return the command that runs a task with its arguments in the environment of the installation."""
        if self.setup is None:
            return list(arguments)
        return ["/bin/bash", "-c", _WITH_SETUP, "bash", str(self.setup), *arguments]

    def path(self, environment: Mapping[str, str]) -> str:
        """Return where programs are looked for: the installation first."""
        return f"{self.folder / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}"


def require(tasks: Iterable[str], environment: Mapping[str, str]) -> Installation:
    """Return the installation that tasks can run with.

    Parameters
    ----------
    tasks
        The names of tasks.
    environment
        The variables of the process: SAS_DIR, SAS_CCFPATH, SAS_CCF, and SAS_ODF for tasks that read an observation's
        data files; neither of the latter two where the task that makes what it names is among the tasks.

    Returns
    -------
    Installation
        The folder, release and setup of the SAS.

    Raises
    ------
    ReductionError
        In one sentence, if something is missing.
    """
    wanted = [task_named(name) for name in tasks]
    folder = _folder(environment, "SAS_DIR", "the folder in which the SAS is installed")
    release = _release(folder)
    setup = next((folder / name for name in _SETUP if (folder / name).is_file()), None)
    found = Installation(folder, release, setup)
    for task in wanted:
        if shutil.which(task.name, path=found.path(environment)) is None:
            raise _missing(f"there is no program {task.name} in {folder.name}/bin of SAS_DIR, nor in PATH")
    paths = [Path(part) for part in environment.get("SAS_CCFPATH", "").split(os.pathsep) if part]
    if not any(path.is_dir() for path in paths):
        raise _missing("SAS_CCFPATH names no folder of current calibration files")
    made = {task.name for task in wanted}
    if "cifbuild" not in made:
        _file(environment, "SAS_CCF", "the index of calibration files that cifbuild has made")
    if any(task.needs_odf for task in wanted) and "odfingest" not in made:
        _odf(environment)
    return found


def _release(folder: Path) -> str:
    """The release in the name of the installation's folder; empty where it has none."""
    match = _RELEASE.search(str(folder.resolve()))
    return match[0] if match else ""


def _folder(environment: Mapping[str, str], name: str, what: str) -> Path:
    path = Path(environment.get(name, ""))
    if not environment.get(name) or not path.is_dir():
        raise _missing(f"{name} names no folder; it is {what}")
    return path


def _file(environment: Mapping[str, str], name: str, what: str) -> None:
    if not environment.get(name) or not Path(environment[name]).is_file():
        raise _missing(f"{name} names no file; it is {what}")


def _odf(environment: Mapping[str, str]) -> None:
    name = environment.get("SAS_ODF", "")
    if not name or not Path(name).exists():
        raise _missing("SAS_ODF names neither the summary file that odfingest has made nor the folder of the "
                       "observation's data files")  # fmt: skip


def _missing(what: str) -> ReductionError:
    return ReductionError(f"the SAS is not set up on this server: {what}. Who runs the server sets the variables SAS_* "
                          "before starting it")  # fmt: skip
