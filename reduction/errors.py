"""The one error of the reduction code: bad input, told in a sentence a scientist can act on."""

from __future__ import annotations


class ReductionError(ValueError):
    """Input that cannot be reduced.

    Parameters
    ----------
    message
        A sentence: what came, what is allowed or what to do.
    parameter
        Name of the job parameter at fault, None when no single one is.
    """

    def __init__(self, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter
