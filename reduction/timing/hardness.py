"""The hardness ratio of two bands in each bin of a light curve, (H - S) / (H + S), with its error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reduction.timing.binning import Floats
from reduction.timing.lightcurve import LightCurve


@dataclass(frozen=True)
class Hardness:
    """Light curves of a soft and a hard band in the same bins."""

    soft: LightCurve
    hard: LightCurve

    @property
    def ratio(self) -> Floats:
        """(H - S) / (H + S) of the net rates, shape (bins,); NaN where their sum is not above 0."""
        soft, hard = self.soft.rate, self.hard.rate
        total = hard + soft
        ratio = np.divide(hard - soft, total, out=np.full(total.shape, np.nan), where=total > 0)
        return np.asarray(ratio, dtype=np.float64)

    @property
    def error(self) -> Floats:
        """The error of `ratio`, from those of both rates (their mean of both sides) by propagation, shape (bins,).

        Source: Park et al. (2006, ApJ 652, 610), equation 2, the classical method, good from some 10 counts a band on.
        """
        soft, hard = self.soft.rate, self.hard.rate
        soft_error, hard_error = (np.mean(curve.errors, axis=0) for curve in (self.soft, self.hard))
        total = hard + soft
        size = 2 * np.hypot(hard * soft_error, soft * hard_error)
        error = np.divide(size, total**2, out=np.full(total.shape, np.nan), where=total > 0)
        return np.asarray(error, dtype=np.float64)
