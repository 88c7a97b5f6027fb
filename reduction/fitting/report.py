"""The result of a fit in words, as users of XSPEC expect it: spectra, statistic, parameters, fluxes, notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from reduction.fitting.fluxes import Flux
from reduction.fitting.outcome import Outcome, errors_text, notes_of, state_of, statistic_text
from reduction.fitting.posterior import Posterior
from reduction.fitting.result import FitResult, Fitted

_RULE: Final = "-" * 78


def report(outcome: Outcome, posterior: Posterior | None = None) -> str:
    """Return the whole result in words.

    Parameters
    ----------
    outcome
        What was found.
    posterior
        Draws of the parameters of the first model; None for none.

    Returns
    -------
    str
        Lines of text.
    """
    lines = [*_spectra(outcome), ""]
    for number, result in enumerate(outcome.results, start=1):
        fluxes = outcome.fluxes[number - 1] if len(outcome.fluxes) >= number else ()
        title = f"Model {number}: " if len(outcome.results) > 1 else "Model: "
        lines += [_RULE, f"{title}{result.model.expression}", _RULE, *_model(result, fluxes, outcome.abundances), ""]
    if len(outcome.results) > 1:
        lines += [*_comparison(outcome), ""]
    if posterior is not None:
        lines += [*_posterior(posterior, outcome.first.confidence), ""]
    notes = notes_of(outcome)
    if notes:
        lines += ["Notes", *(f"  * {note}" for note in notes)]
    return "\n".join(lines).rstrip() + "\n"


def _spectra(outcome: Outcome) -> Iterator[str]:
    for number, each in enumerate(outcome.first.datasets, start=1):
        data, seen = each.data, each.data.observed
        behind = float((seen.ratio * seen.background).sum())
        rate = float(seen.net.sum()) / max(data.spectrum.exposure_s, 1e-9)
        camera = " ".join(str(data.spectrum.header.get(key) or "").strip() for key in ("TELESCOP", "INSTRUME")).strip()
        yield f"Spectrum {number}: {data.name}{f' ({camera})' if camera else ''}"
        yield (f"  {data.low_kev.min():.4g} to {data.high_kev.max():.4g} keV in {data.size} bins, exposure "
               f"{data.spectrum.exposure_s:.6g} s")  # fmt: skip
        yield (f"  {seen.counts.sum():.0f} counts, of which {behind:.1f} are expected of the background: net rate "
               f"{rate:.4g} counts/s")  # fmt: skip


def _model(result: FitResult, fluxes: Sequence[Flux], abundances: str) -> Iterator[str]:
    yield f"  {statistic_text(result)}"
    if any(name in result.model.expression.lower() for name in ("tbabs", "phabs")):
        yield f"  Abundances of absorption: {abundances}"
    yield ""
    yield from _table(["Parameter", "Value", f"Errors ({100 * result.confidence:.4g} %)", "Unit", "State"],
                      [_row(one) for one in result.parameters])  # fmt: skip
    if fluxes:
        yield ""
        yield from (_flux(one, result.confidence) for one in fluxes)


def _row(one: Fitted) -> list[str]:
    return [one.name, f"{one.value:.6g}", errors_text(one), one.parameter.unit, state_of(one)]


def _flux(one: Flux, confidence: float) -> str:
    name = one.kind[:1].upper() + one.kind[1:]
    found = f"  {name} {one.low_kev:g} to {one.high_kev:g} keV: {one.value:.4g}"
    if one.error_low is None or one.error_high is None:
        return f"{found} {one.unit}"
    found += f" -{one.error_low:.2g} / +{one.error_high:.2g} {one.unit} ({100 * confidence:.4g} %)"
    return found if one.upper is None else f"{found}, below {one.upper:.4g} (95 %)"


def _comparison(outcome: Outcome) -> Iterator[str]:
    yield "Comparison (lower is better; AIC weighs prediction, BIC which model is true)"
    rows = [
        [one.expression, f"{one.statistic:.2f}", str(one.free), f"{one.aic:.2f}", f"{one.delta_aic:.2f}",
         f"{one.bic:.2f}", f"{one.delta_bic:.2f}", f"{one.weight:.3f}"]
        for one in sorted(outcome.compared, key=lambda one: one.aic)
    ]  # fmt: skip
    yield from _table(["Model", "Statistic", "Free", "AIC", "above", "BIC", "above", "Weight"], rows)
    lost = [result.model.expression for result in outcome.results if not result.converged]
    if lost:
        yield f"  Not converged, and not compared: {', '.join(lost)}"


def _posterior(posterior: Posterior, confidence: float) -> Iterator[str]:
    yield (f"Posterior: {posterior.values.shape[0]} draws, worth about {posterior.independent:.0f} independent ones; "
           f"{100 * posterior.accepted:.0f} % of the moves were made")  # fmt: skip
    rows = []
    for name in posterior.names:
        middle, low, high = posterior.interval(name, confidence)
        rows.append([name, f"{middle:.6g}", f"{low:.6g}", f"{high:.6g}"])
    yield from _table(["Parameter", "Median", "Lower end", "Upper end"], rows)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table, the first column aligned to the left."""
    everything = [list(heading), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in everything) for i in range(len(heading))]
    for row in everything:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield f"  {'  '.join(cells)}".rstrip()
