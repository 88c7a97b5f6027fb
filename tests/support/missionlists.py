"""Small event lists as the format documents of missions describe them, written with astropy, and jobs run on them."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from reduction.task import read_task
from scriptjobs import ROOT, prepare

ROWS, START, LENGTH = 2000, 2.0e8, 5000.0
TT_OFFSET = 64.184 / 86400


@dataclass(frozen=True)
class MissionList:
    """How the list of an instrument looks: columns with their forms, keywords, and the names of its GTI tables."""

    telescope: str
    instrument: str
    columns: Mapping[str, str]
    mjdref: float
    pixel_arcsec: float
    size: int
    energy: tuple[str, float]
    """The column of the energy, and keV in a unit of it."""
    gtis: tuple[str, ...] = ("GTI",)
    cards: Mapping[str, Any] = field(default_factory=dict)


_PLACES = {"RAWX": "1I", "RAWY": "1I", "DETX": "1I", "DETY": "1I"}
LISTS = {
    "Swift XRT": MissionList(
        "SWIFT", "XRT",
        {"TIME": "1D", "X": "1I", "Y": "1I", **_PLACES, "PHA": "1J", "PI": "1J", "GRADE": "1I", "STATUS": "16X"},
        51910.00074287037, 2.3573, 1000, ("PI", 0.01), cards={"DATAMODE": "PHOTON"},
    ),
    "IXPE GPD": MissionList(
        "IXPE", "GPD",
        {"TRG_ID": "1J", "TIME": "1D", "STATUS": "16X", "STATUS2": "16X", "PI": "1J", "W_MOM": "1E", "X": "1E",
         "Y": "1E", "Q": "1D", "U": "1D"},
        57754.00080074074, 2.6, 600, ("PI", 0.04), cards={"DETNAM": "DU1"},
    ),
    "eROSITA": MissionList(
        "eROSITA", "merged",
        {"TIME": "1D", "RA": "1D", "DEC": "1D", "X": "1D", "Y": "1D", "PI": "1E", "EV_WEIGHT": "1E", "RAWX": "1I",
         "RAWY": "1I", "SUBX": "1D", "SUBY": "1D", "PHA": "1I", "PAT_TYP": "1I", "PAT_INF": "1B", "TM_NR": "1B",
         "FLAG": "1J"},
        51543.875, 0.05, 60000, ("PI", 0.001), gtis=tuple(f"GTI{module}" for module in range(1, 8)),
        cards={"OBS_MODE": "POINTING", "DATAMODE": "FRAMESTORE", "FILTER": "FILTER"},
    ),
    "XRISM Resolve": MissionList(
        "XRISM", "RESOLVE",
        {"TIME": "1D", "ITYPE": "1B", "PIXEL": "1B", "X": "1I", "Y": "1I", "DETX": "1I", "DETY": "1I", "PHA": "1J",
         "EPI": "1E", "EPI2": "1E", "PI": "1J", "STATUS": "16X"},
        58484.000800740741, 1.768, 256, ("PI", 0.0005),
    ),
    "XRISM Xtend": MissionList(
        "XRISM", "XTEND",
        {"TIME": "1D", "CCD_ID": "1B", "SEGMENT": "1B", **_PLACES, "X": "1I", "Y": "1I", "PHA": "1J", "PI": "1J",
         "GRADE": "1J", "STATUS": "48X"},
        58484.000800740741, 1.768, 1810, ("PI", 0.006),
    ),
}  # fmt: skip


def values(form: MissionList, seed: int = 5) -> dict[str, np.ndarray]:
    """The events: half of them within 30 pixels of the middle, energies flat from 0.2 to 10 keV, a grade of 0 to 5."""
    rng = np.random.default_rng(seed)
    middle, spread = form.size / 2, np.where(np.arange(ROWS) % 2, 20.0, form.size / 5)
    places = {name: np.clip(rng.normal(middle, spread), 1, form.size) for name in ("X", "Y")}
    name, step = form.energy
    found = {
        **places,
        "TIME": np.sort(rng.uniform(START, START + LENGTH, ROWS)),
        name: rng.uniform(0.2, 10, ROWS) / step,
    }
    for grade in ("GRADE", "PAT_TYP", "ITYPE"):
        found[grade] = rng.integers(0, 6, ROWS)
    return found | {"TM_NR": rng.integers(1, 8, ROWS), "PIXEL": rng.integers(0, 36, ROWS),
                    "CCD_ID": rng.integers(0, 4, ROWS)}  # fmt: skip


def write_mission(path: Path, form: MissionList, **cards: Any) -> dict[str, np.ndarray]:
    """Write the list; return what astropy reads of it."""
    events, columns = values(form), []
    for name, kind in form.columns.items():
        bits = int(kind[:-1]) if kind.endswith("X") else 0
        data = np.zeros((ROWS, bits), dtype=bool) if bits else events.get(name, np.zeros(ROWS))
        whole = kind[-1] in "IJB"
        columns.append(fits.Column(name, kind, array=np.floor(data) if whole else data))
    table = fits.BinTableHDU.from_columns(columns, name="EVENTS")
    common = {"TELESCOP": form.telescope, "INSTRUME": form.instrument, "OBS_ID": "0123456789", "TIMESYS": "TT",
              "MJDREFI": int(form.mjdref), "MJDREFF": form.mjdref % 1, "TIMEUNIT": "s", "TIMEREF": "LOCAL",
              "TSTART": START, "TSTOP": START + LENGTH, "RADECSYS": "FK5", "EQUINOX": 2000.0}  # fmt: skip
    for key, value in {**common, **form.cards, **cards}.items():
        table.header[key] = value
    for number, (name, sign) in enumerate((("X", -1), ("Y", 1))):
        index = list(form.columns).index(name) + 1
        table.header[f"TCTYP{index}"] = ("RA---TAN", "DEC--TAN")[number]
        table.header[f"TCRPX{index}"], table.header[f"TCRVL{index}"] = form.size / 2, (83.6, 22.0)[number]
        table.header[f"TCDLT{index}"], table.header[f"TCUNI{index}"] = sign * form.pixel_arcsec / 3600, "deg"
        table.header[f"TLMIN{index}"], table.header[f"TLMAX{index}"] = 1, form.size
    hdus = [fits.PrimaryHDU(), table]
    for number, name in enumerate(form.gtis):  # each module but the first loses its last 500 s
        stop = START + LENGTH - (500.0 if number else 0.0)
        good = fits.BinTableHDU.from_columns([fits.Column("START", "1D", array=[START]),
                                              fits.Column("STOP", "1D", array=[stop])], name=name)  # fmt: skip
        good.header.update({key: common[key] for key in ("TIMESYS", "MJDREFI", "MJDREFF", "TIMEUNIT", "TIMEREF")})
        hdus.append(good)
    fits.HDUList(hdus).writeto(path)
    data = fits.getdata(path, "EVENTS")
    return {name: np.asarray(data[name]) for name, kind in form.columns.items() if not kind.endswith("X")}


def run_job(folder: Path, definition: str, **values: Any) -> dict[str, Path]:
    """Run the script of a definition in this process; its products by name. Raise what it raises."""
    prepare(folder, {"definition": definition}, **values)
    job = read_task(folder, 5)
    try:
        runpy.run_path(str(ROOT / "job_definitions" / definition / "run.py"))["main"](job)
        job.finish()
    finally:
        job.close()
    return {path.name: path for path in (folder / "results").iterdir()}
