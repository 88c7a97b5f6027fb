"""Running the script of a definition as a step: its folder with `parameters.json`, its results, its error."""

from __future__ import annotations

import contextlib
import json
import os
import re
import runpy
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reduction.errors import ReductionError

FILES = ("eventlist", "file", "url", "observation")
_ERROR = re.compile(r"^\[ERROR\] (.*)$", re.MULTILINE)
_LISTS = "observation"
LOG = "job.log"


@dataclass(frozen=True)
class Definition:
    """What a step needs of a definition: its folder, and its `job.json`."""

    folder: Path
    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.document["name"])

    @property
    def parameters(self) -> dict[str, Mapping[str, Any]]:
        """Its parameters by name."""
        return {each["name"]: each for each in self.document.get("parameters", [])}

    @property
    def results(self) -> dict[str, str]:
        """The file, or glob, of each result by name."""
        return {each["name"]: each["file"] for each in self.document.get("results", [])}


def read_definition(folder: Path, name: str) -> Definition:
    """Read a definition below a folder of definitions. Raise ReductionError if there is none that can be a step."""
    path = folder / name / "job.json"
    try:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
            raise FileNotFoundError
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        there = sorted(each.parent.name for each in folder.glob("*/job.json"))
        raise ReductionError(f"there is no definition {name[:60]!r}; there are {', '.join(there)}") from error
    except ValueError as error:
        raise ReductionError(f"its job.json cannot be read: {error}") from error
    if document.get("entry", {}).get("type") != "python":
        raise ReductionError(f"{name} runs a shell script; a step is a definition with a script of Python")
    control = document.get("control") or {}
    if document.get("roles") or control.get("secrets") or control.get("needs"):
        raise ReductionError(f"{name} asks for roles, secrets or software of its own: run it as a job by itself")
    return Definition(path.parent, document)


def document_of(definition: Definition, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of `parameters.json` for a step.

    Parameters
    ----------
    definition
        The definition.
    given
        The values of its parameters; files as paths. What is not given has its default.

    Returns
    -------
    dict
        The document.

    Raises
    ------
    ReductionError
        A parameter is not one of the definition, is required and absent, or its value is of another type.
    """
    specs = definition.parameters
    for name in given:
        if name not in specs:
            raise ReductionError(f"{definition.name} has no such parameter; it has {', '.join(specs)}", name)
    entries = {}
    for name, spec in specs.items():
        value = given.get(name, spec.get("default"))
        if value is None or value == []:
            if spec.get("required"):
                raise ReductionError(f"{definition.name} wants it", name)
            continue
        entries[name] = _entry(spec, value)
    about = {"definition": definition.name, "version": str(definition.document.get("version", "")),
             "results_url": "results", "globs": definition.results,
             "definitions": str(definition.folder.parent)}  # fmt: skip
    return {"job": about, "parameters": entries}


def _entry(spec: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """Return the entry of a parameter: one that takes several values has a list, but for one that spreads the job."""
    values = [_typed(spec, each) for each in (value if isinstance(value, list) else [value])]
    several = spec["type"] == _LISTS or (spec.get("max_values", 1) > 1 and not spec.get("spread"))
    if len(values) > 1 and not several:
        raise ReductionError(f"{len(values)} values came, a step takes one of it", spec["name"])
    is_file = spec["type"] in FILES
    sources = [Path(each).name for each in values] if is_file else None
    return {
        "value": values if several else values[0],
        "kind": "file" if is_file else "value",
        "source": None if sources is None else sources if several else sources[0],
        "editable": bool(spec.get("editable")),
        "description": spec.get("description", ""),
        "unit": spec.get("unit"),
    }


def _typed(spec: Mapping[str, Any], value: Any) -> Any:
    """Return a value as a script gets it. Raise ReductionError for one of another type."""
    kind, name = spec["type"], spec["name"]
    if kind in FILES:
        if not isinstance(value, Path):
            raise ReductionError(f"{value!r} came; a reference to a file is wanted, such as ${{eventlist.EPN}}", name)
        return str(value)
    if isinstance(value, Path):
        raise ReductionError(f"a file came, {value.name}; a value is wanted", name)
    if kind in ("integer", "float"):
        try:
            return int(value) if kind == "integer" else float(value)
        except (TypeError, ValueError) as error:
            raise ReductionError(f"{value!r} came; a number is wanted", name) from error
    if kind == "boolean":
        if not isinstance(value, bool):
            raise ReductionError(f"{value!r} came; true or false is wanted", name)
        return value
    if kind == "choice" and str(value) not in [str(option) for option in spec["options"]]:
        raise ReductionError(f"{value!r} came; {', '.join(map(str, spec['options']))} are allowed", name)
    return str(value)


def run(definition: Definition, given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Run the script of a definition in this process, as a job of the server runs it.

    Parameters
    ----------
    definition
        The definition.
    given
        The values of its parameters; files as paths.
    folder
        A folder of its own, which is made; its log is there.

    Returns
    -------
    dict
        Result -> path; a list of paths for one that is a glob. A result that was not made is left out.

    Raises
    ------
    ReductionError
        The parameters are wrong, or the script fails: the error that it gives.
    """
    entry = definition.document["entry"]
    document, function = document_of(definition, given), str(entry.get("function") or "")
    run_script(definition, entry["script"], document, folder, function)
    return _made(definition, folder)


def run_script(
    definition: Definition, script: str, document: Mapping[str, Any], folder: Path, function: str = ""
) -> None:
    """Run one of the scripts of a definition in this process.

    Parameters
    ----------
    definition
        The definition.
    script
        The name of the script in its folder.
    document
        The content of `parameters.json`.
    folder
        A folder of its own, which is made; its log is there.
    function
        The function of the script that is called; empty for a script that calls its own.

    Raises
    ------
    ReductionError
        The script fails: the error that it gives.
    """
    folder.mkdir(parents=True)
    (folder / "parameters.json").write_text(json.dumps(document), encoding="utf-8")
    status = _executed(definition.folder / script, function, folder)
    allowed = {0, *(int(each) for each in definition.document.get("control", {}).get("statuses", {}))}
    if status not in allowed:
        found = _ERROR.findall((folder / LOG).read_text(encoding="utf-8", errors="replace"))
        raise ReductionError(found[-1] if found else f"the script ended with exit status {status}")


def files_entry(paths: Sequence[Path]) -> dict[str, Any]:
    """Return the entry of several files in `parameters.json`."""
    return {"value": [str(path) for path in paths], "kind": "file", "source": [path.name for path in paths],
            "editable": False, "description": "", "unit": None}  # fmt: skip


def _made(definition: Definition, folder: Path) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, file in definition.results.items():
        paths = sorted(path for base in (folder / "results", folder) for path in base.glob(file))
        if any(sign in file for sign in "*?["):
            made[name] = paths
        elif paths:
            made[name] = paths[0]
    return made


def _executed(script: Path, function: str, folder: Path) -> int:
    """Run a script in a folder as the main program, with its output in the log; return its exit status."""
    try:
        with (
            (folder / LOG).open("w", encoding="utf-8") as log,
            _as_program(script, function, folder),
            contextlib.redirect_stdout(log),
            contextlib.redirect_stderr(log),
        ):
            if function:
                runpy.run_module("reduction", run_name="__main__", alter_sys=False)
            else:
                runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0


@contextlib.contextmanager
def _as_program(script: Path, function: str, folder: Path) -> Iterator[None]:
    """Let the process look to a script as one of its own: folder, arguments, where modules are found beside it.

    Modules beside it are forgotten afterwards: those of another definition may have the same names.
    """
    before, arguments, path, modules = Path.cwd(), sys.argv, list(sys.path), set(sys.modules)
    sys.argv = ["reduction", str(script), function] if function else [str(script)]
    sys.path.insert(0, str(script.parent))
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        sys.argv, sys.path[:] = arguments, path
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(f"{script.parent}{os.sep}"):
                del sys.modules[name]
