#!/usr/bin/env bash
# stingray takes the good times of one CCD of an XMM-Newton event list as those of all its events.
#
# A list of EPIC pn has a table of good times for each CCD: STDGTI01, STDGTI04 and so on, which may differ much. The reader
# takes one table; events of another CCD in that CCD's own good time are then outside of the good times of the list, and
# exposures are those of one CCD. `events` therefore says in its README to select one CCD, or to give a light curve
# made by `lightcurve` (which weighs the CCDs by area) to stingray.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv && venv/bin/pip install --quiet stingray==2.2.10 astropy==8.0.2 || exit 2

venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import stingray
from astropy.io import fits
from stingray.events import EventList

good = {1: (1000.0, 1100.0), 4: (1000.0, 1500.0)}
times = np.arange(1001.0, 1500.0, 2.0)
ccds = np.where(times < 1100, 1, 4).astype(np.uint8)
events = fits.BinTableHDU.from_columns(
    [
        fits.Column("TIME", "D", unit="s", array=times),
        fits.Column("PI", "I", array=np.full(times.size, 1500)),
        fits.Column("CCDNR", "B", array=ccds),
    ],
    name="EVENTS",
)
about = {"TELESCOP": "XMM", "INSTRUME": "EPN", "DATAMODE": "IMAGING", "MJDREF": 50814.0, "TIMESYS": "TT",
         "TIMEREF": "LOCAL", "TIMEUNIT": "s", "OBS_ID": "0000000001", "TSTART": 1000.0, "TSTOP": 1500.0}
hdus = [fits.PrimaryHDU(), events]
for ccd, (start, stop) in good.items():
    columns = [fits.Column(name, "D", unit="s", array=[value]) for name, value in (("START", start), ("STOP", stop))]
    hdus.append(fits.BinTableHDU.from_columns(columns, name=f"STDGTI{ccd:02d}"))
for hdu in hdus:
    hdu.header.update(about)
fits.HDUList(hdus).writeto("pn.fits")

found = EventList.read("pn.fits", "hea", gtistring="STDGTI01,STDGTI04")
default = EventList.read("pn.fits", "hea")
span = [tuple(map(float, interval)) for interval in default.gti]
print("stingray", stingray.__version__)
print("good times in the file, by CCD:", good)
print("good times of all events, as read:", span, "and with both tables named:", found.gti.tolist())
outside = int(np.count_nonzero((times[ccds == 4] < span[0][0]) | (times[ccds == 4] > span[-1][1])))
print(f"{outside} of {np.count_nonzero(ccds == 4)} events of CCD 4, all in its good time, lie outside of them")
sys.exit(0 if len(span) == 1 and span[0] in good.values() else "changed: the good times are no longer those of one CCD")
PYTHON
echo "still so"
