"""What a job's script is given: parameters as data, an environment, a command. Imports storage and jobs.

A parameter is never source text: it goes into `parameters.json` and into the environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uws_server.config import Config
from uws_server.jobs.job import Job, ParameterValue
from uws_server.jobs.library import Installed
from uws_server.storage.files import write_json

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV")
_LONGEST = 100_000
"""Longest value put into the environment: the system refuses one of 128 KiB. parameters.json holds it whole."""
_MOST = 1_000_000
"""Bytes of all values in the environment: the system refuses to start a script with about 2 MB."""


def prepare(job: Job, installed: Installed, folder: Path, config: Config, base_url: str) -> None:
    """Write `parameters.json` and `launch.json` into the folder of a job that is about to run."""
    write_json(folder / "parameters.json", parameters_document(job, installed, base_url))
    launch = {
        "command": command(installed),
        "environment": environment(job, os.environ),
        "duration": job.execution_duration,
        "max_log": config.max_log,
        "max_memory": config.max_memory,
    }
    write_json(folder / "launch.json", launch)


def command(installed: Installed) -> list[str]:
    """The command that runs the definition's script."""
    if installed.definition.entry.type == "python":
        return [sys.executable, str(installed.script)]
    return ["/bin/bash", str(installed.script)]


def parameters_document(job: Job, installed: Installed, base_url: str) -> dict[str, Any]:
    """The content of `parameters.json`: the job and each parameter with its value and what is known of it."""
    return {
        "job": {
            "id": job.id,
            "definition": job.definition,
            "version": job.version,
            "results_url": f"{base_url}/rest/{job.definition}/{job.id}/results",
        },
        "parameters": {name: _entry(name, value, installed) for name, value in job.parameters.items()},
    }


def _entry(name: str, value: ParameterValue, installed: Installed) -> dict[str, Any]:
    spec = installed.definition.parameter(name)
    return {
        "value": value.value,
        "kind": "file" if value.is_file else "value",
        "source": value.text if value.is_file else None,
        "editable": bool(spec and spec.editable),
        "description": spec.description if spec else "",
        "unit": (spec.unit if spec else "") or None,
    }


def environment(job: Job, outside: Mapping[str, str]) -> dict[str, str]:
    """The environment of a script: little of ours, and the parameters as UWS_PARAM_<name> and <name>."""
    kept = {name: outside[name] for name in _KEPT if name in outside}
    kept |= {"PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1", "UWS_JOB_ID": job.id}
    left = _MOST
    for name, value in job.parameters.items():
        text = str(value.value) if value.is_file else value.text
        size = len(text.encode())
        if size <= min(_LONGEST, left // 2):  # it is there under two names
            left -= 2 * size
            kept[name] = kept[f"UWS_PARAM_{name}"] = text
    return kept
