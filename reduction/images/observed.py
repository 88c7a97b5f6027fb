"""The exposure behind an image of the sky, from what the pass over the event list has found of its CCDs and its field.

Lists of missions whose CCDs cannot be placed have one exposure everywhere, and it is said so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.coordinates import SkyCoord
from astropy.wcs.utils import wcs_to_celestial_frame

from reduction.events.eventlist import EventList
from reduction.events.gathering import Tally
from reduction.events.pointing import optical_axis
from reduction.events.selection import Region, Selection
from reduction.images.coverage import Cut
from reduction.images.exposure import Vignetting, exposure_map
from reduction.images.grid import Grid
from reduction.spectra.area import CcdPlace, Sampler, place_ccds
from reduction.spectra.field import Circle, FieldSampler, find_field
from reduction.spectra.spectrum import live_times

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Exposure:
    """The exposure of each pixel in seconds, shape (rows, columns), and the live time of each CCD.

    `is_map` is False where the CCDs could not be placed and every pixel has the longest live time; `field` is the edge
    of the field of view where it was found, `places` where each CCD lies.
    """

    seconds: Floats
    live_s: Mapping[int | None, float]
    is_map: bool
    notes: tuple[str, ...] = ()
    field: Circle | None = None
    places: Mapping[int, CcdPlace] = dataclasses.field(default_factory=dict)

    @property
    def longest_s(self) -> float:
        """The longest live time of a CCD in seconds."""
        return max(self.live_s.values(), default=0.0)


@dataclass(frozen=True)
class Watch:
    """What is kept of the events during the pass: a sample that places the CCDs, and one that finds the field."""

    ccds: Sampler
    field: FieldSampler

    @classmethod
    def of(cls, events: EventList) -> Watch:
        """Return the samplers of an event list."""
        return cls(Sampler(events), FieldSampler(events))

    def exposure(
        self, events: EventList, selection: Selection, tally: Tally, grid: Grid | None,
        region: Region | None = None, vignetting: Vignetting | None = None,
    ) -> Exposure:  # fmt: skip
        """Return the exposure of the pixels of a grid, once the pass is done.

        Parameters
        ----------
        events
            The open event list.
        selection
            Its good times are those of the image.
        tally
            What was selected; its CCDs are among those that must be placed.
        grid
            The grid in the plane of X and Y; None where only the live times are wanted, as for the detector.
        region
            Beyond it nothing is exposed; None for no limit.
        vignetting
            Factor by the angle from the optical axis; None for none.

        Returns
        -------
        Exposure
            Seconds by pixel, with sentences for the log.
        """
        places = place_ccds(events, self.ccds.table) if events.x and events.y else {}
        live_s, notes = live_times(events, selection, tally, places)
        if grid is None:
            return Exposure(np.zeros((0, 0)), live_s, False, notes)
        if not places:
            note = (f"the CCDs of {events.mission.name} cannot be placed by its events: every pixel has the same "
                    "exposure, without gaps, bad pixels, edges or vignetting, and no exposure map is made")  # fmt: skip
            if events.mission.exposure_maker:
                note += f"; {events.mission.exposure_maker}, makes one"
            seconds = np.full(grid.shape, max(live_s.values(), default=0.0))
            if region is not None:
                x, y = np.meshgrid(*grid.centres())
                seconds[~region.contains(x.ravel(), y.ravel()).reshape(grid.shape)] = 0.0
            return Exposure(seconds, live_s, False, (*notes, note))
        edge, field_notes = find_field(self.field.table)
        seconds = exposure_map(grid, places, live_s, Cut(edge, region))
        if vignetting is not None and events.wcs is not None:
            unit_arcsec = abs(float(events.wcs.wcs.cdelt[1])) * 3600
            seconds *= vignetting.on(grid, optical_axis(events), unit_arcsec)
        return Exposure(seconds, live_s, True, notes + field_notes + _not_placed(events, tally, places), edge,
                        places)  # fmt: skip


def _not_placed(events: EventList, tally: Tally, places: Mapping[int, CcdPlace]) -> tuple[str, ...]:
    """Return which CCDs have events but no place, and whether there are no tables of bad pixels."""
    lost = sorted(ccd for ccd in tally.per_ccd if ccd is not None and ccd not in places)
    notes = [f"too few events to place CCD {', '.join(map(str, lost))}: there the exposure is 0"] if lost else []
    if not events.bad_pixels:
        notes.append("no BADPIX tables: bad pixels are not taken off the exposure")
    return tuple(notes)


def footprint(events: EventList, grid: Grid, exposure: Exposure) -> dict[str, Any]:
    """Return the columns of ObsCore of the field of view, for an image that holds it as a whole.

    Parameters
    ----------
    events
        The open event list.
    grid
        The grid of the image, in the plane of X and Y.
    exposure
        Its exposure, with the edge of the field.

    Returns
    -------
    dict
        Empty for an image that cuts the field, whose own corners are its outline, and where the field is not known.
    """
    circle = exposure.field
    if circle is None or events.wcs is None:
        return {}
    sides = [(middle - low, low + count * grid.step - middle) for middle, low, count in
             zip((circle.x, circle.y), grid.low, (grid.shape[1], grid.shape[0]), strict=True)]  # fmt: skip
    if min(min(side) for side in sides) < circle.radius:
        return {}
    lon, lat = events.wcs.wcs_pix2world([[circle.x, circle.y]], 0)[0]
    centre = SkyCoord(lon, lat, unit="deg", frame=wcs_to_celestial_frame(events.wcs)).icrs
    radius = circle.radius * grid.arcsec / grid.step / 3600
    return {"s_ra": float(centre.ra.deg), "s_dec": float(centre.dec.deg), "s_fov": 2 * radius,
            "s_region": f"Circle ICRS {centre.ra.deg:.7f} {centre.dec.deg:.7f} {radius:.5f}"}  # fmt: skip
