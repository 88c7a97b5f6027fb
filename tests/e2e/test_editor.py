"""A job definition written, tried and handed on in a browser, made live by an admin, run by anybody, exported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from astropy.io import fits
from playwright.sync_api import expect

from accounts import account
from browsing import AUDIT, House, sign_in
from pagereader import Page, visit
from reduction.simulate import simulate, small
from serving import Served, running_server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCRIPT = '''"""Light curve: bins the times of an event list."""

import numpy as np
from astropy.io import fits

from reduction import task


def main(job):
    job.stage("Reading the event list")
    with fits.open(job.path("eventlist")) as events:
        times, energies = events["EVENTS"].data["TIME"], events["EVENTS"].data["PI"] / 1000
        low, high = map(float, job.value("energy_range").split())
        times = np.sort(times[(energies >= low) & (energies < high)])
    job.stage("Binning")
    size = job.value("binsize")
    counts, edges = np.histogram(times, np.arange(times[0], times[-1] + size, size))
    job.log(f"{counts.sum()} events in {len(counts)} bins")
    job.stage("Writing the light curve")
    columns = [
        fits.Column("TIME", "D", unit="s", array=edges[:-1] + size / 2),
        fits.Column("RATE", "E", unit="count/s", array=counts / size),
        fits.Column("ERROR", "E", unit="count/s", array=np.sqrt(counts) / size),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="RATE")
    table.header["TIMEDEL"] = size
    table.writeto(job.output("lightcurve.fits", "light curve", dataproduct_type="timeseries"))


task.run(main, stages=3)
'''
README = "# Light curve\n\nBins of **equal** length; empty ones have a rate of 0.\n"


@pytest.fixture(scope="module")
def event_list(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `simulated:pn` stands for."""
    (path,) = simulate(small(), tmp_path_factory.mktemp("observation"), cameras=("EPN",))
    return path


def fill(page: Any, **texts: str) -> None:
    """Type into the fields whose labels these are."""
    for label, text in texts.items():
        page.get_by_label(label, exact=True).fill(text)


def add(page: Any, button: str, first: str) -> Any:
    """Press an Add button and type into the field that the cursor is in then; returns the new row."""
    rows = page.locator("#sheet li.item")
    count = rows.count()
    page.get_by_role("button", name=button, exact=True).click()
    expect(rows).to_have_count(count + 1)
    expect(page.locator("#announce")).to_contain_text("added")
    focused = page.locator("*:focus")
    expect(focused).to_have_attribute("name", re.compile(r"^(parameters|results)\[\d+\]\.name$"))
    page.keyboard.type(first)
    row = page.locator("#sheet li.item", has=focused)
    return page.locator(f"#{row.get_attribute('id')}")


def type_script(page: Any, text: str) -> None:
    """Put a script where the old one was, as pasting does."""
    code = page.get_by_role("textbox", name="Source of the script")
    if code.count():
        code.focus()
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(text)
    else:
        page.get_by_label("Source", exact=True).fill(text)
    page.wait_for_function("text => document.getElementById('at-script').value.trimEnd() === text", arg=text.rstrip())


def write_light_curve(page: Any) -> None:
    """Fill the editor with the definition of a light curve."""
    page.locator("#at-name").fill("curve")
    fill(page, Title="Light curve", Group="Timing")
    page.locator("#at-description").fill("Rate of events against time, in bins of equal length.")
    row = add(page, "Add an input", "eventlist")
    row.get_by_label("Test value", exact=True).fill("simulated:pn")
    row.get_by_label("Description", exact=True).fill("Event list in FITS.")
    row.get_by_label("Required", exact=True).check()
    row = add(page, "Add a parameter", "binsize")
    row.get_by_label("Type", exact=True).select_option("float")
    row.get_by_label("Unit", exact=True).fill("s")
    row.get_by_label("Default", exact=True).fill("100")
    row.locator("summary").click()
    row.get_by_label("Smallest", exact=True).fill("1")
    row = add(page, "Add a parameter", "energy_range")
    row.get_by_label("Type", exact=True).select_option("energy_range")
    row.get_by_label("Unit", exact=True).fill("keV")
    row.get_by_label("Default", exact=True).fill("0.2 12")
    row = add(page, "Add a result", "lightcurve")
    row.get_by_label("File", exact=True).fill("lightcurve.fits")
    row.get_by_label("Media type", exact=True).fill("application/fits")
    page.locator("#at-readme").fill(README)


def form_of(page: Page) -> list[tuple[str, ...]]:
    """The form of a new job: every control with what it is called and what is in it, and every text beside them."""
    (form,) = page.all("//form[contains(@class, 'job')]")
    found = [tuple(form.xpath("normalize-space(string())").split())]
    for control in form.xpath(".//input[not(@type='hidden')] | .//select | .//textarea | .//button"):
        known = sorted((name, value) for name, value in control.attrib.items() if name != "action")
        found.append((control.tag, *map("=".join, known), *[option.text for option in control.xpath("./option")]))
    return found


def mistake_is_shown(page: Any) -> None:
    """A mistake of the script is told while it is typed, and when it is tried; its link leads to its line."""
    type_script(page, SCRIPT.replace("columns = [", "columns = (["))
    preview = page.locator("#preview")
    expect(preview.get_by_label("binsize")).to_have_value("100")
    expect(preview.get_by_label("energy_range")).to_have_value("0.2 12")
    expect(preview).to_contain_text("Bins of equal length")
    expect(page.locator("#at-script-problem")).to_have_text(re.compile("Line 20: '\\(' was never closed"))
    page.expected.append("400 (Bad Request)")
    page.get_by_role("button", name="Save and try it").click()
    expect(page.locator("#summary")).to_be_focused()
    expect(page.locator("#summary")).to_contain_text("Not tried: one thing needs a change")
    page.get_by_role("link", name="script, line 20").click()
    expect(page.locator("*:focus")).to_have_attribute("id", re.compile("at-script"))
    type_script(page, SCRIPT)


def tried_and_asked_for(page: Any) -> None:
    """The trial runs within the page; then an admin is asked, and the draft stands still."""
    page.get_by_role("button", name="Save and try it").click()
    trial = page.locator("#trial")
    expect(trial.locator(".phase")).to_have_text("Completed", timeout=300_000)
    expect(trial).to_contain_text("[STAGE 3/3] Writing the light curve")
    expect(trial.get_by_role("link", name="lightcurve.fits")).to_be_visible()
    page.locator("summary", has_text="Request validation").click()
    page.get_by_label("What is it for? What changed?").fill("for the timing of pulsars")
    page.get_by_role("button", name="Save and request").click()
    expect(page.locator("h1")).to_contain_text("Waits for validation")
    expect(page.locator("#at-title")).to_be_disabled()


def made_live(admin: Any, served: Served) -> None:
    """An admin finds the request and says why it is granted."""
    admin.goto(f"{served.url}/definitions")
    admin.get_by_role("link", name="curve", exact=True).click()
    expect(admin.locator("main")).to_contain_text("for the timing of pulsars")
    admin.locator("summary", has_text="Make it live").click()
    admin.get_by_label("Why", exact=True).fill("it was tried")
    admin.get_by_role("button", name="Make it live").click()
    expect(admin.get_by_text("It is live now.")).to_be_visible()
    expect(admin.locator("#history")).to_contain_text("it was tried")


def run_by_anybody(user: Any, served: Served, event_list: Path) -> bytes:
    """The light curve that somebody without an account gets from the form."""
    user.goto(served.url)
    user.locator("summary", has_text="New job").click()
    user.get_by_role("link", name="New job: Light curve", exact=True).click()
    user.locator("input[type=file][name=eventlist]").set_input_files(event_list)
    user.get_by_label("binsize").fill("2 min")
    user.get_by_role("button", name="Create and run").click()
    expect(user.locator(".phase")).to_have_text("Completed", timeout=300_000)
    link = user.get_by_role("link", name="Download lightcurve.fits").get_attribute("href")
    return requests.get(served.url + str(link), timeout=300).content


def test_a_definition_is_written_tried_validated_run_and_taken_elsewhere(
    new_page: Any, house: House, event_list: Path, tmp_path: Path
) -> None:
    served = house.served
    page = sign_in(new_page, served, house.accounts["ann"], viewport={"width": 1280, "height": 900})
    page.get_by_role("link", name="Definitions").click()
    page.get_by_role("link", name="New definition").click()
    page.evaluate("window.neverReloaded = true")
    write_light_curve(page)
    mistake_is_shown(page)
    tried_and_asked_for(page)
    assert page.evaluate("window.neverReloaded === true")
    assert requests.get(f"{served.url}/new/curve", timeout=300).status_code == 404
    made_live(sign_in(new_page, served, house.accounts["root"]), served)
    check_light_curve(run_by_anybody(new_page(), served, event_list), event_list, tmp_path / "lightcurve.fits")
    live = visit(f"{served.url}/new/curve")
    for kind in ("json", "wadl", "votable"):
        answer = requests.get(f"{served.url}/jdl/curve/{kind}", timeout=300)
        assert answer.status_code == 200, answer.text
        document = tmp_path / f"lightcurve.{kind}"
        document.write_bytes(answer.content)
        assert form_of(imported(new_page, tmp_path / kind, document)) == form_of(live), kind


def check_light_curve(content: bytes, event_list: Path, path: Path) -> None:
    """Every event is in its bin of 120 s, the error is Poisson's, and the product says how it was made."""
    path.write_bytes(content)
    with fits.open(event_list) as events, fits.open(path) as product:
        table = events["EVENTS"].data
        energies = table["PI"] / 1000
        times = np.sort(table["TIME"][(energies >= 0.2) & (energies < 12)])
        rate = product["RATE"].data
        assert product["RATE"].columns.names == ["TIME", "RATE", "ERROR"]
        assert product["RATE"].header["TIMEDEL"] == 120
        assert rate["RATE"].sum() * 120 == pytest.approx(len(times), rel=1e-4)
        first = np.count_nonzero(times < times[0] + 120)
        assert rate["RATE"][0] == pytest.approx(first / 120)
        assert rate["ERROR"][0] == pytest.approx(np.sqrt(first) / 120)
        assert "VO-TAGS" in [hdu.name for hdu in product]


def imported(new_page: Any, data: Path, document: Path) -> Page:
    """The form that a document makes on a server that never heard of it."""
    with running_server(data) as other:
        who = account(data, "root", "--admin")
        page = sign_in(new_page, other, who)
        page.goto(f"{other.url}/definitions")
        page.locator("summary", has_text="Import").click()
        page.get_by_label(re.compile("A document")).set_input_files(document)
        page.get_by_role("button", name="Import into a new draft").click()
        expect(page.locator("#said")).to_contain_text("nothing is saved yet")
        page.get_by_role("button", name="Save draft").click()
        expect(page.locator("#said")).to_contain_text("saved")
        page.locator("summary", has_text="Request validation").click()
        page.get_by_role("button", name="Save and request").click()
        page.locator("summary", has_text="Make it live").click()
        page.get_by_role("button", name="Make it live").click()
        expect(page.get_by_text("It is live now.")).to_be_visible()
        page.wait_for_load_state("networkidle")
        return visit(f"{other.url}/new/curve")


def test_rows_are_moved_and_removed_with_the_keyboard(new_page: Any, house: House) -> None:
    page = sign_in(new_page, house.served, house.accounts["ann"])
    page.goto(f"{house.served.url}/definitions/_new")
    add(page, "Add a parameter", "one")
    add(page, "Add a parameter", "two")
    add(page, "Add a parameter", "three")
    up = page.get_by_role("button", name="Move three up")
    up.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#announce")).to_have_text("three is now number 2 of 3.")
    expect(up).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#sheet .named")).to_have_text(["three", "one", "two"])
    page.get_by_role("button", name="Remove one").press("Enter")
    expect(page.locator("#announce")).to_have_text("one removed.")
    expect(page.locator("*:focus")).to_have_value("two")
    page.evaluate("window.onbeforeunload = null")


def test_the_script_can_be_a_plain_text_field(new_page: Any, house: House) -> None:
    page = sign_in(new_page, house.served, house.accounts["ann"])
    page.goto(f"{house.served.url}/definitions/_new")
    plain = page.get_by_role("button", name="Plain text field")
    page.wait_for_load_state("networkidle")
    type_script(page, "print(1)\n")
    plain.click()
    area = page.get_by_role("textbox", name="Source", exact=True)
    expect(area).to_have_value(re.compile(r"^print\(1\)\s*$"))
    area.fill("print(2)\n")
    page.get_by_role("button", name="Add a parameter").click()
    expect(area).to_have_value("print(2)\n")
    expect(plain).to_have_attribute("aria-pressed", "true")
    plain.click()
    expect(page.locator("#at-script")).to_have_value("print(2)\n")


def test_what_is_typed_during_a_mistake_of_the_server_stays(new_page: Any, house: House) -> None:
    page = sign_in(new_page, house.served, house.accounts["ann"])
    page.goto(f"{house.served.url}/definitions/_new")
    page.expected += ["403 (Forbidden)"]
    page.locator("#at-title").fill("Typed with care")
    page.context.clear_cookies()
    page.get_by_role("button", name="Save draft").click()
    expect(page.locator("#away")).to_contain_text("reload the page and send it again")
    expect(page.locator("#at-title")).to_have_value("Typed with care")


def test_two_people_at_one_draft_in_the_browser(new_page: Any, house: House) -> None:
    ann = sign_in(new_page, house.served, house.accounts["ann"])
    ann.goto(f"{house.served.url}/definitions/_new")
    ann.locator("#at-name").fill("together")
    ann.locator("#at-title").fill("Begun by ann")
    ann.get_by_role("button", name="Save draft").click()
    expect(ann.locator("#said")).to_contain_text("saved")
    ben = sign_in(new_page, house.served, house.accounts["ben"])
    ben.expected.append("409 (Conflict)")
    ben.goto(f"{house.served.url}/definitions/together/edit")
    ann.locator("#at-title").fill("Named by ann")
    ann.get_by_role("button", name="Save draft").click()
    expect(ann.locator("#said")).to_have_text("Saved.")
    ben.locator("#at-readme").fill("Written by ben")
    ben.get_by_role("button", name="Save draft").click()
    expect(ben.locator("#theirs")).to_be_focused()
    expect(ben.locator("#theirs .added")).to_contain_text(["Named by ann"])
    expect(ben.locator("#at-readme")).to_have_value("Written by ben")
    ben.locator("#at-title").fill("Named by ann")
    ben.get_by_role("button", name="Save mine over theirs").click()
    expect(ben.locator("#said")).to_have_text("Saved.")
    ann.reload()
    expect(ann.locator("#at-title")).to_have_value("Named by ann")
    expect(ann.locator("#at-readme")).to_have_value("Written by ben")


def test_without_javascript_a_draft_is_written_and_tried(new_page: Any, house: House) -> None:
    page = sign_in(new_page, house.served, house.accounts["ann"], java_script_enabled=False)
    page.goto(f"{house.served.url}/definitions/_new")
    page.locator("#at-name").fill("plain")
    page.locator("#at-title").fill("Plain steps")
    page.get_by_role("button", name="Add a parameter").click()
    expect(page.locator("#at-parameters-0-name")).to_be_focused()
    page.keyboard.type("text")
    page.locator("#at-parameters-0-default").fill("hello")
    page.get_by_label("Language").select_option("shell")
    page.get_by_label("Source").fill("mkdir results; echo $UWS_PARAM_text > results/out.txt")
    page.keyboard.press("Tab")
    page.locator("#at-title").press("Enter")
    expect(page.locator("#preview").get_by_label("text")).to_have_value("hello")
    page.get_by_role("button", name="Add a result").click()
    page.locator("#at-results-0-name").fill("out")
    page.locator("#at-results-0-file").fill("out.txt")
    page.get_by_role("button", name="Save and try it").click()
    expect(page.locator("#trial")).to_be_visible()
    for _ in range(30):
        if page.locator("#trial[data-ended=yes]").count():
            break
        page.wait_for_timeout(300)
        page.get_by_role("link", name="Refresh").click()
    expect(page.locator("#trial .phase")).to_have_text("Completed")
    expect(page.locator("#trial")).to_contain_text("out.txt")
    page.goto(house.served.url + str(page.get_by_role("link", name="Job page").get_attribute("href")))
    expect(page.get_by_role("link", name="Run again", exact=True)).to_have_count(1)  # that of every page, for files
    page.get_by_role("link", name="back to the draft").click()
    expect(page.locator("#at-name")).to_have_value("plain")


@pytest.mark.parametrize("width", [400, 1280])
def test_every_page_of_definitions_is_named_ordered_readable_and_fits(new_page: Any, house: House, width: int) -> None:
    page = sign_in(new_page, house.served, house.accounts["root"], viewport={"width": width, "height": 800})
    page.goto(f"{house.served.url}/definitions/spectrum")
    page.get_by_role("button", name="Edit", exact=True).or_(page.get_by_role("link", name="Open the draft")).click()
    paths = ("/definitions/spectrum/edit", "/definitions", "/definitions/spectrum", "/definitions/_new")
    for path in paths:
        page.goto(house.served.url + path)
        page.wait_for_timeout(400)
        assert page.evaluate(AUDIT) == [], path
