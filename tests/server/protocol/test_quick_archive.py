"""Searches by a cone in the event loop beside those of the application: the same answers, and those of any notation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from answering import answer_of_application, scope_of
from uws_server import app, cli
from uws_server.asgi.shortcut import Answer
from uws_server.config import Config
from uws_server.resources import definitions_folder
from uws_server.services.context import Services
from uws_server.services.exposures import Exposures
from uws_server.services.kept_rows import KeptRows
from uws_server.storage.archive_rows import ArchiveRow

POINTINGS = [(0.01, 0.0), (359.99, 0.1), (10.0, 89.95), (200.0, -90.0), (83.633, 22.014), (83.7, 22.1), (148.97, 69.68)]


@dataclass(frozen=True)
class Lab:
    """The services of a server with an archive, and its two ways to an answer."""

    folder: Path
    services: Services
    at_once: Callable[[Any], Answer | None]

    def fast(self, path: str, method: str = "GET", **headers: str) -> Answer | None:
        return self.at_once(scope_of(self.services, path, method, headers))

    def slow(self, path: str, **headers: str) -> Answer:
        return answer_of_application(self.services, scope_of(self.services, path, "GET", headers))

    def take_in(self, pointings: list[tuple[float, float]], first: int = 0) -> None:
        lines = [f"{first + number:010d},{ra},{dec},S{number}" for number, (ra, dec) in enumerate(pointings)]
        table = self.folder / "table.csv"
        table.write_text("obsid,ra,dec,target\n" + "\n".join(lines) + "\n", encoding="utf-8")
        assert cli.main(["archive", "import", str(table), "--archive", str(self.folder / "archive"), "--data",
                         str(self.folder / "data")]) == 0  # fmt: skip


def address(region: str) -> str:
    return f"/archive/exposures?REGION={quote(region)}&RESPONSEFORMAT=json"


def made(folder: Path, **settings: Any) -> Lab:
    (folder / "archive").mkdir()
    config = Config.of(data=folder / "data", archive=folder / "archive", **settings)
    services = Services(config, "http://127.0.0.1:8080", definitions_folder())
    return Lab(folder, services, app.at_once(services))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = made(tmp_path_factory.mktemp("cones"))
    lab.take_in(POINTINGS)
    yield lab
    lab.services.store.close()


def test_both_ways_lead_to_the_same_answer(lab: Lab) -> None:
    seen = 0
    for ra, dec in POINTINGS:
        for radius in (0.004, 1 / 6, 1):
            path = address(f"Circle ICRS {ra} {dec} {radius}")
            slow = lab.slow(path)
            assert slow.status == 200
            assert lab.fast(path) == slow
            seen += slow.body.count(b'"obs_id"')
    assert seen > 30
    nothing = address("30.5 -40.25 0.1")
    assert lab.fast(nothing) == lab.slow(nothing)


def test_a_circle_in_plain_numbers_is_that_of_every_other_notation(lab: Lab) -> None:
    random = np.random.default_rng(5)
    exposures: Exposures = lab.services.exposures
    for number in range(60):
        ra, dec = POINTINGS[number % len(POINTINGS)]
        ra, dec = (ra + random.normal(0, 0.1)) % 360, float(np.clip(dec + random.normal(0, 0.1), -90, 90))
        radius = 10 ** random.uniform(-3, 0)
        numbers = f"{ra:.7f} {dec:.7f} {radius:.9f}"
        general = exposures.seeing(f"icrs; circle({ra:.7f}, {dec:.7f}, {radius:.9f})")
        for plain in (f"Circle ICRS {numbers}", f"CIRCLE icrs {numbers}", numbers):
            found = exposures.seeing(plain)
            assert [one.row["source"] for one in found] == [one.row["source"] for one in general]
            assert [one[1:] for one in found] == [one[1:] for one in general]


@pytest.mark.parametrize(
    "region",
    ["icrs; circle(83.633, 22.014, 0.1)", "Circle ICRS 83.633 22.014 1.5", "Circle ICRS 400 22 0.1",
     "Circle ICRS 3 95 1", "Circle ICRS 83 22 0", "Circle FK5 83 22 0.1", "83 22", "", "Polygon ICRS 83 22 84 22 84 2"],
)  # fmt: skip
def test_what_is_no_small_circle_in_plain_numbers_is_left_to_the_application(lab: Lab, region: str) -> None:
    assert lab.fast(address(region)) is None


def test_what_else_is_asked_for_is_left_to_the_application(lab: Lab) -> None:
    path = address("Circle ICRS 83.633 22.014 0.1")
    lab.slow(path)
    assert lab.fast(path) is not None
    for other in (f"{path}&MAXREC=1", f"{path}&QUERY=S1", f"{path}&REGION=1", path.replace("json", "csv"),
                  "/archive/exposures", path.replace("exposures", "observations"), f"{path}&share=5"):  # fmt: skip
        assert lab.fast(other) is None, other
    assert lab.fast(path, "POST") is None
    assert lab.fast(path, authorization="Basic Og==") is None
    assert lab.fast(path, cookie="uws_session=made-up") is None
    assert lab.fast(path, host="evil.example:8080") is None


def test_what_is_taken_in_later_is_found(tmp_path: Path) -> None:
    lab = made(tmp_path)
    lab.take_in(POINTINGS[4:5])
    path = address("Circle ICRS 83.65 22.05 0.1")
    assert lab.fast(path) is None, "no region was searched for: what reads them is not imported yet"
    before = lab.slow(path)
    assert lab.fast(path) == before
    lab.take_in(POINTINGS[5:6], first=5)
    after = lab.slow(path)
    assert after.body.count(b'"obs_id"') > before.body.count(b'"obs_id"')
    assert lab.fast(path) == after
    lab.services.store.close()


def test_a_server_for_accounts_tells_nothing_at_once(tmp_path: Path) -> None:
    lab = made(tmp_path, anonymous="refused")
    lab.take_in(POINTINGS[4:5])
    path = address("Circle ICRS 83.65 22.05 0.1")
    lab.services.exposures.seeing("Circle ICRS 83.65 22.05 0.1")
    assert lab.fast(path) is None
    assert lab.slow(path).status == 401
    lab.services.store.close()


def test_rows_are_kept_up_to_a_number() -> None:
    read: list[int] = []

    def rows(keys: Any) -> list[ArchiveRow]:
        read.extend(keys)
        return [ArchiveRow((key, *[""] * 18)) for key in keys if key != 13]

    kept = KeptRows(rows, most=4)
    assert kept.at_hand([1, 2]) is None
    assert sorted(kept.of_keys([1, 2, 13])) == [1, 2]
    assert sorted(kept.at_hand([1, 2]) or ()) == [1, 2] and read == [1, 2, 13]
    assert sorted(kept.of_keys([2, 3, 4, 5])) == [2, 3, 4, 5] and read == [1, 2, 13, 3, 4, 5]
    assert kept.at_hand([1]) is None and kept.at_hand([2, 3, 4, 5]) is not None
