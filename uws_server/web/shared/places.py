"""Where a browser goes on to once it is signed in: an address within this server only. Imports the renderer."""

from __future__ import annotations

import re

from uws_server.web.shared.render import Renderer

_PLACE = re.compile(r"/(?![/\\])[!-~]*")
"""An address within this server to go on to: `//x.org` would be one of another."""


def place_within(render: Renderer, asked: str) -> str:
    """Return the address within this server that was asked for, else that of the first page."""
    inside = _PLACE.fullmatch(asked) and (asked == render.root or asked.startswith(f"{render.root}/"))
    return asked if inside else render.link()
