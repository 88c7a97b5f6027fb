"""Pages of other sites: what their reader's browser sends for them changes nothing here; programs send as before."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import requests

from pagereader import AS_BROWSER, Page, create
from serving import Served, connected, running_server

ELSEWHERE = "http://evil.example"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server on a loopback address that knows no other."""
    with running_server(tmp_path_factory.mktemp("data")) as server:
        yield server


def count(url: str, **headers: str) -> int:
    return len(ElementTree.fromstring(requests.get(f"{url}/rest/dummy", headers=headers, timeout=300).content))


def post(url: str, **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(f"{url}/rest/dummy", {"text": "x"}, headers=named, allow_redirects=False, timeout=300)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=b"])
@pytest.mark.parametrize("origin", [ELSEWHERE, "null", "http://127.0.0.1", "https://127.0.0.1:99999", "http://[", "x"])
def test_a_form_of_another_site_makes_no_job(served: Served, origin: str, kind: str) -> None:
    before = count(served.url)
    answer = post(served.url, Origin=origin, Content_Type=kind)
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "text/plain; charset=UTF-8")
    assert answer.text.startswith("requests from pages of other sites are refused")
    assert count(served.url) == before


def test_who_sent_a_form_of_another_site_gets_a_page_that_knows_nobody(served: Served) -> None:
    headers = {"Accept": AS_BROWSER["Accept"], "Origin": ELSEWHERE, "Sec-Fetch-Site": "cross-site"}
    page = Page(
        requests.Session(), requests.post(f"{served.url}/new/dummy", {"text": "x"}, headers=headers, timeout=300)
    )
    assert (page.status, page.text("//h1")) == (403, "Not done")
    assert "Requests from pages of other sites are refused" in page.text()
    assert "Nothing was changed." in page.text()
    assert [link.get("href") for link in page.all("//a")] == [f"{served.url}/"]
    assert "Set-Cookie" not in page.response.headers
    assert not page.all("//form | //script | //nav")


def test_programs_and_our_own_pages_go_on(served: Served) -> None:
    host = urlsplit(served.url).netloc
    for headers in ({}, {"Origin": served.url}, {"Origin": f"https://{host}"}, {"Referer": f"{served.url}/new/dummy"}):
        assert post(served.url, **headers).status_code == 303, headers
    named = f"localhost:{urlsplit(served.url).port}"
    assert post(served.url, Host=named, Origin=f"http://{named}").status_code == 303
    # a browser that says so itself is believed, also where a proxy put another Host
    assert post(served.url, Origin="https://x.org", Sec_Fetch_Site="same-origin").status_code == 303
    assert post(served.url, Origin=served.url, Sec_Fetch_Site="cross-site").status_code == 403
    assert "Pending" in create(served, PHASE="").text("//h1")


def test_a_get_that_makes_a_job_is_taken_from_no_other_page(served: Served) -> None:
    before = count(served.url)
    for sender in ({"Origin": ELSEWHERE}, {"Referer": f"{ELSEWHERE}/a"}):
        for place in ("/rest/dummy/sync", "/rest/dummy/sync%0a"):
            answer = requests.get(served.url + place, headers=sender, allow_redirects=False, timeout=300)
            assert answer.status_code == 403
    assert count(served.url) == before
    assert requests.get(f"{served.url}/rest/dummy", headers={"Origin": ELSEWHERE}, timeout=300).status_code == 200


def test_behind_a_proxy_the_address_of_the_configuration_counts(tmp_path: Path) -> None:
    """As behind one that puts its own Host, and over http, where browsers send no Sec-Fetch-Site."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    local = f"http://127.0.0.1:{port}"
    with running_server(tmp_path, "--port", str(port), base_url="http://xray.example/uws/"):
        assert post(local, Origin="http://xray.example").status_code == 303
        assert post(local, Origin="http://xray.example:80").status_code == 303
        assert post(local, Origin="https://xray.example").status_code == 403
        assert post(local, Origin=ELSEWHERE).status_code == 403
        # a name that leads here is nobody's business where the operator said how clients come
        assert post(local, Host=f"another.example:{port}").status_code == 303


def test_a_name_that_was_made_to_lead_to_this_machine_is_refused(served: Served) -> None:
    """DNS rebinding: the page of evil.example has its own name lead to 127.0.0.1, and reads what is here."""
    port = urlsplit(served.url).port
    for name in (f"evil.example:{port}", f"EVIL.example.:{port}"):
        for path in ("/", "/rest/dummy", "/static/style.css", "/nowhere"):
            answer = requests.get(served.url + path, headers={**AS_BROWSER, "Host": name}, timeout=300)
            assert (answer.status_code, answer.headers["Content-Type"]) == (403, "text/plain; charset=UTF-8")
            assert "set base_url" in answer.text
            assert "Set-Cookie" not in answer.headers


def test_the_names_of_this_machine_and_of_proxies_are_not_refused(served: Served) -> None:
    port = urlsplit(served.url).port
    names = ["localhost", "a.localhost", "127.0.0.1", "[::1]", "10.1.2.3", "xmm"]
    names += [socket.gethostname(), socket.getfqdn()]
    for name in ("x.org", "x.org:8443", *(f"{name}:{port}" for name in names)):
        assert requests.get(f"{served.url}/rest/dummy", headers={"Host": name}, timeout=300).status_code == 200, name


def test_a_request_without_a_host_is_answered(served: Served) -> None:
    with connected(served.url) as client:
        client.sendall(b"GET /rest/dummy HTTP/1.0\r\nOrigin: null\r\n\r\n")
        assert b" 200 " in client.recv(100)
    with connected(served.url) as client:
        client.sendall(b"POST /rest/dummy HTTP/1.0\r\nOrigin: null\r\nContent-Length: 0\r\n\r\n")
        assert b" 403 " in client.recv(100)
