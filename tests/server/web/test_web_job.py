"""The page of a job, its state, its pictures and its buttons, over HTTP against a real server."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode, urljoin
from xml.etree import ElementTree

import numpy as np
import pytest
import requests
from astropy.io import fits
from astropy.time import Time

from accounts import account
from checkout import ROOT
from pagereader import AS_BROWSER, Page, create, token_of, visit, wait_for_end
from serving import Served, running_server
from uwsjobs import define


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server without an archive."""
    with running_server(tmp_path_factory.mktemp("data")) as server:
        yield server


def test_a_running_job_refreshes_itself_and_can_be_aborted(served: Served) -> None:
    page = create(served, seconds="600")
    assert page.all("//head/noscript/meta[@http-equiv='refresh'][@content='5']")
    page = wait_for_end(page.send("/abort"))
    assert "Aborted" in page.text("//h1")
    assert "what was made so far is kept" in page.text("//section[@id='progress']")
    assert not page.all("//form[contains(@action, '/abort')]")
    assert not page.all("//meta[@http-equiv='refresh']")
    late = page.session.post(f"{page.url}/abort", data={"_token": token_of(page)}, headers=AS_BROWSER, timeout=300)
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


def test_what_is_left_of_a_deleted_job_says_what_it_is(served: Served) -> None:
    job = wait_for_end(create(served))
    address = f"{served.url}/rest/dummy/{job.url.rsplit('/', 1)[1]}"
    again = requests.post(f"{address}/rerun", data={"from": "0"}, allow_redirects=False, timeout=300)
    assert again.status_code == 303, again.text
    requests.delete(address, timeout=300)
    page = visit(job.url)
    assert page.text("//span[@id='stage']") == "Deleted, with its files and its log; its record is kept"
    assert page.text("//section[@id='results']") == "Results The files are deleted; how they were made is kept."
    assert page.all("//pre[@id='log']")[0].get("data-empty") == "The log is deleted."
    (link,) = page.all("//section[@id='results']//a")
    assert visit(served.url + link.get("href")).text("//h1") == "How it was made"


def test_the_error_sentence_is_on_the_page(served: Served) -> None:
    page = wait_for_end(create(served, fail="true"))
    assert "fail: the job was asked to fail" in page.text("//section[@aria-label='Error']")
    assert "Ended in an error at “Working”; what" in page.text("//span[@id='stage']")
    assert page.all("//pre[@id='log']/span[@class='error']")


def test_the_state_gives_the_log_from_where_it_was_read(served: Served) -> None:
    page = wait_for_end(create(served))
    whole = requests.get(f"{page.url}/state", timeout=300).json()
    assert (whole["phase"], whole["ended"], whole["error"]) == ("COMPLETED", True, None)
    assert [text for _, text in whole["log"]["lines"]] == [f"[STAGE {n}/5] Working" for n in range(1, 6)]
    assert {kind for kind, _ in whole["log"]["lines"]} == {"stage"}
    length = len(b"[STAGE 1/5] Working\n")
    rest = requests.get(f"{page.url}/state?log={3 * length}", timeout=300).json()["log"]
    assert [text for _, text in rest["lines"]] == ["[STAGE 4/5] Working", "[STAGE 5/5] Working"]
    assert rest["offset"] == 5 * length == whole["log"]["offset"]
    assert [result["name"] for result in whole["results"]] == ["result", "log"]
    assert requests.get(f"{page.url}/state?log=-1", timeout=300).status_code == 400


def test_all_files_in_one(served: Served) -> None:
    page = wait_for_end(create(served, text="in a tar file"))
    response = requests.get(f"{page.url}/all.tar", timeout=300)
    assert int(response.headers["Content-Length"]) == len(response.content)
    with tarfile.open(fileobj=io.BytesIO(response.content)) as opened:
        names = {Path(name).name for name in opened.getnames()}
        member = next(name for name in opened.getnames() if name.endswith("result.txt"))
        assert opened.extractfile(member).read() == b"in a tar file\n"
    assert names == {"result.txt", "job.log"}
    waiting = create(served, PHASE="")
    assert requests.get(f"{waiting.url}/all.tar", timeout=300).status_code == 404


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
        assert not again.all("//a[text()='New job like this']")
        assert again.url.rsplit("/", 1)[1] in visit(served.url).response.text


def test_time_limit_and_destruction_are_changed_on_the_page(served: Served) -> None:
    page = create(served, PHASE="")
    job = f"{served.url}/rest/dummy/{page.url.rsplit('/', 1)[1]}"
    assert "At most 3,600 s (01:00:00). It can be changed until" in page.text("//*[@id='limits']")
    assert "A job that runs longer is aborted" in page.text("//*[@id='limits']")
    assert "Destruction (UTC)" in page.text("//section[@id='progress']")
    page = page.send("/duration", {"duration": "600"})
    assert (page.status, requests.get(f"{job}/executionduration", timeout=300).text) == (200, "600")
    day = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%d")
    page = page.send("/destruction", {"destruction": f"{day}T10:30"})  # as a browser's own control writes it
    assert requests.get(f"{job}/destruction", timeout=300).text.startswith(f"{day}T10:30:00")
    assert f"{day} 10:30:00" in page.text("//section[@id='progress']")
    assert page.all("//input[@name='destruction']")[0].get("value") == f"{day}T10:30:00"


def test_the_page_tells_when_a_job_is_expected_to_end_and_whose_it_is(tmp_path: Path) -> None:
    define(
        tmp_path / "definitions", "slow", "sleep 600\n", control={"quote": 30, "duration": {"default": 60, "max": 60}}
    )
    with running_server(tmp_path / "data", definitions=tmp_path / "definitions") as served:
        session = requests.Session()
        session.auth = account(tmp_path / "data", "bea")
        job = requests.post(
            f"{served.url}/rest/slow", {"PHASE": "RUN"}, auth=session.auth, allow_redirects=False, timeout=300
        )
        address = f"{served.url}/jobs/{job.headers['Location'].rpartition('/')[2]}"
        page = visit(address, session)
        quote = requests.get(f"{job.headers['Location']}/quote", auth=session.auth, timeout=300).text
        assert f"Expected end (UTC){quote[:19].replace('T', ' ')}" in page.text("//section[@id='progress']")
        assert "made by" not in page.text("//header[@id='head']")
        session.auth = account(tmp_path / "data", "root", "--admin")
        page = visit(address, session)
        assert "made by bea" in page.text("//header[@id='head']")
        assert "Expected end" not in wait_for_end(page.send("/abort")).text()


def test_a_time_limit_or_destruction_that_cannot_be_is_told_beside_its_field(served: Served) -> None:
    page = create(served, PHASE="")
    job = f"{served.url}/rest/dummy/{page.url.rsplit('/', 1)[1]}"
    before = [requests.get(f"{job}/{name}", timeout=300).text for name in ("executionduration", "destruction")]
    for name, text, said in (("duration", "-5", "'-5' came; whole seconds are allowed."),
                             ("duration", "99999999", "99,999,999 s came; 1 to 3,600 s are allowed."),
                             ("destruction", "soon", "'soon' is not a time"),
                             ("destruction", "9000-01-01", "9000-01-01 00:00:00 UTC came; a time after now and up to"),
                             ("destruction", "2001-01-01", "to delete the job at once, press Delete")):  # fmt: skip
        again = page.send(f"/{name}", {name: text})
        assert again.status == 400
        assert said in again.text(f"//p[@id='{name}-problem']")
        assert again.all("//details[@id='limits'][@open]")
        field = again.all(f"//input[@id='{name}']")[0]
        assert (field.get("value"), field.get("aria-invalid")) == (text, "true")
        assert f"{name}-problem" in field.get("aria-describedby")
    assert [requests.get(f"{job}/{name}", timeout=300).text for name in ("executionduration", "destruction")] == before
    late = page.send("/run")
    late = wait_for_end(late)
    assert not late.all("//input[@name='duration']")
    refused = page.send("/duration", {"duration": "60"})
    assert (refused.status, "its time limit could be changed until it began" in refused.text()) == (403, True)


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
    return requests.get(f"{page.url}/{place}", timeout=300)


def test_a_spectrum_has_a_plot_and_its_numbers(spectrum: Page) -> None:
    base = spectrum.url.partition("/jobs/")[0]
    results = fetch(spectrum, "state").json()["results"]
    files = {item["name"]: requests.get(base + item["url"], timeout=300).content for item in results}
    assert len(spectrum.all("//figure[@data-shown='chart']")) == 1  # the background is drawn with its source
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
    with fits.open(io.BytesIO(requests.get(stored["source_spectrum"], timeout=300).content)) as opened:
        data = opened["SPECTRUM"].data
        starts = np.flatnonzero(data["GROUPING"] == 1)
        good = np.maximum.reduceat(data["QUALITY"], starts) == 0
        lit = np.add.reduceat(data["COUNTS"], starts) > 0
    plot = fetch(spectrum, "preview/source_spectrum.json").json()
    assert len(plot["series"][0]["rate"]) == np.count_nonzero(good & lit)
    picture = ElementTree.fromstring(fetch(spectrum, "preview/source_spectrum.svg").content)
    circles = picture.findall(".//{http://www.w3.org/2000/svg}circle")
    assert len(circles) == np.count_nonzero(good & lit) + 1  # and one in the key
    (image,) = spectrum.all("//figure[@data-shown='chart']//img")
    assert "Counts / s / keV against Energy (keV)" in image.get("alt")


def test_the_sky_of_an_event_list_is_shown_large(spectrum: Page) -> None:
    (figure,) = spectrum.all("//figure[contains(@class, 'events')]")
    assert figure.xpath(".//h2")[0].text_content() == "events.fits"
    (picture,) = figure.xpath(".//img")
    assert picture.get("src").endswith("/preview/events.svg")
    assert picture.get("alt").startswith("Where its events lie: ")
    assert "<image" in requests.get(spectrum.url.partition("/jobs/")[0] + picture.get("src"), timeout=300).text


def test_a_light_curve_is_shown_large_and_told_in_words(tmp_path: Path) -> None:
    script = (
        "import numpy\nfrom astropy.table import Table\n"
        "def main(job):\n"
        "    table = Table({'TIME': numpy.arange(5.0) * 10, 'RATE': [1.0, 2.0, 3.0, 4.0, 5.0]})\n"
        "    table.meta.update(EXTNAME='RATE', HDUCLASS='OGIP', HDUCLAS1='LIGHTCURVE', TIMEDEL=10.0)\n"
        "    table.write(job.output('curve.fits', 'a curve'))\n"
    )
    define(tmp_path / "definitions", "curve", script, "python",
           entry={"type": "python", "script": "run.py", "function": "main"})  # fmt: skip
    with running_server(tmp_path / "data", definitions=tmp_path / "definitions") as served:
        page = wait_for_end(create(served, "curve"))
        (picture,) = page.all("//figure[contains(@class, 'lightcurve')]//img")
        assert "in 5 bins over 50 s" in picture.get("alt") and "1 to 5, mean 3" in picture.get("alt")
        assert requests.get(served.url + picture.get("src"), timeout=300).text.startswith("<svg")


def test_a_result_in_words_is_shown_above_the_others_where_there_is_no_picture(served: Served, spectrum: Page) -> None:
    page = wait_for_end(create(served, text="no source was seen"))
    assert "no source was seen" in page.text("//section[contains(@class, 'told')]/pre")
    assert "job.log" not in page.text("//section[contains(@class, 'told')]/h2")
    assert not spectrum.all("//section[contains(@class, 'told')]")


def test_previews_have_types_and_tags(spectrum: Page) -> None:
    for place, kind in (
        ("preview/source_spectrum.svg", "image/svg+xml; charset=UTF-8"),
        ("thumbnail/source_spectrum.svg", "image/svg+xml; charset=UTF-8"),
        ("preview/events.png", "image/png"),
    ):
        response = fetch(spectrum, place)
        assert (response.status_code, response.headers["Content-Type"]) == (200, kind)
        tag = response.headers["ETag"]
        again = requests.get(f"{spectrum.url}/{place}", headers={"If-None-Match": tag}, timeout=300)
        assert (again.status_code, again.content) == (304, b"")
        assert "sandbox" in response.headers["Content-Security-Policy"]
    assert "the file is no spectrum" in fetch(spectrum, "preview/regions.svg").text
    sky = fetch(spectrum, "preview/events.svg")
    assert "source region" in sky.text
    assert "img-src data:" in sky.headers["Content-Security-Policy"], "the pixels of a drawing opened by itself"
    assert fetch(spectrum, "preview/nothing.svg").status_code == 404


def test_products_can_be_sent_and_texts_cannot(spectrum: Page) -> None:
    buttons = {button.get("data-name"): button.get("data-samp") for button in spectrum.all("//button[@data-samp]")}
    table = next(name for name in buttons if name.endswith(".vot"))
    assert buttons == {
        "source_spectrum.fits": "table.load.fits spectrum.load.ssa-generic",
        "background_spectrum.fits": "table.load.fits spectrum.load.ssa-generic",
        "events.fits": "table.load.fits",
        table: "table.load.votable",
    }


def test_previews_say_what_was_observed_when_and_for_how_long(spectrum: Page) -> None:
    """The columns of the previews table, with what the header of the product itself says."""
    heads = [cell.text_content() for cell in spectrum.all("//table[@class='results']//th")]
    assert heads[2:] == [
        "Obs ID", "Camera", "Date obs (UTC)", "Exposure time", "Creation date (UTC)", "File size", "Download",
        "Send (SAMP)",
    ]  # fmt: skip
    (row,) = spectrum.all("//table[@class='results']//tr[.//a[text()='source_spectrum.fits']]")
    (place,) = row.xpath(".//a[text()='source_spectrum.fits']/@href")
    with fits.open(io.BytesIO(requests.get(urljoin(spectrum.url, place), timeout=300).content)) as product:
        tags, science = product["VO-TAGS"].header, product["SPECTRUM"].header
    said = [" ".join(cell.text_content().split()) for cell in row.xpath("./td")][2:7]
    begun = Time(tags["T_MIN"], format="mjd").strftime("%Y-%m-%d %H:%M:%S")
    assert said[:2] == [str(tags["OBS_ID"]), science["INSTRUME"].strip()]
    assert abs(datetime.fromisoformat(said[2]) - datetime.fromisoformat(begun)) <= timedelta(seconds=1)
    assert said[3] == f"{science['EXPOSURE']:,.0f} s"
    assert said[4] == str(tags["CREA_DAT"]).replace("T", " ")[:19]
    links = row.xpath(".//td[@data-label='Download']/a[not(text()='Download')]")
    forms = {link.text: link.get("href") for link in links}
    assert list(forms) == ["SVG", "CSV"]
    for text, kind in (("SVG", "image/svg+xml"), ("CSV", "text/csv")):
        answer = spectrum.session.get(urljoin(spectrum.url, forms[text]), timeout=300)
        assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, kind)


def test_several_are_chosen_for_one_plot_by_check_boxes(spectrum: Page) -> None:
    boxes = [box.get("value") for box in spectrum.all("//input[@form='together'][@name='of']")]
    assert [value.rpartition("/")[2] for value in boxes] == ["source_spectrum", "background_spectrum"]
    (form,) = spectrum.all("//form[@id='together']")
    page = visit(f"{urljoin(spectrum.url, form.get('action'))}?{urlencode([('of', value) for value in boxes])}")
    assert page.status == 200
    assert page.all("//figure")


def test_a_job_without_products_has_no_columns_of_them(served: Served) -> None:
    page = wait_for_end(create(served))
    heads = [cell.text_content() for cell in page.all("//table[@class='results']//th")]
    assert heads == ["Preview", "Name", "Description", "File size", "Download", "Send (SAMP)"]
    assert not page.all("//input[@form='together']")


def test_a_result_in_a_sub_folder_is_called_by_its_path(tmp_path: Path) -> None:
    definitions = tmp_path / "definitions"
    script = "mkdir -p results/pn results/mos1\nfor c in pn mos1; do echo $c > results/$c/rates.txt; done\n"
    define(definitions, "folders", script)
    with running_server(tmp_path / "data", definitions=definitions) as served:
        page = wait_for_end(create(served, "folders"))
        links = {
            link.text: link.get("href") for link in page.all("//table[@class='results']//a[contains(@class, 'file')]")
        }
        assert list(links) == ["mos1/rates.txt", "pn/rates.txt", "job.log"]
        assert requests.get(served.url + links["pn/rates.txt"], timeout=300).text == "pn\n"
        assert page.all("//a[@aria-label='Download mos1/rates.txt']")
        again = visit(f"{page.url}/compare/{page.url.rpartition('/')[2]}")
        assert "pn/rates.txt" in again.text("//section[@aria-labelledby='results-title']")


def test_a_spectrum_is_drawn_with_the_background_of_its_own_folder(tmp_path: Path) -> None:
    files = tmp_path / "files"
    source = fits_spectrum(files / "source.fits", 50, "background.fits")
    backgrounds = [fits_spectrum(files / f"{name}.fits", counts) for name, counts in (("a", 2), ("b", 3))]
    lines = [f"mkdir -p results/{p.stem}; cp {source} {p} results/{p.stem}; cd results/{p.stem}; mv {p.name} "
             "background.fits; cd ../.." for p in backgrounds]  # fmt: skip
    define(tmp_path / "definitions", "two", "\n".join(lines))
    with running_server(tmp_path / "data", definitions=tmp_path / "definitions") as served:
        page = wait_for_end(create(served, "two"))
        figures = [figure.text_content() for figure in page.all("//figure//h2")]
        assert figures == ["a/source.fits", "b/source.fits"], page.text()
        counts = [row[3].text_content() for row in page.all("//figure//tbody/tr[2]")]
        assert counts == ["32", "48"]


def fits_spectrum(path: Path, counts: int, background: str = "none") -> Path:
    """Write a spectrum of 16 channels."""
    path.parent.mkdir(exist_ok=True)
    channels = np.arange(16, dtype=np.int16)
    columns = [fits.Column("CHANNEL", "I", array=channels), fits.Column("COUNTS", "J", array=np.full(16, counts))]
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    table.header.update(HDUCLASS="OGIP", HDUCLAS1="SPECTRUM", EXPOSURE=1000.0, BACKSCAL=1.0, AREASCAL=1.0,
                        BACKFILE=background, RESPFILE="none", TELESCOP="XMM", INSTRUME="EPN", CHANTYPE="PI",
                        DETCHANS=16, POISSERR=True, HDUCLAS3="COUNT")  # fmt: skip
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path
