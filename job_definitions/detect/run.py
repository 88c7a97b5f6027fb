"""Source detection: makes or reads the images, finds the sources, writes the list and what it was found in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provenance.obscore import wavelength_m
from reduction import task
from reduction.calibration.psffiles import BUILT_IN, PsfFiles
from reduction.detection import eventlayers, imagelayers, sourcefile
from reduction.detection.chain import detect
from reduction.detection.eventlayers import Wanted
from reduction.detection.layers import Field
from reduction.detection.options import Options
from reduction.detection.pointspread import ProfileSource, published
from reduction.detection.sourcefile import Origin
from reduction.detection.sources import SourceList, source_list
from reduction.errors import ReductionError
from reduction.events import gti
from reduction.events.eventlist import open_eventlist
from reduction.events.fitswrite import Cards
from reduction.images.bands import overlaps, parse_bands
from reduction.missions import CREATOR
from reduction.spectra.ogip import observation_cards

STANDARD_BANDS = ("0.5 1.0", "1.0 2.0", "2.0 4.5")


@dataclass(frozen=True)
class Given:
    """The images of a job, the cards of their observation, and the columns of ObsCore that they do not state."""

    field: Field
    cards: Cards
    known: Mapping[str, Any]


def main(job: task.Task) -> None:
    """Find the sources, and write the list."""
    job.stage("Making the images" if job.values("eventlist") else "Reading the images")
    options = read_options(job)
    files = psf_files(job)
    profiles = files.profiles if files else published
    given = from_events(job, profiles) if job.values("eventlist") else from_images(job, profiles)
    for path in files.used.values() if files else ():
        job.calibrated_by(path, "point spread function")
    for layer in given.field.layers:
        job.log(f"{layer.name}: {int(layer.counts[layer.seen].sum())} counts; {layer.spread.origin}")
    if not all(layer.is_exposed for layer in given.field.layers):
        options = options.without_exposure()

    job.stage("Finding sources")
    detected = detect(given.field, options, job.log)
    for note in detected.notes:
        job.log(f"Note: {note}")
    sources = source_list(detected, options.largest_extent_arcsec)
    for line in table_of(sources):
        job.log(line)

    job.stage("Writing the source list")
    origin = Origin(given.cards, options)
    known = {"obs_creator_name": CREATOR, **given.known}
    listed = {"dataproduct_type": "measurements", "calib_level": 3, **known}
    sourcefile.write_fits(job.output("sources.fits", "list of sources", **listed), sources, detected, origin)
    sourcefile.write_votable(job.output("sources.vot", "list of sources as VOTable"), sources, origin)
    sourcefile.write_regions(job.output("sources.reg", "sources as DS9 regions"), sources)
    image = job.output(
        "image.fits", "counts of all images, with background and model", dataproduct_type="image", **known
    )
    sourcefile.write_image(image, detected, origin)
    job.stage("Writing the provenance")


def read_options(job: task.Task) -> Options:
    """Return how sources are looked for. Raise ReductionError for numbers that contradict each other."""
    cut = float(job.value("likelihood", 10.0))
    return Options(
        cut=cut, box_cut=min(6.0, cut), extent_cut=float(job.value("extent_likelihood", 4.0)),
        largest_extent_arcsec=float(job.value("largest_extent", 80.0)), nodes=int(job.value("spline_nodes", 16)),
    )  # fmt: skip


def psf_files(job: task.Task) -> PsfFiles | None:
    """Return the point spread functions among the server's calibration files; None for the published profiles.

    Raise ReductionError for a way that is none, or files that are wanted and not set up.
    """
    word = str(job.value("psf", "auto"))
    if word not in ("auto", "calibration", BUILT_IN):
        raise ReductionError(f"{word[:20]!r} is no point spread function; write auto, calibration or built-in", "psf")
    if word == BUILT_IN or (word == "auto" and job.value("psf_fwhm") is not None):
        return None
    if word == "calibration" and job.value("psf_fwhm") is not None:
        raise ReductionError("a width of the point spread function is given, too; give one or the other", "psf_fwhm")
    is_required = word == "calibration"
    try:
        files = PsfFiles.of(os.environ, job.scratch, lambda text: job.log(f"Note: {text}"), is_required=is_required)
    except ReductionError as error:
        if is_required:
            raise
        job.log(f"Note: {error}: the point spread functions are the published ones")
        return None
    if files is None and is_required:
        raise ReductionError("no calibration files of a point spread function (XRTn_XPSF_nnnn.CCF) are set up on this "
                             "server; take auto or built-in", "psf")  # fmt: skip
    return files


def from_events(job: task.Task, profiles: ProfileSource) -> Given:
    """Return the images of the event lists."""
    if job.values("images"):
        raise ReductionError("event lists and images are given; give one or the other", "images")
    paths = job.paths("eventlist")
    bands = parse_bands(job.values("bands") or list(STANDARD_BANDS))
    centre = tuple(float(word) for word in str(job.value("centre", "")).split())
    wanted = Wanted(
        bands, float(job.value("bin_size", 4.0)), (centre[0], centre[1]) if len(centre) == 2 else None,
        tuple(float(size) for size in job.values("size")), job.value("pattern", "default"),
        job.value("flag", "default"), job.value("psf_fwhm"), profiles,
    )  # fmt: skip
    for note in overlaps(bands):
        job.log(f"Note: {note}")
    with open_eventlist(paths[0]) as first:
        cards = observation_cards(first)
        user_gti = gti.read_file(job.path("gti"), first.clock) if job.value("gti") else None
    field, notes = eventlayers.layers_of(paths, wanted, user_gti)
    for note in notes:
        job.log(f"Note: {note}")
    low, high = min(band.low_kev for band in bands), max(band.high_kev for band in bands)
    longest = max(float(layer.live.max()) for layer in field.layers)
    return Given(field, cards, {"em_min": wavelength_m(high), "em_max": wavelength_m(low), "t_exptime": longest})


def from_images(job: task.Task, profiles: ProfileSource) -> Given:
    """Return the images that are given. Raise ReductionError if there are none."""
    images = job.paths("images")
    if not images:
        raise ReductionError("nothing is given in which sources could be found; give event lists, or images of counts",
                             "eventlist")  # fmt: skip
    fwhm = job.value("psf_fwhm")
    field, notes, header = imagelayers.layers_of_images(
        images, job.paths("exposure_maps"), job.paths("backgrounds"), None if fwhm is None else float(fwhm), profiles
    )
    for note in notes:
        job.log(f"Note: {note}")
    bands = [layer.band_kev for layer in field.layers if layer.band_kev]
    known: dict[str, Any] = {}
    if bands:
        known = {"em_min": wavelength_m(max(band[1] for band in bands)),
                 "em_max": wavelength_m(min(band[0] for band in bands))}  # fmt: skip
    return Given(field, imagelayers.observation_cards(header), known)


def table_of(sources: SourceList) -> list[str]:
    """Return the first sources as lines for the log."""
    columns = [sources[name] for name in ("SRC_ID", "RA", "DEC", "RADEC_ERR", "DET_ML", "COUNTS", "EXT")]
    lines = [
        f'{number:5d} {ra:10.5f} {dec:+10.5f} +-{error:4.1f}" likelihood {likelihood:8.1f} counts {counts:9.1f}'
        + (f' extent {extent:.1f}"' if extent > 0 else "")
        for number, ra, dec, error, likelihood, counts, extent in zip(*(c[:20].tolist() for c in columns), strict=True)
    ]
    return lines + ([f"and {len(sources) - 20} more"] if len(sources) > 20 else [])


if __name__ == "__main__":
    task.run(main, stages=4)
