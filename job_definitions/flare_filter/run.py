"""Flare filter: makes or reads the light curve of flares, finds its threshold, writes it and the good time below."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from reduction import regions, task
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList, open_eventlist
from reduction.events.selection import Selection, choose
from reduction.missions import CREATOR
from reduction.timing import flarecurve, flares
from reduction.timing.flarefiles import write_curve, write_gti
from reduction.timing.flares import FlareCut


@dataclass(frozen=True)
class Source:
    """A light curve, and the event list and selection that it is from; None where it was given."""

    data: flarecurve.FlareData
    events: EventList | None = None
    selection: Selection | None = None


def main(job: task.Task) -> None:
    """Make the light curve and the good time."""
    job.stage("Opening the data")
    with opened(job) as source:
        data = source.data
        for note in data.notes:
            job.log(f"Note: {note}")
        curve = data.curve
        job.log(f"{len(curve.start_s)} bins, {curve.counts.sum():.0f} counts, {data.listed.total:.1f} s of good time")
        left_out = int((~curve.usable & (curve.exposed_s > 0)).sum())
        if left_out:
            job.log(f"Note: {left_out} bins exposed for less than {flares.LEAST_EXPOSED:.0%} are left out")
        job.stage("Finding the threshold")
        cut = threshold(job, source)
        good = flares.good_time(curve, cut, data.listed)
        job.log(f"Threshold {cut.threshold:.4g} count/s ({cut.origin}): {int(cut.kept.sum())} of "
                f"{int(curve.usable.sum())} bins kept")  # fmt: skip
        job.log(f"Good time left: {good.total:.1f} of {data.listed.total:.1f} s "
                f"({100 * good.total / data.listed.total:.1f} %) in {len(good)} intervals")  # fmt: skip
        if hidden := flares.hidden(curve, cut):
            job.log(f"Note: kept though above the threshold over their good time: {hidden} of the bins; the rates of "
                    "the light curve are not corrected for exposure")  # fmt: skip
        job.stage("Writing the products")
        known: dict[str, Any] = {"calib_level": 2, "obs_creator_name": CREATOR, "t_exptime": good.total}
        write_gti(job.output("gti.fits", "good time below the threshold", **known), data, good)
        path = job.output("lightcurve.fits", "light curve of flares with the threshold", **known,
                          dataproduct_type="timeseries")  # fmt: skip
        write_curve(path, data, cut, good)
    job.stage("Writing the provenance")


@contextmanager
def opened(job: task.Task) -> Iterator[Source]:
    """Open the event list, or the light curve. Raise ReductionError if both or none are given."""
    if bool(job.value("eventlist")) == bool(job.value("lightcurve")):
        raise ReductionError("an event list or a light curve is wanted, and not both", "eventlist")
    if job.value("lightcurve"):
        yield Source(flarecurve.read(job.path("lightcurve")))
        return
    with open_eventlist(job.path("eventlist")) as events:
        job.log(f"{events.mission.name}, {events.nrows} events")
        band = job.value("energy") or events.mission.flare_kev
        if not band:
            raise ReductionError(f"for {events.mission.name} no energies without photons of the sky are known; "
                                 "give a band", "energy")  # fmt: skip
        selection = choose(events, band, "0" if events.mission.pattern else "all", job.value("flag", "default"))
        for note in (*events.notes, *selection.notes):
            job.log(f"Note: {note}")
        data = flarecurve.from_events(events, selection, flarecurve.edges_of(selection, job.value("bin_size", 100.0)))
        yield Source(data, events, selection)


def threshold(job: task.Task, source: Source) -> FlareCut:
    """Return the cut that the parameters ask for. Raise ReductionError if they do not go together."""
    method, curve, events = job.value("method", "fixed"), source.data.curve, source.events
    if method == "sigma":
        return flares.clipped(curve, job.value("sigma", 3.0))
    if method == "fixed":
        rate = job.value("threshold") or (events.mission.flare_threshold if events else None)
        if rate is None:
            raise ReductionError("no threshold is given; the usual one is known for event lists of XMM-Newton alone",
                                 "threshold")  # fmt: skip
        return flares.fixed(curve, rate)
    text = job.value("source_region", "").strip()
    if events is None or source.selection is None or not text:
        raise ReductionError("the best signal to noise wants an event list and the region of a source", "source_region")
    region = regions.parse(text, parameter="source_region").on(events.wcs)
    wanted = choose(events, job.value("source_energy", "0.5 7.5"), flag=job.value("flag", "default"))
    edges = flarecurve.edges_of(source.selection, job.value("bin_size", 100.0))
    return flares.best_signal(curve, flarecurve.counted(events, wanted, region, edges))


if __name__ == "__main__":
    task.run(main, stages=4)
