"""Which answers the pages of other sites may read (CORS, Fetch standard): what is public by construction.

A file at an address with its own random id, and the definitions; of a server that is not on a loopback address also its
tables and links, as somebody without an account sees them. Credentials are never shared, so that a page sees no more
than its author would. What is on a loopback address belongs to who sits at the machine: no page may look at its lists.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from uws_server.incoming.sites import SAFE_METHODS

_ALWAYS = re.compile(r"/store/[^/]+/[^/]+|/jdl(?:/.*)?")
_PUBLIC = re.compile(
    r"/(?:datalink|obscore|sia2|scs|ssap|coverage|record|capabilities|availability|"
    r"tap/(?:sync|tables(?:/[^/]+)?|capabilities|availability|examples))"
)
_METHODS = ", ".join(sorted(SAFE_METHODS))
_ASKED = "Range, If-Range, If-None-Match, If-Modified-Since, Accept"
_EXPOSED = "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag"
_A_DAY = "86400"

Headers = Sequence[tuple[str, str]]


def headers(method: str, path: str, is_public: bool) -> Headers:
    """Return the headers that let a page of another site read an answer; none where it must not.

    `is_public` says that the server is not on a loopback address.
    """
    if method not in SAFE_METHODS:
        return ()
    if not (_ALWAYS.fullmatch(path) or (is_public and _PUBLIC.fullmatch(path))):
        return ()
    allowed = (("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", _EXPOSED))
    if method != "OPTIONS":
        return allowed
    return (
        allowed[0],
        ("Access-Control-Allow-Methods", _METHODS),
        ("Access-Control-Allow-Headers", _ASKED),
        ("Access-Control-Max-Age", _A_DAY),
    )
