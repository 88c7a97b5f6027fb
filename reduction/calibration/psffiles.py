"""Which file of XMM-Newton's current calibration files holds the point spread function of a camera at a date.

The files XRTn_XPSF_nnnn.CCF lie below the folder that UWS_CALIBRATION names, else in the folders of SAS_CCFPATH. As the
SAS task cifbuild has it, of those that hold at the date of the observation (from VALDATE to EVALDATE of their headers)
the one of the highest issue is taken; where there is an index (SAS_CCF, or ccf.cif in the folder), of those that it
lists.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from provenance.fits.headers import Cards
from reduction.calibration.indices import read_calindex
from reduction.calibration.keys import date_of, parse_date
from reduction.calibration.kingfile import read_king_table
from reduction.calibration.source import FOLDER, require_folder
from reduction.errors import ReductionError
from reduction.events import fitsfile
from reduction.events.fitsfile import FitsFile
from reduction.instruments import Profiles

TELESCOPES: Final = {"EMOS1": "XRT1", "EMOS2": "XRT2", "EPN": "XRT3"}
"""Camera -> the telescope in front of it, as the names of its calibration files have it."""

CCF_PATH, CCF_INDEX, INDEX_FILE = "SAS_CCFPATH", "SAS_CCF", "ccf.cif"
"""Variables of the SAS: folders of the current calibration files, their index; the usual name of that."""

KIND: Final = "XPSF"

BUILT_IN: Final = "built-in"
"""The choice of a job that looks at no file."""

_NAME = re.compile(r"(?P<scope>XRT[123])_XPSF_(?P<issue>\d{1,4})\.CCF(\.gz)?", re.IGNORECASE)

Note = Callable[[str], None]


@dataclass(frozen=True)
class PsfFile:
    """A file of a point spread function: the telescope and the issue that its name says."""

    path: Path
    scope: str
    issue: int


@dataclass
class PsfFiles:
    """The point spread functions among the calibration files of a server.

    `folder` tells in errors where the files lie, `scratch` takes inflated copies, `note` is told what a person should
    know, `used` the path of each file whose profiles were given. `is_required` says that the published profiles must
    not take the place of a file that cannot be used.
    """

    files: tuple[PsfFile, ...]
    folder: str
    scratch: Path
    parameter: str = "psf"
    note: Note = print
    is_required: bool = True
    used: dict[str, Path] = field(default_factory=dict)
    _open: dict[Path, FitsFile] = field(default_factory=dict)
    _read: dict[Path, Profiles] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    @classmethod
    def of(
        cls,
        variables: Mapping[str, str],
        scratch: Path,
        note: Note = print,
        parameter: str = "psf",
        is_required: bool = True,
    ) -> PsfFiles | None:
        """Return the point spread functions that are set up; None where there are none.

        Parameters
        ----------
        variables
            The environment of the job.
        scratch
            A folder of the job, for inflated copies.
        note
            What sentences about the files are told.
        parameter
            Job parameter named in errors.
        is_required
            Whether a file that cannot be used is an error; else the published profile is taken, and that is told.

        Returns
        -------
        PsfFiles or None
            The files below the folder of UWS_CALIBRATION, else in the folders of SAS_CCFPATH.

        Raises
        ------
        ReductionError
            UWS_CALIBRATION names what is neither a folder nor an address, or an index cannot be read or lists a file
            that is not there.
        """
        own = variables.get(FOLDER, "").strip()
        found, index, words = [], Path(own) / INDEX_FILE, "the calibration folder"
        if own and "://" not in own:
            require_folder(Path(own), parameter)
            found = _named(sorted(Path(own).rglob("*")))
        if not found:
            places = [Path(part) for part in variables.get(CCF_PATH, "").split(os.pathsep) if part.strip()]
            found = _named([path for place in places if place.is_dir() for path in sorted(place.glob("*"))])
            index, words = Path(variables.get(CCF_INDEX, "").strip() or INDEX_FILE), f"the folder of {CCF_PATH}"
        if not found:
            return None
        if index.is_absolute() and index.is_file():
            found = _listed(found, index, words, parameter)
        return cls(tuple(found), words, scratch, parameter, note, is_required)

    def profiles(self, camera: str, header: Mapping[str, Any]) -> Profiles:
        """Return the King profiles of a camera, of the file that holds at the date of an observation.

        Parameters
        ----------
        camera
            EPN, EMOS1 or EMOS2.
        header
            Keywords of the observation; without a date in DATE-OBS the highest issue is taken.

        Returns
        -------
        Profiles
            Those of the file, or the published ones where there is no file of the camera's telescope.

        Raises
        ------
        ReductionError
            They are required, there are files of the telescope, and none holds at the date, or the file cannot be used;
            the error says how to do without. Where they are not, the published ones are taken, which is told.
        """
        try:
            return self._profiles(camera, header)
        except ReductionError as error:
            if self.is_required:
                raise ReductionError(f"{error}; {BUILT_IN} takes the published profile", self.parameter) from error
            self._tell(f"{error}: the point spread function of {camera} is the published one")
            return Profiles(camera)

    def _profiles(self, camera: str, header: Mapping[str, Any]) -> Profiles:
        """Return the King profiles of a camera, as `profiles` does, which completes its errors."""
        scope = TELESCOPES[camera]
        mine = sorted((file for file in self.files if file.scope == scope), key=lambda file: file.issue, reverse=True)
        if not mine:
            self._tell(f"{self.folder} has no {scope}_{KIND} file: the point spread function of {camera} is the "
                       "published one")  # fmt: skip
            return Profiles(camera)
        date = self._date(header)
        spans = []
        for file in mine:
            opened = self._open.get(file.path) or self._opened(file)
            self._open[file.path] = opened
            since, until = self._span(opened)
            if date is None or ((since is None or since <= date) and (until is None or date <= until)):
                return self._of(file, opened, camera)
            spans.append(f"{file.path.name} from {_day(since)} to {_day(until)}")
        raise ReductionError(f"{self.folder} has no {scope}_{KIND} file of {camera} that holds on {date:%Y-%m-%d}; it "
                             f"has {', '.join(spans[:8])}", self.parameter)  # fmt: skip

    def _date(self, header: Mapping[str, Any]) -> datetime | None:
        """Return the date of an observation; None, which is told, where its header says none."""
        try:
            return date_of(header)
        except ReductionError:
            self._tell("the header says no date (DATE-OBS) by which a point spread function could be chosen: that of "
                       "the highest issue is taken")  # fmt: skip
            return None

    def _opened(self, file: PsfFile) -> FitsFile:
        """Open a file, inflated where it is gzipped. Raise ReductionError if it cannot be read."""
        name = file.path.name
        try:
            if not fitsfile.is_gzip(file.path):
                return fitsfile.scan(file.path, self.parameter)
            plain = self.scratch / f"{file.issue}-{name.removesuffix('.gz')}"
            if not plain.exists():
                fitsfile.inflate(file.path, plain, self.parameter)
            return fitsfile.scan(plain, self.parameter, name)
        except OSError as error:
            raise ReductionError(f"{name} cannot be read: {error.strerror}", self.parameter) from error
        except ReductionError as error:
            words = str(error) if name in str(error) else f"{name}: {error}"
            raise ReductionError(words, self.parameter) from error

    def _span(self, file: FitsFile) -> tuple[datetime | None, datetime | None]:
        """Return from when to when a file holds; None for no bound. Raise ReductionError for a date that is none."""
        found: list[datetime | None] = []
        for keyword in ("VALDATE", "EVALDATE"):
            text = Cards(file.hdus[0].cards).text(keyword)
            try:
                found.append(parse_date(text, self.parameter) if text else None)
            except ReductionError as error:
                raise ReductionError(f"{keyword} of {file.name}: {error}", self.parameter) from error
        return found[0], found[1]

    def _of(self, file: PsfFile, opened: FitsFile, camera: str) -> Profiles:
        """Return the profiles of a file, which is read once. Raise ReductionError if it is of another telescope."""
        if file.path not in self._read:
            says = Cards(opened.hdus[0].cards).text("SCOPE").upper()
            if says in TELESCOPES.values() and says != file.scope:
                raise ReductionError(f"{opened.name} is a file of {says} by its header (SCOPE) and of {file.scope} by "
                                     f"its name; {camera} is behind {file.scope}", self.parameter)  # fmt: skip
            table, notes = read_king_table(opened)
            for each in notes:
                self._tell(each)
            self._read[file.path] = Profiles(camera, table, file.path.name)
            self.used[file.path.name] = file.path
        return self._read[file.path]

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.note(text)


def _named(paths: Sequence[Path]) -> list[PsfFile]:
    found = ((path, _NAME.fullmatch(path.name)) for path in paths)
    return [PsfFile(path, match["scope"].upper(), int(match["issue"])) for path, match in found if match]


def _listed(found: Sequence[PsfFile], index: Path, words: str, parameter: str) -> list[PsfFile]:
    """Return the files that an index lists. Raise ReductionError if it lists one that is not there."""
    listed = [entry for entry in read_calindex(index, (), parameter) if entry.kind.strip().upper() == KIND]
    kept = []
    for scope in TELESCOPES.values():
        wanted = {int(entry.issue) for entry in listed if entry.instrument.strip().upper() == scope}
        mine = [file for file in found if file.scope == scope]
        there = [file for file in mine if file.issue in wanted]
        if wanted and not there:
            raise ReductionError(f"the index {index.name} lists {scope}_{KIND}_{max(wanted):04d}.CCF, which is not in "
                                 f"{words}", parameter)  # fmt: skip
        kept += there if wanted else mine
    return kept


def _day(date: datetime | None) -> str:
    return f"{date:%Y-%m-%d}" if date else "..."
