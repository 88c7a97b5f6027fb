"""The search page in a browser: event lists that are ticked become a job; what was found is sent to applications."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from astropy.io.votable import parse_single_table
from playwright.sync_api import expect

from browsing import AUDIT, NewPage, axe_violations, layout_faults
from reduction.simulate import simulate, small
from samphub import receiver, running_hub, taken
from serving import Served, running_server
from uws_server import cli

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("search")
    simulate(small(), folder / "archive")
    with running_server(folder / "data", "--archive", str(folder / "archive")) as server:
        named = ["--archive", str(folder / "archive"), "--data", str(folder / "data")]
        assert cli.main(["archive", "add", *named]) == 0
        yield server


@contextmanager
def listening() -> Iterator[tuple[Any, Any]]:
    """What two applications are sent: one for tables of results, one for the files themselves."""
    with (
        running_hub() as (hub, _),
        receiver(hub, "Tables", "table.load.votable") as tables,
        receiver(hub, "Files", "table.load.fits") as files,
    ):
        yield tables, files


def test_a_search_becomes_a_job_over_the_lists_that_are_ticked(new_page: NewPage, served: Served) -> None:
    page = new_page()
    page.goto(f"{served.url}/archive")
    page.get_by_role("link", name="Search the products").click()
    page.get_by_label("Place").fill("148.974 69.6512")
    page.get_by_label("Kind").select_option("event")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("heading", name="3 products")).to_be_visible()
    for name in ("P0999990101M1S001MIEVLI0000.FITS", "P0999990101PNS003PIEVLI0000.FITS"):
        page.get_by_role("checkbox", name=f"Select {name}").check()
    page.get_by_text("Analyse the selected", exact=True).click()
    page.get_by_role("button", name="Image, exposure map and background").click()
    expect(page).to_have_title("New job: Image, exposure map and background · uws-server")
    lists = page.locator("[name=eventlist]").first.input_value()
    assert lists.split() == ["P0999990101M1S001MIEVLI0000.FITS", "P0999990101PNS003PIEVLI0000.FITS"]


@pytest.mark.usefixtures("vendored")
def test_the_table_and_the_selected_are_sent(new_page: NewPage, served: Served, web_port: Any) -> None:
    page = new_page()
    with listening() as (tables, files):
        page.goto(f"{served.url}/search?kind=event&instrument=EPN")
        page.get_by_role("button", name="Send the table of results").click()
        message = taken(page, tables)
        content = requests.get(message["url"], timeout=300).content
        (row,) = parse_single_table(io.BytesIO(content)).to_table()
        expect(page.locator("#samp-status")).to_have_text("Sent search.vot to Tables.")
        page.get_by_role("button", name="Send to TOPCAT / Aladin").click()
        assert taken(page, files)["url"] == row["access_url"]
        expect(page.locator("#samp-status")).to_contain_text("to Files.")
        page.goto(f"{served.url}/search?kind=event")
        for box in page.get_by_role("checkbox").all()[:2]:
            box.check()
        page.get_by_role("button", name="Send the 2 selected").click()
        assert len({taken(page, files)["url"] for _ in range(2)}) == 2
        expect(page.locator("#samp-status")).to_contain_text("to Files.")


EVENTS = "SELECT obs_publisher_did, s_ra, s_dec, t_exptime\nFROM ivoa.obscore\nWHERE dataproduct_type = 'event'"


def answer_of(served: Served, query: str, **more: str) -> str:
    return f"{served.url}/search?{urlencode({'adql': query, **more})}"


def test_a_query_is_mended_and_its_rows_become_a_job_by_the_keyboard(new_page: NewPage, served: Served) -> None:
    page = new_page()
    page.expected.append("400 (Bad Request)")
    page.goto(f"{served.url}/search")
    page.get_by_text("The same in ADQL").press("Enter")
    box = page.get_by_label("Query ADQL")
    box.fill(EVENTS.replace("t_exptime", "t_exptme"))
    page.get_by_role("button", name="Run the query").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Line 1, column 40: there is no column t_exptme; did you mean")
    expect(page.locator("mark")).to_have_text("t_exptme")
    expect(box).to_be_focused()
    assert page.evaluate("getSelection().toString()") == "t_exptme"  # in the box, too
    page.keyboard.type("t_exptime")
    page.get_by_role("button", name="Run the query").press("Enter")
    expect(page.get_by_role("heading", name="3 rows")).to_be_visible()
    for row in (1, 3):
        page.get_by_role("checkbox", name=re.compile(rf"row {row}$")).press("Space")
    page.get_by_text("Analyse the selected", exact=True).press("Enter")
    page.get_by_role("button", name="Image, exposure map and background").press("Enter")
    expect(page).to_have_title("New job: Image, exposure map and background · uws-server")
    assert len(page.locator("[name=eventlist]").first.input_value().split()) == 2


def test_points_are_read_and_lead_to_their_rows(new_page: NewPage, served: Served) -> None:
    page = new_page()
    page.goto(answer_of(served, EVENTS))
    page.get_by_label("x", exact=True).select_option("t_exptime")
    page.get_by_label("y", exact=True).select_option("s_dec")
    page.get_by_role("button", name="Plot", exact=True).press("Enter")
    pane, reading = page.locator("#plot .pane"), page.locator("#plot .reading")
    expect(page.locator("#plot .about").first).to_contain_text("s_dec against t_exptime: 3 points.")
    pane.focus()
    pane.press("ArrowRight")
    expect(reading).to_contain_text(re.compile(r"^Row \d: t_exptime 1\d+(\.\d+)? s; s_dec 69\.6510\d* deg$"))
    row = reading.inner_text()[4]
    pane.press("Enter")
    expect(page.locator(f"#row-{row}")).to_be_focused()
    source = page.locator("#plot img").get_attribute("src")
    page.get_by_label("x axis").select_option("log")
    expect(page.locator("#plot img")).not_to_have_attribute("src", source or "")
    expect(page.locator("#plot img")).to_have_js_property("naturalWidth", 760)
    pane.focus()
    pane.press("ArrowLeft")
    expect(reading).to_contain_text("Row ")
    at = page.locator("#plot .cross").last.bounding_box()
    across = page.locator("#plot .cross").first.bounding_box()
    assert at is not None and across is not None
    row = reading.inner_text()[4]
    page.mouse.move(at["x"], across["y"])
    expect(reading).to_contain_text(f"Row {row}")
    page.mouse.click(at["x"], across["y"])
    expect(page.locator(f"#row-{row}")).to_be_focused()


def test_the_answer_and_its_plot_are_there_without_javascript(new_page: NewPage, served: Served) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{served.url}/search?kind=event")
    page.get_by_role("link", name="All columns, and plots of them").click()
    expect(page.get_by_role("row")).to_have_count(4)
    expect(page.locator("#plot img")).to_have_js_property("naturalWidth", 760)
    page.get_by_label("y", exact=True).select_option("")
    page.get_by_role("button", name="Plot", exact=True).click()
    expect(page.get_by_role("heading", name="Histogram of s_ra")).to_be_visible()
    expect(page.locator("#plot img")).to_have_js_property("naturalWidth", 760)


@pytest.mark.usefixtures("vendored")
def test_the_answer_of_an_edited_query_is_sent(new_page: NewPage, served: Served, web_port: Any) -> None:
    page = new_page()
    with listening() as (tables, files):
        page.goto(f"{served.url}/search?kind=event")
        page.get_by_text("The same in ADQL").press("Enter")
        page.get_by_label("Query ADQL").fill(f"{EVENTS} AND instrument_name <> 'EMOS2'\nORDER BY t_exptime")
        page.get_by_role("button", name="Run the query").press("Enter")
        expect(page.get_by_role("heading", name="2 rows")).to_be_visible()
        page.get_by_role("button", name="Send the table of results").press("Enter")
        sent = requests.get(taken(page, tables)["url"], timeout=300).content
        table = parse_single_table(io.BytesIO(sent)).to_table()
        assert table.colnames == ["obs_publisher_did", "s_ra", "s_dec", "t_exptime"]
        assert len(table) == 2 and table["t_exptime"][0] <= table["t_exptime"][1]
        expect(page.locator("#samp-status")).to_have_text("Sent answer.vot to Tables.")
        for row in (1, 2):
            page.get_by_role("checkbox", name=re.compile(rf"row {row}$")).press("Space")
        page.get_by_role("button", name="Send the 2 selected").press("Enter")
        shown = {link.get_attribute("href") for link in page.locator("td.products a.path").all()}
        assert {taken(page, files)["url"] for _ in range(2)} == shown
        expect(page.locator("#samp-status")).to_contain_text("to Files.")


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_state_of_the_page_has_a_fault(new_page: NewPage, served: Served, colours: str) -> None:
    """Wide and narrow: the form, what it finds and what it refuses; an answer, an empty one, a plot, a wrong query."""
    states = {
        "form": f"{served.url}/search",
        "found": f"{served.url}/search?kind=event",
        "nothing found": f"{served.url}/search?target=Nobody",
        "refused": f"{served.url}/search?place=here&radius=much",
        "answer": answer_of(served, EVENTS),
        "no rows": answer_of(served, "SELECT s_ra FROM ivoa.obscore WHERE s_ra < 0"),
        "plot": answer_of(served, EVENTS, x="s_ra", y="s_dec"),
        "histogram": answer_of(served, "SELECT obs_id, t_exptime FROM ivoa.obscore", x="t_exptime"),
        "no plot": answer_of(served, EVENTS, x="obs_publisher_did"),
        "wrong query": answer_of(served, EVENTS.replace("t_exptime", "t_exptme")),
    }
    page = new_page(color_scheme=colours)
    page.expected.append("400 (Bad Request)")
    wrong = {}
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        for state, address in states.items():
            page.goto(address)
            if found := [*axe_violations(page), *page.evaluate(AUDIT), *layout_faults(page)]:
                wrong[f"{state} in {width} px"] = found
    assert not wrong
