"""The first rows of a table of text, as a page shows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.table import MaskedColumn, Table

from uws_server.previews.cache import Previews
from uws_server.previews.ecsv import MOST_COLUMNS, MOST_ROWS, ShownTable
from uws_server.previews.preview import Preview, ResultFile


def looked(path: Path) -> Preview:
    return Previews().look(ResultFile("key", path, {}))


def shown(path: Path, table: Table) -> ShownTable:
    table.write(path, format="ascii.ecsv")
    rows = looked(path).rows
    assert rows is not None
    return rows


def test_errors_stand_with_their_values(tmp_path: Path) -> None:
    table = Table({"quantity": ["Photon index", "nothing"], "mean": [0.123456789, np.nan],
                   "mean_error": [0.0234, np.nan], "runs": [12, 0], "is_good": [True, False]})  # fmt: skip
    table["runs"].unit = "s"
    rows = shown(tmp_path / "a.ecsv", table)
    assert [(one.name, one.unit, one.is_number) for one in rows.columns] == [
        ("quantity", "", False), ("mean", "", True), ("runs", "s", True), ("is good", "", False)]  # fmt: skip
    assert rows.rows == (("Photon index", "0.12346 ± 0.023", "12", "yes"), ("nothing", "", "0", "no"))
    assert (rows.total, rows.left_out) == (2, 0)


def test_a_long_and_wide_table_is_cut_and_says_so(tmp_path: Path) -> None:
    table = Table({f"c{number}": np.arange(1234) for number in range(MOST_COLUMNS + 3)})
    table["c0"] = MaskedColumn(np.arange(1234), mask=np.arange(1234) == 1)
    rows = shown(tmp_path / "a.ecsv", table)
    assert (len(rows.rows), rows.total, len(rows.columns), rows.left_out) == (MOST_ROWS, 1234, MOST_COLUMNS, 3)
    assert [cells[0] for cells in rows.rows[:3]] == ["0", "", "2"]


def test_a_table_without_rows_and_one_that_is_none(tmp_path: Path) -> None:
    assert shown(tmp_path / "a.ecsv", Table({"a": np.array([], dtype=int)})).rows == ()
    for number, text in enumerate((
        "# %ECSV 1.0\n", "# %ECSV 1.0\n# ---\n# datatype: [\n# - {name: a\na b\n",
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: int64}\nb\n1\n", "a b\n1 2\n",
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: !!python/object/apply:os.getpid []}\na\n1\n",
    )):  # fmt: skip
        path = tmp_path / f"{number}.ecsv"
        path.write_text(text)
        preview = looked(path)
        assert (preview.kind, preview.rows) == ("text", None), text
