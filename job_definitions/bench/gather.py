"""The report of a bench: gathers the runs that the parts made, and writes report and tables."""

from __future__ import annotations

import json
from typing import Any

from provenance.fits.atomic import write_bytes
from reduction import task
from reduction.bench import report, tables
from reduction.bench.recipe import parse, read_recipe
from reduction.errors import ReductionError

RECORD = "run.json"


def main(job: task.Task) -> None:
    """Write report and tables."""
    job.stage("Reading the runs")
    files = {argument.display_name: path for argument, path in zip(
        job.arguments["files"].parts if job.value("files") else (), job.paths("files"), strict=True)}  # fmt: skip
    recipe = read_recipe(parse(job.path("recipe").read_text(encoding="utf-8")), files)
    records = [json.loads(path.read_text(encoding="utf-8")) for path in job.paths("parts") if path.name == RECORD]
    records.sort(key=lambda record: int(record["run"]))
    missing = sentences(job)
    failed = sum(record["failed"] is not None for record in records)
    job.log(f"{len(records) + len(missing)} runs, {failed + len(missing)} of them failed")

    job.stage("Writing report and tables")
    write_bytes(job.output("report.html", "report"), report.page(recipe, records, missing).encode())
    write_bytes(job.output("runs.ecsv", "a row for each run"), tables.runs(recipe, records))
    if recipe.comparisons:
        write_bytes(job.output("comparisons.ecsv", "a row for each quantity"), tables.comparisons(recipe, records))
    sources = tables.sources(recipe, records)
    if sources is not None:
        write_bytes(job.output("sources.ecsv", "a row for each source and false detection"), sources)
    job.stage("Writing the provenance")


def sentences(job: task.Task) -> list[str]:
    """Return what is said of the parts that made no record."""
    try:
        parts: list[dict[str, Any]] = json.loads((job.folder / "parts.json").read_text(encoding="utf-8"))["parts"]
    except (OSError, ValueError, KeyError) as error:
        raise ReductionError("there is no list of the parts") from error
    return [f"run {part['text']}: {part['sentence'] or part['phase']}" for part in parts
            if not any(str(path).endswith(f"/{RECORD}") for path in part["results"])]  # fmt: skip


if __name__ == "__main__":
    task.run(main, stages=3)
