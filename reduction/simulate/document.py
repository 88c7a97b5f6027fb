"""An observation as an object of JSON: read, with what is wrong said with its place, and made for any seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import astropy.units as u
from astropy.coordinates import SkyCoord

from reduction.errors import ReductionError
from reduction.simulate.attitude import read_attitude
from reduction.simulate.extent import BetaModel, Gaussian, SkyShape
from reduction.simulate.fields import Fields
from reduction.simulate.modelled import Modelled
from reduction.simulate.observation import Flare, Observation, Source
from reduction.simulate.population import Population
from reduction.simulate.skyimage import read_sky_image
from reduction.simulate.spectra import BlackBody, PowerLaw, Spectrum
from reduction.simulate.variability import Burst, Eclipse, Periodic, Variability

START = "2026-03-01T10:00:00"


@dataclass(frozen=True)
class Plan:
    """An observation that can be made for any seed: what is fixed, and what is drawn anew for each seed."""

    observation: Observation
    population: Population | None = None

    def of_seed(self, seed: int) -> Observation:
        """Return the observation with that seed, and the sources of the population drawn by it."""
        fixed = replace(self.observation, seed=seed)
        if self.population is None:
            return fixed
        drawn = self.population.draw(seed, fixed.ra, fixed.dec, fixed.sources)
        return replace(fixed, sources=(*fixed.sources, *drawn))


def read_observation(fields: Fields, files: Mapping[str, Path]) -> Plan:
    """Read an observation.

    Parameters
    ----------
    fields
        Its object: obs_id, ra, dec, pa, start, exposure_s, sources, population, rates of the background, flare,
        pn_mode, target, attitude.
    files
        The files that it may name (an attitude, an image of the sky), by name.

    Returns
    -------
    Plan
        The observation.

    Raises
    ------
    ReductionError
        Something is absent, misspelt or out of range; its parameter is the place.
    """
    ra, dec = fields.number("ra"), fields.number("dec")
    rates = {name: fields.number(name) for name in ("particle_rate", "sky_rate", "proton_rate") if fields.has(name)}
    common: dict[str, Any] = {
        "obs_id": fields.text("obs_id", "0999990901"), "ra": ra, "dec": dec, "pa": fields.number("pa", 0.0),
        "start": fields.text("start", START), "exposure_s": fields.number("exposure_s"),
        "pn_mode": fields.text("pn_mode", "PrimeFullWindow"), "target": fields.text("target", "SIMULATED FIELD"),
        **rates,
    }  # fmt: skip
    if fields.has("flare"):
        given = fields.objects("flare") if isinstance(fields.any("flare"), list) else [fields.object("flare")]
        flares = [_made(each, Flare, "start_s", "duration_s", "factor") for each in given]
        common |= {"flare": flares[0], "further_flares": tuple(flares[1:])} if flares else {}
    if fields.has("attitude"):
        path = _file(fields, "attitude", files)
        common["attitude"] = placed(fields.where("attitude"), lambda: read_attitude(path))
    common["sources"] = tuple(_source(each, ra, dec, files) for each in fields.objects("sources"))
    names = [source.name for source in common["sources"]]
    if len(set(names)) < len(names):
        raise ReductionError("two sources have the same name", fields.where("sources"))
    population = _population(fields.object("population")) if fields.has("population") else None
    fields.done()
    observation = placed(fields.where("").rstrip("."), lambda: Observation(**common))
    placed(fields.where("sources"), lambda: observation.positions)
    return Plan(observation, population)


def placed(place: str, make: Callable[[], Any]) -> Any:
    """Return what a function makes. Raise its ReductionError with the place in front of its parameter."""
    try:
        return make()
    except ReductionError as error:
        inner = error.parameter or ""
        where = place if not inner or place.endswith(inner) else f"{place}.{inner}".lstrip(".")
        raise ReductionError(str(error), where) from error


def _made(fields: Fields, kind: Callable[..., Any], *wanted: str, **defaults: float) -> Any:
    """Return a value whose arguments are the numbers of an object."""
    given = {name: fields.number(name) for name in wanted}
    given |= {name: fields.number(name, default) for name, default in defaults.items()}
    fields.done()
    return placed(fields.where("").rstrip("."), lambda: kind(**given))


def _source(fields: Fields, ra: float, dec: float, files: Mapping[str, Path]) -> Source:
    name = fields.text("name")
    if not name.replace("_", "a").isalnum() or not name.isascii():
        raise ReductionError(
            f"{name[:40]!r} is no name for references: letters, digits and _ are", fields.where("name")
        )
    extent, centre = _extent(fields, files)
    place = (float(centre.ra.deg), float(centre.dec.deg)) if centre is not None else _position(fields, ra, dec)
    variability = _variability(fields.object("variability")) if fields.has("variability") else None
    spectrum, flux = _spectrum(fields), 0.0
    if isinstance(spectrum, Modelled):
        if fields.has("flux"):
            raise ReductionError("its model has norms, from which the flux follows; leave the flux out",
                                 fields.where("flux"))  # fmt: skip
        flux = spectrum.flux
    else:
        flux = fields.number("flux")
    fields.done()
    return placed(  # type: ignore[no-any-return]
        fields.where("").rstrip("."), lambda: Source(name, *place, flux, spectrum, extent, variability)
    )


def _position(fields: Fields, ra: float, dec: float) -> tuple[float, float]:
    """Return the ICRS degrees of a source: its own, or so many arcmin to the east and to the north of the pointing."""
    if fields.has("offset_arcmin"):
        if fields.has("ra") or fields.has("dec"):
            raise ReductionError("a source has ra and dec or offset_arcmin, not both", fields.where("offset_arcmin"))
        east, north = fields.numbers("offset_arcmin", 2)
        frame = SkyCoord(ra * u.deg, dec * u.deg).skyoffset_frame()
        place = SkyCoord(east * u.arcmin, north * u.arcmin, frame=frame).icrs
        return float(place.ra.deg), float(place.dec.deg)
    return fields.number("ra"), fields.number("dec")


def _spectrum(fields: Fields) -> Spectrum:
    """Return the spectrum of a source or of a population."""
    inner = fields.object("spectrum")
    kind = inner.choice("powerlaw", "blackbody", "model")
    if kind == "model":
        return _modelled(inner)
    made = _made(inner.object(kind), PowerLaw, "index") if kind == "powerlaw" else _made(
        inner.object(kind), BlackBody, "kt_kev")  # fmt: skip
    inner.done()
    return made  # type: ignore[no-any-return]


def _modelled(fields: Fields) -> Modelled:
    """Return the spectrum of a model with its parameters."""
    expression = fields.text("model")
    values = fields.object("parameters") if fields.has("parameters") else None
    given = {name: values.number(name) for name, _ in values.items()} if values else {}
    fields.done()
    return placed(  # type: ignore[no-any-return]
        fields.where("").rstrip("."), lambda: Modelled.of(expression, given)
    )


def _extent(fields: Fields, files: Mapping[str, Path]) -> tuple[SkyShape | None, SkyCoord | None]:
    """Return the shape of a source and, of an image, where its middle is."""
    if not fields.has("extent"):
        return None, None
    inner = fields.object("extent")
    kind = inner.choice("gaussian", "beta", "image")
    if kind == "image":
        path = _file(inner, "image", files)
        inner.done()
        return placed(inner.where("image"), lambda: read_sky_image(path))  # type: ignore[no-any-return]
    shape = inner.object(kind)
    inner.done()
    if kind == "gaussian":
        return _made(shape, Gaussian, "sigma_arcsec"), None
    return _made(shape, BetaModel, "core_arcsec", "beta", limit_arcsec=600.0), None


def _variability(fields: Fields) -> Variability:
    kind = fields.choice("burst", "eclipse", "periodic")
    inner = fields.object(kind)
    fields.done()
    if kind == "burst":
        return _made(inner, Burst, "start_s", "factor", "decay_s", rise_s=0.0)  # type: ignore[no-any-return]
    if kind == "eclipse":
        return _made(inner, Eclipse, "period_s", "duration_s", middle_s=0.0, depth=1.0)  # type: ignore[no-any-return]
    return _made(inner, Periodic, "period_s", "fraction", epoch_s=0.0)  # type: ignore[no-any-return]


def _population(fields: Fields) -> Population:
    number, (low, high) = fields.whole("number", least=1), fields.numbers("flux", 2)
    slope, radius = fields.number("slope", 1.5), fields.number("radius_arcmin", 10.0)
    apart, spectrum = fields.number("apart_arcsec", 60.0), _spectrum(fields)
    fields.done()
    return placed(  # type: ignore[no-any-return]
        fields.where("").rstrip("."), lambda: Population(number, (low, high), slope, radius, spectrum, apart)
    )


def _file(fields: Fields, name: str, files: Mapping[str, Path]) -> Path:
    text = fields.text(name)
    if text not in files:
        there = f"; there are {', '.join(files)}" if files else ""
        raise ReductionError(f"there is no file {text[:60]!r} beside the recipe{there}", fields.where(name))
    return files[text]
