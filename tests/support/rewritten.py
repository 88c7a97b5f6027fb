"""Rewrites the assertions of all tests as pytest does, and keeps them where it looks for them, before workers start.

As a plugin of pytest (`-p rewritten`) it runs no test. Each worker would rewrite each file otherwise, and all of them
the same one at a time; where PYTHONDONTWRITEBYTECODE is set, again in each run.
"""

from __future__ import annotations

import contextlib
import importlib.util
import multiprocessing
import sys
from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int:
    """Keep the rewritten tests, instead of running any."""
    sys.dont_write_bytecode = False
    folder = config.rootpath / "tests"
    with multiprocessing.get_context("fork").Pool() as pool:  # a fork has the import hook of pytest
        pool.map(_keep, [*folder.rglob("test_*.py"), *folder.rglob("conftest.py")], chunksize=4)
    return 0


def _keep(path: Path) -> None:
    """Have the hook of pytest read a file: it writes down what it made of it, if that is not there yet.

    The module has no builtins, so that it ends at its first import. A file that is wrong is told when tests run.
    """
    found = (finder.find_spec(path.stem, [str(path.parent)], None) for finder in sys.meta_path)
    spec = next(filter(None, found))
    module = importlib.util.module_from_spec(spec)
    vars(module)["__builtins__"] = {}
    assert spec.loader is not None
    with contextlib.suppress(ImportError, SyntaxError):
        spec.loader.exec_module(module)
