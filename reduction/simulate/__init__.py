"""Simulation of an EPIC observation: event lists with the layout of pn, MOS1 and MOS2, and a file with the truth.

It is a model for demonstrations and tests, not the calibration: the round numbers of `reduction.instruments` and of
`cameras`, with vignetting, out-of-time events and fluorescence; no pile-up. Photons are drawn through a response that
is written beside the lists, or through one that is given, so that a fit gives the truth back. The same observation
gives the same bytes.

>>> from reduction.simulate import small
>>> small().obs_id
'0999990101'
"""

from __future__ import annotations

from reduction.simulate.attitude import Attitude, read_attitude
from reduction.simulate.cameras import CAMERAS, Camera
from reduction.simulate.extent import BetaModel, Gaussian, SkyImage
from reduction.simulate.modelled import Modelled
from reduction.simulate.observation import Flare, Observation, Source, small
from reduction.simulate.responsefiles import write_responses
from reduction.simulate.run import simulate, truth_path, with_pn_rows
from reduction.simulate.skyimage import read_sky_image
from reduction.simulate.spectra import BlackBody, PowerLaw
from reduction.simulate.variability import Burst, Eclipse, Periodic

__all__ = [
    "CAMERAS",
    "Attitude",
    "BetaModel",
    "BlackBody",
    "Burst",
    "Camera",
    "Eclipse",
    "Flare",
    "Gaussian",
    "Modelled",
    "Observation",
    "Periodic",
    "PowerLaw",
    "SkyImage",
    "Source",
    "read_attitude",
    "read_sky_image",
    "simulate",
    "small",
    "truth_path",
    "with_pn_rows",
    "write_responses",
]
