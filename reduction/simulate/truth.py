"""The simulation of one camera, with what is true of it: what was put in, what is expected, and the counts drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from importlib import metadata
from typing import Any

import numpy as np

from reduction import instruments
from reduction.simulate import background, spectra
from reduction.simulate.cameras import UNITS_PER_ARCSEC, Camera
from reduction.simulate.draw import FIRST_SOURCE, Detector, Hits, stream
from reduction.simulate.observation import Flare, Observation, Source
from reduction.simulate.photons import Light, light_of, photons_per_bin, source_hits
from reduction.simulate.response import CIRCLE_ARCSEC, Response
from reduction.simulate.rows import rows_of, within
from reduction.simulate.write import ontime_s

CIRCLE_RADIUS = int(CIRCLE_ARCSEC * UNITS_PER_ARCSEC)
"""Radius in X,Y pixels (40 arcsec) of the circle whose counts are in the truth."""


@dataclass
class CameraRun:
    """Simulation of one camera, with the counts for the truth."""

    observation: Observation
    camera: Camera
    chips: tuple[Detector, ...]
    response: Response
    counted: dict[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def lights(self) -> list[Light]:
        """Return where the light of each source lands."""
        numbers = range(len(self.observation.sources))
        return [light_of(self.observation, self.camera, self.chips, number) for number in numbers]

    def rows(self, report: Callable[[int, int, str], None], done: int, total: int) -> Iterator[np.ndarray]:
        """Yield the rows of the CCDs, one after another.

        Parameters
        ----------
        report
            Called before every CCD with the number of CCDs done, that of all, and a message.
        done
            Number of CCDs that are done already, those of other cameras.
        total
            Number of CCDs of all cameras.

        Yields
        ------
        array
            Rows of `rows.PN_ROW` or `rows.MOS_ROW`.
        """
        observation, camera, response = self.observation, self.camera, self.response
        photons = [source_hits(observation, light, self.chips, n, response) for n, light in enumerate(self.lights)]
        for index, chip in enumerate(self.chips):
            report(done + index, total, f"{camera.key} CCD {chip.ccd.number}")
            own = background.background_hits(observation, camera, chip, response)
            hits = Hits.joined([own, *(p[chip.ccd.number] for p in photons)])
            draw = stream(observation, camera, "rows", chip.ccd.number)
            rows, origin = rows_of(draw, observation, camera, chip, hits)
            self._count(rows, origin)
            yield rows

    def _count(self, rows: np.ndarray, origin: np.ndarray) -> None:
        names = FIRST_SOURCE + len(self.observation.sources)
        self._add("drawn", np.bincount(origin, minlength=names))
        usual = self._is_usual(rows)
        in_band = usual & (rows["PI"] >= 200) & (rows["PI"] <= 12000)
        for number, centre in enumerate(self.observation.positions):
            near = within(rows, centre, CIRCLE_RADIUS)
            of_source = origin == FIRST_SOURCE + number
            kinds = near & usual, near & in_band, near & usual & of_source, near & in_band & of_source
            self._add(f"circle{number}", np.array([np.count_nonzero(kind) for kind in kinds]))

    def _add(self, name: str, counts: np.ndarray) -> None:
        self.counted[name] = self.counted.get(name, 0) + counts

    def _is_usual(self, rows: np.ndarray) -> np.ndarray:
        good = (rows["FLAG"] & np.int64(self.camera.flag_mask)) == 0
        return np.asarray(good & (rows["PATTERN"] <= self.camera.usual_pattern))

    def expected(self, number: int) -> dict[str, float]:
        """Return the mean counts of a source: all detected ones, and the usual in the circle."""
        observation, light, energy = self.observation, self.lights[number], spectra.MIDDLES_KEV
        in_time = [good_share(observation, self.camera, chip, number) for chip in self.chips]
        whole = [chip.good for chip in self.chips]
        photons = photons_per_bin(observation, observation.sources[number], light, self.response)
        photons = photons * self.response.detection.efficiency(energy)
        return {
            "detected": float(np.sum(photons * light.share(whole, energy, in_time))),
            "in_circle_usual": float(
                np.sum(photons * light.share(light.in_circle, energy, in_time)) * self.camera.usual_share
            ),
        }

    def truth(self) -> dict[str, Any]:
        """Return the input of the simulation and the counts that came out, for this camera."""
        camera, drawn = self.camera, self.counted["drawn"]
        sources = []
        for number, source in enumerate(self.observation.sources):
            usual, in_band, own_usual, own_in_band = (int(n) for n in self.counted[f"circle{number}"])
            x, y = self.observation.positions[number]
            sources.append({
                "name": source.name, "x": x, "y": y, "expected": self.expected(number),
                "off_axis_arcmin": self.lights[number].off_axis_arcmin,
                "drawn": int(drawn[FIRST_SOURCE + number]),
                "circle": {
                    "radius_px": CIRCLE_RADIUS, "usual": usual, "usual_200_12000_eV": in_band,
                    "usual_from_source": own_usual, "usual_200_12000_eV_from_source": own_in_band,
                },
            })  # fmt: skip
        return {
            "sources": sources,
            "background": self._background(),
            "drawn": {"particle": int(drawn[0]), "sky": int(drawn[1]), "proton": int(drawn[2])},
            "usual_selection": {
                "pattern_max": camera.usual_pattern, "flag_mask": f"0x{camera.flag_mask:x}",
                "share": camera.usual_share,
            },
            "psf": {
                "profile": "king", "cut_arcsec": instruments.psf.LIMIT_ARCSEC,
                "core_a_b_c_d": instruments.psf.CORE[camera.key], "slope_a_b_c_d": instruments.psf.SLOPE[camera.key],
            },
            "response": type(self.response).__name__, "out_of_time": camera.out_of_time,
            "fwhm_ev": camera.fwhm_ev, "frame_s": camera.frame_s, "live_fraction": camera.live_fraction,
            "ontime_s": {f"{chip.ccd.number:02d}": ontime_s(camera, chip) for chip in self.chips},
        }  # fmt: skip

    def _background(self) -> dict[str, float]:
        """Return the mean counts per arcsec2 in the field over the whole list (all patterns, all energies).

        The live time is that of the central CCD; the sky is that on the optical axis, the particles those outside of
        the hole in the board, of which `board_share` are missing in it.
        """
        observation, camera = self.observation, self.camera
        chip = next(chip for chip in self.chips if chip.ccd.number == camera.central_ccd)
        live_s = ontime_s(camera, chip) * camera.live_fraction
        proton = background.proton_rate(observation, camera) * live_s
        proton += background.flare_rate(observation, camera) * _flare_live_s(observation, camera, chip)
        return {
            "particle_per_arcsec2": background.particle_rate(observation, camera) * live_s / 3600,
            "board_share": camera.particles.board_share,
            "hole_arcmin": camera.particles.hole_arcmin,
            "sky_per_arcsec2": background.sky_rate(observation, camera) * live_s / 3600,
            "proton_per_arcsec2": proton / 3600,
        }


def observed_truth(observation: Observation, cameras: dict[str, Any]) -> dict[str, Any]:
    """Return the document of the truth: the observation, its sources, and what was found for each camera."""
    start, flares, attitude = observation.tstart, observation.flares, observation.attitude
    plain_flares = [asdict(flare) for flare in flares]
    intervals = [[start + flare.start_s, start + flare.start_s + flare.duration_s] for flare in flares]
    plain = {each.name: getattr(observation, each.name) for each in fields(observation)}
    return {
        "observation": {
            **plain, "flare": plain_flares[0] if flares else None, "further_flares": plain_flares[1:],
            "attitude": attitude.name if attitude else None,
            "sources": [_source_truth(observation, source) for source in observation.sources],
        },
        "tstart": start,
        "flare_interval": intervals[0] if flares else None,
        "flare_intervals": intervals,
        "pixel_arcsec": 1 / UNITS_PER_ARCSEC,
        "software": _software(),
        "cameras": cameras,
    }  # fmt: skip


def _source_truth(observation: Observation, source: Source) -> dict[str, Any]:
    """Return what is true of a source; the mean flux is that during the exposure."""
    return {
        "name": source.name, "ra": source.ra, "dec": source.dec, "flux": source.flux,
        "mean_flux": source.mean_flux(observation.exposure_s), "flux_band_keV": spectra.FLUX_BAND_KEV,
        "spectrum": source.spectrum.describe(),
        "photons_cm2_s_keV_at_1_keV": spectra.norm_at_1_kev(source.spectrum, source.flux),
        "extent": source.extent.describe() if source.extent else None,
        "variability": source.variability.describe() if source.variability else None,
    }  # fmt: skip


def good_share(observation: Observation, camera: Camera, chip: Detector, number: int) -> float:
    """Return the share of the photons of a source that come in good frames of a CCD.

    Parameters
    ----------
    observation
        The observation.
    camera
        The camera of the CCD.
    chip
        The CCD.
    number
        Index of the source in `observation.sources`.

    Returns
    -------
    float
        From 0 to 1.
    """
    total, variability = int(observation.exposure_s / camera.frame_s), observation.sources[number].variability
    if variability is None:
        return chip.frames / total
    frame = np.arange(total)
    flux = variability.relative((frame.astype(np.float64) + 0.5) * camera.frame_s)
    return float(np.sum(flux[chip.is_good_frame(frame)]) / np.sum(flux))


def _flare_live_s(observation: Observation, camera: Camera, chip: Detector) -> float:
    """Return the integral in s of the excess factors of the flares over the live time of a CCD."""
    return sum((_one_flare_live_s(flare, camera, chip) for flare in observation.flares), 0.0)


def _one_flare_live_s(flare: Flare, camera: Camera, chip: Detector) -> float:
    knots = [flare.start_s, flare.peak_s, flare.start_s + flare.duration_s]
    time = np.linspace(flare.start_s, knots[2], 20_001)
    excess = np.interp(time, knots, [0.0, flare.factor - 1, 0.0])
    good = chip.is_good_frame((time / camera.frame_s).astype(np.int64))
    return float(np.mean(excess * good) * flare.duration_s * camera.live_fraction)


def _software() -> dict[str, str]:
    try:
        version = metadata.version("uws-server")
    except metadata.PackageNotFoundError:
        version = "not installed"
    return {"uws-server": version, "numpy": np.__version__}
