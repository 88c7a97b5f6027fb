"""Runs a script in a sandbox made by bubblewrap, such as a trial of a draft. Imports configuration, errors, storage.

Inside, a script sees read-only, and no more of the disk than it needs: the programs of the system, Python with these
packages, the definition, the inputs, and what the configuration names. The folder of the job can be written; the home
folder, /tmp, /dev/shm and /run are empty, private and in memory; there is no network; other processes cannot be seen.
Many containers forbid sandboxes: `obstacle` tries one once and returns the reason.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import provenance
from uws_server.config import Config
from uws_server.errors import ConfigurationError, Forbidden
from uws_server.jobs.job import Job
from uws_server.storage.files import PROTECTED

LOG = logging.getLogger(__name__)
MODES = ("trials", "all", "none")
"""The values of the key `sandbox`: for jobs that try a draft, for every job, for no job."""

_PROGRAM = "bwrap"
_TRY_S = 20.0
_MOST_PRIVATE, _LEAST_PRIVATE = 1 << 30, 1 << 20
"""The most and the fewest bytes in each of the private folders, which are in memory."""
_ALONE = (
    *("--die-with-parent", "--new-session", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
    *("--cap-drop", "ALL", "--dev", "/dev", "--proc", "/proc"),
)
_SHARED_MEMORY = "/dev/shm"
PRIVATE = (_SHARED_MEMORY, "/tmp", "/var/tmp", "/run")
"""The folders that a script has for itself, in memory; the home folder and the data folder are such, too."""
_PROGRAMS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_OF_ETC = (
    *("ld.so.*", "alternatives", "java*", "perl", "python3*", "R", "fonts", "magic*", "mime.types", "terminfo"),
    *("passwd", "group", "nsswitch.conf", "hosts", "localtime", "timezone", "locale.*", "os-release"),
)
"""The files of /etc that programs need to start, and to find names and times: nothing secret."""
_MOST_LINKS = 40


def require(config: Config) -> None:
    """Check the setting `sandbox` at the start of a server, and log that trials are refused where they are.

    Raise ConfigurationError for a setting that is unknown, or impossible on this machine.
    """
    if config.jobs.sandbox not in MODES:
        raise ConfigurationError(
            f"sandbox = {config.jobs.sandbox!r}: {', '.join(MODES[:-1])} or {MODES[-1]} is allowed"
        )
    if config.jobs.sandbox == "all" and (why := obstacle()):
        raise ConfigurationError(f"sandbox = 'all': {why}; 'trials' shuts in trials of drafts only")
    if why := refusal(config):
        LOG.warning("%s", why)


def refusal(config: Config) -> str:
    """Return the sentence that says why trials are refused on this machine; empty where they are not."""
    why = obstacle() if config.jobs.sandbox == "trials" else ""
    return why and (
        f"trials are refused, because none can be shut in here: {why}; who runs the server changes that and starts it "
        "again, or lets trials run with the rights of the server by sandbox = 'none'"
    )


def require_for(job: Job, config: Config) -> bool:
    """Return whether a job is to run in a sandbox. Raise Forbidden if it is and there can be none."""
    if not wanted(job, config):
        return False
    if why := obstacle():
        raise Forbidden(refusal(config) or f"jobs are refused, because none can be shut in here: {why}")
    return True


def wanted(job: Job, config: Config) -> bool:
    """Return whether a job is to run in a sandbox."""
    return config.jobs.sandbox == "all" or (config.jobs.sandbox == "trials" and job.trial)


@functools.cache
def obstacle() -> str:
    """Return the reason why there can be no sandbox here; empty if there can. It is tried once."""
    if shutil.which(_PROGRAM) is None:
        return "bubblewrap is not installed (Debian package bubblewrap)"
    return _failure(())


@functools.cache
def _unnested() -> tuple[str, ...]:
    """The options that keep a script from namespaces of its own, in which it could mount memory of any size.

    There are none where bubblewrap does not know them (before 0.8.0), or may not do it.
    """
    options = ("--unshare-user", "--disable-userns")
    return () if _failure(options) else options


def _failure(options: Sequence[str]) -> str:
    """The reason why a sandbox with further options cannot be made; empty if it can."""
    mounts = (*_memory(_LEAST_PRIVATE), *_view({Path("/tmp")}, _of_system()))
    try:
        done = subprocess.run(
            [shutil.which(_PROGRAM) or _PROGRAM, *options, *_ALONE, *mounts, "/bin/true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRY_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap cannot be run: {error}"
    if done.returncode == 0:
        return ""
    message = " ".join(done.stderr.decode("utf-8", "replace").split())[:200]
    return f"bubblewrap is not allowed to do its work here: {message or f'status {done.returncode}'}"


def around(command: Sequence[str], folder: Path, data: Path, visible: Iterable[Path], private: int) -> list[str]:
    """Return the command that runs a command in a sandbox.

    Parameters
    ----------
    command
        The command and its arguments.
    folder
        The folder of the job, which it may write.
    data
        The data folder of the server, which is hidden but for `folder` and what is visible.
    visible
        Files and folders that it may read, besides those that programs need.
    private
        The bytes that each private folder may hold: they are in memory.

    Returns
    -------
    list of str
        The command and its arguments.
    """
    hidden = {Path(place).resolve() for place in (*PRIVATE[1:], data, Path.home())} - {Path("/")}
    shown = (*_of_system(), *_of_python(), *visible)
    mounts = _memory(private) + _view({place for place in hidden if place.is_dir()}, shown, private)
    mounts += ["--bind", str(folder), str(folder), "--chdir", str(folder)]
    for name in sorted(PROTECTED):  # a mount of its own cannot be removed or replaced by a link
        mounts += ["--ro-bind-try", str(folder / name), str(folder / name)]
    mounts += ["--bind-try", str(folder / "inputs"), str(folder / "inputs")]
    return [shutil.which(_PROGRAM) or _PROGRAM, *_unnested(), *_ALONE, *mounts, "--remount-ro", "/", "--", *command]


def share(most: int) -> int:
    """Return the bytes that each private folder may hold where all may hold `most` together; 0 for no such limit."""
    return max(min(most // (len(PRIVATE) + 2), _MOST_PRIVATE), _LEAST_PRIVATE) if most else _MOST_PRIVATE


def _memory(private: int) -> list[str]:
    """Mounts for shared memory of so many bytes; the rest of /dev, which is in memory without limit, is read-only."""
    return ["--size", str(private), "--tmpfs", _SHARED_MEMORY, "--remount-ro", "/dev"]


def _view(hidden: set[Path], visible: Iterable[Path], private: int = _LEAST_PRIVATE) -> list[str]:
    """Mounts for the visible paths, with the links on the way to them, and empty folders for the hidden ones.

    Each of the latter holds `private` bytes at most.
    """
    ways = {Path(os.path.abspath(place)) for place in visible}  # noqa: PTH100 - resolve() would follow the links
    seen = {place.resolve() for place in ways if _is_there(place)} - hidden - {Path("/")}

    def is_covered(place: Path) -> bool:
        return next((each in seen for each in place.parents if each in seen or each in hidden), False)

    mounts = {place: ["--size", str(private), "--tmpfs", str(place)] for place in hidden}
    mounts |= {place: ["--ro-bind", str(place), str(place)] for place in seen if not is_covered(place)}
    links = {link: target for place in ways for link, target in _links(place)}
    mounts |= {link: ["--symlink", target, str(link)] for link, target in links.items() if not is_covered(link)}
    # a folder before its content
    return [word for place in sorted(mounts, key=lambda each: (len(each.parts), each)) for word in mounts[place]]


def _links(place: Path) -> Iterator[tuple[Path, str]]:
    """The symbolic links on the way to a path, each with its target."""
    at, ahead, followed = Path("/"), list(place.parts[1:]), 0
    while ahead and followed < _MOST_LINKS:
        name = ahead.pop(0)
        step = at.parent if name == ".." else at / name
        target = _target(step)
        if not target:
            at = step
            continue
        yield step, target
        followed += 1
        at = Path("/") if target.startswith("/") else at
        ahead = [part for part in Path(target).parts if part != "/"] + ahead


def _target(path: Path) -> str:
    """The target of a symbolic link; empty for a path that is none."""
    with contextlib.suppress(OSError):
        return os.readlink(path)  # noqa: PTH115 - as text: `..` and all
    return ""


def _is_there(place: Path) -> bool:
    with contextlib.suppress(OSError):
        return place.exists()
    return False


def _of_system() -> Iterator[Path]:
    """The folders of the programs of the system, and the files that these read to start."""
    yield from (Path(place) for place in _PROGRAMS)
    for pattern in _OF_ETC:
        yield from Path("/etc").glob(pattern)


def _of_python() -> set[Path]:
    """The folders of the interpreter, its libraries and these packages."""
    packages = Path(provenance.__file__).resolve().parent.parent
    return {Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix), packages}
