"""A job of thousands of results: who needs none of them, or the first hundred, does not pay for the others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from asking import BASE, Asking
from growth import Work, growth
from statements import noted
from uws_server.jobs.job import Job, Result, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.uses import Use

UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"


@pytest.fixture
def asking(tmp_path: Path, database_url: str) -> Iterator[Asking]:
    application = Asking(tmp_path / "data", database=database_url)
    yield application
    application.close()


def ended(asking: Asking, count: int, used: str = "") -> tuple[str, list[Result]]:
    """The id and the results of a job that was aborted and left so many files."""
    job, store = Job(new_id(), "dummy", "1", Phase.PENDING, utcnow(), 60), asking.services.store
    store.add(job)
    folder = asking.services.files.folder(job.id) / "results"
    folder.mkdir(parents=True)
    found = [Result(new_id(), f"r{number}", f"results/r{number}.txt", "text/plain", 5, f"{number:064x}")
             for number in range(count)]  # fmt: skip
    for result in found:
        (folder / f"{result.name}.txt").write_text("hello")
    given = [Use("text", f"{BASE}/store/{used}/r.txt", "")] if used else []
    assert store.end(job.id, Phase.ABORTED, utcnow(), None, found, 5, given)
    return job.id, found


@pytest.mark.parametrize(
    "what", ["phase", "quote", "owner", "destruction", "executionduration", "stdout", "parameters"]
)
def test_one_value_of_a_job_is_read_without_its_results(asking: Asking, what: str) -> None:
    asked = []
    for count in (0, 300):
        job, _ = ended(asking, count)
        asking.get(f"/rest/dummy/{job}/{what}")
        with noted(asking.services.store.engine) as statements:
            asking.get(f"/rest/dummy/{job}/{what}")
        asked.append(len(statements))
        assert not [text for text in statements if "results" in text]
    assert asked[0] == asked[1] <= 1


def test_the_cost_of_a_look_does_not_grow_with_the_results(tmp_path: Path) -> None:
    asking = Asking(tmp_path / "data")

    def looking(count: int) -> Work:
        job, _ = ended(asking, count)

        def look() -> None:
            for _ in range(50):
                assert asking.get(f"/rest/dummy/{job}/phase").text == "ABORTED"

        return look

    assert growth(looking, 250) < 2
    asking.close()


def test_the_document_and_the_list_of_results_have_all_of_them(asking: Asking) -> None:
    job, results = ended(asking, 300)
    for address in (f"/rest/dummy/{job}", f"/rest/dummy/{job}/results"):
        document = etree.fromstring(asking.get(address).body)
        assert [item.get("id") for item in document.iter(f"{UWS}result")] == [result.name for result in results]


@pytest.mark.parametrize("name", ["r299", "r299.txt"])
def test_one_of_many_results_is_found_by_its_name_and_by_that_of_its_file(asking: Asking, name: str) -> None:
    job, _ = ended(asking, 300)
    assert asking.get(f"/rest/dummy/{job}/results/{name}").text == "hello"
    refused = asking.get(f"/rest/dummy/{job}/results/results")
    assert refused.status == 404
    assert "there are r0, r1, " in refused.text
    assert refused.text.endswith("r99 and 200 more\n")


def test_the_page_of_a_job_shows_a_hundred_results_and_leads_to_the_others(asking: Asking) -> None:
    job, results = ended(asking, 250)
    seen: list[str] = []
    address = f"/jobs/{job}"
    for first in (0, 100, 200):
        page = asking.get(address, "text/html").text
        seen += re.findall(r'<a class="strong file" href="[^"]*">r(\d+)\.txt</a>', page)
        assert f"{first + 1} to {min(first + 100, 250)} of 250 results" in page
        following = re.search(r'rel="next" href="([^"]*)#results"', page)
        assert (following is None) is (first == 200)
        address = following[1] if following else address
    assert seen == [result.name[1:] for result in results]
    assert "none of number 1,001" in asking.get(f"/jobs/{job}?results=1000", "text/html").text
    assert asking.get(f"/jobs/{job}?results=-1").status == 400
    state = json.loads(asking.get(f"/jobs/{job}/state").body)
    assert (len(state["results"]), state["results_total"]) == (100, 250)


def links(document: bytes) -> list[list[str]]:
    """The access address and the meaning of each row."""
    rows = etree.fromstring(document).iter("{*}TR")
    cells = [[cell.text or "" for cell in row.iter("{*}TD")] for row in rows]
    return [[row[1], row[4]] for row in cells]


def is_cut(document: bytes) -> bool:
    return any(info.get("value") == "OVERFLOW" for info in etree.fromstring(document).iter("{*}INFO"))


@pytest.mark.parametrize("of", ["job", "result"])
def test_links_of_a_job_of_many_results_are_the_first_hundred_and_the_way_to_all(asking: Asking, of: str) -> None:
    job, results = ended(asking, 250)
    identifier = job if of == "job" else results[-1].id
    usual, more = (asking.get(f"/datalink?ID={identifier}{maxrec}").body for maxrec in ("", "&MAXREC=9999"))
    stored = [url for url, _ in links(usual) if "/store/" in url]
    assert len(stored) == (100 if of == "job" else 101)
    assert [f"{BASE}/rest/dummy/{job}/results", "#documentation"] in links(usual)
    assert is_cut(usual)
    assert len([url for url, _ in links(more) if "/store/" in url]) == 250
    assert not is_cut(more)
    few = asking.get(f"/datalink?ID={identifier}&MAXREC=7").body
    assert len(links(few)) == 7
    assert is_cut(few)
    assert links(asking.get(f"/datalink?ID={identifier}&MAXREC=0").body) == []
    assert asking.get(f"/datalink?ID={identifier}&MAXREC=x").status == 400


def test_provenance_shows_a_hundred_results_what_others_used_and_the_way_to_all(asking: Asking) -> None:
    job, results = ended(asking, 250)
    ended(asking, 1, used=results[220].id)
    page = asking.get(f"/jobs/{job}/provenance", "text/html").text
    assert f'href="{BASE}/rest/dummy/{job}/results">149 more results</a>' in page
    names = set(re.findall(r'href="[^"]*/store/[^"]*">(r\d+)\.txt</a>', page))
    assert {name for name in names if int(name[1:]) >= 100} == {"r220"}
    assert len(asking.get(f"/jobs/{job}/provenance").body) < 200_000
    for kind in ("provjson", "provxml", "provn"):
        whole = asking.get(f"/rest/dummy/{job}/{kind}").text
        assert {result.id for result in results} <= set(re.findall(r"/store/([0-9a-f]{32})/", whole))
        assert "more results" not in whole


@pytest.mark.parametrize("kind", ["provxml", "provn"])
def test_a_long_document_of_provenance_is_made_as_it_is_sent(asking: Asking, kind: str) -> None:
    """Others are answered between two parts; made as a whole it took seconds, in which they waited."""
    job, _ = ended(asking, 1000)
    body = asking.get(f"/rest/dummy/{job}/{kind}").parts
    assert len(body) > 10
    assert max(map(len, body)) < sum(map(len, body)) / 4


def test_pages_of_a_job_do_not_grow_with_its_results(tmp_path: Path) -> None:
    asking = Asking(tmp_path / "data")
    sizes: dict[str, list[int]] = {}
    for count in (150, 1200):
        job, results = ended(asking, count)
        for what in (f"/jobs/{job}", f"/jobs/{job}/provenance", f"/jobs/{job}/state", f"/datalink?ID={results[5].id}"):
            sizes.setdefault(what.replace(job, "").partition("=")[0], []).append(
                len(asking.get(what, "text/html").body)
            )
    for what, (few, many) in sizes.items():
        assert many < 1.05 * few, what
    asking.close()
