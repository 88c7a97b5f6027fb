#!/usr/bin/env bash
# sherpa folds a matrix without TLMIN of F_CHAN one channel too high where the channels of EBOUNDS begin at 0.
#
# Where TLMIN of F_CHAN is absent the first channel of the matrix is 1 (OGIP CAL/GEN/92-002, section 3.2.1): F_CHAN counts
# from 1. sherpa then takes TLMIN of the column CHANNEL of EBOUNDS in its place, which is another count. In the canned matrix
# epn_ff20_dY9.rmf of EPIC pn it is 0, and each photon comes out 5 eV above its place. `reduction/responses` counts from 1 there,
# always writes TLMIN, and tests/reduction/test_fitting_sherpa.py gives sherpa the matrix as we write it.
# sherpa comes as source: its build needs gfortran, flex, bison and a C++ compiler.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv && venv/bin/pip install --quiet sherpa==4.19.0 astropy==8.0.2 || exit 2

venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import sherpa
from astropy.io import fits
from sherpa.astro import ui

CHANNELS, ENERGIES, PHOTON = 12, 10, 3
edges = np.linspace(1.0, 2.2, CHANNELS + 1)
first = np.arange(1, ENERGIES + 1)[:, None]  # each energy has a channel of its own, counted from 1
matrix = fits.BinTableHDU.from_columns(
    [fits.Column("ENERG_LO", "E", unit="keV", array=edges[:ENERGIES]),
     fits.Column("ENERG_HI", "E", unit="keV", array=edges[1 : ENERGIES + 1]),
     fits.Column("N_GRP", "I", array=np.ones(ENERGIES, int)), fits.Column("F_CHAN", "1I", array=first),
     fits.Column("N_CHAN", "1I", array=np.ones_like(first)), fits.Column("MATRIX", "1E", array=np.ones(first.shape))],
    name="MATRIX",
)
bounds = fits.BinTableHDU.from_columns(
    [fits.Column("CHANNEL", "I", array=np.arange(CHANNELS)), fits.Column("E_MIN", "E", unit="keV", array=edges[:-1]),
     fits.Column("E_MAX", "E", unit="keV", array=edges[1:])],
    name="EBOUNDS",
)
for hdu, kind in ((matrix, "RSP_MATRIX"), (bounds, "EBOUNDS")):
    hdu.header.update(TELESCOP="XMM", INSTRUME="EPN", FILTER="NONE", HDUCLASS="OGIP", HDUCLAS1="RESPONSE", HDUCLAS2=kind,
                      CHANTYPE="PI", DETCHANS=CHANNELS)
bounds.header["TLMIN1"], bounds.header["TLMAX1"] = 0, CHANNELS - 1
fits.HDUList([fits.PrimaryHDU(), matrix, bounds]).writeto("without.rmf")
matrix.header["TLMIN4"] = 1
fits.HDUList([fits.PrimaryHDU(), matrix, bounds]).writeto("with.rmf")

photons = np.zeros(ENERGIES)
photons[PHOTON] = 1
places = {name: int(np.argmax(ui.unpack_rmf(f"{name}.rmf").apply_rmf(photons))) for name in ("with", "without")}
print("sherpa", sherpa.__version__)
print(f"a photon of {edges[PHOTON]:g} to {edges[PHOTON + 1]:g} keV comes into the channel of")
for name, place in places.items():
    print(f"  {edges[place]:g} to {edges[place + 1]:g} keV {name} TLMIN = 1 of F_CHAN")
sys.exit(0 if places == {"with": PHOTON, "without": PHOTON + 1} else "changed: both matrices fold alike")
PYTHON
echo "still so"
