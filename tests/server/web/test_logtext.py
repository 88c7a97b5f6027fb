"""What a line of a job's log is, by how it begins: as our scripts, FTOOLS, Python's logging and XMM-SAS tell it."""

from __future__ import annotations

import pytest

from uws_server.web.shared.logtext import LineKind, kind_of


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("[STAGE 2/5] Filtering events", "stage"),
        ("[WARNING] careful", "warning"),
        ("[ERROR] pattern: 9 is not a grade", "error"),
        ("ERROR: could not open pn.fits", "error"),
        ("ERROR:root:no events", "error"),
        ("WARNING: AstropyDeprecationWarning", "warning"),
        ("** evselect: error (noSuchColumn), the table has no column PI", "error"),
        ("** xmmextractor: warning (NoBackground), none is subtracted", "warning"),
        ("** evselect: selected 20421 rows", ""),
        ("ERROR is a column", ""),
        ("0 errors: all is well", ""),
    ],
)
def test_a_line_is_what_it_begins_with(line: str, kind: LineKind) -> None:
    assert kind_of(line) == kind
