"""The notebook of examples/ runs from its first cell to its last, against a server, and is kept without outputs.

It draws without matplotlib, and so the environment of the tests has none: `regions` imports matplotlib where it is
installed, and the memory that a server and its jobs take is measured without it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from checkout import ROOT
from reduction.simulate import simulate, small
from serving import running_server
from tutorials import ADDRESS

NOTEBOOK = ROOT / "examples" / "spectrum.ipynb"
EXECUTE = "from nbclient.cli import main; main()"


def code_cells(notebook: Path) -> list[dict[str, Any]]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_the_notebook_is_kept_without_outputs() -> None:
    """What a run prints holds addresses and folders of one machine, and would change with each run."""
    assert [cell["source"] for cell in code_cells(NOTEBOOK) if cell["outputs"] or cell["execution_count"]] == []


def test_the_notebook_runs(tmp_path: Path) -> None:
    pytest.importorskip("nbclient", reason="nbclient is missing: pip install nbclient ipykernel")
    simulate(small(), tmp_path / "archive", cameras=("EPN",))
    notebook, executed = tmp_path / "spectrum.ipynb", tmp_path / "executed.ipynb"
    with running_server(tmp_path / "data", "--archive", str(tmp_path / "archive")) as server:
        notebook.write_text(NOTEBOOK.read_text(encoding="utf-8").replace(ADDRESS, server.url), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path / "ipython"),
                       "JUPYTER_RUNTIME_DIR": str(tmp_path / "jupyter")}  # fmt: skip
        command = [sys.executable, "-c", EXECUTE, str(notebook), f"--output={executed}"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    printed, drawn = outputs(executed)
    assert "COMPLETED\n" in printed
    assert "16,391 counts in 10,996.8 s\n" in printed
    assert "COMPLETED: 3,250 counts from 2 to 10 keV\n" in printed
    assert "#progenitor" in printed
    curves = [len(picture.findall("{*}polyline")) for picture in drawn]
    assert curves == [1, 2]


def outputs(notebook: Path) -> tuple[str, list[Any]]:
    """All text that the cells printed, and the pictures they ended with."""
    found = [output for cell in code_cells(notebook) for output in cell["outputs"]]
    pictures = [output["data"]["image/svg+xml"] for output in found if "image/svg+xml" in output.get("data", {})]
    text = "".join("".join(output.get("text", "")) for output in found)
    return text, [etree.fromstring("".join(picture)) for picture in pictures]
