"""Makes the responses of a region from calibration files, else from built-in curves, and tells which part is which."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reduction.calibration.area import USUAL_PATTERNS, Curve, OnAxis, region_area
from reduction.calibration.builtin import ORIGIN as BUILT_IN
from reduction.calibration.builtin import built_in_redistribution
from reduction.calibration.canned import Spot
from reduction.calibration.keys import Keys, date_of
from reduction.calibration.source import Files
from reduction.calibration.view import PointView, View, row_at, view_extended, view_point
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList
from reduction.events.fitswrite import Cards
from reduction.events.pointing import optical_axis, unit_arcsec
from reduction.events.selection import Region
from reduction.missions import Mission, Ranges
from reduction.responses import EffectiveArea, Redistribution, read_effective_area, read_redistribution
from reduction.responses.grid import Camera
from reduction.spectra.area import Sampler, place_ccds
from reduction.spectra.ogip import observation_cards

Floats = npt.NDArray[np.float64]

EXTENTS = ("point", "flat", "events")
"""What a source may be: a point, or filling its region evenly or as its events do."""


@dataclass(frozen=True)
class Responses:
    """The responses of a region.

    `origins` says in words where each part comes from, `cards` are the keywords that tell the same in the files.
    """

    matrix: Redistribution
    area: EffectiveArea
    origins: tuple[str, ...]
    cards: Cards


@dataclass(frozen=True)
class Observed:
    """What of an observation a response depends on.

    `pattern` is the choice of patterns as a range, `spot` the place on the camera; the rest is of the event list.
    """

    mission: Mission
    camera: Camera
    pattern: str
    submode: str
    spot: Spot
    keys: Keys

    @classmethod
    def of(cls, events: EventList, patterns: Ranges | None, spot: Spot) -> Observed:
        """Read it from an event list.

        Parameters
        ----------
        events
            The open event list.
        patterns
            The patterns that are taken, None for all.
        spot
            Where on the camera the region lies.

        Returns
        -------
        Observed
            The observation, with the keys by which its calibration files are asked for.

        Raises
        ------
        ReductionError
            The camera has no response here, or the list does not say when it was taken.
        """
        camera, pattern = camera_of(events), pattern_text(patterns)
        keys = Keys("XMM", camera.instrument, "", camera.filter, pattern, date_of(events.keywords, "eventlist"))
        return cls(events.mission, camera, pattern, str(events.keywords.get("SUBMODE") or ""), spot, keys)


def camera_of(events: EventList) -> Camera:
    """Return the camera of an event list. Raise ReductionError if no response of it can be made."""
    instrument, name = (str(events.keywords.get(key) or "").strip() for key in ("INSTRUME", "FILTER"))
    if not events.mission.is_xmm or instrument not in USUAL_PATTERNS:
        raise ReductionError(f"responses are made of XMM-Newton EPIC only; this list is of {events.mission.name}",
                             "eventlist")  # fmt: skip
    return Camera("XMM", instrument, name)


def look_at(
    events: EventList, region: Region, extent: str, source: tuple[float, float], seen: tuple[Floats, Floats]
) -> tuple[View, Spot]:
    """Return how a region sees its source, and where on the camera that is.

    Parameters
    ----------
    events
        The open event list, which is passed through once to place its CCDs.
    region
        The region in the plane of the X,Y columns.
    extent
        point, flat or events.
    source
        X and Y of the source.
    seen
        X and Y of the events in the region, shape (n,) each.

    Returns
    -------
    view, spot
        What is seen of the source; the place that chooses a canned matrix.

    Raises
    ------
    ReductionError
        The extent is none of the three, or nothing of the source is seen.
    """
    if extent not in EXTENTS:
        raise ReductionError(f"{extent[:20]!r} is no extent of a source; write {', '.join(EXTENTS)}", "source_extent")
    sampler = Sampler(events)
    for rows in events.chunks():
        sampler(rows)
    places = place_ccds(events, sampler.table)
    away = float(np.hypot(*np.subtract(source, optical_axis(events)))) * unit_arcsec(events)
    spot = Spot(row_at(places, source), away)
    if extent == "point":
        return view_point(events, region, places, source), spot
    return view_extended(events, region, places, seen if extent == "events" else None), spot


def pattern_text(patterns: Ranges | None) -> str:
    """Return patterns as calibration files write them, such as 0:4; empty for all."""
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in patterns or ())


def find_matrix(observed: Observed, files: Files | None, own: Path | None) -> tuple[Redistribution, str]:
    """Return the redistribution and where it comes from.

    Parameters
    ----------
    observed
        The observation and the place on the camera.
    files
        Calibration files; None where there are none, and the built-in one is taken.
    own
        A matrix that the user gave, which comes before all.

    Returns
    -------
    matrix, origin
        The redistribution for the channels of the spectrum; its origin in words.

    Raises
    ------
    ReductionError
        No file answers, or the one that does has other channels than the spectrum.
    """
    channels = observed.mission.channels.size
    if own is None and files is None:
        return built_in_redistribution(observed.mission, observed.camera), f"redistribution: {BUILT_IN}"
    parameter = "calibration" if own is None else "rmf"
    if own is not None:
        path = own
    elif files is not None:
        path = files.find_matrix(observed.keys, observed.submode, observed.spot, channels)
    matrix = read_redistribution(path, parameter)
    if matrix.channels.size != channels:
        raise ReductionError(f"{path.name} has {matrix.channels.size} channels, the spectrum {channels}: choose the "
                             "channel width of the matrix", "channel_width")  # fmt: skip
    given = "of the user" if own is not None else "calibration file"
    return matrix, f"redistribution: {given} {path.name}"


def find_on_axis(observed: Observed, files: Files | None) -> OnAxis:
    """Return the area on the axis: of a calibration file, else the built-in curve.

    Raises ReductionError if there are files of the camera and none of them answers.
    """
    path = files.find_area(observed.keys) if files is not None else None
    if path is None:
        return OnAxis.built_in(observed.camera.instrument, observed.keys.date)
    area = read_effective_area(path, "calibration")
    word = area.camera.filter.strip().upper()
    return OnAxis.of_file(area, path.name, word not in ("", "ANY"), True)


def make_responses(
    observed: Observed, view: View, pattern: Curve, files: Files | None = None, own_matrix: Path | None = None
) -> Responses:
    """Return the responses of a region.

    Parameters
    ----------
    observed
        The observation and the place on the camera.
    view
        How the region sees its source.
    pattern
        Part of the usual patterns that is taken, by energy in keV.
    files
        Calibration files; None for the built-in curves.
    own_matrix
        A matrix that the user gave.

    Returns
    -------
    Responses
        Matrix and area on one grid of photon energies.

    Raises
    ------
    ReductionError
        A calibration file that is asked for is not there, or does not fit.
    """
    matrix, origin = find_matrix(observed, files, own_matrix)
    on_axis = find_on_axis(observed, files)
    area = region_area(matrix.energies, observed.camera, on_axis, view, pattern)
    told = (origin, f"area on the axis: {on_axis.origin}", f"source: {_described(view, observed.camera)}",
            "vignetting and encircled energy: published curves, rounded, good to some 5 %")  # fmt: skip
    return Responses(matrix, area, told, _cards(observed, view, told))


def _described(view: View, camera: Camera) -> str:
    if isinstance(view, PointView):
        part = float(view.encircled(camera.instrument, np.array([1.5]))[0])
        return (
            f"a point {view.angle_arcmin:.2f} arcmin off the axis; {part:.1%} of its light at 1.5 keV is in the region"
        )
    angle = float(view.angles_arcmin @ view.weights)
    return f"fills the region, {angle:.2f} arcmin off the axis on average; {view.good:.1%} of it on good pixels"


def _cards(observed: Observed, view: View, told: tuple[str, ...]) -> Cards:
    camera, energy = observed.camera.instrument, np.array([1.5])
    cards: Cards = [("APPROX", True, "vignetting and PSF are not those of the CCF"),
                    ("EXTENDED", not isinstance(view, PointView), "whether the source fills its region"),
                    ("PATTERN", observed.pattern or "all", "patterns of the events"),
                    ("SEENPART", round(float(view.factor(camera, energy)[0]), 5), "of the area on the axis, 1.5 keV"),
                    ]  # fmt: skip
    if isinstance(view, PointView):
        cards.append(("ENCIRCLE", round(float(view.encircled(camera, energy)[0]), 5), "encircled energy at 1.5 keV"))
    else:
        cards.append(("GOODPART", round(view.good, 5), "part of the region on good pixels"))
    return [*cards, *((f"RESPFRM{number}", text, "") for number, text in enumerate(told, start=1))]


def cards_of(events: EventList, made: Responses) -> Cards:
    """Return the keywords of the files of responses: the observation's, then how they were made."""
    taken = {"TELESCOP", "INSTRUME", "FILTER", *(key for key, _, _ in made.cards)}
    return [*(card for card in observation_cards(events) if card[0] not in taken), *made.cards]
