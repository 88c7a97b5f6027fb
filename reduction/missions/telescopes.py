"""The telescopes whose photon lists can be reduced: their columns, keywords, energies and usual selections.

The only module that knows a column or keyword name of a telescope.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError

Header = Mapping[str, Any]
"""Keywords and their values: an astropy header, or a plain dictionary."""

Ranges = tuple[tuple[int, int], ...]
"""Inclusive integer ranges, sorted and apart."""

CREATOR = "uws-server reduction"
"""What products name as their maker, whatever the telescope (keyword CREATOR)."""

HIGHEST_PATTERN = 255
"""Patterns and grades are bytes in every event list known here."""


@dataclass(frozen=True)
class Window:
    """Pixels of one CCD that are read out: first and last column (RAWX) and row (RAWY), inclusive."""

    rawx: tuple[int, int]
    rawy: tuple[int, int]


@dataclass(frozen=True)
class Mission:
    """What one instrument calls things, and how its numbers become energies.

    The energy of an event is ``energy_zero_kev + energy_step_kev * value`` of the column `energy`; its channel in a
    spectrum is the value of the column `channel` divided by `channel_divisor`, whole part.
    """

    name: str
    telescope: str
    instruments: tuple[str, ...]
    time: str
    x: str | None
    y: str | None
    energy: str
    energy_zero_kev: float
    energy_step_kev: float
    channel: str
    channel_divisor: int
    first_channel: int
    last_channel: int
    channel_zero_kev: float
    """Energy of the lower edge of channel 0."""
    channel_width_kev: float
    fwhm_ev: tuple[float, float]
    """FWHM^2 in eV^2 is ``fwhm_ev[0]**2 + fwhm_ev[1]**2 * E`` with E in keV."""
    pattern: str | None = None
    default_patterns: Ranges = ((0, HIGHEST_PATTERN),)
    flag: str | None = None
    flag_card: str | None = None
    default_flag_mask: int = 0
    ccd: str | None = None
    rawx: str | None = None
    rawy: str | None = None
    detector: Window | None = None
    """The full read-out of one CCD, where bad pixels and gaps can be taken off."""
    live_per_ccd: tuple[str, str] | None = None
    """Formats of the keywords of live time and on time of one CCD, e.g. ``LIVETI{:02d}``."""
    modes: tuple[str, ...] = ()
    """Values of DATAMODE that can be reduced; empty: any."""
    mode_refusal: str = ""

    @property
    def channels(self) -> npt.NDArray[np.int32]:
        """All channel numbers of a spectrum, shape (n,)."""
        return np.arange(self.first_channel, self.last_channel + 1, dtype=np.int32)

    @property
    def is_xmm(self) -> bool:
        """Whether the products follow the conventions of the XMM-Newton SAS."""
        return self.telescope == "XMM"

    def energy_to_value(self, energy_kev: float) -> float:
        """Value of the column `energy` at an energy in keV."""
        return (energy_kev - self.energy_zero_kev) / self.energy_step_kev

    def channel_energies(self) -> npt.NDArray[np.float64]:
        """Nominal edges of the channels in keV, shape (n + 1,)."""
        edges = np.arange(self.first_channel, self.last_channel + 2, dtype=np.float64)
        return self.channel_zero_kev + self.channel_width_kev * edges

    def fwhm_channels(self) -> npt.NDArray[np.float64]:
        """FWHM of the energy resolution at each channel, in channels, shape (n,)."""
        edges = self.channel_energies()
        energy_kev = np.maximum((edges[:-1] + edges[1:]) / 2, 0.0)
        noise, fano = self.fwhm_ev
        width = np.sqrt(noise**2 + fano**2 * energy_kev) / (1000.0 * self.channel_width_kev)
        return np.asarray(width, dtype=np.float64)

    def flag_mask(self, header: Header) -> tuple[int, str]:
        """Bits of the flag that must be unset by the usual selection, and where the mask comes from."""
        card = header.get(self.flag_card) if self.flag_card else None
        found = re.search(r"FLAG\s*&\s*(0x[0-9a-f]+|\d+)\s*\)?\s*==\s*0", str(card), re.IGNORECASE) if card else None
        if found:
            return int(found[1], 0) & 0xFFFFFFFF, f"{self.flag_card} of the event list"
        return self.default_flag_mask, f"no readable {self.flag_card} in the event list: the usual mask"

    def live_fraction(self, header: Header, ccd: int | None) -> tuple[float, str]:
        """Live time over on time of a CCD (or of all), and which keywords gave it.

        Keywords of the CCD come first, then those of the whole instrument, then DTCOR or DEADC; 1 if none is there.
        """
        pairs = [("LIVETIME", "ONTIME"), ("EXPOSURE", "ONTIME")]
        if self.live_per_ccd and ccd is not None:
            pairs.insert(0, (self.live_per_ccd[0].format(ccd), self.live_per_ccd[1].format(ccd)))
        for live, on in pairs:
            live_s, on_s = number(header, live), number(header, on)
            if live_s is not None and on_s is not None and 0 < live_s <= on_s * 1.0001:
                return min(live_s / on_s, 1.0), f"{live}/{on}"
        for key in ("DTCOR", "DEADC"):
            fraction = number(header, key)
            if fraction is not None and 0 < fraction <= 1:
                return fraction, key
        return 1.0, "no LIVETIME and ONTIME: taken as 1"


def number(header: Header, key: str) -> float | None:
    """The finite number under a keyword, None if there is none."""
    value = header.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        return None
    return float(value)


# FWHM of pn: least squares over the redistribution matrix of a pn source, patterns 0-4 (SAS 18).
EPN = Mission(
    name="XMM-Newton EPIC pn", telescope="XMM", instruments=("EPN",), time="TIME", x="X", y="Y",
    energy="PI", energy_zero_kev=0.0, energy_step_kev=0.001,
    channel="PI", channel_divisor=5, first_channel=0, last_channel=4095, channel_zero_kev=0.0, channel_width_kev=0.005,
    fwhm_ev=(81.5, 73.6), pattern="PATTERN", default_patterns=((0, 4),),
    flag="FLAG", flag_card="XMMEA_EP", default_flag_mask=0xCFA0000,
    ccd="CCDNR", rawx="RAWX", rawy="RAWY", detector=Window((1, 64), (1, 200)),
    live_per_ccd=("LIVETI{:02d}", "ONTIME{:02d}"),
    modes=("IMAGING",), mode_refusal="in timing and burst mode RAWY is time, not a place on the sky",
)  # fmt: skip

# FWHM of MOS: 70 eV at 1 keV and 150 eV at 6.4 keV (XMM-Newton Users Handbook).
EMOS1 = replace(
    EPN, name="XMM-Newton EPIC MOS1", instruments=("EMOS1",), last_channel=2399, fwhm_ev=(41.0, 57.0),
    default_patterns=((0, 12),), flag_card="XMMEA_EM", default_flag_mask=0x766BA000,
    detector=Window((1, 600), (1, 600)),
)  # fmt: skip
EMOS2 = replace(EMOS1, name="XMM-Newton EPIC MOS2", instruments=("EMOS2",))

# FWHM of ACIS-S3: 95 eV at 1.49 keV and 150 eV at 5.9 keV (Chandra Proposers' Observatory Guide).
ACIS = Mission(
    name="Chandra ACIS", telescope="CHANDRA", instruments=("ACIS",), time="time", x="x", y="y",
    energy="energy", energy_zero_kev=0.0, energy_step_kev=0.001,
    channel="pi", channel_divisor=1, first_channel=1, last_channel=1024,
    channel_zero_kev=-0.0146, channel_width_kev=0.0146, fwhm_ev=(67.0, 55.0),
    pattern="grade", default_patterns=((0, 0), (2, 4), (6, 6)), ccd="ccd_id",
    live_per_ccd=("LIVTIME{:d}", "ONTIME{:d}"),
)  # fmt: skip

# FWHM of NuSTAR: 0.4 keV at 10 keV and 0.9 keV at 68 keV (Harrison et al. 2013, ApJ 770, 103).
FPMA = Mission(
    name="NuSTAR FPMA", telescope="NuSTAR", instruments=("FPMA",), time="TIME", x="X", y="Y",
    energy="PI", energy_zero_kev=1.6, energy_step_kev=0.04,
    channel="PI", channel_divisor=1, first_channel=0, last_channel=4095, channel_zero_kev=1.6, channel_width_kev=0.04,
    fwhm_ev=(219.0, 106.0), pattern="GRADE", default_patterns=((0, 26),),
)  # fmt: skip
FPMB = replace(FPMA, name="NuSTAR FPMB", instruments=("FPMB",))

# FWHM of NICER: 85 eV at 1 keV and 137 eV at 6 keV (Gendreau et al. 2016, SPIE 9905).
XTI = Mission(
    name="NICER XTI", telescope="NICER", instruments=("XTI",), time="TIME", x=None, y=None,
    energy="PI", energy_zero_kev=0.0, energy_step_kev=0.01,
    channel="PI", channel_divisor=1, first_channel=0, last_channel=1500, channel_zero_kev=0.0, channel_width_kev=0.01,
    fwhm_ev=(70.0, 48.0),
)  # fmt: skip

MISSIONS: tuple[Mission, ...] = (EPN, EMOS1, EMOS2, ACIS, FPMA, FPMB, XTI)


def identify(header: Header, parameter: str = "eventlist") -> Mission:
    """Find the mission of an event list by TELESCOP, INSTRUME and DATAMODE.

    Parameters
    ----------
    header
        Keywords of the event table, those of the primary header behind them.
    parameter
        Job parameter named in the error.

    Raises
    ------
    ReductionError
        The instrument or its mode is not known here.
    """
    telescope = str(header.get("TELESCOP") or "").strip()
    instrument = str(header.get("INSTRUME") or "").strip()
    for mission in MISSIONS:
        if mission.telescope.upper() == telescope.upper() and instrument.upper() in mission.instruments:
            mode = str(header.get("DATAMODE") or "").strip().upper()
            if mission.modes and mode and mode not in mission.modes:
                raise ReductionError(
                    f"the event list of {mission.name} is in {mode} mode, only {', '.join(mission.modes)} mode can be "
                    f"reduced: {mission.mode_refusal}", parameter)  # fmt: skip
            return mission
    came = " ".join(part for part in (telescope, instrument) if part) or "nowhere (no TELESCOP, no INSTRUME)"
    known = ", ".join(mission.name for mission in MISSIONS)
    raise ReductionError(f"the event list is from {came[:80]}; known are {known}", parameter)


def parse_patterns(text: str, mission: Mission, parameter: str = "pattern") -> Ranges | None:
    """Read a choice of patterns: ``default``, ``all``, or a list such as ``0:4`` or ``0,2:4,6``.

    Returns None for all. Raises ReductionError for anything else.
    """
    text = text.strip().lower()
    if text == "default":
        return mission.default_patterns if mission.pattern else None
    if text == "all":
        return None
    if not re.fullmatch(r"\d{1,3}(:\d{1,3})?(,\d{1,3}(:\d{1,3})?)*", re.sub(r"\s", "", text)):
        raise ReductionError(f"{text[:60]!r} is no choice of patterns; write default, all, or a list such as 0:4 or "
                             "0,2,3,4,6", parameter)  # fmt: skip
    if mission.pattern is None:
        raise ReductionError(f"events of {mission.name} have no pattern; write default or all", parameter)
    wanted: set[int] = set()
    for part in re.sub(r"\s", "", text).split(","):
        low, _, high = part.partition(":")
        first, last = int(low), int(high or low)
        if first > last or last > HIGHEST_PATTERN:
            raise ReductionError(f"{part} is no range of patterns; both ends lie in 0..{HIGHEST_PATTERN}, the lower "
                                 "one first", parameter)  # fmt: skip
        wanted.update(range(first, last + 1))
    return _ranges(sorted(wanted))


def _ranges(values: list[int]) -> Ranges:
    """Join sorted numbers into inclusive ranges."""
    ranges: list[tuple[int, int]] = []
    for value in values:
        if ranges and value == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], value)
        else:
            ranges.append((value, value))
    return tuple(ranges)
