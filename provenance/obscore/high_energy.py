"""The columns that the draft high-energy extension adds to ObsCore, each with a FITS keyword like those of VO-TAGS.

Source: the working draft "IVOA ObsCore Extension and Discovery of High Energy Astrophysics Data" (table
ivoa.obscore_hea, 2026); it gives no utypes. The keywords are ours, in the same grammar of axis and suffix. All may be
absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from provenance.fits.headers import Cards
from provenance.obscore.columns import MAY, Column
from provenance.obscore.product import Found, Product

COLUMNS: Final = (
    Column("EV_XEL", "ev_xel", MAY, "int", "BIGINT", None, "meta.number", "", "Number of events"),
    Column("EN_MIN", "energy_min", MAY, "float", "DOUBLE", "eV", "em.energy;stat.min", "",
           "Lowest energy, that of em_max"),
    Column("EN_MAX", "energy_max", MAY, "float", "DOUBLE", "eV", "em.energy;stat.max", "",
           "Highest energy, that of em_min"),
    Column("OBS_MODE", "obs_mode", MAY, "str", "VARCHAR", None, "meta.code;obs.param", "",
           "Mode in which the instrument observed, in its own words"),
    Column("ANA_MODE", "analysis_mode", MAY, "str", "VARCHAR", None, "meta.code;obs.param", "",
           "How the data were reduced: the task and its version"),
    Column("EV_TYPE", "event_type", MAY, "str", "VARCHAR", None, "meta.code.qual", "",
           "Which events were kept, by their pattern or grade and their flags"),
    Column("T_INTVS", "t_intervals", MAY, "str", "VARCHAR", None, "time.interval;obs.exposure", "",
           "Good time intervals as the text of a T-MOC"),
)  # fmt: skip
"""The columns, in the draft's order of subjects."""

EV_METRE: Final = 12.398419843e-7
"""Planck constant times speed of light over elementary charge, eV m (CODATA 2018)."""

KEV_METRE: Final = 12.398419843e-10
"""The same in keV m."""

_QUALITIES: Final = frozenset({"PATTERN", "GRADE", "FLAG", "STATUS"})


def columns(product: Product) -> Found:
    """Derive the number of events, the modes of instrument and reduction, and the selection of events by quality."""
    science = product.science
    modes = [product.text(keyword) for keyword in ("DATAMODE", "SUBMODE")]
    return {
        "ev_xel": science.count("NAXIS2") if product.type == "event" else None,
        "obs_mode": " ".join(mode for mode in modes if mode.upper() not in ("", "NONE")),
        "analysis_mode": product.text("CREATOR"),
        "event_type": ", ".join(_kept(science)),
    }


def energies(row: Mapping[str, str | int | float]) -> Found:
    """Return the energies in eV of a row's em_max and em_min (m), to 12 digits; None where one is not known."""
    low, high = row.get("em_max"), row.get("em_min")
    return {
        "energy_min": float(f"{EV_METRE / low:.12g}") if isinstance(low, float) and low > 0 else None,
        "energy_max": float(f"{EV_METRE / high:.12g}") if isinstance(high, float) and high > 0 else None,
    }


def _kept(cards: Cards) -> list[str]:
    """The selections of quality in the data subspace, each once, as the header writes them."""
    found = []
    for number in range(1, 100):
        name = cards.text(f"DSTYP{number}").upper()
        if not name:
            break
        if name in _QUALITIES and (value := cards.text(f"DSVAL{number}")):
            found.append(f"{name} {value}")
    return list(dict.fromkeys(found))
