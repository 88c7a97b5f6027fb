"""The folder of a job as the server makes it, and its script run there in a process of its own."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import warmpython
from uws_server.execution.warm import imports

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "job_definitions/spectrum/run.py"
FILES = (
    "eventlist", "images", "exposure_maps", "backgrounds", "gti", "lightcurve", "orbit", "ephemeris", "spectrum", "rmf",
    "background", "response", "area",
)  # fmt: skip
CORES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""The variables by which libraries start no threads, as a server has them: a process with threads is not forked."""


def prepare(folder: Path, job: dict[str, Any] | None = None, **values: Any) -> Path:
    """A job's folder with its parameters.json."""
    folder.mkdir(exist_ok=True)
    about = {"id": "0a1b", "definition": "spectrum", "version": "1.0", "results_url": None, "store_url": None}
    parameters = {}
    for name, value in values.items():
        entry = {"value": value, "editable": name != "eventlist", "description": f"the {name}", "unit": None}
        entry["kind"] = "file" if name in FILES else "value"
        if name in FILES and value is not None:
            several = isinstance(value, list)
            paths = [str(each) for each in (value if several else [value])]
            names = [Path(path).name for path in paths]
            entry["value"], entry["source"] = (paths, names) if several else (paths[0], names[0])
        parameters[name] = entry
    document = {"job": {**about, **(job or {})}, "parameters": parameters}
    (folder / "parameters.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def run(folder: Path, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
    """Run a script in a job's folder, its modules loaded as in a warm start; warnings are errors there too."""
    return warmpython.run([sys.executable, str(script)], _imports(), cwd=folder, env=_environment())


def run_cold(folder: Path, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
    """Run a script in a new interpreter."""
    return subprocess.run([sys.executable, str(script)], cwd=folder, env=_environment(), capture_output=True, text=True,
                          check=False)  # fmt: skip


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"} | dict.fromkeys(CORES, "1")


@functools.cache
def _imports() -> tuple[imports.Import, ...]:
    """What our job definitions import, as the warm start finds it in the text of their scripts."""
    scripts = sorted(ROOT.glob("job_definitions/*/run.py"))
    found = [each for script in scripts for each in imports.of_script(script, imports.own_modules(script.parent))]
    return tuple(dict.fromkeys(found))
