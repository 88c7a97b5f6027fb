"""What the parameters that several definitions share mean for an event list: its regions, and which events are wanted.

Each function names the parameters that it reads: source_region, background_region, energy, pattern, flag, gti.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provenance.obscore import wavelength_m
from provenance.obscore.instruments import covered_kev
from reduction import regions
from reduction.errors import ReductionError
from reduction.events import dss, gti
from reduction.events.dss import DataSubspace
from reduction.events.eventlist import EventList
from reduction.events.selection import Selection, choose
from reduction.spectra.spectrum import Spectrum
from reduction.spectra.subtraction import BACKGROUND, SOURCE, require_separate
from reduction.task import Task

_LARGEST_DEG = 1.0
"""Radius of a region that is larger than the field of view of every telescope whose lists can be reduced."""


@dataclass(frozen=True)
class Wanted:
    """What a job wants of an event list.

    `given` are the regions as the user wrote them, `on_pixels` the same in the plane of the X,Y columns, with None for
    a source that is all events; both by parameter. `shared_area` is the part of the source's area, 0 to 1, that lies in
    the background, 0 if that is negligible.
    """

    events: EventList
    selection: Selection
    given: Mapping[str, regions.RegionSet]
    on_pixels: Mapping[str, Any]
    shared_area: float = 0.0

    _subspaces: dict[str, DataSubspace] = field(default_factory=dict, init=False, compare=False, repr=False)
    _columns: dict[str, dict[str, Any]] = field(default_factory=dict, init=False, compare=False, repr=False)

    def subspace(self, parameter: str = SOURCE) -> DataSubspace:
        """Return which events of a region are in a product; it is described once for all products of the region."""
        if parameter not in self._subspaces:
            self._subspaces[parameter] = dss.describe(self.events, self.selection, self.on_pixels[parameter])
        return self._subspaces[parameter]

    def columns(self, parameter: str = SOURCE) -> dict[str, Any]:
        """Return the columns of ObsCore that follow from a region and the energies, worked out once for a region."""
        if parameter not in self._columns:
            self._columns[parameter] = columns_of(self.given.get(parameter), self.events.keywords,
                                                  self.selection.energy_kev)  # fmt: skip
        return dict(self._columns[parameter])

    def region_file(self) -> bytes:
        """Return the regions as DS9 text, those of the background marked as such."""
        lines = ["# Region file format: DS9"] + ([] if self.given else ["# all events"])
        for name, region in self.given.items():
            for line in region.to_ds9().splitlines():
                if line.strip() and not line.startswith("#"):
                    lines.append(f"{line} # background" if name == BACKGROUND and "(" in line else line)
        return ("\n".join(lines) + "\n").encode()


def columns_of(
    region: regions.RegionSet | None, keywords: Mapping[str, Any], energy_kev: tuple[float, float]
) -> dict[str, Any]:
    """Return the columns of ObsCore that follow from a region and the energies.

    Parameters
    ----------
    region
        The region; None for none.
    keywords
        Keywords of the product or of its event list: an instrument sees a part of the energies.
    energy_kev
        The energies that were selected.

    Returns
    -------
    dict
        Column -> value; without the place of a region that has none on the sky.
    """
    low, high = covered_kev(keywords, *energy_kev)
    known: dict[str, Any] = {"calib_level": 2, "em_min": wavelength_m(high), "em_max": wavelength_m(low)}
    return known | place_of(region)


def place_of(region: regions.RegionSet | None) -> dict[str, Any]:
    """Return the columns of ObsCore that say where a region lies; none for one that has no place on the sky."""
    circle = region.centre_and_radius() if region else None
    if region is None or circle is None:
        return {}
    centre, radius = circle
    return {"s_ra": float(centre.ra.deg), "s_dec": float(centre.dec.deg), "s_fov": 2 * float(radius.deg),
            "s_region": region.to_stcs()}  # fmt: skip


def wanted(job: Task, events: EventList) -> Wanted:
    """Read regions and selection of a job, and log what is unusual about them.

    Parameters
    ----------
    job
        The running job.
    events
        Its open event list.

    Returns
    -------
    Wanted
        The regions and the selection.

    Raises
    ------
    ReductionError
        A region, an energy range, a pattern, a flag or the good times are none, or do not fit the event list or each
        other.
    """
    job.log(f"{events.mission.name}, {events.nrows} events")
    given = given_regions(job)
    for name, region in given.items():
        circle = region.centre_and_radius()
        if circle and circle[1].deg > _LARGEST_DEG:
            job.log(f"Note: {name} reaches {circle[1].deg:.3g} deg, more than any field of view; "
                    "sizes without unit are degrees, 40\" is 40 arcsec")  # fmt: skip
    user_gti = gti.read_file(job.path("gti"), events.clock) if job.value("gti") else None
    selection = choose(events, job.value("energy", "0.2 12.0"), job.value("pattern", "default"),
                       job.value("flag", "default"), user_gti)  # fmt: skip
    for note in (*events.notes, *selection.notes):
        job.log(f"Note: {note}")
    on_pixels: dict[str, Any] = {SOURCE: None} | {name: shape.on(events.wcs) for name, shape in given.items()}
    return Wanted(events, selection, given, on_pixels, _shared_area(job, on_pixels))


def given_regions(job: Task) -> dict[str, regions.RegionSet]:
    """Return the regions of source and background as the user wrote them, by parameter; an empty one is left out.

    A DS9 file of the source may hold the background, too. Raises ReductionError for a text that is no region, or two
    backgrounds.
    """
    texts = {name: text for name in (SOURCE, BACKGROUND) if (text := str(job.value(name, "")).strip())}
    given = {BACKGROUND: regions.parse(texts[BACKGROUND], parameter=BACKGROUND)} if BACKGROUND in texts else {}
    if SOURCE not in texts:
        return given
    source, marked = regions.parse_with_background(texts[SOURCE], parameter=SOURCE)
    if marked is None:
        return {SOURCE: source, **given}
    if given:
        raise ReductionError(f"it is given, and so are shapes marked as background in {SOURCE}; leave it empty, or "
                             "take those out", BACKGROUND)  # fmt: skip
    job.log(f"the background is that marked in {SOURCE}")
    return {SOURCE: source, BACKGROUND: marked}


def _shared_area(job: Task, on_pixels: Mapping[str, Any]) -> float:
    """Return the part of the source's area that lies in the background, and log a note where it is not negligible."""
    if BACKGROUND not in on_pixels:
        return 0.0
    found = require_separate(on_pixels[SOURCE], on_pixels[BACKGROUND])
    if not found.is_there:
        return 0.0
    job.log(f"Note: {found.sentence}")
    return found.of_source


def report(job: Task, spectra: Mapping[str, Spectrum]) -> None:
    """Log counts, exposure and area of each region, the events that were dropped, and its notes."""
    for parameter, spectrum in spectra.items():
        name = parameter.replace("_", " ")
        job.log(f"{name}: {spectrum.selected} counts, exposure {spectrum.exposure_s:.1f} s, "
                f"BACKSCAL {spectrum.backscal:.0f}")  # fmt: skip
        for dropped, why in ((spectrum.no_time, "without a time"), (spectrum.bad_time, "outside the good times")):
            if dropped:
                job.log(f"Note: {name}: {dropped} events {why} dropped")
        for note in spectrum.notes:
            job.log(f"Note: {name}: {note}")
