"""Light curve of a region: reads the parameters of the job, passes once over the event list, writes the products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provenance.fits.atomic import write_bytes
from reduction import parameters, task
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList, open_eventlist
from reduction.events.selection import parse_energy
from reduction.missions import CREATOR
from reduction.spectra.spectrum import Spectrum
from reduction.spectra.subtraction import BACKGROUND, SOURCE
from reduction.timing import periods, ratefile
from reduction.timing.binning import Floats
from reduction.timing.binnings import Binning
from reduction.timing.exposure import Gap
from reduction.timing.extraction import Band, Extracted, extract_events
from reduction.timing.hardness import Hardness
from reduction.timing.lightcurve import LightCurve


def main(job: task.Task) -> None:
    """Make the light curve, and what is asked for beside it."""
    job.stage("Opening the event list")
    with open_eventlist(job.path("eventlist")) as events:
        wanted = parameters.wanted(job, events)
        bands, search = hardness_bands(job), period_range(job)
        binning = binning_of(job)
        edges = binning.known_edges(wanted.selection.gtis)
        job.stage("Counting events")
        keep = edges is None or search is not None or job.value("period")
        found = extract_events(events, wanted.selection, wanted.on_pixels, None if keep else edges, bands)
        parameters.report(job, found.spectra)
        edges = binning.edges_of(found) if edges is None else edges
        curve = found.curve(edges)
        report(job, curve)
        hardness = Hardness(*(found.curve(edges, band) for band in bands.values())) if bands else None

        job.stage("Looking for periods")
        spectrum = find_period(job, found, search) if search is not None else None
        period = job.value("period") or (spectrum.period_s if spectrum else None)
        profile = fold(job, found, float(period), epoch(job, events, edges)) if period else None
        if period and events.clock.place != "SOLARSYSTEM":
            job.log("Note: the times are not those at the barycentre: the motion of the Earth shifts the period")

        job.stage("Writing the light curve")
        gaps = found.times[SOURCE].gaps(float(edges[0]), float(edges[-1]))
        write(job, wanted, found.spectra[SOURCE], gaps, Made(curve, hardness, bands, spectrum, profile))
    job.stage("Writing the provenance")


@dataclass(frozen=True)
class Made:
    """What was made of the events: the light curve, and what was asked for beside it; `bands` go by parameter."""

    curve: LightCurve
    hardness: Hardness | None
    bands: Mapping[str, Band]
    spectrum: periods.Periodogram | None
    profile: periods.Profile | None


def write(job: task.Task, wanted: parameters.Wanted, source: Spectrum, gaps: tuple[Gap, ...], made: Made) -> None:
    """Write the products."""
    about = ratefile.CurveFile(wanted.events, wanted.subspace(), source.exposure_s, source.backscal, gaps)

    known = {**wanted.columns(), "dataproduct_type": "timeseries", "obs_creator_name": CREATOR,
             "t_exptime": source.exposure_s}  # fmt: skip

    def place(name: str, description: str) -> Path:
        return job.output(f"{name}.fits", f"{description} of the source", **known)

    ratefile.write_light_curve(place("lightcurve", "light curve"), made.curve, about)
    if made.hardness is not None:
        ratefile.write_hardness(
            place("hardness", "hardness ratio"), made.hardness, made.bands["soft_band"], made.bands["hard_band"], about
        )
    if made.spectrum is not None:
        ratefile.write_periodogram(place("periodogram", "periodogram"), made.spectrum, about)
    if made.profile is not None:
        ratefile.write_profile(place("profile", "folded profile"), made.profile, about)
    write_bytes(job.output("regions.reg", "regions as DS9 text"), wanted.region_file())


def hardness_bands(job: task.Task) -> dict[str, Band]:
    """Return the soft and the hard band in keV by parameter; none if none is given. Raises ReductionError for one."""
    given = {name: parse_energy(text, name) for name in ("soft_band", "hard_band") if (text := job.value(name))}
    if len(given) == 1:
        missing = ({"soft_band", "hard_band"} - set(given)).pop()
        raise ReductionError("it is empty; a hardness ratio needs both bands", missing)
    return given


def period_range(job: task.Task) -> tuple[float, float] | None:
    """Return the shortest and the longest period in seconds; None if none is given. Raises ReductionError."""
    text = str(job.value("periods", "")).replace(",", " ").split()
    if not text:
        return None
    try:
        low, high = map(float, text)
    except ValueError as error:
        raise ReductionError(f"{' '.join(text)[:60]!r} is no range of periods; give two numbers of seconds, such as 10 "
                             "1000", "periods") from error  # fmt: skip
    return low, high


def binning_of(job: task.Task) -> Binning:
    """Return how the light curve is binned. Raises ReductionError for a kind of bins that is none."""
    return Binning(
        str(job.value("binning", "constant")), float(job.value("bin_size", 100.0)), int(job.value("min_counts", 25)),
        float(job.value("min_snr", 5.0)), float(job.value("false_alarm", 0.01)),
    )  # fmt: skip


def report(job: task.Task, curve: LightCurve) -> None:
    """Log what the light curve has, and what took its gaps."""
    job.log(f"{curve.bins} bin{'' if curve.bins == 1 else 's'}, {int(curve.has_rate.sum())} with exposure")
    for cause, seconds in curve.lost_by_cause().items():
        job.log(f"not exposed for {seconds:.1f} s: {cause}")


def epoch(job: task.Task, events: EventList, edges: Floats) -> float:
    """Return when the phase is 0, in seconds of the event list's clock. Raises ReductionError without a reference."""
    day = job.value("epoch")
    if day is None:
        return float(edges[0])
    if events.clock.day is None:
        raise ReductionError(f"{events.name} has no MJDREF, so that no MJD can be found in it; leave it empty", "epoch")
    return ((float(day) - events.clock.day) - events.clock.fraction) * 86400 - events.clock.zero_s


def find_period(job: task.Task, found: Extracted, periods_s: tuple[float, float]) -> periods.Periodogram:
    """Return the periodogram of the events of the source, and log its highest power. Raises ReductionError."""
    spectrum = periods.periodogram(found.event_times_s(SOURCE), found.times[SOURCE], periods_s)
    job.log(f"highest power {spectrum.power[spectrum.best]:.1f} at a period of {spectrum.period_s:.6g} s; a constant "
            f"source reaches it with a probability of at most {spectrum.chance:.2g}")  # fmt: skip
    return spectrum


def fold(job: task.Task, found: Extracted, period_s: float, epoch_s: float) -> periods.Profile:
    """Return the profile of the source at a period, less its background. Raises ReductionError without events."""
    if found.spectra[SOURCE].selected == 0:
        raise ReductionError("no event is selected that could be folded", "period")
    behind = None
    if BACKGROUND in found.spectra:
        behind = found.event_times_s(BACKGROUND), found.times[BACKGROUND], found.ratio
    return periods.fold(found.event_times_s(SOURCE), found.times[SOURCE], period_s, epoch_s,
                        int(job.value("phase_bins", 20)), behind)  # fmt: skip


if __name__ == "__main__":
    task.run(main, stages=5)
