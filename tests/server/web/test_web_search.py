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

from asking import Asking
from pagereader import Page, visit
from reduction.simulate import simulate, small
from serving import Served, running_server
from uws_server import cli, client
from uws_server.tap.query import turns

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
    answer = visit(f"{urljoin(served.url, form.action)}?{urlencode(form.form_values())}")
    assert answer.status == 200, answer.text()
    found = requests.get(urljoin(served.url, answer.all("//a[text()='All as VOTable']/@href")[0]), timeout=300)
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


STORED = "SELECT TOP 2 obs_publisher_did, s_ra FROM ivoa.obscore WHERE dataproduct_type = 'event' ORDER BY s_dec"
ANSWER = "//table[@aria-labelledby='found']/tbody/tr"


def asked(served: Served, query: str, **more: str) -> Page:
    return search(served, adql=query, **more)


def picture_of(served: Served, page: Page) -> requests.Response:
    return requests.get(urljoin(served.url, page.all("//section[@id='plot']//img/@src")[0]), timeout=300)


@pytest.fixture(scope="module")
def stars(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """The server with a table of 100,000 rows, every third without a flux."""
    folder = tmp_path_factory.mktemp("stars")
    lines = [f"{n},{n % 360},{'' if n % 3 == 0 else 10.0 ** (n % 7)}" for n in range(100_000)]
    (folder / "stars.csv").write_text("name,ra,flux\n" + "\n".join(lines) + "\n")
    data = str(served.log.parent)
    assert cli.main(["table", "add", str(folder / "stars.csv"), "--schema", "cat", "--data", data]) == 0
    return served


def test_an_edited_query_is_answered_on_the_page_and_in_files(served: Served) -> None:
    first = visit(f"{served.url}/search")
    (form,) = first.all("//form[@id='query']")
    query = "SELECT instrument_name, COUNT(*) AS n\nFROM ivoa.obscore WHERE calib_level = 2\nGROUP BY instrument_name"
    fields = {**dict(form.form_values()), "adql": query}
    page = visit(f"{urljoin(served.url, form.action)}?{urlencode(fields)}")
    assert page.status == 200 and page.text("//textarea") == " ".join(query.split())
    shown = {tuple(cell.text_content() for cell in row.xpath("td")) for row in page.all(ANSWER)}
    (csv_link, fits_link, votable_link) = (
        urljoin(served.url, page.all(f"//a[text()='All as {title}']/@href")[0]) for title in ("CSV", "FITS", "VOTable")
    )
    rows = list(csv.reader(io.StringIO(requests.get(csv_link, timeout=300).text)))
    assert rows[0] == ["instrument_name", "n"] and shown == {tuple(row) for row in rows[1:]} and len(shown) >= 3
    assert requests.get(fits_link, timeout=300).content.startswith(b"SIMPLE")
    table = parse_single_table(io.BytesIO(requests.get(votable_link, timeout=300).content))
    assert len(table.array) == len(shown)
    assert page.all("//input[@type='checkbox']") == []  # no row is a product
    (button,) = page.all("//button[@data-samp]")
    assert urljoin(served.url, button.get("data-url")) == votable_link


@pytest.mark.parametrize(
    "query",
    [
        STORED, "SELECT TOP 2 access_url FROM ivoa.obscore WHERE dataproduct_type = 'event' ORDER BY access_url",
        "SELECT * FROM ivoa.obscore WHERE dataproduct_type = 'event' AND instrument_name = 'EPN' AND calib_level = 2",
        "SELECT obs_id, COUNT(*) AS n FROM ivoa.obscore GROUP BY obs_id", "SELECT obs_id FROM archive.observations",
    ],
)  # fmt: skip
def test_rows_that_are_products_are_ticked_sent_analysed_and_drawn(served: Served, query: str) -> None:
    page = asked(served, query)
    assert page.status == 200, page.text()
    for row in page.all(ANSWER):
        for link in row.xpath(".//a[contains(@class, 'path')]"):
            assert requests.get(link.get("href"), timeout=300).content.startswith(b"SIMPLE")
        sent = [button.get("data-url") for button in row.xpath(".//button[@data-samp]")]
        assert sent == [link.get("href") for link in row.xpath(".//a[contains(@class, 'path')]")]
    boxes = page.all("//input[@name='eventlist']")
    assert boxes, page.text()
    names = boxes[0].get("value").split()
    (button,) = page.all("//button[text()='Image, exposure map and background']")
    values = {"eventlist": boxes[0].get("value")}
    form = requests.get(urljoin(served.url, button.get("formaction")), values, timeout=300)
    assert form.status_code == 200 and all(name in form.text for name in names)
    (drawing,) = page.all("//figure[contains(@class, 'footprints')]//img/@src")
    assert requests.get(urljoin(served.url, drawing), timeout=300).headers["Content-Type"] == "image/svg+xml"


@pytest.mark.parametrize(
    ("query", "sentence", "wrong"),
    [
        ("SELECT obs_id,\n  targt_name\nFROM ivoa.obscore",
         "Line 2, column 3: there is no column targt_name; did you mean target_name", "targt_name"),
        ("SELECT * FROM ivoa.obscor", "Line 1, column 15", "ivoa.obscor"),
        ("DROP TABLE jobs", "begins with SELECT", "DROP"),
        ("SELECT <b>'", "Line 1, column", None), ("", "a query in ADQL is needed", None),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_query_stands_beside_it_and_is_marked(
    served: Served, query: str, sentence: str, wrong: str | None
) -> None:
    page = asked(served, query)
    assert page.status == 400 and page.text("//textarea") == " ".join(query.split())
    assert sentence in page.text("//section[@role='alert']"), page.text("//section[@role='alert']")
    marks = [mark.text for mark in page.all("//mark")]
    assert wrong is None or marks == [wrong]
    assert page.all("//main//b") == [] and page.all(ANSWER) == []


def test_an_answer_without_rows_says_so(served: Served) -> None:
    page = asked(served, "SELECT obs_id, s_ra FROM ivoa.obscore WHERE obs_id = 'Café'", x="s_ra")
    assert (page.status, page.text("//h2[@id='found']")) == (200, "0 rows")
    assert "No row is like this" in page.text() and "Its 2 columns: obs_id, s_ra." in page.text()
    assert "Café" in page.text("//textarea")


def test_of_many_rows_the_first_are_shown_and_all_are_plotted(stars: Served) -> None:
    page = asked(stars, "SELECT * FROM cat.stars", rows="50", x="ra", y="flux")
    assert page.text("//h2[@id='found']") == "The first 50 rows" and len(page.all(ANSWER)) == 50
    assert "There are more than these 50 rows. More in a file: VOTable, FITS, CSV." in page.text()
    assert "flux against ra: 66,666 points. 33,334 rows without a number in ra or flux are left out." in page.text()
    drawing = picture_of(stars, page)
    assert drawing.headers["Content-Type"].startswith("image/svg+xml") and "</svg>" in drawing.text
    address = page.all("//a[@data-suffix='csv']/@href")[0]
    table = list(csv.reader(io.StringIO(requests.get(urljoin(stars.url, address), timeout=300).text)))
    assert table[0] == ["row", "ra", "flux"] and table[1][1:] == ["1", "10"]
    data = requests.get(drawing.url.replace("plot.svg", "plot.json"), timeout=300).json()
    assert [axis["log"] for axis in data["axes"]] == [False, True]
    # of a flux of 10, the rows that have the same ra and flux are one place
    assert len(data["series"][0]["rows"]) == len({(n % 360, n % 7) for n in range(100_000) if n % 3})


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"x": "obs_id"}, "x: obs_id is text, no number; the columns of numbers are s_ra, s_xel1"),
        ({"x": "s_rra"}, "x: the answer has no column 's_rra'; did you mean s_ra?"),
        ({"x": "s_ra", "y": "obs_id"}, "y: obs_id is text"),
        ({"x": "s_resolution_max"}, "s_resolution_max has no number in any of the"),
        ({"x": "s_ra", "y": "s_resolution_max"}, "s_resolution_max has no number in any of the"),
        ({"x": "s_ra", "x_low": "9", "x_high": "3"}, "x_low: 9 came; a number below x_high (3) is allowed"),
        ({"x": "s_ra", "x_scale": "cubic"}, "x_scale: 'cubic' came; linear, log are allowed"),
        ({"x": "below", "x_scale": "log"}, "a logarithmic axis shows values above 0, and below has none"),
    ],
)  # fmt: skip
def test_what_cannot_be_plotted_is_told_and_the_rows_stay(
    served: Served, more: dict[str, str], sentence: str
) -> None:
    page = asked(served, "SELECT obs_id, s_ra, s_xel1, s_resolution_max, -s_ra AS below FROM ivoa.obscore", **more)
    assert page.status == 200 and len(page.all(ANSWER)) >= 4
    assert sentence in page.text("//section[@id='plot']"), page.text("//section[@id='plot']")
    assert page.all("//section[@id='plot']//img") == []
    assert "Without a value in any row here: s_resolution_max" in page.text()


def test_letters_beyond_ascii_are_kept_in_the_form(served: Served) -> None:
    page = search(served, target="Café")
    assert page.all("//input[@name='target']/@value") == ["Café"]
    assert "LOWER(target_name) IN ('café')" in page.text("//textarea")
    text = "target LIKE 'Café%'"
    archive = visit(f"{served.url}/archive?{urlencode([('q', text)])}")
    assert archive.all("//input[@name='q']/@value") == [text]


def test_the_menu_and_the_help_lead_to_the_search(served: Served) -> None:
    assert "/search" in visit(f"{served.url}/").all("//nav[@aria-label='Main']/a/@href")
    assert visit(f"{served.url}/search").text("//nav[@aria-label='Main']/a[@aria-current='page']") == "Search"
    assert "Plot of columns" in visit(f"{served.url}/help").text()


def test_the_page_waits_for_its_turn_with_the_queries_of_tap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many queries as are answered at a time are being answered: neither door begins another one."""
    monkeypatch.setattr(turns, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(turns, "_QUICK_S", 1e9)  # so that no query is ever a long one, beside which others begin
    query = urlencode({"adql": "SELECT table_name FROM TAP_SCHEMA.tables"})
    asked = urlencode({"LANG": "ADQL", "QUERY": "SELECT table_name FROM TAP_SCHEMA.tables"})
    asking = Asking(tmp_path)
    with asking.services.turns.turn(), asking.services.turns.turn():
        refused = {address: asking.get(address) for address in (f"/search?{query}", f"/tap/sync?{asked}")}
    assert [answer.status for answer in refused.values()] == [503, 503]
    assert all("too many queries are being answered" in answer.text for answer in refused.values())
    assert [asking.get(address).status for address in refused] == [200, 200]
    asking.close()
