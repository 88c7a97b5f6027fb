"""The parts of a job on its page, and as the document that programs read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from accounts import account
from pagereader import visit
from processes import until
from serving import Served, running_server
from uwsjobs import define, reached

SPREAD = {"name": "word", "type": "string", "max_values": 1000, "required": True, "spread": True}
TEXT = {"name": "text", "type": "string", "default": "one"}
WORK = """
echo "[STAGE 1/2] Looking at $word"
case "$word" in bad*) echo "[ERROR] word: $word came" >&2; exit 1;; slow) sleep 600;; esac
echo "$word $text" > out.txt
"""

COLUMNS = ("{name: run, datatype: int64}", "{name: pull, unit: s, datatype: float64}")
ECSV = "\\n".join(["# %%ECSV 1.0", "# ---", "# datatype:", *(f"# - {each}" for each in COLUMNS)])
TOLD = f"""
printf '{ECSV}\\nrun pull\\n7 0.5\\n' > results/each.ecsv
"""
MERGE = f"""
printf '{ECSV}\\nrun pull\\n1 0.25\\n2 nan\\n' > results/runs.ecsv
echo '<!DOCTYPE html><title>Report</title><style>p {{ color: red }}</style><p>All is well' > results/report.html
"""

CURVE = """
import os, shutil, sys, time
kind = os.environ["UWS_PARAM_word"]
if kind == "slow":
    time.sleep(600)
with open("results/a_note.txt", "w") as note:
    note.write(kind)
if kind == "curve":
    import numpy
    from astropy.io import fits
    columns = [fits.Column("TIME", "D", "s", array=100.0 * numpy.arange(20)),
               fits.Column("RATE", "D", "count/s", array=1 + numpy.arange(20) / 20),
               fits.Column("ERROR", "D", "count/s", array=numpy.full(20, 0.1))]
    table = fits.BinTableHDU.from_columns(columns, name="RATE")
    table.header.update(HDUCLASS="OGIP", HDUCLAS1="LIGHTCURVE", TIMEDEL=100.0, MJDREF=50000.0, TIMEUNIT="s")
    table.writeto("results/curve.fits")
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("parts")
    out = {"name": "out", "file": "out.txt", "mime": "text/plain"}
    place = define(folder / "definitions", "words", WORK, parameters=[SPREAD, TEXT], results=[out], gather="merge.sh")
    (place / "merge.sh").write_text("echo gathered them\n", encoding="utf-8")
    told = [{**out, "optional": True},
            {"name": "report", "file": "report.html", "mime": "text/html", "gathered": True},
            {"name": "runs", "file": "runs.ecsv", "mime": "text/plain", "gathered": True, "description": "All runs."},
            {"name": "each", "file": "each.ecsv", "mime": "text/plain", "optional": True}]  # fmt: skip
    place = define(folder / "definitions", "told", TOLD, parameters=[SPREAD], results=told, gather="merge.sh")
    (place / "merge.sh").write_text(MERGE, encoding="utf-8")
    results = [{"name": "curve", "file": "curve.fits", "mime": "application/fits", "optional": True}]
    define(folder / "definitions", "curves", CURVE, "python", parameters=[SPREAD], results=results)
    with running_server(folder / "data", definitions=folder / "definitions", max_running=4) as server:
        yield server


def run(served: Served, words: list[str], **form: str) -> str:
    answer = requests.post(
        f"{served.url}/rest/words", data={"PHASE": "RUN", "word": words, **form}, allow_redirects=False, timeout=300
    )
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def page_of(served: Served, job: str) -> str:
    return f"{served.url}/jobs/{job.rpartition('/')[2]}"


def test_parts_that_failed_come_first_with_sentence_and_log(served: Served) -> None:
    job = run(served, ["one", "bad", "two"])
    assert reached(job, "COMPLETED", "ERROR") == "COMPLETED"
    page = visit(page_of(served, job))
    rows = [
        [" ".join("".join(cell.itertext()).split()) for cell in row.iterfind("*")]
        for row in page.all("//table[contains(@class, 'parts')]/tbody/tr")
    ]
    assert [row[:4] for row in rows] == [
        ["2", "bad", "Error", "word: bad came"],
        ["1", "one", "Completed", "Looking at one"],
        ["3", "two", "Completed", "Looking at two"],
    ]
    assert "3 of 3 parts have ended, 1 failed." in page.text("//section[@id='parts']")
    (log,) = page.all("//a[@id='part-log-2']/@href")
    assert requests.get(served.url + log, timeout=300).text == "[STAGE 1/2] Looking at bad\n[ERROR] word: bad came\n"
    (last,) = page.all("//a[@id='part-log-gathered']/@href")
    assert requests.get(served.url + last, timeout=300).text == "gathered them\n"


def test_report_and_main_table_of_a_job_in_parts_stand_on_its_page(served: Served) -> None:
    """Also where the rows of its results fill several pages; the table of a part is not the job's."""
    data = {"PHASE": "RUN", "word": [f"w{number}" for number in range(110)]}
    answer = requests.post(f"{served.url}/rest/told", data=data, allow_redirects=False, timeout=300)
    job = answer.headers["Location"]
    assert reached(job, "COMPLETED", "ERROR") == "COMPLETED"
    page = visit(page_of(served, job))
    assert "to 100 of 113 results" in page.text("//section[@id='results']")
    (link,) = [one for one in page.all("//a[@class='button']") if one.text_content() == "Open the report"]
    report = requests.get(link.get("href") if "://" in link.get("href") else served.url + link.get("href"), timeout=300)
    assert report.text.startswith("<!DOCTYPE html>") and report.headers["Content-Type"].startswith("text/html")
    assert report.headers["Content-Security-Policy"] == "sandbox", "its style is its own, scripts are none"
    (section,) = page.all("//section[h2/@id='table-runs']")
    assert [cell.text_content() for cell in section.findall(".//thead/tr/th")] == ["run", "pull (s)"]
    cells = [[cell.text_content() for cell in row] for row in section.findall(".//tbody/tr")]
    assert cells == [["1", "0.25"], ["2", "–"]]
    assert len(page.all("//table[@class='numbers ecsv']")) == 1
    second = visit(f"{page_of(served, job)}?results=100")
    assert [one.text_content() for one in second.all("//a[@class='button']")].count("Open the report") == 1


def test_a_running_job_shows_which_parts_run(served: Served) -> None:
    job = run(served, ["slow", "bad"])
    reached(job, "EXECUTING")

    def has_failed() -> bool:
        answer = requests.get(f"{job}/parts", timeout=300)
        return answer.ok and answer.json()["failed"] > 0  # a job that has just begun has no parts yet

    until(has_failed, what="the second part has ended")
    document = requests.get(f"{job}/parts", timeout=300).json()
    assert [(part["part"], part["phase"]) for part in document["parts"]] == [(2, "ERROR"), (1, "EXECUTING")]
    assert document["parts"][0]["sentence"] == "word: bad came"
    page = visit(page_of(served, job))
    assert "1 of 2 parts have ended, 1 failed" in page.text("//section[@id='progress']")
    assert not page.all("//button[@id='rerun-failed']")
    requests.post(f"{job}/phase", data={"PHASE": "ABORT"}, timeout=300)


def test_a_part_that_has_ended_has_its_picture_while_others_run(served: Served) -> None:
    form = {"PHASE": "RUN", "word": ["curve", "text", "slow"]}
    answer = requests.post(f"{served.url}/rest/curves", data=form, allow_redirects=False, timeout=300)
    job = answer.headers["Location"]

    def have_ended() -> bool:
        answer = requests.get(f"{job}/parts", timeout=300)
        return answer.ok and answer.json()["ended"] == 2

    until(have_ended, what="two parts have ended")
    page = visit(page_of(served, job))
    pictures = {one.get("alt"): one.get("src") for one in page.all("//table[contains(@class, 'parts')]//img")}
    assert sorted(pictures) == ["First product of part 1", "First product of part 2"]
    curve, text = (requests.get(served.url + pictures[f"First product of part {n}"], timeout=300) for n in (1, 2))
    assert curve.headers["Content-Type"].startswith("image/svg+xml")
    assert len(re.findall(r"M[\d.]+ [\d.]+", curve.text)) >= 20, "each bin is drawn"
    assert "no picture" in text.text
    assert requests.get(f"{page_of(served, job)}/parts/3/preview", timeout=300).status_code == 404
    assert requests.get(f"{page_of(served, job)}/parts/4/preview", timeout=300).status_code == 404
    requests.post(f"{job}/phase", data={"PHASE": "ABORT"}, timeout=300)


def test_a_hundred_parts_are_shown_at_once(served: Served) -> None:
    job = run(served, [f"w{number}" for number in range(1, 130)] + ["bad"])
    assert reached(job, "COMPLETED", "ERROR") == "COMPLETED"
    first = visit(page_of(served, job))
    assert len(first.all("//table[contains(@class, 'parts')]/tbody/tr")) == 100
    assert "1 to 100 of 130 parts" in first.text("//nav[@aria-label='More parts']")
    (following,) = first.all("//nav[@aria-label='More parts']/a[@rel='next']/@href")
    second = visit(served.url + following)
    assert len(second.all("//table[contains(@class, 'parts')]/tbody/tr")) == 30
    document = requests.get(f"{job}/parts?FIRST=100", timeout=300).json()
    assert [part["part"] for part in document["parts"]] == list(range(100, 130))
    assert [document[name] for name in ("total", "ended", "failed", "first")] == [130, 130, 1, 100]


def test_the_failed_parts_are_run_again_as_a_job_of_their_own(served: Served) -> None:
    job = run(served, ["bad1", "fine", "bad2"], text="kept")
    assert reached(job, "COMPLETED", "ERROR") == "COMPLETED"
    after = visit(page_of(served, job)).send("/parts/rerun")
    again = f"{served.url}/rest/words/{after.url.rpartition('/')[2]}"
    assert again != job
    assert reached(again, "COMPLETED", "ERROR") == "ERROR"
    assert requests.get(f"{again}/parameters/word", timeout=300).text == "bad1\nbad2"
    assert requests.get(f"{again}/parameters/text", timeout=300).text == "kept"
    assert job.rpartition("/")[2][:8] in visit(page_of(served, again)).text("//ul[@class='kin']")
    answer = requests.post(f"{again}/parts/rerun", data={"PHASE": "RUN"}, allow_redirects=False, timeout=300)
    assert answer.status_code == 303
    reached(answer.headers["Location"], "ERROR")


def test_nothing_is_run_again_of_a_job_without_failed_parts(served: Served) -> None:
    job = run(served, ["fine"])
    assert reached(job, "COMPLETED", "ERROR") == "COMPLETED"
    answer = requests.post(f"{job}/parts/rerun", timeout=300)
    assert (answer.status_code, "no part of it has failed" in answer.text) == (403, True)


def test_uploaded_files_go_with_the_parts_that_are_run_again(tmp_path: Path) -> None:
    file = {"name": "file", "type": "file", "max_values": 9, "required": True, "spread": True}
    out = {"name": "out", "file": "out.txt"}
    define(tmp_path / "definitions", "files", 'grep -v bad "$file" > out.txt', parameters=[file], results=[out])
    with running_server(tmp_path / "data", definitions=tmp_path / "definitions") as served:
        files = [("file", (f"{word}.txt", word.encode(), "text/plain")) for word in ("good", "bad1", "bad2")]
        answer = requests.post(
            f"{served.url}/rest/files", data={"PHASE": "RUN"}, files=files, allow_redirects=False, timeout=300
        )
        job = answer.headers["Location"]
        assert reached(job, "COMPLETED", "ERROR") == "COMPLETED"
        answer = requests.post(f"{job}/parts/rerun", data={"PHASE": "RUN"}, allow_redirects=False, timeout=300)
        again = answer.headers["Location"]
        assert reached(again, "COMPLETED", "ERROR") == "ERROR"
        texts = [requests.get(f"{again}/parameters/file/{number}", timeout=300).text for number in (1, 2)]
        assert texts == ["bad1", "bad2"]


@pytest.mark.parametrize(
    ("address", "status"),
    [("parts/4/log", 404), ("parts/0/log", 404), ("parts/x/log", 404), ("parts?FIRST=-1", 400),
     ("parts/1/log?OFFSET=9", 200), ("parts/1/results/none.txt", 404),
     ("parts/1/results/../../status.json", 404), ("parts/1/results/out.txt", 200)],
)  # fmt: skip
def test_what_there_is_not_is_told(served: Served, address: str, status: int) -> None:
    job = run(served, ["one", "two", "three"])
    reached(job, "COMPLETED")
    assert requests.get(f"{job}/{address}", timeout=300).status_code == status


def test_who_may_not_see_the_job_sees_no_part(tmp_path: Path) -> None:
    data, definitions = tmp_path / "data", tmp_path / "definitions"
    define(definitions, "words", WORK, parameters=[SPREAD, TEXT])
    (name, token), (other, theirs) = account(data, "ann"), account(data, "bob")
    with running_server(data, definitions=definitions, auth="required") as served:
        form = {"PHASE": "RUN", "word": ["bad", "one"]}
        made = requests.post(
            f"{served.url}/rest/words", data=form, auth=(name, token), allow_redirects=False, timeout=300
        )
        job = made.headers["Location"]
        for address in ("parts", "parts/1/log"):
            assert requests.get(f"{job}/{address}", auth=(other, theirs), timeout=300).status_code == 403
        assert requests.post(f"{job}/parts/rerun", auth=(other, theirs), timeout=300).status_code == 403
