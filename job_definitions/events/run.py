"""Filtered event list: reads the parameters of the job, passes once over the event list, writes what is left of it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from provenance.fits.atomic import write_bytes
from provenance.fits.gzipped import deflate
from provenance.obscore import wavelength_m
from provenance.obscore.instruments import covered_kev
from reduction import regions, task
from reduction.events import cuts, dss, gti
from reduction.events.eventlist import EventList, open_eventlist
from reduction.events.filtered import other_hdus, writing_events
from reduction.events.phase import parse_phases
from reduction.events.selection import Selection, choose
from reduction.events.timerange import parse_times
from reduction.missions import CREATOR, parse_ccds
from reduction.parameters import place_of


def main(job: task.Task) -> None:
    """Make the filtered event list, the counts of its cuts and the region file."""
    job.stage("Opening the event list")
    with open_eventlist(job.path("eventlist")) as events:
        job.log(f"{events.mission.name}, {events.nrows} events")
        text = job.value("region", "").strip()
        region = regions.parse(text, parameter="region") if text else None
        selection = select(job, events)
        on_pixels = region.on(events.wcs) if region else None
        subspace = dss.describe_list(events, selection, on_pixels)
        if subspace.phase_share < 1:
            job.log("Note: phases: their intervals are too many to be written, so that the good times hold all phases; "
                    f"the on times of the header are {subspace.phase_share:.4g} of them")  # fmt: skip

        job.stage("Filtering events")
        packed = job.value("format", "FITS") == "FTZ"
        product = job.output(f"events.{'FTZ' if packed else 'fits'}", "events that are left by all cuts",
                             **columns(events, selection, region), dataproduct_type="event",
                             obs_creator_name=CREATOR)  # fmt: skip
        plain = Path(tempfile.mkdtemp(dir=job.scratch)) / "events.fits" if packed else product
        others = other_hdus(events, subspace)
        with writing_events(plain, events, subspace, subspace.gtis, others) as sink:
            passage = cuts.filter_events(events, selection, on_pixels, sink)
            cuts.require_in_time(events, selection, passage)
        report(job, passage)

        job.stage("Writing the products")
        if packed:
            deflate(plain, product)
            shutil.rmtree(plain.parent)
        table = "".join(f"{cut.name},{cut.left}\n" for cut in passage.cuts)
        write_bytes(job.output("counts.csv", "how many events each cut leaves"), f"cut,events\n{table}".encode())
        if region:
            write_bytes(job.output("regions.reg", "region as DS9 text"), region.to_ds9().encode())
    job.stage("Writing the provenance")


def select(job: task.Task, events: EventList) -> Selection:
    """Return the selection of events that the parameters ask for, and log its notes."""
    user_gti = gti.read_file(job.path("gti"), events.clock) if job.value("gti") else None
    selection = choose(events, job.value("energy"), job.value("pattern", "default"), job.value("flag", "default"),
                       user_gti)  # fmt: skip
    cuts.require_band(events, selection)
    selection = cuts.on_ccds(events, selection, parse_ccds(job.value("ccd", "all"), events.mission))
    selection = cuts.in_time(selection, parse_times(job.value("time", ""), events.clock))
    phases = parse_phases(job.value("phases", ""), job.value("period"), job.value("epoch", ""), events.clock)
    for note in (*events.notes, *selection.notes):
        job.log(f"Note: {note}")
    if phases:
        job.log(f"Phase 0 of the period of {phases.period_s!r} s is at {phases.epoch}")
        if events.clock.place != "SOLARSYSTEM":
            job.log("Note: phases: the times are not those at the barycentre of the solar system, up to 500 s apart")
    return cuts.at_phases(selection, phases)


def report(job: task.Task, passage: cuts.Passage) -> None:
    """Log what each cut leaves."""
    for cut in passage.cuts[1:]:
        job.log(f"{cut.name}: {cut.left} events left")
    for number, why in ((passage.no_time, "without a time"), (passage.bad_time, "outside the good times")):
        if number:
            job.log(f"Note: {number} events {why} dropped")
    if not passage.kept:
        job.log("Note: no event is left; the product is an event list without rows")


def columns(events: EventList, selection: Selection, region: regions.RegionSet | None) -> dict[str, Any]:
    """Return the columns of ObsCore that follow from the selection."""
    known: dict[str, Any] = {"calib_level": 2}
    if not selection.takes_all_energies:
        low, high = covered_kev(events.keywords, *selection.energy_kev)
        known |= {"em_min": wavelength_m(high), "em_max": wavelength_m(low)}
    return known | place_of(region)


if __name__ == "__main__":
    task.run(main, stages=4)
