"""Which calibration file is found: in the HEASARC's index, in a real CALINDEX, among canned matrices, at a service."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time

from calibrationserver import running_service
from reduction.calibration import canned
from reduction.calibration.canned import Spot
from reduction.calibration.indices import read_caldb_index, read_calindex
from reduction.calibration.keys import Entry, Keys, choose, date_of, parse_date
from reduction.calibration.service import CalibrationService
from reduction.errors import ReductionError

_INDEX = [
    # file, kind, filter, boundaries, date, quality
    ("arf_old.fits", "SPECRESP", "MEDIUM", "GRADE(0-12)", "2005-01-01", 0),
    ("arf_new.fits", "SPECRESP", "MEDIUM", "GRADE(0-12)", "2012-05-14", 0),
    ("arf_bad.fits", "SPECRESP", "MEDIUM", "GRADE(0-12)", "2012-05-15", 5),
    ("arf_single.fits", "SPECRESP", "MEDIUM", "GRADE(0)", "2005-01-01", 0),
    ("gain.fits", "GAIN", "NONE", "NONE", "2000-01-01", 0),
]


@pytest.fixture
def caldb(tmp_path: Path) -> Path:
    """An index laid out as CAL/GEN/92-008 has it, below a database whose files are there."""
    folder = tmp_path / "data" / "xmm" / "mos1"
    (folder / "bcf").mkdir(parents=True)
    for row in _INDEX:
        (folder / "bcf" / row[0]).write_bytes(b"")
    column = {name: np.array(values) for name, values in zip(("file", "cnam", "filter", "cbd", "date", "qual"),
                                                             zip(*_INDEX, strict=True), strict=True)}  # fmt: skip
    bounds = np.array([[text.ljust(70)] + ["NONE".ljust(70)] * 8 for text in column["cbd"]])
    table = fits.BinTableHDU.from_columns([
        fits.Column("TELESCOP", "10A", array=["XMM"] * 5), fits.Column("INSTRUME", "10A", array=["EMOS1"] * 5),
        fits.Column("DETNAM", "20A", array=[""] * 5), fits.Column("FILTER", "10A", array=column["filter"]),
        fits.Column("CAL_DEV", "20A", array=["ONLINE"] * 5),
        fits.Column("CAL_DIR", "70A", array=["data/xmm/mos1/bcf"] * 5),
        fits.Column("CAL_FILE", "40A", array=column["file"]), fits.Column("CAL_CNAM", "20A", array=column["cnam"]),
        fits.Column("CAL_CBD", "630A70", array=np.array(["".join(row) for row in bounds])),
        fits.Column("CAL_XNO", "I", array=[1] * 5),
        fits.Column("REF_TIME", "D", array=Time(list(column["date"])).mjd),
        fits.Column("CAL_QUAL", "I", array=column["qual"].astype(int)),
    ], name="CIF")  # fmt: skip
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(folder / "caldb.indx")
    return folder / "caldb.indx"


@pytest.mark.parametrize(
    ("date", "pattern", "expected"),
    [
        ("2012-05-13T23:59:59", "0:12", "arf_old.fits"),
        ("2012-05-14", "0:12", "arf_new.fits"),
        ("2020-01-01T00:00:00", "0:12", "arf_new.fits"),
        ("2020-01-01", "0", "arf_single.fits"),
    ],
)
def test_the_file_of_a_date_and_its_patterns_is_found(caldb: Path, date: str, pattern: str, expected: str) -> None:
    keys = Keys("XMM", "EMOS1", "SPECRESP", "Medium", pattern, parse_date(date))
    found = choose(read_caldb_index(caldb), keys, "the index")
    assert found.path.name == expected and found.path.is_file()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"date": parse_date("1999-01-01")}, "date 1999-01-01T00:00:00; it has other dates: 2005-01-01 to ..."),
        ({"filter": "Thick"}, "filter Thick, pattern 0:12, date 2012-06-01T00:00:00; it has filter MEDIUM"),
        ({"pattern": "1"}, "it has pattern 0, 0:12"),
        ({"kind": "MATRIX"}, "kind MATRIX, filter Medium, pattern 0:12, date 2012-06-01T00:00:00; for EMOS1 it has "
                             "GAIN, SPECRESP"),
        ({"instrument": "EPN"}, "none of its 5 files is for XMM EPN"),
    ],
)  # fmt: skip
def test_what_was_asked_and_what_there_is_instead_is_told(caldb: Path, change: dict[str, object], told: str) -> None:
    asked = {"telescope": "XMM", "instrument": "EMOS1", "kind": "SPECRESP", "filter": "Medium", "pattern": "0:12",
             "date": parse_date("2012-06-01")}  # fmt: skip
    with pytest.raises(ReductionError) as error:
        choose(read_caldb_index(caldb), Keys(**(asked | change)), "the index", "calibration")  # type: ignore[arg-type]
    assert str(error.value).startswith("the index has no calibration file with telescope XMM")
    assert told in str(error.value) and error.value.parameter == "calibration"


@pytest.mark.parametrize(
    ("column", "kind", "value"),
    [("REF_TIME", "D", 1e30), ("REF_TIME", "10A", "yesterday"), ("CAL_QUAL", "5A", "good"), ("CAL_QUAL", "2I", [0, 0]),
     ("CAL_XNO", "D", np.nan)],
)  # fmt: skip
def test_an_index_whose_cells_are_no_numbers_is_refused(caldb: Path, column: str, kind: str, value: object) -> None:
    with fits.open(caldb) as hdus:
        columns = [fits.Column(column, kind, array=[value] * 5) if each.name == column else each
                   for each in hdus["CIF"].columns]  # fmt: skip
        odd = fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="CIF")])
        odd.writeto(caldb.with_name("odd.indx"))
    with pytest.raises(ReductionError, match=r"the index odd.indx has a cell that is no number, or no date"):
        read_caldb_index(caldb.with_name("odd.indx"))


def test_a_real_calindex_is_read(shared: Path) -> None:
    path = shared / "real" / "xmm_coma8" / "ccf.cif"
    entries = read_calindex(path)
    with fits.open(path) as file:
        rows = file["CALINDEX"].data
        assert len(entries) == len(rows)
        assert [entry.path.name for entry in entries] == list(rows["FNAME"])
    keys = Keys("XMM", "EMOS1", "REDIST", date=parse_date("2000-12-10T20:04:10"))
    found = choose(entries, keys, "ccf.cif")
    assert found.path.name == "EMOS1_REDIST_0107.CCF"
    assert (found.since, found.until) == (datetime(2000, 10, 3, 0, 0, 1, tzinfo=UTC), datetime(2001, 4, 22, tzinfo=UTC))
    with pytest.raises(ReductionError, match=r"other dates: 2000-10-03 to 2001-04-22"):
        choose(entries, Keys("XMM", "EMOS1", "REDIST", date=parse_date("2001-04-22")), "ccf.cif")
    assert choose(entries, Keys("XMM", "XRT3", "XPSF"), "ccf.cif").until is None  # an open end is an empty text


def test_a_file_that_is_no_index_is_refused(shared: Path, tmp_path: Path) -> None:
    with pytest.raises(ReductionError, match="no index of calibration files"):
        read_calindex(shared / "real" / "xmm_psrj0855" / "xmm_pn_0605960101.arf")


@pytest.mark.parametrize("text", ["", "yesterday", "2012-13-01", "14/05/2012", "2012", "2012-05-14 03:27"])
def test_an_unknown_date_is_refused(text: str) -> None:
    with pytest.raises(ReductionError, match=r"DATE-OBS|is no date; write it as 2012-05-14"):
        date_of({"DATE-OBS": text})


@pytest.mark.parametrize(
    "text", ["2012-05-14", "2012-05-14T03:27:43", "2012-05-14T03:27:43.125", "2012-05-14T03:27:43Z"]
)
def test_dates_of_headers_are_read_as_astropy_reads_them(text: str) -> None:
    expected = Time(text.rstrip("Z"), scale="utc").to_datetime(UTC)
    assert parse_date(text) == expected


_CANNED = [
    "epn_e1_ff20_sdY9_v18.0.rmf", "epn_e2_ff20_sdY9_v18.0.rmf", "epn_e2_ff20_sdY0_v18.0.rmf",
    "epn_e2_ff20_sY9_v18.0.rmf", "epn_e2_ff20_sdY4_v18.0.rmf", "epn_e2_ef20_sdY9_v18.0.rmf",
    "epn_e2_ff20_sdY9_v19.0.rmf", "m1_e15_im_pall_c.rmf", "m1_e15_im_pall_o.rmf", "m1_e15_im_p0_c.rmf",
    "m2_e15_im_pall_c.rmf", "m2_e14_im_pall_c.rmf", "README.txt",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in _CANNED:
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def _asked(folder: Path, instrument: str, pattern: str, date: str, submode: str, spot: Spot) -> str:
    keys = Keys("XMM", instrument, canned.KIND, "Medium", pattern, parse_date(date))
    return canned.find(canned.read_folder(folder), keys, submode, spot, "the folder", "calibration").path.name


@pytest.mark.parametrize(
    ("pattern", "date", "submode", "row", "expected"),
    [
        ("0:4", "2012-05-14", "PrimeFullWindow", 190, "epn_e2_ff20_sdY9_v19.0.rmf"),
        ("0:4", "2012-05-14", "PrimeFullWindow", 181, "epn_e2_ff20_sdY9_v19.0.rmf"),
        ("0:4", "2012-05-14", "PrimeFullWindow", 20, "epn_e2_ff20_sdY0_v18.0.rmf"),
        ("0:4", "2012-05-14", "PrimeFullWindow", 121, "epn_e2_ff20_sdY4_v18.0.rmf"),  # Y6 is absent, Y4 the nearest
        ("0", "2012-05-14", "PrimeFullWindow", 190, "epn_e2_ff20_sY9_v18.0.rmf"),
        ("0:4", "2006-12-31", "PrimeFullWindow", 190, "epn_e1_ff20_sdY9_v18.0.rmf"),
        ("0:4", "2012-05-14", "PrimeFullWindowExtended", 190, "epn_e2_ef20_sdY9_v18.0.rmf"),
    ],
)
def test_the_matrix_of_pn_is_that_of_patterns_epoch_mode_and_row(
    folder: Path, pattern: str, date: str, submode: str, row: int, expected: str
) -> None:
    assert _asked(folder, "EPN", pattern, date, submode, Spot(row, 0.0)) == expected


def test_the_matrix_of_mos_is_that_of_the_patch(folder: Path) -> None:
    full = "PrimeFullWindow"
    assert _asked(folder, "EMOS1", "0:12", "2015-05-14", full, Spot(None, 5.0)) == "m1_e15_im_pall_c.rmf"
    assert _asked(folder, "EMOS1", "0:12", "2015-05-14", full, Spot(None, 120.0)) == "m1_e15_im_pall_o.rmf"
    assert _asked(folder, "EMOS1", "0", "2015-05-14", full, Spot(None, 5.0)) == "m1_e15_im_p0_c.rmf"
    with pytest.raises(ReductionError, match=r"place w; it has the places c, o"):
        _asked(folder, "EMOS1", "0:12", "2015-05-14", full, Spot(None, 20.0))


def test_epochs_of_mos_are_told_beside_the_files(folder: Path) -> None:
    full = "PrimeFullWindow"
    with pytest.raises(ReductionError, match=r"epochs e14, e15, and nothing says when.*epochs\.csv"):
        _asked(folder, "EMOS2", "0:12", "2015-05-14", full, Spot(None, 5.0))
    (folder / "epochs.csv").write_text("# mine\nm2,e14,2013-01-01,2015-01-01\nm2,e15,2015-01-01,\n")
    assert _asked(folder, "EMOS2", "0:12", "2014-05-14", full, Spot(None, 5.0)) == "m2_e14_im_pall_c.rmf"
    assert _asked(folder, "EMOS2", "0:12", "2015-05-14", full, Spot(None, 5.0)) == "m2_e15_im_pall_c.rmf"
    (folder / "epochs.csv").write_text("m2,e14,2013-01-01\n")
    with pytest.raises(ReductionError, match=r"line 1 of epochs\.csv is no epoch"):
        canned.read_folder(folder)


def test_a_folder_without_the_matrix_says_which_keys_were_asked(tmp_path: Path) -> None:
    told = r"mode ff, place Y9\) has no calibration file with telescope XMM, instrument EPN, kind REDIST, filter Medium"
    with pytest.raises(ReductionError, match=told + ", pattern 0:4, date 2012-05-14"):
        _asked(tmp_path, "EPN", "0:4", "2012-05-14", "PrimeFullWindow", Spot(190, 0.0))


_KEYS = Keys("SVOM", "MXT", "teldef", date=parse_date("2025-01-02"))
_ROWS = [
    {"name": "mxt_teldef_1.fits", "url": "files/1", "instrument": "MXT", "type": "teldef", "until": "2025-01-01"},
    {"name": "mxt_teldef_2.fits", "url": "files/2", "instrument": "MXT", "type": "teldef", "since": "2025-01-01"},
]  # fmt: skip
_FILES = {"/files/1": b"first", "/files/2": b"second"}


def test_a_service_is_asked_by_keys_and_its_file_kept(tmp_path: Path) -> None:
    with running_service(rows=_ROWS, files=_FILES, token="s3cret") as server:
        service = CalibrationService(server.url, tmp_path, "s3cret")
        found = service.find(_KEYS)
        assert (found.name, found.read_bytes()) == ("mxt_teldef_2.fits", b"second")
        assert server.asked[0][1] == {"telescope": "SVOM", "instrument": "MXT", "type": "teldef",
                                      "date": "2025-01-02T00:00:00"}  # fmt: skip
        assert service.find(_KEYS) == found
        assert [path for path, _, _ in server.asked] == ["/search", "/files/2", "/search"]  # fetched once
        assert "s3cret" not in repr(service)


def test_faults_that_pass_are_tried_again_and_others_are_not(tmp_path: Path) -> None:
    with running_service(rows=_ROWS, files=_FILES) as server:
        pauses: list[float] = []
        server.fails = 2
        assert CalibrationService(server.url, tmp_path, pause=pauses.append).find(_KEYS).is_file()
        assert pauses == [1.0, 2.0]
        server.fails = 9
        with pytest.raises(ReductionError, match=r"127\.0\.0\.1 answered with HTTP status 503, 3 times"):
            CalibrationService(server.url, tmp_path, tries=3, pause=pauses.append).find(_KEYS)
        server.fails, server.token = 0, "other"
        before = len(server.asked)
        with pytest.raises(ReductionError, match=r"wants a token, and none is set"):
            CalibrationService(server.url, tmp_path).find(_KEYS)
        with pytest.raises(ReductionError, match=r"refused the token") as error:
            CalibrationService(server.url, tmp_path, "wrong-s3cret").find(_KEYS)
        assert "s3cret" not in str(error.value) and len(server.asked) == before + 2
    with pytest.raises(ReductionError, match=r"cannot be reached: .*, 2 times"):
        CalibrationService(server.url, tmp_path, tries=2, pause=pauses.append).find(_KEYS)


def test_a_token_goes_to_no_other_host(tmp_path: Path) -> None:
    with running_service(files=_FILES) as other, running_service(rows=_ROWS, files=_FILES, token="s3cret") as server:
        server.elsewhere = other.url
        assert CalibrationService(server.url, tmp_path, "s3cret").find(_KEYS).read_bytes() == b"second"
        assert [headers.get("Authorization") for _, _, headers in other.asked] == [None]
        server.elsewhere, server.rows = "", [_ROWS[1] | {"url": f"{other.url}/files/2", "sha256": ""}]
        assert CalibrationService(server.url, tmp_path, "s3cret").find(_KEYS).is_file()
        assert all("Authorization" not in headers for _, _, headers in other.asked)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"name": "../../up.fits"}, "no plain name"),
        ({"name": "nul\0.fits"}, "no plain name"),
        ({"name": "long" * 100}, "no plain name"),
        ({"url": "http://[1/file"}, "none of the web"),
        ({"url": "files/\u00e4"}, "none of the web"),
        ({"url": f"http://{'a' * 70}.example/file"}, "none of the web"),
        ({"url": "file:///etc/hostname"}, "none of the web"),
        ({"sha256": "0" * 64}, "another SHA-256"),
        ({"since": "soon"}, "is no date"),
        ({"issue": "new"}, "no number"),
        ({"url": ""}, "no list of files"),
        ({"until": "2024-01-01", "since": ""}, "has no calibration file with telescope SVOM"),
        ({"url": "files/9"}, "HTTP status 404"),
    ],
)
def test_what_a_service_may_not_answer_is_refused(tmp_path: Path, row: dict[str, str], told: str) -> None:
    with running_service(rows=[_ROWS[1] | row], files=_FILES) as server:
        with pytest.raises(ReductionError, match=told):
            CalibrationService(server.url, tmp_path / "cache").find(_KEYS)
        assert not list((tmp_path / "cache").rglob("*.fits"))


def test_a_file_of_the_told_sum_is_taken(tmp_path: Path) -> None:
    rows = [_ROWS[1] | {"sha256": hashlib.sha256(b"second").hexdigest()}]
    with running_service(rows=rows, files=_FILES) as server:
        assert CalibrationService(server.url, tmp_path).find(_KEYS).read_bytes() == b"second"


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReductionError, match="begins with http"):
        CalibrationService("ftp://somewhere/", tmp_path)


def test_a_file_for_the_filter_comes_before_one_for_any() -> None:
    any_filter = Entry(Path("any"), "XMM", "EPN", "SPECRESP", "NONE", since=parse_date("2020-01-01"))
    mine = Entry(Path("mine"), "XMM", "EPN", "SPECRESP", "Thin1", since=parse_date("2001-01-01"))
    assert choose([any_filter, mine], Keys("XMM", "EPN", "SPECRESP", "Thin1"), "here") is mine
    assert choose([any_filter, mine], Keys("XMM", "EPN", "SPECRESP", "Thick"), "here") is any_filter
