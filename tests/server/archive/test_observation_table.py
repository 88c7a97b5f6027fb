"""Tables of observations: their columns, units and cameras; taken in twice; the files that take their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io.votable import from_table
from astropy.table import MaskedColumn, Table

from reduction import regions
from synthetic import Epic, write
from uws_server import cli
from uws_server.archive.observation_table import ObservationTable, TableExposure, TableOptions
from uws_server.archive.observations import Archive
from uws_server.errors import BadRequest
from uws_server.services.archive_index import ArchiveIndex, Report
from uws_server.services.search_region import search_region
from uws_server.storage.archive_rows import ArchiveRows
from uws_server.storage.jobstore import JobStore

CSV = """obs_id,RA,Dec,target,PI,start,stop,duration
0123456789,150.0,2.0,Synthetic,Ada,2019-05-01T00:00:00,2019-05-01T03:00:00,10000
0987654321,10.684708,41.26875,M31,Bo,2019-06-01T00:00:00Z,2019-06-01T01:00:00Z,3600
0777777777,0.001,-89.9,South,Cy,2020-01-01,2020-01-02,
"""


def exposures(path: Path, options: TableOptions | None = None) -> list[TableExposure]:
    table = ObservationTable(path, options or TableOptions())
    return [one for batch in table.exposures(lambda *_: None) for one in batch]


def positions(path: Path, options: TableOptions | None = None) -> list[tuple[str, float, float]]:
    """Observation and position of each exposure of pn."""
    found = [one.description for one in exposures(path, options) if one.description.instrument == "EPN"]
    return [(one.obs_id, round(one.ra or 0, 3), round(one.dec or 0, 3)) for one in found]


EXPECTED = [("0123456789", 150.0, 2.0), ("0987654321", 10.685, 41.269), ("0777777777", 0.001, -89.9)]


def as_csv(path: Path) -> None:
    path.write_text(CSV)


def as_tsv(path: Path) -> None:
    path.write_text("\ufeff# a comment\n" + CSV.replace(",", "\t"))


def as_votable(path: Path) -> None:
    """A table whose columns are known by their UCDs only, its right ascension in hours."""
    table = Table.read(CSV, format="ascii.csv", converters={"obs_id": str})
    table["a"], table["b"], table["c"] = table["obs_id"], table["RA"] / 15, np.radians(table["Dec"])
    table["b"].unit, table["c"].unit = "hourangle", "rad"
    document = from_table(table["a", "b", "c"])
    for field, ucd in zip(document.get_first_table().fields, ("meta.id;obs", "pos.eq.ra;meta.main", "POS_EQ_DEC_MAIN"),
                          strict=True):  # fmt: skip
        field.ucd = ucd
    document.to_xml(str(path))


def as_fits(path: Path) -> None:
    """A table with ids as whole numbers, whose zeros in front are lost, and masked values."""
    table = Table.read(CSV, format="ascii.csv")
    table["obs_id"] = table["obs_id"].astype(np.int64)
    table["roll"] = MaskedColumn([10.0, 20.0, 0.0], mask=[False, False, True], unit="deg")
    table.write(path, format="fits")


def as_sexagesimal(path: Path) -> None:
    path.write_text("OBSID;RAJ2000;DEJ2000\n0123456789;10:00:00;+02:00:00\n"
                    '0987654321;00 42 44.33;+41 16 07.5\n0777777777;0h00m00.24s;"-89d54m00s"\n')  # fmt: skip


@pytest.mark.parametrize("make", [as_csv, as_tsv, as_votable, as_fits, as_sexagesimal])
def test_every_kind_of_table_has_the_same_pointings(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "observations")
    assert positions(tmp_path / "observations") == EXPECTED


def test_what_a_table_says_of_an_exposure(tmp_path: Path) -> None:
    as_csv(tmp_path / "table.csv")
    found = exposures(tmp_path / "table.csv")
    assert [one.source for one in found[:3]] == [f"//0123456789/{name}" for name in ("EPN", "EMOS1", "EMOS2")]
    pn = found[0].description
    assert (pn.target, pn.observer, pn.exposure_s, pn.collection) == ("Synthetic", "Ada", 10000.0, "XMM-Newton")
    assert pn.t_min == 58604.0 and pn.t_max == 58604.125  # 2019-05-01 is MJD 58604
    assert found[-1].description.exposure_s is None and "not in the archive" in pn.note


def test_the_cameras_are_those_that_the_table_says_were_on(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(
        "obs_id,ra,dec,pn_time,pn_filter,m1_time,m1_filter,M2_TIME,M2_FILTER,pa_pnt\n"
        "0000000001,10,20,9000,Thin1,0,Medium,8000,Closed,70\n"
        "0000000002,10,20,9000,Thin1,7000,Medium,,Thick,\n"
    )
    found = exposures(tmp_path / "table.csv")
    names = [(one.source, one.description.filter, one.description.exposure_s) for one in found]
    assert names == [
        ("//0000000001/EPN", "Thin1", 9000.0),
        ("//0000000002/EPN", "Thin1", 9000.0),
        ("//0000000002/EMOS1", "Medium", 7000.0),
    ]
    turned, round_ = found[0].description.footprint, found[1].description.footprint
    assert turned and turned != round_  # the one with a position angle is cut where its CCDs end
    (tmp_path / "named.csv").write_text(
        "obs_id,ra,dec,instrument,expid,telescope\n0000000001,10,20,PN,S003,XMM-Newton\n0000000001,10,20,PN,U014,XMM\n"
        "0000000001,10,20,PN,U014,XMM\n0000000001,10,20,RGS1,S004,XMM\n60001,10,20,FPMA,,NuSTAR\n"
        "0000000001,10,20,MOS1,,XMM\n0000000001,11,20,MOS1,,XMM\n"
    )
    table = ObservationTable(tmp_path / "named.csv", TableOptions())
    sources = [one.source for batch in table.exposures(lambda *_: None) for one in batch]
    assert sources == ["//0000000001/EPN/S003", "//0000000001/EPN/U014", "//60001/FPMA", "//0000000001/EMOS1",
                       "//0000000001/EMOS1/2"]  # fmt: skip
    assert table.notes == {4: "XMM RGS1: no camera that is known here"} and table.left_out == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("obs_id,target\n1,M31\n", "no column of ra or of dec among obs_id, target (ra may be called ra, rapnt"),
        ("ra,dec\n1,2\n", "--number-rows"),
        ("0123456789,150,2\n0123456780,151,3\n", "holds no names of columns"),
        ("obs_id,ra,dec\n1,2\n", "line 2 has 2 cells; the first line has 3"),
        ("obs_id,ra,dec\n", "no rows"),
        ("", "no rows"),
        ("obs_id,ra,dec\n1,1.5,2\n2,12.25,3\n3,23.9,4\n", "hours or degrees? say so by --ra-unit"),
        ("obs_id,ra,dec\n1,north,2\n", "'north' is no angle"),
        ("obs_id,ra,dec\n1,12:61:00,2\n", "'12:61:00' is no angle"),
        ("obs_id,ra,dec,start\n1,15,2,504921600\n", "504921600 is no time"),
        ("obs_id,ra,dec,exposure\n1,15,2,long\n", "'long' is no duration"),
        ("<?xml version='1.0'?><VOTABLE><RESOURCE>", "no readable VOTable"),
        ("SIMPLE  =                    T", "no readable FITS table"),
        ("\x1f\x8bno gzip at all", "the gzip is damaged"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_what_to_do(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "table").write_text(text, encoding="latin-1")
    with pytest.raises(BadRequest) as refused:
        exposures(tmp_path / "table")
    assert words in str(refused.value)


@pytest.mark.parametrize(("column", "unit", "words"), [
    ("RA", "m", "column RA: its unit is 'm'; degrees, radians or hours are read"),
    ("duration", "Jy", "column duration: its unit is 'Jy'; seconds"),
])  # fmt: skip
def test_a_wrong_unit_is_told(tmp_path: Path, column: str, unit: str, words: str) -> None:
    table = Table.read(CSV, format="ascii.csv")
    table[column].unit = unit
    table.write(tmp_path / "table.fits")
    with pytest.raises(BadRequest) as refused:
        exposures(tmp_path / "table.fits")
    assert words in str(refused.value)


def test_hours_are_taken_where_the_caller_says_so(tmp_path: Path) -> None:
    (tmp_path / "table").write_text("obs_id,ra,dec\n1,1.5,2\n2,12.25,3\n3,23.9,4\n")
    assert [ra for _, ra, _ in positions(tmp_path / "table", TableOptions(ra_in_hours=True))] == [22.5, 183.75, 358.5]
    assert [ra for _, ra, _ in positions(tmp_path / "table", TableOptions(ra_in_hours=False))] == [1.5, 12.25, 23.9]


def test_rows_without_a_position_are_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "table").write_text("obs_id,ra,dec,start\n1,,,\n2,370,3,\n3,20,-91,\n4,40,5,soon\n5,50,5,2020-01-01\n")
    table = ObservationTable(tmp_path / "table", TableOptions())
    assert (table.notes[1], table.left_out) == ("no position", 3)
    assert "RA 370 deg" in table.notes[2] and "Dec -91 deg" in table.notes[3] and "'soon' is no date" in table.notes[4]


@pytest.fixture
def lab(database_url: str, tmp_path: Path) -> Iterator[tuple[ArchiveIndex, ArchiveRows]]:
    store = JobStore(database_url)
    (tmp_path / "archive").mkdir()
    rows = ArchiveRows(store.engine)
    yield ArchiveIndex(rows, tmp_path / "archive", tmp_path), rows
    store.close()


def taken_in(index: ArchiveIndex, path: Path) -> Report:
    return index.import_table(ObservationTable(path, TableOptions()), lambda *_: None)


def seen(index: ArchiveIndex, region: str = "Circle ICRS 150 2 0.02") -> list[str]:
    return [row["source"] for _, row in index.seeing(search_region(regions.parse(region)).cells)]


def test_a_table_taken_in_again_adds_nothing_and_changes_what_changed(
    lab: tuple[ArchiveIndex, ArchiveRows], tmp_path: Path
) -> None:
    index, rows = lab
    as_csv(tmp_path / "table.csv")
    first = taken_in(index, tmp_path / "table.csv")
    assert (first.found, first.added, first.changed) == (9, 9, 0)
    assert seen(index) == [f"//0123456789/{name}" for name in ("EPN", "EMOS1", "EMOS2")]
    assert len(seen(index, "Circle ICRS 200 -89.99 0.01")) == 3
    (tmp_path / "other name.csv").write_text(CSV.replace("Ada", "Eve"))
    again = taken_in(index, tmp_path / "other name.csv")
    assert (again.found, again.added, again.changed) == (9, 0, 3)
    assert rows.counts() == {"observation": 9}
    assert {row["observer"] for row in rows.page("observation")} == {"Eve", "Bo", "Cy"}


def test_an_event_list_takes_the_place_of_the_exposure_of_a_table(
    lab: tuple[ArchiveIndex, ArchiveRows], tmp_path: Path
) -> None:
    index, rows = lab
    as_csv(tmp_path / "table.csv")
    taken_in(index, tmp_path / "table.csv")
    write(tmp_path / "archive" / "pn.fits", Epic(rows=20_000))
    index.update(tmp_path / "archive", lambda *_: None)
    assert seen(index) == ["//0123456789/EMOS1", "//0123456789/EMOS2", "pn.fits"]
    assert rows.counts() == {"events": 1, "observation": 8, "superseded": 1}
    taken_in(index, tmp_path / "table.csv")
    assert seen(index) == ["//0123456789/EMOS1", "//0123456789/EMOS2", "pn.fits"]
    (tmp_path / "archive" / "pn.fits").unlink()
    index.update(tmp_path / "archive", lambda *_: None)
    assert seen(index) == ["//0123456789/EPN", "//0123456789/EMOS1", "//0123456789/EMOS2"]


def test_a_job_cannot_name_what_is_not_here(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="known from a table only"):
        Archive(tmp_path).find("//0123456789/EPN")


def test_the_log_of_all_observations_is_found_as_far_as_its_fields_reach(
    shared: Path, lab: tuple[ArchiveIndex, ArchiveRows], tmp_path: Path
) -> None:
    """Part of the real log of XMM-Newton, without names of columns and ids: against distances on the sphere."""
    lines = (shared / "real" / "pointings" / "xmmlog.csv").read_text().splitlines()
    some = [line for number, line in enumerate(lines) if number % 40 == 1]
    (tmp_path / "log.csv").write_text("\n".join(some))
    names = TableOptions(columns=("t_min", "t_max", "ra", "dec"), number_rows=True)
    index, _ = lab
    table = ObservationTable(tmp_path / "log.csv", names)
    report = index.import_table(table, lambda *_: None)
    kept = [(number, line.split(",")) for number, line in enumerate(some, 1) if line.split(",")[2]]
    assert report.added == 3 * len(kept) > 1000 and table.left_out == len(some) - len(kept)
    places = SkyCoord([float(cells[2]) for _, cells in kept], [float(cells[3]) for _, cells in kept], unit="deg")
    for at in range(0, len(kept), 20):
        ra, dec = float(places[at].ra.deg), float(places[at].dec.deg)
        found = {source.split("/")[2] for source in seen(index, f"Circle ICRS {ra} {dec} 0.05")}
        apart = places.separation(places[at]).deg
        assert {f"log-{kept[near][0]:05}" for near in np.flatnonzero(apart < 0.3)} <= found
        assert found <= {f"log-{kept[near][0]:05}" for near in np.flatnonzero(apart < 0.3 + 0.03)}


def test_the_command_takes_a_table_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "archive").mkdir()
    as_csv(tmp_path / "table.csv")
    where = ["--archive", str(tmp_path / "archive"), "--data", str(tmp_path / "data")]
    assert cli.main(["archive", "import", str(tmp_path / "table.csv"), *where]) == 0
    out = capsys.readouterr().out
    assert "9 exposures of 3 rows: 9 new, 0 changed; 0 rows left out" in out
    assert "9 exposures whose files are not here" in out
    assert cli.main(["archive", "list", *where]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == 10 and listed[1].startswith("0123456789   EPN") and listed[1].endswith("(not here)")
    assert cli.main(["archive", "import", str(tmp_path / "nothing.csv"), *where]) == 2
    assert "nothing.csv is no file" in capsys.readouterr().err


def test_exposures_that_left_the_table_are_told_and_forgotten_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "archive").mkdir()
    write(tmp_path / "archive" / "list.fits", Epic(rows=20_000))
    where = ["--archive", str(tmp_path / "archive"), "--data", str(tmp_path / "data")]
    assert cli.main(["archive", "add", *where]) == 0
    as_csv(tmp_path / "table.csv")
    assert cli.main(["archive", "import", str(tmp_path / "table.csv"), *where]) == 0
    assert "taken in before" not in capsys.readouterr().out
    lines = CSV.splitlines(keepends=True)
    (tmp_path / "table.csv").write_text("".join(lines[:-1]))
    assert cli.main(["archive", "import", str(tmp_path / "table.csv"), *where]) == 0
    out = capsys.readouterr().out
    assert "3 exposures of tables taken in before are not in this one, and kept: --replace forgets what is not" in out
    assert cli.main(["archive", "list", *where]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 10
    assert cli.main(["archive", "import", "--replace", str(tmp_path / "table.csv"), *where]) == 0
    assert "3 exposures of tables taken in before are forgotten" in capsys.readouterr().out
    assert cli.main(["archive", "list", *where]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == 7 and sum(line.endswith("(not here)") for line in listed) == 5
