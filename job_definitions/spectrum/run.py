"""Spectrum of a region: reads the parameters of the job, passes once over the event list, writes the products."""

from __future__ import annotations

from collections.abc import Mapping

from provenance.fits.atomic import write_bytes
from provenance.fits.columns import Rows
from reduction import parameters, task
from reduction.events.eventlist import open_eventlist
from reduction.events.filtered import writing_events
from reduction.missions import CREATOR
from reduction.parameters import Wanted
from reduction.spectra import patterns
from reduction.spectra.channels import with_channels
from reduction.spectra.groupings import ChannelGrouping
from reduction.spectra.ogip import write_spectrum
from reduction.spectra.patternfile import write_patterns
from reduction.spectra.patterns import PatternCounts, PileUp
from reduction.spectra.spectrum import Spectrum, extract
from reduction.spectra.subtraction import BACKGROUND, SOURCE, require_areas

FILES = {SOURCE: "source_spectrum.fits", BACKGROUND: "background_spectrum.fits"}


def main(job: task.Task) -> None:
    """Make the spectra, the filtered event list and the region file."""
    job.stage("Opening the event list")
    with open_eventlist(job.path("eventlist")) as opened:
        wanted = parameters.wanted(job, with_channels(opened, job.value("channel_width")))
        grouping = ChannelGrouping.asked(job.value)

        job.stage("Filtering events")
        counted = patterns.counter(wanted.events, wanted.selection)
        spectra = filtered(job, wanted, counted)

        job.stage("Grouping channels")
        background, energies = spectra.get(BACKGROUND), wanted.selection.energy_kev
        spectra = {name: grouping.of(spectrum, energies, background if name == SOURCE else None)
                   for name, spectrum in spectra.items()}  # fmt: skip

        job.stage("Writing spectra")
        parameters.report(job, spectra)
        write(job, wanted, spectra, tell_pile_up(job, wanted, counted) if counted else None)
        write_bytes(job.output("regions.reg", "regions as DS9 text"), wanted.region_file())
    job.stage("Writing the provenance")


def filtered(job: task.Task, wanted: Wanted, counted: PatternCounts | None) -> dict[str, Spectrum]:
    """Write the events of the source region, count their patterns, and return the spectra of both regions."""
    path = job.output("events.fits", "events of the source region", **wanted.columns(), dataproduct_type="event",
                      obs_creator_name=CREATOR)  # fmt: skip
    with writing_events(path, wanted.events, wanted.subspace(), wanted.selection.gtis) as sink:

        def take(rows: Rows) -> None:
            sink(rows)
            if counted is not None:
                counted(rows)

        spectra = extract(wanted.events, wanted.selection, wanted.on_pixels, {SOURCE: take})
    if BACKGROUND in spectra:
        require_areas(spectra)
    job.tell(path.name, t_exptime=spectra[SOURCE].exposure_s)
    return spectra


def tell_pile_up(job: task.Task, wanted: Wanted, counted: PatternCounts) -> PileUp | None:
    """Write the patterns of the source's events, and log what they say of pile-up; None for too few events."""
    found = patterns.pile_up(counted)
    path = job.output("patterns.fits", "patterns of the events of the source region", **wanted.columns(),
                      dataproduct_type="measurements")  # fmt: skip
    write_patterns(path, counted, found, wanted.subspace())
    if found is not None:
        job.log(f"{'Note: ' if abs(found.significance) >= patterns.SIGMAS else ''}source region: {found.sentence}")
    return found


def write(job: task.Task, wanted: Wanted, spectra: Mapping[str, Spectrum], found: PileUp | None) -> None:
    """Write the spectra, that of the source with the name of its background and what its patterns say."""
    for name, spectrum in spectra.items():
        path = job.output(FILES[name], f"spectrum of the {name.removesuffix('_region')} region",
                          **wanted.columns(name), dataproduct_type="spectrum",
                          t_exptime=spectrum.exposure_s)  # fmt: skip
        behind = FILES[BACKGROUND] if BACKGROUND in spectra else "NONE"
        words = ("TOTAL", behind, wanted.shared_area, found.cards if found else ()) if name == SOURCE else ("BKG",)
        if spectrum.off_channels:
            job.log(f"Note: {name.replace('_', ' ')}: {spectrum.off_channels} of these counts have no channel in the "
                    "spectrum and are left out of it")  # fmt: skip
        write_spectrum(path, spectrum, wanted.events, wanted.subspace(name), *words)


if __name__ == "__main__":
    task.run(main, stages=5)
