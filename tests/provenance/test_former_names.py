"""The names that modules had in version 0.1.0, which scripts of that time import."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from provenance.former_names import FORMER_NAMES


@pytest.mark.parametrize(("former", "today"), FORMER_NAMES.items())
def test_a_former_name_is_the_module_of_today(former: str, today: str) -> None:
    module = importlib.import_module(former)
    assert module is importlib.import_module(today)
    assert module.__spec__ is not None and module.__spec__.name == today


def test_a_script_of_then_finds_what_it_imports() -> None:
    """The imports of the spectrum job of version 0.1.0, in a process that has imported nothing else of ours."""
    script = (
        "from provenance.beside import write_bytes\n"
        "from provenance.instruments import covered_kev\n"
        "from provenance.obscore import wavelength_m\n"
        "from reduction import dss, gti, regions, task\n"
        "from reduction.errors import ReductionError\n"
        "from reduction.eventlist import EventList, open_eventlist\n"
        "from reduction.filtered import writing_events\n"
        "from reduction.grouping import check_minimum\n"
        "from reduction.ogip import CREATOR, write_spectrum\n"
        "from reduction.selection import Selection, choose\n"
        "from reduction.spectrum import Spectrum, extract\n"
        "import reduction.events.gti\n"
        "print(gti is reduction.events.gti)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


def test_a_name_that_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"reduction\.cellar"):
        importlib.import_module("reduction.cellar")
