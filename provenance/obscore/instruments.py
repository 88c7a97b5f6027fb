"""The properties of each instrument: point spread, energy resolution, band and field of view.

Used where a product's headers name the instrument and say nothing more specific.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from provenance.obscore.product import Product, product


@dataclass(frozen=True, slots=True)
class Instrument:
    """An instrument by TELESCOP and INSTRUME.

    `psf_arcsec` is the FWHM of the point spread function on axis (None where it does not image), `fwhm_ev` the energy
    resolution: FWHM^2 in eV^2 is ``fwhm_ev[0]**2 + fwhm_ev[1]**2 * E`` with E in keV. `band_kev` is the band it is used
    in, `fov_deg` the diameter of a circle that contains its field of view, `is_round` whether the field fills it.
    """

    telescope: str
    name: str
    psf_arcsec: float | None
    fwhm_ev: tuple[float, float]
    band_kev: tuple[float, float]
    fov_deg: float
    is_round: bool

    def resolving_power(self, energy_kev: float) -> float:
        """Return an energy (keV) over the FWHM at that energy."""
        noise, fano = self.fwhm_ev
        return 1000 * energy_kev / math.sqrt(noise**2 + fano**2 * energy_kev)


# XMM-Newton Users Handbook, sections 3.2.1 and 3.3: FWHM at 1.5 keV, that of pn on ground (in orbit pixels limit it).
_PN: Final = Instrument("XMM", "EPN", 6.6, (81.5, 73.6), (0.15, 15.0), 0.5, is_round=True)
_MOS1: Final = Instrument("XMM", "EMOS1", 4.3, (41.0, 57.0), (0.15, 12.0), 0.5, is_round=True)

_EROSITA: Final = ("MERGED", *(f"TM{number}" for number in range(10)))

INSTRUMENTS: Final = (
    _PN,
    _MOS1,
    replace(_MOS1, name="EMOS2", psf_arcsec=4.4),
    # Chandra Proposers' Observatory Guide, chapters 4 and 6: six chips may be on, up to 16.9 arcmin square for ACIS-I
    Instrument("CHANDRA", "ACIS", 0.5, (67.0, 55.0), (0.2, 10.0), 16.9 * math.sqrt(2) / 60, is_round=False),
    # Harrison et al. 2013, ApJ 770, 103, table 2
    Instrument("NUSTAR", "FPMA", 18.0, (219.0, 106.0), (3.0, 79.0), 13.0 * math.sqrt(2) / 60, is_round=False),
    Instrument("NUSTAR", "FPMB", 18.0, (219.0, 106.0), (3.0, 79.0), 13.0 * math.sqrt(2) / 60, is_round=False),
    # Gendreau et al. 2016, SPIE 9905: 30 square arcmin, no image
    Instrument("NICER", "XTI", None, (70.0, 48.0), (0.2, 12.0), 2 * math.sqrt(30 / math.pi) / 60, is_round=True),
    # Moretti et al. 2005, SPIE 5898 (King profile); Burrows et al. 2005, Space Sci. Rev. 120, 165
    Instrument("SWIFT", "XRT", 8.7, (66.0, 50.0), (0.2, 10.0), 23.6 * math.sqrt(2) / 60, is_round=False),
    # half-energy widths stand for FWHM here: Predehl et al. 2021, A&A 647, A1; Weisskopf et al. 2022, JATIS 8, 026002;
    # Tashiro et al. 2020, SPIE 11444
    *(Instrument("EROSITA", name, 16.1, (50.0, 53.0), (0.2, 8.0), 1.03, is_round=True) for name in _EROSITA),
    *(
        Instrument("IXPE", name, 30.0, (0.0, 440.0), (2.0, 8.0), 12.9 * math.sqrt(2) / 60, is_round=False)
        for name in ("GPD", "DU1", "DU2", "DU3")
    ),
    Instrument("XRISM", "RESOLVE", 78.0, (4.5, 0.0), (0.3, 12.0), 3.1 * math.sqrt(2) / 60, is_round=False),
    Instrument("XRISM", "XTEND", 78.0, (70.0, 65.0), (0.4, 13.0), 38.5 * math.sqrt(2) / 60, is_round=False),
)


def covered_kev(header: Mapping[str, Any], low: float, high: float) -> tuple[float, float]:
    """Return the part of an energy range that the band of a header's instrument covers.

    Parameters
    ----------
    header
        A header with TELESCOP and INSTRUME.
    low
        The lower end of the range, keV.
    high
        The upper end of the range, keV.

    Returns
    -------
    tuple of float
        The part, keV; the whole range for an instrument that is not known, or one that covers nothing of it.

    >>> covered_kev({"TELESCOP": "NuSTAR", "INSTRUME": "FPMA"}, 0.2, 12.0)
    (3.0, 12.0)
    """
    found = product([header])
    instrument = find(found) if found else None
    if instrument is None:
        return low, high
    inner = max(low, instrument.band_kev[0]), min(high, instrument.band_kev[1])
    return inner if inner[0] < inner[1] else (low, high)


def find(product: Product) -> Instrument | None:
    """Return the instrument of a product; None for one that is not known here."""
    names = product.text("TELESCOP").upper(), product.text("INSTRUME").upper()
    return next((known for known in INSTRUMENTS if (known.telescope, known.name) == names), None)
