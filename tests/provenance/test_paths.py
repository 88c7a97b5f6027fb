"""Messages without the folders of a machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growth import require_linear
from provenance.text.paths import without_folders

NAME = st.text("abcXYZ019_.-é+", min_size=1, max_size=8).filter(lambda name: name.strip("."))
NAMES = st.lists(NAME, min_size=2, max_size=6)


@given(NAMES, st.sampled_from(["'{}'", 'File "{}", line 3', "cat: {}: No such file", "({})", "x={}", "{}"]))
def test_only_the_last_name_of_a_path_stays(names: list[str], around: str) -> None:
    assert without_folders(around.format("/" + "/".join(names))) == around.format(names[-1])


@pytest.mark.parametrize(
    "text",
    ["https://example.org/data/a.fits", "counts/s/keV", "1/2 of 3/4", "/", "a // b", "inputs/events.fits", "../a/b",
     "[STAGE 2/5]", "~/data/x", "</DESCRIPTION></FIELD>", "2026/11/29"],
)  # fmt: skip
def test_what_is_no_path_of_the_machine_stays(text: str) -> None:
    assert without_folders(text) == text


def test_long_texts_take_time_in_proportion() -> None:
    for piece in ("/", "/a", "/a ", "//a/", "a" * 50 + "/"):
        require_linear(lambda size, piece=piece: lambda: without_folders(piece * size), 2000)
