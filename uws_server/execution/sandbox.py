"""A script shut in by bubblewrap: what a trial of a draft may see and touch. Imports configuration, errors, storage.

Inside, the disk is read-only and the folder of the job is the one exception; the data of the server, the home folder,
/tmp and /run are empty and private; there is no network; other processes cannot be seen. Many containers forbid it:
`obstacle` tries it once and says what is in the way.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import provenance
from uws_server.config import Config
from uws_server.errors import ConfigurationError
from uws_server.jobs.job import Job
from uws_server.storage.files import PROTECTED

MODES = ("trials", "all", "none")
"""What the key `sandbox` may say: jobs that try a draft, every job, no job."""

_PROGRAM = "bwrap"
_TRY_S = 20.0
_MOST_PRIVATE = 1 << 30
"""Bytes that each of the private places takes: they are in memory."""
_ALONE = (
    *("--die-with-parent", "--new-session", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
    *("--cap-drop", "ALL", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
)
_PRIVATE = ("/tmp", "/var/tmp", "/run")


def require(config: Config) -> None:
    """Refuse a setting of `sandbox` that is unknown, or that cannot be kept here."""
    if config.sandbox not in MODES:
        raise ConfigurationError(f"sandbox = {config.sandbox!r}: {', '.join(MODES[:-1])} or {MODES[-1]} is allowed")
    if config.sandbox == "all" and (why := obstacle()):
        raise ConfigurationError(f"sandbox = 'all': {why}; 'trials' runs jobs without one where there is none")


def wanted(job: Job, config: Config) -> bool:
    """Whether a job is to run in a sandbox."""
    return config.sandbox == "all" or (config.sandbox == "trials" and job.trial)


@functools.cache
def obstacle() -> str:
    """Why there can be no sandbox here, as a sentence; empty where there can. It is tried once."""
    program = shutil.which(_PROGRAM)
    if program is None:
        return "bubblewrap is not installed (Debian package bubblewrap)"
    try:
        done = subprocess.run(
            [program, *_ALONE, "--size", "4096", "--tmpfs", "/tmp", "/bin/true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRY_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap cannot be run: {error}"
    if done.returncode == 0:
        return ""
    said = " ".join(done.stderr.decode("utf-8", "replace").split())[:200]
    return f"bubblewrap is not allowed to do its work here: {said or f'status {done.returncode}'}"


def around(command: Sequence[str], folder: Path, data: Path, shown: Iterable[Path]) -> list[str]:
    """The command, shut in: it may write in `folder`, and of the hidden places it sees what is `shown`.

    `data` is the folder of the server, which is hidden with all that is in it. What Python needs is shown.
    """
    hidden = {Path(place).resolve() for place in (*_PRIVATE, data, Path.home())} - {Path("/")}
    empty = ["--size", str(_MOST_PRIVATE), "--tmpfs"]
    hidden = {place for place in hidden if place.is_dir()}
    seen = {place.resolve() for place in (*shown, *_of_python())} - hidden
    within = {place for place in seen if place.exists() and hidden.intersection(place.parents)}
    mounts: list[str] = []
    for place in sorted(hidden | within, key=lambda each: len(each.parts)):  # what is inside after what holds it
        mounts += [*empty, str(place)] if place in hidden else ["--ro-bind", str(place), str(place)]
    mounts += ["--bind", str(folder), str(folder), "--chdir", str(folder)]
    for name in sorted(PROTECTED):  # what is mounted by itself cannot be removed, nor a link put in its place
        mounts += ["--ro-bind-try", str(folder / name), str(folder / name)]
    mounts += ["--bind-try", str(folder / "inputs"), str(folder / "inputs")]
    return [shutil.which(_PROGRAM) or _PROGRAM, *_ALONE, *mounts, "--", *command]


def _of_python() -> set[Path]:
    """Folders that hold the interpreter, its libraries and our packages."""
    packages = Path(provenance.__file__).resolve().parent.parent
    return {Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix), packages}
