#!/usr/bin/env bash
# cfitsio 4.6.0 (in fitsio 1.4.2) reads no cell of an ASCII table that is wider than 28,799 characters.
#
# The FITS standard sets no such limit: a field of format A28800 is valid, astropy writes it and reads it back. cfitsio
# refuses the whole table ("column exceeds width of table", status 236), and so does what is built on it: fitsverify of
# Debian 12 (cfitsio 4.2.0) calls the file broken. VO-TAGS keep a step list in one such cell: `provenance.votags.check`
# therefore says when a list is longer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv && venv/bin/pip install --quiet astropy==7.0.1 numpy==2.2.6 fitsio==1.4.2 || exit 2

venv/bin/python - <<'PYTHON'
import sys

import fitsio
import numpy as np
from astropy.io import fits

print("fitsio", fitsio.__version__, "with cfitsio", fitsio.cfitsio_version())
read = {}
for width in (28_799, 28_800):
    column = fits.Column("text", f"A{width}", ascii=True, array=np.array(["x" * width]))
    fits.HDUList([fits.PrimaryHDU(), fits.TableHDU.from_columns([column])]).writeto("wide.fits", overwrite=True)
    assert len(fits.getdata("wide.fits")["text"][0]) == width, "astropy reads what it wrote"
    try:
        read[width] = f"{len(fitsio.read('wide.fits', ext=1)['text'][0])} characters"
    except OSError as error:
        read[width] = next(line for line in str(error).splitlines() if "column" in line)
    print(f"A{width}: {read[width]}")
if read != {28_799: "28799 characters", 28_800: "FITSIO status = 236: column exceeds width of table"}:
    sys.exit("changed: the limit of 28,799 characters is gone or is another one")
print("still so")
PYTHON
