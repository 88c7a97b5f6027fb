"""The errors of this package: what was wrong with a step list, an ObsCore row, a FITS file or its tags."""

from __future__ import annotations


class ProvenanceError(ValueError):
    """The base of all errors of this package; the text says what came, what is allowed, and where."""


class StepsError(ProvenanceError):
    """A step list cannot be read or written.

    `place` points into the document (`provenance[2].args[1].parameter.value`), `trouble` says what is wrong there; an
    empty `place` stands for the document as a whole.
    """

    def __init__(self, trouble: str, place: str = "") -> None:
        super().__init__(f"{place}: {trouble}" if place else trouble)
        self.trouble = trouble
        self.place = place

    def within(self, outer: str) -> StepsError:
        """Return the same error with its place prefixed by the `outer` one."""
        joint = "." if self.place and not self.place.startswith("[") else ""
        return StepsError(self.trouble, f"{outer}{joint}{self.place}")


class ObsCoreError(ProvenanceError):
    """An ObsCore row has a column that does not exist, or a value that may not be written."""


class FitsError(ProvenanceError):
    """A FITS file, or a table or image in it, that cannot be read or changed."""


class TagsError(FitsError):
    """A FITS file whose VO-TAGS cannot be read or written."""
