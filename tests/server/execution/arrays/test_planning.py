"""How many parts of an array run at a time, where nobody has said it yet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from uws_server.config import Config
from uws_server.execution.arrays.planning import width_of
from uws_server.jobs.definition import Control, Definition, Entry


@pytest.mark.parametrize(
    ("control", "width"),
    [(Control(), 8), (Control(cpus=3), 2), (Control(cpus=64), 1), (Control(execution="slurm"), 1)],
)
def test_parts_take_no_more_places_and_cores_than_jobs_may(control: Control, width: int) -> None:
    config = Config()
    config = replace(config, jobs=replace(config.jobs, max_running=8))
    definition = Definition("a", "1", "A", Entry("shell", "run.sh"), control=control)
    assert width_of(definition, config) == width
