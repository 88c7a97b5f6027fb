"""A definition whose jobs leave a light curve and a spectrum that are known: for what shows products."""

from __future__ import annotations

from pathlib import Path

import requests

from uwsjobs import create, define, reached

BINS, SECONDS = 50, 100.0
_MAKE = """
import os
import numpy
from astropy.io import fits
level, day = float(os.environ["UWS_PARAM_level"]), float(os.environ["UWS_PARAM_day"])
time = 86400 * day + 100.0 * numpy.arange(50)
rate = level + 0.01 * numpy.arange(50)
rate[20:25] = numpy.nan
columns = [fits.Column("TIME", "D", "s", array=time), fits.Column("RATE", "D", "count/s", array=rate),
           fits.Column("ERROR", "D", "count/s", array=numpy.full(50, 0.1))]
table = fits.BinTableHDU.from_columns(columns, name="RATE")
table.header.update(HDUCLASS="OGIP", HDUCLAS1="LIGHTCURVE", TIMEDEL=100.0, MJDREFI=50000, MJDREFF=0.0, TIMESYS="TT",
                    TIMEZERO=0.0, TIMEUNIT="s", TELESCOP="XMM", INSTRUME="EPN")
table.writeto("results/curve.fits")
counts = (1000 * level / (1 + numpy.arange(200) / 20)).astype(int)
columns = [fits.Column("CHANNEL", "J", array=numpy.arange(200)), fits.Column("COUNTS", "J", array=counts)]
table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
table.header.update(HDUCLASS="OGIP", HDUCLAS1="SPECTRUM", EXPOSURE=1000.0, POISSERR=True)
table.writeto("results/spectrum.fits")
os.mkdir("results/more")
table.writeto("results/more/spectrum.fits")
"""
_PARAMETERS = [
    {"name": "level", "type": "float", "default": 1.0, "description": "Rate of the first bin, counts / s"},
    {"name": "day", "type": "float", "default": 0.0, "description": "When the light curve begins, days from MJD 50000"},
]
_RESULTS = [
    {"name": "curve", "file": "curve.fits", "mime": "application/fits", "description": "A light curve."},
    {"name": "spectrum", "file": "spectrum.fits", "mime": "application/fits", "description": "A spectrum."},
]


def define_curves(folder: Path) -> Path:
    """Write the definition into a folder of definitions, and return that folder."""
    define(folder, "curves", _MAKE, "python", parameters=_PARAMETERS, results=_RESULTS)
    return folder


def curve_job(url: str, level: float, day: float, run_id: str, auth: tuple[str, str] | None = None) -> str:
    """Run a job on a server; return what names it in the addresses of pages."""
    if auth is None:
        job = create(url, "curves", level=str(level), day=str(day), RUNID=run_id, PHASE="RUN")
    else:
        asked = {"level": level, "day": day, "RUNID": run_id, "PHASE": "RUN"}
        answer = requests.post(f"{url}/rest/curves", data=asked, auth=auth, allow_redirects=False, timeout=300)
        job = answer.headers["Location"]
        while requests.get(f"{job}/phase", params={"WAIT": "1"}, auth=auth, timeout=300).text != "COMPLETED":
            requests.get(f"{job}?WAIT=5&PHASE=EXECUTING", auth=auth, timeout=300)
        return job.rpartition("/")[2]
    assert reached(job, "COMPLETED", "ERROR") == "COMPLETED"
    return job.rpartition("/")[2]
