"""The seven telescope modules of eROSITA on Spectrum-RG, alone or in a merged list."""

from __future__ import annotations

from reduction.missions.field import FieldOfView
from reduction.missions.model import Mission

# Columns, keywords and good times: the product descriptions of the data release 1 (eSASS4DR1). The mask of the flag is
# the one of its cookbook. FWHM: 80 eV at 1.5 keV and 140 eV at 6 keV (Predehl et al. 2021, A&A 647, A1).
EROSITA = Mission(
    name="eROSITA", telescope="EROSITA", instruments=("MERGED", *(f"TM{number}" for number in range(10))),
    time="TIME", x="X", y="Y",
    energy="PI", energy_zero_kev=0.0, energy_step_kev=0.001,
    channel="PI", channel_divisor=5, first_channel=0, last_channel=2399, channel_zero_kev=0.0, channel_width_kev=0.005,
    fwhm_ev=(50.0, 53.0), field=FieldOfView(31.0), pattern="PAT_TYP", default_patterns=((1, 4),),
    flag="FLAG", default_flag_mask=0xC00FFF30, ccd="TM_NR", ccd_of_gti=r"GTI(\d)", filter_card="FILTER",
    caveat="the modules are taken for CCDs (TM_NR), and a spectrum has channels of 5 eV, which are not those of the "
           "response files of srctool",
)  # fmt: skip
