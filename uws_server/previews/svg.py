"""What every SVG drawing of a preview has: a title and a description, the reader's light or dark colours, no script."""

from __future__ import annotations

from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 440
THUMB_WIDTH, THUMB_HEIGHT = 144, 84

_STYLE = """
.paper{fill:#fff}
text{font:13px system-ui,sans-serif;fill:#46525b}
.frame{fill:none;stroke:#9aa6ae}.grid{stroke:#e4e8eb}.minor{stroke:#9aa6ae}
@media (prefers-color-scheme:dark){.paper{fill:#171f24}text{fill:#aab6be}
.frame,.minor{stroke:#56636c}.grid{stroke:#29333a}}
"""


def say(sentence: str, width: int = WIDTH, height: int = 60) -> str:
    """Draw a sentence, for a file that has no picture."""
    text = f'<text x="8" y="{height / 2 + 4}">{escape(sentence[:110])}</text>'
    return document(width, height, "No preview", sentence, [text])


def document(width: int, height: int, title: str, description: str, parts: list[str], style: str = "") -> str:
    """Return a drawing with its title and its description, which say what it shows to who does not see it.

    Parameters
    ----------
    width, height
        Its size.
    title, description
        What it is, and what there is to see.
    parts
        Its elements.
    style
        Rules beside those of every drawing.

    Returns
    -------
    str
        The SVG document.
    """
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-labelledby="title description"><title id="title">{escape(title)}</title>'
        f'<desc id="description">{escape(description)}</desc><style>{_STYLE}{style}</style>'
        f'<rect class="paper" width="{width}" height="{height}"/>{"".join(parts)}</svg>'
    )
