"""The X-ray Timing Instrument of NICER."""

from __future__ import annotations

from reduction.missions.field import FieldOfView
from reduction.missions.model import Mission

# FWHM of NICER: 85 eV at 1 keV and 137 eV at 6 keV (Gendreau et al. 2016, SPIE 9905).
XTI = Mission(
    name="NICER XTI", telescope="NICER", instruments=("XTI",), time="TIME", x=None, y=None,
    energy="PI", energy_zero_kev=0.0, energy_step_kev=0.01,
    channel="PI", channel_divisor=1, first_channel=0, last_channel=1500, channel_zero_kev=0.0, channel_width_kev=0.01,
    fwhm_ev=(70.0, 48.0), field=FieldOfView(3.1),
)  # fmt: skip
