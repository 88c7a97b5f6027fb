"""Images for a detection from event lists: one for each list and band, all on the grid of the first list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS
from astropy.wcs.utils import pixel_to_pixel

from provenance.fits.columns import Column, Rows
from reduction.detection.layers import Field, Layer, field_of
from reduction.detection.pointspread import (
    KING_CAMERAS,
    PointSpread,
    ProfileSource,
    gaussian_spread,
    king_spread,
    published,
)
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList, open_eventlist
from reduction.events.goodtime import GTI
from reduction.events.pointing import optical_axis
from reduction.events.selection import choose
from reduction.images.bands import Band, around
from reduction.images.counting import Counter, count
from reduction.images.grid import Grid, Placed, sky_grid
from reduction.images.observed import Exposure, Watch
from reduction.images.streaks import column_counter, streaks
from reduction.instruments import vignetting

Floats = npt.NDArray[np.float64]

_WCS_CARDS = ("ctype", "cunit", "crval", "crpix", "cdelt")


@dataclass(frozen=True)
class Wanted:
    """Which events are counted, and on which pixels; as the parameters of the definition `image` of these names.

    `fwhm_arcsec` is the width of the point spread function where none is published; None where none is given.
    `profiles` says where those of the EPIC cameras come from.
    """

    bands: tuple[Band, ...]
    bin_arcsec: float = 4.0
    centre: tuple[float, float] | None = None
    size_arcmin: tuple[float, ...] = ()
    pattern: str = "default"
    flag: str = "default"
    fwhm_arcsec: float | None = None
    profiles: ProfileSource = published


@dataclass(frozen=True)
class OtherPlane(Grid):
    """The pixels of a grid for the rows of another list, whose X and Y lie in a plane of their own.

    `own` is the projection of the list's columns, `theirs` that of the columns of the grid, both of values from 0.
    """

    own: WCS | None = None
    theirs: WCS | None = None

    def place(self, rows: Rows) -> Placed:
        """Return the pixels of some rows of the list, by way of the sky."""
        columns: tuple[Column, Column] = (self.x, self.y)
        values = [column.floats(rows) for column in columns]
        known = np.isfinite(values[0]) & np.isfinite(values[1])
        across, up = pixel_to_pixel(self.own, self.theirs, *(np.where(known, axis, 0.0) for axis in values))
        places = [np.floor((axis - low) / self.step) for axis, low in zip((across, up), self.low, strict=True)]
        height, width = self.shape
        with np.errstate(invalid="ignore"):
            inside = known & (places[0] >= 0) & (places[0] < width) & (places[1] >= 0) & (places[1] < height)
        column, row = (np.where(inside, place, 0).astype(np.int64) for place in places)
        return Placed(row * width + column, inside, known)


def layers_of(
    paths: Sequence[Path],
    wanted: Wanted,
    user_gti: Mapping[int | None, GTI] | None = None,
    parameter: str = "eventlist",
) -> tuple[Field, tuple[str, ...]]:
    """Return the images of event lists, and sentences about what is unusual.

    Parameters
    ----------
    paths
        The lists, of one observation or of several that see the same sky.
    wanted
        Bands, pixels and selection.
    user_gti
        Good times besides those of the lists; None for none.
    parameter
        Job parameter named in errors.

    Returns
    -------
    tuple
        The field, on the grid of the first list, and the notes.

    Raises
    ------
    ReductionError
        A list cannot be read, has no sky, sees another sky, or its point spread function is not known.
    """
    notes: list[str] = []
    layers: list[Layer] = []
    with ExitStack() as stack:
        lists = [stack.enter_context(open_eventlist(path, parameter)) for path in paths]
        first = lists[0]
        grid = sky_grid(first, wanted.bin_arcsec, wanted.centre, wanted.size_arcmin)
        names = _names(lists)
        for events, name in zip(lists, names, strict=True):
            mine = grid if events is first else _in_grid_of(events, first, grid)
            layers += _of_list(events, name, mine, (first, grid), wanted, user_gti, notes)
        return field_of(layers, image_wcs(first, grid)), tuple(dict.fromkeys(notes))


def _names(lists: Sequence[EventList]) -> list[str]:
    """Return what the lists are called: their camera, numbered where several are of one."""
    cameras = [_camera(events) for events in lists]
    return [camera if cameras.count(camera) == 1 else f"{camera}-{cameras[: index + 1].count(camera)}"
            for index, camera in enumerate(cameras)]  # fmt: skip


def _camera(events: EventList) -> str:
    return str(events.keywords.get("INSTRUME") or "").strip().upper() or events.mission.telescope


def image_wcs(events: EventList, grid: Grid) -> WCS:
    """Return the projection of the pixels of a grid in the plane of a list's X and Y, for pixels that count from 0."""
    assert events.wcs is not None
    wcs = events.wcs.deepcopy()
    for axis in (0, 1):
        wcs.wcs.crpix[axis] = grid.reference(float(events.wcs.wcs.crpix[axis]) - 1, axis)
    wcs.wcs.cdelt = np.asarray(wcs.wcs.cdelt) * grid.step
    wcs.wcs.set()
    return wcs


def _in_grid_of(events: EventList, first: EventList, grid: Grid) -> Grid:
    """Return a grid for the rows of another list. Raise ReductionError if it has no sky."""
    if events.wcs is None or events.x is None or events.y is None:
        raise ReductionError(f"{events.name} ({events.mission.name}) has no sky coordinates, so that no sources can be "
                             "found in it", "eventlist")  # fmt: skip
    assert first.wcs is not None
    same = all(np.array_equal(getattr(events.wcs.wcs, card), getattr(first.wcs.wcs, card)) for card in _WCS_CARDS)
    if same:
        return replace(grid, x=events.x, y=events.y)
    return OtherPlane(
        events.x, events.y, grid.low, grid.step, grid.shape, grid.arcsec, own=events.wcs, theirs=first.wcs
    )


def _of_list(
    events: EventList, name: str, grid: Grid, reference: tuple[EventList, Grid], wanted: Wanted,
    user_gti: Mapping[int | None, GTI] | None, notes: list[str],
) -> Iterator[Layer]:  # fmt: skip
    """Yield the images of a list, band by band."""
    selection = choose(events, around(wanted.bands), wanted.pattern, wanted.flag, user_gti)
    counter, watch = Counter(events, grid, wanted.bands), Watch.of(events)
    columns = column_counter(events, wanted.bands)
    tally = count(events, selection, [each for each in (counter, columns) if each], None, [watch.ccds, watch.field])
    own = _own_grid(events, grid, wanted)
    exposure = watch.exposure(events, selection, tally, own)
    live = exposure.seconds if own is grid else _seen_from(exposure.seconds, events, own, reference)
    notes += [f"{name}: {note}" for note in (*events.notes, *selection.notes, *exposure.notes)]
    if not live.any():
        raise ReductionError(f"{events.name} sees nothing of the images, whose grid is that of the first list; give "
                             "event lists that see the same sky", "eventlist")  # fmt: skip
    axis = _axis(events, reference)
    away = np.hypot(*np.meshgrid(*(np.arange(size) - at for size, at in zip(grid.shape[::-1], axis, strict=True))))
    late = _streaks(events, len(wanted.bands), columns, exposure, own, grid, reference)
    for band, counts, streak in zip(wanted.bands, counter.counts, late, strict=True):
        energy = float(np.sqrt(band.low_kev * band.high_kev))
        seconds = live
        if events.mission.is_xmm:
            seconds = live * vignetting(np.array(energy), away * grid.arcsec / 60)
        elif not any("vignetting" in note for note in notes):
            notes.append(f"{name}: no vignetting of {events.mission.name} is known, and rates are not corrected for it")
        yield Layer(
            f"{name} {band.name}", name, (band.low_kev, band.high_kev), counts.astype(np.float64), seconds, live,
            _spread(events, energy, wanted), axis, streaks=streak,
        )  # fmt: skip


def _streaks(
    events: EventList, bands: int, columns: Counter | None, exposure: Exposure, own: Grid, grid: Grid,
    reference: tuple[EventList, Grid],
) -> list[Floats | None]:  # fmt: skip
    """Return the expected counts of events out of time of each band, None where they are not known."""
    if columns is None or not exposure.is_map:
        return [None] * bands
    late = events.mission.late_share(events.keywords)
    found = [streaks(counts.astype(np.float64), late, exposure, own) for counts in columns.counts]
    if own is grid:
        return list(found)
    scale = (grid.arcsec / own.arcsec) ** 2
    return [_seen_from(each, events, own, reference) * scale for each in found]


def _own_grid(events: EventList, grid: Grid, wanted: Wanted) -> Grid:
    """Return the grid on which the exposure of a list is made: in its own plane."""
    if not isinstance(grid, OtherPlane):
        return grid
    return sky_grid(events, wanted.bin_arcsec, None, ())


def _seen_from(seconds: Floats, events: EventList, own: Grid, reference: tuple[EventList, Grid]) -> Floats:
    """Return an exposure on the pixels of the reference: that of the pixel on which each centre lies."""
    first, grid = reference
    columns, rows = np.meshgrid(np.arange(grid.shape[1]), np.arange(grid.shape[0]))
    places = pixel_to_pixel(image_wcs(first, grid), image_wcs(events, own), columns.ravel(), rows.ravel())
    at = [np.rint(np.nan_to_num(axis, nan=-9.0)).astype(np.intp).reshape(grid.shape) for axis in places]
    inside = (at[0] >= 0) & (at[0] < own.shape[1]) & (at[1] >= 0) & (at[1] < own.shape[0])
    return np.where(inside, seconds[np.where(inside, at[1], 0), np.where(inside, at[0], 0)], 0.0)


def _axis(events: EventList, reference: tuple[EventList, Grid]) -> tuple[float, float]:
    """Return the optical axis of a list in pixels of the reference, from 0."""
    first, grid = reference
    x, y = optical_axis(events)
    if events is not first:
        x, y = (float(value) for value in pixel_to_pixel(events.wcs, first.wcs, x, y))
    return grid.reference(x, 0) - 1, grid.reference(y, 1) - 1


def _spread(events: EventList, energy_kev: float, wanted: Wanted) -> PointSpread:
    """Return the point spread function of a list. Raise ReductionError if it is not known."""
    if wanted.fwhm_arcsec is not None:
        return gaussian_spread(wanted.fwhm_arcsec)
    camera = _camera(events)
    if camera not in KING_CAMERAS:
        raise ReductionError(f"no point spread function of {events.mission.name} is known here; give its full width at "
                             "half maximum in arcsec", "psf_fwhm")  # fmt: skip
    return king_spread(camera, energy_kev, events.keywords, wanted.profiles)
