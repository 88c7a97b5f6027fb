"""The observation selector and the process control of the sky page, as a browser without JavaScript meets them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from pagereader import Page, visit
from reduction.simulate import simulate, small
from serving import Served, running_server
from uws_server import cli
from uws_server.config import Config
from uws_server.services.archive_index import ArchiveIndex
from uws_server.storage.archive_rows import ArchiveRows
from uws_server.storage.jobstore import JobStore

SOURCE = small().sources[0]
REGION = f'icrs; circle({SOURCE.ra}, {SOURCE.dec}, 40")'
AROUND = f'icrs; annulus({SOURCE.ra}, {SOURCE.dec}, 60", 120")'
SKY = replace(small(), exposure_s=1200.0, flare=None)
PN, MOS1, MOS2 = (f"P{SKY.obs_id}{word}EVLI0000.FITS" for word in ("PNS003PI", "M1S001MI", "M2S002MI"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive whose list of MOS2 has gone since it was indexed."""
    folder = tmp_path_factory.mktemp("sky-work")
    simulate(SKY, folder / "archive")
    assert cli.main(["archive", "add", "--archive", str(folder / "archive"), "--data", str(folder / "data")]) == 0
    (folder / "archive" / MOS2).unlink()
    return folder


@pytest.fixture(scope="module")
def served(archive: Path) -> Iterator[Served]:
    with running_server(archive / "data", "--archive", str(archive / "archive")) as server:
        yield server


def sky(served: Served, **state: str | list[str]) -> Page:
    """The sky page in a state, over the region of the source."""
    page = requests.Request("GET", f"{served.url}/sky", params={"source": REGION, **state}).prepare()
    assert page.url is not None
    return visit(page.url)


def boxes(page: Page) -> dict[str, bool]:
    """The exposures that can be chosen, and whether they are."""
    found = page.all("//input[@type='checkbox'][@name='exposure'][not(@disabled)]")
    return {box.get("value"): box.get("checked") is not None for box in found}


def test_the_exposures_are_listed_by_camera_with_what_they_see(served: Served) -> None:
    page = sky(served)
    assert [part.get("data-camera") for part in page.all("//div[@id='exposures']//tbody")] == ["EPN", "EMOS1", "EMOS2"]
    heads = [head.text_content() for head in page.all("//div[@id='exposures']//thead//span[@class='nojs']")]
    assert heads == [
        "Obs ID", "Object", "RA", "Dec", "Observer", "Date", "Exposure", "Mode", "Filter", "Fraction", "Off-axis",
    ]  # fmt: skip
    words = page.text(f"//tr[@data-eventlist='{PN}']")
    assert words.startswith(f"{SKY.obs_id} S003 SIMULATED FIELD 148.97450 +69.65100 SIMULATED 2026-03-01T10:01:")
    assert boxes(page) == {PN: False, MOS1: False}
    assert page.text("//p[@id='counted']") == "None of 3 selected"


def test_an_exposure_whose_list_is_gone_says_so_and_cannot_be_chosen(served: Served) -> None:
    page = sky(served, exposure=[MOS2])
    assert "Cannot be chosen: its event list is no longer in the archive." in page.text(
        f"//tr[@data-eventlist='{MOS2}']"
    )
    assert page.all(f"//input[@value='{MOS2}'][@disabled]")
    assert page.text("//p[@id='counted']") == "None of 3 selected"


def test_a_camera_is_enabled_and_disabled_as_a_whole_without_script(served: Served) -> None:
    both = sky(served, **{"with": "EMOS1"}, exposure=[PN])
    assert boxes(both) == {PN: True, MOS1: True}
    assert "exposure=" + MOS1 in both.url
    assert "with=" not in both.url
    assert both.text("//p[@id='counted']").startswith("2 of 3 selected: 1 pn, 1 MOS1; 2.")
    names = [button.text_content() for button in both.all("//div[@id='exposures']//button[@name='without']")]
    assert names[1] == "Disable all EMOS-1 observations"
    assert boxes(sky(served, without="EPN", exposure=[PN, MOS1])) == {PN: False, MOS1: True}


def test_what_was_chosen_and_does_not_see_the_region_is_kept_apart(served: Served) -> None:
    page = sky(served, source="icrs; circle(10, 10, 1')", exposure=[PN])
    assert "No exposure of the archive sees this region." in page.text("//div[@id='exposures']")
    assert "selected before; they see nothing of this region" in page.text("//tbody[@class='unseen']")
    assert boxes(page) == {PN: True}


def test_a_region_that_cannot_be_read_is_told_in_the_selector(served: Served) -> None:
    page = sky(served, source="circle(")
    assert page.status == 200
    assert "REGION" in page.text("//div[@id='exposures']/p[@class='problem']")


def test_a_search_finds_exposures_with_or_without_a_region(served: Served) -> None:
    assert boxes(sky(served, source="", q="instrument = EPN")) == {PN: False}
    assert boxes(sky(served, q="exposure > 1")) == {PN: False, MOS1: False}
    assert "sees this region and is what the search asks for" in sky(served, q="exposure > 1e6").text(
        "//div[@id='exposures']"
    )
    wrong = sky(served, q="exposur > 1")
    assert "^" in wrong.text("//pre[@class='place']")
    assert wrong.all("//input[@id='sky-q']/@value") == ["exposur > 1"]


def test_the_definitions_that_take_event_lists_are_offered_under_their_headings(served: Served) -> None:
    page = sky(served)
    offered = {option.get("value") for option in page.all("//select[@name='definition']//option")}
    assert {"spectrum", "lightcurve", "image", "events", "flare_filter", "upper_limit"} < offered
    assert "dummy" not in offered
    assert "From an event list" in page.all("//select[@name='definition']/optgroup/@label")


def test_light_curves_of_two_cameras_are_one_job_that_the_page_shows(served: Served) -> None:
    form = sky(served, background=AROUND, exposure=[PN, MOS1], definition="lightcurve")
    assert "Takes an event list" in form.text("//aside[@class='documentation']")
    assert not form.all("//*[@name='source_region' or @name='eventlist']")
    page = form.send("/sky/run", {"bin_size": "50", "RUNID": "both"})
    assert page.status == 200
    assert "job=" in page.url
    assert boxes(page) == {PN: True, MOS1: True}
    number = page.all("//article[@id='job']/@data-id")[0]
    job = f"{served.url}/rest/lightcurve/{number}"
    assert requests.get(f"{job}?PHASE=EXECUTING", timeout=300).ok
    given = {name: requests.get(f"{job}/parameters/{name}", timeout=300).text
             for name in ("eventlist", "source_region", "background_region", "bin_size")}  # fmt: skip
    assert given["eventlist"].split() == [PN, MOS1]
    assert (given["source_region"], given["background_region"]) == (REGION, AROUND)
    assert float(given["bin_size"]) == 50
    alone = visit(f"{served.url}/sky?job={number}")
    assert boxes(alone) == {PN: True, MOS1: True}
    assert alone.field("_background").get("value") == AROUND
    assert alone.all(f"//article[@id='job']//a[contains(@href, '/jobs/{number}')]")


def test_a_refusal_stands_beside_its_field_and_the_selection_is_not_lost(served: Served) -> None:
    form = sky(served, exposure=[PN], definition="upper_limit")
    page = form.send("/sky/run", {"energy": "much", "RUNID": "x" * 300})
    assert page.status == 400
    assert boxes(page) == {PN: True, MOS1: False}
    assert "There is no background region" in page.text("//*[@id='p-background_region']")
    assert "is not an energy range" in page.text("//*[@id='p-energy-problem']")
    assert page.all("//*[@id='RUNID-problem']")
    assert page.field("energy").get("value") == "much"
    assert page.field("_source").get("value") == REGION


@pytest.mark.parametrize(
    ("definition", "exposures", "sentence"),
    [
        ("spectrum", [], "No exposure is selected: tick some in the observation selector."),
        ("flare_filter", [PN, MOS1], "2 exposures are selected; a job of this kind takes one exposure."),
    ],
)
def test_a_selection_that_does_not_suit_a_definition(
    served: Served, definition: str, exposures: list[str], sentence: str
) -> None:
    page = sky(served, exposure=exposures, definition=definition).send("/sky/run")
    assert page.status == 400
    assert sentence in page.text("//*[@id='p-eventlist']")


def test_a_session_fills_the_page_and_gets_the_jobs_that_are_run(served: Served) -> None:
    content = {"name": "field", "source": REGION, "background": AROUND, "exposures": [PN, MOS1],
               "definition": "lightcurve", "parameters": {"bin_size": "77"}}  # fmt: skip
    made = requests.post(f"{served.url}/sessions", json=content, headers={"Accept": "application/json"}, timeout=300)
    address = made.json()["url"].rpartition("/")[2]
    page = visit(f"{served.url}/sky?session={address}")
    assert boxes(page) == {PN: True, MOS1: True}
    assert page.field("bin_size").get("value") == "77"
    page = page.send("/sky/run")
    job = page.all("//article[@id='job']/@data-id")[0]
    kept = requests.get(made.json()["url"], headers={"Accept": "application/json"}, timeout=300).json()
    assert [one["url"].rpartition("/")[2] for one in kept["jobs"]] == [job]
    assert boxes(visit(f"{served.url}/sky?session={address}&exposure={PN}&source={REGION}")) == {PN: True, MOS1: False}
    assert visit(f"{served.url}/sky?session={'0' * 32}").status == 200


def test_a_job_that_is_gone_is_told(served: Served) -> None:
    page = sky(served, job="0" * 32)
    assert "A job of this page is deleted, or not for you to see." in page.text("//section[@id='control']")


def test_thousands_of_exposures_are_cut_and_it_says_so(archive: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(archive / "data", data, ignore=shutil.ignore_patterns("*.sock", "server.log"))
    store = JobStore(Config.of(data=data).database_url())
    rows = ArchiveRows(store.engine)
    (row,) = rows.of_sources([PN])
    cells = next(cells for key, cells in rows.footprints(("events",)) if key == row["key"])
    several = {name: value for name, value in row.items() if name != "key"} | {"footprint": cells}
    rows.keep([several | {"source": f"copies/{number}.fits"} for number in range(1100)])
    ArchiveIndex(rows, archive / "archive", data).write_footprints()
    store.close()
    with running_server(data, "--archive", str(archive / "archive")) as server:
        page = sky(server, exposure=[MOS1])
        assert "1,103 exposures see this region; the 1,000 that see most of it are listed." in page.text(
            "//div[@id='exposures']"
        )
        assert len(page.all("//div[@id='exposures']//tr[@data-eventlist]")) == 1000
        assert boxes(page)[MOS1], "what is chosen is not cut"
