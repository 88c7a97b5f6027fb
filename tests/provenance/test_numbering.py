"""Steps are counted from 1 by people and from 0 by programs; what looks like a key and is none stays."""

from __future__ import annotations

import pytest

from provenance.steps import InputData, Parameter, Step, numbering
from provenance.text.errors import StepsError

STEPS = [
    Step(
        (
            InputData(0, "list", True, "", "0.fits", {"name": "raw"}),
            Parameter(1, "band", True, "1 2", {"name": "energy"}),
        )
    ),
    Step((Parameter(0, "band", True, "1 2", {"name": "energy"}),)),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.energy: write 0.energy or 1.energy", "1.energy: write 1.energy or 2.energy"),
        ("0.raw: the file 0.fits (2.energy of 0.5 keV, 10.energy, x0.energy)",
         "1.raw: the file 0.fits (2.energy of 0.5 keV, 10.energy, x0.energy)"),
    ],
)  # fmt: skip
def test_keys_in_a_message_are_counted_from_one(text: str, expected: str) -> None:
    assert numbering.message_for_people(text, STEPS) == expected


def test_what_people_write_is_read_and_a_step_that_there_is_not_refused() -> None:
    assert [numbering.key_for_programs(key, 2) for key in ("1.energy", "2.a.b", "energy")] == [
        "0.energy", "1.a.b", "energy",
    ]  # fmt: skip
    for key in ("0.energy", "3.energy"):
        with pytest.raises(StepsError, match="the list has 2, counted from 1"):
            numbering.key_for_programs(key, 2)
