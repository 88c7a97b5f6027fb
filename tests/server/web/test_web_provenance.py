"""The page that tells how files came to be: every node and link of it leads where it says, and it needs no script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest
import requests
from lxml import html

from chained import Chained, chained_server, id_of
from provenance import steps
from provenance.graph.model import Activity, File, Link, ProvenanceGraph, of_steps
from uws_server.web.jobs.graphpicture import HEIGHT, MOST, WIDTH, picture

SVG = "//*[local-name()='svg']"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chained]:
    with chained_server(tmp_path_factory.mktemp("page")) as chained:
        yield chained


def page(made: Chained, job: str) -> html.HtmlElement:
    response = requests.get(f"{made.url}/jobs/{job}/provenance", headers={"Accept": "text/html"}, timeout=300)
    assert response.status_code == 200, response.text
    return html.fromstring(response.text, base_url=response.url)


def test_the_chain_is_drawn_from_the_first_file_to_the_last(made: Chained) -> None:
    tree = page(made, id_of(made.second))
    names = [
        node.xpath("string(.//*[local-name()='title'])") for node in tree.xpath(f"{SVG}//*[contains(@class, 'node')]")
    ]
    assert sum("Spectrum of a region 1.0" in name for name in names) == 2
    assert sum(name.startswith("events.fits") for name in names) == 2
    assert any(name.startswith("P0999990101PNS003") for name in names)
    (current,) = tree.xpath(f"{SVG}//*[contains(@class, 'current')]")
    assert id_of(made.second)[:8] in current.text_content()
    assert not tree.xpath("//main//script")


def test_every_node_and_every_link_leads_somewhere(made: Chained) -> None:
    for job in (made.first, made.second):
        tree = page(made, id_of(job))
        addresses = {urljoin(f"{made.url}/", each) for each in tree.xpath("//article//@href")}
        assert len(addresses) > 10
        for address in addresses:
            response = requests.get(address, timeout=300)
            assert response.status_code in (200, 503), address  # 503: a picture where there is no Graphviz
        drawn = tree.xpath(f"{SVG}//*[local-name()='a']/@href")
        assert f"/jobs/{id_of(job)}" in drawn
        assert any("/store/" in each for each in drawn)


def test_the_list_says_what_the_picture_says_and_more(made: Chained) -> None:
    tree = page(made, id_of(made.second))
    items = tree.xpath("//ol[@class='steps']/li")
    assert [item.get("id") for item in items] == [f"job_{id_of(made.first)}", f"job_{id_of(made.second)}"]
    text = " ".join(items[1].text_content().split())
    for words in ("(this job)", "Used events.fits", "Made source_spectrum.fits", "groupingnone", "Host", "numpy"):
        assert words in text
    titles = items[1].xpath(".//code/@title")
    assert all(re.fullmatch("SHA-256 [0-9a-f]{64}", title) for title in titles)
    assert len(titles) == 5, "the events, and four results"


def test_the_page_of_a_job_leads_to_it(made: Chained) -> None:
    text = requests.get(f"{made.url}/jobs/{id_of(made.first)}", headers={"Accept": "text/html"}, timeout=300).text
    assert f"/jobs/{id_of(made.first)}/provenance" in html.fromstring(text).xpath("//a/@href")


def test_a_page_of_no_job_is_404(made: Chained) -> None:
    response = requests.get(f"{made.url}/jobs/{'0' * 32}/provenance", headers={"Accept": "text/html"}, timeout=300)
    assert response.status_code == 404


def test_a_job_that_has_not_run_says_so(made: Chained) -> None:
    again = requests.post(f"{made.first.url}/rerun", data={"from": "0"}, allow_redirects=False, timeout=300)
    address = again.headers["Location"]
    tree = page(made, address.rpartition("/")[2])
    lines = [" ".join(line.text_content().split()) for line in tree.xpath("//ol[@class='steps']/li/p")]
    assert sum(line.startswith("not started · Log · runs ") for line in lines) == 1, lines
    assert all(re.match(r"not started|\d{4}-\d\d-\d\d ", line) for line in lines), lines
    requests.delete(address, timeout=300)


# --- the layout --------------------------------------------------------------------------------------------


def row_of(length: int) -> ProvenanceGraph:
    """Activities of which each used what the one before made, and made one more file."""
    listed = []
    for number in range(length):
        args = [
            steps.InputData(0, "", False, "", f"f{number}.fits"),
            steps.OutputData(1, "", False, "", f"f{number + 1}.fits"),
        ]
        listed.append(
            steps.Step((*args, steps.OutputData(2, "", False, "", f"extra{number}.txt")), {"task": f"t{number}"})
        )
    return of_steps(listed)


def test_nothing_stands_above_what_it_came_of_and_nothing_overlaps() -> None:
    told = row_of(12)
    drawing = picture(told, told.activities[-1].key)
    places = {node.key: (node.x, node.y) for node in drawing.nodes}
    for activity in told.activities:
        for link in activity.used:
            assert places[link.key][1] < places[activity.key][1]
        for link in activity.made:
            if link.key in places:
                assert places[link.key][1] > places[activity.key][1]
    corners = sorted(places.values())
    for one, other in ((one, other) for one in corners for other in corners if one < other):
        assert abs(one[0] - other[0]) >= WIDTH or abs(one[1] - other[1]) >= HEIGHT
    assert all(0 <= x <= drawing.width - WIDTH and 0 <= y <= drawing.height - HEIGHT for x, y in corners)
    assert drawing.left_out == 0


def test_of_a_long_chain_the_nearest_are_drawn() -> None:
    told = row_of(200)
    drawing = picture(told, told.activities[150].key)
    assert drawing.left_out == 200 - MOST
    assert told.activities[150].key in {node.key for node in drawing.nodes}
    assert told.activities[0].key not in {node.key for node in drawing.nodes}


def test_a_cycle_is_drawn() -> None:
    files = {key: File(key, key) for key in ("a", "b")}
    one = Activity("one", "one", used=(Link("a"),), made=(Link("b"),))
    other = Activity("other", "other", used=(Link("b"),), made=(Link("a"),), informed_by=("one",))
    drawing = picture(ProvenanceGraph((one, other), files), "one")
    assert {node.key for node in drawing.nodes} == {"one", "other", "a", "b"}
    assert len(drawing.edges) == 5


def test_reruns_stand_beside_their_job_with_their_own_arrows_from_the_input() -> None:
    """Below it, the arrow from their input would run behind the job, and a rerun seem to be made from it."""
    activities = [Activity("job", "spectrum", used=(Link("list"),))]
    activities += [Activity(key, "spectrum", used=(Link("list"),), informed_by=("job",)) for key in ("first", "second")]
    drawing = picture(ProvenanceGraph(tuple(activities), {"list": File("list", "list.fits")}), "second")
    places = {node.key: (node.x, node.y) for node in drawing.nodes}
    x, y = places["job"]
    assert places["first"][1] == places["second"][1] == y > places["list"][1] + HEIGHT
    beside, over = (edge.path for edge in drawing.edges if edge.again)
    assert beside == f"M{x + WIDTH} {y + HEIGHT // 2}H{places['first'][0] - 3}"
    heights = [float(height) for height in re.findall(r"[\d.]+ ([\d.]+)", over)]
    assert places["list"][1] + HEIGHT < min(heights) < max(heights) <= y, "an arch over the job between"


def test_a_rerun_without_inputs_stands_below_its_job() -> None:
    drawing = picture(ProvenanceGraph((Activity("job"), Activity("rerun", informed_by=("job",))), {}), "rerun")
    places = {node.key: node.y for node in drawing.nodes}
    assert places["rerun"] >= places["job"] + HEIGHT


def test_a_large_collection_is_drawn_as_one_node() -> None:
    members = tuple(f"m{number}" for number in range(20))
    files = {key: File(key, f"{key}.fits") for key in members} | {"c": File("c", "images", members=members)}
    activity = Activity("one", "one", made=(Link("c"), *(Link(key) for key in members)))
    (collection,) = (node for node in picture(ProvenanceGraph((activity,), files), "one").nodes if node.key != "one")
    assert (collection.kind, collection.below) == ("files", "20 files")


def test_a_job_of_somebody_else_shows_nothing_but_its_id() -> None:
    hidden = Activity("job_" + "1" * 32, made=(Link("a"),), hidden=True)
    mine = Activity("job_" + "2" * 32, "mine", used=(Link("a"),), facts={"phase": "COMPLETED"})
    drawing = picture(ProvenanceGraph((hidden, mine), {"a": File("a", "a.fits")}), mine.key)
    (node,) = (node for node in drawing.nodes if node.kind == "unseen")
    assert (node.name, node.below, node.about) == ("A job of somebody else", "11111111", "Not shown to you")
