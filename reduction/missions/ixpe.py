"""The three detector units of IXPE."""

from __future__ import annotations

from reduction.missions.field import FieldOfView
from reduction.missions.model import Mission

# Columns: level 2 lists, as the documentation of ixpeobssim gives them; channels of 40 eV. FWHM below 20 % at 5.9 keV,
# as the square root of the energy (Weisskopf et al. 2022, JATIS 8, 026002).
GPD = Mission(
    name="IXPE GPD", telescope="IXPE", instruments=("GPD", "DU1", "DU2", "DU3"), time="TIME", x="X", y="Y",
    energy="PI", energy_zero_kev=0.0, energy_step_kev=0.04,
    channel="PI", channel_divisor=1, first_channel=0, last_channel=374, channel_zero_kev=0.0, channel_width_kev=0.04,
    fwhm_ev=(0.0, 440.0), field=FieldOfView(9.2),
    caveat="every event counts as one: its weight (W_MOM) and its polarisation (Q, U) are carried over and not used",
)  # fmt: skip
