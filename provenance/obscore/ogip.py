"""Derives columns of ObsCore from the OGIP and HEASARC keywords of an X-ray product.

Nothing is guessed: a keyword that is absent, or has a value that it may not have, leaves its column out. A keyword is
looked up in the header of the science data, then in the primary one.

calib_level is 1 for events without an energy or PI column; 3 for a product that joins several cameras or exposures
(INSTRUME EPIC, MERGED or a list) or has a background subtracted (HDUCLAS2 NET); otherwise 2: photon lists as the
missions process them are calibrated in position, time and energy, and so are products binned from them. A file that
states neither its type nor that it is OGIP has none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from provenance.fits import pha
from provenance.fits.headers import Cards
from provenance.obscore import high_energy, instruments, sky, times
from provenance.obscore.product import Found, Product, one_bin, product

_FACILITIES: Final = {"XMM": "XMM-Newton"}
_MEASURED: Final = frozenset({"event", "image", "cube", "spectrum", "timeseries"})
_ENERGIES: Final = frozenset({"PI", "ENERGY"})
_RANGE: Final = re.compile(r"\(?([\d.]+):([\d.]+)\)?")


def columns(headers: Sequence[Mapping[str, Any]]) -> Found:
    """Derive the ObsCore columns, by name, of a product with these headers (the primary one first).

    Raises nothing, whatever the headers hold. The docstrings of this module, of `times` and of `sky` give the rules.
    """
    found = product(headers)
    if found is None:
        return {}
    parts = (_identity(found), _quality(found), sky.columns(found), times.columns(found), _spectral(found),
             _observable(found), high_energy.columns(found))
    return {name: value for part in parts for name, value in part.items() if value not in (None, "")}


def _identity(product: Product) -> Found:
    """The columns that identify a product and its observation."""
    facility = _FACILITIES.get(product.text("TELESCOP").upper(), product.text("TELESCOP"))
    classes = [product.science.text(f"HDUCLAS{number}").lower() for number in (1, 2, 3)]
    return {
        "dataproduct_type": product.type,
        "dataproduct_subtype": ".".join(name for name in classes if name),
        "target_name": product.text("OBJECT"),
        "obs_id": _obs_id(product),
        "obs_title": _title(product),
        "proposal_id": _proposal(product),
        "bib_reference": product.text("REFERENC"),
        "obs_collection": facility,
        "facility_name": facility,
        "instrument_name": product.text("INSTRUME"),
        "obs_creation_date": times.timestamp(product.text("DATE")),
        "obs_creator_name": product.text("ORIGIN") or product.text("CREATOR"),
        "access_format": "application/fits",
    }


def _obs_id(product: Product) -> str:
    """OBS_ID as text; that of XMM-Newton has ten digits even where the header has a number."""
    number = product.number("OBS_ID")
    if product.text("OBS_ID") or number is None:
        return product.text("OBS_ID")
    return f"{int(number):010d}" if product.is_xmm else f"{int(number)}"


def _title(product: Product) -> str:
    """TITLE, which the missions give an observation; else the content of the file in one line."""
    names = [product.text(keyword) for keyword in ("TELESCOP", "INSTRUME", "OBJECT")]
    telescope, instrument, target = (_FACILITIES.get(names[0].upper(), names[0]), *names[1:])
    if product.text("TITLE") or not (product.type and telescope and target):
        return product.text("TITLE")
    kind = {"event": "events", "timeseries": "light curve", "measurements": "response"}.get(product.type, product.type)
    observation = f", observation {number}" if (number := _obs_id(product)) else ""
    return f"{' '.join(part for part in (telescope, instrument, kind) if part)} of {target}{observation}"


def _proposal(product: Product) -> str:
    """PROP_ID or PROPOSAL; the first six of the ten digits of an XMM-Newton observation are those of its proposal."""
    for keyword in ("PROP_ID", "PROPOSAL"):
        number = product.number(keyword)
        if text := product.text(keyword) or (f"{int(number)}" if number is not None else ""):
            return text
    observation = _obs_id(product)
    return observation[:6] if product.is_xmm and re.fullmatch(r"\d{10}", observation, re.ASCII) else ""


def _quality(product: Product) -> Found:
    """The calibration level."""
    science = product.science
    if not product.type and product.text("HDUCLASS").upper() != "OGIP":
        return {}
    names = _column_names(science)
    if product.type == "event" and names and not names & _ENERGIES:
        return {"calib_level": 1}
    instrument = product.text("INSTRUME").upper()
    joined = instrument in ("EPIC", "MERGED") or "," in instrument
    return {"calib_level": 3 if joined or science.text("HDUCLAS2").upper() == "NET" else 2}


def _spectral(product: Product) -> Found:
    """Channels and energy band; where the headers state no band, it is that of the instrument."""
    instrument = instruments.find(product)
    band = next((band for cards in product.main if (band := _band_kev(cards, product.is_xmm))), None)
    if band is None and instrument and product.type in _MEASURED:
        band = instrument.band_kev
    found: Found = {"em_xel": _channels(product)}
    if product.type in ("spectrum", "event"):
        found |= {"em_ucd": "em.energy", "em_unit": "eV" if product.is_xmm else _energy_unit(product.science)}
        is_calibrated = product.science.text("CHANTYPE").upper() == "PI" or _column_names(product.science) & _ENERGIES
        found["em_calib_status"] = "calibrated" if is_calibrated else None
    if band:
        found |= {"em_min": high_energy.KEV_METRE / band[1], "em_max": high_energy.KEV_METRE / band[0]}
    return found


def resolution(headers: Sequence[Mapping[str, Any]], em_min: float, em_max: float) -> Found:
    """Derive the spectral resolution of a product from its instrument.

    Parameters
    ----------
    headers
        The headers of the product, the primary one first.
    em_min
        The shortest wavelength, m.
    em_max
        The longest wavelength, m.

    Returns
    -------
    dict
        The typical (at the geometric mean of the energies), lowest and highest resolving power, and the typical
        resolution in metres; empty for a product that is neither a spectrum nor events, or of an unknown instrument.
    """
    found = product(headers)
    instrument = instruments.find(found) if found else None
    if found is None or instrument is None or found.type not in ("spectrum", "event") or not 0 < em_min <= em_max:
        return {}
    low, high = high_energy.KEV_METRE / em_max, high_energy.KEV_METRE / em_min
    middle = math.sqrt(low * high)
    typical = instrument.resolving_power(middle)
    return {
        "em_res_power": typical,
        "em_res_power_min": instrument.resolving_power(low),
        "em_res_power_max": instrument.resolving_power(high),
        "em_resolution": high_energy.KEV_METRE / middle / typical,
    }


def _channels(product: Product) -> int | None:
    """Bins along the spectral axis; -1 for events, which are not binned; None for products without that axis."""
    if product.type == "spectrum":
        return pha.channel_count(product.science)
    return -1 if product.type == "event" else one_bin(product, "timeseries", "image")


def _energy_unit(cards: Cards) -> str | None:
    """The unit of the column ENERGY of an event table; None where it has none."""
    for number in range(1, min(cards.count("TFIELDS") or 0, 999) + 1):
        if cards.text(f"TTYPE{number}").upper() == "ENERGY":
            return {"EV": "eV", "KEV": "keV"}.get(cards.text(f"TUNIT{number}").upper())
    return None


def _band_kev(cards: Cards, is_xmm: bool) -> tuple[float, float] | None:
    """The energies (keV) between which a data subspace keeps PI or ENERGY; PI channels of XMM-Newton are eV."""
    units = {"EV": 1000.0, "KEV": 1.0, **({"CHAN": 1000.0, "": 1000.0} if is_xmm else {})}
    lows, highs = [], []
    for number in range(1, 100):
        name = cards.text(f"DSTYP{number}").upper()
        if not name:
            break
        match = _RANGE.fullmatch(cards.text(f"DSVAL{number}"))
        unit = units.get(cards.text(f"DSUNI{number}").upper())
        if name in ("PI", "ENERGY") and match and unit:
            low, high = (_float(text) / unit for text in match.groups())
            lows.append(low)
            highs.append(high)
    band = (max(lows), min(highs)) if lows else (0.0, 0.0)
    return band if 0 < band[0] < band[1] else None


def _float(text: str) -> float:
    """A number's text; 0 for what only looks like one ("1.2.3")."""
    return float(text) if text.count(".") < 2 and text != "." else 0.0


def _observable(product: Product) -> Found:
    """The observable; no X-ray camera here measures polarization, unless its table has the columns Q and U."""
    science = product.science
    found: Found = {}
    if product.type == "event":
        found = {"o_ucd": "phot.count", "o_unit": "count"}
    elif product.type in ("spectrum", "timeseries"):
        found = _first_observable(science)
    elif product.type in ("image", "cube"):
        kind = science.text("HDUCLAS2").upper()
        if kind == "EXPOSURE":
            found = {"o_ucd": "time.duration;obs.exposure", "o_unit": "s"}
        elif kind in ("TOTAL", "BKG", "NET"):
            found = {"o_ucd": "phot.count", "o_unit": "count"}
    return found if _column_names(science) >= {"Q", "U"} or not product.type else {**found, "pol_xel": 0}


def _column_names(cards: Cards) -> set[str]:
    """The names of a table's columns, in capitals."""
    return {cards.text(f"TTYPE{number}").upper() for number in range(1, min(cards.count("TFIELDS") or 0, 999) + 1)}


def _first_observable(science: Cards) -> Found:
    """Counts or a rate, by HDUCLAS3 or the name of a column."""
    names = _column_names(science)
    kind = science.text("HDUCLAS3").upper()
    if kind == "RATE" or (not kind and "RATE" in names):
        return {"o_ucd": "arith.rate;phot.count", "o_unit": "count/s"}
    if kind == "COUNT" or "COUNTS" in names:
        return {"o_ucd": "phot.count", "o_unit": "count"}
    return {}
