"""Parquet and Arrow both ways, on both databases; without pyarrow, which a server may do without, nothing is tested."""

from __future__ import annotations

import datetime
import decimal
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from obscorerows import fill
from uws_server.config import Config
from uws_server.errors import BadRequest
from uws_server.storage.jobstore import JobStore
from uws_server.storage.tap_schema import SchemaStore
from uws_server.tap.query.budget import Budget
from uws_server.tap.query.request import read_request
from uws_server.tap.query.service import Queries

pa = pytest.importorskip("pyarrow")
ipc, parquet = pytest.importorskip("pyarrow.ipc"), pytest.importorskip("pyarrow.parquet")

DAY = datetime.datetime(2026, 11, 20, 13, 6, 29, 500000)
COLUMNS = {
    "yes": (pa.array([True, None]), [True, None]),
    "tiny": (pa.array([200, 0], pa.uint8()), [200, 0]),
    "large": (pa.array([2**63 - 1, -(2**63) + 1], pa.int64()), [2**63 - 1, -(2**63) + 1]),
    "unsigned": (pa.array([7, 2**63 - 1], pa.uint64()), [7, 2**63 - 1]),
    "half": (pa.array([1.5, None], pa.float16()), [1.5, None]),
    "single": (pa.array([0.5, float("nan")], pa.float32()), [0.5, None]),
    "price": (pa.array([decimal.Decimal("1.25"), None]), [1.25, None]),
    "when": (pa.array([DAY, None], pa.timestamp("us")), ["2026-11-20T13:06:29.500000", None]),
    "day": (pa.array([DAY.date(), None]), ["2026-11-20", None]),
    "word": (pa.array(["é", None], pa.large_string()), ["é", None]),
    "view": (pa.array(["é", None], pa.string_view()), ["é", None]),
    "kind": (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
    "code": (pa.array([1, 2], pa.int16()).dictionary_encode(), [1, 2]),
    "raw": (pa.array([b"text", None], pa.binary()), ["text", None]),
    "flux": (pa.array([[1.5, 2.5], None], pa.list_(pa.float64())), ["1.5 2.5", None]),
    "gap": (pa.array([[1.5, None], []], pa.list_(pa.float64())), ["1.5 NaN", ""]),
    "none": (pa.nulls(2), [None, None]),
}  # fmt: skip


@pytest.fixture
def store(database_url: str) -> Iterator[JobStore]:
    opened = JobStore(database_url)
    yield opened
    opened.close()


@pytest.fixture
def queries(store: JobStore, database_url: str, tmp_path: Path) -> Iterator[Queries]:
    made = Queries(SchemaStore(store.engine), Config.of(data=tmp_path, database=database_url), "https://x.org/uws")
    yield made
    made.close()


def asked(queries: Queries, query: str, form: str, upload: Path | None = None) -> Any:
    values = {"LANG": ["ADQL"], "QUERY": [query], "RESPONSEFORMAT": [form]}
    values |= {"UPLOAD": ["mine,param:part"]} if upload else {}
    request = read_request(values)
    answer = queries.answer(request, None, {"mine": upload} if upload else {}, Budget(60))
    content = io.BytesIO(b"".join(request.format.write()(answer)))
    return parquet.read_table(content) if form == "parquet" else ipc.open_stream(content).read_all()


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_a_table_of_every_type_goes_there_and_comes_back(queries: Queries, tmp_path: Path, form: str) -> None:
    path = tmp_path / "mine.parquet"
    parquet.write_table(pa.table({name: array for name, (array, _) in COLUMNS.items()}), path)
    quoted = ", ".join(f'"{name}"' for name in COLUMNS)
    found = asked(queries, f"SELECT {quoted} FROM TAP_UPLOAD.mine", form, path)
    assert found.to_pydict() == {name: values for name, (_, values) in COLUMNS.items()}
    assert asked(queries, "SELECT word FROM TAP_UPLOAD.mine WHERE price > 1 AND unsigned = 7", form, path).num_rows == 1


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_sums_and_metadata_of_columns(store: JobStore, queries: Queries, form: str) -> None:
    fill(store.engine, 40)
    found = asked(
        queries, "SELECT COUNT(*) AS n, SUM(access_estsize) AS kb, AVG(s_ra) AS ra, MAX(t_min) AS t, "
        "SUM(calib_level) AS c, AVG(calib_level) AS mean FROM ivoa.obscore", form,
    )  # fmt: skip
    (row,) = found.to_pylist()
    assert (row["n"], row["kb"], row["c"], row["mean"]) == (40, 80000, 80, 2)
    whole = asked(queries, "SELECT * FROM ivoa.obscore", form)
    assert whole.num_rows == 40 and whole.schema.field("s_ra").metadata[b"unit"] == b"deg"
    empty = asked(queries, "SELECT * FROM ivoa.obscore WHERE s_ra < 0", form)
    assert empty.num_rows == 0 and empty.schema == whole.schema


def test_a_number_beyond_64_bits_is_refused_with_a_sentence(queries: Queries, tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    parquet.write_table(pa.table({"n": pa.array([2**64 - 1], pa.uint64())}), path)
    with pytest.raises(BadRequest, match=r"n: 18446744073709551615 came; whole numbers up to 9223372036854775807"):
        asked(queries, "SELECT n FROM TAP_UPLOAD.mine", "arrow", path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadRequest, match="no readable Parquet file"):
        asked(queries, "SELECT n FROM TAP_UPLOAD.mine", "arrow", path)
