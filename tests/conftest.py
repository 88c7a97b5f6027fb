"""What every test may use: the shared real data, where it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and schemas beside the project; the test is skipped where there is none."""
    folder = Path(os.environ.get("UWS_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("no real data: set UWS_SHARED to the folder that holds real/ and schemas/")
    return folder
