"""Cutout of an image: reads the parameters of the job, writes the part of the file within the region."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from provenance import votags
from provenance.text.errors import ProvenanceError
from reduction import regions, task
from reduction.images.cutouts import cut_file
from reduction.missions import CREATOR

_OF_THE_FILE: Final = ("obs_", "access_", "s_", "publisher_", "bib_reference")
"""Beginnings of the columns that are those of the whole image, or of its file."""
_OF_THE_OBSERVATION: Final = ("obs_id", "obs_collection", "s_resolution", "s_pixel_scale", "s_calib_status")


def main(job: task.Task) -> None:
    """Make the cutout."""
    job.stage("Opening the image")
    source = job.path("image")
    region = regions.parse(job.value("region"), parameter="region")
    job.stage("Cutting")
    known = {**columns(source), "dataproduct_type": "image", "obs_creator_name": CREATOR}
    target = job.output("cutout.fits", "part of an image within a region", **known)
    box = cut_file(source, target, region)
    width, height = box.size
    job.log(f"{width} x {height} pixels, from pixel {box.x[0] + 1}, {box.y[0] + 1} of the image on")
    job.stage("Writing the provenance")


def columns(source: Path) -> dict[str, Any]:
    """Return what is known of the image and holds for a part of it."""
    try:
        tags = votags.read(source)
    except ProvenanceError:
        return {}
    row = tags.row if tags is not None else {}
    return {
        name: value
        for name, value in row.items()
        if name in _OF_THE_OBSERVATION or not name.startswith(_OF_THE_FILE)
    }  # fmt: skip


if __name__ == "__main__":
    task.run(main, stages=3)
