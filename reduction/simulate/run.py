"""The simulation of an observation: the event lists of the cameras, and the truth in a file in the same folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from provenance.fits.atomic import write_bytes
from reduction import responses
from reduction.errors import ReductionError
from reduction.simulate.background import background_hits
from reduction.simulate.cameras import CAMERAS
from reduction.simulate.draw import detectors
from reduction.simulate.observation import Observation
from reduction.simulate.response import BuiltIn, Given
from reduction.simulate.truth import CameraRun, observed_truth
from reduction.simulate.write import write_event_list

Progress = Callable[[int, int, str], None]
"""Function that is called with the number of CCDs done, that of all, and a message about what comes next."""

Responses = Mapping[str, tuple[responses.Redistribution, responses.EffectiveArea]]
"""Key of `CAMERAS` -> redistribution, and area in a circle of `response.CIRCLE_ARCSEC` about each source."""

MAX_ROWS = 100_000_000
"""Most rows of a simulated pn list."""


def simulate(
    observation: Observation,
    folder: Path,
    progress: Progress | None = None,
    cameras: Sequence[str] = tuple(CAMERAS),
    through: Responses | None = None,
) -> list[Path]:
    """Write the event lists of cameras, and the truth (see `truth_path`), into a folder.

    The memory needed is about that of the events of one CCD. The file of a camera does not depend on the other cameras.

    Parameters
    ----------
    observation
        What is observed.
    folder
        Made if it does not exist.
    progress
        Called before every CCD and at the end; None for no calls.
    cameras
        Keys of `CAMERAS`.
    through
        Responses to draw photons through, by camera; a camera that is not there has its own, which
        `responsefiles.write_responses` writes.

    Returns
    -------
    list
        The event lists, in the order of `cameras`, named like pipeline products.

    Raises
    ------
    ReductionError
        A camera is unknown, a source is outside the field, or a response is not one of EPIC.
    """
    unknown = [key for key in (*cameras, *(through or {})) if key not in CAMERAS]
    if unknown or not cameras:
        raise ReductionError(f"cameras are some of {', '.join(CAMERAS)}, not {', '.join(unknown) or 'none'}", "cameras")
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(len(CAMERAS[key].ccds) for key in cameras)
    report, done = progress or _silent, 0
    paths, truth = [], {}
    for key in cameras:
        run = _run(observation, key, through)
        path = folder / f"P{observation.obs_id}{run.camera.product}0000.FITS"
        rows = write_event_list(path, observation, run.camera, run.chips, run.rows(report, done, total))
        truth[key] = {"file": path.name, "rows": rows, **run.truth()}
        done += len(run.chips)
        paths.append(path)
    document = json.dumps(observed_truth(observation, truth), indent=1, sort_keys=True)
    write_bytes(truth_path(folder, observation), f"{document}\n".encode("ascii"))
    report(total, total, "written")
    return paths


def truth_path(folder: Path, observation: Observation) -> Path:
    """Return the path of the file with the truth of an observation."""
    return folder / f"{observation.obs_id}_truth.json"


def with_pn_rows(observation: Observation, rows: int) -> Observation:
    """Return the observation with its background scaled so that pn has about `rows` events (to 1 %).

    Parameters
    ----------
    observation
        The observation to scale.
    rows
        Number of events that pn shall have, those of the sources included.

    Returns
    -------
    Observation
        The same observation with other rates of the background.

    Raises
    ------
    ReductionError
        There would be more than 100 million rows, or fewer than the sources alone give, or the background is too weak.
    """
    run = _run(observation, "EPN", None)
    sources = sum(run.expected(number)["detected"] for number in range(len(observation.sources)))
    background = sum(
        float(len(background_hits(observation, run.camera, chip, run.response).pixel)) for chip in run.chips
    )
    if background < 1000:
        raise ReductionError("the background of this observation is too weak to be scaled", "rows")
    if not sources < rows <= MAX_ROWS:
        raise ReductionError(
            f"{rows:,} rows cannot be had by scaling the background: ask for more than the {sources:,.0f} of the "
            f"sources and at most {MAX_ROWS:,}", "rows")  # fmt: skip
    factor = (rows - sources) / background
    names = ("particle_rate", "sky_rate", "proton_rate")
    return replace(observation, **{name: getattr(observation, name) * factor for name in names})


def _run(observation: Observation, key: str, through: Responses | None) -> CameraRun:
    camera = observation.camera(key)
    response = Given(camera, *through[key]) if through and key in through else BuiltIn(camera, observation.date)
    return CameraRun(observation, camera, detectors(observation, camera), response)


def _silent(done: int, total: int, message: str) -> None:
    """Report no progress."""
