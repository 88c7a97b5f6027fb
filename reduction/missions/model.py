"""What the reduction knows of an instrument: names of columns and keywords, energies, the usual selection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from provenance.fits.headers import numeral
from reduction.missions.field import EPIC_FIELD, FieldOfView

Header = Mapping[str, Any]
"""Keywords and their values: an astropy header, or a plain dictionary."""

Ranges = tuple[tuple[int, int], ...]
"""Inclusive integer ranges, sorted and apart."""

HIGHEST_PATTERN = 255
"""Patterns and grades are bytes in every event list known here."""


@dataclass(frozen=True)
class Window:
    """Pixels of one CCD that are read out: first and last column (RAWX) and row (RAWY), inclusive."""

    rawx: tuple[int, int]
    rawy: tuple[int, int]


@dataclass(frozen=True)
class DetectorPlane:
    """The two columns of a position on the detector, and a unit of them on the sky in arcsec."""

    columns: tuple[str, str]
    arcsec: float


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
    detector_plane: DetectorPlane | None = None
    out_of_time: tuple[tuple[str, float], ...] = ()
    """Of each SUBMODE the part of the events that come while a CCD is read out, whose row is by chance; the last one
    holds for any other SUBMODE. Empty where nothing is known of it."""
    outside_flag: int = 0
    """The bits of the flag that say that an event lies outside of the field of view; 0 where none does."""
    ccd_of_gti: str = r"STDGTI(\d\d)"
    """Pattern of the names of tables of good times that are of one CCD, its number as a group."""
    live_per_ccd: tuple[str, str] | None = None
    """Formats of the keywords of live time and on time of one CCD, e.g. ``LIVETI{:02d}``."""
    channel_widths_ev: tuple[int, ...] = ()
    """Widths in eV of the channels that responses have; empty where channels are those of the column `channel`."""
    flare_kev: tuple[float, float] | None = None
    """Energies of the light curve by which flares are found: photons of the sky have none of them."""
    flare_threshold: float | None = None
    """Rate of that light curve, in count/s, above which the time is usually no good."""
    modes: tuple[str, ...] = ()
    """Values of DATAMODE that can be reduced; empty: any."""
    mode_refusal: str = ""
    caveat: str = ""
    """What to know of every product of the instrument; empty for nothing."""
    filter_card: str | None = None
    """The keyword of the filter wheel, where a position of it keeps the sky out or lets in a calibration source."""
    exposure_maker: str = ""
    """The mission's own program of exposure maps and what it reads besides events; empty where maps are made here."""
    field: FieldOfView = EPIC_FIELD
    """The sky about the pointing that the instrument sees."""

    @property
    def channels(self) -> npt.NDArray[np.int32]:
        """The channel numbers of a spectrum, shape (n,)."""
        return np.arange(self.first_channel, self.last_channel + 1, dtype=np.int32)

    @property
    def is_xmm(self) -> bool:
        """Whether the products follow the conventions of the XMM-Newton SAS."""
        return self.telescope == "XMM"

    def with_channel_width(self, width_ev: int) -> Mission:
        """Return the instrument with channels of another width, over the same energies."""
        last = (self.last_channel + 1) * self.channel_divisor // width_ev - 1
        return replace(self, channel_divisor=width_ev, last_channel=last, channel_width_kev=width_ev / 1000)

    def late_share(self, header: Header) -> float:
        """Return the part of the events of a list that came out of time, by its SUBMODE; 0 where it is not known."""
        submode = str(header.get("SUBMODE") or "").strip()
        return dict(self.out_of_time).get(submode, self.out_of_time[-1][1] if self.out_of_time else 0.0)

    def energy_to_value(self, energy_kev: float) -> float:
        """Return the value of the column `energy` at an energy in keV."""
        return (energy_kev - self.energy_zero_kev) / self.energy_step_kev

    def channel_energies(self) -> npt.NDArray[np.float64]:
        """Return the nominal edges of the channels in keV, shape (n + 1,)."""
        edges = np.arange(self.first_channel, self.last_channel + 2, dtype=np.float64)
        return self.channel_zero_kev + self.channel_width_kev * edges

    def fwhm_channels(self) -> npt.NDArray[np.float64]:
        """Return the FWHM of the energy resolution at each channel, in channels, shape (n,)."""
        edges = self.channel_energies()
        energy_kev = np.maximum((edges[:-1] + edges[1:]) / 2, 0.0)
        noise, fano = self.fwhm_ev
        width = np.sqrt(noise**2 + fano**2 * energy_kev) / (1000.0 * self.channel_width_kev)
        return np.asarray(width, dtype=np.float64)

    def flag_mask(self, header: Header) -> tuple[int, str]:
        """Return the bits of the flag that the usual selection wants unset, and in words where the mask comes from."""
        card = header.get(self.flag_card) if self.flag_card else None
        found = re.search(r"FLAG\s*&\s*(0x[0-9a-f]+|\d+)\s*\)?\s*==\s*0", str(card), re.IGNORECASE) if card else None
        if found:
            return int(found[1], 0) & 0xFFFFFFFF, f"{self.flag_card} of the event list"
        return self.default_flag_mask, f"no readable {self.flag_card} in the event list: the usual mask"

    def filter_note(self, header: Header) -> str:
        """Return what a closed filter wheel, or a calibration source, makes of an exposure; empty for one of the sky.

        Such an exposure is a background or a calibration, which a user may well want: it is told, never refused.
        """
        position = str(header.get(self.filter_card) or "").strip() if self.filter_card else ""
        word = position.lower()
        told = ["no light of the sky came in"] if "closed" in word else []
        if word.startswith("cal"):
            told.append("the calibration source was on")
        use = "; its spectrum serves as a background" if "closed" in word else ", so that its lines are in the spectrum"
        return f"{self.filter_card} is {position[:20]}: {' and '.join(told)}{use}" if told else ""

    def pointing_note(self, header: Header) -> str:
        """Return what a telescope that moved makes of an exposure; empty for one that pointed at one place."""
        mode = str(header.get("OBS_MODE") or "").strip().upper()
        if mode not in ("SLEW", "SCAN", "SURVEY"):
            return ""
        return (f"OBS_MODE is {mode}: the telescope moved, so that each place of the sky was seen for a part of the "
                "good time only, which no exposure here takes into account")  # fmt: skip

    def live_fraction(self, header: Header, ccd: int | None) -> tuple[float, str]:
        """Return live time over on time of a CCD (None: of all), and which keywords gave it.

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
    """Return the finite number of a keyword, also one that is written as text; None if there is none."""
    return numeral(header.get(key))
