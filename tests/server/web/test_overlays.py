"""Several products in one plot, over HTTP against a real server: the page, its form, the plot in each form, rights."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree

import numpy as np
import pytest
import requests

from accounts import account
from curves import BINS, SECONDS, curve_job, define_curves
from pagereader import Page, visit
from reduction.simulate import simulate, small
from serving import Served, running_server
from uwsjobs import reached

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    definitions = define_curves(tmp_path_factory.mktemp("definitions"))
    with running_server(tmp_path_factory.mktemp("data"), definitions=definitions) as server:
        yield server


@pytest.fixture(scope="module")
def two(served: Served) -> tuple[str, str]:
    """Two jobs, the second of which observed a quarter of an hour later."""
    return curve_job(served.url, 1.0, 2.0, "first"), curve_job(served.url, 3.0, 2.0 + 900 / 86400, "second")


def rows(address: str) -> list[dict[str, str]]:
    """The rows of a plot as a table."""
    answer = requests.get(address, timeout=300)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/csv; charset=UTF-8"
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_light_curves_of_two_jobs_are_in_one_plot(served: Served, two: tuple[str, str]) -> None:
    query = f"of={two[0]}/curve&of={two[1]}/curve"
    found = rows(f"{served.url}/jobs/plot.csv?{query}")
    assert [row["series"] for row in found] == ["first"] * (BINS - 5) + ["second"] * (BINS - 5)
    columns = np.array([[float(row[name]) for name in ("time_s", "mjd", "counts_per_s")] for row in found])
    first, second = columns[: BINS - 5], columns[BINS - 5 :]
    known = np.r_[0:20, 25:50]
    np.testing.assert_allclose(first[:, 0], SECONDS * known, atol=1e-3)
    np.testing.assert_allclose(second[:, 0], 900 + SECONDS * known, atol=1e-3)
    np.testing.assert_allclose(second[:, 1], 50002 + (900 + SECONDS * known) / 86400, atol=1e-8)
    np.testing.assert_allclose(second[:, 2], 3 + 0.01 * known)
    alike = rows(f"{served.url}/jobs/plot.csv?{query}&zero=start&x_low=2500&x_high=3000")
    assert {row["series"] for row in alike} == {"first", "second"}
    assert min(float(row["time_s"]) for row in alike) == 2500
    assert "mjd" not in alike[0]
    picture = ElementTree.fromstring(requests.get(f"{served.url}/jobs/plot.svg?{query}", timeout=300).text)
    assert [len(group.findall(f"{SVG}path")) for group in picture.findall(f"{SVG}g")[:2]] == [1, BINS - 5 + 1]
    texts = [text.text for text in picture.findall(f"{SVG}text")]
    assert {"first", "second", "Time (s) from MJD 50002.00000 (TT)"} <= set(texts)


def test_the_page_keeps_the_choice_in_its_address(served: Served, two: tuple[str, str]) -> None:
    page = visit(f"{served.url}/jobs/{two[0]}")
    (link,) = page.all("//figure[contains(@class, 'lightcurve')]//a[@class='onto']")
    page = visit(served.url + link.get("href"))
    assert page.text("//figure//figcaption").startswith("Light curve")
    page = with_form(page, job=two[1])
    assert [box.get("value") for box in page.all("//input[@name='of']")] == [
        f"{job}/{name}" for job in two for name in ("curve", "spectrum", "spectrum_2")
    ]
    page = with_form(page, of=[f"{job}/curve" for job in two], y_scale="log", x_high="4000")
    assert "2 products" in page.text("//figure//figcaption")
    asked = parse_qsl(urlsplit(page.url).query)
    assert ("of", f"{two[1]}/curve") in asked and ("y_scale", "log") in asked
    (image,) = page.all("//figure//img")
    assert parse_qsl(urlsplit(image.get("src")).query) == [
        ("of", f"{two[0]}/curve"), ("of", f"{two[1]}/curve"), ("zero", "date"), ("x_high", "4000"), ("y_scale", "log"),
    ]  # fmt: skip
    assert page.all("//select[@name='y_scale']/option[@selected]")[0].get("value") == "log"
    assert page.all("//input[@name='x_high']")[0].get("value") == "4000"
    for suffix, link in (("svg", page.all("//a[@data-suffix='svg']")), ("csv", page.all("//a[@data-suffix='csv']"))):
        answer = requests.get(served.url + link[0].get("href"), timeout=300)
        assert suffix in answer.headers["Content-Type"]


def with_form(page: Page, **values: str | list[str]) -> Page:
    """The page that a form of choices leads to with some values changed."""
    (form,) = page.all("//form[@id='choice']")
    fields = [(name, value) for name, value in form.form_values() if name not in values]
    fields += [(name, one) for name, value in values.items() for one in ([value] if isinstance(value, str) else value)]
    kept = [(name, value) for name, value in form.form_values() if name == "job" and value and "job" in values]
    prepared = requests.Request("GET", f"{page.url.partition('/jobs/')[0]}{form.action}", params=fields + kept)
    return visit(str(prepared.prepare().url), page.session)


def test_spectra_and_light_curves_are_not_in_one_plot(served: Served, two: tuple[str, str]) -> None:
    query = f"of={two[0]}/curve&of={two[1]}/spectrum"
    page = visit(f"{served.url}/jobs/plot?{query}")
    assert "spectra and light curves have no axis in common: choose products of one kind" in page.text()
    assert len(page.all("//input[@name='of'][@checked]")) == 2
    picture = requests.get(f"{served.url}/jobs/plot.svg?{query}", timeout=300)
    assert "have no axis in common" in picture.text
    spectra = rows(f"{served.url}/jobs/plot.csv?of={two[0]}/spectrum&of={two[1]}/spectrum")
    assert {row["series"] for row in spectra} == {"first", "second"}


def test_products_of_one_job_are_told_apart_by_their_files(served: Served, two: tuple[str, str]) -> None:
    twice = {row["series"] for row in rows(f"{served.url}/jobs/plot.csv?of={two[0]}/curve&of={two[0]}/curve")}
    assert twice == {"curve"}
    (link,) = visit(f"{served.url}/jobs/{two[0]}").all("//p[@class='together']/a")
    assert link.text == "The spectra in one plot"
    address = served.url + link.get("href").replace("/plot?", "/plot.csv?")
    assert {row["series"] for row in rows(address)} == {"spectrum", "more/spectrum"}


def test_products_of_the_parts_of_a_job_are_told_apart_by_their_cameras(tmp_path: Path) -> None:
    simulate(small(), tmp_path / "archive", cameras=("EPN", "EMOS1"))
    with running_server(tmp_path / "data", "--archive", str(tmp_path / "archive")) as server:
        lists = {"eventlist": ["P0999990101PNS003PIEVLI0000", "P0999990101M1S001MIEVLI0000"], "PHASE": "RUN"}
        made = requests.post(f"{server.url}/rest/spectrum", data=lists, allow_redirects=False, timeout=300)
        reached(made.headers["Location"], "COMPLETED")
        job = made.headers["Location"].rpartition("/")[2]
        (link,) = visit(f"{server.url}/jobs/{job}").all("//p[@class='together']/a")
        found = rows(server.url + link.get("href").replace("/plot?", "/plot.csv?"))
        page = visit(server.url + link.get("href"))
    assert {row["series"] for row in found} == {"XMM EPN Medium", "XMM EMOS1 Medium"}
    assert "Spectrum, XMM EMOS1 Medium" in page.text("//form[@id='choice']")


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ("of=nothing", 400, "the id of a job, or the address of its page, is allowed"),
        ("of={}/none", 404, "has no result 'none'"),
        ("of={}/log", 400, "no spectrum and no light curve"),
        ("of=" + "0" * 32 + "/curve", 404, "no job"),
        ("of={}/curve&zero=never", 400, "date, start are allowed"),
        ("of={}/curve&x_low=2&x_high=1", 400, "a number below x_high"),
        ("&".join(f"of={{}}/{name}" for name in "abcdefghi"), 400, "at most 8 go into one plot"),
    ],
)
def test_what_cannot_be_shown_is_told(
    served: Served, two: tuple[str, str], query: str, status: int, sentence: str
) -> None:
    for address in ("plot", "plot.svg", "plot.csv"):
        answer = requests.get(f"{served.url}/jobs/{address}?{query.replace('{}', two[0])}", timeout=300)
        assert answer.status_code == status, (address, answer.text)
        assert sentence in " ".join(re.sub("<[^>]*>", "", answer.text).replace("&#039;", "'").split())


def test_a_job_to_add_that_there_is_not_is_told_on_the_page(served: Served, two: tuple[str, str]) -> None:
    page = visit(f"{served.url}/jobs/plot?of={two[0]}/curve&job=that+one")
    assert "the id of a job, or the address of its page, is allowed" in page.text("//section[@aria-label='Error']")
    assert page.all("//figure//img")
    page = visit(f"{served.url}/jobs/plot?job={served.url}/jobs/{two[1]}?results=0")
    assert len(page.all("//input[@name='of']")) == 3
    assert requests.get(f"{served.url}/jobs/plot.svg", timeout=300).status_code == 400


def test_who_may_not_see_a_job_sees_none_of_its_products(tmp_path: Path) -> None:
    definitions = define_curves(tmp_path / "definitions")
    with running_server(tmp_path / "data", definitions=definitions, anonymous="unlisted") as server:
        ann = account(tmp_path / "data", "ann")
        hers = curve_job(server.url, 1.0, 2.0, "hers", auth=ann)
        keyed = curve_job(server.url, 2.0, 2.0, "keyed")
        assert re.fullmatch("[0-9a-f]{32}-[0-9a-f]{32}", keyed)
        plot = f"{server.url}/jobs/plot.csv?of={keyed.partition('-')[0]}/curve"
        assert requests.get(plot, timeout=300).status_code == 403
        assert requests.get(f"{server.url}/jobs/plot.csv?of={hers}/curve", timeout=300).status_code == 401
        assert "curve.fits" not in requests.get(f"{server.url}/jobs/plot?job={hers}", timeout=300).text
        assert requests.get(f"{server.url}/jobs/plot.csv?of={hers}/curve", auth=ann, timeout=300).status_code == 200
        page = visit(f"{server.url}/jobs/plot?of={keyed}/curve&x_low=1")
        for address in (page.all("//figure//img")[0].get("src"), page.all("//a[@data-suffix='csv']")[0].get("href")):
            assert f"{keyed}/curve" in address
            assert requests.get(server.url + address, timeout=300).status_code == 200
        assert page.all("//input[@name='of'][@checked]")[0].get("value") == f"{keyed}/curve"


def test_a_share_link_opens_the_plots_of_its_job(tmp_path: Path) -> None:
    definitions = define_curves(tmp_path / "definitions")
    with running_server(tmp_path / "data", definitions=definitions, anonymous="refused") as server:
        ann = account(tmp_path / "data", "ann")
        job = curve_job(server.url, 1.0, 2.0, "hers", auth=ann)
        session = requests.Session()
        session.auth = ann
        hers = visit(f"{server.url}/jobs/{job}", session).send("/share")
        shared = visit(hers.text("//code[@id='share-link']"))
        figure = "//figure[contains(@class, 'lightcurve')]"
        addresses = [shared.all(f"{figure}//img")[0].get("src"), shared.all(f"{figure}")[0].get("data-address"),
                     *(link.get("href") for link in shared.all(f"{figure}//a[@data-suffix!='png']"))]  # fmt: skip
        page = visit(server.url + shared.all(f"{figure}//a[@class='onto']")[0].get("href"))
        addresses += [page.all("//figure//img")[0].get("src"), page.all("//a[@data-suffix='csv']")[0].get("href")]
        for address in addresses:
            assert requests.get(server.url + address, timeout=300).status_code == 200, address
        assert with_form(page, x_low="100").all("//figure//img"), "the form keeps the link's token"
