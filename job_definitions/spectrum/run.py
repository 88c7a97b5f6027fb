"""Spectrum of a region: reads the parameters of the job, passes once over the event list, writes the products."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from provenance.fits.atomic import write_bytes
from provenance.obscore import wavelength_m
from provenance.obscore.instruments import covered_kev
from reduction import regions, task
from reduction.errors import ReductionError
from reduction.events import dss, gti
from reduction.events.eventlist import EventList, open_eventlist
from reduction.events.filtered import writing_events
from reduction.events.selection import Selection, choose
from reduction.missions import CREATOR
from reduction.spectra.channels import with_channels
from reduction.spectra.grouping import check_minimum
from reduction.spectra.ogip import write_spectrum
from reduction.spectra.spectrum import Spectrum, extract
from reduction.spectra.subtraction import require_areas, require_separate

SOURCE, BACKGROUND = "source_region", "background_region"
_LARGEST_DEG = 1.0
"""Radius of a region that is larger than the field of view of every telescope whose lists can be reduced."""


def main(job: task.Task) -> None:
    """Make the spectra, the filtered event list and the region file."""
    job.stage("Opening the event list")
    with open_eventlist(job.path("eventlist")) as opened:
        events = with_channels(opened, job.value("channel_width"))
        job.log(f"{events.mission.name}, {events.nrows} events")
        given = {name: regions.parse(text, parameter=name)
                 for name in (SOURCE, BACKGROUND) if (text := job.value(name, "").strip())}  # fmt: skip
        note_sizes(job, given)
        selection = select(job, events)
        group = grouper(job, selection.energy_kev)
        on_pixels: dict[str, Any] = {SOURCE: None} | {name: shape.on(events.wcs) for name, shape in given.items()}
        shared_area = note_overlap(job, on_pixels)
        subspaces = {name: dss.describe(events, selection, region) for name, region in on_pixels.items()}

        job.stage("Filtering events")
        band_kev = covered_kev(events.keywords, *selection.energy_kev)
        known = {name: columns(given.get(name), band_kev) for name in on_pixels}
        filtered = job.output("events.fits", "events of the source region", **known[SOURCE], dataproduct_type="event",
                              obs_creator_name=CREATOR)  # fmt: skip
        with writing_events(filtered, events, subspaces[SOURCE], selection.gtis) as sink:
            spectra = extract(events, selection, on_pixels, {SOURCE: sink})
        if BACKGROUND in spectra:
            require_areas(spectra)
        job.tell(filtered.name, t_exptime=spectra[SOURCE].exposure_s)

        job.stage("Grouping channels")
        spectra = {name: group(spectrum) for name, spectrum in spectra.items()}

        job.stage("Writing spectra")
        files = {SOURCE: "source_spectrum.fits", BACKGROUND: "background_spectrum.fits"}
        for name, spectrum in spectra.items():
            report(job, name, spectrum)
            role = name.removesuffix("_region")
            path = job.output(files[name], f"spectrum of the {role} region", **known[name],
                              dataproduct_type="spectrum", t_exptime=spectrum.exposure_s)  # fmt: skip
            words = ("TOTAL", files[BACKGROUND] if BACKGROUND in spectra else "NONE", shared_area)
            write_spectrum(path, spectrum, events, subspaces[name], *(words if name == SOURCE else ("BKG",)))
        write_bytes(job.output("regions.reg", "regions as DS9 text"), region_file(given).encode())
    job.stage("Writing the provenance")


def select(job: task.Task, events: EventList) -> Selection:
    """Return the selection of events that the parameters ask for, and log its notes."""
    user_gti = gti.read_file(job.path("gti"), events.clock) if job.value("gti") else None
    selection = choose(events, job.value("energy", "0.2 12.0"), job.value("pattern", "default"),
                       job.value("flag", "default"), user_gti)  # fmt: skip
    for note in (*events.notes, *selection.notes):
        job.log(f"Note: {note}")
    return selection


def note_sizes(job: task.Task, given: Mapping[str, regions.RegionSet]) -> None:
    """Log a note if a region is larger than any field of view: DS9 takes a size without unit as degrees."""
    for name, region in given.items():
        circle = region.centre_and_radius()
        if circle and circle[1].deg > _LARGEST_DEG:
            job.log(f"Note: {name} reaches {circle[1].deg:.3g} deg, more than any field of view; "
                    "sizes without unit are degrees, 40\" is 40 arcsec")  # fmt: skip


def note_overlap(job: task.Task, on_pixels: Mapping[str, Any]) -> float:
    """Log a note if the background overlaps the source; return the part of the source's area that both share.

    Raises ReductionError if the background cannot be subtracted: there is no source region, or both are the same.
    """
    if BACKGROUND not in on_pixels:
        return 0.0
    found = require_separate(on_pixels[SOURCE], on_pixels[BACKGROUND])
    if not found.is_there:
        return 0.0
    job.log(f"Note: {found.sentence}")
    return found.of_source


def grouper(job: task.Task, energy_kev: tuple[float, float]) -> Callable[[Spectrum], Spectrum]:
    """Return the function that groups the channels of a spectrum as the parameters ask.

    Raises ReductionError if the grouping is not known, or the minimum of counts is below 1.
    """
    grouping, minimum = job.value("grouping", "mincounts"), int(job.value("min_counts", 20))
    if grouping == "mincounts":
        check_minimum(minimum)
        return lambda spectrum: spectrum.grouped_by_counts(minimum, energy_kev)
    if grouping == "optimal":
        return lambda spectrum: spectrum.grouped_optimally(energy_kev)
    if grouping == "none":
        return lambda spectrum: spectrum
    raise ReductionError(f"{grouping!r} is no grouping; write mincounts, optimal or none", "grouping")


def report(job: task.Task, name: str, spectrum: Spectrum) -> None:
    """Log counts, exposure and area of a spectrum, the events that were dropped, and its notes."""
    job.log(f"{name.replace('_', ' ')}: {spectrum.total} counts, exposure {spectrum.exposure_s:.1f} s, "
            f"BACKSCAL {spectrum.backscal:.0f}")  # fmt: skip
    dropped = ((spectrum.no_time, "without a time"), (spectrum.bad_time, "outside the good times"),
               (spectrum.off_channels, "outside the channels"))  # fmt: skip
    for number, why in dropped:
        if number:
            job.log(f"Note: {name.replace('_', ' ')}: {number} events {why} dropped")
    for note in spectrum.notes:
        job.log(f"Note: {name.replace('_', ' ')}: {note}")


def columns(region: regions.RegionSet | None, band_kev: tuple[float, float]) -> dict[str, Any]:
    """Return the columns of ObsCore that follow from a region and an energy band."""
    low, high = band_kev
    known: dict[str, Any] = {"calib_level": 2, "em_min": wavelength_m(high), "em_max": wavelength_m(low)}
    circle = region.centre_and_radius() if region else None
    if region and circle:
        centre, radius = circle
        known |= {"s_ra": float(centre.ra.deg), "s_dec": float(centre.dec.deg), "s_fov": 2 * float(radius.deg),
                  "s_region": region.to_stcs()}  # fmt: skip
    return known


def region_file(given: Mapping[str, regions.RegionSet]) -> str:
    """Return the regions as DS9 text, those of the background marked as such."""
    lines = ["# Region file format: DS9"] if given else ["# Region file format: DS9", "# all events"]
    for name, region in given.items():
        for line in region.to_ds9().splitlines():
            if line.startswith("#") or not line.strip():
                continue
            lines.append(f"{line} # background" if name == BACKGROUND and "(" in line else line)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    task.run(main, stages=5)
