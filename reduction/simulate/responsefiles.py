"""The responses that an observation was drawn through, as RMF and ARF files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reduction import responses
from reduction.events.fitswrite import Cards
from reduction.simulate import spectra
from reduction.simulate.cameras import Camera
from reduction.simulate.draw import Detector, detectors
from reduction.simulate.observation import Observation
from reduction.simulate.photons import light_of
from reduction.simulate.response import FILTER, GRID, BuiltIn


def write_responses(observation: Observation, folder: Path, camera: Camera) -> list[Path]:
    """Write the RMF of a camera and the ARF of each source, for usual patterns in a circle of 40 arcsec about it.

    Parameters
    ----------
    observation
        What was observed.
    folder
        Where the event lists are.
    camera
        The camera.

    Returns
    -------
    list
        The RMF and the ARFs in the order of the sources, named like the event list.
    """
    stem = f"P{observation.obs_id}{camera.product}"
    cards: Cards = [
        ("ORIGIN", "SIMULATION", "simulated: not an observation"),
        ("OBS_ID", observation.obs_id, "Observation identifier"),
    ]
    paths = [folder / f"{stem}0000.RMF"]
    responses.write_redistribution(paths[0], BuiltIn(camera, observation.date).redistribution(), cards)
    chips = detectors(observation, camera)
    for number in range(len(observation.sources)):
        paths.append(folder / f"{stem}{number + 1:04d}.ARF")
        responses.write_effective_area(paths[-1], area_in_circle(observation, camera, chips, number), cards)
    return paths


def area_in_circle(
    observation: Observation, camera: Camera, chips: tuple[Detector, ...], number: int
) -> responses.EffectiveArea:
    """Return the area for a source in the circle about it, as it was drawn.

    Parameters
    ----------
    observation
        What was observed.
    camera
        The camera.
    chips
        Its CCDs, from `detectors`.
    number
        Index of the source in `observation.sources`.

    Returns
    -------
    EffectiveArea
        cm2 for usual patterns: area on the axis, vignetting, the light within the circle, less gaps and bad pixels.
        Photons out of time are missing, but for those that fall into the circle all the same.
    """
    light, energy = light_of(observation, camera, chips, number), spectra.MIDDLES_KEV
    share = light.share(light.in_circle, energy)
    area = BuiltIn(camera, observation.date).area(energy, light.off_axis_arcmin, share) * share
    row = GRID.index(energy)
    counts = np.bincount(row[row >= 0], minlength=GRID.size)
    mean = np.bincount(row[row >= 0], area[row >= 0], minlength=GRID.size) / np.maximum(counts, 1)
    return responses.EffectiveArea(GRID, mean, responses.grid.Camera("XMM", camera.key, FILTER))
