"""What the sky page shows, as it stands in its address. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

MOST_IN_ADDRESS: Final = 100
"""Exposures that an address holds; more are too long for one."""

_TEXTS: Final = ("source", "background", "q", "definition", "session", "sources")


@dataclass(frozen=True)
class SkyState:
    """The state of the sky page: regions as texts, the search text, the chosen exposures, the definition, the session.

    An exposure is named by its path below the folder of the archive. `jobs` are those that were made of it, the
    newest last; `sources` is a source list that is drawn, as id of its job, slash, name of the result.
    """

    source: str = ""
    background: str = ""
    q: str = ""
    exposures: tuple[str, ...] = ()
    definition: str = ""
    session: str = ""
    jobs: tuple[str, ...] = ()
    sources: str = ""

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> SkyState:
        """Return the state that the names and values of an address or a form hold; of a text twice the last counts."""
        given: dict[str, list[str]] = {}
        for name, text in pairs:
            given.setdefault(name, []).append(text)
        texts = {name: given.get(name, [""])[-1].strip() for name in _TEXTS}
        exposures, jobs = (tuple(dict.fromkeys(filter(None, given.get(name, ())))) for name in ("exposure", "job"))
        return cls(exposures=exposures, jobs=jobs, **texts)

    def short(self) -> SkyState:
        """Return the state as an address can hold it: many exposures are left out, which its last job has."""
        return self if len(self.exposures) <= MOST_IN_ADDRESS else replace(self, exposures=())

    def query(self) -> dict[str, object]:
        """Return what the address of this state holds; what is empty is left out by who writes the address."""
        return {
            "source": self.source,
            "background": self.background,
            "q": self.q,
            "exposure": list(self.exposures),
            "definition": self.definition,
            "session": self.session,
            "job": list(self.jobs),
            "sources": self.sources,
        }
