"""The pages of the archive over HTTP: the search bar, its observations, one of them, pictures of footprints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from lxml import etree

from accounts import account
from pagereader import Page, visit
from reduction.simulate import simulate, small
from serving import Served, running_server
from uws_server import cli
from uws_server.storage.archive_rows import ArchiveRows
from uws_server.storage.jobstore import JobStore

OBSERVATION = "0999990101"
IMPORTED = 120
TABLE = "//table[contains(@class, 'archive')]"
SVG = "{http://www.w3.org/2000/svg}"


def imported(number: int) -> dict[str, Any]:
    """The row of an exposure that has no file here."""
    return {
        "kind": "observation", "collection": "XMM-Newton", "obs_id": f"01{number:08d}", "instrument": "EPN",
        "exposure": "S003", "filter": "Thin1", "mode": "PrimeFullWindow", "target": f"<b>Star {number}</b>",
        "observer": "Dr. A & B", "ra": number * 2.0, "dec": 10.0, "t_min": 53371.0 + number, "t_max": 53371.5 + number,
        "exposure_s": 1000.0 * number if number else None, "source": f"//{number}", "size": 0, "changed": 0,
        "row": "", "note": "", "footprint": b"",
    }  # fmt: skip


def fill(data: Path) -> None:
    """Put rows of an imported table and of a product beside those of the simulated event lists."""
    store = JobStore(f"sqlite:///{data / 'jobs.sqlite'}")
    columns = '{"dataproduct_type": "image", "obs_id": "0999990101", "em_min": 1e-9, "s_fov": null}'
    product = {**imported(0), "kind": "product", "obs_id": OBSERVATION, "source": "image.fits", "row": columns}
    odd = {**imported(7), "obs_id": "", "source": "lost/some list.fits", "kind": "events", "note": "no positions"}
    ArchiveRows(store.engine).keep([*map(imported, range(IMPORTED)), product, odd])
    store.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("archive-pages")
    simulate(small(), folder / "archive")
    (folder / "data").mkdir()
    named = ["--archive", str(folder / "archive"), "--data", str(folder / "data")]
    assert cli.main(["archive", "add", *named]) == 0
    fill(folder / "data")
    with running_server(folder / "data", "--archive", str(folder / "archive")) as server:
        yield server


def search(served: Served, text: str, **more: str) -> Page:
    query = requests.Request("GET", f"{served.url}/archive", params={"q": text, **more}).prepare().url
    assert query is not None
    return visit(query)


def ids(page: Page) -> list[str]:
    return [cell.text_content().strip() for cell in page.all(f"{TABLE}/tbody/tr/td[1]")]


def test_all_observations_are_there_in_pages(served: Served) -> None:
    first = visit(f"{served.url}/archive")
    assert first.text("//h2[@id='found']") == "122 observations, 124 exposures"
    assert len(ids(first)) == 50 and first.text("//nav[@class='pages']/span") == "Page 1 of 3"
    (onward,) = first.all("//a[@rel='next']/@href")
    second = visit(f"{served.url}{onward}")
    last = visit(f"{served.url}/archive?page=3")
    every = [*ids(first), *ids(second), *ids(last)]
    assert len(every) == len(set(every)) == 122 and every == sorted(every)
    assert visit(f"{served.url}/archive?page=4").status == 404
    for wrong in ("page=0", "page=x", "page=99999999"):
        assert visit(f"{served.url}/archive?{wrong}").status == 404


def test_a_press_on_a_heading_sorts_and_another_turns(served: Served) -> None:
    page = search(served, "target LIKE '%star%' AND exposure > 0")
    for wanted in ("0100000001", "0100000119"):
        (heading,) = page.all("//th/a[starts-with(., 'Exposure')]")
        page = visit(f"{served.url}{heading.get('href')}")
        assert ids(page)[0] == wanted
    assert page.all("//th[@aria-sort='descending']/a")[0].text_content().startswith("Exposure")
    refused = search(served, "", sort="weather")
    assert refused.status == 400 and "weather" in refused.text() and "exposure" in refused.text()


def test_a_search_finds_exposures_and_shows_what_the_selector_shows(served: Served) -> None:
    page = search(served, "148.9745 69.651")
    assert page.text("//h2[@id='found']") == "1 observation, 3 exposures found"
    heads = [head.xpath("(.//span[@class='plain'] | self::th[not(a)])[1]")[0].text_content()
             for head in page.all(f"{TABLE}/thead//th")]  # fmt: skip
    cells = [cell.text_content().strip() for cell in page.all(f"{TABLE}/tbody/tr/td")[: len(heads)]]
    row = dict(zip(heads, cells, strict=True))
    assert row["Obs ID"] == OBSERVATION and row["Object"] == "SIMULATED FIELD" and row["Cameras"] == "EMOS1, EMOS2, EPN"
    assert (row["RA"], row["Dec"], row["Date"]) == ("148.9745", "+69.6510", "2026-03-01")
    assert row["Exposure"] == "11.7 ks" and row["Mode"] == "PrimeFullWindow" and row["Filter"] == "Medium"
    addresses = [address for address in page.all("//main//a/@href") if "?" in address]
    sky = next(address for address in addresses if urlsplit(address).path == "/sky")
    assert parse_qs(urlsplit(sky).query) == {"q": ["148.9745 69.651"]}
    downloads = [parse_qs(urlsplit(address).query) for address in addresses if "RESPONSEFORMAT" in address]
    assert len(downloads) == 6 and {one["QUERY"][0] for one in downloads} == {"148.9745 69.651"}


def test_texts_of_files_are_texts_on_the_page(served: Served) -> None:
    page = search(served, "target = '<b>Star 5</b>'")
    assert ids(page) == ["0100000005"] and not page.all("//td//b")
    assert page.all("//input[@id='q']/@value") == ["target = '<b>Star 5</b>'"]


@pytest.mark.parametrize(
    ("text", "said", "marked", "instead"),
    [
        ("pn AND expsure > 3", "'expsure' is no column; did you mean exposure?", " " * 7 + "^" * 7,
         "pn AND exposure > 3"),
        ("pn AND M82", "This server looks no names up, such as 'M82': type a position", " " * 7 + "^^^",
         "pn AND target LIKE '%M82%'"),
        ("exposure > 'a", "The quote ' that is opened here is not closed", " " * 11 + "^", ""),
    ],
)  # fmt: skip
def test_wrong_words_are_told_with_their_place(served: Served, text: str, said: str, marked: str, instead: str) -> None:
    page = search(served, text)
    assert page.status == 400 and said in page.text("//section[@id='search-problem']")
    line, marks = page.all("//pre[@class='caret']")[0].text_content().split("\n")
    assert (line, marks) == (text, marked)
    assert page.all("//input[@id='q']/@value") == [text] and page.all("//details[@class='grammar']/@open")
    if instead:
        (address,) = page.all("//section[@id='search-problem']//a/@href")
        assert parse_qs(urlsplit(address).query)["q"] == [instead]
        assert visit(f"{served.url}{address}").status == 200


def test_what_is_too_long_for_a_search_is_refused(served: Served) -> None:
    assert search(served, "x" * 51_000).status in (400, 413, 414, 431)


def test_nothing_found_says_what_to_do(served: Served) -> None:
    page = search(served, "pn AND MOS1")
    assert page.status == 200 and "two cameras are joined by OR" in page.text()


def test_an_observation_has_its_exposures_products_and_columns(served: Served) -> None:
    page = visit(f"{served.url}/archive/observation/{OBSERVATION}")
    assert page.status == 200
    exposures, products = page.all(TABLE)
    cameras = [cell.text_content() for cell in exposures.xpath(".//td[@data-label='Camera']")]
    assert cameras == ["EMOS1", "EMOS2", "EPN"]
    runs = [address for address in exposures.xpath(".//a/@href") if "/new/spectrum?" in address]
    assert [parse_qs(urlsplit(address).query)["eventlist"][0][:16] for address in runs] == [
        "P0999990101M1S00", "P0999990101M2S00", "P0999990101PNS00"]  # fmt: skip
    (together,) = [one for one in page.all("//a/@href") if "/new/spectrum?" in one and one.count("eventlist=") == 3]
    form = visit(f"{served.url}{together}")
    assert form.field("eventlist").text_content().split() == parse_qs(urlsplit(together).query)["eventlist"]
    assert "image.fits" in products.text_content() and "image" in products.text_content()
    footprints = [address for address in page.all("//a/@href") if "/archive/footprint?" in address]
    assert any(address.count("ID=") == 3 and "FORMAT=fits" in address for address in footprints)
    columns = page.all("//details[@class='columns']")
    assert len(columns) == 4 and "s_region" in columns[0].text_content()
    assert "em_min" in columns[3].text_content() and "s_fov" not in columns[3].text_content()
    (picture,) = page.all("//figure//img/@src")
    drawing = requests.get(f"{served.url}{picture}", timeout=300)
    assert drawing.headers["Content-Type"] == "image/svg+xml"
    root = etree.fromstring(drawing.content)
    assert "3 footprints (EPN, EMOS1, EMOS2) about 148.97" in (root.findtext(f"{SVG}desc") or "")


def test_an_exposure_of_a_table_has_no_file_to_run_on(served: Served) -> None:
    page = visit(f"{served.url}/archive/observation/0100000007")
    assert "not here: of an imported table" in page.text()
    assert not page.all("//main//a[contains(@href, '/new/')]")
    lost = visit(f"{served.url}/archive/observation/lost/some%20list.fits")
    assert lost.status == 200 and "No positions." in lost.text()
    for unknown in ("1", "../../etc/passwd", "%00", "x" * 3000):
        missing = visit(f"{served.url}/archive/observation/{unknown}")
        assert missing.status in (400, 404, 414), unknown


def test_footprints_are_drawn_for_a_region_a_search_or_names(served: Served) -> None:
    def words(**query: Any) -> str:
        answer = requests.get(f"{served.url}/archive/footprints.svg", query, timeout=300)
        assert answer.status_code == 200, answer.text
        return " ".join(etree.fromstring(answer.content).itertext())

    region = 'icrs; circle(148.9745, 69.651, 60")'
    seen = words(REGION=region)
    assert "3 footprints" in seen and "source region" in seen
    both = words(source=region, background='icrs; annulus(148.9745, 69.651, 90", 150")', q="pn")
    assert "1 footprints (EPN)" in both and "background region" in both
    alone = words(REGION="icrs; circle(10, -60, 0.1)")
    assert "source region" in alone and "No exposure sees the region." in alone
    assert "1 of the exposures has no footprint" in words(q="148.9745 69.651 OR obsid = 0100000007")
    assert 'width="340"' in requests.get(f"{served.url}/archive/footprints.svg?q=pn&size=narrow", timeout=300).text
    for wrong in ({}, {"REGION": "circle("}, {"q": "expsure > 3"}):
        answer = requests.get(f"{served.url}/archive/footprints.svg", wrong, timeout=300)
        assert answer.status_code == 400


def test_a_server_for_accounts_shows_its_archive_to_them_only_and_says_what_its_resolver_does(tmp_path: Path) -> None:
    signed_in = account(tmp_path / "data", "ann")
    nobody_there = "http://127.0.0.1:9/{name}"
    with running_server(tmp_path / "data", anonymous="refused", resolver=nobody_there) as served:
        for path in ("archive", "archive/observation/1", "archive/footprints.svg?q=pn"):
            assert requests.get(f"{served.url}/{path}", timeout=300).status_code == 401, path
        page = requests.get(f"{served.url}/archive", auth=signed_in, timeout=300)
        assert page.status_code == 200 and "--archive FOLDER" in page.text
        assert "The archive is empty." in page.text and "q=M82" in page.text
        unknown = requests.get(f"{served.url}/archive", {"q": "M82"}, auth=signed_in, timeout=300)
        assert unknown.status_code == 400 and "cannot be looked up now: the service does not answer" in unknown.text
        assert "target LIKE &#039;%M82%&#039;" in unknown.text
