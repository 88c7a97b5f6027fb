"""The pictures of the sky that the operator configured, as the sky page offers them. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Survey:
    """A picture of the sky: its name, and the address of its HiPS."""

    name: str
    url: str


def surveys_of(texts: Iterable[str]) -> list[Survey]:
    """Return the surveys of the key `surveys`: of each text the last word is the address."""
    return [Survey(*text.rsplit(maxsplit=1)) for text in texts]
