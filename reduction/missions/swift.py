"""The X-ray Telescope of Swift, in photon counting mode."""

from __future__ import annotations

from reduction.missions.field import FieldOfView
from reduction.missions.model import DetectorPlane, Mission

# Columns and channels: the header of archived lists (sw...xpc..._cl.evt). FWHM: 140 eV at 6 keV (Burrows et al. 2005,
# SSRv 120, 165).
XRT = Mission(
    name="Swift XRT", telescope="SWIFT", instruments=("XRT",), time="TIME", x="X", y="Y",
    energy="PI", energy_zero_kev=0.0, energy_step_kev=0.01,
    channel="PI", channel_divisor=1, first_channel=0, last_channel=1023, channel_zero_kev=0.0, channel_width_kev=0.01,
    fwhm_ev=(66.0, 50.0), field=FieldOfView(16.7), pattern="GRADE", default_patterns=((0, 12),),
    detector_plane=DetectorPlane(("DETX", "DETY"), 2.357), modes=("PHOTON",),
    mode_refusal="in the other modes an event has a place in one direction only, so that a region has no area",
)  # fmt: skip
