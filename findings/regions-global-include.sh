#!/usr/bin/env bash
# regions 0.12 writes shapes that are cut out as `global include=False`, and reads such a file as shapes that are included.
#
# In DS9 a global property holds for every shape that follows: a file that begins with `global include=False` (or 0, no, off) only cuts out.
# The package writes so when all its shapes are excluded, but takes `include` from the shape's own line when it reads,
# so that what was cut out comes back as a selection. cfitsio's row filter skips the line too. `reduction.regions` reads
# global properties as DS9 does, and refuses a region that only cuts out.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv && venv/bin/pip install --quiet regions==0.12 astropy==8.0.2 || exit 2

venv/bin/python - <<'PYTHON'
import sys

import astropy.units as u
import regions
from astropy.coordinates import SkyCoord

print("regions", regions.__version__)
circle = regions.CircleSkyRegion(SkyCoord(150 * u.deg, 2 * u.deg), 40 * u.arcsec, meta={"include": False})
text = regions.Regions([circle]).serialize(format="ds9")
(again,) = regions.Regions.parse(text, format="ds9")
print(text)
print(f"include was {int(circle.meta['include'])}, and is {int(again.meta['include'])} when the text is read back")
if "global include=" not in text or not again.meta["include"]:
    sys.exit("changed: the sign of a shape comes back")
print("still so")
PYTHON
