"""Images in energy bands: reads the parameters of the job, passes once over the event list, writes the products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from provenance.fits.atomic import write_bytes
from provenance.obscore import wavelength_m
from provenance.obscore.instruments import covered_kev
from reduction import regions, task
from reduction.errors import ReductionError
from reduction.events import dss, gti
from reduction.events.eventlist import EventList, open_eventlist
from reduction.events.selection import Selection, choose
from reduction.images import products
from reduction.images.bands import Band, around, overlaps, parse_bands
from reduction.images.counting import Counter, count
from reduction.images.exposure import Vignetting
from reduction.images.grid import Grid, detector_grid, sky_grid
from reduction.images.imagefile import Frame, write_image
from reduction.images.observed import Exposure, Watch, footprint
from reduction.images.products import ImageProduct, Smoothing
from reduction.missions import CREATOR

_PREFIXES = {"sky": "image", "detector": "detector"}


def main(job: task.Task) -> None:
    """Make the images, the exposure map and what follows from both."""
    job.stage("Opening the event list")
    bands = parse_bands(job.values("bands") or ["0.2 12.0"])
    vignetting, smoothing = Vignetting.parse(job.value("vignetting", "")), read_smoothing(job)
    given = regions.parse(text, parameter="region") if (text := job.value("region", "").strip()) else None
    with open_eventlist(job.path("eventlist")) as events:
        job.log(f"{events.mission.name}, {events.nrows} events")
        selection, grids = select(job, events, bands), make_grids(job, events)
        region = given.on(events.wcs) if given else None

        job.stage("Counting events")
        counters = {name: Counter(events, grid, bands) for name, grid in grids.items()}
        watch = Watch.of(events)
        tally = count(events, selection, list(counters.values()), region, [watch.ccds, watch.field])

        job.stage("Making the exposure map")
        exposure = watch.exposure(events, selection, tally, grids.get("sky"), region, vignetting)
        log_notes(
            job,
            [
                *exposure.notes,
                *chain.from_iterable(
                    products.notes(counter, exposure if name == "sky" else None) for name, counter in counters.items()
                ),
            ],
        )

        job.stage("Writing images")
        frame = Frame(events, selection, exposure.live_s)
        outline = footprint(events, grids["sky"], exposure) if "sky" in grids and region is None else {}
        for product in made(job, counters, exposure, smoothing):
            write(job, frame, region, product, outline if product.grid is grids.get("sky") else {})
        picture = products.colour_picture(counters["sky"], exposure, smoothing) if "sky" in counters else None
        if picture:
            write_bytes(job.output("rgb.png", "three bands in red, green and blue"), picture)
        if given:
            write_bytes(job.output("regions.reg", "the region as DS9 text"), given.to_ds9().encode())
    job.stage("Writing the provenance")


def read_smoothing(job: task.Task) -> Smoothing:
    """Return how images are smoothed. Raise ReductionError for a word that is not known."""
    if (background := job.value("background", "local")) not in products.BACKGROUNDS:
        raise ReductionError(f"{background!r} is no background; write local or none", "background")
    return Smoothing(job.value("smoothing", "gaussian"), float(job.value("smoothing_sigma", 8.0)),
                     float(job.value("smoothing_counts", 25.0)))  # fmt: skip


def select(job: task.Task, events: EventList, bands: Sequence[Band]) -> Selection:
    """Return the selection of events that the parameters ask for, and log its notes."""
    user_gti = gti.read_file(job.path("gti"), events.clock) if job.value("gti") else None
    selection = choose(events, around(bands), job.value("pattern", "default"), job.value("flag", "default"), user_gti)
    log_notes(job, [*events.notes, *selection.notes, *overlaps(bands)])
    return selection


def make_grids(job: task.Task, events: EventList) -> dict[str, Grid]:
    """Return the grid of each plane that is asked for. Raise ReductionError for a plane that is not known or there."""
    wanted, bin_arcsec = job.value("coordinates", "sky"), float(job.value("bin_size", 4.0))
    if wanted not in ("sky", "detector", "both"):
        raise ReductionError(f"{wanted!r} are no coordinates; write sky, detector or both", "coordinates")
    centre = tuple(float(word) for word in job.value("centre", "").split())
    grids = {}
    if wanted != "detector":
        grids["sky"] = sky_grid(events, bin_arcsec, centre[:2] if len(centre) == 2 else None, job.values("size"))
    if wanted != "sky":
        grids["detector"] = detector_grid(events, bin_arcsec)
    log_notes(job, dict.fromkeys(note for grid in grids.values() for note in grid.notes))
    return grids


def made(
    job: task.Task, counters: dict[str, Counter], exposure: Exposure, smoothing: Smoothing
) -> Iterator[ImageProduct]:
    """Yield the images to be written, and log the counts of each band."""
    for name, counter in counters.items():
        for product in products.of_counts(counter, _PREFIXES[name]):
            job.log(f"{product.name}: {int(product.pixels.sum())} counts")
            yield product
    if "sky" in counters:
        yield from products.of_exposure(counters["sky"], exposure)
        if job.value("background", "local") == "local":
            yield from products.of_background(counters["sky"], exposure)
        if smoothing.kind != "none":
            yield from products.of_smoothing(counters["sky"], exposure, smoothing)


def write(job: task.Task, frame: Frame, region: Any, product: ImageProduct, outline: dict[str, Any]) -> None:
    """Write an image with the description of the events that are in it; `outline` are columns of the whole field."""
    events, selection, band = frame.events, frame.selection, product.band
    mine = band.within(events, selection) if band else selection
    low, high = covered_kev(events.keywords, *((band.low_kev, band.high_kev) if band else selection.energy_kev))
    path = job.output(product.name, product.words, dataproduct_type="image", obs_creator_name=CREATOR,
                      em_min=wavelength_m(high), em_max=wavelength_m(low), t_exptime=frame.exposure_s,
                      **product.known, **outline)  # fmt: skip
    write_image(path, product.pixels, product.grid, product.kind, frame, dss.describe(events, mine, region),
                product.cards, product.extensions)  # fmt: skip


def log_notes(job: task.Task, notes: Sequence[str] | dict[str, None]) -> None:
    """Log sentences about what is unusual."""
    for note in notes:
        job.log(f"Note: {note}")


if __name__ == "__main__":
    task.run(main, stages=5)
