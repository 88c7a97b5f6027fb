"""Reads pages in tests as a browser without JavaScript would: forms are filled and sent, links are followed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urljoin

import requests
from lxml import html

from serving import Served

TIMEOUT_S = 300


class Page:
    """A page that was fetched; `session` keeps the cookies."""

    def __init__(self, session: requests.Session, response: requests.Response) -> None:
        self.session = session
        self.response = response
        self.status = response.status_code
        self.url = response.url
        # XHTML declares its encoding itself, which lxml takes of bytes only
        self.tree = html.fromstring(response.content if response.text.startswith("<?xml") else response.text)

    def all(self, selector: str) -> list[html.HtmlElement]:
        """The elements that an XPath finds."""
        return self.tree.xpath(selector)

    def text(self, selector: str = "//main") -> str:
        """The words of an element, with single spaces."""
        (element,) = self.all(selector)
        return " ".join(element.text_content().split())

    def field(self, name: str) -> html.HtmlElement:
        """The first control of that name."""
        return self.all(f"//form[contains(@class, 'job')]//*[@name='{name}']")[0]

    def send(
        self, action: str, values: Mapping[str, str] | None = None, files: Mapping[str, Path] | None = None
    ) -> Page:
        """Fill in the form whose action ends so and send it, with unticked boxes and empty files as browsers do."""
        form = next(form for form in self.tree.forms if (form.action or "").endswith(action))
        fields = form.form_values()
        areas = {area.name for area in form.xpath(".//textarea[@name]")}
        # a browser drops the line end after the tag of a text area
        fields = [(name, text.removeprefix("\n") if name in areas else text) for name, text in fields]
        given = values or {}
        parts: list[tuple[str, tuple[str | None, bytes | str]]] = [
            (name, (None, text)) for name, text in (*(one for one in fields if one[0] not in given), *given.items())
        ]
        for element in form.xpath(".//input[@type='file']"):
            path = (files or {}).get(element.get("name"))
            parts.append((element.get("name"), (path.name, path.read_bytes()) if path else ("", b"")))
        address = urljoin(self.url, form.action)
        return Page(self.session, self.session.post(address, files=parts, headers=AS_BROWSER, timeout=TIMEOUT_S))


AS_BROWSER = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Site": "same-origin"}


def visit(address: str, session: requests.Session | None = None) -> Page:
    """GET a page."""
    session = session or requests.Session()
    return Page(session, session.get(address, headers=AS_BROWSER, timeout=TIMEOUT_S))


def wait_for_end(page: Page) -> Page:
    """Reload the page of a job, as its meta refresh does, until it has ended."""
    end = time.monotonic() + TIMEOUT_S
    while page.all("//article[@data-ended='no']"):
        assert time.monotonic() < end, page.text()
        time.sleep(0.1)
        page = visit(page.url, page.session)
    return page


def create(served: Served, definition: str = "dummy", **values: str) -> Page:
    """A job made with the form and run; its page."""
    return visit(f"{served.url}/new/{definition}").send(f"/new/{definition}", {"PHASE": "RUN", **values})


def token_of(page: Page) -> str:
    return str(page.all("//input[@name='_token']")[0].get("value"))
