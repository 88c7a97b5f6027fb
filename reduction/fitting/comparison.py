"""Models compared by information criteria: how much better a fit must be for what its further parameters cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reduction.fitting.result import FitResult


@dataclass(frozen=True)
class Compared:
    """A model among others: its criteria, and what they are above those of the best, 0 for the best itself.

    `weight` is the part of the Akaike weights: how likely the model is the best of these to predict other data.
    """

    expression: str
    statistic: float
    free: int
    dof: int
    aic: float
    bic: float
    delta_aic: float
    delta_bic: float
    weight: float


def compare(results: Sequence[FitResult]) -> tuple[Compared, ...]:
    """Return models compared, in their order; those that did not converge have no part in it.

    Parameters
    ----------
    results
        Fits of the same data with the same statistic.

    Returns
    -------
    tuple of Compared
        AIC = statistic + 2 k and BIC = statistic + k ln n of k free parameters and n groups: the statistics are minus
        twice the logarithm of the likelihood, but for a constant that all models share (Akaike 1974, IEEE Trans. Autom.
        Control 19, 716; Schwarz 1978, Ann. Statist. 6, 461).
    """
    kept = [result for result in results if result.converged]
    if not kept:
        return ()
    aic = [result.statistic + 2 * result.free for result in kept]
    bic = [result.statistic + result.free * math.log(result.bins) for result in kept]
    likely = [math.exp(-0.5 * (each - min(aic))) for each in aic]
    return tuple(
        Compared(result.model.expression, result.statistic, result.free, result.dof, aic[i], bic[i],
                 aic[i] - min(aic), bic[i] - min(bic), likely[i] / sum(likely))
        for i, result in enumerate(kept)
    )  # fmt: skip
