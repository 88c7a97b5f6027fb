"""The folded curve on the form of a fit, and the page of a fit that has run, over HTTP against a real server."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from lxml import etree

import fitfiles
from accounts import account
from checkout import ROOT
from pagereader import AS_BROWSER, Page, token_of, visit, wait_for_end
from serving import Served, running_server
from uwsjobs import define

JSON = {"Accept": "application/json", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> fitfiles.FitFiles:
    """A spectrum with its files, to be uploaded."""
    return fitfiles.write(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, files: fitfiles.FitFiles) -> Iterator[Served]:
    """A server that fits, with a job that leaves the files it gets, and an archive with a spectrum and its files."""
    definitions = tmp_path_factory.mktemp("definitions")
    for name in ("fit", "dummy"):
        shutil.copytree(ROOT / "job_definitions" / name, definitions / name)
    parameters = [{"name": name, "type": "file"} for name in files.given]
    results = [{"name": "found", "file": "*", "mime": "application/fits"}]
    copies = "".join(f'cp "${name}" results/{path.name}\n' for name, path in files.given.items())
    define(definitions, "leave", copies, parameters=parameters, results=results)
    archive = tmp_path_factory.mktemp("archive")
    shutil.copytree(files.spectrum.parent, archive / "products")
    with running_server(tmp_path_factory.mktemp("data"), "--archive", str(archive), definitions=definitions) as server:
        yield server


def ask(page: Page, files: fitfiles.FitFiles | None = None, **values: str) -> tuple[int, dict[str, Any]]:
    """POST what the script of the form sends, and return status and answer."""
    parts: list[tuple[str, tuple[str | None, bytes | str]]] = [("_token", (None, token_of(page)))]
    parts += [(name, (None, text)) for name, text in values.items()]
    if files is not None:
        parts += [(name, (path.name, path.read_bytes())) for name, path in files.given.items()]
    address = f"{page.url.partition('?')[0]}/preview"
    answer = page.session.post(address, files=parts, headers=JSON, timeout=300)
    assert answer.headers["Content-Type"] == "application/json", answer.text
    return answer.status_code, answer.json()


def drawing(told: dict[str, Any]) -> etree._Element:
    return etree.fromstring(base64.b64decode(told["picture"].partition("base64,")[2]))


def test_a_curve_follows_its_numbers(served: Served, files: fitfiles.FitFiles) -> None:
    """The files are sent once; then a key stands for them, and the curve is that of the numbers."""
    page = visit(f"{served.url}/new/fit")
    table = f"powerlaw.PhoIndex = {fitfiles.INDEX}\npowerlaw.norm = {fitfiles.NORM}"
    status, first = ask(page, files, model="powerlaw", parameters=table)
    assert status == 200, first
    assert "Residual (σ)" in [text.text for text in drawing(first).iter("{*}text")]
    assert [one["name"] for one in first["parameters"]] == ["powerlaw.PhoIndex", "powerlaw.norm"]
    status, second = ask(page, _data=first["data"], model="powerlaw", parameters=table.replace("0.001", "0.002"))
    assert status == 200
    curves = [{one["label"]: one["rate"] for one in told["plot"]["series"]}["Model"] for told in (first, second)]
    assert curves[1] == pytest.approx([2 * rate for rate in curves[0]], rel=1e-5)


def test_a_curve_is_folded_without_the_background_if_that_is_asked(served: Served, files: fitfiles.FitFiles) -> None:
    page = visit(f"{served.url}/new/fit")
    for used, name, labels in (
        ("true", "wstat", ["Background", "Model", "Data"]),
        ("false", "cstat", ["Model", "Data"]),
    ):
        status, told = ask(page, files, model="powerlaw", use_background=used)
        assert status == 200 and told["statistic"].startswith(name)
        assert [one["label"] for one in told["plot"]["series"]][:-1] == labels


def test_a_spectrum_of_the_archive_finds_its_files_beside_it(served: Served) -> None:
    page = visit(f"{served.url}/new/fit")
    status, told = ask(page, spectrum="products/source.pha", model="powerlaw", energy="1 5")
    assert status == 200, told
    assert "wstat" in told["statistic"], "the background is found, too"
    middle = told["plot"]["series"][-1]["middle"]
    assert min(middle) >= 0.9 and max(middle) <= 5.1


@pytest.mark.parametrize(
    ("values", "parameter", "words"),
    [
        ({"model": "powrlaw"}, "model", "did you mean powerlaw"),
        ({"model": "powerlaw", "parameters": "powerlaw.norm = x"}, "parameters", "no parameter"),
        ({"model": "powerlaw", "energy": "5 1"}, "energy", "lower end"),
        ({"model": "powerlaw", "grouping": "mincounts", "min_counts": "0"}, "min_counts", "0"),
        ({"model": "tbabs*powerlaw", "abundance": "none"}, "abundance", "wilm"),
        ({"model": "powerlaw", "spectrum": "nowhere.pha"}, "spectrum", "nowhere.pha"),
    ],
)
def test_what_is_wrong_is_told_by_its_parameter(
    served: Served, values: dict[str, str], parameter: str, words: str
) -> None:
    page = visit(f"{served.url}/new/fit")
    status, told = ask(page, **{"spectrum": "products/source.pha", **values})
    assert status == 400
    ((name, message),) = told["problems"]
    assert name == parameter and words in message


def test_a_file_that_is_no_spectrum_is_told_by_its_name(served: Served, files: fitfiles.FitFiles) -> None:
    page = visit(f"{served.url}/new/fit")
    status, told = ask(page, fitfiles.FitFiles(files.response, files.background, files.response, files.area))
    assert status == 400 and told["problems"][0][0] == "spectrum"
    assert "source.rmf holds no spectrum" in told["problems"][0][1]


def test_a_key_that_nobody_was_given_finds_nothing(served: Served) -> None:
    """The script then sends the files again."""
    status, told = ask(visit(f"{served.url}/new/fit"), _data="0" * 64, model="powerlaw")
    assert status == 404 and "choose them again" in told["problems"][0][1]


def test_only_the_form_of_a_fit_has_a_curve_and_only_with_its_token(served: Served) -> None:
    page = visit(f"{served.url}/new/fit")
    assert page.session.post(f"{served.url}/new/dummy/preview", headers=JSON, timeout=300).status_code == 404
    assert page.session.post(f"{served.url}/new/fit/preview", headers=JSON, timeout=300).status_code == 403
    other = {**JSON, "Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
    answer = page.session.post(f"{served.url}/new/fit/preview", {"_token": token_of(page)}, headers=other, timeout=300)
    assert answer.status_code == 403
    assert not visit(f"{served.url}/new/dummy").all("//fieldset[@id='fold']")


def test_the_form_shows_the_curve_without_javascript(served: Served, files: fitfiles.FitFiles) -> None:
    """The same form, sent to another address by its button, comes back filled, with the curve; no job is made."""
    page = visit(f"{served.url}/new/fit?spectrum=products/source.pha&model=wabs*powerlaw")
    form = page.all("//form[contains(@class, 'job')]")[0]
    fields = [*form.form_values(), ("parameters", "wabs.nH = 0.3")]
    fields = [one for one in fields if one[0] != "parameters" or one[1]]
    address = page.all("//button[@id='fold-show']")[0].get("formaction")
    parts = [(name, (None, text.removeprefix("\n"))) for name, text in fields]
    shown = Page(
        page.session, page.session.post(f"{served.url}{address}", files=parts, headers=AS_BROWSER, timeout=300)
    )
    assert shown.status == 200
    assert shown.all("//img[@id='fold-picture']")[0].get("src").startswith("data:image/svg+xml")
    assert "0.3" in shown.text("//table[@id='fold-table']")
    assert shown.field("parameters").text.strip() == "wabs.nH = 0.3"
    link = parse_qs(urlsplit(shown.all("//a[@id='fold-link']")[0].get("href")).query)
    assert link == {"spectrum": ["products/source.pha"], "parameters": ["wabs.nH = 0.3"]}
    wrong = [("model", (None, "wabs*")) if part[0] == "model" else part for part in parts]
    again = Page(
        page.session, page.session.post(f"{served.url}{address}", files=wrong, headers=AS_BROWSER, timeout=300)
    )
    assert again.status == 400
    assert "Column 6" in again.text("//p[@id='p-model-problem']")


@pytest.fixture(scope="module")
def fitted(served: Served, files: fitfiles.FitFiles) -> Page:
    """The page of a fit that has run, of uploaded files."""
    values = {"PHASE": "RUN", "model": "powerlaw", "contours": "powerlaw.PhoIndex powerlaw.norm", "distance": "10"}
    page = visit(f"{served.url}/new/fit").send("/new/fit", values, files.given)
    return wait_for_end(page)


def test_the_page_of_a_fit_shows_plot_parameters_and_report(served: Served, fitted: Page) -> None:
    assert "Completed" in fitted.text("//h1"), fitted.text()
    names = [cell.text_content() for cell in fitted.all("//table[contains(@class, 'fit')]//tbody/tr/th")]
    assert names == ["powerlaw.PhoIndex", "powerlaw.norm"]
    assert "W statistic" in fitted.text("//figure[contains(@class, 'fit')]/p[@class='about'][1]")
    cells = [[cell.text_content() for cell in row] for row in fitted.all("//table[@class='numbers fluxes']/tbody/tr")]
    assert [row[0] for row in cells] == ["Flux", "Unabsorbed flux", "Luminosity"]
    assert [row[1] for row in cells] == ["0.5 to 10"] * 3 and [row[-1] for row in cells][1:] == ["erg/cm2/s", "erg/s"]
    assert all(re.fullmatch(r"−\S+ / \+\S+", row[3]) and float(row[4]) > float(row[2]) for row in cells)
    assert float(cells[2][2]) == pytest.approx(1.19649e52 * float(cells[1][2]), rel=1e-3), "4 pi D^2 of 10 Mpc"
    assert "Error (68.3 %)" in fitted.text("//table[@class='numbers fluxes']/thead")
    report = fitted.text("//section[contains(@class, 'told')]")
    assert "report.txt" in report and "Unabsorbed flux" in report
    plot = fitted.session.get(f"{fitted.url}/preview/fit.svg", timeout=300)
    assert "Residual" in plot.text


def test_a_new_fit_from_a_result_begins_with_its_files(served: Served, fitted: Page) -> None:
    """`Use again` fills the form from the job: its files are kept, and the curve is folded through them."""
    page = visit(f"{served.url}/new/fit?_from={fitted.url.rpartition('/')[2]}", fitted.session)
    assert "source.pha" in page.text("//form[contains(@class, 'job')]")
    earlier = page.all("//input[@name='_earlier']")[0].get("value")
    kept = {f"_keep.{name}": "yes" for name in ("spectrum", "background", "response", "area")}
    status, told = ask(page, _earlier=earlier, **kept, model="powerlaw")
    assert status == 200, told


def test_a_curve_of_the_job_of_another_is_not_shown(tmp_path: Path, files: fitfiles.FitFiles) -> None:
    """Who may not see a job may not see its spectrum folded, either."""
    data = tmp_path / "data"
    with running_server(data, anonymous="refused") as server:
        ann, bob = account(data, "ann"), account(data, "bob")
        session, other = requests.Session(), requests.Session()
        session.auth, other.auth = ann, bob
        page = visit(f"{server.url}/new/fit", session).send("/new/fit", {"PHASE": ""}, files.given)
        job = page.url.rpartition("/")[2]
        asked = {"_keep.spectrum": "yes", "_earlier": job, "model": "powerlaw"}
        asked["_token"] = token_of(visit(f"{server.url}/new/fit", other))
        answer = other.post(f"{server.url}/new/fit/preview", asked, headers=JSON, timeout=300)
        assert answer.status_code == 403 and "another account" in answer.text


def test_a_spectrum_is_fitted_from_the_page_of_its_job(served: Served, files: fitfiles.FitFiles) -> None:
    """The address of a result stands for its file; what its header names is found beside it, among the results."""
    left = wait_for_end(visit(f"{served.url}/new/leave").send("/new/leave", {"PHASE": "RUN"}, files.given))
    link = next(one.get("href") for one in left.all("//figcaption//a") if one.text_content() == "Fit a model to it")
    form = visit(f"{served.url}{link}")
    assert form.field("spectrum").text.strip().startswith("/store/")
    done = wait_for_end(form.send("/new/fit", {"PHASE": "RUN", "model": "powerlaw"}))
    assert "Completed" in done.text("//h1"), done.text()
    assert "W statistic" in done.text("//section[contains(@class, 'told')]"), "its background was found"
    assert "of which" in done.text("//section[contains(@class, 'told')]")
    assert left.url.rpartition("/")[2][:8] in visit(f"{done.url}/provenance").text()


def test_an_address_that_leads_nowhere_is_told(served: Served, fitted: Page) -> None:
    page = visit(f"{served.url}/new/fit")
    result = fitted.all("//section[@id='results']//a[contains(@class, 'file')]")[0].get("href")
    status, told = ask(page, spectrum=result, model="powerlaw")
    assert status == 400 and "fit.fits holds no spectrum" in told["problems"][0][1]
    status, told = ask(page, spectrum="/store/" + "0" * 32 + "/fit.fits", model="powerlaw")
    assert status == 400 and "no result of this server" in told["problems"][0][1]
    status, told = ask(page, spectrum=result.replace("fit.fits", "other.fits"), model="powerlaw")
    assert status == 400 and "is gone" in told["problems"][0][1]
