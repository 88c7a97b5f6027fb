"""Places on the sky by what a reader types: a position, or the name of an object. Imports the positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from uws_server.errors import BadRequest
from uws_server.jobs import positions
from uws_server.jobs.definition import ParameterSpec
from uws_server.services.parameters import Outside

_SPEC = ParameterSpec(name="q", type="position")


class Needs(Protocol):
    """The parts of a server by which a place is found."""

    outside: Outside


@dataclass(frozen=True)
class SkyPlace:
    """A place on the sky, ICRS, in degrees; the text by which it was found."""

    text: str
    ra_deg: float
    dec_deg: float


def sky_place(needs: Needs, text: str) -> SkyPlace:
    """Return the place that a text names.

    Raise BadRequest if it is no position and no name that is known, or names cannot be looked up.
    """
    resolve = needs.outside.resolve
    read = positions.position if resolve is None else positions.position_or_name(resolve)
    if not text.strip():
        raise BadRequest("q: nothing came; give a position such as 148.97 69.65 or 09:55:53.3 +69:39:04, or a name")
    try:
        found = read(text, _SPEC)
    except ValueError as error:
        raise BadRequest(str(error)) from error
    ra, dec = str(found.value).split()
    return SkyPlace(text, float(ra), float(dec))
