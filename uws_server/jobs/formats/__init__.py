"""The formats of a job definition: each module reads and writes one. Imports the definition, its checks and the errors.

What travels is a package: the definition with the text of its script and of its README, so that a server which has
neither can run it.
"""

from __future__ import annotations

from dataclasses import dataclass

from uws_server.jobs.definition import Definition


@dataclass(frozen=True)
class Package:
    """A definition and the texts that belong to it, as one document of any format holds them; '' for a missing text."""

    definition: Definition
    script: str = ""
    readme: str = ""
