"""What a fit finds: parameters with errors, the statistic, the counts that the model gives, and what is to be told."""

from __future__ import annotations

from dataclasses import dataclass

from reduction.fitting.expression import Model
from reduction.fitting.parameters import Parameter
from reduction.fitting.spectrum import FitData
from reduction.responses.grid import Floats


@dataclass(frozen=True)
class Fitted:
    """A parameter after a fit.

    `error_low` and `error_high` are the distances to the ends of its interval, both 0 or above, None where there is
    none (frozen, tied, not searched, no end within the limits). `limit` is "min" or "max" for a parameter that ran into
    that limit; `degenerate` says that the data do not determine it; `beyond` names the ends of its interval, "lower"
    and "upper", that lie beyond its limits.
    """

    parameter: Parameter
    value: float
    error_low: float | None = None
    error_high: float | None = None
    limit: str = ""
    degenerate: bool = False
    beyond: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name."""
        return self.parameter.name

    @property
    def error(self) -> float | None:
        """The mean of both errors; None if one is not known."""
        if self.error_low is None or self.error_high is None:
            return None
        return (self.error_low + self.error_high) / 2


@dataclass(frozen=True)
class FittedData:
    """One spectrum after a fit: the counts that the model gives, shape (groups,) each.

    `source` is the counts of the model alone, `background` those of the background in the source's region as the fit
    has it, `statistic` the part of each group.
    """

    data: FitData
    source: Floats
    background: Floats
    statistic: Floats
    norm: float = 1.0

    @property
    def total(self) -> Floats:
        """Counts expected in the source's region."""
        return self.source + self.background


@dataclass(frozen=True)
class FitResult:
    """What a fit found.

    Attributes
    ----------
    model
        The model with the values that were found.
    parameters
        All parameters: those of the model, then a factor for each spectrum but the first (``crossnorm2``).
    statistic_name
        cstat, wstat, chi2 or chi2gehrels.
    statistic
        Its value.
    bins, free
        Number of groups and of free parameters.
    converged
        Whether a minimum was found. Where not, values are where the search ended, and are no result.
    datasets
        The spectra with what the model gives.
    messages
        What is to be told, the most important first.
    covariance
        Of the free parameters, shape (free, free); None where it could not be had.
    confidence
        Probability of the intervals that the errors are of.
    evaluations
        How often the model was folded.
    """

    model: Model
    parameters: tuple[Fitted, ...]
    statistic_name: str
    statistic: float
    bins: int
    free: int
    converged: bool
    datasets: tuple[FittedData, ...]
    messages: tuple[str, ...] = ()
    covariance: Floats | None = None
    confidence: float = 0.6827
    evaluations: int = 0

    @property
    def dof(self) -> int:
        """Degrees of freedom."""
        return self.bins - self.free

    @property
    def values(self) -> dict[str, float]:
        """Values by name."""
        return {each.name: each.value for each in self.parameters}

    @property
    def free_names(self) -> tuple[str, ...]:
        """Names of the free parameters, as the covariance has them."""
        return tuple(each.name for each in self.parameters if each.parameter.is_free)

    def __getitem__(self, name: str) -> Fitted:
        """Return a parameter by name. Raise KeyError."""
        for each in self.parameters:
            if each.name == name:
                return each
        raise KeyError(name)
