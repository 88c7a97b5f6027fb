"""The observation selector in a browser: sorted, filtered, chosen from, kept in the address, with five hundred rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from browsing import AUDIT, NewPage, axe_violations
from serving import Served, running_server
from synthetic import Epic, write
from uws_server import cli
from uws_server.config import Config
from uws_server.services.archive_index import ArchiveIndex
from uws_server.storage.archive_rows import ArchiveRows
from uws_server.storage.jobstore import JobStore

REGION, ELSEWHERE = "icrs; circle(150, 2, 1')", "icrs; circle(10, 10, 1')"
CAMERAS = ("EPN", "EMOS1", "EMOS2")
LISTEN = """
() => { window.told = [];
  for (const name of ["selection:changed", "exposures:found"])
    document.addEventListener(name, ({ detail }) => window.told.push([name, detail.exposures])); }
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose archive has 500 exposures of three cameras, of which 1 to 500 thousand seconds are good."""
    folder = tmp_path_factory.mktemp("selector")
    data, archive = folder / "data", folder / "archive"
    archive.mkdir()
    write(archive / "first.fits", Epic(rows=20_000))
    assert cli.main(["archive", "add", "--archive", str(archive), "--data", str(data)]) == 0
    store = JobStore(Config.of(data=data).database_url())
    rows = ArchiveRows(store.engine)
    (row,) = rows.of_sources(["first.fits"])
    ((_, cells),) = rows.footprints(("events",))
    known = {name: value for name, value in row.items() if name != "key"} | {"footprint": cells}
    rows.keep([known | of_number(archive, number) for number in range(1, 501)])
    rows.remove(["first.fits"])
    ArchiveIndex(rows, archive, data).write_footprints()
    store.close()
    with running_server(data, "--archive", str(archive)) as server:
        yield server


def of_number(archive: Path, number: int) -> dict[str, object]:
    """What is different of an exposure with a number; its list is an empty file."""
    name = f"{number:04d}.fits"
    (archive / name).touch()
    target = "M 82" if number % 100 == 0 else "SYNTHETIC"
    return {"source": name, "instrument": CAMERAS[number % 3], "obs_id": f"{number:010d}", "target": target,
            "exposure_s": 1000.0 * number}  # fmt: skip


def selector(new_page: NewPage, served: Served, asked: str = "", **options: Any) -> Any:
    page = new_page(**options)
    page.add_init_script(f"({LISTEN})()")
    page.goto(f"{served.url}/sky?source={REGION}{asked}")
    page.locator("#sky-form[data-ready=yes]").wait_for()
    expect(page.locator("#exposures tr[data-eventlist]")).to_have_count(500)
    return page


def shown(page: Any, camera: str) -> list[int]:
    """The numbers of the exposures of a camera that are shown, in their order."""
    rows = page.locator(f"tbody[data-camera={camera}] tr[data-eventlist]:not([hidden])")
    return rows.evaluate_all("rows => rows.map((row) => parseInt(row.dataset.eventlist))")


def test_rows_are_sorted_by_each_column_and_filtered(new_page: NewPage, served: Served) -> None:
    page = selector(new_page, served)
    head = page.locator("th[data-key=exposure_s]")
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    assert shown(page, "EMOS1") == list(range(499, 0, -3))
    page.locator("th[data-key=target]").get_by_role("button").click()
    assert shown(page, "EMOS1")[:2] == [400, 100]
    expect(head).not_to_have_attribute("aria-sort", "descending")
    page.get_by_label("Text", exact=True).fill("m 82")
    assert [shown(page, camera) for camera in CAMERAS] == [[300], [400, 100], [500, 200]]
    page.get_by_label("Exposure, at least").fill("250 000")
    expect(page.get_by_label("Exposure, at least")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Exposure, at least").fill("250000")
    assert [shown(page, camera) for camera in CAMERAS] == [[300], [400], [500]]
    page.get_by_label("Camera", exact=True).select_option(label="MOS1")
    expect(page.locator("#exposures-shown")).to_have_text("1 of 500 shown")
    page.get_by_label("Camera", exact=True).select_option(label="all")
    page.get_by_label("Fraction, at least").fill("100.5")
    expect(page.locator("#exposures-shown")).to_have_text("0 of 500 shown")
    page.get_by_label("Fraction, at least").fill("")
    page.get_by_label("Off-axis, at most").fill("0")
    expect(page.locator("#exposures-shown")).to_have_text("0 of 500 shown")
    assert [*axe_violations(page), *page.evaluate(AUDIT)] == []


def test_a_selection_is_counted_told_and_kept_in_the_address(new_page: NewPage, served: Served) -> None:
    page = selector(new_page, served)
    page.get_by_label("Text", exact=True).fill("m 82")
    page.get_by_role("button", name="Select those shown").click()
    expect(page.locator("#counted")).to_have_text("5 of 500 selected: 1 pn, 2 MOS1, 2 MOS2; 1,500.0 ks")
    page.get_by_role("button", name="Disable all EMOS-1 observations").click()
    expect(page.locator("#counted")).to_have_text("3 of 500 selected: 1 pn, 2 MOS2; 1,000.0 ks")
    page.locator("tr[data-eventlist='0200.fits'] input").uncheck()
    assert page.evaluate("new URL(location.href).searchParams.getAll('exposure')") == ["0300.fits", "0500.fits"]
    assert page.evaluate("told.at(-1)") == ["selection:changed", ["0300.fits", "0500.fits"]]
    page.reload()
    expect(page.locator("#counted")).to_have_text("2 of 500 selected: 1 pn, 1 MOS2; 800.0 ks")
    page.get_by_role("button", name="Select none").click()
    expect(page.locator("#counted")).to_have_text("None of 500 selected")


def test_hundreds_are_remembered_by_the_tab(new_page: NewPage, served: Served) -> None:
    page = selector(new_page, served, "&definition=spectrum")
    page.get_by_role("button", name="Enable all EPN observations").click()
    expect(page.locator("#kept")).to_contain_text("166 exposures are too many for an address")
    assert "exposure=" not in page.url
    expect(page.locator("#run-form input[name=_exposure]")).to_have_count(166)
    page.reload()
    expect(page.locator("#counted")).to_contain_text("166 of 500 selected: 166 pn")
    page.get_by_role("button", name="Select all").click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.expected.append("400")
    expect(page.locator("#p-eventlist .problem")).to_contain_text("500 exposures are selected")
    expect(page.locator("#counted")).to_contain_text("500 of 500 selected")


def test_a_region_that_changes_fills_the_table_again(new_page: NewPage, served: Served) -> None:
    page = selector(new_page, served, "&exposure=0003.fits&definition=lightcurve")
    changed = """(source) => document.dispatchEvent(new CustomEvent("region:changed",
        { detail: { source, background: "icrs; circle(151, 2, 1')", problems: [] } }))"""
    page.evaluate(changed, ELSEWHERE)
    expect(page.locator("#exposures tr[data-eventlist]")).to_have_count(1)
    expect(page.locator("tbody.unseen")).to_contain_text("they see nothing of this region")
    expect(page.locator("#run-form [data-region=source]")).to_have_text(ELSEWHERE)
    page.evaluate(changed, "icrs; circle(150, 2, 2')")
    expect(page.locator("#exposures tr[data-eventlist]")).to_have_count(500)
    expect(page.locator("#counted")).to_contain_text("1 of 500 selected: 1 pn")
    name, rows = page.evaluate("told.filter(([name]) => name === 'exposures:found').at(-1)")
    assert (name, len(rows), rows[0]["eventlist"]) == ("exposures:found", 500, "0003.fits")
    assert 0.3 < rows[0]["fraction"] <= 1
    page.evaluate(changed, "circle(")
    expect(page.locator("#exposures .problem")).to_contain_text("circle(")


def test_it_fits_a_narrow_window(new_page: NewPage, served: Served) -> None:
    page = selector(new_page, served, "&definition=image", viewport={"width": 320, "height": 700})
    page.get_by_label("Sort by").select_option(label="Exposure")
    assert shown(page, "EPN")[:2] == [3, 6]
    assert [*axe_violations(page), *page.evaluate(AUDIT)] == []
