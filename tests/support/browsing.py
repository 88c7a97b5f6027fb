"""What the tests in a browser share: how a page is made, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

AUDIT = Path(__file__).with_name("audit.js").read_text(encoding="utf-8")
"""A function for `page.evaluate`: what is wrong with a page, a sentence each."""

NewPage = Callable[..., Any]
"""Makes a page; keyword arguments are those of a browser context."""
