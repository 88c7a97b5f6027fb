"""All event lists of a source together: summary, combined spectra with their responses, joint fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from provenance import votags
from provenance.fits.atomic import write_bytes
from reduction import scripts, task
from reduction.errors import ReductionError
from reduction.sources import summary

COMBINED = (("combined_*_spectrum.fits", "sum of the spectra of a camera"),
            ("combined_*_background.fits", "sum of their backgrounds"), ("combined_*.rmf", "mean redistribution"),
            ("combined_*.arf", "mean effective area"))  # fmt: skip
KNOWN = ("dataproduct_type", "calib_level", "s_ra", "s_dec", "s_fov", "s_region", "em_min", "em_max", "t_exptime")
MOST_FITTED = 20


def main(job: task.Task) -> None:
    """Write the summary, and what follows from all spectra."""
    job.stage("Reading the parts")
    made = job.paths("parts")
    records = {int(path.parts[-3]): json.loads(path.read_text(encoding="utf-8"))
               for path in made if path.name == summary.RECORD}  # fmt: skip
    rows = summary.rows_of(dict(sorted(records.items())))
    text = summary.text_of(rows)
    for line in text.splitlines():
        job.log(line)
    write_bytes(job.output("summary.txt", "summary in words"), text.encode())
    write_bytes(job.output("summary.ecsv", "summary as a table"), summary.table_of(rows))

    definitions = Path(str(job.about.get("definitions") or "definitions"))
    job.stage("Combining the spectra")
    if sum(path.name == summary.SPECTRUM for path in made) > 1:
        combine(job, definitions, made)
    job.stage("Fitting all spectra")
    fit(job, definitions, made)
    job.stage("Writing the provenance")


def combine(job: task.Task, definitions: Path, made: list[Path]) -> None:
    """Sum the spectra of each camera, as the job spectrum does."""
    try:
        definition = scripts.read_definition(definitions, "spectrum")
        values = {name: job.value(name) for name in ("energy", "grouping", "min_counts") if job.value(name) is not None}
        folder = job.scratch / "combined"
        document = scripts.document_of(definition, {**values, "eventlist": Path("none")})
        document["parameters"]["parts"] = scripts.files_entry(made)
        scripts.run_script(definition, str(definition.document["gather"]), document, folder)
    except ReductionError as error:
        job.log(f"Note: no combined spectra: {error}")
        return
    for pattern, words in COMBINED:
        for path in sorted((folder / "results").glob(pattern)):
            keep(job, path, path.name, words)


def fit(job: task.Task, definitions: Path, made: list[Path]) -> None:
    """Fit all spectra that have responses together, where there is such a job."""
    model = str(job.value("model", "") or "").strip()
    spectra = [path for path in made if path.name == summary.SPECTRUM and (path.parent / "response.arf").is_file()]
    if not model or len(spectra) < 2 or not (definitions / "fit" / "job.json").is_file():
        return
    if len(spectra) > MOST_FITTED:
        job.log(f"Note: of {len(spectra)} spectra the first {MOST_FITTED} are fitted together")
        spectra = spectra[:MOST_FITTED]
    # each names its background and responses, which lie beside it
    given: dict[str, Any] = {"model": model, "spectrum": spectra}
    try:
        found = scripts.run(scripts.read_definition(definitions, "fit"), given, job.scratch / "fit")
    except ReductionError as error:
        job.log(f"Note: the spectra are not fitted together: {error}")
        return
    keep(job, found["fit"], "joint_fit.fits", "fit of all spectra")
    write_bytes(job.output("joint_fit.txt", "fit of all spectra in words"), found["report"].read_bytes())


def keep(job: task.Task, made: Path, name: str, words: str) -> None:
    """Make a file a product, with what its tags tell of it."""
    tags = votags.read(made)
    known = {column: tags.row.get(column) for column in KNOWN} if tags else {}
    shutil.copyfile(made, job.output(name, words, **known))


if __name__ == "__main__":
    task.run(main, stages=4)
