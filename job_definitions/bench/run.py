"""One run of a bench: simulates an observation, runs the steps of the recipe on it, holds results against the truth."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

from provenance.fits.atomic import write_bytes
from reduction import task
from reduction.bench import pipeline
from reduction.bench.recipe import Recipe, parse, read_recipe
from reduction.errors import ReductionError


def main(job: task.Task) -> None:
    """Run the pipeline once."""
    recipe = read(job)
    folder = job.about.get("definitions")
    if not folder:
        raise ReductionError("the server does not say where its definitions are: a bench runs on a server only")
    definitions = pipeline.definitions_of(recipe, Path(str(folder)))
    job.stages = len(recipe.steps) + 2
    number = int(job.value("run"))
    place = job.scratch / "run"
    place.mkdir()
    record = pipeline.run(recipe, definitions, number, place, job.stage)
    if record["failed"]:
        job.log(f"Note: {record['failed']['step']}: {record['failed']['sentence']}")
    for note in record["notes"]:
        job.log(f"Note: {note}")
    if job.value("keep", False):
        path = job.output("products.tar", "event lists and products of the run")
        with tarfile.open(path, "w") as archive:
            archive.add(place, f"run{number:04d}")
    shutil.rmtree(place)
    text = json.dumps(record, indent=1, sort_keys=True)
    write_bytes(job.output("run.json", "what went in and what came out, as JSON"), f"{text}\n".encode())
    job.stage("Writing the provenance")


def read(job: task.Task) -> Recipe:
    """Return the recipe of the job. Raise ReductionError for one that is none; its parameter is the place in it."""
    try:
        text = job.path("recipe").read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ReductionError("it is no text in UTF-8", "recipe") from error
    files = {argument.display_name: path for argument, path in zip(
        job.arguments["files"].parts if job.value("files") else (), job.paths("files"), strict=True)}  # fmt: skip
    return read_recipe(parse(text), files)


if __name__ == "__main__":
    task.run(main, stages=2)
