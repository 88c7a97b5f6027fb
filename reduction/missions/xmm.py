"""The EPIC cameras of XMM-Newton: pn, MOS1 and MOS2."""

from __future__ import annotations

from dataclasses import replace

from reduction.missions.field import EPIC_FIELD, FieldOfView
from reduction.missions.model import DetectorPlane, Mission, Window

# Events out of time: XMM-Newton Users Handbook, table of section 3.3.10; the windows of MOS are PrimePartialW2 to W6.
_LATE_EPN = (
    ("PrimeFullWindowExtended", 0.023), ("PrimeLargeWindow", 0.0016), ("PrimeSmallWindow", 0.011),
    ("PrimeFullWindow", 0.063),
)  # fmt: skip
_LATE_EMOS = (("PrimePartialW2", 0.005), ("PrimePartialW3", 0.005), ("PrimeFullWindow", 0.0035))

# The field is that of the telescopes, 30 arcmin wide; the CCDs of pn fill a square of 27.4 arcmin whose middle lies
# 1.8 arcmin to the west and 0.9 arcmin to the north of the optical axis (at position angle 0).
# FWHM of pn: least squares over the redistribution matrix of a pn source, patterns 0-4 (SAS 18).
EPN = Mission(
    name="XMM-Newton EPIC pn", telescope="XMM", instruments=("EPN",), time="TIME", x="X", y="Y",
    energy="PI", energy_zero_kev=0.0, energy_step_kev=0.001,
    channel="PI", channel_divisor=5, first_channel=0, last_channel=4095, channel_zero_kev=0.0, channel_width_kev=0.005,
    fwhm_ev=(81.5, 73.6), pattern="PATTERN", default_patterns=((0, 4),),
    flag="FLAG", flag_card="XMMEA_EP", default_flag_mask=0xCFA0000,
    ccd="CCDNR", rawx="RAWX", rawy="RAWY", detector=Window((1, 64), (1, 200)),
    detector_plane=DetectorPlane(("DETX", "DETY"), 0.05), outside_flag=0x10000, out_of_time=_LATE_EPN,
    live_per_ccd=("LIVETI{:02d}", "ONTIME{:02d}"), channel_widths_ev=(5,), flare_kev=(10.0, 12.0), flare_threshold=0.4,
    modes=("IMAGING",), mode_refusal="in timing and burst mode RAWY is time, not a place on the sky",
    filter_card="FILTER", field=FieldOfView(15.0, (14.6, 11.9, 12.7, 15.5)),
)  # fmt: skip

# FWHM of MOS: 70 eV at 1 keV and 150 eV at 6.4 keV (XMM-Newton Users Handbook).
EMOS1 = replace(
    EPN, name="XMM-Newton EPIC MOS1", instruments=("EMOS1",), last_channel=2399, fwhm_ev=(41.0, 57.0),
    default_patterns=((0, 12),), flag_card="XMMEA_EM", default_flag_mask=0x766BA000,
    detector=Window((1, 600), (1, 600)), out_of_time=_LATE_EMOS, channel_widths_ev=(5, 15),
    flare_kev=(10.0, 32.767), flare_threshold=0.35, field=EPIC_FIELD,
)  # fmt: skip
EMOS2 = replace(EMOS1, name="XMM-Newton EPIC MOS2", instruments=("EMOS2",))
