"""The search page over HTTP: what it finds is what SIA2 and TAP find, and leads on to tables, links and jobs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urljoin

import pytest
import requests
from astropy.io.votable import parse_single_table

from pagereader import Page, visit
from reduction.simulate import simulate, small
from serving import Served, running_server
from uws_server import cli, client

SOURCE = small().sources[0]
PN = "P0999990101PNS003PIEVLI0000.FITS"
NEAR = {"place": f"{SOURCE.ra} {SOURCE.dec}", "radius": "1"}
ROWS = "//table[contains(@class, 'archive')]/tbody/tr"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("search")
    simulate(small(), folder / "archive")
    named = ["--archive", str(folder / "archive"), "--data", str(folder / "data")]
    with running_server(folder / "data", "--archive", str(folder / "archive"), publisher="ivo://x.org/uws") as server:
        assert cli.main(["archive", "add", *named]) == 0
        values = {"eventlist": PN, "source_region": f'icrs; circle({SOURCE.ra}, {SOURCE.dec}, 40")'}
        final = client.follow(client.create(f"{server.url}/rest/spectrum", values), lambda state: None)
        assert final.phase == "COMPLETED", final.error
        yield server


def search(served: Served, **asked: str) -> Page:
    return visit(f"{served.url}/search?{urlencode(asked)}")


@dataclass(frozen=True)
class Answers:
    """The addresses of the products on a page, in its table, and by its query in ADQL."""

    page: list[str]
    table: list[str]
    query: list[str]


def answers(served: Served, **asked: str) -> Answers:
    page = search(served, **asked)
    assert page.status == 200, page.text()
    shown = [link.get("href") for link in page.all(f"{ROWS}//a[contains(@class, 'path')]")]
    table: list[str] = []
    if shown:
        address = page.all("//a[text()='All as CSV']")[0].get("href")
        text = requests.get(urljoin(served.url, address), timeout=300).text
        table = [row["access_url"] for row in csv.DictReader(io.StringIO(text))]
    form = page.all("//form[@id='query']")[0]
    fields = {**dict(form.form_values()), "RESPONSEFORMAT": "votable"}
    found = requests.get(urljoin(served.url, form.action), fields, timeout=300)
    assert found.status_code == 200, found.text
    rows = parse_single_table(io.BytesIO(found.content)).to_table()
    return Answers(sorted(shown), sorted(table), sorted(str(row["access_url"]) for row in rows))


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"kind": ""}, None), ({"kind": "event"}, None), ({"kind": "spectrum", **NEAR}, None), (NEAR, None),
        ({"place": "148.97 -69.65"}, 0), ({"begin": "2026-03-01", "end": "2026-03-01"}, None), ({"end": "2019"}, 0),
        ({"low": "0.5", "high": "2"}, None), ({"low": "50"}, 0), ({"high": "0.001"}, 0),
        ({"instrument": "epn"}, None), ({"target": "O'Neill"}, 0),
        ({"collection": "xmm-newton", "kind": "event"}, None),
    ],
)  # fmt: skip
def test_the_page_the_table_and_the_query_find_the_same(
    served: Served, asked: dict[str, str], count: int | None
) -> None:
    found = answers(served, **asked)
    assert len(found.page) > 0 if count is None else len(found.page) == count
    assert found.table == found.page == found.query


def test_a_product_leads_to_its_file_its_links_and_applications(served: Served) -> None:
    page = search(served, kind="spectrum")
    (row, *_) = page.all(ROWS)
    url = row.xpath(".//a[contains(@class, 'path')]/@href")[0]
    assert requests.get(url, timeout=300).content.startswith(b"SIMPLE")
    links = requests.get(urljoin(served.url, row.xpath(".//a[text()='Links']/@href")[0]), timeout=300)
    assert parse_single_table(io.BytesIO(links.content)).to_table()["access_url"][0] == url
    (button,) = row.xpath(".//button[@data-samp]")
    assert (button.get("data-url"), button.get("data-samp").split()[1]) == (url, "spectrum.load.ssa-generic")
    (table,) = page.all("//button[@data-samp='table.load.votable']")
    rows = parse_single_table(io.BytesIO(requests.get(urljoin(served.url, table.get("data-url")), timeout=300).content))
    assert len(rows.array) == len(page.all(ROWS))


def test_event_lists_that_are_ticked_become_a_job(served: Served) -> None:
    page = search(served, **NEAR, kind="event")
    boxes = page.all("//input[@name='eventlist']")
    assert PN in [box.get("value") for box in boxes] and len(boxes) >= 3
    chosen = [box.get("value") for box in boxes][:2]
    (button,) = page.all("//button[text()='Image, exposure map and background']")
    form = requests.get(urljoin(served.url, button.get("formaction")), {"eventlist": chosen}, timeout=300)
    assert form.status_code == 200 and all(name in form.text for name in chosen)
    (picture,) = page.all("//figure//img")
    drawing = requests.get(urljoin(served.url, picture.get("src")), timeout=300)
    assert drawing.headers["Content-Type"] == "image/svg+xml" and "EPN" in drawing.text


def test_before_anything_is_asked_there_is_the_form_alone(served: Served) -> None:
    page = visit(f"{served.url}/search")
    assert page.all(ROWS) == [] and "SELECT TOP 1000 *" in page.text("//textarea")
    assert visit(f"{served.url}/archive").all("//a[@href='/search']")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"place": "nowhere"}, "nowhere"), ({"place": "10 20", "radius": "-1"}, "radius: '-1' came; a number from 0"),
        ({"kind": "photo"}, "kind: 'photo' came; event, image"), ({"begin": "soon"}, "date: 'soon' came"),
        ({"low": "x"}, "energy: 'x' came"), ({"low": "5", "high": "2"}, "the lower one comes first"),
        ({"low": "0"}, "energy: '0' came"), ({"begin": "2003", "end": "2001"}, "date: '2003/2001' came"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_told_beside_what_was_typed(
    served: Served, asked: dict[str, str], sentence: str
) -> None:
    page = search(served, **asked)
    assert (page.status, sentence in page.text("//section[@role='alert']")) == (400, True), page.text()
    for name, value in asked.items():
        (field,) = page.all(f"//*[@name='{name}']")
        assert field.get("value") == value or name == "kind"


def test_nothing_that_was_typed_is_markup(served: Served) -> None:
    page = search(served, target="<b>'&\"</b>", instrument="x' OR '1'='1")
    assert page.all("//main//b") == []
    assert "LOWER(target_name) IN ('<b>''&\"</b>')" in page.text("//textarea")
    assert "LOWER(instrument_name) IN ('x'' or ''1''=''1')" in page.text("//textarea")


def test_products_of_others_are_not_found(tmp_path: Path) -> None:
    with running_server(tmp_path, anonymous="refused") as served:
        assert visit(f"{served.url}/search?kind=event").status == 401
