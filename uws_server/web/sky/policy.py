"""The Content-Security-Policy of the sky page, which is that of no other page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

ALADIN_STYLE: Final = "sha256-cEnY4wnnUdAaYodEHQq0zu+362EwEHHSAlawP4BBKmw="
"""Hash of the style sheet that Aladin Lite 3.8.2 puts into the page: another version has another one."""


def sky_policy(survey_urls: Iterable[str]) -> str:
    """Return the policy: Aladin Lite compiles its WebAssembly, from a data: address, and puts a style sheet in.

    It reaches the hosts of the configured surveys, and no other one: for a file that it cannot read it would ask a
    service elsewhere with the whole address.
    """
    hosts = " ".join(dict.fromkeys(_origin(url) for url in survey_urls if "://" in url))
    more = f" {hosts}" if hosts else ""
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'wasm-unsafe-eval'",
            f"connect-src 'self' data: http://localhost:21012{more}",
            f"img-src 'self' data: blob:{more}",
            f"style-src 'self' '{ALADIN_STYLE}'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def _origin(url: str) -> str:
    """Return the scheme and the host of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
