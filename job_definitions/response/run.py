"""Response of a region: reads the parameters of the job, makes matrix and area, names them in the spectrum."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord

from provenance.fits.atomic import write_bytes
from reduction import parameters, task
from reduction.calibration import area, make, source, view
from reduction.calibration.make import Responses
from reduction.calibration.naming import name_responses
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList, open_eventlist
from reduction.events.pointing import to_plane
from reduction.missions import CREATOR
from reduction.parameters import Wanted
from reduction.responses import write_effective_area, write_redistribution
from reduction.sas import responses as sas
from reduction.spectra.channels import with_channels
from reduction.spectra.ogip import write_spectrum
from reduction.spectra.spectrum import Spectrum, extract
from reduction.spectra.subtraction import SOURCE

SPECTRUM, MATRIX, AREA = "spectrum.fits", "response.rmf", "response.arf"


def main(job: task.Task) -> None:
    """Make the responses and name them in the spectrum."""
    job.stage("Opening the event list")
    with open_eventlist(job.path("eventlist")) as opened:
        wanted = wanted_region(job, with_channels(opened, job.value("channel_width")))
        way = method(job)
        job.stage("Extracting the spectrum" if way != "sas" else "Running the SAS")
        outputs = announce(job, wanted)
        if way == "sas":
            run_sas(job, wanted, outputs)
        else:
            spectrum, made = measured(job, wanted, way)
            job.stage("Writing the responses")
            write_spectrum(outputs[SPECTRUM], spectrum, wanted.events, wanted.subspace())
            cards = make.cards_of(wanted.events, made)
            write_redistribution(outputs[MATRIX], made.matrix, cards)
            write_effective_area(outputs[AREA], made.area, cards)
            job.tell(SPECTRUM, t_exptime=spectrum.exposure_s)
        named = job.path("spectrum") if job.value("spectrum") else outputs[SPECTRUM]
        name_responses(named, outputs[SPECTRUM], MATRIX, AREA, wanted.events.mission.channels.size)
        write_bytes(job.output("regions.reg", "the region as DS9 text"), wanted.region_file())
    job.stage("Writing the provenance")


def wanted_region(job: task.Task, events: EventList) -> Wanted:
    """Return what the job wants of an event list. Raises ReductionError if no region is given, or it is not of EPIC."""
    make.camera_of(events)
    if not str(job.value(SOURCE, "")).strip():
        raise ReductionError("it is empty; a response is that of a region", SOURCE)
    return parameters.wanted(job, events)


def method(job: task.Task) -> str:
    """Return how the responses are made: sas, calibration or built-in.

    Raises ReductionError for a way that is none, or is not set up on the server.
    """
    word = str(job.value("method", "auto"))
    if word == "auto":
        word = "sas" if sas.is_installed(os.environ) and not job.value("rmf") else ""
        return word or ("calibration" if source.is_set(os.environ) else "built-in")
    if word == "sas" and job.value("rmf"):
        raise ReductionError("the SAS makes a matrix of its own; take auto, calibration or built-in with yours", "rmf")
    if word == "calibration" and not source.is_set(os.environ):
        raise ReductionError("no calibration files are set up on this server; take auto or built-in", "method")
    if word not in ("sas", "calibration", "built-in"):
        raise ReductionError(f"{word[:20]!r} is no method; write auto, sas, calibration or built-in", "method")
    return word


def announce(job: task.Task, wanted: Wanted) -> dict[str, Path]:
    """Announce the products, and return their paths by name."""
    known = {**wanted.columns(), "obs_creator_name": CREATOR}
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        SPECTRUM: ("spectrum of the region, which names its responses", {"dataproduct_type": "spectrum"}),
        MATRIX: ("redistribution matrix", {}),
        AREA: ("effective area", {}),
    }
    return {name: job.output(name, words, **known, **more) for name, (words, more) in kinds.items()}


def run_sas(job: task.Task, wanted: Wanted, outputs: Mapping[str, Path]) -> None:
    """Make spectrum and responses by the tasks of the SAS."""
    events, mission = wanted.events, wanted.events.mission
    position = source_position(job)
    at = (float(position.ra.deg), float(position.dec.deg)) if position is not None else None
    highest = (mission.last_channel + 1) * mission.channel_divisor - 1
    region = sas.SasRegion(events.path, wanted.subspace().expression, mission.channel_divisor, highest,
                           job.value("source_extent", "point") != "point", at)  # fmt: skip
    files = sas.SasFiles(outputs[SPECTRUM], outputs[MATRIX], outputs[AREA])
    for ran in sas.run_tasks(region, files):
        job.also(ran.name, ran.reads, ran.writes, ran.given, ran.release)


def source_position(job: task.Task) -> SkyCoord | None:
    """Return the position that the user gave; None if there is none."""
    words = str(job.value("source_position", "")).split()
    return SkyCoord(float(words[0]), float(words[1]), unit="deg", frame="icrs") if len(words) >= 2 else None


def measured(job: task.Task, wanted: Wanted, way: str) -> tuple[Spectrum, Responses]:
    """Extract the spectrum, look where the region lies, and make its responses."""
    events, region = wanted.events, wanted.on_pixels[SOURCE]
    seen: list[np.ndarray] = [np.empty((2, 0))]
    sink = {SOURCE: lambda rows: seen.append(in_plane(events, rows))}
    spectra = extract(events, wanted.selection, {SOURCE: region}, sink)
    parameters.report(job, spectra)

    job.stage("Making the responses")
    position = source_position(job)
    centre = view.middle_of(region) if position is None else to_plane(events, position)
    x, y = np.concatenate(seen, axis=1)
    looked, spot = make.look_at(events, region, str(job.value("source_extent", "point")), centre, (x, y))
    observed = make.Observed.of(events, wanted.selection.patterns, spot)
    files = source.from_environment(os.environ, job.scratch) if way == "calibration" else None
    own = job.path("rmf") if job.value("rmf") else None
    made = make.make_responses(observed, looked, pattern_of(job, wanted, spectra[SOURCE]), files, own)
    for line in made.origins:
        job.log(f"Note: {line}")
    return spectra[SOURCE], made


def in_plane(events: EventList, rows: np.ndarray) -> np.ndarray:
    """Return X and Y of rows, shape (2, n)."""
    assert events.x is not None and events.y is not None
    return np.stack((events.x.floats(rows), events.y.floats(rows)))


def pattern_of(job: task.Task, wanted: Wanted, spectrum: Spectrum) -> area.Curve:
    """Return what the choice of patterns leaves of the usual ones: known, else measured from the events."""
    events, instrument = wanted.events, str(wanted.events.keywords.get("INSTRUME") or "").strip()
    known = area.known_pattern(instrument, make.pattern_text(wanted.selection.patterns))
    if known is not None:
        return known
    job.log("Note: what these patterns do to the area is measured from the events of the region, background included")
    usual = replace(wanted.selection, patterns=events.mission.default_patterns)
    counts = extract(events, usual, {SOURCE: wanted.on_pixels[SOURCE]})[SOURCE].counts
    return area.measured_pattern(spectrum.counts, counts, events.mission.channel_energies())


if __name__ == "__main__":
    task.run(main, stages=5)
