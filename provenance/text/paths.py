"""Takes the folders out of messages: where a machine keeps its files is for its operator only."""

from __future__ import annotations

import re
from typing import Final

_PATH: Final = re.compile(r"""(?<![\w./:~>-])/(?:[^\s/'"<>:|()\[\]{},;]{1,255}/){1,64}(?=[^\s/'"<>:|()\[\]{},;])""")
"""The folders of an absolute path; no part of a URL, and no lone /dev or a fraction."""


def without_folders(text: str) -> str:
    """Return the text with each absolute path cut to the last of its names.

    >>> without_folders("[Errno 2] No such file or directory: '/srv/data/jobs/0a/inputs/events.fits'")
    "[Errno 2] No such file or directory: 'events.fits'"
    >>> without_folders("see https://example.org/a/b or counts/s")
    'see https://example.org/a/b or counts/s'
    """
    return _PATH.sub("", text)
