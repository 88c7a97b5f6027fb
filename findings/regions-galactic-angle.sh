#!/usr/bin/env bash
# regions 0.12 turns a box in galactic coordinates from the north of the image, not from galactic north.
#
# A sky box with angle 0 is 100" long along the latitude of its frame and 20" wide. On an image with celestial north up,
# 58.6 degrees away from galactic north at this place, `to_pixel` gives it the angle 0 again, so that its long side
# points to celestial north: a point 45" to the galactic north of the centre is outside. DS9 counts the angle of a shape
# in its own frame. `reduction.regions` does too: it places shapes on an event list by itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv && venv/bin/pip install --quiet regions==0.12 astropy==8.0.2 || exit 2

venv/bin/python - <<'PYTHON'
import sys

import astropy.units as u
import numpy as np
import regions
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

print("regions", regions.__version__)
wcs = WCS(naxis=2)
wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
wcs.wcs.crval = 266.4, -29.0
wcs.wcs.crpix = 500, 500
wcs.wcs.cdelt = -1 / 3600, 1 / 3600
centre = SkyCoord(266.4 * u.deg, -29.0 * u.deg).galactic
north = centre.directional_offset_by(0 * u.deg, 45 * u.arcsec)
(x0, y0), (x1, y1) = wcs.world_to_pixel(centre), wcs.world_to_pixel(north)
true_angle = np.degrees(np.arctan2(x0 - x1, y1 - y0))
box = regions.RectangleSkyRegion(centre, width=20 * u.arcsec, height=100 * u.arcsec, angle=0 * u.deg)
angle = box.to_pixel(wcs).angle.to_value("deg")
inside = bool(box.contains(north, wcs))
print(f"galactic north is at {true_angle:.1f} degrees from the image's north; the box was put at {angle:.1f}")
print(f"a point 45 arcsec to the galactic north of the centre is {'inside' if inside else 'outside'}")
if inside or abs(angle) > 1e-6 or abs(true_angle + 58.6) > 0.1:
    sys.exit("changed: the angle is counted otherwise")
print("still so")
PYTHON
