"""The errors of this package: what was wrong with a JSON text, a step list, an ObsCore row, a FITS file or its tags."""

from __future__ import annotations

import enum


class ProvenanceError(ValueError):
    """The base of all errors of this package; the text says what came, what is allowed, and where."""


class JsonFault(enum.Enum):
    """The kinds of mistake for which a JSON text is refused."""

    LENGTH = "longer than what is read"
    ENCODING = "bytes that are no UTF-8, or half of a character"
    SYNTAX = "not the grammar of JSON"
    CONSTANT = "NaN or Infinity"
    NUMBER = "a number that is too large"
    KEY = "a key that an object has twice"
    DEPTH = "nested too deep"


class JsonError(ProvenanceError):
    """A JSON text that is refused.

    `fault` is the kind of mistake, `trouble` says what is wrong. `subject` is what it is about: the repeated key, the
    number as it was written, the sentence of the parser; empty where there is none. `offset` is the character at which
    the parser stopped, None where it did not say: `jsonplaces.offset_of` finds the place then.
    """

    def __init__(self, fault: JsonFault, trouble: str, subject: str = "", offset: int | None = None) -> None:
        super().__init__(f"the document: {trouble}")
        self.fault = fault
        self.trouble = trouble
        self.subject = subject
        self.offset = offset


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
