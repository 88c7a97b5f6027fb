"""The search of the archive, on both databases: every search finds what plain Python finds in the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import astropy.units as u
import pytest
from astropy.coordinates import Latitude, Longitude, angular_separation
from hypothesis import given, settings
from hypothesis import strategies as st
from mocpy import MOC

from uws_server.archive.footprints import cells
from uws_server.archive.query.errors import QueryError
from uws_server.archive.query.parts import Part
from uws_server.archive.query.reading import DEEPEST
from uws_server.errors import BadRequest, NotFound
from uws_server.services.archive_index import ArchiveIndex
from uws_server.services.archive_search import ArchiveSearch
from uws_server.services.exposures import Exposures
from uws_server.storage.archive_rows import ArchiveRows
from uws_server.storage.archive_search import ArchiveSearchStore
from uws_server.storage.jobstore import JobStore

Row = Mapping[str, Any]
Test = Callable[[Row], bool | None]
"""What a search means of a row; None where it is not known."""

FIELD_DEG = 0.25
SPACING_DEG = 2.0


def made_rows() -> list[dict[str, Any]]:
    """Exposures of twelve observations 2 degrees apart along a circle of declination, around RA 0; some lack things."""
    rows = []
    for number in range(12):
        ra, dec = (350.0 + SPACING_DEG * number) % 360, -3.0
        for camera, exposure in (("EPN", "S003"), ("EMOS1", "S001"), ("EMOS2", "S002")):
            seconds = 5000.0 * number + (0 if camera == "EPN" else 1500)
            has_field = number % 4 != 3
            rows.append({
                "kind": "events" if has_field else "observation", "collection": "XMM-Newton",
                "obs_id": f"01122902{number:02d}" if number != 5 else "",
                "instrument": camera, "exposure": exposure, "filter": ("Thin1", "Medium", "")[number % 3],
                "mode": "PrimeFullWindow" if camera == "EPN" else "",
                "target": ("M82", "Crab Nebula", "NGC 4151", "50%_\\off")[number % 4], "observer": f"Dr. O'{number}",
                "ra": ra if number != 6 else None, "dec": dec if number != 6 else None,
                "t_min": 53371.0 + 10 * number if number != 7 else None, "t_max": 53372.0 + 10 * number,
                "exposure_s": seconds if number % 5 else None,
                "source": f"{number:02d}/{camera}.fits", "size": 1, "changed": 1, "row": "", "note": "",
                "footprint": _field(ra, dec) if has_field else b"",
            })  # fmt: skip
    product = {**rows[0], "kind": "product", "source": "00/image.fits", "footprint": b""}
    return [*rows, product]


def _field(ra: float, dec: float) -> bytes:
    cone = MOC.from_cone(lon=Longitude(ra * u.deg), lat=Latitude(dec * u.deg), radius=FIELD_DEG * u.deg, max_depth=12)
    return cells(cone).astype("<u4").tobytes()


@dataclass
class Lab:
    """A search over rows that are also here."""

    search: ArchiveSearch
    rows: list[dict[str, Any]]

    def found(self, text: str, region: str = "") -> set[str]:
        return {one.row["source"] for one in self.search.exposures(text, region)}

    def expected(self, test: Test) -> set[str]:
        return {row["source"] for row in self.rows if row["kind"] != "product" and test(row) is True}


def resolve(name: str) -> tuple[float, float]:
    if name != "M82":
        raise ValueError(f"{name!r} is no object that the service knows")
    return 352.0, -3.0


@pytest.fixture(scope="module")
def lab(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    store, folder = JobStore(module_database_url), tmp_path_factory.mktemp("search")
    rows = made_rows()
    kept = ArchiveRows(store.engine)
    kept.keep(rows)
    ArchiveIndex(kept, folder, folder).write_footprints()
    yield Lab(ArchiveSearch(ArchiveSearchStore(store.engine), Exposures(kept, folder, folder), resolve), rows)
    store.close()


def sees(ra: float, dec: float, radius: float) -> Test:
    """Whether the field of a row reaches into a cone, or its pointing lies in it where it has no field."""

    def test(row: Row) -> bool:
        number = int(row["source"][:2])  # a pointing that is not in the row still has its field
        field = FIELD_DEG if row["footprint"] else 0.0
        places = [(350.0 + SPACING_DEG * number) % 360, -3.0, ra, dec]
        first, second, third, fourth = (value * u.deg for value in places)
        return float(angular_separation(first, second, third, fourth).to_value("deg")) <= radius + field

    return test


def compared(column: str, sign: str, value: float) -> Test:
    def test(row: Row) -> bool | None:
        found = row[column]
        if found is None:
            return None
        return {"=": found == value, "!=": found != value, "<": found < value, "<=": found <= value,
                ">": found > value, ">=": found >= value}[sign]  # fmt: skip

    return test


def negated(test: Test) -> Test:
    def opposite(row: Row) -> bool | None:
        found = test(row)
        return None if found is None else not found

    return opposite


def joined(tests: list[Test], decisive: bool) -> Test:
    """What all or any of some tests say: one answer decides, else one that is not known leaves it open."""

    def test(row: Row) -> bool | None:
        answers = [one(row) for one in tests]
        if decisive in answers:
            return decisive
        return None if None in answers else not decisive

    return test


def leaves() -> st.SearchStrategy[tuple[str, Test]]:
    signs = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])

    def number(names: tuple[str, str], sign: str, value: float) -> tuple[str, Test]:
        return f"{names[0]} {sign} {value!r}", compared(names[1], sign, value)

    def text(names: tuple[str, str], value: str, is_equal: bool) -> tuple[str, Test]:
        quoted = value.replace("'", "''")
        test: Test = lambda row: (row[names[1]].lower() == value.lower()) == is_equal  # noqa: E731
        return f"{names[0]} {'=' if is_equal else '<>'} '{quoted}'", test

    def cone(number: int, radius: float) -> tuple[str, Test]:
        ra = (350.0 + SPACING_DEG * number) % 360
        return f"cone('{ra} -3.0', {radius}deg)", sees(ra, -3.0, radius)

    columns = st.sampled_from([("exposure", "exposure_s"), ("ra", "ra"), ("dec", "dec"), ("date", "t_min"),
                               ("end", "t_max")])  # fmt: skip
    values = st.sampled_from([-3.0, 0.0, 350.0, 5000.0, 6500.0, 25000.0, 53371.0, 53401.0, 53412.5])
    texts = st.sampled_from([("target", "target"), ("observer", "observer"), ("filter", "filter"), ("obsid", "obs_id"),
                             ("mode", "mode")])  # fmt: skip
    words = st.sampled_from(
        ["M82", "crab nebula", "Thin1", "", "0112290203", "Dr. O'4", "primefullwindow", "50%_\\off"]
    )
    dates = columns.flatmap(lambda names: st.builds(number, st.just(names), signs, values if names[0] not in
                            ("date", "end") else st.sampled_from([53371.0, 53401.0, 53412.5])))  # fmt: skip
    return st.one_of(
        dates,
        st.builds(text, texts, words, st.booleans()),
        st.builds(cone, st.integers(0, 11), st.sampled_from([0.1, 1.0, 1.9, 4.0])),
        st.sampled_from([
            ("pn", lambda row: row["instrument"] == "EPN"),
            ("mos", lambda row: row["instrument"] != "EPN"),
            ("target LIKE 'm%'", lambda row: row["target"] == "M82"),
            ("target LIKE '%C_1%'", lambda row: False),
            ("target LIKE '%C 4%'", lambda row: row["target"] == "NGC 4151"),
            ("target LIKE '50%\\%'", lambda row: row["target"].startswith("50")),
            ("obsid IN {0112290201, 0112290204}", lambda row: row["obs_id"] in ("0112290201", "0112290204")),
        ]),
    )  # fmt: skip


def searches() -> st.SearchStrategy[tuple[str, Test]]:
    def nested(inner: st.SearchStrategy[tuple[str, Test]]) -> st.SearchStrategy[tuple[str, Test]]:
        several = st.lists(inner, min_size=2, max_size=3)
        return st.one_of(
            inner.map(lambda one: (f"NOT ({one[0]})", negated(one[1]))),
            several.map(lambda some: (" AND ".join(f"({text})" for text, _ in some),
                                      joined([test for _, test in some], False))),
            several.map(lambda some: (" OR ".join(f"({text})" for text, _ in some),
                                      joined([test for _, test in some], True))),
        )  # fmt: skip

    return st.recursive(leaves(), nested, max_leaves=6)


@settings(max_examples=100)
@given(search=searches())
def test_a_search_finds_what_plain_python_finds(lab: Lab, search: tuple[str, Test]) -> None:
    text, test = search
    expected = lab.expected(test)
    assert lab.found(text) == expected
    found, counts = lab.search.observations_and_counts(text)
    assert counts.exposures == len(expected)
    assert {row["source"] for one in found for row in one.exposures} == expected
    assert len(found) == counts.observations


def test_a_name_is_looked_up_and_the_share_that_is_seen_is_told(lab: Lab) -> None:
    found = lab.search.exposures("M82")
    assert {one.row["source"] for one in found} == lab.expected(sees(352.0, -3.0, 10 / 60))
    assert len(found) == 3
    for one in found:
        assert one.fraction == pytest.approx(1.0) and one.off_axis_arcmin == pytest.approx(0.0, abs=1e-6)
    assert lab.search.exposures("pn")[0].fraction is None


def test_a_region_is_joined_with_the_search(lab: Lab) -> None:
    region = "icrs; circle(0, -3, 2.1)"
    assert lab.found("", region) == lab.expected(joined([sees(0, -3, 2.1), lambda row: bool(row["footprint"])], False))
    assert lab.found("pn", region) == {one for one in lab.found("", region) if "EPN" in one}
    quoted = f"region('{region}') AND pn"
    assert lab.found(quoted) == lab.found("pn", region)
    with pytest.raises(BadRequest, match="REGION"):
        lab.found("pn", "circle(")


@pytest.mark.parametrize("order", ["obsid", "target", "ra", "date", "exposure"])
def test_observations_come_in_pages_and_in_order(lab: Lab, order: str) -> None:
    whole = lab.search.observations("", part=Part(order))
    assert len(whole) == 14, "exposures without an identifier are observations of their own"
    pages = [lab.search.observations("", part=Part(order, first=first, most=5)) for first in (0, 5, 10)]
    assert [one for page in pages for one in page] == whole
    stored = {"date": "t_min", "exposure": "exposure_s", "obsid": "", "target": "target"}.get(order, order)
    if order in ("ra", "date", "exposure"):
        known = [(one.most if order == "exposure" else one.least)(stored) for one in whole]
        numbers = [value for value in known if value is not None]
        assert numbers == sorted(numbers) and known[len(numbers) :] == [None] * (len(known) - len(numbers))
        down = lab.search.observations("", part=Part(order, descending=True))
        assert [one.id for one in down][: len(numbers)] == [
            one.id for one in sorted(whole[: len(numbers)], key=lambda one: -((one.most if order == "exposure" else
                                     one.least)(stored) or 0))]  # fmt: skip
    with pytest.raises(BadRequest, match="sort: 'weather' came"):
        lab.search.observations("", part=Part("weather"))


def test_an_observation_has_its_exposures_and_products(lab: Lab) -> None:
    files = lab.search.files_of("0112290200")
    assert [row["source"] for row in files] == ["00/EMOS1.fits", "00/EMOS2.fits", "00/EPN.fits", "00/image.fits"]
    assert [row["source"] for row in lab.search.files_of("05/EPN.fits")] == ["05/EPN.fits"]
    with pytest.raises(NotFound, match="no observation 'x'"):
        lab.search.files_of("x")


@pytest.mark.parametrize(
    ("text", "begin", "said", "instead"),
    [
        ("pn AND M83", 7, "'M83' is no object", "pn AND target LIKE '%M83%'"),
        ("cone('M83', 1deg) OR pn", 5, "'M83' is no object", "target LIKE '%M83%' OR pn"),
        ("cone(400 95)", 5, "not on the sky", "target LIKE '%400 95%'"),
        ("pn AND region('icrs; circle(3')", 14, "circle", ""),
        ("region('physical; circle(3, 4, 5)')", 7, "physical", ""),
    ],
)
def test_a_place_that_is_none_is_told_with_its_place(lab: Lab, text: str, begin: int, said: str, instead: str) -> None:
    with pytest.raises(QueryError, match=said) as refused:
        lab.found(text)
    assert (refused.value.begin, refused.value.instead) == (begin, instead)


def test_without_a_resolver_a_name_is_refused_kindly(tmp_path: Path) -> None:
    store = JobStore(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    rows = ArchiveRows(store.engine)
    search = ArchiveSearch(ArchiveSearchStore(store.engine), Exposures(rows, tmp_path, tmp_path), None)
    with pytest.raises(QueryError, match=r"looks no names up, such as 'M82': type a position such as 148.97 69.68"):
        search.exposures("M82")
    assert search.exposures("148.97 69.68") == []
    store.close()


def test_values_are_bound_and_deep_searches_are_run(lab: Lab) -> None:
    attack = "x'' OR 1=1; DROP TABLE archive_files --"
    assert lab.found(f"target = '{attack}'") == set() and lab.found(f"target LIKE '%{attack}%'") == set()
    deep = "pn"
    for number in range(DEEPEST):
        deep = f"exposure > 5 OR NOT target LIKE x AND NOT (exposure BETWEEN {number} AND 9 OR ra > 400 AND {deep})"
    lab.found(deep)
    assert lab.found(" OR ".join(f"obsid = {number}" for number in range(300))) == set()
    assert lab.found(f"obsid IN {{{', '.join(map(str, range(2000)))}}}") == set()
    assert len(lab.found(f"target LIKE '{'%a' * 49}%'")) == 0
