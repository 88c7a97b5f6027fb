"""What holds on every page: names and labels, headings in order, readable colours, no page wider than the window."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import expect

from accounts import account
from browsing import AUDIT, House, NewPage, sign_in
from chained import Chained, chained_server, id_of
from serving import Served, run_command, running_server

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chained]:
    """A chain of two jobs, and the same two made again and not run: the second waits for the first."""
    with chained_server(tmp_path_factory.mktemp("chained")) as server:
        yield server


@pytest.fixture(scope="module")
def waiting(chained: Chained) -> str:
    """The id of a job that waits for another one."""
    made = requests.post(f"{chained.second.url}/rerun", data={"from": "0"}, allow_redirects=False, timeout=300)
    assert made.status_code == 303, made.text
    return made.headers["Location"].rpartition("/")[2]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with thirty definitions of long titles, one of them with a long form, another for a role."""
    folder = tmp_path_factory.mktemp("definitions")
    for number in range(30):
        place = folder / f"task{number:02d}"
        place.mkdir()
        parameters = [
            {"name": f"p{i}", "type": "string", "group": "ab"[i % 2]} for i in range(40 if number == 3 else 1)
        ]
        title = f"Task {number}, whose title is longer than anybody who reads a list would ever want it to be"
        document = {"name": place.name, "version": "1", "title": title, "group": f"Group {number % 3}",
                    "entry": {"type": "shell", "script": "run.sh"}, "parameters": parameters,
                    "roles": ["team"] if number == 7 else []}  # fmt: skip
        (place / "job.json").write_text(json.dumps(document))
        (place / "run.sh").write_text("true\n")
    with running_server(tmp_path_factory.mktemp("data"), definitions=folder) as server:
        yield server


@pytest.mark.parametrize(("width", "colours"), [(1120, "light"), (420, "dark")])
def test_every_page_is_named_ordered_readable_and_fits(
    new_page: NewPage, chained: Chained, waiting: str, many: Served, tmp_path: Path, width: int, colours: str
) -> None:
    page = new_page(viewport={"width": width, "height": 900}, color_scheme=colours)
    page.expected += ["404", "400"]
    one, two = id_of(chained.first), id_of(chained.second)
    paths = ("/", f"/jobs/{one}", f"/jobs/{two}/provenance", f"/jobs/{two}/compare/{one}", f"/jobs/{waiting}", "/rerun",
             f"/rerun?job={two}", "/new/spectrum", f"/new/spectrum?_from={two}", "/definitions",
             "/definitions/spectrum", "/help", "/sky", "/nothing", "/?phase=NONE",
             "/search?kind=spectrum", "/search?place=x",
             "/search?adql=SELECT+*+FROM+ivoa.obscore&x=s_ra&y=s_dec#plot")  # fmt: skip
    addresses = [chained.url + path for path in paths]
    addresses += [many.url + path for path in ("/", "/definitions", "/new", "/new/task03")]
    wrong = {}
    for address in addresses:
        page.goto(address)
        if found := page.evaluate(AUDIT):
            wrong[address] = found
    assert not wrong


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server for accounts only; what is stored for one of them is more than it may store now."""
    data = tmp_path_factory.mktemp("full")
    with running_server(data, anonymous="refused") as served:
        who = account(data, "ann.long.name@observatory.example.org", "--role", "xmm")
        upload = {"eventlist": b"SIMPLE  = " + b" " * 1_999_990}
        made = requests.post(f"{served.url}/rest/spectrum", files=upload, auth=who, allow_redirects=False, timeout=300)
        assert made.status_code == 303, made.text
        changed = run_command("accounts", "change", who[0], "--max-stored", "1.5MB", "--data", str(data))
        assert changed.returncode == 0, changed.stderr
        yield House(served, {"ann": who})


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 420])
def test_the_pages_of_accounts_are_named_ordered_readable_and_fit(
    new_page: NewPage, full: House, width: int, colours: str
) -> None:
    url, who = full.served.url, full.accounts["ann"]
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": colours}
    page = new_page(**options)
    page.expected += ["401", "403"]
    wrong = {}

    def audit(page: Any, what: str, heading: str) -> None:
        expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
        page.wait_for_load_state()
        if found := page.evaluate(AUDIT):
            wrong[what] = found

    page.goto(f"{url}/?phase=ERROR")
    audit(page, "signed out", "Please sign in")
    page.goto(f"{url}/login")
    audit(page, "the form", "Sign in")
    page.get_by_label("Name", exact=True).fill(who[0])
    page.get_by_label("Token", exact=True).fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#summary")).to_contain_text("do not go together")
    audit(page, "a wrong token", "Sign in")
    page = sign_in(new_page, full.served, who, **options)
    audit(page, "signed in", "Jobs")
    page.goto(f"{url}/account")
    expect(page.locator("#full")).to_contain_text("Your space is used up")
    audit(page, "an account over its quota", "Account")
    page.goto("data:text/html,<form method=post action='" + f"{url}/logout" + "'><button>x</button></form>")
    page.get_by_role("button").click()
    audit(page, "a form of another site", "Not done")
    assert not wrong


def test_what_opens_over_a_page_stays_in_the_window(new_page: NewPage, chained: Chained, many: Served) -> None:
    page = new_page(viewport={"width": 420, "height": 900})
    for address, name in ((many.url, "New job"), (many.url, "Create test job"), (chained.url, "Delete"),
                          (f"{chained.url}/jobs/{id_of(chained.first)}", "Delete")):  # fmt: skip
        page.goto(address)
        page.locator("summary", has_text=name).first.click()
        box = page.locator("details[open] .panel").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 420, (address, name, box)


def test_a_job_that_waits_says_for_which_and_cannot_be_run(new_page: NewPage, chained: Chained, waiting: str) -> None:
    page = new_page()
    page.goto(chained.url)
    row = page.locator(f"tr[data-id='{waiting}']")
    expect(row.locator(".stage")).to_have_text(re.compile("^Waits for [0-9a-f]{8}$"))
    expect(row.get_by_role("button", name="Run")).to_have_count(0)
    expect(row.get_by_role("button", name="Abort")).to_be_visible()
    before = page.locator("tr[data-phase='PENDING']", has_not=page.locator("[data-id='" + waiting + "']")).last
    expect(before.get_by_role("button", name="Run")).to_be_visible()
    page.wait_for_timeout(1500)  # the list asks for its rows again
    expect(row.locator(".stage")).to_have_text(re.compile("^Waits for"))
    row.get_by_role("link", name="Spectrum of a region", exact=True).click()
    expect(page.locator("#stage")).to_have_text("Starts when the job before it is completed")
    expect(page.locator("#head")).to_contain_text("Waits for job")
    expect(page.get_by_role("button", name="Run", exact=True)).to_have_count(0)


def test_the_two_ways_to_make_a_product_again_say_what_they_are(new_page: NewPage, chained: Chained) -> None:
    page = new_page()
    page.goto(f"{chained.url}/jobs/{id_of(chained.first)}")
    page.locator("#head").get_by_role("link", name="Run again", exact=True).click()
    expect(page.locator("h1")).to_contain_text("Run again: Spectrum of a region")
    expect(page.locator(".lead")).to_contain_text("The same steps with the same files")
    page.get_by_role("link", name="new job like this").click()
    expect(page.locator("h1")).to_have_text("New job: Spectrum of a region")
    expect(page.locator(".notice")).to_contain_text("Everything may be changed")
    page.get_by_role("link", name="run it again").click()
    expect(page.locator("h1")).to_contain_text("Run again")


def test_many_definitions_are_chosen_from_a_list(new_page: NewPage, many: Served) -> None:
    page = new_page()
    page.goto(many.url)
    expect(page.locator("nav[aria-label=Main] > a")).to_have_text(
        ["Jobs", "Sky", "Archive", "Search", "Sessions", "Definitions", "Run again", "Help"]
    )
    menu = page.locator("summary", has_text="New job")
    menu.press("Enter")
    links = page.locator("details[open] li a")
    expect(links).to_have_count(29)  # not the one for a role that the reader does not have
    page.keyboard.press("Escape")
    expect(links.first).to_be_hidden()
    expect(menu).to_be_focused()
    menu.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("details[open] a").first).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")  # the focus leaves the menu, which closes
    expect(page.locator("details[open] a")).to_have_count(0)
    menu.press("Enter")
    page.get_by_role("link", name="What each of them does").click()
    page.get_by_label("Find").fill("task 17 longer")
    expect(page.locator(".card:visible")).to_have_count(1)
    menu.press("Enter")
    page.get_by_role("link", name=re.compile("^New job: Task 3,")).click()
    page.get_by_role("navigation", name="Parts of the form").get_by_role("link", name="b", exact=True).click()
    expect(page.get_by_role("group", name="b", exact=True)).to_be_in_viewport()
    expect(page.get_by_role("button", name="Create and run")).to_be_in_viewport()
    page.get_by_role("link", name="Definitions").click()
    expect(page.locator(".card", has_text="task07").get_by_role("link", name="New job")).to_have_count(0)
    page.get_by_label("Find").fill("task 17 longer")
    expect(page.locator(".card:visible")).to_have_count(1)
    expect(page.locator("#found")).to_have_text("1 of 30")


def test_the_focus_is_seen_wherever_the_tab_key_goes(new_page: NewPage, chained: Chained) -> None:
    page = new_page()
    ringed = "() => getComputedStyle(document.activeElement).outlineStyle !== 'none'"
    for address in (chained.url, f"{chained.url}/jobs/{id_of(chained.first)}", f"{chained.url}/new/spectrum"):
        page.goto(address)
        page.keyboard.press("Tab")
        for _ in range(200):
            if page.evaluate("document.activeElement === document.body"):
                break
            focused: Any = page.evaluate("document.activeElement.outerHTML.slice(0, 100)")
            assert page.evaluate(ringed), (address, focused)
            page.keyboard.press("Tab")
        else:
            pytest.fail(f"{address}: the focus never leaves the page")
