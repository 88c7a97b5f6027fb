"""Upper limit: reads the parameters of the job, counts source and background in one pass, writes the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from provenance.fits.atomic import write_bytes
from reduction import parameters, task
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList, open_eventlist
from reduction.missions import CREATOR
from reduction.spectra.spectrum import Spectrum, extract
from reduction.spectra.subtraction import BACKGROUND, SOURCE, require_areas
from reduction.timing.limitfile import LimitResult, write_limits
from reduction.timing.limits import chance, limits

_FEW = 25
"""Counts of a background below which it is no known mean, as the limits take it to be."""


def main(job: task.Task) -> None:
    """Make the limits of a source."""
    job.stage("Opening the event list")
    confidences = probabilities(job)
    with open_eventlist(job.path("eventlist")) as events:
        wanted = wanted_regions(job, events)
        job.stage("Counting events")
        spectra = extract(events, wanted.selection, wanted.on_pixels)
        parameters.report(job, spectra)
        result = measured(job, spectra, confidences)
        for line in result.text().splitlines():
            job.log(line)

        job.stage("Writing the limits")
        known = {**wanted.columns(), "dataproduct_type": "measurements", "calib_level": 3, "obs_creator_name": CREATOR,
                 "t_exptime": result.exposure_s}  # fmt: skip
        low, high = wanted.selection.energy_kev
        band = [("E_MIN", low, "[keV] lowest energy"), ("E_MAX", high, "[keV] highest energy")]
        path = job.output("limits.fits", "limits of the source", **known)
        write_limits(path, result, events, wanted.subspace(), band)
        write_bytes(job.output("limits.txt", "limits of the source in words"), result.text().encode())
        write_bytes(job.output("regions.reg", "regions as DS9 text"), wanted.region_file())
    job.stage("Writing the provenance")


def wanted_regions(job: task.Task, events: EventList) -> parameters.Wanted:
    """Return what the job wants of an event list. Raises ReductionError, too, if a region is not given."""
    if events.x is None or events.y is None:
        raise ReductionError(f"{events.name} ({events.mission.name}) has no sky coordinates, so that there are no "
                             "regions in which a limit could be counted", "eventlist")  # fmt: skip
    for name in (SOURCE, BACKGROUND):
        if not str(job.value(name, "")).strip():
            raise ReductionError("it is empty; a limit needs a region of the source and one of the background", name)
    return parameters.wanted(job, events)


def measured(job: task.Task, spectra: Mapping[str, Spectrum], confidences: Sequence[float]) -> LimitResult:
    """Return the limits from the counts of both regions. Raises ReductionError if one was not exposed."""
    require_areas(spectra)
    for name, spectrum in spectra.items():
        if not spectrum.exposure_s > 0:
            raise ReductionError("it has no live time: no good time of a CCD that it lies on", name)
    source, background = spectra[SOURCE], spectra[BACKGROUND]
    if background.selected < _FEW:
        job.log(f"Note: background region: {background.selected} counts; the limits take the background as known, "
                f"which it is from some {_FEW} counts on: give a larger region")  # fmt: skip
    ratio = source.backscal * source.exposure_s / (background.backscal * background.exposure_s)
    expected = ratio * background.selected
    found = tuple(limits(source.selected, expected, confidence) for confidence in confidences)
    encircled = float(job.value("encircled_energy") or 1.0)
    likely = chance(source.selected, expected)
    return LimitResult(source.selected, background.selected, ratio, source.exposure_s, encircled, likely, found)


def probabilities(job: task.Task) -> list[float]:
    """Return the confidences of the limits. Raises ReductionError for what is none."""
    words = str(job.value("confidence", "0.9 0.95 0.9973")).replace(",", " ").split()
    try:
        found = [float(word) for word in words]
    except ValueError as error:
        raise ReductionError(f"{' '.join(words)[:60]!r} are no confidences; give probabilities such as 0.9 0.95",
                             "confidence") from error  # fmt: skip
    if not found or not all(0 < confidence < 1 for confidence in found):
        raise ReductionError(f"{' '.join(words)[:60]!r} are no confidences; give probabilities above 0 and below 1",
                             "confidence")  # fmt: skip
    return found


if __name__ == "__main__":
    task.run(main, stages=4)
