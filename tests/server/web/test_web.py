"""The job list and the form of a new job, over HTTP against a real server, read as a browser without JavaScript."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from astropy.io import fits

from checkout import DEFINITIONS, ROOT
from pagereader import create, visit, wait_for_end
from serving import Served, running_server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with an archive of two files."""
    archive = tmp_path_factory.mktemp("archive")
    (archive / "obs").mkdir()
    for name in ("P0123456701PNS003PIEVLI0000.FITS", "obs/M82.evt"):
        fits.PrimaryHDU().writeto(archive / name)
    with running_server(tmp_path_factory.mktemp("data"), "--archive", str(archive)) as server:
        yield server


def test_an_empty_list_says_what_to_do(tmp_path: Path) -> None:
    with running_server(tmp_path) as served:
        page = visit(served.url)
        assert "No jobs yet" in page.text()
        assert page.all("//main//a[contains(@class, 'button')]")[0].text_content() == "New job"
        assert "No job is like this" in visit(f"{served.url}/?phase=ERROR").text()
        assert "The list ends before this page" in visit(f"{served.url}/?after=1-{32 * '0'}").text()


def test_one_menu_of_the_top_line_leads_to_every_form_and_to_a_list_with_a_sentence_each(tmp_path: Path) -> None:
    about = {"alone": ("Fits", "Fits a model, e.g. a power law, to a spectrum. It takes minutes."),
             "beta": ("", "Draws *radial* profiles"), "closed": ("Fits", "Only for the team.")}  # fmt: skip
    for name, (group, description) in about.items():
        place = tmp_path / "definitions" / name
        place.mkdir(parents=True)
        roles = ["team"] if name == "closed" else []
        document = {"name": name, "version": "1", "title": name.title(), "group": group, "description": description,
                    "entry": {"type": "shell", "script": "run.sh"}, "roles": roles}  # fmt: skip
        (place / "job.json").write_text(json.dumps(document))
        (place / "run.sh").write_text("true\n")
    with running_server(tmp_path / "data", definitions=tmp_path / "definitions") as served:
        page = visit(served.url)
        assert [link.get("href") for link in page.all("//nav[@aria-label='Main']//details//a")] == [
            "/new", "/new/alone", "/new/beta",
        ]  # fmt: skip
        assert page.text("//nav//details/summary") == "+New job"
        assert [one.text_content() for one in page.all("//nav//details//p")] == ["Fits", "Others"]
        page = visit(f"{served.url}/new")
        assert [heading.text_content() for heading in page.all("//h2[not(@class)]")] == ["Fits", "Others"]
        assert [" ".join(item.text_content().split()) for item in page.all("//li[@class='card']")] == [
            "Alone alone Fits a model, e.g. a power law, to a spectrum.", "Beta beta Draws radial profiles",
        ]  # fmt: skip
        assert [link.get("href") for link in page.all("//main//h3/a")] == ["/new/alone", "/new/beta"]


def test_the_list_has_the_columns_and_the_newest_job_first(served: Served) -> None:
    older = wait_for_end(create(served, RUNID="older"))
    newer = wait_for_end(create(served, RUNID="newer", fail="true"))
    page = visit(served.url)
    assert [cell.text_content() for cell in page.all("//table//th")] == [
        "Type (definition)", "Run id, target", "Start time", "Destruction time", "Phase", "Elapsed", "Details",
        "Control",
    ]  # fmt: skip
    rows = page.all("//tbody/tr")
    ids = [row.get("data-id") for row in rows]
    first, second = newer.url.rsplit("/", 1)[1], older.url.rsplit("/", 1)[1]
    assert ids[:2] == [first, second]
    words = " ".join(rows[0].text_content().split())
    assert re.search(r"newer \d{4}-\d\d-\d\d \d\d:\d\d:\d\d .* Error 00:00:0\d Properties", words)


def test_the_list_is_filtered_and_comes_in_pages(tmp_path: Path) -> None:
    with running_server(tmp_path) as served:
        for number in range(52):
            requests.post(f"{served.url}/rest/dummy", data={"RUNID": f"job {number}"}, timeout=300)
        first = visit(served.url)
        assert len(first.all("//tbody/tr")) == 50
        assert not first.all("//a[@rel='prev']")
        second = visit(served.url + first.all("//a[@rel='next']")[0].get("href"))
        assert [row.xpath(".//td[2]")[0].text for row in second.all("//tbody/tr")] == ["job 1", "job 0"]
        assert not second.all("//a[@rel='next']")
        assert len(visit(f"{served.url}/?phase=COMPLETED").all("//tbody/tr")) == 0
        assert len(visit(f"{served.url}/?phase=PENDING&definition=dummy").all("//tbody/tr")) == 50
        assert "No job is like this" in visit(f"{served.url}/?definition=spectrum").text()
        state = requests.get(second.url.replace("/?", "/jobs/state?"), timeout=300).json()
        assert [row["phase"] for row in state["rows"]] == ["PENDING", "PENDING"]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("phase=RUNNING", 400, "is not one of PENDING, QUEUED"),
        ("order=random", 400, "newest or oldest is allowed"),
        ("after=x", 400, "'x' is no place in the list"),
        (f"before=1-{'g' * 32}", 400, "is no place in the list"),
        ("from=yesterday", 400, "a date (UTC) such as 2026-11-29 is allowed"),
        ("until=2026-13-01", 400, "a date (UTC) such as 2026-11-29 is allowed"),
        ("until=9999-12-31", 400, "a date (UTC) such as 2026-11-29 is allowed"),
        ("definition=nothing", 404, f"there are {', '.join(DEFINITIONS)}"),
    ],
)
def test_a_view_that_is_not_there(served: Served, query: str, status: int, said: str) -> None:
    page = visit(f"{served.url}/?{query}")
    assert page.status == status
    assert said in page.text()


def test_create_test_job(served: Served) -> None:
    page = wait_for_end(visit(served.url).send("/new/dummy/test"))
    assert "Completed" in page.text("//h1")
    assert not visit(served.url).all("//form[contains(@action, '/new/spectrum/test')]")


def test_the_form_is_made_from_the_definition(served: Served) -> None:
    page = visit(f"{served.url}/new/spectrum")
    specs = {
        spec["name"]: spec
        for spec in json.loads((ROOT / "job_definitions" / "spectrum" / "job.json").read_text())["parameters"]
    }
    tags = {"region": "textarea", "choice": "select", "energy_range": "input", "integer": "input", "string": "input"}
    for name, spec in specs.items():
        control = page.field(name)
        assert control.tag == ("textarea" if spec.get("max_values", 1) > 1 else tags.get(spec["type"], "input")), name
        label = page.all(f"//label[@for='{control.get('id')}']")[0]
        assert label.text_content().split()[0] == name
        about = page.all(f"//*[@id='{control.get('aria-describedby').split()[0]}']")[0].text_content()
        assert spec["description"] in about
    assert page.field("energy").get("value") == "0.2 12.0"
    assert page.field("grouping").value == "mincounts"
    assert [item.text_content() for item in page.all("//details[@class='archive']//code")] == [
        "P0123456701PNS003PIEVLI0000",
        "M82",
    ]
    groups = [legend.text for legend in page.all("//fieldset/legend")]
    assert groups == [*dict.fromkeys(spec["group"] for spec in specs.values()), "Job"]
    assert "required" in page.all("//label[@for='p-eventlist']")[0].text_content()


def test_values_come_from_the_address(served: Served) -> None:
    page = visit(f"{served.url}/new/spectrum?SOURCE_REGION=fk5;circle(1,2,3%22)&grouping=none&RUNID=mine&unknown=1")
    assert page.field("source_region").text.strip() == 'fk5;circle(1,2,3")'
    assert page.field("grouping").value == "none"
    assert page.field("RUNID").get("value") == "mine"


def test_a_job_is_created_run_and_shown(served: Served) -> None:
    page = create(served, text="two\nlines", seconds="0.2 s", RUNID="from the form")
    assert re.search(r"/jobs/[0-9a-f]{32}$", page.url)
    page = wait_for_end(page)
    assert "Completed" in page.text("//h1")
    assert "from the form" in page.text("//header[@id='head']")
    assert "[STAGE 5/5] Working" in page.text("//pre[@id='log']")
    assert page.text("//section[@id='parameters']//tbody").split() == [
        "text", "two", "lines", "seconds", "0.2", "s", "fail", "false",
    ]  # fmt: skip
    (link,) = [link for link in page.all("//section[@id='results']//a[@download]") if "result.txt" in link.get("href")]
    stored = requests.get(served.url + link.get("href"), timeout=300)
    assert stored.text.replace("\r\n", "\n") == "two\nlines\n"
    assert f"{served.url}/rest/dummy/" in page.text("//section[@id='programs']")


def test_a_job_that_is_only_created_waits(served: Served) -> None:
    page = create(served, PHASE="")
    assert "Pending" in page.text("//h1")
    assert "Not started" in page.text("//section[@id='progress']")
    page = wait_for_end(page.send("/run"))
    assert "Completed" in page.text("//h1")


def test_wrong_values_come_back_with_what_is_wrong_at_each(served: Served) -> None:
    page = create(served, "spectrum", eventlist="nowhere", energy="12 0.2", min_counts="many", RUNID="kept",
                  source_region="fk5; circle(1, 2)")  # fmt: skip
    assert page.status == 400
    assert page.field("energy").get("value") == "12 0.2"
    assert page.field("min_counts").get("value") == "many"
    assert page.field("source_region").text.strip() == "fk5; circle(1, 2)"
    assert page.field("RUNID").get("value") == "kept"
    for name, said in (("energy", "must come first"), ("min_counts", "'many' is not a whole number"),
                       ("eventlist", "neither"), ("source_region", "circle")):  # fmt: skip
        control = page.field(name)
        assert control.get("aria-invalid") == "true"
        told = [page.text(f"//*[@id='{part}']") for part in control.get("aria-describedby").split()]
        assert said in " ".join(told), name
    summary = page.all("//section[@id='summary']//li")
    assert [item.xpath("./a")[0].get("href") for item in summary] == [
        "#p-eventlist", "#p-source_region", "#p-energy", "#p-min_counts",
    ]  # fmt: skip


def test_run_id_and_time_limit_are_checked(served: Served) -> None:
    page = create(served, RUNID="x" * 300, EXECUTIONDURATION="soon")
    assert page.status == 400
    assert "at most 255 characters" in page.text("//*[@id='RUNID-problem']")
    assert "whole seconds" in page.text("//*[@id='EXECUTIONDURATION-problem']")


def test_a_file_that_is_no_event_list_is_refused_at_its_field(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no FITS")
    page = visit(f"{served.url}/new/spectrum").send("/new/spectrum", {"PHASE": "RUN"}, {"eventlist": path})
    assert page.status == 400
    assert "'notes.txt' is not a FITS file" in page.text("//*[@id='p-eventlist-problem']")
    assert "choose notes.txt again" in page.text("//section[@id='summary']")


def test_run_again_keeps_archive_files_and_uploads(served: Served, tmp_path: Path) -> None:
    upload = tmp_path / "mine.fits"
    fits.PrimaryHDU().writeto(upload)
    first = visit(f"{served.url}/new/spectrum").send(
        "/new/spectrum",
        {"PHASE": "", "gti": "M82", "energy": "1 2", "RUNID": "again", "EXECUTIONDURATION": "77"},
        {"eventlist": upload},
    )
    form = visit(served.url + first.all("//a[text()='New job like this']")[0].get("href"), first.session)
    assert form.field("gti").get("value") == "obs/M82.evt"
    assert form.field("energy").get("value") == "1 2"
    assert form.field("RUNID").get("value") == "again"
    assert form.field("EXECUTIONDURATION").get("value") == "77"
    assert "mine.fits" in form.text("//label[@for='p-eventlist-keep']")
    second = form.send("/new/spectrum", {"PHASE": "", "energy": "3 4"})
    assert "mine.fits" in second.text("//section[@id='parameters']")
    first.send("/delete")
    (link,) = second.all("//section[@id='parameters']//a")
    assert requests.get(served.url + link.get("href"), timeout=300).content == upload.read_bytes()


def test_an_upload_of_a_deleted_job_must_be_chosen_again(served: Served, tmp_path: Path) -> None:
    upload = tmp_path / "mine.fits"
    fits.PrimaryHDU().writeto(upload)
    first = visit(f"{served.url}/new/spectrum").send("/new/spectrum", {"PHASE": ""}, {"eventlist": upload})
    form = visit(served.url + first.all("//a[text()='New job like this']")[0].get("href"), first.session)
    first.send("/delete")
    page = form.send("/new/spectrum", {"PHASE": ""})
    assert page.status == 400
    assert "choose it again" in page.text("//*[@id='p-eventlist-problem']")


def test_the_readme_is_beside_the_form(served: Served) -> None:
    assert "It needs no data" in visit(f"{served.url}/new/dummy").text("//aside")
