"""The constraints that `make test-oldest` installs under are the floors of setup.cfg."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

from checkout import ROOT

SCRIPT = ROOT / "scripts/oldest_versions.py"


def run(script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(script)], capture_output=True, text=True)


def run_beside(setup_cfg: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a copy of the script in a project that has this setup.cfg."""
    (folder / "scripts").mkdir()
    copy = folder / "scripts" / SCRIPT.name
    copy.write_bytes(SCRIPT.read_bytes())
    (folder / "setup.cfg").write_text(setup_cfg)
    return run(copy)


def test_every_requirement_has_its_floor() -> None:
    printed = run(SCRIPT).stdout.splitlines()
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    required = [re.split(r"[\[ >]", line)[0] for line in config["options"]["install_requires"].split("\n") if line]
    assert [line.partition("==")[0] for line in printed][: len(required)] == required
    assert all(re.fullmatch(r"[\w.-]+==[\d.]+", line) for line in printed)


def test_a_floor_becomes_a_version(tmp_path: Path) -> None:
    text = (
        "[options]\ninstall_requires =\n  astropy >= 7\n  prov[dot,xml]>=3.2, <4\n"
        "[options.extras_require]\ntest =\n  ruff\n  setuptools >= 77\n"
    )
    assert run_beside(text, tmp_path).stdout.splitlines() == ["astropy==7", "prov==3.2", "setuptools==77"]


@pytest.mark.parametrize("line", ["astropy", "astropy == 7", "astropy < 9"])
def test_a_requirement_without_a_floor_is_refused(tmp_path: Path, line: str) -> None:
    text = f"[options]\ninstall_requires =\n  {line}\n[options.extras_require]\ntest =\n  ruff\n"
    done = run_beside(text, tmp_path)
    assert done.returncode == 1
    assert f"'{line}' of install_requires has no floor" in done.stderr
