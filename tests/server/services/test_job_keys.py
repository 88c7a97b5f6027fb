"""Jobs that nobody owns, on a server that lists none: two strangers, and all that leads from one to the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from lxml import etree

from accounts import account
from labs import Lab
from serving import running_server
from uws_server import client
from uws_server.services.job_keys import MOST_REMEMBERED, JobKeys, without_keys
from uws_server.services.rights import Caller
from uwsjobs import UWS, XLINK, define

ADDRESS = re.compile(r"http://[^/]+/rest/product/([0-9a-f]{32})-([0-9a-f]{32})")
MAKE = """
import os
import numpy
from astropy.io import fits
sky = [
    fits.Column(name, "J", array=numpy.arange(9), coord_type=kind, coord_unit="deg", coord_ref_point=5,
                coord_ref_value=10, coord_inc=step)
    for name, kind, step in (("X", "RA---TAN", -0.001), ("Y", "DEC--TAN", 0.001))
]
columns = [
    fits.Column("TIME", "D", array=numpy.arange(9.0)), fits.Column("PI", "J", array=numpy.arange(9)),
    fits.Column("GRADE", "I", array=numpy.zeros(9)), *sky
]
table = fits.BinTableHDU.from_columns(columns, name="EVENTS")
table.header.update(TELESCOP="NuSTAR", INSTRUME="FPMA", TSTART=0, TSTOP=9)
table.header["WORD"] = os.environ["UWS_PARAM_word"]
table.writeto("results/made.fits")
"""
PARAMETERS = [
    {"name": "word", "type": "string", "default": "plain", "editable": True, "description": "A word"},
    {"name": "table", "type": "file", "description": "A table"},
]
RESULTS = [{"name": "made", "file": "made.fits", "mime": "application/fits"}]


@dataclass(frozen=True)
class Strangers(Lab):
    """A server that lists nobody's jobs, and an admin of it."""

    admin: tuple[str, str]

    def job(self, word: str, **more: str) -> str:
        """The address of a job of the first stranger that has ended."""
        job = client.create(f"{self.url}/rest/product", {"word": word, **more})
        assert client.follow(job, lambda state: None).phase == "COMPLETED"
        return job

    def product(self, job: str, folder: Path) -> Path:
        """The product of a job that has ended, downloaded."""
        folder.mkdir(exist_ok=True)
        return client.download(next(one for one in client.state(job).results if one.name == "made"), folder)

    def reprocess_file(self, product: Path, **form: str) -> requests.Response:
        """The answer to running the steps of a product again, to somebody who has the product only."""
        with product.open("rb") as stream:
            sent = {"files": {"file": stream}, "data": form, "allow_redirects": False, "timeout": 300}
            return requests.post(f"{self.url}/reprocessing", **sent)


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Strangers]:
    folder = tmp_path_factory.mktemp("strangers")
    define(folder / "definitions", "product", MAKE, "python", parameters=PARAMETERS, results=RESULTS)
    settings = {"definitions": folder / "definitions", "database": module_database_url, "anonymous": "unlisted"}
    with running_server(folder / "data", **settings) as served:
        # the command reads the database from its configuration
        config = folder / "server.toml"
        config.write_text(f'database = "{module_database_url}"\n', encoding="utf-8")
        admin = account(folder / "data", "root", "--admin", "--config", str(config))
        yield Strangers(served, folder, admin)


def plain(job: str) -> tuple[str, str]:
    """The address of a job without its key, as whoever knows the id could write it, and the id."""
    match = ADDRESS.fullmatch(job)
    assert match is not None, job
    return job[: -len(match[2]) - 1], match[1]


def result_ids(strangers: Strangers, job: str) -> list[str]:
    """The ids of the results of a job, which are secrets: who knows one has the file."""
    outputs = requests.get(f"{strangers.url}/reprocessing/{job.rpartition('/')[2]}/preview", timeout=300).json()
    return [one["url"].split("/")[-2] for one in outputs["outputs"]]


def test_the_maker_gets_along_without_an_account_by_the_address_alone(strangers: Strangers) -> None:
    job = strangers.job("mine")
    assert ADDRESS.fullmatch(job)
    document = etree.fromstring(requests.get(job, timeout=300).content)
    assert document.findtext(f"{UWS}jobId") == job.rpartition("/")[2], "clients make an address of it"
    for one in document.iterfind(f".//{UWS}result"):
        href = str(one.get(f"{XLINK}href"))
        assert href.startswith(f"{job}/results/")
        assert requests.get(href, timeout=300).status_code == 200
    for place in ("phase", "quote", "destruction", "owner", "parameters", "parameters/word", "results", "stdout",
                  "provjson", "provsvg"):  # fmt: skip
        assert requests.get(f"{job}/{place}", timeout=300).status_code == 200, place
    page = requests.get(f"{strangers.url}/jobs/{job.rpartition('/')[2]}", timeout=300)
    assert page.status_code == 200
    addresses = set(re.findall(r'(?:href|src|action|data-state|data-address)="(/(?:jobs|rest)/[^"]+)"', page.text))
    assert len(addresses) >= 7
    assert all(job.rpartition("/")[2] in address for address in addresses), "every address on it has the key"
    refusing = [
        one for one in addresses if requests.get(f"{strangers.url}{one}", timeout=300).status_code in (401, 403)
    ]
    assert refusing == []
    waited = requests.get(job, params={"WAIT": "5", "PHASE": "EXECUTING"}, timeout=300)
    assert waited.status_code == 200
    assert requests.delete(job, allow_redirects=False, timeout=300).status_code == 303
    assert requests.get(job, timeout=300).status_code == 404


def test_the_id_alone_gives_nothing_to_anybody_but_admins(strangers: Strangers) -> None:
    job = strangers.job("secret word")
    bare, job_id = plain(job)
    wrong = f"{bare}-{'0' * 32}"
    for address in (bare, wrong):
        name = address.rpartition("/")[2]
        looks = [address, *(f"{address}/{place}" for place in ("phase", "results", "results/made", "parameters/word",
                 "stdout", "error", "provjson", "sync"))]  # fmt: skip
        looks += [f"{strangers.url}/{place}" for place in (f"jobs/{name}", f"jobs/{name}/state", f"jobs/{name}/all.tar",
                  f"jobs/{name}/provenance", f"jobs/{name}/thumbnail/made.svg", f"jobs/{name}/compare/{name}",
                  f"reprocessing/{name}", f"reprocessing/{name}/status", f"reprocessing/{name}/preview",
                  f"rerun?job={name}", f"new/product?_from={name}")]  # fmt: skip
        for look in looks:
            answer = requests.get(look, timeout=300)
            assert answer.status_code == 403, look
            assert "made without an account" in answer.text
            assert "secret word" not in answer.text
        for method, place, form in (("DELETE", "", {}), ("POST", "", {"ACTION": "DELETE"}), ("POST", "/phase",
                {"PHASE": "ABORT"}), ("POST", "/rerun", {"PHASE": "RUN"}), ("POST", "", {"word": "mine"}),
                ("GET", "/rerun/sync", {}), ("PUT", "/parameters/word", {})):  # fmt: skip
            answer = requests.request(method, f"{address}{place}", data=form, allow_redirects=False, timeout=300)
            assert answer.status_code == 403, (method, place)
    assert requests.get(f"{bare}/phase", auth=strangers.admin, timeout=300).text == "COMPLETED"
    assert job_id in requests.get(f"{strangers.url}/rest/product", auth=strangers.admin, timeout=300).text
    assert job_id not in requests.get(f"{strangers.url}/rest/product", timeout=300).text
    assert requests.get(f"{job}/phase", timeout=300).text == "COMPLETED"


def test_what_is_found_by_content_tells_a_stranger_nothing(strangers: Strangers, tmp_path: Path) -> None:
    job = strangers.job("found by content")
    bare, job_id = plain(job)
    outputs = requests.get(f"{strangers.url}/reprocessing/{job.rpartition('/')[2]}/preview", timeout=300).json()
    hashes = [one["sha256"] for one in outputs["outputs"]]
    ids = result_ids(strangers, job)
    publisher = f"urn:uws-server:{job_id}"
    asked = [*hashes, job_id, f"job_{job_id}", bare, f"{bare}/results/made", publisher, f"{publisher}:made"]
    for thing in asked:
        for place in ("provsap", "datalink"):
            for more in ({}, {"DIRECTION": "FORWARD"}) if place == "provsap" else ({},):
                answer = requests.get(f"{strangers.url}/{place}", params={"ID": thing, **more}, timeout=300)
                told = answer.text
                assert "found by content" not in told, (place, thing)
                assert not [one for one in ids if one in told], (place, thing)
                if thing in hashes:
                    assert job_id not in told
    rows = requests.get(f"{strangers.url}/obscore", timeout=300).text
    assert job_id not in rows
    assert not [one for one in ids if one in rows]
    # the stranger was given the product: its steps name the job
    preview = strangers.reprocess_file(strangers.product(job, tmp_path), PHASE="PENDING")
    assert preview.status_code == 303, preview.text
    mine = preview.headers["Location"].rpartition("/")[2]
    (step,) = requests.get(f"{strangers.url}/reprocessing/{mine}/status", timeout=300).json()["jobs"]
    assert step["parent"] is None
    page = requests.get(f"{strangers.url}/jobs/{mine}", timeout=300).text
    assert job_id not in page
    compared = requests.get(f"{strangers.url}/jobs/{mine}/compare/{job_id}", timeout=300)
    assert compared.status_code == 403
    theirs = requests.get(f"{strangers.url}/jobs/{job.rpartition('/')[2]}", timeout=300).text
    assert mine[:32] not in theirs, "nor is the maker told of the stranger's job"


def test_a_file_of_another_one_is_not_an_input_of_mine(strangers: Strangers, tmp_path: Path) -> None:
    """A rerun finds its inputs by their hashes: not among the files of jobs that the caller may not see."""
    raw = tmp_path / "raw.txt"
    raw.write_text("only its owner has it", encoding="utf-8")
    job = client.create(f"{strangers.url}/rest/product", {"word": "uses it"}, {"table": raw})
    assert client.follow(job, lambda one: None).phase == "COMPLETED"
    product = strangers.product(job, tmp_path)
    refused = strangers.reprocess_file(product)
    assert refused.status_code == 400
    assert "raw.txt" in refused.text
    assert "upload it" in refused.text
    again = strangers.rerun(job)
    assert again.status_code == 303, again.text
    assert ADDRESS.fullmatch(again.headers["Location"])
    assert client.follow(again.headers["Location"], lambda one: None).phase == "COMPLETED"


def test_a_result_of_another_one_is_made_again_and_not_taken(strangers: Strangers, tmp_path: Path) -> None:
    first = strangers.job("an input")
    second = client.create(
        f"{strangers.url}/rest/product", {"word": "uses it"}, {"table": strangers.product(first, tmp_path)}
    )
    client.follow(second, lambda one: None)
    answer = strangers.reprocess_file(strangers.product(second, tmp_path / "second"))
    assert answer.status_code == 303, answer.text
    status = requests.get(f"{answer.headers['Location']}/status", timeout=300).json()
    assert [job["parent"] for job in status["jobs"]] == [None, None], "both steps are run: nothing was found"
    # whoever has the first result may ask what came of it: of the stranger's job that used it, no word
    (made_id, *_) = result_ids(strangers, first)
    told = requests.get(f"{strangers.url}/provsap", params={"ID": made_id, "DIRECTION": "FORWARD"}, timeout=300).text
    assert "uses it" not in told
    assert not [one for one in result_ids(strangers, second) if one in told]
    # and whoever has the second may not learn the id of the first, by which its file can be had
    (second_id, *_) = result_ids(strangers, second)
    told = requests.get(f"{strangers.url}/provsap", params={"ID": second_id}, timeout=300).text
    assert second_id in told
    assert made_id not in told


def test_a_product_of_another_one_that_i_use_is_a_file_in_my_provenance(strangers: Strangers, tmp_path: Path) -> None:
    """Its tags name the job that made it: the stranger who used the product has them, but no page makes a way of it."""
    first = strangers.job("an input with tags")
    product = strangers.product(first, tmp_path)
    second = client.create(f"{strangers.url}/rest/product", {"word": "of a stranger"}, {"table": product})
    assert client.follow(second, lambda one: None).phase == "COMPLETED"
    _, job_id = plain(first)
    ids, name = result_ids(strangers, first), second.rpartition("/")[2]
    asked = [(place, {"ID": name}) for place in ("datalink", "provsap")]
    asked += [("provsap", {"ID": name, "RESPONSEFORMAT": kind}) for kind in ("PROV-XML", "PROV-N")]
    asked += [(f"jobs/{name}", {}), (f"jobs/{name}/provenance", {}), (f"rest/product/{name}", {})]
    for place, query in asked:
        answer = requests.get(f"{strangers.url}/{place}", params=query, timeout=300)
        assert answer.status_code == 200, place
        assert "made.fits" in answer.text or place.startswith("rest")
        assert job_id not in answer.text, place
        assert not [one for one in ids if one in answer.text], place
        assert "an input with tags" not in answer.text, place


def test_links_and_provenance_by_the_whole_address_have_the_key_in_them(strangers: Strangers) -> None:
    job = strangers.job("linked")
    name = job.rpartition("/")[2]
    for thing in (name, job, f"{job}/results/made"):
        told = requests.get(f"{strangers.url}/datalink", params={"ID": thing}, timeout=300)
        assert told.status_code == 200
        found = set(re.findall(rf"{strangers.url}/(?:rest|jobs)/[^<\"]+", told.text)) - {
            f"{strangers.url}/rest/product"
        }
        assert found
        assert all(name in one for one in found), found
        assert "linked" in requests.get(f"{strangers.url}/provsap", params={"ID": thing}, timeout=300).text
    run = requests.get(f"{job}/rerun/sync", params={"word": "changed"}, allow_redirects=False, timeout=300)
    assert run.status_code == 303, run.text
    assert run.headers["Location"].startswith(f"{strangers.url}/rest/product/")
    assert requests.get(run.headers["Location"], timeout=300).status_code == 200


def test_no_product_and_no_record_holds_a_key(strangers: Strangers) -> None:
    """What is passed on must not open the job: files, folder, database."""
    job = strangers.job("passed on")
    again = client.create(f"{strangers.url}/rest/product", {"word": "b"})
    client.follow(again, lambda one: None)
    for each in (job, again):
        match = ADDRESS.fullmatch(each)
        assert match is not None
        key = match[2].encode()
        holding = [path for path in strangers.folder.rglob("*") if path.is_file() and key in path.read_bytes()]
        assert holding == []


def test_a_share_link_of_a_job_without_owner_shows_it_and_no_more(strangers: Strangers) -> None:
    job = strangers.job("shared")
    bare, job_id = plain(job)
    page = f"{strangers.url}/jobs/{job.rpartition('/')[2]}"
    with requests.Session() as maker:
        token = maker.get(page, timeout=300).text.partition('name="_token" value="')[2].partition('"')[0]
        assert maker.post(f"{page}/share", data={"_token": token}, timeout=300).status_code == 200
        link = maker.get(page, timeout=300).text.partition('id="share-link">')[2].partition("<")[0]
    assert link.startswith(f"{strangers.url}/jobs/{job_id}?share="), "without the key"
    shown = requests.get(link, timeout=300)
    assert shown.status_code == 200
    assert job.rpartition("-")[2] not in shown.text
    assert 'id="delete-' not in shown.text
    share = {"share": link.partition("share=")[2]}
    assert requests.get(f"{bare}/parameters/word", params=share, timeout=300).text == "shared"
    assert requests.delete(bare, params=share, timeout=300).status_code == 403


def test_a_browser_lists_the_jobs_it_made_and_no_others(strangers: Strangers) -> None:
    others = strangers.job("somebody else's")
    with requests.Session() as browser:
        form = browser.get(f"{strangers.url}/new/product", timeout=300).text
        token = form.partition('name="_token" value="')[2].partition('"')[0]
        made = [
            browser.post(
                f"{strangers.url}/new/product", data={"_token": token, "word": word, "RUNID": word}, timeout=300
            )
            for word in ("first of mine", "second of mine")
        ]
        addresses = [one.url.rpartition("/")[2] for one in made]
        assert all(re.fullmatch(r"[0-9a-f]{32}-[0-9a-f]{32}", one) for one in addresses)
        assert all("The address of this page is the key" in one.text for one in made)
        listed = browser.get(f"{strangers.url}/", timeout=300).text
        assert "second of mine" in listed.partition("first of mine")[0]
        assert plain(others)[1] not in listed
        pending = browser.get(f"{strangers.url}/?phase=COMPLETED", timeout=300).text
        assert "first of mine" not in pending
        # what it remembers it opens by the id too, and ends up at the address that is the key
        assert browser.get(f"{strangers.url}/jobs/{addresses[0][:32]}", timeout=300).url.endswith(addresses[0])
        assert browser.get(f"{strangers.url}/jobs/{plain(others)[1]}", timeout=300).status_code == 403
        deleted = browser.post(f"{strangers.url}/jobs/{addresses[0]}/delete", data={"_token": token}, timeout=300)
        assert deleted.status_code == 200
        assert "first of mine" not in browser.get(f"{strangers.url}/", timeout=300).text
        forged = {"uws_jobs": browser.cookies["uws_jobs"].rpartition(".")[0] + "." + "0" * 64}
    assert "second of mine" not in requests.get(f"{strangers.url}/", timeout=300).text
    assert "second of mine" not in requests.get(f"{strangers.url}/", cookies=forged, timeout=300).text


def test_a_sequence_is_its_makers_as_a_whole(strangers: Strangers, tmp_path: Path) -> None:
    """One request makes several jobs, and is answered with the address of the last."""
    first = strangers.job("one")
    table = strangers.product(first, tmp_path)
    second = client.create(f"{strangers.url}/rest/product", {"word": "two"}, {"table": table})
    client.follow(second, lambda one: None)
    answer = strangers.reprocess_file(strangers.product(second, tmp_path / "second"), **{"0.word": "changed"})
    assert answer.status_code == 303, answer.text
    status = requests.get(f"{answer.headers['Location']}/status", timeout=300).json()
    assert len(status["jobs"]) == 2
    for job in status["jobs"]:
        assert ADDRESS.fullmatch(job["url"]), job
        assert client.follow(job["url"], lambda one: None).phase == "COMPLETED"
    first_again, last = (job["id"] for job in status["jobs"])
    page = requests.get(f"{strangers.url}/jobs/{last}", timeout=300).text
    assert re.search(rf'href="[^"]*/rest/product/{first_again}/results/made.fits"', page), "its input, from the first"
    assert re.search(rf'href="/jobs/{first_again}"', page)


def test_keys_are_the_same_for_every_server_over_a_folder_and_others_elsewhere(tmp_path: Path) -> None:
    job_id, caller = "ab" * 16, Caller()
    one, same, other = JobKeys(tmp_path / "a"), JobKeys(tmp_path / "a"), JobKeys(tmp_path / "b")
    opened = Caller(opened=frozenset({job_id}))
    address = one.address(job_id, opened)
    assert one.address(job_id, caller) == job_id
    assert same.open(f"http://x.org/rest/a/{address}/phase", caller) == (f"http://x.org/rest/a/{job_id}/phase", opened)
    assert other.open(address, caller) == (job_id, caller)
    assert (tmp_path / "a" / "jobs.key").stat().st_mode & 0o777 == 0o600


def test_a_cookie_remembers_the_latest_jobs_and_fits(tmp_path: Path) -> None:
    keys = JobKeys(tmp_path)
    ids = [f"{number:032x}" for number in range(MOST_REMEMBERED + 20)]
    cookie = keys.remember([*ids, ids[0]])
    assert keys.remembered(cookie) == tuple(ids[:MOST_REMEMBERED])
    assert len(cookie) < 3800
    for wrong in (
        "",
        ".",
        "x",
        cookie[1:],
        cookie[:-1],
        f"{cookie}0",
        "é.é",
        JobKeys(tmp_path / "other").remember(ids),
    ):
        assert keys.remembered(wrong) == ()


def test_the_log_has_ids_without_their_keys(tmp_path: Path) -> None:
    """Whoever reads the log of a failure has not the jobs of others with it."""
    job_id = "0a" * 16
    address = JobKeys(tmp_path).address(job_id, Caller(opened=frozenset({job_id})))
    assert len(address) > len(job_id)
    assert without_keys(f"/rest/dummy/{address}/phase") == f"/rest/dummy/{job_id}/phase"
    assert without_keys(f"/jobs/{job_id}") == f"/jobs/{job_id}"
