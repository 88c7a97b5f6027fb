"""The one error of this package: bad input, with a sentence that a scientist can act on."""

from __future__ import annotations


class ReductionError(ValueError):
    """Raised for input that cannot be reduced.

    Parameters
    ----------
    message
        A sentence: what came, what is allowed or what to do.
    parameter
        The name of the job parameter at fault; None where no single one is.
    """

    def __init__(self, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter
