"""When photons would have arrived at the barycentre of the solar system, from when they arrived at a telescope.

To a time (TT) are added: TDB - TT at the telescope (Einstein), the way along the direction of the source from the
barycentre to the telescope over the speed of light (Roemer), and the delay in the gravity of the Sun (Shapiro), as in
the `axBary` of HEASoft. The source is taken to be infinitely far away.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.time import Time
from jplephem.exceptions import OutOfRangeError
from jplephem.spk import SPK

from reduction.errors import ReductionError
from reduction.events.clock import SECONDS_PER_DAY, Clock
from reduction.timing.hermite import Floats, Track
from reduction.timing.orbit import Orbit

C_M_S = 299_792_458.0
T_SUN_S = 4.925490947e-6
"""G M / c^3 of the Sun."""

_MJD_OF_JD = 2_400_000.5
_STEP_S = 600.0
"""Steps at which the ephemeris is read: between them the Earth is known to a micrometre."""

EPHEMERIS = "JPL-DE421"
"""The ephemeris that is used where none is given."""


@dataclass(frozen=True)
class SolarSystem:
    """Places relative to the barycentre in metres (ICRS), on the clock of an event list: Earth, Sun, and TDB - TT.

    `einstein_s` is TDB - TT at the centre of the Earth at the times of the tracks. `name` is that of the ephemeris.
    """

    name: str
    earth: Track
    sun: Track
    einstein_s: Floats


def solar_system(clock: Clock, first_s: float, last_s: float, kernel: Path | None = None) -> SolarSystem:
    """Read where Earth and Sun were.

    Parameters
    ----------
    clock
        The clock of an event list, in TT.
    first_s
        The first time that will be asked for, in its seconds.
    last_s
        The last one.
    kernel
        A JPL ephemeris (SPK, such as de440s.bsp); None for DE421, which comes with the package skyfield-data.

    Returns
    -------
    SolarSystem
        The places in steps of ten minutes.

    Raises
    ------
    ReductionError
        The clock has no reference day, or the file is no ephemeris or does not cover the times.
    """
    if clock.day is None:
        raise ReductionError("it has no MJDREF, so that its times are no dates", "eventlist")
    times = np.arange(first_s - 2 * _STEP_S, last_s + 3 * _STEP_S, _STEP_S)
    day = clock.day + _MJD_OF_JD
    fraction = clock.fraction + (times + clock.zero_s) / SECONDS_PER_DAY
    einstein = np.asarray(Time(day, fraction, format="jd", scale="tt").delta_tdb_tt, dtype=np.float64)
    tdb = fraction + einstein / SECONDS_PER_DAY
    if kernel is not None:
        return _read(kernel, f"JPL-{kernel.stem.upper()[:20]}", day, tdb, times, einstein)
    with as_file(files("skyfield_data") / "data" / "de421.bsp") as path:
        return _read(path, EPHEMERIS, day, tdb, times, einstein)


def _read(path: Path, name: str, day: float, tdb: Floats, times: Floats, einstein: Floats) -> SolarSystem:
    """Read the tracks of Earth and Sun from an SPK file. Raise ReductionError."""
    try:
        with SPK.open(str(path)) as spk:
            earth = [np.array(spk[centre, target].compute_and_differentiate(day, tdb))
                     for centre, target in ((0, 3), (3, 399))]  # fmt: skip
            sun = np.array(spk[0, 10].compute_and_differentiate(day, tdb))
    except OutOfRangeError as error:
        raise ReductionError(f"{path.name} does not cover MJD {day - _MJD_OF_JD + tdb[0]:.1f} to "
                             f"{day - _MJD_OF_JD + tdb[-1]:.1f}", "ephemeris") from error  # fmt: skip
    except (ValueError, KeyError, OSError) as error:
        raise ReductionError(f"{path.name} is no JPL ephemeris (SPK) with Sun and Earth; give one such as de440s.bsp",
                             "ephemeris") from error  # fmt: skip
    return SolarSystem(name, _track(times, earth[0] + earth[1]), _track(times, sun), einstein)


def _track(times: Floats, found: Floats) -> Track:
    """Return places of km and km/day, shape (2, 3, n), as a track in m and m/s."""
    return Track(times, found[0].T * 1e3, found[1].T * 1e3 / SECONDS_PER_DAY)


def direction(longitude_deg: float, latitude_deg: float, frame: str = "ICRS") -> Floats:
    """Return the unit vector towards a source in the ICRS, shape (3,).

    Parameters
    ----------
    longitude_deg
        Right ascension in degrees.
    latitude_deg
        Declination in degrees.
    frame
        ICRS, FK5 or FK4, as RADECSYS has it.

    Returns
    -------
    Floats
        The vector.
    """
    place = SkyCoord(longitude_deg, latitude_deg, unit="deg", frame=frame.lower()).icrs
    return np.asarray(place.cartesian.xyz.value, dtype=np.float64)


def position_deg(towards: Floats) -> tuple[float, float]:
    """Return right ascension and declination in degrees (ICRS) of a unit vector."""
    x, y, z = towards.tolist()
    return round(float(np.degrees(np.arctan2(y, x)) % 360), 10), round(float(np.degrees(np.arcsin(z))), 10)


def corrections(times_s: Floats, orbit: Orbit, system: SolarSystem, towards: Floats) -> Floats:
    """Return the seconds to add to times at a telescope to get those at the barycentre.

    Parameters
    ----------
    times_s
        Times (TT) in seconds on the clock of the event list, shape (n,).
    orbit
        Where the telescope was; before its first and after its last place it is taken to be there.
    system
        Where Earth and Sun were.
    towards
        Unit vector to the source (ICRS), shape (3,).

    Returns
    -------
    Floats
        Shape (n,); NaN where the time is NaN.
    """
    times = np.asarray(times_s, dtype=np.float64)
    known = np.isfinite(times)
    found = np.full(times.shape, np.nan)
    moments = times[known]
    telescope, earth = orbit.track.at(moments), system.earth.at(moments)
    place = earth + telescope
    steps = system.earth.times_s
    velocity = np.column_stack([np.interp(moments, steps, axis) for axis in system.earth.velocities.T])
    einstein = np.interp(moments, steps, system.einstein_s) + np.sum(telescope * velocity, axis=1) / C_M_S**2
    from_sun = place - system.sun.at(moments)
    cosine = from_sun @ towards / np.linalg.norm(from_sun, axis=1)
    found[known] = einstein + place @ towards / C_M_S + 2 * T_SUN_S * np.log1p(cosine)
    return found
