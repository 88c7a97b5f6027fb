"""Ready-made ("canned") redistribution matrices of EPIC: what their names say, and which one is for a region.

Names and epochs of pn are those of the XMM-Newton EPIC response files page (ESA, 2014, and HEASARC's mirror of it). The
redistribution of pn depends on the distance from the readout, in bands of 20 rows: Y0 holds rows 1 to 20, Y9 holds rows
181 to 200. That of MOS depends on the epoch and on whether the source lies on the patch around the aim point that most
sources have been on: c is its centre, w its wings, o elsewhere.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from reduction.calibration.keys import Entry, Keys, choose, parse_date
from reduction.errors import ReductionError

KIND = "REDIST"
"""What a canned matrix is called among kinds of calibration files."""

EPOCHS_FILE = "epochs.csv"
"""File beside the matrices of MOS with a line ``m1,e15,2015-01-01,2017-01-01`` for each epoch: camera, epoch, dates."""

ROWS_PER_BAND = 20

_PN = re.compile(
    r"epn_(?:(?P<epoch>e\d+)_)?(?P<mode>[a-z]{2})\d\d_(?P<pattern>sd|s|d)(?P<place>Y\d)(?:_v?(?P<version>[\d.]+))?\.rmf"
)
_MOS = re.compile(
    r"(?P<camera>m[12])_(?P<epoch>e\d+)_(?P<mode>im|ti|tu)_(?P<pattern>pall|p0)_(?P<place>[cwo])"
    r"(?:_v?(?P<version>[\d.]+))?\.rmf"
)

_PN_EPOCHS = {"e1": ("2000-02-01", "2007-01-01"), "e2": ("2007-01-01", "2014-01-01"),
              "e3": ("2014-01-01", "2021-01-01"), "e4": ("2021-01-01", "")}  # fmt: skip
"""Of files of SAS 14 and later; earlier names have no epoch."""

_PN_MODES = {"PRIMEFULLWINDOW": "ff", "PRIMEFULLWINDOWEXTENDED": "ef", "PRIMELARGEWINDOW": "lw",
             "PRIMESMALLWINDOW": "sw", "FASTTIMING": "ti", "FASTBURST": "bu"}  # fmt: skip
"""SUBMODE of an event list -> the mode in a name."""

_PATTERNS = {"s": "0", "d": "1:4", "sd": "0:4", "p0": "0", "pall": "0:12"}

_CAMERAS = {"m1": "EMOS1", "m2": "EMOS2"}

PATCH_ARCSEC = (14.0, 36.0)
"""Where the centre of the patch of MOS ends, and its wings, in arcsec from the aim point; approximate."""


@dataclass(frozen=True)
class Canned:
    """A canned matrix: the file as an entry, the mode, and the place on the detector (Y0 to Y9; c, w or o)."""

    entry: Entry
    mode: str
    place: str
    epoch: str = ""


def read_folder(folder: Path, parameter: str = "calibration") -> list[Canned]:
    """Return the canned matrices in a folder and the folders in it, as their names describe them.

    Raises ReductionError if the file of epochs cannot be read.
    """
    epochs = _read_epochs(folder, parameter)
    found = (parse_name(path) for path in sorted(folder.rglob("*.rmf*")))
    return [_dated(canned, epochs) for canned in found if canned is not None]


def parse_name(path: Path) -> Canned | None:
    """Return what the name of a canned matrix says; None for the name of another file."""
    name = path.name.removesuffix(".gz")
    match = _PN.fullmatch(name) or _MOS.fullmatch(name)
    if match is None:
        return None
    camera = _CAMERAS.get(match.groupdict().get("camera") or "", "EPN")
    numbers = (match["version"] or "0").split(".")
    issue = float(numbers[0]) + float(f"0.{numbers[1]}") if len(numbers) > 1 else float(numbers[0] or 0)
    entry = Entry(path, "XMM", camera, KIND, pattern=_PATTERNS[match["pattern"]], issue=issue)
    return Canned(entry, match["mode"].replace("tu", "ti"), match["place"], match["epoch"] or "")


def _dated(canned: Canned, epochs: dict[tuple[str, str], tuple[datetime, datetime | None]]) -> Canned:
    bounds = epochs.get((canned.entry.instrument, canned.epoch))
    if bounds is None:
        return canned
    return replace(canned, entry=replace(canned.entry, since=bounds[0], until=bounds[1]))


def _read_epochs(folder: Path, parameter: str) -> dict[tuple[str, str], tuple[datetime, datetime | None]]:
    lines = [("epn", epoch, *dates) for epoch, dates in _PN_EPOCHS.items()]
    for path in sorted(folder.rglob(EPOCHS_FILE)):
        for number, line in enumerate(csv.reader(path.read_text("utf-8", "replace").splitlines()), start=1):
            words = [word.strip() for word in line]
            if not words or words[0].startswith("#"):
                continue
            if len(words) != 4 or words[0] not in ("epn", *_CAMERAS):
                raise ReductionError(f"line {number} of {path.name} is no epoch; write camera, epoch, first date, end, "
                                     "such as m1,e15,2015-01-01,2017-01-01", parameter)  # fmt: skip
            lines.append((words[0], words[1], words[2], words[3]))
    return {(_CAMERAS.get(camera, "EPN"), epoch): (parse_date(start, parameter),
                                                    parse_date(end, parameter) if end else None)
            for camera, epoch, start, end in lines}  # fmt: skip


@dataclass(frozen=True)
class Spot:
    """Where on a camera a region lies: row of pn's CCD (RAWY, 1 to 200), or distance from the aim point in arcsec."""

    row: float | None
    from_aim_arcsec: float

    def place(self, instrument: str) -> str:
        """Return the place in the name of a canned matrix."""
        if instrument == "EPN":
            row = 190.0 if self.row is None else self.row
            return f"Y{min(max(int(row - 1) // ROWS_PER_BAND, 0), 9)}"
        centre, wings = PATCH_ARCSEC
        return "c" if self.from_aim_arcsec <= centre else "w" if self.from_aim_arcsec <= wings else "o"


def find(matrices: Iterable[Canned], keys: Keys, submode: str, spot: Spot, where: str, parameter: str) -> Entry:
    """Return the canned matrix for a region of an observation.

    Parameters
    ----------
    matrices
        Those there are, from `read_folder`.
    keys
        Telescope, instrument, patterns and date; the kind is `KIND`.
    submode
        SUBMODE of the event list.
    spot
        Where the region lies.
    where
        What the folder is called in an error.
    parameter
        Job parameter named in the error.

    Returns
    -------
    Entry
        The matrix for the mode and the place; of pn, where the band is absent, that of the nearest band.

    Raises
    ------
    ReductionError
        No matrix answers, or those of MOS are of several epochs and nothing says when each was.
    """
    mode = _PN_MODES.get(submode.strip().upper(), "ff") if keys.instrument == "EPN" else "im"
    mine = [each for each in matrices if each.mode == mode and each.entry.answers(replace(keys, date=None))]
    place = _nearest_place({each.place for each in mine if each.entry.holds_at(keys.date)}, spot.place(keys.instrument))
    here = [each for each in mine if each.place == place]
    undated = {each.epoch for each in here if each.epoch and each.entry.since is None}
    if len({each.epoch for each in here}) > 1 and undated:
        raise ReductionError(f"{where} has matrices of the epochs {', '.join(sorted(undated))}, and nothing says when "
                             f"those were: write them into {EPOCHS_FILE} beside the files", parameter)  # fmt: skip
    if mine and not here:
        raise ReductionError(f"{where} has no calibration file with {keys.words}, mode {mode}, place {place}; it has "
                             f"the places {', '.join(sorted({each.place for each in mine}))}", parameter)  # fmt: skip
    return choose((each.entry for each in here), keys, f"{where} (mode {mode}, place {place})", parameter)


def _nearest_place(there: set[str], wanted: str) -> str:
    """The band that is wanted or, of bands, the nearest there is; a place of MOS has no nearest."""
    bands = sorted(
        (place for place in there if place.startswith("Y")), key=lambda place: abs(ord(place[1]) - ord(wanted[-1]))
    )
    return bands[0] if wanted.startswith("Y") and bands and wanted not in there else wanted
