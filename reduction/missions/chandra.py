"""The ACIS camera of Chandra."""

from __future__ import annotations

from reduction.missions.model import DetectorPlane, Mission

# FWHM of ACIS-S3: 95 eV at 1.49 keV and 150 eV at 5.9 keV (Chandra Proposers' Observatory Guide).
ACIS = Mission(
    name="Chandra ACIS", telescope="CHANDRA", instruments=("ACIS",), time="time", x="x", y="y",
    energy="energy", energy_zero_kev=0.0, energy_step_kev=0.001,
    channel="pi", channel_divisor=1, first_channel=1, last_channel=1024,
    channel_zero_kev=-0.0146, channel_width_kev=0.0146, fwhm_ev=(67.0, 55.0),
    pattern="grade", default_patterns=((0, 0), (2, 4), (6, 6)), ccd="ccd_id",
    live_per_ccd=("LIVTIME{:d}", "ONTIME{:d}"), detector_plane=DetectorPlane(("detx", "dety"), 0.492),
    exposure_maker="fluximage of CIAO, with the aspect solution, the bad pixels and the mask file",
)  # fmt: skip
