"""Times at the barycentre: reads the parameters of the job, checks that the orbit covers the file, writes it anew."""

from __future__ import annotations

import numpy as np

from provenance.fits.headers import Cards
from reduction import task
from reduction.errors import ReductionError
from reduction.events.clock import Clock
from reduction.events.fitsfile import FitsFile, scan
from reduction.missions import CREATOR
from reduction.timing import barycentre
from reduction.timing.barycentred import (
    Barycentre,
    clock_of,
    main_table,
    position_of,
    require_covered,
    write_barycentred,
)
from reduction.timing.orbit import Orbit, read_orbit

UTC_SECONDS = ("SWIFT",)
"""Telescopes whose clock counts seconds of UTC whatever TIMESYS says."""


def main(job: task.Task) -> None:
    """Move the times of a file to the barycentre."""
    job.stage("Opening the files")
    file = scan(job.path("eventlist"), "eventlist")
    clock = clock_of(file)
    telescope = Cards(main_table(file).cards).text("TELESCOP") or Cards(file.hdus[0].cards).text("TELESCOP")
    if telescope.upper() in UTC_SECONDS:
        raise ReductionError(
            f"{telescope} counts seconds of UTC, which are not read; use barycorr of HEASoft", "eventlist"
        )
    orbit = read_orbit(job.path("orbit"), clock)
    require_covered(file, clock, orbit)
    note_clock(job, file, clock)

    job.stage("Moving times")
    to = target(job, file, clock, orbit)
    first, last = orbit.span_s
    ends = barycentre.corrections(np.array([first, last]), orbit, to.system, to.towards)
    ra, dec = to.position_deg
    job.log(f"source at {ra:.6f} {dec:+.6f} deg (ICRS), {to.system.name}")
    job.log(f"corrections from {ends[0]:.6f} s at {first:.1f} s to {ends[1]:.6f} s at {last:.1f} s")
    path = job.output("barycentred.fits", "the file with its times at the barycentre", obs_creator_name=CREATOR)
    write_barycentred(path, file, clock, to)
    job.stage("Writing the provenance")


def target(job: task.Task, file: FitsFile, clock: Clock, orbit: Orbit) -> Barycentre:
    """Return what it takes to move times. Raises ReductionError without a position or an ephemeris."""
    text = str(job.value("position", "")).split()
    keywords = {
        **file.hdus[0].cards,
        **{key: value for key, value in main_table(file).cards.items() if value is not None},
    }
    found = (float(text[0]), float(text[1]), "ICRS") if text else position_of(keywords)
    if found is None:
        raise ReductionError(f"it is empty, and {file.name} has no RA_OBJ and DEC_OBJ; give the position of the source",
                             "position")  # fmt: skip
    towards = barycentre.direction(*found)
    kernel = job.path("ephemeris") if job.value("ephemeris") else None
    system = barycentre.solar_system(clock, *orbit.span_s, kernel)
    return Barycentre(orbit, system, barycentre.position_deg(towards), towards)


def note_clock(job: task.Task, file: FitsFile, clock: Clock) -> None:
    """Log what the file does not say of its times, and whether its clock was corrected."""
    applied = main_table(file).cards.get("CLOCKAPP", file.hdus[0].cards.get("CLOCKAPP"))
    if not clock.system:
        job.log("Note: no TIMESYS: the times are taken to be TT")
    if applied is False or str(applied).strip().upper() == "F":
        job.log("Note: CLOCKAPP is F: the drift of the telescope's clock is not corrected, neither before nor here")


if __name__ == "__main__":
    task.run(main, stages=3)
