"""Products of a source in one event list: chooses its regions, then runs the scripts of the jobs that use them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from astropy.coordinates import SkyCoord

from provenance import votags
from provenance.fits.atomic import write_bytes
from provenance.fits.hdus import holds_fits
from reduction import scripts, task
from reduction.errors import ReductionError
from reduction.events import gti
from reduction.events.eventlist import open_eventlist
from reduction.events.selection import choose
from reduction.missions import CREATOR
from reduction.sources import apertures, summary, surroundings
from reduction.sources.apertures import Apertures

SELECTION = ("energy", "pattern", "flag")
COLUMNS = ("dataproduct_type", "calib_level", "s_ra", "s_dec", "s_fov", "s_region", "em_min", "em_max", "t_exptime")
"""Columns of ObsCore that a product keeps of the script that made it."""
WORDS = {
    "gti.fits": "good time without flares",
    summary.SPECTRUM: "spectrum of the source, which names its responses",
    "background_spectrum.fits": "spectrum of the background",
    "regions.reg": "regions as DS9 text",
    "response.rmf": "redistribution matrix",
    "response.arf": "effective area",
    "fit.fits": "fit of the spectrum",
    "lightcurve.fits": "light curve of the source",
    "limits.fits": "limits of the source",
}
"""The products of the steps, and what each is."""


def main(job: task.Task) -> None:
    """Make the products of a source."""
    job.stage("Opening the event list")
    steps = Steps(job)
    good = without_flares(job, steps)

    job.stage("Choosing the regions")
    chosen = regions(job, good)
    if good:  # not before the position is known to be seen: a part that fails leaves no product
        (good,) = steps.keep({"gti.fits": good})
    job.log(f"source region: {chosen.radius_arcsec:g} arcsec, {chosen.encircled:.1%} of a point source's light, "
            f"expected signal to noise {chosen.signal_to_noise:.1f}")  # fmt: skip
    job.log(f"background region: {chosen.ring[0]:g} to {chosen.ring[1]:g} arcsec, less {len(chosen.holes)} neighbours")
    for note in chosen.notes:
        job.log(f"Note: {note}")

    common = {"eventlist": job.path("eventlist"), "source_region": chosen.source_region,
              "background_region": chosen.background_region}  # fmt: skip
    common |= {name: job.value(name) for name in SELECTION if job.value(name) is not None}
    timed = common | ({"gti": good} if good else {})
    spectra(job, steps, timed, chosen)
    job.stage("Making the light curve")
    made = steps.run("lightcurve", common | {"bin_size": job.value("bin_size", 100)})
    steps.keep({"lightcurve.fits": made["lightcurve"]})
    job.stage("Finding the limits")
    made = steps.run("upper_limit", timed | {"confidence": job.value("confidence", "0.9 0.9973"),
                                             "encircled_energy": round(chosen.encircled, 4)})  # fmt: skip
    (limits,) = steps.keep({"limits.fits": made["limits"]})
    write_record(job, chosen, limits)
    job.stage("Writing the provenance")


class Steps:
    """Runs the scripts of other definitions as steps of a job, and takes over what they make."""

    def __init__(self, job: task.Task) -> None:
        folder = job.about.get("definitions")
        if not folder:
            raise ReductionError("the server does not say where its definitions are: this job runs on a server only")
        self._job = job
        self._folder = Path(str(folder))
        self._number = 0
        self._last: tuple[scripts.Definition, Mapping[str, Any]] | None = None

    def has(self, name: str) -> bool:
        """Return whether there is a definition of that name."""
        return (self._folder / name / "job.json").is_file()

    def run(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Run a definition and return its results by name. Raise ReductionError if it fails."""
        self._number += 1
        definition = scripts.read_definition(self._folder, name)
        folder = self._job.scratch / f"{self._number:02d}-{name}"
        try:
            made = scripts.run(definition, given, folder)
        except ReductionError as error:
            raise ReductionError(f"{name}: {error}") from error
        for line in (folder / scripts.LOG).read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("Note:"):
                self._job.log(f"{line.replace('Note:', f'Note: {name}:', 1)}")
        self._last = definition, given
        return made

    def keep(self, made: Mapping[str, Path]) -> list[Path]:
        """Make files of the last step products of the job, with what their tags tell; record the step."""
        assert self._last is not None
        definition, given = self._last
        paths = []
        for name, file in made.items():
            tags = votags.read(file) if holds_fits(file) else None
            known = {column: tags.row.get(column) for column in COLUMNS} if tags else {}
            paths.append(self._job.output(name, WORDS[name], **known, obs_creator_name=CREATOR))
            shutil.copyfile(file, paths[-1])
        inputs = [value for value in given.values() if isinstance(value, Path)]
        values = {key: value for key, value in given.items() if not isinstance(value, Path)}
        self._job.also(definition.name, inputs, paths, values, str(definition.document.get("version", "")))
        return paths


def without_flares(job: task.Task, steps: Steps) -> Path | None:
    """Return the good time without flares; None where all times are wanted, or no flare can be found."""
    method, eventlist = str(job.value("flares", "sigma")), job.path("eventlist")
    if method == "none":
        return None
    try:
        made = steps.run("flare_filter", {"eventlist": eventlist, "method": method})
    except ReductionError as error:
        job.log(f"Note: no time of flares is left out: {error}")
        return None
    found: Path = made["gti"]
    return found


def regions(job: task.Task, good: Path | None) -> Apertures:
    """Return the regions of source and background in the event list."""
    ra, dec = (float(word) for word in str(job.value("position")).replace(",", " ").split()[:2])
    with open_eventlist(job.path("eventlist")) as events:
        job.log(f"{events.mission.name}, {events.nrows} events")
        times = gti.read_file(good, events.clock) if good else None
        selection = choose(events, job.value("energy", "0.2 12.0"), job.value("pattern", "default"),
                           job.value("flag", "default"), times)  # fmt: skip
        near = surroundings.around(events, selection, SkyCoord(ra, dec, unit="deg"))
        given = bool(job.value("source_list"))
        others = surroundings.listed(job.path("source_list"), near) if given else surroundings.sought(near)
        job.log(f"{len(others)} neighbours within {surroundings.WIDTH_ARCMIN / 2:g} arcmin"
                f"{' of the list' if given else ''}")  # fmt: skip
        radius = job.value("radius")
        return apertures.choose(near, others, None if radius is None else float(radius))


def spectra(job: task.Task, steps: Steps, timed: Mapping[str, Any], chosen: Apertures) -> None:
    """Make the spectra, the responses, and the fit where there is such a job."""
    job.stage("Extracting the spectra")
    grouping = {"grouping": job.value("grouping", "background"), "min_counts": int(job.value("min_counts", 1))}
    made = steps.run("spectrum", {**timed, **grouping})
    source, behind, _ = steps.keep({
        summary.SPECTRUM: made["source_spectrum"], "background_spectrum.fits": made["background_spectrum"],
        "regions.reg": made["regions"],
    })  # fmt: skip

    job.stage("Making the responses")
    given = {name: value for name, value in timed.items() if name not in ("background_region", "energy")}
    given |= {"spectrum": source, "source_position": f"{chosen.centre[0]} {chosen.centre[1]}"}
    try:
        made = steps.run("response", given)
    except ReductionError as error:
        job.log(f"Note: no response is made: {error}")
        return
    matrix, area, source = steps.keep({"response.rmf": made["response"], "response.arf": made["effective_area"],
                                       summary.SPECTRUM: made["named_spectrum"]})  # fmt: skip
    model = str(job.value("model", "") or "").strip()
    if not model or not steps.has("fit"):
        return
    job.stage("Fitting the spectrum")
    try:
        made = steps.run("fit", {"spectrum": source, "background": behind, "response": matrix, "area": area,
                                 "model": model})  # fmt: skip
        steps.keep({"fit.fits": made["fit"]})
    except ReductionError as error:
        job.log(f"Note: the spectrum is not fitted: {error}")


def write_record(job: task.Task, chosen: Apertures, limits: Path) -> None:
    """Write what was chosen and counted."""
    record = summary.record_of(limits, chosen)
    text = json.dumps(record, indent=1, sort_keys=True)
    write_bytes(job.output(summary.RECORD, "what was chosen and counted, as JSON"), f"{text}\n".encode())


if __name__ == "__main__":
    task.run(main, stages=7)
