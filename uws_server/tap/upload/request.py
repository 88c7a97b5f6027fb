"""What UPLOAD asks for: names of tables, and where each is (TAP 1.1, section 2.5). Imports the errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from uws_server.errors import BadRequest

SCHEMA: Final = "TAP_UPLOAD"
MOST_TABLES: Final = 10
MOST_BYTES: Final = 200_000_000
"""The size of an uploaded table."""
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True)
class UploadPair:
    """The name of an uploaded table, and the part of the request (`param`) or the URL where it is; the other is ''."""

    name: str
    param: str = ""
    url: str = ""

    @property
    def sql_name(self) -> str:
        """The name of the table in the database."""
        return f"tap_upload_{self.name.lower()}"


def pairs(texts: Sequence[str]) -> tuple[UploadPair, ...]:
    """Return what the values of UPLOAD ask for. Raise BadRequest if they cannot be read, or a name comes twice."""
    found: dict[str, UploadPair] = {}
    for text in [each.strip() for value in texts for each in value.split(";")]:
        if not text:
            continue
        name, comma, place = (part.strip() for part in text.partition(","))
        if not comma or not place:
            raise BadRequest(f"UPLOAD: {text[:80]!r} came; NAME,param:PART or NAME,URL is allowed")
        name = re.sub(rf"^{SCHEMA}\.", "", name, flags=re.IGNORECASE)
        if not _NAME.fullmatch(name):
            raise BadRequest(f"UPLOAD: {name[:80]!r} is no name of a table: letters, digits and _, a letter first")
        if name.lower() in found:
            raise BadRequest(f"UPLOAD: two tables of the name {name} came; each needs a name of its own")
        is_param = place[:6].lower() == "param:"
        found[name.lower()] = UploadPair(name, place[6:].strip(), "") if is_param else UploadPair(name, "", place)
    if len(found) > MOST_TABLES:
        raise BadRequest(f"UPLOAD: {len(found)} tables came; at most {MOST_TABLES} are taken")
    return tuple(found.values())
