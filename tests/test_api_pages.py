"""Builds the pages of the API as `make docs` does: a warning of sphinx fails, and every module has its page.

The theme and the coloured sources take half of the time, and say nothing of ours.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from checkout import ROOT, project_files

pytestmark = pytest.mark.slow

PLAIN = ("-D", "html_theme=basic", "-D", "extensions=sphinx.ext.autodoc,sphinx.ext.autosummary,sphinx.ext.napoleon")
LIBRARIES = ("provenance", "reduction")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built pages."""
    folder = tmp_path_factory.mktemp("api")
    environment = {**os.environ, "PYTHON": sys.executable}
    command = [str(ROOT / "scripts/build-docs"), str(folder), *PLAIN]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


def modules() -> set[str]:
    """The modules of the libraries, packages among them; not what `python -m` runs."""
    paths = (path.relative_to(ROOT).with_suffix("") for path in project_files() if path.suffix == ".py")
    ours = (path for path in paths if path.parts[0] in LIBRARIES and path.name != "__main__")
    return {".".join(path.parent.parts if path.name == "__init__" else path.parts) for path in ours}


def test_every_module_has_its_page(pages: Path) -> None:
    assert {path.stem for path in (pages / "modules").glob("*.html")} == modules()


def test_a_page_has_signature_sections_and_links(pages: Path) -> None:
    page = (pages / "modules/reduction.spectra.spectrum.html").read_text(encoding="utf-8")
    assert 'id="reduction.spectra.spectrum.extract"' in page
    assert "Parameters" in page
    assert 'href="reduction.events.eventlist.html#reduction.events.eventlist.EventList"' in page
    assert "ndarray[tuple" not in page, "arrays are named as the sources name them"


def test_nothing_is_written_beside_the_sources(pages: Path) -> None:
    assert not (ROOT / "docs/api/modules").exists()
