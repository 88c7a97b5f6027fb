#!/usr/bin/env bash
# astropy 8.0.2 reads a FITS string that holds a quote before a slash as if it ended at the quote.
#
# In a FITS card a quote inside a string is written twice. astropy writes a'/b correctly as 'a''/b   ' and reads it back
# as the string a' with the comment b   '. cfitsio 4.6.0 (in fitsio 1.4.2) reads the same card rightly. Names of targets
# and files do hold such text. `provenance.fits` reads cards by itself, and its tests leave these strings to themselves
# where they compare with astropy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv && venv/bin/pip install --quiet astropy==8.0.2 fitsio==1.4.2 || exit 2

venv/bin/python -W ignore - <<'PYTHON'
import sys

import astropy
import fitsio
from astropy.io import fits

print("astropy", astropy.__version__, "- fitsio", fitsio.__version__)
fits.HDUList([fits.PrimaryHDU(header=fits.Header({"OBJECT": "a'/b"}))]).writeto("quote.fits")
with open("quote.fits", "rb") as opened:
    header = opened.read(2880).decode()
written = next(header[at : at + 80] for at in range(0, 2880, 80) if header.startswith("OBJECT", at))
with fits.open("quote.fits") as opened:
    card = opened[0].header.cards["OBJECT"]
    seen = card.value, card.comment
other = fitsio.read_header("quote.fits")["OBJECT"]
print("written:         ", written.rstrip())
print("astropy reads:   ", f"{seen[0]!r}, comment {seen[1]!r}")
print("cfitsio reads:   ", repr(other))
if not written.startswith("OBJECT  = 'a''/b   '") or other != "a'/b" or seen != ("a'", "b   '"):
    sys.exit("changed: the string is read otherwise")
print("still so")
PYTHON
