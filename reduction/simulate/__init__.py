"""Simulation of an EPIC observation: event lists with the layout of pn, MOS1 and MOS2, and a file with the truth.

It is a model for demonstrations and tests, not the calibration: round numbers like those of EPIC, defined in `cameras`
and repeated in the truth file; no vignetting, no pile-up, no out-of-time events. The same observation gives the same
bytes.

>>> from reduction.simulate import small
>>> small().obs_id
'0999990101'
"""

from __future__ import annotations

from reduction.simulate.cameras import CAMERAS, Camera
from reduction.simulate.observation import Flare, Observation, Source, small
from reduction.simulate.run import simulate, truth_path, with_pn_rows
from reduction.simulate.spectra import BlackBody, PowerLaw

__all__ = [
    "CAMERAS",
    "BlackBody",
    "Camera",
    "Flare",
    "Observation",
    "PowerLaw",
    "Source",
    "simulate",
    "small",
    "truth_path",
    "with_pn_rows",
]
