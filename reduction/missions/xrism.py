"""The two instruments of XRISM: the microcalorimeter Resolve and the camera Xtend."""

from __future__ import annotations

from reduction.missions.field import FieldOfView
from reduction.missions.model import Mission

# Columns, grades and resolution: the XRISM ABC Guide, chapters 4, 6 and 7. Channels of Resolve are 0.5 eV wide, those
# of Xtend 6 eV; ITYPE 0 are the events of highest resolution (Hp).
RESOLVE = Mission(
    name="XRISM Resolve", telescope="XRISM", instruments=("RESOLVE",), time="TIME", x="X", y="Y",
    energy="PI", energy_zero_kev=0.0, energy_step_kev=0.0005,
    channel="PI", channel_divisor=1, first_channel=0, last_channel=59999, channel_zero_kev=0.0,
    channel_width_kev=0.0005, fwhm_ev=(4.5, 0.0), pattern="ITYPE", default_patterns=((0, 0),), ccd="PIXEL",
    field=FieldOfView(2.2),
    caveat="the pixels are taken for CCDs (PIXEL): 0:11,13:35 leaves the calibration pixel out; patterns are the "
           "grades of ITYPE, by default 0 (Hp)",
)  # fmt: skip
# FWHM: 170 to 180 eV at 6 keV.
XTEND = Mission(
    name="XRISM Xtend", telescope="XRISM", instruments=("XTEND",), time="TIME", x="X", y="Y",
    energy="PI", energy_zero_kev=0.0, energy_step_kev=0.006,
    channel="PI", channel_divisor=1, first_channel=0, last_channel=4095, channel_zero_kev=0.0, channel_width_kev=0.006,
    fwhm_ev=(70.0, 65.0), pattern="GRADE", default_patterns=((0, 0), (2, 4), (6, 6)), ccd="CCD_ID",
    field=FieldOfView(27.3),
)  # fmt: skip
