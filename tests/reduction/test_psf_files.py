"""Point spread functions of XMM-Newton's calibration files: which file is taken, what it gives, and what is refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from ccffiles import ANGLES_ARCMIN, ENERGIES_EV, king_rows, write_ccf
from reduction.calibration.kingfile import read_king_table
from reduction.calibration.psffiles import PsfFiles
from reduction.detection.pointspread import KING_CAMERAS, king_spread
from reduction.errors import ReductionError
from reduction.events import fitsfile
from reduction.instruments import KingTable, Profiles, king

HEADER = {"DATE-OBS": "2012-05-14T03:49:58"}


def files_of(folder: Path, tmp_path: Path, told: list[str] | None = None, **variables: str) -> PsfFiles | None:
    scratch = tmp_path / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    note = (told if told is not None else []).append
    return PsfFiles.of({"UWS_CALIBRATION": str(folder), **variables}, scratch, note)


def taken(folder: Path, tmp_path: Path, camera: str = "EPN", header: dict[str, Any] = HEADER, **more: Any) -> Profiles:
    files = files_of(folder, tmp_path, **more)
    assert files is not None
    return files.profiles(camera, header)


def refused(folder: Path, tmp_path: Path, camera: str = "EPN", header: dict[str, Any] = HEADER) -> str:
    with pytest.raises(ReductionError) as caught:
        taken(folder, tmp_path, camera, header)
    assert caught.value.parameter == "psf"
    return str(caught.value)


def table_of(path: Path) -> tuple[KingTable, tuple[str, ...]]:
    return read_king_table(fitsfile.scan(path, "psf"))


@pytest.mark.parametrize("camera", KING_CAMERAS)
def test_a_file_with_the_published_values_gives_the_published_profiles(camera: str, tmp_path: Path) -> None:
    write_ccf(tmp_path / "ccf", camera)
    profiles = taken(tmp_path / "ccf", tmp_path, camera)
    rng = np.random.default_rng(1)
    energy, angle = rng.uniform(0, 12, 500), rng.uniform(0, 16, 500)
    found, wanted = profiles.at(energy, angle), king(camera, energy, angle)
    assert found.core_arcsec == pytest.approx(wanted.core_arcsec, rel=1e-5)
    assert found.slope == pytest.approx(wanted.slope, rel=1e-5)
    ours, theirs = (
        king_spread(camera, 1.5, HEADER, source) for source in (lambda *_: profiles, lambda *_: Profiles(camera))
    )
    assert ours.encircled(np.geomspace(1, 300, 20), 4.0) == pytest.approx(
        theirs.encircled(np.geomspace(1, 300, 20), 4.0)
    )
    assert (ours.origin, theirs.origin) == (
        f"King profile of {camera} at 1.5 keV from {profiles.file}", f"King profile of {camera} at 1.5 keV",
    )  # fmt: skip


def test_between_its_nodes_a_table_is_bilinear_and_beyond_them_its_edges_hold() -> None:
    rng = np.random.default_rng(2)
    table = KingTable(
        np.array([0.1, 1.5, 6.0]), np.array([0.0, 7.0]), rng.uniform(2, 7, (3, 2)), rng.uniform(1.2, 2, (3, 2))
    )
    for energy, angle in ((0.3, 1.0), (1.5, 3.5), (5.9, 6.9), (0.1, 0.0), (6.0, 7.0)):
        row = int(np.searchsorted(table.energies_kev[1:-1], energy, side="right"))
        up = np.interp(angle, table.angles_arcmin, table.core_arcsec[row])
        down = np.interp(angle, table.angles_arcmin, table.core_arcsec[row + 1])
        wanted = np.interp(energy, table.energies_kev[row : row + 2], [up, down])
        assert float(table.at(np.array(energy), angle).core_arcsec) == pytest.approx(wanted)
    assert float(table.at(np.array(20.0), 30.0).slope) == table.slope[-1, -1]
    assert float(table.at(np.array(0.0), -1.0).slope) == table.slope[0, 0]
    assert table.at(np.ones((4, 1)), np.ones(3)).core_arcsec.shape == (4, 3)


def test_a_core_that_is_twice_as_wide_holds_the_light_that_its_integral_says(tmp_path: Path) -> None:
    write_ccf(tmp_path / "ccf", "EPN", rows=king_rows("EPN", wider=2.0))
    profiles = taken(tmp_path / "ccf", tmp_path)
    spread = king_spread("EPN", 2.25, HEADER, lambda *_: profiles)
    for angle in (0.0, 5.0, 10.0):
        published = king("EPN", np.array(2.25), angle)
        core, slope = 2 * float(published.core_arcsec), float(published.slope)

        def light(radius: float, core: float = core, slope: float = slope) -> float:
            r = np.linspace(0, radius, 400_001)
            return float(np.trapezoid(r * (1 + (r / core) ** 2) ** -slope, r))

        for radius in (5.0, 15.0, 30.0, 60.0, 200.0):
            part = light(radius) / light(300.0)
            assert float(profiles.at(np.array(2.25), angle).encircled(radius)) == pytest.approx(part, rel=1e-6)
            assert float(spread.encircled(radius, angle)) == pytest.approx(part, abs=0.012)


def test_order_of_the_rows_units_and_wider_params_do_not_matter(tmp_path: Path) -> None:
    rows = king_rows("EPN")
    plain, notes = table_of(write_ccf(tmp_path / "a", rows=rows))
    order = np.random.default_rng(3).permutation(len(rows["ENERGY"]))
    mixed = {name: values[order] for name, values in rows.items()}
    mixed["PARAMS"] = np.concatenate((mixed["PARAMS"], np.full((len(order), 3), np.nan)), axis=1)
    mixed["ENERGY"], mixed["THETA"] = mixed["ENERGY"] / 1000, np.degrees(mixed["THETA"]) * 60
    units = {"ENERGY": "keV", "THETA": "arcmin", "PARAMS": "arcsec"}
    other, _ = table_of(write_ccf(tmp_path / "b", rows=mixed, units=units))
    bare, _ = table_of(write_ccf(tmp_path / "c", rows=rows, units={}))
    assert notes == ()
    assert plain.energies_kev.tolist() == [energy / 1000 for energy in ENERGIES_EV]
    assert plain.angles_arcmin == pytest.approx(ANGLES_ARCMIN, abs=1e-4)
    for table in (other, bare):
        assert table.energies_kev == pytest.approx(plain.energies_kev)
        assert table.core_arcsec == pytest.approx(plain.core_arcsec)
        assert table.slope == pytest.approx(plain.slope)


def listed(path: Path, cells: list[Any]) -> Path:
    """A file whose PARAMS are lists of their own lengths."""
    rows = king_rows("EPN")
    columns = [
        fits.Column(name, "E", unit=unit, array=rows[name]) for name, unit in (("ENERGY", "eV"), ("THETA", "rad"))
    ]
    params = fits.Column("PARAMS", "PE()", array=np.array([*cells, None], dtype=object)[:-1])
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([*columns, params], name="KING_PARAMS")]).writeto(
        path
    )
    return path


def test_params_may_be_lists(tmp_path: Path) -> None:
    rng, plain = np.random.default_rng(4), king_rows("EPN")["PARAMS"]
    cells = [np.concatenate((row, rng.random(rng.integers(0, 4)))).astype(np.float32) for row in plain]
    found, _ = table_of(listed(tmp_path / "lists.CCF", cells))
    wanted, _ = table_of(write_ccf(tmp_path / "ccf"))
    assert np.array_equal(found.core_arcsec, wanted.core_arcsec) and np.array_equal(found.slope, wanted.slope)
    cells[6] = cells[6][:1]
    with pytest.raises(
        ReductionError, match=r"PARAMS of KING_PARAMS of short\.CCF has 1 numbers in row 7; two or more"
    ):
        table_of(listed(tmp_path / "short.CCF", cells))


def test_profiles_beyond_the_measured_ones_that_make_no_sense_are_left_out(tmp_path: Path) -> None:
    """The published formulae go below a core radius of 0 at high energies far off the axis."""
    energies, angles = (0.0, 1500.0, 4500.0, 7500.0, 9000.0, 12000.0, 15000.0), (0.0, 3.0, 6.0, 9.0, 12.0, 15.0)
    for camera in KING_CAMERAS:
        path = write_ccf(tmp_path / "ccf", camera, rows=king_rows(camera, energies, angles))
        table, notes = table_of(path)
        assert table.energies_kev[-1] < 15 and table.energies_kev[-2] >= 4.5
        assert (table.core_arcsec > 0).all() and (table.slope > 1).all()
        assert f"KING_PARAMS of {path.name}: profiles above {table.energies_kev[-1]:g} keV" in notes[0]


def test_the_highest_issue_that_holds_at_the_date_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "ccf"
    write_ccf(folder, issue=9)
    write_ccf(folder, issue=17, VALDATE="2010-01-01T00:00:00", EVALDATE="2011-01-01T00:00:00")
    write_ccf(folder, issue=16, VALDATE="2010-06-01")
    write_ccf(folder / "more", issue=19, VALDATE="2020-01-01T00:00:00", name="xrt3_xpsf_0019.ccf")
    write_ccf(folder, "EMOS1", issue=30)
    for date, issue in (("2005-01-01", "0009"), ("2010-07-01", "0017"), ("2011-01-01T00:00:00", "0017"),
                        ("2012-05-14T03:49:58", "0016"), ("2024-01-01", "0019")):  # fmt: skip
        assert taken(folder, tmp_path, header={"DATE-OBS": date}).file[10:14] == issue, date
    assert taken(folder, tmp_path, "EMOS1").file == "XRT1_XPSF_0030.CCF"
    told = refused(folder, tmp_path, header={"DATE-OBS": "1999-01-01"})
    assert (
        "the calibration folder has no XRT3_XPSF file of EPN that holds on 1999-01-01; it has xrt3_xpsf_0019.ccf "
        in told
    )
    assert "XRT3_XPSF_0017.CCF from 2010-01-01 to 2011-01-01" in told
    notes: list[str] = []
    assert taken(folder, tmp_path, header={}, told=notes).file == "xrt3_xpsf_0019.ccf"
    assert "no date (DATE-OBS)" in notes[0]


def test_an_index_says_which_issues_are_taken(tmp_path: Path) -> None:
    folder = tmp_path / "ccf"
    for issue in (16, 17, 18):
        write_ccf(folder, issue=issue)
    write_ccf(folder, "EMOS2", issue=5)
    names = ["XRT3_XPSF_0017.CCF", "EPN_CTI_0056.CCF"]
    index = fits.BinTableHDU.from_columns([
        fits.Column("TELESCOP", "5A", array=["XMM"] * 2), fits.Column("SCOPE", "5A", array=["XRT3", "EPN"]),
        fits.Column("TYPEID", "8A", array=["XPSF", "CTI"]), fits.Column("ISSUE", "J", array=[17, 56]),
        fits.Column("VALDATE", "20A", array=["2000-01-01T00:00:00"] * 2),
        fits.Column("VALDATE-END", "20A", array=[""] * 2), fits.Column("FNAME", "30A", array=names),
    ], name="CALINDEX")  # fmt: skip
    fits.HDUList([fits.PrimaryHDU(), index]).writeto(folder / "ccf.cif")
    assert taken(folder, tmp_path).file == "XRT3_XPSF_0017.CCF"
    assert taken(folder, tmp_path, "EMOS2").file == "XRT2_XPSF_0005.CCF"
    (folder / "ccf.cif").rename(tmp_path / "mine.cif")
    assert taken(folder, tmp_path).file == "XRT3_XPSF_0018.CCF"
    of_sas = {"SAS_CCFPATH": f"/nowhere:{folder}", "SAS_CCF": str(tmp_path / "mine.cif")}
    files = PsfFiles.of(of_sas, tmp_path)
    assert files is not None and files.profiles("EPN", HEADER).file == "XRT3_XPSF_0017.CCF"
    (folder / "XRT3_XPSF_0017.CCF").unlink()
    with pytest.raises(
        ReductionError, match=r"index mine\.cif lists XRT3_XPSF_0017\.CCF, which is not in the folder of"
    ):
        PsfFiles.of(of_sas, tmp_path)


def test_where_nothing_is_set_up_there_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert PsfFiles.of({}, tmp_path) is None
    assert PsfFiles.of({"UWS_CALIBRATION": "https://x.org/calibration"}, tmp_path) is None
    assert files_of(tmp_path / "empty", tmp_path) is None
    with pytest.raises(ReductionError, match="UWS_CALIBRATION names no folder"):
        files_of(tmp_path / "absent", tmp_path)


def test_a_camera_without_a_file_has_the_published_profile_which_is_told(tmp_path: Path) -> None:
    write_ccf(tmp_path / "ccf", "EMOS1", issue=16)
    notes: list[str] = []
    files = files_of(tmp_path / "ccf", tmp_path, notes)
    assert files is not None
    spread = king_spread("EPIC", 1.5, HEADER, files.profiles)
    assert spread.origin == ("King profile of the mean EPIC camera at 1.5 keV from XRT1_XPSF_0016.CCF (of EPN, EMOS2 "
                             "as published)")  # fmt: skip
    assert (
        "the calibration folder has no XRT3_XPSF file: the point spread function of EPN is the published one" in notes
    )
    assert list(files.used) == ["XRT1_XPSF_0016.CCF"]


def test_a_gzipped_file_is_read_as_a_plain_one(tmp_path: Path) -> None:
    plain = write_ccf(tmp_path / "plain", rows=king_rows("EPN", wider=1.3))
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes()))
    found = taken(packed, tmp_path)
    assert found.file == "XRT3_XPSF_0018.CCF.gz"
    wanted = taken(plain.parent, tmp_path).at(np.array(1.5), 3.0)
    assert float(found.at(np.array(1.5), 3.0).core_arcsec) == float(wanted.core_arcsec)
    (packed / f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes())[:700])
    assert refused(packed, tmp_path.joinpath("other")).startswith("XRT3_XPSF_0018.CCF.gz")


def at(index: int, value: float, name: str = "PARAMS", column: int | None = None) -> dict[str, Any]:
    """The rows of a table with another number in one cell."""
    rows = {key: array.copy() for key, array in king_rows("EPN").items()}
    rows[name][index if column is None else (index, column)] = value
    return rows


def without(*dropped: int) -> dict[str, Any]:
    return {name: np.delete(values, dropped, axis=0) for name, values in king_rows("EPN").items()}


TITLE = "KING_PARAMS of XRT3_XPSF_0018.CCF"
ROWS = king_rows("EPN")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"extname": "ELLBETA_PARAMS"}, "XRT3_XPSF_0018.CCF has no table KING_PARAMS with the King profiles of a "
                                        "telescope; it has PRIMARY, ELLBETA_PARAMS, 1500EV_03ARMIN"),
        ({"rows": {"ENERGY": [1.0], "THETA": [0.0]}}, f"{TITLE} has no column PARAMS; it has ENERGY, THETA"),
        ({"units": {"ENERGY": "count", "THETA": "rad"}}, f"ENERGY of {TITLE} is in 'count'; eV is read"),
        ({"units": {"ENERGY": "eV", "THETA": "pixel"}}, f"THETA of {TITLE} is in 'pixel'; rad is read"),
        ({"units": {"ENERGY": "?!", "THETA": "rad"}}, f"ENERGY of {TITLE} is in '?!'; eV is read"),
        ({"units": {"PARAMS": "arcmin"}}, f"PARAMS of {TITLE} is in 'arcmin'; the core radius is read in arcsec"),
        ({"units": {"ENERGY": "keV"}}, f"{TITLE} has energies from 0 to 8000 keV; from 0 to some 1 to 100 keV are"),
        ({"rows": ROWS | {"ENERGY": ROWS["ENERGY"] / 1e6}}, f"{TITLE} has energies from 0 to 8e-06 keV"),
        ({"rows": ROWS | {"THETA": np.degrees(ROWS["THETA"]) * 60}, "units": {"THETA": "deg"}},
         f"{TITLE} has angles from 0 to 600 arcmin; from 0 to 60 arcmin are allowed (THETA is in radians)"),
        ({"rows": ROWS | {"THETA": np.degrees(ROWS["THETA"])}, "units": {}}, "has angles from 0 to 573 arcmin"),
        ({"rows": ROWS | {"THETA": -ROWS["THETA"]}}, f"{TITLE} has angles from -10 to -0 arcmin"),
        ({"rows": ROWS | {"PARAMS": ROWS["PARAMS"][:, 0]}}, f"PARAMS of {TITLE} has TFORM '1E'; two numbers or more"),
        ({"rows": ROWS | {"ENERGY": ROWS["PARAMS"]}}, f"ENERGY of {TITLE} has TFORM '2E'; one number in each row"),
        ({"rows": ROWS | {"ENERGY": np.array([b"many"] * 40)}}, f"ENERGY of {TITLE} has TFORM '8A'"),
        ({"rows": at(7, np.nan, column=1)}, f"{TITLE} has no number as PARAMS in row 8"),
        ({"rows": at(3, np.inf, "ENERGY")}, f"{TITLE} has no number as ENERGY in row 4"),
        ({"rows": at(6, -3.0, column=0)}, f"{TITLE} has a core radius of -3 arcsec and a slope of 1.517 at 0.1 keV and "
                                          "3 arcmin; core radii above 0 and to 60 arcsec and slopes above 1 and to"),
        ({"rows": at(0, 1.0, column=1)}, f"{TITLE} has a core radius of 6.636 arcsec and a slope of 1 at 0 keV and 0"),
        ({"rows": at(0, 1e30, column=0)}, f"{TITLE} has a core radius of 1e+30 arcsec"),
        ({"rows": king_rows("EPN", (1500.0,))}, f"{TITLE} has profiles at 1 energy and 5 angles; two of each"),
        ({"rows": king_rows("EPN", ENERGIES_EV, (0.0,))}, f"{TITLE} has profiles at 8 energies and 1 angle; two"),
        ({"rows": without(13)}, f"{TITLE} has profiles at 8 energies and 5 angles, but none at 1.5 keV and 9 arcmin"),
        ({"rows": at(13, 3000.0, "ENERGY")}, "but none at 1.5 keV and 9 arcmin"),
        ({"SCOPE": "XRT1"}, "XRT3_XPSF_0018.CCF is a file of XRT1 by its header (SCOPE) and of XRT3 by its name; EPN "
                            "is behind XRT3"),
        ({"VALDATE": "soon"}, "VALDATE of XRT3_XPSF_0018.CCF: 'soon' is no date"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_one_is_refused_in_a_sentence(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    write_ccf(tmp_path / "ccf", **changes)
    assert told in refused(tmp_path / "ccf", tmp_path)


def test_two_profiles_at_one_place_may_not_differ(tmp_path: Path) -> None:
    rows = king_rows("EPN")
    twice = {name: np.concatenate((values, values[:1])) for name, values in rows.items()}
    table_of(write_ccf(tmp_path / "same", rows=twice))
    twice["PARAMS"][-1] += 0.1
    write_ccf(tmp_path / "ccf", rows=twice)
    assert "has two profiles at 0 keV and 0 arcmin, which differ" in refused(tmp_path / "ccf", tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda content: content[:5800], "XRT3_XPSF_0018.CCF is truncated"),
        (lambda content: content[:1000], "XRT3_XPSF_0018.CCF is truncated"),
        (lambda content: b"", "XRT3_XPSF_0018.CCF is not a FITS file"),
        (lambda content: b"<html>moved</html>", "XRT3_XPSF_0018.CCF is not a FITS file"),
        (lambda content: content.replace(b"NAXIS2  =                   40", b"NAXIS2  =           1000000000"),
         "XRT3_XPSF_0018.CCF is truncated"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_whole_is_refused(change: Callable[[bytes], bytes], told: str, tmp_path: Path) -> None:
    path = write_ccf(tmp_path / "ccf")
    before = path.read_bytes()
    path.write_bytes(change(before))
    assert path.read_bytes() != before
    assert told in refused(tmp_path / "ccf", tmp_path)


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    with fits.open(write_ccf(tmp_path / "ccf"), mode="update") as file:
        file["KING_PARAMS"].data = file["KING_PARAMS"].data[:0]
    assert f"{TITLE} has no rows" in refused(tmp_path / "ccf", tmp_path)


def test_a_thousand_million_rows_are_not_read(tmp_path: Path) -> None:
    path = write_ccf(tmp_path / "ccf")
    content = path.read_bytes().replace(b"NAXIS2  =                   40", b"NAXIS2  =           1000000000")
    with path.open("wb") as stream:
        stream.write(content)
        stream.truncate(16 * 10**9 + 2880 * 20)
    assert "has 1000000000 rows of 16 bytes; at most" in refused(tmp_path / "ccf", tmp_path)


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_ccf(tmp_path / "ccf")
    path.unlink()
    path.mkdir()
    assert refused(tmp_path / "ccf", tmp_path) == (
        "XRT3_XPSF_0018.CCF cannot be read: Is a directory; built-in takes the published profile"
    )
