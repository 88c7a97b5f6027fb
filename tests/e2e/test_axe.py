"""No fault that axe finds on any page, light and dark, wide and narrow; and a layout that a very wide window keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from accounts import account
from browsing import AUDIT, NewPage, axe_violations, layout_faults, sign_in
from chained import Chained, chained_server, id_of
from serving import Served, running_server
from uws_server import cli
from uwsjobs import ENDED, reached

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDE = 1280
SIZES = [(WIDE, "light"), (320, "dark")]
"""Each page in both colours and at both ends of what people have; colours do not depend on the width."""
ADMIN = ("/account", "/admin", "/admin/accounts", "/admin/accounts/ann", "/admin/roles", "/admin/changes",
         "/admin/definitions", "/admin/announcements", "/definitions/_new", "/sessions")  # fmt: skip


@dataclass(frozen=True)
class Site:
    """Two servers, one for all and one with accounts, and the addresses of their pages."""

    open: tuple[str, ...]
    closed: tuple[str, ...]
    served: Served
    root: tuple[str, str]


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chained]:
    with chained_server(tmp_path_factory.mktemp("chained")) as server:
        yield server


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, chained: Chained) -> Iterator[Site]:
    one, two = id_of(chained.first), id_of(chained.second)
    data = chained.archive.parent / "data"
    assert cli.main(["archive", "add", "--archive", str(chained.archive), "--data", str(data)]) == 0
    failed = requests.post(f"{chained.url}/rest/dummy", data={"fail": "1", "PHASE": "RUN"}, timeout=300).url
    reached(failed, *ENDED)
    paths = ("/", "/?q=a&from=2026-01-01&phase=ERROR", "/?select=page", f"/jobs/{one}", f"/jobs/{failed[-32:]}",
             f"/jobs/{two}/provenance", f"/jobs/{two}/compare/{one}", "/rerun", f"/rerun?job={two}", "/new",
             "/new/spectrum", "/new/fit", f"/new/spectrum?_from={two}", "/definitions", "/definitions/spectrum",
             "/help", "/nothing", f"/jobs/plot?job={one}", f"/jobs/{one}/image/events", "/sky",
             '/sky?source=icrs; circle(148.97, 69.68, 40")', "/archive",
             "/archive?q=exposure > 20000", "/archive?q=target LIKE", "/archive/observation/0999990101",
             "/search", "/search?kind=event", "/search?low=x",
             "/search?adql=SELECT+*+FROM+ivoa.obscore&x=s_ra&y=s_dec", "/search?adql=SELECT+targt+FROM+ivoa.obscore",
             "/search?adql=SELECT+obs_id,t_exptime+FROM+ivoa.obscore&x=t_exptime", "/sessions", "/login")  # fmt: skip
    data = tmp_path_factory.mktemp("closed")
    with running_server(data, anonymous="refused") as served:
        root, _ = account(data, "root", "--admin"), account(data, "ann", "--role", "author")
        answer = requests.post(
            f"{served.url}/sessions", data={"name": "A night"}, auth=root, headers={"Accept": "application/json"},
            allow_redirects=False, timeout=300,
        )  # fmt: skip
        closed = [served.url + path for path in ADMIN]
        closed += [answer.headers["Location"]] if answer.status_code == 201 else []
        yield Site(tuple(chained.url + path for path in paths), tuple(closed), served, root)


def visited(new_page: NewPage, site: Site, **options: Any) -> Iterator[tuple[Any, str]]:
    """Every page, one after the other."""
    page = new_page(**options)
    page.expected += ["404", "400", "WebGL"]
    for address in site.open:
        page.goto(address)
        yield page, address
    page = sign_in(new_page, site.served, site.root, **options)
    for address in site.closed:
        page.goto(address)
        yield page, address


@pytest.mark.parametrize(("width", "colours"), SIZES)
def test_axe_finds_no_fault(new_page: NewPage, site: Site, width: int, colours: str) -> None:
    """A wide window is made very wide, too: what scripts look at as a page is loaded is only whether it is narrow."""
    wrong = {}
    window = {"width": width, "height": 900}
    for page, address in visited(new_page, site, viewport=window, color_scheme=colours):
        if found := [*axe_violations(page), *page.evaluate(AUDIT), *layout_faults(page)]:
            wrong[address] = found
        if width == WIDE:
            page.set_viewport_size({"width": 3840, "height": 2160})
            wrong |= {f"{address} in 3840 px": found for found in [layout_faults(page)] if found}
            page.set_viewport_size(window)
    assert not wrong


def test_what_is_asked_before_many_jobs_are_deleted_has_no_fault(new_page: NewPage, site: Site) -> None:
    page = new_page(viewport={"width": 320, "height": 900})
    page.goto(site.open[0])
    page.get_by_role("link", name="Select all on this page").click()
    page.get_by_role("button", name="Abort selected").click()
    assert [*axe_violations(page), *page.evaluate(AUDIT), *layout_faults(page)] == []


def test_they_would_find_a_fault(new_page: NewPage, site: Site) -> None:
    page = new_page()
    page.goto(site.open[0])
    page.evaluate("""() => {
        const line = document.createElement("p");
        line.textContent = "Word ".repeat(60);
        Object.assign(line.style, { color: "#999", background: "#fff", maxWidth: "none", whiteSpace: "nowrap" });
        document.querySelector("main").append(line, document.createElement("button"));
    }""")
    assert {line.partition(":")[0] for line in axe_violations(page)} == {"button-name", "color-contrast"}
    assert any(line.startswith("a line of ") for line in layout_faults(page))
