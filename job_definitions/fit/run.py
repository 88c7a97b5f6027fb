"""Spectral fit: reads the parameters of the job, fits each model to the spectra, writes result, report and contours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from provenance.fits.atomic import write_bytes
from provenance.obscore.row import wavelength_m
from reduction import task
from reduction.arguments import Argument
from reduction.errors import ReductionError
from reduction.fitting import contours, fluxes, posterior
from reduction.fitting.comparison import compare
from reduction.fitting.expression import Model, parse_model
from reduction.fitting.fit import fit, parameters_of
from reduction.fitting.foldedmodel import AUTO, asked_grouping, choose, statistic_of
from reduction.fitting.goodness import goodness
from reduction.fitting.inputs import (
    COMPANIONS,
    NO_BACKGROUND,
    SPECTRUM,
    GivenFile,
    Inflated,
    labels,
    match,
    read_spectra,
)
from reduction.fitting.many import FitTask, SpectrumFiles, fit_many
from reduction.fitting.manyfile import OneOfMany, text_of, write_many
from reduction.fitting.outcome import Outcome, statistic_text
from reduction.fitting.parameters import Setting, apply
from reduction.fitting.parametertable import of_models, read_table
from reduction.fitting.report import report
from reduction.fitting.result import FitResult
from reduction.fitting.resultfile import write_contours, write_posterior, write_result
from reduction.fitting.spectrum import FitData
from reduction.fitting.tables import configured
from reduction.missions import CREATOR

CONFIDENCES = {"68": 0.6826894921370859, "90": 0.90, "95": 0.95, "99": 0.99}


def main(job: task.Task) -> None:
    """Fit the models of a job."""
    job.stage("Reading the spectra")
    if job.value("several", "together") == "each" and len(job.paths(SPECTRUM)) > 1:
        fit_each(job)
        return
    data = chosen(job)
    wanted = settings(job, models(job), data)

    job.stage("Fitting")
    results = [fitted(job, data, model, asked) for model, asked in wanted]
    best = results[0]
    for result in results:
        job.log(f"{result.model.expression}: {statistic_text(result)}")

    job.stage("Looking around the best values")
    drawn = drawn_posterior(job, best)
    outcome = found(job, results, drawn)
    lines = [contours.contour(best, *pair) for pair in pairs(job, best)] if best.converged else []

    job.stage("Writing the result")
    write(job, outcome, lines, drawn)
    job.stage("Writing the provenance")


def given(job: task.Task, name: str) -> list[GivenFile]:
    """Return the files of a parameter; those of the archive have their neighbours beside them."""
    argument, archive = job.arguments.get(name), job.about.get("archive")
    parts: Sequence[Argument] = argument.parts if argument is not None and argument.value else ()
    files = []
    for part, path in zip(parts, job.paths(name), strict=True):
        place = Path(str(part.value))
        root = Path(archive) if archive and place.is_relative_to(archive) else None
        files.append(GivenFile(Path(part.display_name).name, path, place.parent if place.is_absolute() else None, root))
    return files


def all_given(job: task.Task) -> dict[str, list[GivenFile]]:
    """Return the files of a job by parameter."""
    files = {name: given(job, name) for name in (SPECTRUM, *COMPANIONS)}
    if not job.value("use_background", True):
        files["background"] = [NO_BACKGROUND]
    return files


def chosen(job: task.Task) -> tuple[FitData, ...]:
    """Read the spectra of a job, and choose the channels that are fitted."""
    spectra = read_spectra(all_given(job), Inflated(job.scratch))
    data = choose(spectra, str(job.value("energy", "0.3 10.0")), str(job.value("grouping", "file")),
                  str(job.value("min_counts", 1)), str(job.value("min_snr", 5)))  # fmt: skip
    names = labels([one.spectrum for one in data])
    for one, name in zip(data, names, strict=True):
        behind = one.spectrum.background
        job.log(f"{one.name}: {name}, {one.observed.counts.sum():.0f} counts in {one.size} bins, "
                f"{f'background {behind.name}' if behind else 'no background'}")  # fmt: skip
    return tuple(replace(one, spectrum=replace(one.spectrum, name=name))
                 for one, name in zip(data, names, strict=True))  # fmt: skip


def models(job: task.Task) -> list[Model]:
    """Return the models of a job, each once."""
    tables = configured(str(job.value("abundance", "wilm")))
    texts = dict.fromkeys(text.strip() for text in job.values("model") if text.strip())
    if not texts:
        raise ReductionError("no model is given; write one such as wabs*powerlaw", "model")
    return [parse_model(text, tables) for text in texts]


def settings(
    job: task.Task, wanted: Sequence[Model], data: Sequence[FitData]
) -> list[tuple[Model, dict[str, Setting]]]:
    """Return each model with what is asked of its parameters."""
    asked = read_table("\n".join(str(line) for line in job.values("parameters")))
    if job.value("cross_normalisation", "free") == "one":
        factors = [one.name for one in parameters_of(wanted[0], data)[len(wanted[0].parameters) :]]
        asked = {**{name: Setting(value=1.0, frozen=True) for name in factors}, **asked}
    names = [[one.name for one in parameters_of(model, data)] for model in wanted]
    return list(zip(wanted, of_models(asked, names), strict=True))


def fitted(job: task.Task, data: Sequence[FitData], model: Model, asked: dict[str, Setting]) -> FitResult:
    """Fit one model. Raises ReductionError, too, if there is nothing to change."""
    if not any(one.is_free for one in apply(parameters_of(model, data), asked)):
        raise ReductionError(f"all parameters of {model.expression} are frozen or tied; leave one free, or look at the "
                             "folded curve of the form", "parameters")  # fmt: skip
    errors = str(job.value("errors", "68"))
    with np.errstate(all="ignore"):
        return fit(data, model, statistic=statistic_of(str(job.value("statistic", "auto")), data), parameters=asked,
                   optimiser=str(job.value("optimiser", "migrad")), confidence=CONFIDENCES.get(errors))  # fmt: skip


def found(job: task.Task, results: Sequence[FitResult], drawn: posterior.Posterior | None) -> Outcome:
    """Return fluxes, comparison and goodness of fits; of one that did not converge there are none."""
    place, band = place_of(job), flux_band(job)
    values = None if drawn is None else fluxes.all_values(results[0], drawn.values)
    of_models = tuple(
        fluxes.fluxes(result, *band, place, values if result is results[0] else None) if result.converged else ()
        for result in results
    )
    simulations = int(job.value("goodness", 0) or 0)
    simulated = goodness(results[0], simulations) if simulations and results[0].converged else None
    return Outcome(tuple(results), of_models, compare(results), simulated,
                   abundances=str(job.value("abundance", "wilm")))  # fmt: skip


def fit_each(job: task.Task) -> None:
    """Fit one model to each spectrum for itself, and write a table of all."""
    wanted = models(job)
    if len(wanted) > 1:
        raise ReductionError(
            f"{len(wanted)} models came; one is allowed where each spectrum is fitted for itself", "model"
        )
    matched = match(all_given(job), Inflated(job.scratch))
    tasks = [task_of(job, wanted[0], files) for _, files in matched]

    job.stage(f"Fitting {len(tasks)} spectra")
    with np.errstate(all="ignore"):
        outcomes = fit_many(tasks)
    job.stage("Taking the fluxes")
    place, band = place_of(job), flux_band(job)
    rows = []
    for (name, _), one in zip(matched, outcomes, strict=True):
        found = one.result
        seen = fluxes.fluxes(found, *band, place) if found is not None and found.converged else ()
        rows.append(OneOfMany(name, found, seen, one.error))

    job.stage("Writing the result")
    done = sum(row.result is not None and row.result.converged for row in rows)
    job.log(f"{done} of {len(rows)} spectra were fitted")
    path = job.output("fits.fits", "fits of many spectra", dataproduct_type="measurements", calib_level=4,
                      obs_creator_name=CREATOR)  # fmt: skip
    write_many(path, wanted[0].expression, rows)
    write_bytes(job.output("report.txt", "result of the fits in words"), text_of(wanted[0].expression, rows).encode())
    job.stage("Writing the provenance")


def task_of(job: task.Task, model: Model, files: SpectrumFiles) -> FitTask:
    """Return the fit of one spectrum."""
    low, high = (float(word) for word in str(job.value("energy", "0.3 10.0")).split())
    grouping = asked_grouping(
        *(str(job.value(*one)) for one in (("grouping", "file"), ("min_counts", 1), ("min_snr", 5)))
    )
    statistic = str(job.value("statistic", "auto"))
    if statistic == AUTO:
        statistic = "wstat" if job.value("use_background", True) else "cstat"
    asked = read_table("\n".join(str(line) for line in job.values("parameters")))
    apply(model.parameters, asked)
    return FitTask((files,), model, (low, high), grouping, statistic, asked,
                   CONFIDENCES.get(str(job.value("errors", "68"))))  # fmt: skip


def place_of(job: task.Task) -> fluxes.Place | None:
    """Return how far away the source is; None where that is not given."""
    return fluxes.place_of(number(job, "redshift"), number(job, "distance"), str(job.value("cosmology", "70 0.3")))


def flux_band(job: task.Task) -> tuple[float, float]:
    """Return the energies of the fluxes in keV."""
    low, high = (float(word) for word in str(job.value("flux", "0.5 10.0")).split())
    return low, high


def number(job: task.Task, name: str) -> float | None:
    """Return a number that may be left out."""
    value = job.value(name)
    return None if value is None or value == "" else float(value)


def pairs(job: task.Task, result: FitResult) -> list[tuple[Any, Any]]:
    """Return the pairs of parameters whose contours are asked for."""
    return [contours.pair_of(str(text), result) for text in job.values("contours") if str(text).strip()]


def drawn_posterior(job: task.Task, result: FitResult) -> posterior.Posterior | None:
    """Return draws of the posterior of the first model; None for none."""
    wanted = int(job.value("posterior", 0) or 0)
    return posterior.draw(result, wanted) if wanted and result.converged else None


def write(
    job: task.Task, outcome: Outcome, lines: Sequence[contours.Contour], drawn: posterior.Posterior | None
) -> None:
    """Write the products of a job, and log the report."""
    first = outcome.first
    low = max(min(float(each.data.low_kev.min()) for each in first.datasets), 1e-6)
    high = max(float(each.data.high_kev.max()) for each in first.datasets)
    known = {"dataproduct_type": "measurements", "calib_level": 4, "obs_creator_name": CREATOR,
             "em_min": wavelength_m(high), "em_max": wavelength_m(low),
             "t_exptime": sum(each.data.spectrum.exposure_s for each in first.datasets)}  # fmt: skip
    write_result(job.output("fit.fits", "result of the fit", **known), outcome)
    text = report(outcome, drawn)
    write_bytes(job.output("report.txt", "result of the fit in words"), text.encode())
    if lines:
        write_contours(job.output("contours.fits", "contours of pairs of parameters", **known), first, lines)
    if drawn is not None:
        write_posterior(job.output("posterior.fits", "draws of the posterior", **known), first, drawn)
    for line in text.splitlines():
        job.log(line)


if __name__ == "__main__":
    task.run(main, stages=5)
