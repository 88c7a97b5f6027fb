"""Where a job's calibration files come from: a folder, an index of the HEASARC's database, or a service.

The variable UWS_CALIBRATION names a folder, or the address of a service; without it CALDB names a database of the
HEASARC. A folder may hold an index (caldb.indx), or else files that describe themselves with the keywords of
CAL/GEN/92-011 (CCNM0001 and its like), and canned matrices, which their names describe. The token of a service is in
the file that UWS_SECRET_calibration_token names, which is how the server hands a secret to a job, or
UWS_CALIBRATION_TOKEN.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from provenance.fits.headers import Cards
from reduction.calibration import canned
from reduction.calibration.canned import Canned, Spot
from reduction.calibration.indices import parse_bounds, read_caldb_index
from reduction.calibration.keys import Entry, Keys, choose, parse_date
from reduction.calibration.service import CalibrationService
from reduction.errors import ReductionError
from reduction.events import fitsfile

FOLDER, TOKEN, SECRET = "UWS_CALIBRATION", "UWS_CALIBRATION_TOKEN", "UWS_SECRET_calibration_token"
"""Environment variables: where calibration files are, and files with the token of a service."""

CACHE = "UWS_CALIBRATION_CACHE"
"""Environment variable: the folder in which fetched files are kept; empty: that of the job."""

AREA, MATRIX = "SPECRESP", "MATRIX"
"""Kinds of calibration files (CAL_CNAM): effective area on the axis, redistribution."""

_SUFFIXES = re.compile(r"\.(fits?|fts|arf|rmf)(\.gz)?", re.IGNORECASE)
_MOST_FILES = 5000


def require_folder(path: Path, parameter: str) -> None:
    """Raise ReductionError if there is no folder of calibration files at a path, which `FOLDER` named."""
    if not path.is_dir():
        raise ReductionError(f"{FOLDER} names no folder and no address of a service; who runs the server sets it",
                             parameter)  # fmt: skip


@dataclass(frozen=True)
class CalibrationFolder:
    """A folder of calibration files: what its index and their headers say, and its canned matrices."""

    path: Path
    entries: tuple[Entry, ...]
    matrices: tuple[Canned, ...]
    parameter: str = "calibration"

    @classmethod
    def read(cls, path: Path, parameter: str = "calibration") -> CalibrationFolder:
        """Read what a folder has. Raises ReductionError if it is none, or its index cannot be read."""
        require_folder(path, parameter)
        indices = sorted(path.rglob("caldb.indx"))
        entries = [entry for index in indices for entry in read_caldb_index(index, None, parameter)]
        if not indices:
            files = [file for file in sorted(path.rglob("*")) if _SUFFIXES.search(file.name)][:_MOST_FILES]
            entries = [entry for file in files if (entry := _described(file, parameter)) is not None]
        return cls(path, tuple(entries), tuple(canned.read_folder(path, parameter)), parameter)

    def find_area(self, keys: Keys) -> Path | None:
        """Return the file of the area on the axis; None where the folder has none of the instrument at all.

        Raises ReductionError if it has some, and none of them answers.
        """
        asked = replace(keys, kind=AREA)
        mine = [entry for entry in self.entries if entry.answers(Keys(keys.telescope, keys.instrument, AREA))]
        return choose(self.entries, asked, "the calibration folder", self.parameter).path if mine else None

    def find_matrix(self, keys: Keys, submode: str, spot: Spot, channels: int) -> Path:
        """Return the file of the redistribution with a number of channels.

        Parameters
        ----------
        keys
            Telescope, instrument, filter, patterns and date.
        submode
            SUBMODE of the event list.
        spot
            Where on the camera the region lies.
        channels
            Number of channels.

        Returns
        -------
        Path
            The file, a canned one where no index has one.

        Raises
        ------
        ReductionError
            None answers.
        """
        asked = replace(keys, kind=MATRIX)
        if any(entry.answers(asked) and entry.path.is_file() for entry in self.entries):
            return choose(self.entries, asked, "the calibration folder", self.parameter).path
        right = [each for each in self.matrices if channels_of(each.entry.path) in (channels, None)]
        if self.matrices and not right:
            raise ReductionError(f"the calibration folder has no matrix of {channels} channels; choose the other "
                                 "channel width", "channel_width")  # fmt: skip
        asked = replace(keys, kind=canned.KIND)
        return canned.find(right, asked, submode, spot, "the calibration folder", self.parameter).path


@dataclass(frozen=True)
class ServiceFiles:
    """The files of a calibration service, asked for as those of a folder."""

    service: CalibrationService

    def find_area(self, keys: Keys) -> Path | None:
        """Return the file of the area on the axis. Raises ReductionError if none answers."""
        return self.service.find(replace(keys, kind=AREA))

    def find_matrix(self, keys: Keys, submode: str, spot: Spot, channels: int) -> Path:
        """Return the file of the redistribution; mode, place and channels are the service's affair.

        Parameters
        ----------
        keys
            Telescope, instrument, filter, patterns and date.
        submode
            SUBMODE of the event list.
        spot
            Where on the camera the region lies.
        channels
            Number of channels.

        Returns
        -------
        Path
            The file, in the cache.

        Raises
        ------
        ReductionError
            None answers.
        """
        return self.service.find(replace(keys, kind=MATRIX))


Files = CalibrationFolder | ServiceFiles


def is_set(variables: Mapping[str, str]) -> bool:
    """Return whether calibration files are set up."""
    return bool(variables.get(FOLDER, "").strip() or variables.get("CALDB", "").strip())


def from_environment(variables: Mapping[str, str], scratch: Path, parameter: str = "calibration") -> Files | None:
    """Return where calibration files come from.

    Parameters
    ----------
    variables
        The environment of the job.
    scratch
        A folder of the job, for what a service sends where no cache is set.
    parameter
        Job parameter named in errors.

    Returns
    -------
    CalibrationFolder or ServiceFiles or None
        None where nothing is set.

    Raises
    ------
    ReductionError
        What is set is neither a folder nor an address, or the file of the token cannot be read.
    """
    place = variables.get(FOLDER, "").strip()
    if re.match(r"[a-z]+://", place):
        cache = Path(variables.get(CACHE) or scratch)
        return ServiceFiles(CalibrationService(place, cache, read_token(variables, parameter), parameter=parameter))
    if place or variables.get("CALDB"):
        return CalibrationFolder.read(Path(place or variables["CALDB"]), parameter)
    return None


def read_token(variables: Mapping[str, str], parameter: str = "calibration") -> str:
    """Return the token of the service, without blanks around it; empty where none is set.

    Raises ReductionError if its file cannot be read; the error names the variable, not the file.
    """
    for name in (SECRET, TOKEN):
        if variables.get(name):
            try:
                return Path(variables[name]).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ReductionError(f"the file that {name} names cannot be read", parameter) from error
    return ""


def channels_of(path: Path) -> int | None:
    """Return the number of channels of a matrix, from DETCHANS of its tables; None where nothing says it."""
    try:
        file = fitsfile.scan(path, "calibration")
    except (ReductionError, OSError):
        return None
    numbers = [Cards(hdu.cards).number("DETCHANS") for hdu in file.hdus]
    return next((int(number) for number in numbers if number), None)


def _described(path: Path, parameter: str) -> Entry | None:
    """Return a file as its header describes it; None for one without the keywords of a calibration file."""
    try:
        file = fitsfile.scan(path, parameter)
    except (ReductionError, OSError):
        return None
    for number, hdu in enumerate(file.hdus):
        cards = Cards(hdu.cards)
        if kind := cards.text("CCNM0001"):
            day, hour = cards.text("CVSD0001"), cards.text("CVST0001") or "00:00:00"
            bounds = parse_bounds([cards.text(f"CBD{index}0001") for index in range(1, 10)])
            return Entry(path, cards.text("TELESCOP"), cards.text("INSTRUME"), kind, cards.text("FILTER"),
                         bounds.get("PATTERN") or bounds.get("GRADE", ""),
                         parse_date(f"{day}T{hour}", parameter) if day else None, extension=number)  # fmt: skip
    return None
