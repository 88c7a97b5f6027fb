"""The errors of this package: what was wrong with a step list, an ObsCore row, a FITS file or its tags."""

from __future__ import annotations


class ProvenanceError(ValueError):
    """What every error of this package is; its text says what came, what is allowed, and where."""


class StepsError(ProvenanceError):
    """A step list that cannot be read or written.

    `place` points into the document (`provenance[2].args[1].parameter.value`), `trouble` says what is wrong there.
    """

    def __init__(self, trouble: str, place: str = "") -> None:
        super().__init__(f"{place}: {trouble}" if place else trouble)
        self.trouble = trouble
        self.place = place

    def within(self, outer: str) -> StepsError:
        """The same error, its place seen from the `outer` one."""
        joint = "." if self.place and not self.place.startswith("[") else ""
        return StepsError(self.trouble, f"{outer}{joint}{self.place}")


class ObsCoreError(ProvenanceError):
    """An ObsCore row with a column that does not exist, or values that may not be written."""


class FitsError(ProvenanceError):
    """A FITS file, or a table or image in it, that cannot be read or changed."""


class TagsError(FitsError):
    """A FITS file whose VO-TAGS cannot be read or written."""
