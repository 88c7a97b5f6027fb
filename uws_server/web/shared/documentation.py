"""The README of a job definition as HTML. Imports nothing of ours.

Markdown is read by markdown-it, which drops HTML that stands in the text and links that are no web addresses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token

_SCROLLING_PRE = '<pre tabindex="0" role="region" aria-label="Example">'
"""Lines of code are wider than a narrow page: the keyboard reaches them."""

_HIGHEST = 3
"""The level of the highest heading of a text: the page itself has those above."""


def as_html(markdown: str) -> str:
    """Return the text as HTML for the inside of a page: without its title, the highest heading an h3, no images."""
    from markdown_it import MarkdownIt  # not before a text is shown: it is 60 modules

    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = _without_title(reader.parse(markdown))
    headings = [token for token in tokens if token.type in ("heading_open", "heading_close")]
    lower = _HIGHEST - min((int(token.tag[1:]) for token in headings), default=1)
    for token in headings:
        token.tag = f"h{min(6, int(token.tag[1:]) + lower)}"
    made = str(reader.renderer.render(tokens, reader.options, {}))
    return made.replace("<pre>", _SCROLLING_PRE)  # no text holds the tag: its < is written as &lt;


def _without_title(tokens: list[Token]) -> list[Token]:
    """Drop a heading of the first level that begins the text: the page has its own."""
    if len(tokens) > 2 and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        return tokens[3:]
    return tokens
