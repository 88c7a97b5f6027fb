"""The pages, over HTTP against a real server, read as a browser without JavaScript reads them."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np
import pytest
import requests
from astropy.io import fits

from checkout import ROOT
from pagereader import AS_BROWSER, Page, visit, wait_for_end
from serving import Served, running_server

HOSTILE = "<script>alert('x')</script>&amp;\""
SCRIPT = """
import json, pathlib
values = json.loads(pathlib.Path("parameters.json").read_text())["parameters"]
print("[STAGE 1/1] <script>alert(1)</script>")
print("\\x1b[31mred\\x1b[0m & <b>bold</b>")
print("[WARNING] careful\\nprogress 10%\\rprogress 100%")
pathlib.Path("results").mkdir(exist_ok=True)
pathlib.Path("results/<b>&'.txt").write_text("<i>first</i> line\\n")
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with an archive of two files."""
    archive = tmp_path_factory.mktemp("archive")
    (archive / "obs").mkdir()
    for name in ("P0123456701PNS003PIEVLI0000.FITS", "obs/M82.evt"):
        fits.PrimaryHDU().writeto(archive / name)
    with running_server(tmp_path_factory.mktemp("data"), "--archive", str(archive)) as server:
        yield server


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose definition, script and values try to get HTML into its pages; it also has a broken definition."""
    folder = tmp_path_factory.mktemp("definitions")
    (folder / "hostile").mkdir()
    definition = {
        "name": "hostile",
        "version": "1",
        "title": "<em>Title</em>",
        "description": HOSTILE,
        "entry": {"type": "python", "script": "run.py"},
        "parameters": [
            {"name": "text", "type": "string", "default": HOSTILE, "description": HOSTILE, "annotation": HOSTILE}
        ],
    }
    (folder / "hostile" / "job.json").write_text(json.dumps(definition))
    (folder / "hostile" / "run.py").write_text(SCRIPT)
    (folder / "hostile" / "README.md").write_text(
        "# Title\n\n<script>alert(2)</script> [press](javascript:alert(3)) **bold** [site](https://example.org)\n"
    )
    (folder / "broken").mkdir()
    (folder / "broken" / "job.json").write_text("{")
    with running_server(tmp_path_factory.mktemp("data"), definitions=folder) as server:
        yield server


def create(served: Served, definition: str = "dummy", **values: str) -> Page:
    """A job made with the form and run; its page."""
    return visit(f"{served.url}/new/{definition}").send(f"/new/{definition}", {"PHASE": "RUN", **values})


def token_of(page: Page) -> str:
    return str(page.all("//input[@name='_token']")[0].get("value"))


def jobs_of(served: Served, definition: str = "dummy") -> list[str]:
    document = ElementTree.fromstring(requests.get(f"{served.url}/rest/{definition}", timeout=30).content)
    return [str(job.get("id")) for job in document]


# --- the list ----------------------------------------------------------------------------------------------


def test_an_empty_list_says_what_to_do(tmp_path: Path) -> None:
    with running_server(tmp_path) as served:
        page = visit(served.url)
        assert "No jobs yet" in page.text()
        assert [link.text_content() for link in page.all("//a[contains(@class, 'button')]")][:2] == [
            "New job: Test job",
            "New job: Spectrum of a region",
        ]
        assert "No job is like this" in visit(f"{served.url}/?phase=ERROR").text()


def test_the_list_has_the_columns_and_the_newest_job_first(served: Served) -> None:
    older = wait_for_end(create(served, RUNID="older"))
    newer = wait_for_end(create(served, RUNID="newer", fail="true"))
    page = visit(served.url)
    assert [cell.text_content() for cell in page.all("//table//th")] == [
        "Type", "Run id", "Start time", "Destruction time", "Phase", "Elapsed", "Details", "Control",
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
            requests.post(f"{served.url}/rest/dummy", data={"RUNID": f"job {number}"}, timeout=30)
        first = visit(served.url)
        assert len(first.all("//tbody/tr")) == 50
        assert not first.all("//a[@rel='prev']")
        second = visit(served.url + first.all("//a[@rel='next']")[0].get("href"))
        assert [row.xpath(".//td[2]")[0].text for row in second.all("//tbody/tr")] == ["job 1", "job 0"]
        assert not second.all("//a[@rel='next']")
        assert len(visit(f"{served.url}/?phase=COMPLETED").all("//tbody/tr")) == 0
        assert len(visit(f"{served.url}/?phase=PENDING&definition=dummy").all("//tbody/tr")) == 50
        assert "No job is like this" in visit(f"{served.url}/?definition=spectrum").text()
        state = requests.get(f"{served.url}/jobs/state?page=2", timeout=30).json()
        assert [row["phase"] for row in state["rows"]] == ["PENDING", "PENDING"]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("phase=RUNNING", 400, "is not one of PENDING, QUEUED"),
        ("page=0", 404, "There is no page '0'"),
        ("page=x", 404, "There is no page 'x'"),
        ("definition=nothing", 404, "there are dummy, spectrum"),
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


def test_broken_definitions_are_told(hostile: Served) -> None:
    assert "broken/job.json: not JSON" in visit(hostile.url).text("//section[@aria-labelledby='broken']")


# --- the form ----------------------------------------------------------------------------------------------


def test_the_form_is_made_from_the_definition(served: Served) -> None:
    page = visit(f"{served.url}/new/spectrum")
    specs = {
        spec["name"]: spec
        for spec in json.loads((ROOT / "job_definitions" / "spectrum" / "job.json").read_text())["parameters"]
    }
    tags = {"region": "textarea", "choice": "select", "energy_range": "input", "integer": "input", "string": "input"}
    for name, spec in specs.items():
        control = page.field(name)
        assert control.tag == tags.get(spec["type"], "input"), name
        label = page.all(f"//label[@for='{control.get('id')}']")[0]
        assert label.text_content().split()[0] == name
        about = page.all(f"//*[@id='{control.get('aria-describedby').split()[0]}']")[0].text_content()
        assert spec["description"] in about
    assert page.field("energy").get("value") == "0.2 12.0"
    assert page.field("grouping").value == "mincounts"
    assert [option.get("value") for option in page.all("//datalist[@id='p-eventlist-archive']/option")] == [
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
    stored = requests.get(served.url + link.get("href"), timeout=30)
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
    form = visit(served.url + first.all("//a[text()='Run again with changes']")[0].get("href"), first.session)
    assert form.field("gti").get("value") == "obs/M82.evt"
    assert form.field("energy").get("value") == "1 2"
    assert form.field("RUNID").get("value") == "again"
    assert form.field("EXECUTIONDURATION").get("value") == "77"
    assert "mine.fits" in form.text("//label[@for='p-eventlist-keep']")
    second = form.send("/new/spectrum", {"PHASE": "", "energy": "3 4"})
    assert "mine.fits" in second.text("//section[@id='parameters']")
    first.send("/delete")
    (link,) = second.all("//section[@id='parameters']//a")
    assert requests.get(served.url + link.get("href"), timeout=30).content == upload.read_bytes()


def test_an_upload_of_a_deleted_job_must_be_chosen_again(served: Served, tmp_path: Path) -> None:
    upload = tmp_path / "mine.fits"
    fits.PrimaryHDU().writeto(upload)
    first = visit(f"{served.url}/new/spectrum").send("/new/spectrum", {"PHASE": ""}, {"eventlist": upload})
    form = visit(served.url + first.all("//a[text()='Run again with changes']")[0].get("href"), first.session)
    first.send("/delete")
    page = form.send("/new/spectrum", {"PHASE": ""})
    assert page.status == 400
    assert "choose it again" in page.text("//*[@id='p-eventlist-problem']")


def test_the_readme_is_beside_the_form(served: Served) -> None:
    assert "It needs no data" in visit(f"{served.url}/new/dummy").text("//aside")


# --- one job -----------------------------------------------------------------------------------------------


def test_a_running_job_refreshes_itself_and_can_be_aborted(served: Served) -> None:
    page = create(served, seconds="600")
    assert page.all("//head/noscript/meta[@http-equiv='refresh'][@content='5']")
    page = wait_for_end(page.send("/abort"))
    assert "Aborted" in page.text("//h1")
    assert "what was made so far is kept" in page.text("//section[@id='progress']")
    assert not page.all("//form[contains(@action, '/abort')]")
    assert not page.all("//meta[@http-equiv='refresh']")
    late = page.session.post(f"{page.url}/abort", data={"_token": token_of(page)}, headers=AS_BROWSER, timeout=30)
    assert (late.status_code, "can no longer be aborted" in late.text) == (403, True)


def test_a_deleted_job_is_gone(served: Served) -> None:
    page = wait_for_end(create(served))
    assert "Delete this job and all its files?" in page.text("//details[@class='confirm']")
    after = page.send("/delete")
    assert (after.status, after.url.rstrip("/")) == (200, served.url)
    assert visit(page.url).status == 404


def test_deleting_from_the_list_comes_back_to_the_same_part_of_it(served: Served) -> None:
    job = create(served, PHASE="")
    page = visit(f"{served.url}/?definition=dummy&phase=PENDING", job.session)
    after = page.send(f"{job.url.rsplit('/', 1)[1]}/delete")
    assert after.url == f"{served.url}/?definition=dummy&phase=PENDING"


def test_the_error_sentence_is_on_the_page(served: Served) -> None:
    page = wait_for_end(create(served, fail="true"))
    assert "fail: the job was asked to fail" in page.text("//section[@aria-label='Error']")
    assert page.all("//pre[@id='log']/span[@class='error']")


def test_the_state_gives_the_log_from_where_it_was_read(served: Served) -> None:
    page = wait_for_end(create(served))
    whole = requests.get(f"{page.url}/state", timeout=30).json()
    assert (whole["phase"], whole["ended"], whole["error"]) == ("COMPLETED", True, None)
    assert [text for _, text in whole["log"]["lines"]] == [f"[STAGE {n}/5] Working" for n in range(1, 6)]
    assert {kind for kind, _ in whole["log"]["lines"]} == {"stage"}
    length = len(b"[STAGE 1/5] Working\n")
    rest = requests.get(f"{page.url}/state?log={3 * length}", timeout=30).json()["log"]
    assert [text for _, text in rest["lines"]] == ["[STAGE 4/5] Working", "[STAGE 5/5] Working"]
    assert rest["offset"] == 5 * length == whole["log"]["offset"]
    assert [result["name"] for result in whole["results"]] == ["result", "log"]
    assert requests.get(f"{page.url}/state?log=-1", timeout=30).status_code == 400


def test_all_files_in_one(served: Served) -> None:
    page = wait_for_end(create(served, text="in a tar file"))
    response = requests.get(f"{page.url}/all.tar", timeout=30)
    assert int(response.headers["Content-Length"]) == len(response.content)
    with tarfile.open(fileobj=io.BytesIO(response.content)) as opened:
        names = {Path(name).name for name in opened.getnames()}
        member = next(name for name in opened.getnames() if name.endswith("result.txt"))
        assert opened.extractfile(member).read() == b"in a tar file\n"
    assert names == {"result.txt", "job.log"}
    waiting = create(served, PHASE="")
    assert requests.get(f"{waiting.url}/all.tar", timeout=30).status_code == 404


def test_a_job_whose_definition_is_gone_can_still_be_seen(tmp_path: Path) -> None:
    definitions = tmp_path / "definitions"
    for name in ("dummy", "spectrum"):
        shutil.copytree(ROOT / "job_definitions" / name, definitions / name)
    with running_server(tmp_path / "data", definitions=definitions) as served:
        page = wait_for_end(create(served))
    shutil.rmtree(definitions / "dummy")
    with running_server(tmp_path / "data", definitions=definitions) as served:
        again = visit(f"{served.url}/jobs/{page.url.rsplit('/', 1)[1]}")
        assert "Completed" in again.text("//h1")
        assert not again.all("//a[text()='Run again with changes']")
        assert again.url.rsplit("/", 1)[1] in visit(served.url).response.text


# --- a spectrum --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spectrum(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Iterator[Page]:
    """The page of a job on the real Chandra list of M82."""
    folder = shared / "real" / "chandra_m82"
    with running_server(tmp_path_factory.mktemp("data"), "--archive", str(folder)) as served:
        yield wait_for_end(
            create(
                served,
                "spectrum",
                eventlist="acis_10027_events",
                source_region='fk5; circle(148.965, 69.680, 40")',
                background_region='fk5; annulus(148.965, 69.680, 60", 120")',
            )
        )


def fetch(page: Page, place: str) -> requests.Response:
    return requests.get(f"{page.url}/{place}", timeout=30)


def test_a_spectrum_has_a_plot_and_its_numbers(spectrum: Page) -> None:
    base = spectrum.url.partition("/jobs/")[0]
    results = fetch(spectrum, "state").json()["results"]
    files = {item["name"]: requests.get(base + item["url"], timeout=30).content for item in results}
    assert len(spectrum.all("//figure[@data-plot]")) == 1  # the background is drawn with its source
    rows = [[cell.text_content() for cell in row] for row in spectrum.all("//figure//tbody/tr")]
    for row, name in zip(rows, ("source_spectrum", "background_spectrum"), strict=True):
        with fits.open(io.BytesIO(files[name])) as opened:
            table = opened["SPECTRUM"]
            assert row[1] == f"{name}.fits"
            assert row[2] == f"{table.header['EXPOSURE']:,.1f} s"
            assert row[3] == f"{table.data['COUNTS'].sum():,}"
            assert float(row[4].replace(",", "")) == pytest.approx(table.header["BACKSCAL"], rel=1e-4)


def test_the_plot_as_data_and_as_picture_has_the_groups_of_the_file(spectrum: Page) -> None:
    base = spectrum.url.partition("/jobs/")[0]
    stored = {item["name"]: base + item["url"] for item in fetch(spectrum, "state").json()["results"]}
    with fits.open(io.BytesIO(requests.get(stored["source_spectrum"], timeout=30).content)) as opened:
        data = opened["SPECTRUM"].data
        starts = np.flatnonzero(data["GROUPING"] == 1)
        good = np.maximum.reduceat(data["QUALITY"], starts) == 0
        lit = np.add.reduceat(data["COUNTS"], starts) > 0
    plot = fetch(spectrum, "preview/source_spectrum.json").json()
    assert len(plot["series"][0]["rate"]) == np.count_nonzero(good & lit)
    picture = ElementTree.fromstring(fetch(spectrum, "preview/source_spectrum.svg").content)
    circles = picture.findall(".//{http://www.w3.org/2000/svg}circle")
    assert len(circles) == np.count_nonzero(good & lit) + 1  # and one in the key
    (image,) = spectrum.all("//figure//img")
    assert "Counts / s / keV against Energy (keV)" in image.get("alt")


def test_previews_have_types_and_tags(spectrum: Page) -> None:
    for place, kind in (
        ("preview/source_spectrum.svg", "image/svg+xml; charset=UTF-8"),
        ("thumbnail/source_spectrum.svg", "image/svg+xml; charset=UTF-8"),
        ("preview/events.png", "image/png"),
    ):
        response = fetch(spectrum, place)
        assert (response.status_code, response.headers["Content-Type"]) == (200, kind)
        tag = response.headers["ETag"]
        again = requests.get(f"{spectrum.url}/{place}", headers={"If-None-Match": tag}, timeout=30)
        assert (again.status_code, again.content) == (304, b"")
        assert "sandbox" in response.headers["Content-Security-Policy"]
    assert "the file is no spectrum" in fetch(spectrum, "preview/events.svg").text
    assert fetch(spectrum, "preview/nothing.svg").status_code == 404


def test_products_can_be_sent_and_texts_cannot(spectrum: Page) -> None:
    buttons = {button.get("data-name"): button.get("data-samp") for button in spectrum.all("//button[@data-samp]")}
    assert buttons == {
        "source_spectrum.fits": "table.load.fits",
        "background_spectrum.fits": "table.load.fits",
        "events.fits": "table.load.fits",
    }


# --- safety ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["/new/dummy", "/new/dummy/test", "/jobs/{id}/delete", "/jobs/{id}/abort"])
@pytest.mark.parametrize("token", ["none", "wrong", "of another cookie"])
def test_a_form_without_its_token_does_nothing(served: Served, place: str, token: str) -> None:
    job = create(served, PHASE="")
    before = jobs_of(served)
    fields = {"wrong": {"_token": "0" * 64}, "of another cookie": {"_token": token_of(visit(served.url))}}
    address = served.url + place.format(id=job.url.rsplit("/", 1)[1])
    answer = job.session.post(address, data=fields.get(token, {}), headers=AS_BROWSER, timeout=30)
    assert (answer.status_code, "reload the page and send it again" in answer.text) == (403, True)
    assert jobs_of(served) == before
    assert "Pending" in visit(job.url).text("//h1")


def test_a_form_opened_before_a_restart_still_works(tmp_path: Path) -> None:
    with running_server(tmp_path) as served:
        page = visit(f"{served.url}/new/dummy")
        port = served.url.rsplit(":", 1)[1]
    with running_server(tmp_path) as served:
        page.url = page.url.replace(port, served.url.rsplit(":", 1)[1])
        assert "Pending" in page.send("/new/dummy", {"PHASE": ""}).text("//h1")


def test_nothing_a_user_wrote_becomes_html(hostile: Served) -> None:
    pages = [
        visit(f"{hostile.url}/new/hostile"),
        visit(f"{hostile.url}/new/hostile?text={quote(HOSTILE)}&RUNID={quote(HOSTILE)}"),
        wait_for_end(create(hostile, "hostile", RUNID=HOSTILE, text=HOSTILE)),
        visit(hostile.url),
        visit(f"{hostile.url}/{quote(HOSTILE)}"),
        visit(f"{hostile.url}/?definition={quote(HOSTILE)}"),
        create(hostile, "hostile", RUNID=HOSTILE * 20),
    ]
    for page in pages:
        scripts = page.all("//script")
        assert all(script.get("src").startswith("/static/") and not script.text for script in scripts), page.url
        assert not page.all("//main//em[text()='Title'] | //main//i | //pre//b | //main//b")
        assert not page.all("//*[starts-with(@href, 'javascript:')]")
    job = pages[2]
    assert "Completed" in job.text("//h1")
    log = job.all("//pre[@id='log']")[0].text_content().splitlines()
    assert log[0] == "[STAGE 1/1] <script>alert(1)</script>"
    assert log[1] == "red & <b>bold</b>"
    assert log[3] == "progress 100%"
    assert "<i>first</i> line" in job.text("//section[@id='results']")
    assert "<b>&'.txt" in job.text("//section[@id='results']")
    stored = [a.get("href") for a in job.all("//a[@download]") if "txt" in a.get("href")]
    assert requests.get(hostile.url + stored[0], timeout=30).text == "<i>first</i> line\n"
    form = pages[1]
    assert form.field("text").get("value") == form.field("RUNID").get("value") == HOSTILE
    assert form.all("//aside//strong[text()='bold']") and form.all("//aside//a[@href='https://example.org']")


def test_pages_carry_a_policy_and_hold_to_it(served: Served) -> None:
    job = wait_for_end(create(served))
    for page in (visit(served.url), visit(f"{served.url}/new/spectrum"), job, visit(f"{served.url}/nowhere")):
        policy = page.response.headers["Content-Security-Policy"]
        assert "script-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert page.response.headers["X-Content-Type-Options"] == "nosniff"
        assert not page.all("//*[@style] | //style | //script[not(@src)]")
        assert not [name for element in page.tree.iter() for name in element.attrib if name.startswith("on")]
        cookie = page.response.headers.get("Set-Cookie", "")
        assert "HttpOnly" in cookie and "SameSite=lax" in cookie


def test_every_control_has_a_name_for_those_who_listen(served: Served) -> None:
    job = wait_for_end(create(served))
    for page in (visit(served.url), visit(f"{served.url}/new/spectrum"), job):
        ids = [element.get("id") for element in page.all("//*[@id]")]
        assert len(ids) == len(set(ids))
        for control in page.all("//input[not(@type='hidden')] | //select | //textarea"):
            assert page.all(f"//label[@for='{control.get('id')}']"), html_of(control)
        for element in page.all("//*[@aria-labelledby]"):
            assert set(element.get("aria-labelledby").split()) <= set(ids)
        for image in page.all("//img"):
            assert image.get("alt") is not None
        assert [len(page.all(f"//{landmark}")) for landmark in ("main", "header[@class='top']", "h1")] == [1, 1, 1]
        assert page.all("//a[@class='skip'][@href='#main']")


def html_of(element: object) -> str:
    return str(getattr(element, "attrib", element))


def test_static_files_are_kept_by_version_and_do_not_lead_out(served: Served) -> None:
    (sheet,) = visit(served.url).all("//link[@rel='stylesheet']")
    address = served.url + sheet.get("href")
    response = requests.get(address, timeout=30)
    assert response.headers["Content-Type"].startswith("text/css")
    assert "immutable" in response.headers["Cache-Control"]
    digest = hashlib.sha256((ROOT / "templates" / "static" / "style.css").read_bytes()).hexdigest()
    assert digest.startswith(address.rpartition("v=")[2])
    again = requests.get(address, headers={"If-None-Match": response.headers["ETag"]}, timeout=30)
    assert again.status_code == 304
    assert requests.get(f"{served.url}/static/style.css", timeout=30).headers["Cache-Control"] == "no-cache"
    for place in ("../base.html", "%2e%2e/base.html", "..%2fbase.html", "nothing.css", "vendor"):
        session = requests.Session()
        request = requests.Request("GET", f"{served.url}/static/x").prepare()
        request.url = f"{served.url}/static/{place}"
        assert session.send(request, timeout=30).status_code in (403, 404), place


def test_addresses_begin_with_the_prefix_of_the_base_url(tmp_path: Path) -> None:
    """As behind a proxy that hands /uws/... on without the prefix."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running_server(tmp_path, "--port", str(port), base_url="https://xray.example/uws/"):
        local = f"http://127.0.0.1:{port}"
        requests.post(f"{local}/rest/dummy", timeout=30, allow_redirects=False)
        first = visit(local)
        job = first.all("//tbody//a")[0].get("href")
        assert job.startswith("/uws/jobs/")
        cookie = first.response.headers["Set-Cookie"]
        assert "Path=/uws" in cookie and "Secure" in cookie
        for page in (first, visit(f"{local}/new/spectrum"), visit(local + job.removeprefix("/uws"))):
            addresses = page.all("//@href | //@src | //@action | //@data-state | //@data-library")
            inside = [address for address in addresses if address and not address.startswith("#")]
            assert len(inside) > 10
            assert {address for address in inside if not address.startswith("/uws/")} == set()
        assert "https://xray.example/uws/rest/dummy/" in visit(local + job.removeprefix("/uws")).text()


def test_an_error_is_a_page_for_people_and_text_for_programs(served: Served) -> None:
    page = visit(f"{served.url}/jobs/{'0' * 32}")
    assert (page.status, page.text("//h1")) == (404, "Nothing here")
    assert page.all("//a[text()='To the job list']")
    plain = requests.get(f"{served.url}/jobs/{'0' * 32}", timeout=30)
    assert (plain.status_code, plain.headers["Content-Type"]) == (404, "text/plain; charset=UTF-8")
    assert plain.text.startswith("no job ")


def test_without_the_front_end_parts_pages_work_and_say_what_is_missing(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    for name in ("uws_server", "reduction", "provenance", "job_definitions", "templates"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("vendor", "__pycache__"))
    shutil.copy(ROOT / "setup.cfg", tree)
    monkeypatch.setenv("PYTHONPATH", str(tree))
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    with running_server(tmp_path / "data", "--archive", str(shared / "real" / "chandra_m82")) as served:
        page = wait_for_end(create(served, "spectrum", eventlist="acis_10027_events"))
        assert "make front-end installs it" in page.text("//figure")
        assert not page.all("//link[contains(@href, 'vendor')]")
        (image,) = page.all("//figure//img")
        assert requests.get(served.url + image.get("src"), timeout=30).headers["Content-Type"].startswith("image/svg")
