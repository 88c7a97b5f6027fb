"""The tables of a bench as ECSV: a row for each run, comparison and source; may import numpy and astropy."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from astropy.table import Table

from reduction.bench import ensemble
from reduction.bench.ensemble import Records, number_of
from reduction.bench.recipe import Recipe


def runs(recipe: Recipe, records: Records) -> bytes:
    """Return a row for each run: seed, the step that failed, seconds, every quantity of the recipe."""
    rows = []
    for record in records:
        failed, seconds = record["failed"] or {}, round(sum(record["seconds"].values()), 3)
        row = {"run": record["run"], "seed": record["seed"], "failed_step": failed.get("step") or "",
               "sentence": failed.get("sentence") or "", "seconds": seconds, "cpu_s": record["cpu_s"]}  # fmt: skip
        measured = record.get("measured", {})
        rows.append(row | {name: number_of(measured.get(name)) for name in recipe.measures})
    return _ecsv(rows, ("run", "seed", "failed_step", "sentence", "seconds", "cpu_s", *recipe.measures), recipe)


def comparisons(recipe: Recipe, records: Records) -> bytes:
    """Return a row for each comparison: runs, mean difference, and mean, width and shares of its pulls."""
    rows = []
    for comparison in recipe.comparisons:
        compared = ensemble.compare(comparison, records)
        row: dict[str, Any] = {"quantity": comparison.name, "unit": comparison.unit, "runs": len(compared.truth)}
        found = ensemble.figures(compared)
        for name, column in _FIGURES:
            figure = found.get(name)
            row[column] = figure.value if figure else math.nan
            row[f"{column}_error"] = figure.error if figure else math.nan
        rows.append(row)
    names = [each for _, column in _FIGURES for each in (column, f"{column}_error")]
    return _ecsv(rows, ("quantity", "unit", "runs", *names), recipe)


_FIGURES = (("difference", "difference"), ("mean of pulls", "pull_mean"), ("width of pulls", "pull_width"),
            ("within 1 sigma", "within_1_sigma"), ("within 2 sigma", "within_2_sigma"))  # fmt: skip

_OF_SOURCE = ("flux", "apart_arcsec", "error_arcsec", "likelihood", "measured")


def sources(recipe: Recipe, records: Records) -> bytes | None:
    """Return a row for each source of each run and for each false detection; None where nothing was detected at all."""
    rows = []
    for record in records:
        for kind, each in _every(record):
            row = {"run": record["run"], "name": each.get("name", ""), "is_source": kind == "sources",
                   "is_detected": bool(each.get("is_detected", kind == "false"))}  # fmt: skip
            row["ra"] = number_of(each.get("ra", each.get("detected_ra")))
            row["dec"] = number_of(each.get("dec", each.get("detected_dec")))
            rows.append(row | {name: number_of(each.get(name)) for name in _OF_SOURCE})
    if not rows:
        return None
    return _ecsv(rows, ("run", "name", "is_source", "is_detected", "ra", "dec", *_OF_SOURCE), recipe)


def _every(record: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    found = record.get("detections", {})
    return [(kind, each) for kind in ("sources", "false") for each in found.get(kind, [])]


def _ecsv(rows: Sequence[Mapping[str, Any]], names: Sequence[str], recipe: Recipe) -> bytes:
    table = Table({name: [row[name] for row in rows] for name in names})
    table.meta["recipe"], table.meta["recipe_seed"] = recipe.name, recipe.seed
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    return text.getvalue().encode()
