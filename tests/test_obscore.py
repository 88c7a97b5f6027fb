"""The ObsCore table against the standard's, and rows from headers against astropy."""

from __future__ import annotations

import doctest
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provenance import hdus, obscore
from provenance.errors import ObsCoreError
from provenance.obscore import COLUMNS, NOT_NULL, ObsCoreRow, Value, from_science, from_tags, problems, wavelength_m

relaxed = settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])

SOUND: dict[str, Value] = {
    "calib_level": 2, "obs_collection": "XMM-Newton", "obs_id": "0693760101", "obs_publisher_did": "ivo://x/y?1"
}
EPIC = {"TELESCOP": "XMM", "INSTRUME": "EPN", "HDUCLASS": "OGIP"}


def test_the_sixty_columns_are_the_facts(shared: Path) -> None:
    facts = json.loads((shared / "facts/obscore_votags.json").read_text())
    keys = ("keyword", "mandatory", "type", "adql", "unit", "ucd", "utype")
    ours = [{"column": column.name, **{key: getattr(column, key) for key in keys}} for column in COLUMNS]
    assert ours == [{key: row[key] for key in ("column", *keys)} for row in facts]


def test_the_table_fits_in_headers() -> None:
    assert len(COLUMNS) == 60
    assert sum(column.mandatory for column in COLUMNS) == 30
    assert len({column.keyword for column in COLUMNS}) == len({column.name for column in COLUMNS}) == 60
    assert all(len(column.keyword) <= 8 and column.keyword.isascii() for column in COLUMNS)
    assert all(column.description and len(column.description) < 110 for column in COLUMNS)


def test_a_row_is_in_the_standards_order_and_typed() -> None:
    row = ObsCoreRow(t_exptime=np.float32(2.5), em_xel=np.int64(2400), t_xel=1.0, s_ra=10, target_name=None)
    assert list(row.items()) == [("s_ra", 10.0), ("t_xel", 1), ("t_exptime", 2.5), ("em_xel", 2400)]
    assert [type(value) for value in row.values()] == [float, int, float, int]
    assert row.filled(s_ra=11.0, s_dec=5.0)["s_ra"] == 10.0
    assert dict(row.replaced(s_ra=11.0, t_xel=None)) == {"s_ra": 11.0, "t_exptime": 2.5, "em_xel": 2400}
    assert hash(row) == hash(ObsCoreRow(dict(row)))


def test_a_column_that_does_not_exist() -> None:
    with pytest.raises(ObsCoreError, match="no column s_raa; did you mean s_ra"):
        ObsCoreRow(s_raa=1.0)
    with pytest.raises(ObsCoreError, match="no column obs_publisher_id"):
        from_science([], obs_publisher_id="x")
    with pytest.raises(ObsCoreError, match="s_ra: text or a number"):
        ObsCoreRow(s_ra=[1.0])  # type: ignore[arg-type]


def test_what_the_standard_requires() -> None:
    assert problems(ObsCoreRow(SOUND)) == ()
    for name in NOT_NULL:
        assert problems(ObsCoreRow(SOUND).replaced(**{name: None})) == (f"{name} is absent; ObsCore requires it",)


@pytest.mark.parametrize(("name", "value", "words"), [
    ("dataproduct_type", "SPECTRUM", "one of image, cube, spectrum"),
    ("dataproduct_type", "events", "one of"),
    ("calib_level", 5, "from 0 to 4"),
    ("calib_level", "NotSet", "whole number"),
    ("calib_level", 2.5, "whole number"),
    ("s_calib_status", "absolute", "uncalibrated, raw, calibrated"),
    ("t_calib_status", "absolute", "one of"),
    ("em_calib_status", "raw", "one of"),
    ("o_calib_status", "calibrated", "one of"),
    ("data_rights", "private", "public, secure, proprietary"),
    ("s_ra", -0.1, "from 0.0 to 360.0"),
    ("s_dec", 91.0, "from -90.0 to 90.0"),
    ("s_ra", math.nan, "number is expected"),
    ("t_exptime", -1.0, "from 0"),
    ("target_name", 5, "text is expected"),
    ("obs_creation_date", "2026-11-20T10:00:00Z", "YYYY-MM-DDThh:mm:ss"),
    ("obs_release_date", "2026-13-20T10:00:00", "YYYY-MM-DDThh:mm:ss"),
    ("em_xel", 2**63, "whole number"),
])
def test_values_a_column_may_not_have(name: str, value: Value, words: str) -> None:
    (trouble,) = problems(ObsCoreRow({**SOUND, name: value}))
    assert trouble.startswith(f"{name} is {value!r}")
    assert words in trouble


def test_bounds_in_the_wrong_order() -> None:
    (trouble,) = problems(ObsCoreRow(SOUND, t_min=2.0, t_max=1.0))
    assert trouble == "t_min is 2.0, above t_max, which is 1.0"


def test_wavelengths_against_astropy() -> None:
    from astropy import units as u

    for energy in (0.2, 0.5, 1.0, 12.0):
        expected = (energy * u.keV).to_value(u.m, equivalencies=u.spectral())
        assert wavelength_m(energy) == pytest.approx(expected, rel=1e-9)
    for energy in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ObsCoreError, match="above 0 keV"):
            wavelength_m(energy)


def test_tags_with_the_slips_of_the_slides() -> None:
    header = {
        "DP_TYPE": "EVENTS", "CAL_LV": "2", "TARG_NM": "NotSet", "OBS_ID": "0693760101", "RELEA_DAT": "2026-01-01",
        "S_RA": "NotSet", "S_DEC": " -32.5 ", "T_MIN": "notset", "EST_SIZE": "12 MB", "S_CALST": "Calibrated",
        "DISC_TYP": "spectral", "T_MAX": None, "RIGHTS": "PUBLIC", "S_XEL1": 10.0, "S_XEL2": 10.5, "COLL_NM": True,
        "T_EXPT": math.inf, "URL": "  ",
    }
    assert dict(from_tags(header)) == {
        "dataproduct_type": "event", "calib_level": 2, "obs_id": "0693760101",
        "obs_release_date": "2026-01-01T00:00:00",
        "data_rights": "public", "s_dec": -32.5, "s_xel1": 10, "s_calib_status": "calibrated",
    }


def test_tags_of_an_astropy_header_with_hierarch_and_undefined() -> None:
    header = fits.Header()
    header["HIERARCH RELEA_DAT"] = "2026-01-01T00:00:00"
    header["S_RA"] = None
    header["CAL_LV"] = 3
    assert dict(from_tags(header)) == {"calib_level": 3, "obs_release_date": "2026-01-01T00:00:00"}


def test_tags_of_an_astropy_header_with_a_broken_card() -> None:
    header = fits.Header.fromstring(f"{'CAL_LV  =                    2':<80}{'S_RA    = 12 34 / ?':<80}")
    assert dict(from_tags(header)) == {"calib_level": 2}


@pytest.mark.parametrize("camera", ["MOS1_spectrum_grp", "MOS2background_spectrum", "PN_spectrum_grp20"])
def test_a_real_sas_spectrum(shared: Path, camera: str) -> None:
    """Times from the good time intervals and position from the primary header, both done again with astropy."""
    path = shared / f"real/xmm_ngc7793_ulx4/{camera}.fits"
    row = from_science(hdus.headers(path), obs_publisher_did="ivo://x/y?1")
    with fits.open(path) as opened:
        primary, spectrum = opened[0].header, opened[1].header
        gtis = [hdu for hdu in opened if hdu.name.startswith("GTI")]
        seconds = [float(hdu.data["START"].min()) for hdu in gtis], [float(hdu.data["STOP"].max()) for hdu in gtis]
        assert row == from_science([hdu.header for hdu in opened], obs_publisher_did="ivo://x/y?1")
    reference = Time("1998-01-01T00:00:00", scale="tt").mjd
    assert row["t_min"] == pytest.approx(reference + min(seconds[0]) / 86400, abs=1e-9)
    assert row["t_max"] == pytest.approx(reference + max(seconds[1]) / 86400, abs=1e-9)
    place = SkyCoord(primary["RA_OBJ"], primary["DEC_OBJ"], unit="deg", frame="fk5").icrs
    assert place.separation(SkyCoord(row["s_ra"], row["s_dec"], unit="deg")).mas < 0.001
    assert row["s_ra"] != primary["RA_OBJ"]
    assert row["t_exptime"] == spectrum["EXPOSURE"]
    assert row["em_xel"] == spectrum["DETCHANS"]
    assert row["em_min"] == pytest.approx(1.0332e-10, rel=1e-4)
    assert row["em_max"] == pytest.approx(6.1992e-9, rel=1e-4)
    assert (row["dataproduct_type"], row["obs_id"], row["facility_name"], row["target_name"], row["calib_level"]) == (
        "spectrum", "0693760101", "XMM-Newton", "CXOU J235750.9-3237", 2)
    assert row.get("obs_creator_name") != primary["OBSERVER"]
    assert row["o_ucd"] == "phot.count"
    assert "t_resolution" not in row
    assert problems(row) == ()


@pytest.mark.parametrize("camera", ["MOS1_spectrum_grp", "MOS2_spectrum_grp"])
def test_the_dates_of_xmm_are_utc(shared: Path, camera: str) -> None:
    """Without good time intervals the dates are used; read as UTC they agree with the intervals, as TT they do not."""
    headers = hdus.headers(shared / f"real/xmm_ngc7793_ulx4/{camera}.fits")
    begins = from_science(headers)["t_min"]
    dated = from_science(headers[:2])
    assert dated["t_min"] == pytest.approx(Time(headers[0]["DATE-OBS"], scale="utc").tt.mjd, abs=1e-9)
    assert dated["t_max"] == pytest.approx(Time(headers[0]["DATE-END"], scale="utc").tt.mjd, abs=1e-9)
    assert isinstance(begins, float)
    assert abs(begins - float(dated["t_min"])) * 86400 < 10
    assert abs(begins - Time(headers[0]["DATE-OBS"], scale="tt").mjd) * 86400 > 50


@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
def test_a_real_image(shared: Path) -> None:
    path = shared / "real/xmm_coma8/PN_image.fits"
    row = from_science(hdus.headers(path))
    header = fits.getheader(path)
    place = WCS(header, naxis=2).pixel_to_world(323.5, 323.5).icrs
    assert place.separation(SkyCoord(row["s_ra"], row["s_dec"], unit="deg")).mas < 0.01
    assert row["s_pixel_scale"] == pytest.approx(4.0)
    assert row["s_fov"] == pytest.approx(648 * math.sqrt(2) * 4 / 3600)
    assert (row["dataproduct_type"], row["s_xel1"], row["s_xel2"]) == ("image", 648, 648)
    assert row["t_exptime"] == header["EXPOSURE"]


def test_other_missions(shared: Path) -> None:
    chandra = from_science(hdus.headers(shared / "real/chandra_m82/acis_10027_events.fits"))
    assert (chandra["dataproduct_type"], chandra["obs_id"], chandra["t_resolution"]) == ("event", "10027", 0.44104)
    assert chandra["t_min"] == pytest.approx(54743.03064156, abs=1e-8)  # the file's own MJD-OBS
    nustar = from_science(hdus.headers(shared / "real/nustar_b1937/dummy_evt.evt"))
    assert nustar["t_min"] == pytest.approx(57263.83672087955, abs=1e-9)  # MJDREFI + MJDREFF; the file's own MJD-OBS
    curve = from_science(hdus.headers(shared / "real/erosita/LightCurve_bexvar.fits"))
    assert (curve["dataproduct_type"], curve["t_xel"], curve["t_resolution"], curve["calib_level"]) == (
        "timeseries", 3740, 100.0, 3)
    assert "t_exptime" not in curve  # the header says 0
    mosaic = from_science(hdus.headers(shared / "real/xmm_mosaics/P0004210201EPX000OIMAGE8000.fits"))
    assert (mosaic["dataproduct_type"], mosaic["calib_level"]) == ("image", 3)
    ancillary = from_science(hdus.headers(shared / "real/xmm_ngc7793_ulx4/PN.arf"))
    assert (ancillary["dataproduct_type"], ancillary["dataproduct_subtype"]) == ("measurements", "response.specresp")


def test_events_point_and_have_a_frame_time() -> None:
    header = {**EPIC, "HDUCLAS1": "EVENTS", "FRMTIME": 73, "RA_OBJ": 10.0, "DEC_OBJ": 10.0, "RA_PNT": 11.0,
              "DEC_PNT": 12.0, "RADECSYS": "ICRS", "MJDREF": 50814.0, "TSTART": 86400.0, "TSTOP": 172800.0,
              "TIMEZERO": 43200.0, "OBS_ID": 123456789}
    row = from_science([{"NAXIS": 0}, header])
    assert (row["s_ra"], row["s_dec"], row["t_resolution"]) == (11.0, 12.0, 0.073)
    assert (row["t_min"], row["t_max"], row["obs_id"]) == (50815.5, 50816.5, "0123456789")


def test_frames_against_astropy() -> None:
    header = {"HDUCLAS1": "SPECTRUM", "RA_OBJ": 83.6, "DEC_OBJ": 22.0}
    for frame, equinox, theirs in [
        ("FK5", 2000.0, {"frame": "fk5"}), ("FK5", 1975.0, {"frame": "fk5", "equinox": "J1975"}), ("", None, {}),
        ("FK4", 1950.0, {"frame": "fk4"}), ("", 1950.0, {"frame": "fk4"}), ("", 2000.0, {"frame": "fk5"}),
    ]:
        row = from_science([{**header, "RADESYS": frame, "EQUINOX": equinox}])
        expected = SkyCoord(83.6, 22.0, unit="deg", **theirs).icrs
        assert expected.separation(SkyCoord(row["s_ra"], row["s_dec"], unit="deg")).mas < 0.01
    assert "s_ra" not in from_science([{**header, "RADESYS": "GALACTIC"}])


@pytest.mark.parametrize(("system", "scale"), [("TT", "tt"), ("UTC", "utc"), ("TAI", "tai"), (None, "utc")])
def test_dates_of_other_missions_follow_timesys(system: str | None, scale: str) -> None:
    row = from_science([{"TELESCOP": "X", "HDUCLAS1": "SPECTRUM", "TIMESYS": system,
                         "DATE-OBS": "2012-06-30T23:59:58.5", "DATE-END": "2017-01-01T00:00:01"}])
    assert row["t_min"] == pytest.approx(Time("2012-06-30T23:59:58.5", scale=scale).tt.mjd, abs=1e-9)
    assert row["t_max"] == pytest.approx(Time("2017-01-01T00:00:01", scale=scale).tt.mjd, abs=1e-9)


def test_what_the_caller_knows_wins() -> None:
    header = {**EPIC, "HDUCLAS1": "SPECTRUM", "DETCHANS": 4096}
    row = from_science([header], em_xel=10, em_min=wavelength_m(12), s_fov=None)
    assert (row["em_xel"], row["em_min"]) == (10, wavelength_m(12))
    assert row["dataproduct_type"] == "spectrum"


def test_calibration_levels() -> None:
    def level(**cards: object) -> object:
        return from_science([{**EPIC, **cards}]).get("calib_level")

    assert level(HDUCLAS1="EVENTS", TFIELDS=1, TTYPE1="RAWX") == 1
    assert level(HDUCLAS1="EVENTS", TFIELDS=1, TTYPE1="PI") == 2
    assert level(HDUCLAS1="LIGHTCURVE", HDUCLAS2="NET") == 3
    assert level(HDUCLAS1="IMAGE", INSTRUME="EPIC") == 3
    assert from_science([{"TELESCOP": "XMM"}]).get("calib_level") is None


KEYWORDS = [
    "TELESCOP", "INSTRUME", "OBS_ID", "OBJECT", "HDUCLASS", "HDUCLAS1", "HDUCLAS2", "HDUCLAS3", "EXTNAME",
    "XTENSION", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "MJDREF", "MJDREFI", "MJDREFF", "TIMEZERO", "TIMEUNIT",
    "TIMESYS", "TSTART", "TSTOP", "DATE", "DATE-OBS", "DATE-END", "EXPOSURE", "LIVETIME", "ONTIME", "TIMEDEL",
    "FRMTIME", "RA_OBJ", "DEC_OBJ", "RA_PNT", "DEC_PNT", "RA_NOM", "DEC_NOM", "RADESYS", "RADECSYS", "EQUINOX",
    "DETCHANS", "ORIGIN", "CREATOR", "CTYPE1", "CTYPE2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CDELT1", "CDELT2",
    "CROTA2", "CD1_1", "CD2_2", "PC1_1", "PC1_2", "CUNIT1", "TFIELDS", "TTYPE1", "DSTYP1", "DSVAL1", "DSUNI1",
]
weird = (st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8) | st.sampled_from(
    ["XMM", "SPECTRUM", "IMAGE", "EVENTS", "RA---TAN", "DEC--TAN", "RA---XYZ", "FK5", "FK4", "UTC", "PI", "(200:12000)",
     "1.2.3:4", "2012-02-31", "2012-05-14T03:27:60", "9999-12-31", "0001-01-01T00:00:00", "keV", "deg"])
    | st.lists(st.integers(), max_size=1) | st.sampled_from([0, 1, 2, 648, 1950.0, 2000.0, 50814, 90.0, 359.5, -1e-3]))


@relaxed
@given(st.lists(st.dictionaries(st.sampled_from(KEYWORDS), weird, max_size=40), max_size=3))
def test_no_header_is_too_weird(headers: list[Mapping[str, object]]) -> None:
    row = from_science(headers)
    assert obscore.invalid(row) == ()
    assert obscore.invalid(from_science(headers).filled(**SOUND)) == ()


def test_examples_in_the_docstrings() -> None:
    assert doctest.testmod(obscore).failed == 0
