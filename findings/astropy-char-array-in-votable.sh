#!/usr/bin/env bash
# astropy 8.0.2 cannot read a VOTable with a column of several strings in a cell (char, arraysize "4x3").
#
# VOTable 1.4 (section 2.2) has such columns: "4x3" are three strings of four characters. STILTS 3.4.7 writes them for the
# strings that a FITS table keeps side by side in a cell (TFORM 12A, TDIM (4,3)). What `stilts tpipe ofmt=votable` makes of
# such a table opens in TOPCAT and not in astropy, which refuses the whole document (E01), its other columns too. Met with
# a table of 21 strings a cell that STILTS had converted; the tables that we serve have one string in a cell.
set -euo pipefail
command -v stilts > /dev/null || { echo "no stilts: apt-get install stilts"; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv && venv/bin/pip install --quiet astropy==8.0.2 || exit 2
stilts -version 2>&1 | grep "STILTS version" | sed 's/^ *//'

venv/bin/python -W ignore - <<'PYTHON'
import subprocess
import sys

import astropy
import numpy as np
from astropy.io import fits
from astropy.table import Table

print("astropy", astropy.__version__)
words = np.array([["ab", "cd", "ef"], ["gh", "ij", "kl"]])
columns = [fits.Column("WORDS", "12A", dim="(4,3)", array=words), fits.Column("N", "J", array=[1, 2])]
fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="T")]).writeto("words.fits")
print("astropy reads the FITS file:  ", Table.read("words.fits")["WORDS"].tolist())
subprocess.run(["stilts", "tpipe", "in=words.fits#T", "ofmt=votable-tabledata", "out=words.vot"], check=True)
field = next(line for line in open("words.vot") if "WORDS" in line)
print("stilts writes the VOTable:    ", field.strip())
again = subprocess.run(["stilts", "tpipe", "in=words.vot", "ifmt=votable", "cmd=keepcols N", "ofmt=csv"],
                       check=True, capture_output=True, text=True).stdout.split()
print("stilts reads its column N:    ", again[1:])
lint = subprocess.run(["stilts", "votlint", "words.vot"], capture_output=True, text=True)
print("stilts votlint says:          ", (lint.stdout + lint.stderr).strip() or "nothing: it is valid")
try:
    print("astropy reads the VOTable:    ", Table.read("words.vot", format="votable"))
    sys.exit("changed: it is read")
except Exception as error:
    print("astropy reads the VOTable:    ", type(error).__name__, str(error).splitlines()[0])
    if "E01" not in str(error) or 'arraysize="4x3"' not in field or again != ["N", "1", "2"]:
        sys.exit("changed: it fails otherwise")
print("still so")
PYTHON
