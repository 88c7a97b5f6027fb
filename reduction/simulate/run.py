"""The simulation of an observation: the event lists of the cameras, and the truth in a file in the same folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from provenance.fits.atomic import write_bytes
from reduction.errors import ReductionError
from reduction.simulate import spectra
from reduction.simulate.cameras import CAMERAS, EPN, UNITS_PER_ARCSEC, Camera
from reduction.simulate.draw import (
    FIRST_SOURCE,
    KING_CORE_ARCSEC,
    KING_SLOPE,
    PSF_LIMIT_ARCSEC,
    Detector,
    Hits,
    background_hits,
    detectors,
    expected_photons,
    rows_of,
    scattered,
    source_hits,
    stream,
    within,
)
from reduction.simulate.observation import Observation
from reduction.simulate.write import ontime_s, write_event_list

Progress = Callable[[int, int, str], None]
"""Function that is called with the number of CCDs done, that of all, and a message about what comes next."""

CIRCLE_RADIUS = 800
"""Radius in X,Y pixels (40 arcsec) of the circle whose counts are in the truth."""

TRIAL_PHOTONS = 100_000
"""Trial photons that give the detected share of a source's photons, good to 0.2 %."""

MAX_ROWS = 100_000_000
"""Most rows of a simulated pn list."""


def simulate(
    observation: Observation,
    folder: Path,
    progress: Progress | None = None,
    cameras: Sequence[str] = tuple(CAMERAS),
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

    Returns
    -------
    list
        The event lists, in the order of `cameras`, named like pipeline products.

    Raises
    ------
    ReductionError
        A camera is unknown, or a source is outside the field.
    """
    unknown = [key for key in cameras if key not in CAMERAS]
    if unknown or not cameras:
        raise ReductionError(f"cameras are some of {', '.join(CAMERAS)}, not {', '.join(unknown) or 'none'}", "cameras")
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(len(CAMERAS[key].ccds) for key in cameras)
    report, done = progress or _silent, 0
    paths, truth = [], {}
    for key in cameras:
        camera = CAMERAS[key]
        run = _Run(observation, camera, detectors(observation, camera))
        path = folder / f"P{observation.obs_id}{camera.product}0000.FITS"
        rows = write_event_list(path, observation, camera, run.chips, run.rows(report, done, total))
        truth[key] = {"file": path.name, "rows": rows, **run.truth()}
        done += len(camera.ccds)
        paths.append(path)
    document = json.dumps(_truth(observation, truth), indent=1, sort_keys=True)
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
        The same observation with other rates of the particle and the sky background.

    Raises
    ------
    ReductionError
        There would be more than 100 million rows, or fewer than the sources alone give, or the background is too weak.
    """
    run = _Run(observation, EPN, detectors(observation, EPN))
    sources = sum(run.expected(number)["detected"] for number in range(len(observation.sources)))
    background = sum(float(len(background_hits(observation, EPN, chip).pixel)) for chip in run.chips)
    if background < 1000:
        raise ReductionError("the background of this observation is too weak to be scaled", "rows")
    if not sources < rows <= MAX_ROWS:
        raise ReductionError(
            f"{rows:,} rows cannot be had by scaling the background: ask for more than the {sources:,.0f} of the "
            f"sources and at most {MAX_ROWS:,}", "rows")  # fmt: skip
    factor = (rows - sources) / background
    return replace(
        observation, particle_rate=observation.particle_rate * factor, sky_rate=observation.sky_rate * factor
    )


@dataclass
class _Run:
    """Simulation of one camera, with the counts for the truth."""

    observation: Observation
    camera: Camera
    chips: tuple[Detector, ...]
    counted: dict[str, np.ndarray] = field(default_factory=dict)

    def rows(self, report: Progress, done: int, total: int) -> Iterator[np.ndarray]:
        """Yield the rows of the CCDs, one after another."""
        observation, camera = self.observation, self.camera
        photons = [source_hits(observation, camera, self.chips, n) for n in range(len(observation.sources))]
        for index, chip in enumerate(self.chips):
            report(done + index, total, f"{camera.key} CCD {chip.ccd.number}")
            hits = Hits.joined([background_hits(observation, camera, chip), *(p[chip.ccd.number] for p in photons)])
            draw = stream(observation, camera, "rows", chip.ccd.number)
            rows, origin = rows_of(draw, observation, camera, chip, hits)
            self._count(rows, origin)
            yield rows

    def _count(self, rows: np.ndarray, origin: np.ndarray) -> None:
        names = FIRST_SOURCE + len(self.observation.sources)
        self._add("drawn", np.bincount(origin, minlength=names))
        usual = self._is_usual(rows)
        in_band = usual & (rows["PI"] >= 200) & (rows["PI"] <= 12000)
        for number, source in enumerate(self.observation.sources):
            near = within(rows, self.observation.sky_position(source), CIRCLE_RADIUS)
            of_source = origin == FIRST_SOURCE + number
            kinds = near & usual, near & in_band, near & usual & of_source, near & in_band & of_source
            self._add(f"circle{number}", np.array([np.count_nonzero(kind) for kind in kinds]))

    def _add(self, name: str, counts: np.ndarray) -> None:
        self.counted[name] = self.counted.get(name, 0) + counts

    def _is_usual(self, rows: np.ndarray) -> np.ndarray:
        good = (rows["FLAG"] & np.int64(self.camera.flag_mask)) == 0
        return np.asarray(good & (rows["PATTERN"] <= self.camera.usual_pattern))

    def expected(self, number: int) -> dict[str, float]:
        """Return the mean counts of a source from trial photons: all detected ones, and the usual in the circle."""
        observation, camera = self.observation, self.camera
        source, draw = observation.sources[number], stream(observation, camera, "expectation", number)
        hits = scattered(draw, observation, camera, self.chips, source, TRIAL_PHOTONS, FIRST_SOURCE + number)
        detected = selected = 0
        for chip in self.chips:
            rows, _ = rows_of(draw, observation, camera, chip, hits[chip.ccd.number])
            near = within(rows, observation.sky_position(source), CIRCLE_RADIUS)
            detected += len(rows)
            selected += int(np.count_nonzero(near & self._is_usual(rows)))
        weight = expected_photons(observation, camera, source) / TRIAL_PHOTONS
        return {"detected": detected * weight, "in_circle_usual": selected * weight}

    def truth(self) -> dict[str, Any]:
        """Return the input of the simulation and the counts that came out, for this camera."""
        camera, drawn = self.camera, self.counted["drawn"]
        sources = []
        for number, source in enumerate(self.observation.sources):
            usual, in_band, own_usual, own_in_band = (int(n) for n in self.counted[f"circle{number}"])
            x, y = self.observation.sky_position(source)
            sources.append({
                "name": source.name, "x": x, "y": y, "expected": self.expected(number),
                "drawn": int(drawn[FIRST_SOURCE + number]),
                "circle": {
                    "radius_px": CIRCLE_RADIUS, "usual": usual, "usual_200_12000_eV": in_band,
                    "usual_from_source": own_usual, "usual_200_12000_eV_from_source": own_in_band,
                },
            })  # fmt: skip
        return {
            "sources": sources,
            "background": self._background(),
            "drawn": {"particle": int(drawn[0]), "sky": int(drawn[1]), "flare": int(drawn[2])},
            "usual_selection": {
                "pattern_max": camera.usual_pattern, "flag_mask": f"0x{camera.flag_mask:x}",
                "share": camera.usual_share,
            },
            "effective_area_a0_e1_p_e2_q": camera.area, "fwhm_ev": camera.fwhm_ev, "frame_s": camera.frame_s,
            "live_fraction": camera.live_fraction,
            "ontime_s": {f"{chip.ccd.number:02d}": ontime_s(camera, chip) for chip in self.chips},
        }  # fmt: skip

    def _background(self) -> dict[str, float]:
        """Return the mean counts per arcsec2 in the field over the whole list (all patterns, all energies).

        The live time is that of the central CCD.
        """
        observation, camera = self.observation, self.camera
        chip = next(chip for chip in self.chips if chip.ccd.number == camera.central_ccd)
        live_s = ontime_s(camera, chip) * camera.live_fraction
        per_arcsec2 = camera.background_scale / 3600
        particle, sky = (rate * per_arcsec2 for rate in (observation.particle_rate, observation.sky_rate))
        flare_s = _flare_live_s(observation, camera, chip)
        parts = {"particle": particle * live_s, "sky": sky * live_s, "flare": (particle + sky) * flare_s}
        return {f"{name}_per_arcsec2": value for name, value in (*parts.items(), ("total", sum(parts.values())))}


def _flare_live_s(observation: Observation, camera: Camera, chip: Detector) -> float:
    """Return the integral in s of the excess factor of the flare over the live time of a CCD."""
    flare = observation.flare
    if not flare:
        return 0.0
    knots = [flare.start_s, flare.peak_s, flare.start_s + flare.duration_s]
    time = np.linspace(flare.start_s, knots[2], 20_001)
    excess = np.interp(time, knots, [0.0, flare.factor - 1, 0.0])
    good = chip.is_good_frame((time / camera.frame_s).astype(np.int64))
    return float(np.mean(excess * good) * flare.duration_s * camera.live_fraction)


def _truth(observation: Observation, cameras: dict[str, Any]) -> dict[str, Any]:
    start, flare = observation.tstart, observation.flare
    sources = [
        {
            **asdict(source), "flux_band_keV": spectra.FLUX_BAND_KEV, "spectrum": source.spectrum.describe(),
            "photons_cm2_s_keV_at_1_keV": spectra.norm_at_1_kev(source.spectrum, source.flux),
        }
        for source in observation.sources
    ]  # fmt: skip
    return {
        "observation": {**asdict(observation), "sources": sources},
        "tstart": start,
        "flare_interval": [start + flare.start_s, start + flare.start_s + flare.duration_s] if flare else None,
        "psf": {
            "profile": "king", "core_arcsec": KING_CORE_ARCSEC, "slope": KING_SLOPE, "cut_arcsec": PSF_LIMIT_ARCSEC,
        },
        "pixel_arcsec": 1 / UNITS_PER_ARCSEC,
        "trial_photons": TRIAL_PHOTONS,
        "software": _software(),
        "cameras": cameras,
    }  # fmt: skip


def _software() -> dict[str, str]:
    try:
        version = metadata.version("uws-server")
    except metadata.PackageNotFoundError:
        version = "not installed"
    return {"uws-server": version, "numpy": np.__version__}


def _silent(done: int, total: int, message: str) -> None:
    """Report no progress."""
