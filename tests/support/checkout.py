"""The files of the checkout that the tests about the project itself read."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

DEFINITIONS = sorted(path.parent.name for path in ROOT.glob("job_definitions/*/job.json"))
"""The names of the job definitions that come with the server."""

TRIED = [name for name in DEFINITIONS if not name.startswith("sas_")]
"""Those with test values. What calls the SAS has none: on a server without it no trial of them could succeed."""

MADE_HERE = {"build", "dist", "node_modules", "vendor", "__pycache__", "demo-data"}
HIDDEN_BUT_OURS = {".ci"}


def project_files() -> list[Path]:
    """Every file that git tracks or would track; without git, every file outside the folders that are made here."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        return [path for path in sorted(ROOT.rglob("*")) if path.is_file() and not is_made_here(path)]
    paths = (ROOT / name for name in sorted(filter(None, listing.split("\0"))))
    return [path for path in paths if path.is_file()]


def is_made_here(path: Path) -> bool:
    """Whether a path lies in a folder that an installation, a build or a cache made."""
    folders = path.relative_to(ROOT).parts[:-1]
    hidden = {folder for folder in folders if folder.startswith(".")} - HIDDEN_BUT_OURS
    return bool(hidden or MADE_HERE.intersection(folders)) or any(folder.endswith(".egg-info") for folder in folders)
