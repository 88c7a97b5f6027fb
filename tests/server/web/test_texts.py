"""Sentences of pages: capitals at their beginning, and the names of files and programs as they are."""

from __future__ import annotations

import re

import pytest

from checkout import ROOT
from uws_server.web.shared import texts


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("evselect ended with status 1", "evselect ended with status 1."),
        ("spectrum.fits has no channels", "spectrum.fits has no channels."),
        ("p_max is above 12", "p_max is above 12."),
        ("bubblewrap is not installed", "bubblewrap is not installed."),
        ("table.fits is no table", "table.fits is no table."),
        ("results/a.fits is gone", "results/a.fits is gone."),
        ("energy: 3 came; 2 is allowed", "energy: 3 came; 2 is allowed"),
        ("the script left no spectrum.fits", "The script left no spectrum.fits."),
        ("job 4711 is PENDING: wait", "Job 4711 is PENDING: wait."),
        ("no, that cannot be!", "No, that cannot be!"),
        ("“x” came", "“x” came."),
        ("", ""),
    ],
)
def test_a_message_becomes_a_sentence_and_names_stay_as_they_are(message: str, shown: str) -> None:
    assert texts.sentence(message) == shown


def test_nearly_all_messages_of_the_server_begin_with_a_word_that_gets_its_capital() -> None:
    raised = re.compile(r"raise (?:NotFound|Forbidden|Conflict|BadRequest|Unauthorized)\(\s*f?\"([a-z]+ [a-z ]+)")
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "uws_server").rglob("*.py"))
    messages = [message for source in sources for message in raised.findall(source)]
    assert len(messages) > 40
    assert [message for message in messages if texts.sentence(message)[0].islower()] == []
