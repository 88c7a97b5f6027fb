"""The two telescopes of NuSTAR."""

from __future__ import annotations

from dataclasses import replace

from reduction.missions.field import FieldOfView
from reduction.missions.model import DetectorPlane, Mission

# FWHM of NuSTAR: 0.4 keV at 10 keV and 0.9 keV at 68 keV (Harrison et al. 2013, ApJ 770, 103).
FPMA = Mission(
    name="NuSTAR FPMA", telescope="NuSTAR", instruments=("FPMA",), time="TIME", x="X", y="Y",
    energy="PI", energy_zero_kev=1.6, energy_step_kev=0.04,
    channel="PI", channel_divisor=1, first_channel=0, last_channel=4095, channel_zero_kev=1.6, channel_width_kev=0.04,
    fwhm_ev=(219.0, 106.0), pattern="GRADE", default_patterns=((0, 26),),
    detector_plane=DetectorPlane(("DET1X", "DET1Y"), 2.46), field=FieldOfView(9.0),
    exposure_maker="nuexpomap of NuSTARDAS, with the attitude and the motion of the mast",
)  # fmt: skip
FPMB = replace(FPMA, name="NuSTAR FPMB", instruments=("FPMB",))
