"""What the tests in a browser share: how a page is made, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from checkout import ROOT
from serving import Served

AUDIT = Path(__file__).with_name("audit.js").read_text(encoding="utf-8")
"""A function for `page.evaluate`: what is wrong with a page, a sentence each."""

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
_LOOK = Path(__file__).with_name("axe.js").read_text(encoding="utf-8")
_LAYOUT = Path(__file__).with_name("layout.js").read_text(encoding="utf-8")

REFUSED = ("Applying inline style violates", "Creating a worker from 'blob:")
"""What Aladin Lite tries on the sky page and does without, in the words of Chromium's console."""

NewPage = Callable[..., Any]
"""Makes a page; keyword arguments are those of a browser context."""


@dataclass(frozen=True)
class House:
    """A server with an author, another one, and an admin."""

    served: Served
    accounts: Mapping[str, tuple[str, str]]


def sign_in(new_page: Any, served: Served, who: tuple[str, str], **options: Any) -> Any:
    """A page of somebody who is signed in."""
    name, token = who
    page = new_page(**options)
    page.goto(f"{served.url}/login")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Token", exact=True).fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{served.url}/")
    return page


def axe_violations(page: Any) -> list[str]:
    """What axe finds on a page: what WCAG asks for at the levels A and AA, and good practice. Skip without axe."""
    if not AXE.exists():
        pytest.skip("no axe-core: make front-end")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = page.evaluate(_LOOK)
    return found


def layout_faults(page: Any) -> list[str]:
    """What is wrong with the layout of a page in its window: lines too long to read, content beside the window."""
    found: list[str] = page.evaluate(_LAYOUT)
    return found
