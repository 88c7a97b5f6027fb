"""Holds what the project says of itself for machines and people against setup.cfg and the files themselves."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from checkout import ROOT, project_files
from uws_server.version import VERSION

CFFCONVERT = "cffconvert==2.0.0"
"""Carries the JSON Schema of CITATION.cff; it cannot be installed beside us, since it wants an old jsonschema."""


@pytest.fixture(scope="module")
def config() -> configparser.ConfigParser:
    read = configparser.ConfigParser()
    read.read(ROOT / "setup.cfg", encoding="utf-8")
    return read


@pytest.fixture(scope="module")
def citation() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def codemeta() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "codemeta.json").read_text(encoding="utf-8"))
    return found


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_the_citation_says_what_setup_cfg_says(config: configparser.ConfigParser, citation: dict[str, Any]) -> None:
    metadata = config["metadata"]
    assert citation["title"] == metadata["name"]
    assert citation["abstract"] == metadata["description"]
    assert citation["license"] == metadata["license"]
    assert citation["keywords"] == metadata["keywords"].split(", ")
    assert [author["name"] for author in citation["authors"]] == [metadata["author"]]
    assert citation["version"] == VERSION


def test_codemeta_says_what_setup_cfg_says(config: configparser.ConfigParser, codemeta: dict[str, Any]) -> None:
    metadata, options = config["metadata"], config["options"]
    assert codemeta["name"] == metadata["name"]
    assert codemeta["description"] == metadata["description"]
    assert codemeta["license"] == f"https://spdx.org/licenses/{metadata['license']}"
    assert codemeta["keywords"] == metadata["keywords"].split(", ")
    assert [author["name"] for author in codemeta["author"]] == [metadata["author"]]
    assert codemeta["version"] == VERSION
    assert codemeta["softwareRequirements"] == lines(options["install_requires"])
    versions = re.findall(r"Python :: (3\.\d+)$", metadata["classifiers"], re.MULTILINE)
    assert codemeta["runtimePlatform"] == [f"Python {version}" for version in versions]


@pytest.mark.slow
def test_the_citation_is_valid(citation: dict[str, Any], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(tmp_path), CFFCONVERT]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"{CFFCONVERT} cannot be fetched here: {done.stderr[-300:]}")
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        schema = json.loads(opened.read("cffconvert/schemas/1.2.0/schema.json"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(citation)] == []
    assert list(validator.iter_errors({**citation, "license": "BSD"})), "the schema knows a wrong licence"


def test_the_changes_are_told_by_version_and_kind() -> None:
    text = (ROOT / "CHANGES.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert versions[0].split()[0] == VERSION
    kinds = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert kinds
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    entries = [line for line in text.splitlines() if line.startswith("- ")]
    assert len(entries) == len(set(entries))


def test_every_finding_is_listed_and_pins_what_it_installs() -> None:
    readme = (ROOT / "findings/README.md").read_text(encoding="utf-8")
    scripts = [path for path in project_files() if path.parent == ROOT / "findings" and path.suffix == ".sh"]
    assert scripts
    assert set(re.findall(r"\]\((.*?\.sh)\)", readme)) == {path.name for path in scripts}
    for path in scripts:
        text = path.read_text(encoding="utf-8")
        assert subprocess.run(["bash", "-n", str(path)]).returncode == 0
        assert "mktemp -d" in text
        asked = re.findall(r"pip install --quiet (.*?) \|\|", text)
        # a program of Debian has the version of the distribution: the script goes on with that one only
        assert asked or re.search(r'grep -q "\w+ version \d+\.\d+\.\d+" \|\| \{[^}]*exit 2; \}', text), path.name
        assert all("==" in requirement for line in asked for requirement in line.split()), path.name
        assert not re.search(r"^\s*(from|import) (provenance|reduction|uws_server)", text, re.MULTILINE), path.name


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")), ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []
