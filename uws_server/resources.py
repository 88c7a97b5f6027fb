"""Where the folders lie that are data, not code: the page templates and the job definitions. Imports nothing of ours.

In a checkout they are the top-level folders `templates/` and `job_definitions/`; in an installed wheel setup.cfg
has put them inside this package. Nothing else in the server knows the difference.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def templates_folder() -> Path:
    """The folder of the page templates, with `static/` in it."""
    return find_folder("templates")


def definitions_folder() -> Path:
    """The folder of the job definitions that come with the software: one folder a job."""
    return find_folder("job_definitions")


def find_folder(name: str, package: Path = PACKAGE) -> Path:
    """The data folder of that name: beside `package` in a checkout, else inside it.

    A checkout is told by the setup.cfg beside the package: nothing that is installed has one there.
    """
    checkout = package.parent
    candidates = [checkout / name] if (checkout / "setup.cfg").is_file() else []
    candidates.append(package / name)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    looked = " or ".join(str(candidate) for candidate in candidates)
    raise FileNotFoundError(f"the folder {name}/ of uws-server is not at {looked}: install the package again")
