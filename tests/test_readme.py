"""What README says is true: its commands are run, its outputs compared, its table of settings held to the code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkout import ROOT
from reduction.simulate import simulate, small
from serving import running_server
from uws_server.config import PREFIX, groups, settings

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8080"


def block(after: str, kind: str = "") -> str:
    """The first fenced block of a kind behind a place in README."""
    found = re.search(rf"```{kind}\n(.*?)```", README[README.index(after) :], re.DOTALL)
    assert found is not None, after
    return found[1]


def steady(text: str) -> list[str]:
    """The lines of the demo's output without what differs each time: port, id, folder, and the bar as it moves."""
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "ID", text)
    text = re.sub(r"products are in \S+", "products are in FOLDER", text)
    return [line.rstrip() for line in text.splitlines() if not re.match(r"\s+\[[#.]+\]", line)]


def test_the_demo_prints_what_readme_shows(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uws_server", "demo", "--data", str(tmp_path / "demo-data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert steady(done.stdout) == steady(block("<!-- demo -->"))
    assert re.search(r"^ +\[[#.]+\] [1-5]/5 +\w", done.stdout, re.MULTILINE)
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True)
    assert left.stdout == ""


def test_the_table_of_settings_is_that_of_the_code() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", README, re.MULTILINE))
    assert rows == {name: setting.key.help for name, setting in settings().items()}
    assert re.findall(r"^\| \*\*`\[(\w+)\]`", README, re.MULTILINE) == list(groups())
    assert f"`{PREFIX}" in README


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_server(tmp_path_factory.mktemp("readme")) as server:
        yield server.url


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workplace")
    simulate(small(), folder, cameras=("EPN",))
    return folder


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed: apt-get install curl")
def test_the_curl_recipe_fetches_a_spectrum(served: str, workplace: Path) -> None:
    script = block("### curl", "sh").replace(ADDRESS, served)
    subprocess.run(["bash", "-eu", "-c", script], cwd=workplace, check=True, timeout=300)
    assert (workplace / "source_spectrum.fits").read_bytes().startswith(b"SIMPLE")


def test_the_python_recipes_run_one_after_the_other(served: str, workplace: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    first = subprocess.run(
        [sys.executable, "-c", block("### Python", "python").replace(ADDRESS, served)],
        cwd=workplace,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert first.returncode == 0, first.stderr
    assert "COMPLETED" in first.stdout
    url = re.search(r"source_spectrum \d+ (\S+)", first.stdout)
    assert url is not None
    subprocess.run(["curl", "-sfo", "source_spectrum.fits", url[1]], cwd=workplace, check=True, timeout=300)
    code = block("## What a product says of itself", "python")
    second = subprocess.run(
        [sys.executable, "-c", code], cwd=workplace, env=environment, capture_output=True, text=True, timeout=300
    )
    assert second.returncode == 0, second.stderr
    assert second.stdout.startswith("XMM-Newton ")
    assert "spectrum ['eventlist', " in second.stdout
