"""The report of a bench as one page of HTML that needs nothing else: figures, plots, tables, the recipe."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from reduction.bench import ensemble, figures, plots
from reduction.bench.ensemble import Compared, Figure, Records
from reduction.bench.recipe import Recipe

_MOST_ROWS = 1000

_STYLE = """\
:root{color-scheme:light dark;--paper:#fff;--ink:#1b2128;--soft:#5b6672;--line:#8894a1;--grid:#e3e7eb;--blue:#2463a6;
--orange:#b9500f;--bad:#a3141c;--good:#17663a}
@media (prefers-color-scheme:dark){:root{--paper:#14181d;--ink:#e4e9ee;--soft:#9aa6b2;--line:#697684;--grid:#2a323a;
--blue:#78aeea;--orange:#f0a264;--bad:#ff8a86;--good:#7fd6a0}}
body{background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:0 auto;
padding:1.5rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .3rem}h2{font-size:1.2rem;margin:2.2rem 0 .5rem}h3{font-size:1rem}
p.soft,td.soft,figcaption{color:var(--soft)}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}
th,td{text-align:left;padding:.25rem .7rem;border-bottom:1px solid var(--grid);vertical-align:top}
td.number,th.number{text-align:right}td.number{white-space:nowrap}
.bad{color:var(--bad);font-weight:600}.good{color:var(--good)}
.pair{display:flex;flex-wrap:wrap;gap:.8rem}
pre{font-size:.8rem;overflow-x:auto;border:1px solid var(--grid);padding:.8rem}
summary{cursor:pointer}
"""


def page(recipe: Recipe, records: Records, missing: Sequence[str]) -> str:
    """Return the report.

    Parameters
    ----------
    recipe
        The recipe.
    records
        The records of the runs, by `pipeline.run`.
    missing
        Sentences about runs that have no record.

    Returns
    -------
    str
        HTML.
    """
    compared = [ensemble.compare(comparison, records) for comparison in recipe.comparisons]
    parts = [
        _head(recipe, records, missing),
        _failures(records, missing),
        _compared(compared),
        *(_comparison(each) for each in compared),
        _detections(recipe, records),
        _seconds(records),
        _runs(recipe, records),
        _notes(records),
        f"<h2>Recipe</h2><details><summary>The recipe as it was given</summary>"
        f"<pre>{escape(json.dumps(recipe.document, indent=1))}</pre></details>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Bench: {escape(recipe.name)}</title><style>{_STYLE}{plots.STYLE}</style></head><body><main>"
        f"{''.join(parts)}</main></body></html>\n"
    )


def _head(recipe: Recipe, records: Records, missing: Sequence[str]) -> str:
    failed = sum(record["failed"] is not None for record in records) + len(missing)
    runs = len(records) + len(missing)
    total = [sum(record["seconds"].values()) for record in records]
    software = records[0]["software"] if records else {}
    cpu = float(np.median([record["cpu_s"] for record in records])) if records else 0.0
    took = f", {np.median(total):.1f} s each (median), {cpu:.1f} s of a core" if total else ""
    state = f'<span class="bad">{failed} failed</span>' if failed else '<span class="good">none failed</span>'
    versions = ", ".join(f"{name} {version}" for name, version in software.items())
    return (
        f"<h1>{escape(recipe.name)}</h1><p>{escape(recipe.description)}</p>"
        f"<p>{runs} runs{took}; {state}. Seed {recipe.seed}; cameras {', '.join(recipe.cameras)}.</p>"
        f'<p class="soft">{escape(versions)}</p>'
    )


def _failures(records: Records, missing: Sequence[str]) -> str:
    """Return what failed, the same sentences together."""
    told: dict[tuple[str, str], list[str]] = {}
    for record in records:
        if record["failed"] is not None:
            told.setdefault((record["failed"]["step"], record["failed"]["sentence"]), []).append(str(record["run"]))
    rows = [(step, sentence, _several(runs)) for (step, sentence), runs in told.items()]
    rows += [("the run itself", sentence, "") for sentence in missing]
    if not rows:
        return ""
    return f"<h2>What failed</h2>{table(('step', 'sentence', 'runs'), rows)}"


def _several(runs: Sequence[str]) -> str:
    return ", ".join(runs[:10]) + (f" and {len(runs) - 10} more" if len(runs) > 10 else "")


def _compared(compared: Sequence[Compared]) -> str:
    """Return the summary of all comparisons."""
    if not compared:
        return ""
    names = ("mean of pulls", "width of pulls", "within 1 sigma", "within 2 sigma")
    rows = []
    for each in compared:
        found, unit = ensemble.figures(each), each.comparison.unit
        mean = f"{plots.number(float(np.mean(each.truth)))}" if len(each.truth) else "-"
        rows.append((f"{each.comparison.name}{f' ({unit})' if unit else ''}", str(len(each.truth)), mean,
                     *(_figure(found.get(name)) for name in ("difference", *names))))  # fmt: skip
    header = ("quantity", "runs", "truth (mean)", "value - truth", *names)
    return (
        f"<h2>What went in, what came out</h2>{table(header, rows, numbers=range(1, 8))}"
        '<p class="soft">A pull is (value - truth) / error. With errors that are right its mean is 0, its width 1, and '
        f"{ensemble.ONE_SIGMA:.0%} of values are within one error of the truth, {ensemble.TWO_SIGMA:.0%} within two. "
        "Each figure has its standard error. What is more than four of these off is marked: chance does not do that."
        "</p>"
    )


def _figure(figure: Figure | None) -> str:
    """Return a figure with its error, already HTML."""
    if figure is None or not math.isfinite(figure.value):
        return "-"
    text = plots.with_error(figure.value, figure.error)
    return f'<span class="bad">{text} ({figure.sigmas:+.0f} sigma)</span>' if figure.is_off else text


def _comparison(compared: Compared) -> str:
    """Return the plots of a comparison: value by truth, and its pulls."""
    name = escape(compared.comparison.name)
    if not len(compared.truth):
        return f"<h3>{name}</h3><p>No run has both numbers.</p>"
    pictures = [figures.value_by_truth(compared)]
    if np.isfinite(compared.pulls).sum() >= 2:
        pictures.append(figures.pulls(compared))
    return f'<h3>{name}</h3><div class="pair">{"".join(pictures)}</div>'


def _detections(recipe: Recipe, records: Records) -> str:
    """Return completeness, false detections and positions; nothing where no sources are detected."""
    found = [record["detections"] for record in records if "detections" in record]
    if not found:
        return ""
    sources = [row for each in found for row in each["sources"]]
    false = [row for each in found for row in each["false"]]
    complete = ensemble.completeness(sources)
    detected = sum(row["is_detected"] for row in sources)
    pictures = [figures.completeness(complete)] if complete else []
    rates = ensemble.false_rate(sources, false, len(found))
    pictures += [figures.false_rate(rates), figures.purity(rates)] if rates else []
    pictures += figures.positions(sources)
    words = [f"{len(found)} fields, {len(sources)} sources, {detected} of them detected; "
             f"{len(false)} false detections, {len(false) / len(found):.3g} a field."]  # fmt: skip
    for share in (0.5, 0.9):
        if complete and math.isfinite(flux := complete.flux_at(share)):
            words.append(f"From {flux:.2g} erg/cm2/s on {share:.0%} are detected.")
    match = recipe.detections.match_arcsec if recipe.detections else 0.0
    return (
        f'<h2>Detections</h2><p>{escape(" ".join(words))}</p><div class="pair">{"".join(pictures)}</div>'
        f'<p class="soft">A detection is a source if it is its nearest within {match:g} arcsec, each of them once. '
        "Fluxes are true ones, 0.2-12 keV, the mean of the exposure.</p>"
    )


def _seconds(records: Records) -> str:
    """Return the seconds of each step."""
    names = list(dict.fromkeys(name for record in records for name in record["seconds"]))
    rows = []
    for name in names:
        values = [record["seconds"][name] for record in records if name in record["seconds"]]
        rows.append((name, f"{np.median(values):.3f}", f"{max(values):.3f}"))
    header = ("step", "median", "longest")
    return f"<h2>Seconds</h2><details><summary>By step</summary>{table(header, rows, numbers=(1, 2))}</details>"


def _runs(recipe: Recipe, records: Records) -> str:
    """Return the truth beside the values, run by run."""
    if not recipe.comparisons:
        return ""
    header = ["run", "seed"]
    for comparison in recipe.comparisons:
        header += [f"{comparison.name}: truth", "value", *(["error"] if comparison.high else [])]
    rows = []
    for record in records[:_MOST_ROWS]:
        row = [str(record["run"]), str(record["seed"])]
        for comparison in recipe.comparisons:
            names = (comparison.truth, comparison.value, *([comparison.high] if comparison.high else []))
            row += [plots.number(_of(record, name)) for name in names]
        rows.append(row)
    more = f"<p>The first {_MOST_ROWS}; runs.ecsv has all.</p>" if len(records) > _MOST_ROWS else ""
    every = table(header, rows, numbers=range(len(header)))
    return f"<h2>Run by run</h2><details><summary>Truth beside value</summary>{every}{more}</details>"


def _of(record: Mapping[str, Any], name: str) -> float:
    value = record.get("measured", {}).get(name)
    return float(value) if isinstance(value, int | float) else math.nan


def _notes(records: Records) -> str:
    """Return what was unusual, the same sentences together."""
    told: dict[str, list[str]] = {}
    for record in records:
        for note in record["notes"]:
            told.setdefault(note, []).append(str(record["run"]))
    if not told:
        return ""
    rows = [(note, _several(runs)) for note, runs in list(told.items())[:100]]
    return f"<h2>Notes</h2>{table(('sentence', 'runs'), rows)}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> str:
    """Return a table of HTML.

    Parameters
    ----------
    header
        Words above the columns.
    rows
        Texts of each row; one that begins with ``<span`` is HTML already.
    numbers
        Columns that are numbers.

    Returns
    -------
    str
        The table.
    """
    right = set(numbers)
    kind = [' class="number"' if at in right else "" for at in range(len(header))]
    head = "".join(f'<th scope="col"{k}>{escape(word)}</th>' for k, word in zip(kind, header, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{k}>{_cell(text)}</td>" for k, text in zip(kind, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str) -> str:
    return text if text.startswith('<span class="bad">') else escape(text)
