"""What the pages refuse, escape and promise: tokens, HTML of users, policies, names of controls, prefixes."""

from __future__ import annotations

import hashlib
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
import requests

from accounts import account
from checkout import ROOT
from pagereader import AS_BROWSER, create, token_of, visit, wait_for_end
from serving import Served, running_server
from uwsjobs import define

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
    """A server without an archive."""
    with running_server(tmp_path_factory.mktemp("data")) as server:
        yield server


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose definition, script and values try to get HTML into its pages; it also has a broken definition."""
    folder = tmp_path_factory.mktemp("definitions")
    text = {"name": "text", "type": "string", "default": HOSTILE, "description": HOSTILE, "annotation": HOSTILE}
    about = {"title": "<em>Title</em>", "description": HOSTILE}
    place = define(folder, "hostile", SCRIPT, "python", parameters=[text], **about)
    (place / "README.md").write_text(
        "# Title\n\n<script>alert(2)</script> [press](javascript:alert(3)) **bold** [site](https://example.org)\n"
    )
    (folder / "broken").mkdir()
    (folder / "broken" / "job.json").write_text("{")
    with running_server(tmp_path_factory.mktemp("data"), definitions=folder) as server:
        yield server


def jobs_of(served: Served, definition: str = "dummy") -> list[str]:
    document = ElementTree.fromstring(requests.get(f"{served.url}/rest/{definition}", timeout=300).content)
    return [str(job.get("id")) for job in document]


def test_broken_definitions_are_told(hostile: Served) -> None:
    author = requests.Session()
    author.auth = account(hostile.log.parent, "author", "--role", "author")
    assert "broken/job.json line 1: not JSON" in visit(hostile.url, author).text("//section[@aria-labelledby='broken']")


@pytest.mark.parametrize("place", ["/new/dummy", "/new/dummy/test", "/jobs/{id}/delete", "/jobs/{id}/abort"])
@pytest.mark.parametrize("token", ["none", "wrong", "of another cookie"])
def test_a_form_without_its_token_does_nothing(served: Served, place: str, token: str) -> None:
    job = create(served, PHASE="")
    before = jobs_of(served)
    fields = {"wrong": {"_token": "0" * 64}, "of another cookie": {"_token": token_of(visit(served.url))}}
    address = served.url + place.format(id=job.url.rsplit("/", 1)[1])
    answer = job.session.post(address, data=fields.get(token, {}), headers=AS_BROWSER, timeout=300)
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
    assert requests.get(hostile.url + stored[0], timeout=300).text == "<i>first</i> line\n"
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
            named = control.get("aria-label") or page.all(f"//label[@for='{control.get('id')}']")
            assert named, html_of(control)
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
    response = requests.get(address, timeout=300)
    assert response.headers["Content-Type"].startswith("text/css")
    assert "immutable" in response.headers["Cache-Control"]
    digest = hashlib.sha256((ROOT / "templates" / "static" / "style.css").read_bytes()).hexdigest()
    assert digest.startswith(address.rpartition("v=")[2])
    again = requests.get(address, headers={"If-None-Match": response.headers["ETag"]}, timeout=300)
    assert again.status_code == 304
    assert requests.get(f"{served.url}/static/style.css", timeout=300).headers["Cache-Control"] == "no-cache"
    for place in ("../base.html", "%2e%2e/base.html", "..%2fbase.html", "nothing.css", "vendor"):
        session = requests.Session()
        request = requests.Request("GET", f"{served.url}/static/x").prepare()
        request.url = f"{served.url}/static/{place}"
        assert session.send(request, timeout=300).status_code in (403, 404), place


def test_addresses_begin_with_the_prefix_of_the_base_url(tmp_path: Path) -> None:
    """As behind a proxy that hands /uws/... on without the prefix."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running_server(tmp_path, "--port", str(port), base_url="https://xray.example/uws/"):
        local = f"http://127.0.0.1:{port}"
        requests.post(f"{local}/rest/dummy", timeout=300, allow_redirects=False)
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
    plain = requests.get(f"{served.url}/jobs/{'0' * 32}", timeout=300)
    assert (plain.status_code, plain.headers["Content-Type"]) == (404, "text/plain; charset=UTF-8")
    assert plain.text.startswith("no job ")


def test_without_the_front_end_parts_pages_show_their_plots(
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
        spectrum = "//figure[not(contains(@class, 'events'))]"
        assert not page.all("//link[contains(@href, 'vendor')]")
        (image,) = page.all(f"{spectrum}//img")
        assert requests.get(served.url + image.get("src"), timeout=300).headers["Content-Type"].startswith("image/svg")
