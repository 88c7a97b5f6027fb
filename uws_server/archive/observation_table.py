"""Reads the exposures of a table of observations: one for each camera, with the field about its pointing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from reduction.events.footprint import Pointing, fields_of_view
from reduction.missions import MISSIONS, FieldOfView, Mission
from uws_server.archive import footprints
from uws_server.archive.description import OBSERVATION, Description, shown
from uws_server.archive.table_columns import NAMES, degrees, mjds, named, seconds, texts
from uws_server.archive.tables import TableColumn, read_table
from uws_server.errors import BadRequest

NOT_HERE: Final = "known from a table: its event list is not in the archive"

_CAMERA: Final = re.compile(r"(?:x_)?(?:epic[ _-]?)?e?(pn|mos1|mos2|m1|m2)(?:[ _-]?(.*))?", re.IGNORECASE)
_CAMERAS: Final = {"pn": "EPN", "m1": "EMOS1", "mos1": "EMOS1", "m2": "EMOS2", "mos2": "EMOS2"}
_OF_A_CAMERA: Final = ("exposure_s", "filter", "mode", "exposure")
_OFF: Final = ("closed", "calclosed", "cal_closed", "off", "no", "none", "")
_TEXTS: Final = ("obs_id", "target", "observer", "instrument", "exposure", "filter", "mode", "telescope")
_NUMBERS: Final = ("ra", "dec", "angle", "t_min", "t_max", "exposure_s")
_AT_ONCE: Final = 500
_MOST_SHOWN: Final = 60

Progress = Callable[[int, int, str], None]
"""Called with how many rows are done, how many there are, and the observation that is next."""


@dataclass(frozen=True)
class TableOptions:
    """What a table does not say of itself.

    `columns` are the names of its columns; `number_rows` says that rows without an id of an observation are given
    their number; `telescope` is that of rows that name none; `ra_in_hours` tells what RA without a unit is in.
    """

    columns: tuple[str, ...] = ()
    number_rows: bool = False
    telescope: str = "XMM"
    ra_in_hours: bool | None = None


@dataclass(frozen=True)
class TableExposure:
    """An exposure of a table: its name in the archive, and what is known of it."""

    source: str
    description: Description


@dataclass(frozen=True)
class _Exposure:
    """An exposure before its cells are found."""

    description: Description
    field: FieldOfView
    pointing: Pointing


class ObservationTable:
    """The exposures of one table of `rows` rows, of which `left_out` have no position or id.

    `notes` say of rows, by their numbers from 1, why they are left out or what of them cannot be read.
    """

    def __init__(self, path: Path, options: TableOptions) -> None:
        """Read the table. Raise BadRequest where it has no positions or ids, or none that can be read."""
        self._name, self._options = path.stem, options
        columns = read_table(path, options.columns)
        self.rows = len(columns[0].values)
        self.notes: dict[int, str] = {}
        self.left_out = 0
        self._known = named(columns)
        self._cameras = _by_camera(columns)
        missing = [what for what in ("obs_id", "ra", "dec")
                   if what not in self._known and not (what == "obs_id" and options.number_rows)]  # fmt: skip
        if missing:
            listed = ", ".join(column.name for column in columns)
            called = "; ".join(f"{what} may be called {', '.join(NAMES[what][:4])}" for what in missing)
            more = "; --number-rows takes the number of a row as its id" if missing == ["obs_id"] else ""
            raise BadRequest(
                f"{path.name}: no column of {' or of '.join(missing)} among {listed[:200]} ({called}){more}"
            )
        self._exposures = list(self._each_row())

    def exposures(self, progress: Progress) -> Iterator[list[TableExposure]]:
        """Yield the exposures in batches, with the cells that they see."""
        names: dict[str, int] = {}
        for first in range(0, len(self._exposures), _AT_ONCE):
            some = self._exposures[first : first + _AT_ONCE]
            progress(first, len(self._exposures), some[0].description.obs_id)
            seen = _cells(some)
            yield [
                TableExposure(_source(one.description, names), replace(one.description, footprint=cells))
                for one, cells in zip(some, seen, strict=True)
            ]

    def _each_row(self) -> Iterator[_Exposure]:
        """Yield the exposures of each row that has a position; each once."""
        values = self._values()
        met: set[_Exposure] = set()
        for row in range(self.rows):
            known = {name: column[row] for name, column in values.items()}
            problem = _problem(known["ra"], known["dec"])
            if problem:
                self.notes.setdefault(row + 1, problem)
                self.left_out += 1
                continue
            obs_id = known["obs_id"] or (f"{self._name}-{row + 1:05}" if self._options.number_rows else "")
            if not obs_id:
                self.notes[row + 1] = "no id of an observation"
                self.left_out += 1
                continue
            for exposure in self._of_row(row, obs_id, known):
                if exposure not in met:
                    met.add(exposure)
                    yield exposure

    def _values(self) -> dict[str, Sequence[Any]]:
        """Return the values of each column that is recognised, those of others empty."""
        found: dict[str, Sequence[Any]] = {name: texts(self._known.get(name), self.rows) for name in _TEXTS}
        for name in _NUMBERS:
            column = self._known.get(name)
            found[name] = [None] * self.rows if column is None else self._numbers(name, column)
        for camera, columns in self._cameras.items():
            for name, column in columns.items():
                is_number = name in _NUMBERS
                found[f"{camera} {name}"] = self._numbers(name, column) if is_number else texts(column, self.rows)
        return found

    def _numbers(self, name: str, column: TableColumn) -> Sequence[float | None]:
        """Return the numbers of a column; those that cannot be read are noted."""
        if name in ("ra", "dec", "angle"):
            readings = degrees(column, self._options.ra_in_hours if name == "ra" else False)
        else:
            readings = seconds(column) if name == "exposure_s" else mjds(column)
        self.notes |= {row + 1: note for row, note in readings.notes.items()}
        return readings.values

    def _of_row(self, row: int, obs_id: str, known: Mapping[str, Any]) -> Iterator[_Exposure]:
        """Yield the exposures of a row: that of its camera, or of each that was on."""
        telescope = known["telescope"] or self._options.telescope
        missions = _missions(telescope, known["instrument"])
        if not missions:
            self.notes[row + 1] = f"{telescope} {known['instrument']}".strip()[:60] + ": no camera that is known here"
            self.left_out += 1
        for mission in missions:
            camera = mission.instruments[0]
            if not self._was_on(camera, known):
                continue
            own = {name: known.get(f"{camera} {name}", known[name]) for name in _OF_A_CAMERA}
            description = Description(
                OBSERVATION, "XMM-Newton" if mission.is_xmm else mission.telescope, instrument=camera, note=NOT_HERE,
                ra=known["ra"], dec=known["dec"],
                obs_id=shown(obs_id.zfill(10) if mission.is_xmm and obs_id.isdigit() else obs_id)[:_MOST_SHOWN],
                target=shown(known["target"])[:_MOST_SHOWN], observer=shown(known["observer"])[:_MOST_SHOWN],
                exposure=shown(own["exposure"])[:32], filter=shown(own["filter"])[:32],
                mode=shown(own["mode"])[:_MOST_SHOWN], t_min=known["t_min"], t_max=known["t_max"],
                exposure_s=own["exposure_s"],
            )  # fmt: skip
            yield _Exposure(description, mission.field, _pointing(mission, known))

    def _was_on(self, camera: str, known: Mapping[str, Any]) -> bool:
        """Return whether a camera took anything, as far as the table says so."""
        if not self._cameras:
            return True
        time, filter_ = known.get(f"{camera} exposure_s", 1.0), known.get(f"{camera} filter", "on")
        return camera in self._cameras and bool(time) and filter_.lower().replace(" ", "") not in _OFF


def _pointing(mission: Mission, known: Mapping[str, Any]) -> Pointing:
    """Return the pointing of a row, with its position angle where the field of the instrument depends on it."""
    if mission.field.reach_arcmin is None or known["angle"] is None:
        return Pointing(known["ra"], known["dec"])
    return Pointing(known["ra"], known["dec"], known["angle"])


def _problem(ra: float | None, dec: float | None) -> str:
    """Return why a row has no position; '' if it has one."""
    if ra is None or dec is None:
        return "no position"
    if not 0 <= ra <= 360:
        return f"RA {ra:.6g} deg is not in 0..360"
    return "" if -90 <= dec <= 90 else f"Dec {dec:.6g} deg is not in -90..90"


def _missions(telescope: str, instrument: str) -> list[Mission]:
    """Return the instruments that a row is of: the one that it names, or all cameras of its telescope."""
    plain = re.sub(r"[^a-z0-9]", "", telescope.lower())
    of_telescope = [mission for mission in MISSIONS
                    if plain.startswith(re.sub(r"[^a-z0-9]", "", mission.telescope.lower()))]  # fmt: skip
    named_ = instrument.strip()
    if not named_ or re.sub(r"[^a-z]", "", named_.lower()) in ("epic", "acis", "xrt", plain):
        return of_telescope
    camera = _CAMERA.fullmatch(named_)
    wanted = _CAMERAS[camera[1].lower()] if camera and not camera[2] else named_.upper()
    return [mission for mission in of_telescope
            if any(wanted == name or wanted.startswith(f"{name}-") for name in mission.instruments)]  # fmt: skip


def _by_camera(columns: Sequence[TableColumn]) -> dict[str, dict[str, TableColumn]]:
    """Return the columns that are of one EPIC camera, such as pn_exposure or M1_FILTER, by camera and content."""
    found: dict[str, list[TableColumn]] = {}
    for column in columns:
        match = _CAMERA.fullmatch(column.name.strip())
        if match and match[2]:
            name = "exposure" if match[2].lower() in ("time", "exp", "livetime", "ontime") else match[2]
            found.setdefault(_CAMERAS[match[1].lower()], []).append(replace(column, name=name, ucd=""))
    recognised = {camera: named(some) for camera, some in found.items()}
    ours = {camera: {name: one for name, one in some.items() if name in _OF_A_CAMERA}
            for camera, some in recognised.items()}  # fmt: skip
    return {camera: some for camera, some in ours.items() if some}


def _source(description: Description, names: dict[str, int]) -> str:
    """Return the name of an exposure without a file: the same whenever its table is imported again."""
    parts = (description.obs_id, description.instrument, description.exposure)
    name = "//" + "/".join(part.replace("/", "_") for part in parts if part)
    names[name] = count = names.get(name, 0) + 1
    return name if count == 1 else f"{name}/{count}"


def _cells(exposures: Sequence[_Exposure]) -> list[bytes]:
    """Return the cells that exposures see, as bytes; those of cameras with the same field are found once."""
    wanted: dict[FieldOfView, list[Pointing]] = {}
    for one in exposures:
        wanted.setdefault(one.field, []).append(one.pointing)
    found: dict[tuple[FieldOfView, Pointing], bytes] = {}
    for field, pointings in wanted.items():
        each = list(dict.fromkeys(pointings))
        mocs = fields_of_view(field, each, footprints.ORDER)
        cells = (footprints.cells(moc).astype("<u4").tobytes() for moc in mocs)
        found |= {(field, pointing): some for pointing, some in zip(each, cells, strict=True)}
    return [found[one.field, one.pointing] for one in exposures]
