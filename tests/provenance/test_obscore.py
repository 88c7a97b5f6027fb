"""The ObsCore table against the standard's, and rows from headers against astropy."""

from __future__ import annotations

import doctest
import json
import math
import re
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

from provenance import obscore
from provenance.fits import hdus
from provenance.obscore import (
    ALL_COLUMNS,
    COLUMNS,
    NOT_NULL,
    ObsCoreRow,
    Value,
    from_file,
    from_science,
    from_tags,
    instruments,
    intervals,
    problems,
    wavelength_m,
)
from provenance.obscore.product import product
from provenance.text.errors import ObsCoreError, ProvenanceError
from reduction import missions, regions
from reduction.events import dss
from reduction.events.eventlist import open_eventlist
from reduction.events.selection import choose
from reduction.spectra.ogip import write_spectrum
from reduction.spectra.spectrum import extract
from synthetic import Epic
from synthetic import write as write_events

relaxed = settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])

SOUND: dict[str, Value] = {
    "calib_level": 2,
    "obs_collection": "XMM-Newton",
    "obs_id": "0693760101",
    "obs_publisher_did": "ivo://x/y?1",
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


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
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
    ],
)
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
        "DP_TYPE": "EVENTS",
        "CAL_LV": "2",
        "TARG_NM": "NotSet",
        "OBS_ID": "0693760101",
        "RELEA_DAT": "2026-01-01",
        "S_RA": "NotSet",
        "S_DEC": " -32.5 ",
        "T_MIN": "notset",
        "EST_SIZE": "12 MB",
        "S_CALST": "Calibrated",
        "DISC_TYP": "spectral",
        "T_MAX": None,
        "RIGHTS": "PUBLIC",
        "S_XEL1": 10.0,
        "S_XEL2": 10.5,
        "COLL_NM": True,
        "T_EXPT": math.inf,
        "URL": "  ",
    }
    assert dict(from_tags(header)) == {
        "dataproduct_type": "event",
        "calib_level": 2,
        "obs_id": "0693760101",
        "obs_release_date": "2026-01-01T00:00:00",
        "data_rights": "public",
        "s_dec": -32.5,
        "s_xel1": 10,
        "s_calib_status": "calibrated",
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
        "spectrum",
        "0693760101",
        "XMM-Newton",
        "CXOU J235750.9-3237",
        2,
    )
    assert row.get("obs_creator_name") != primary["OBSERVER"]
    assert row["o_ucd"] == "phot.count"
    assert row["t_resolution"] == row["t_exptime"], "one bin in time"
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
        "timeseries",
        3740,
        100.0,
        3,
    )
    assert "t_exptime" not in curve  # the header says 0
    mosaic = from_science(hdus.headers(shared / "real/xmm_mosaics/P0004210201EPX000OIMAGE8000.fits"))
    assert (mosaic["dataproduct_type"], mosaic["calib_level"]) == ("image", 3)
    ancillary = from_science(hdus.headers(shared / "real/xmm_ngc7793_ulx4/PN.arf"))
    assert (ancillary["dataproduct_type"], ancillary["dataproduct_subtype"]) == ("measurements", "response.specresp")


def test_events_point_and_have_a_frame_time() -> None:
    header = {
        **EPIC,
        "HDUCLAS1": "EVENTS",
        "FRMTIME": 73,
        "RA_OBJ": 10.0,
        "DEC_OBJ": 10.0,
        "RA_PNT": 11.0,
        "DEC_PNT": 12.0,
        "RADECSYS": "ICRS",
        "MJDREF": 50814.0,
        "TSTART": 86400.0,
        "TSTOP": 172800.0,
        "TIMEZERO": 43200.0,
        "OBS_ID": 123456789,
    }
    row = from_science([{"NAXIS": 0}, header])
    assert (row["s_ra"], row["s_dec"], row["t_resolution"]) == (11.0, 12.0, 0.073)
    assert (row["t_min"], row["t_max"], row["obs_id"]) == (50815.5, 50816.5, "0123456789")


def test_frames_against_astropy() -> None:
    header = {"HDUCLAS1": "SPECTRUM", "RA_OBJ": 83.6, "DEC_OBJ": 22.0}
    for frame, equinox, theirs in [
        ("FK5", 2000.0, {"frame": "fk5"}),
        ("FK5", 1975.0, {"frame": "fk5", "equinox": "J1975"}),
        ("", None, {}),
        ("FK4", 1950.0, {"frame": "fk4"}),
        ("", 1950.0, {"frame": "fk4"}),
        ("", 2000.0, {"frame": "fk5"}),
    ]:
        row = from_science([{**header, "RADESYS": frame, "EQUINOX": equinox}])
        expected = SkyCoord(83.6, 22.0, unit="deg", **theirs).icrs
        assert expected.separation(SkyCoord(row["s_ra"], row["s_dec"], unit="deg")).mas < 0.01
    assert "s_ra" not in from_science([{**header, "RADESYS": "GALACTIC"}])


@pytest.mark.parametrize(("system", "scale"), [("TT", "tt"), ("UTC", "utc"), ("TAI", "tai"), (None, "utc")])
def test_dates_of_other_missions_follow_timesys(system: str | None, scale: str) -> None:
    row = from_science(
        [
            {
                "TELESCOP": "X",
                "HDUCLAS1": "SPECTRUM",
                "TIMESYS": system,
                "DATE-OBS": "2012-06-30T23:59:58.5",
                "DATE-END": "2017-01-01T00:00:01",
            }
        ]
    )
    assert row["t_min"] == pytest.approx(Time("2012-06-30T23:59:58.5", scale=scale).tt.mjd, abs=1e-9)
    assert row["t_max"] == pytest.approx(Time("2017-01-01T00:00:01", scale=scale).tt.mjd, abs=1e-9)


@pytest.mark.parametrize(("cards", "expected"), [
    ({"DATE-OBS": "2009-11-17", "TIME-OBS": "22:10:11.5"}, "2009-11-17T22:10:11.5"),
    ({"DATE-OBS": "2009-11-17T01:02:03", "TIME-OBS": "22:10:11.5"}, "2009-11-17T01:02:03"),
    ({"DATE-OBS": "17/11/99", "TIME-OBS": "22:10:11"}, "1999-11-17T22:10:11"),
    ({"DATE-OBS": "2009-11-17"}, "2009-11-17T00:00:00"),
])  # fmt: skip
def test_a_date_with_its_time_in_a_keyword_of_its_own(cards: dict[str, str], expected: str) -> None:
    row = from_science([{"TELESCOP": "X", "HDUCLAS1": "SPECTRUM", "TIMESYS": "TT", **cards}])
    assert row["t_min"] == pytest.approx(Time(expected, scale="tt").mjd, abs=1e-9)


@pytest.mark.parametrize("cards", [
    {"TSTART": "86400.0", "MJDREF": "50814.0"}, {"TSTARTI": 86399, "TSTARTF": 1.0, "MJDREF": 50814.0},
    {"TSTART": 1.0, "MJDREFI": 50813, "MJDREFF": "1.0", "TIMEUNIT": "days"}, {"TSTART": 86400, "JDREF": 2450814.5},
    {"TSTART": 86400.0, "MJDREF": 50814.0, "TIMESYS": "TT(TAI)", "TIMEUNIT": " SEC "},
    {"TSTART": 0, "MJDREF": 50814, "TIMEZERI": "86399", "TIMEZERF": "1.D0"},
])  # fmt: skip
def test_a_reference_however_it_is_written(cards: dict[str, object]) -> None:
    row = from_science([{**EPIC, "HDUCLAS1": "SPECTRUM", "TSTOP": 90000.0, **cards}])
    assert row["t_min"] == pytest.approx(50815.0, abs=1e-9)


@pytest.mark.parametrize("cards", [{"MJDREF": "soon"}, {"MJDREFI": 50814, "MJDREFF": "half"}, {"TIMEZERO": "none"}])
def test_a_reference_that_is_no_number_is_none(cards: dict[str, object]) -> None:
    """A half of it, or 0 in its place, would be another time."""
    row = from_science([{**EPIC, "HDUCLAS1": "SPECTRUM", "TSTART": 0.0, "TSTOP": 9.0, **cards}])
    assert not row.keys() & {"t_min", "t_max", "t_calib_status"}


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
    "TELESCOP",
    "INSTRUME",
    "OBS_ID",
    "OBJECT",
    "HDUCLASS",
    "HDUCLAS1",
    "HDUCLAS2",
    "HDUCLAS3",
    "EXTNAME",
    "XTENSION",
    "NAXIS",
    "NAXIS1",
    "NAXIS2",
    "NAXIS3",
    "MJDREF",
    "MJDREFI",
    "MJDREFF",
    "TIMEZERO",
    "TIMEUNIT",
    "TIMESYS",
    "TSTART",
    "TSTOP",
    "DATE",
    "DATE-OBS",
    "DATE-END",
    "EXPOSURE",
    "LIVETIME",
    "ONTIME",
    "TIMEDEL",
    "FRMTIME",
    "RA_OBJ",
    "DEC_OBJ",
    "RA_PNT",
    "DEC_PNT",
    "RA_NOM",
    "DEC_NOM",
    "RADESYS",
    "RADECSYS",
    "EQUINOX",
    "DETCHANS",
    "ORIGIN",
    "CREATOR",
    "CTYPE1",
    "CTYPE2",
    "CRPIX1",
    "CRPIX2",
    "CRVAL1",
    "CRVAL2",
    "CDELT1",
    "CDELT2",
    "CROTA2",
    "CD1_1",
    "CD2_2",
    "PC1_1",
    "PC1_2",
    "CUNIT1",
    "TFIELDS",
    "TTYPE1",
    "DSTYP1",
    "DSVAL1",
    "DSUNI1",
]
weird = (
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(
        [
            "XMM",
            "SPECTRUM",
            "IMAGE",
            "EVENTS",
            "RA---TAN",
            "DEC--TAN",
            "RA---XYZ",
            "FK5",
            "FK4",
            "UTC",
            "PI",
            "(200:12000)",
            "1.2.3:4",
            "2012-02-31",
            "2012-05-14T03:27:60",
            "9999-12-31",
            "0001-01-01T00:00:00",
            "keV",
            "deg",
        ]
    )
    | st.lists(st.integers(), max_size=1)
    | st.sampled_from([0, 1, 2, 648, 1950.0, 2000.0, 50814, 90.0, 359.5, -1e-3])
)


@relaxed
@given(st.lists(st.dictionaries(st.sampled_from(KEYWORDS), weird, max_size=40), max_size=3))
def test_no_header_is_too_weird(headers: list[Mapping[str, object]]) -> None:
    row = from_science(headers)
    assert obscore.invalid(row) == ()
    assert obscore.invalid(from_science(headers).filled(**SOUND)) == ()


def test_examples_in_the_docstrings() -> None:
    assert [doctest.testmod(module).failed for module in (obscore, intervals, instruments)] == [0, 0, 0]


def test_instruments_agree_with_the_missions() -> None:
    """The resolution of an instrument stands in two packages, of which neither may import the other."""
    for mission in missions.MISSIONS:
        header = {"TELESCOP": mission.telescope, "INSTRUME": mission.instruments[0], "HDUCLAS1": "EVENTS"}
        found = product([header])
        assert found is not None
        instrument = instruments.find(found)
        assert instrument is not None, mission.name
        assert instrument.fwhm_ev == mission.fwhm_ev
        energy_kev = 5.0
        channel = int((energy_kev - mission.channel_zero_kev) / mission.channel_width_kev) - mission.first_channel
        fwhm_kev = mission.fwhm_channels()[channel] * mission.channel_width_kev
        assert instrument.resolving_power(energy_kev) == pytest.approx(energy_kev / fwhm_kev, rel=0.02)


def test_what_follows_from_the_band() -> None:
    row = from_science([{**EPIC, "HDUCLAS1": "SPECTRUM"}], em_min=wavelength_m(12), em_max=wavelength_m(0.2),
                       t_exptime=1000.0)  # fmt: skip
    assert (row["energy_min"], row["energy_max"]) == (200.0, 12000.0)
    assert (row["t_xel"], row["t_resolution"], row["s_xel1"], row["s_xel2"]) == (1, 1000.0, 1, 1)
    assert row["em_res_power_min"] < row["em_res_power"] < row["em_res_power_max"]
    middle = math.sqrt(wavelength_m(12) * wavelength_m(0.2))
    assert row["em_resolution"] == pytest.approx(middle / row["em_res_power"])
    assert row["s_resolution"] == 6.6
    nominal = from_science([{**EPIC, "HDUCLAS1": "SPECTRUM"}])
    assert (nominal["energy_min"], nominal["energy_max"]) == (150.0, 15000.0)
    assert "em_min" not in from_science([{"TELESCOP": "HUBBLE", "INSTRUME": "ACS", "HDUCLAS1": "SPECTRUM"}])


def test_events_are_in_no_bins_and_of_the_whole_field() -> None:
    header = {**EPIC, "HDUCLAS1": "EVENTS", "NAXIS2": 1234, "RA_PNT": 10.0, "DEC_PNT": 20.0, "RADECSYS": "ICRS",
              "DATAMODE": "IMAGING", "SUBMODE": "PrimeFullWindow", "CREATOR": "epproc 2.1", "TFIELDS": 2, "TTYPE1": "X",
              "TCTYP1": "RA---TAN", "TCDLT1": -0.05 / 3600, "TTYPE2": "PI"}  # fmt: skip
    row = from_science([{"NAXIS": 0}, header])
    assert [row[name] for name in ("s_xel1", "s_xel2", "t_xel", "em_xel")] == [-1] * 4
    assert (row["ev_xel"], row["obs_mode"], row["analysis_mode"]) == (1234, "IMAGING PrimeFullWindow", "epproc 2.1")
    assert (row["s_region"], row["s_fov"]) == ("Circle ICRS 10 20 0.25", 0.5)
    assert row["s_pixel_scale"] == pytest.approx(0.05)
    assert row["s_resolution"] == row["s_resolution_min"] == 6.6, "the best in the field (ObsCore 1.1, 4.9)"
    assert (row["s_calib_status"], row["em_calib_status"], row["s_ucd"]) == ("calibrated", "calibrated", "pos.eq")
    assert problems(row.filled(**SOUND)) == ()
    chosen = from_science([{"NAXIS": 0}, {**header, "DSTYP1": "POS(X,Y)", "DSVAL1": "TABLE", "DSREF1": ":REG00101"}])
    assert "s_region" not in chosen, "a region that cannot be read is not the field"


def test_what_was_kept_without_a_place_is_of_the_whole_field() -> None:
    header = {**EPIC, "HDUCLAS1": "SPECTRUM", "RA_OBJ": 11.0, "DEC_OBJ": 21.0, "RA_PNT": 10.0, "DEC_PNT": 20.0,
              "RADECSYS": "ICRS", "DSTYP1": "CCDNR", "DSVAL1": "1", "2DSVAL1": "2", "DSTYP2": "PI",
              "DSVAL2": "500:7000"}  # fmt: skip
    row = from_science([{"NAXIS": 0}, header])
    assert (row["s_ra"], row["s_dec"], row["s_fov"], row["s_region"]) == (10.0, 20.0, 0.5, "Circle ICRS 10 20 0.25")
    for kind in ("POS(X,Y)", "X", "DETX", "RAWY", "sky"):
        part = from_science([{"NAXIS": 0}, {**header, "DSTYP3": kind, "DSVAL3": "1:600"}])
        assert (part["s_ra"], part.get("s_fov"), part.get("s_region")) == (11.0, None, None), kind
    one = from_science([{"NAXIS": 0}, {name: value for name, value in header.items() if name != "2DSVAL1"}])
    assert "s_region" not in one, "one CCD is not the field"
    unknown = from_science([{"NAXIS": 0}, {name: value for name, value in header.items() if "DS" not in name}])
    assert (unknown["s_ra"], unknown.get("s_region")) == (11.0, None), "nothing is said of what was kept"


def test_proposals_and_titles() -> None:
    def row(**cards: object) -> ObsCoreRow:
        return from_science([{**EPIC, "HDUCLAS1": "SPECTRUM", **cards}])

    assert row(OBS_ID="0693760101")["proposal_id"] == "069376"
    assert row(OBS_ID="0693760101", PROP_ID="12")["proposal_id"] == "12"
    assert row(PROPOSAL=17)["proposal_id"] == "17"
    assert "proposal_id" not in row(OBS_ID="17")
    assert row(OBJECT="M82", TITLE="Weighing M82")["obs_title"] == "Weighing M82"
    assert row(OBJECT="M82")["obs_title"] == "XMM-Newton EPN spectrum of M82"
    assert "obs_title" not in row()


@pytest.mark.parametrize(("name", "pixels"), [("MOS1_spectrum_grp", 800), ("MOS1background_spectrum", 1200),
                                              ("PN_spectrum_grp20", 800)])  # fmt: skip
def test_the_region_of_a_real_sas_product(shared: Path, name: str, pixels: float) -> None:
    """The circle of the region table, placed on the sky with astropy; times from the rows of its good times."""
    path = shared / f"real/xmm_ngc7793_ulx4/{name}.fits"
    row = from_file(path)
    with fits.open(path) as opened:
        primary = opened[0].header
        table = next(hdu.data for hdu in opened if hdu.name.startswith("REG"))
        starts = [float(hdu.data["START"].min()) for hdu in opened if hdu.name.startswith("GTI")]
        stops = [float(hdu.data["STOP"].max()) for hdu in opened if hdu.name.startswith("GTI")]
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [primary["REFXCTYP"], primary["REFYCTYP"]]
    wcs.wcs.crpix = [primary["REFXCRPX"], primary["REFYCRPX"]]
    wcs.wcs.crval = [primary["REFXCRVL"], primary["REFYCRVL"]]
    wcs.wcs.cdelt = [primary["REFXCDLT"], primary["REFYCDLT"]]
    ra, dec = wcs.wcs_pix2world(float(table["X"][0]), float(table["Y"][0]), 1)
    place = SkyCoord(ra, dec, unit="deg", frame="fk5").icrs
    assert place.separation(SkyCoord(row["s_ra"], row["s_dec"], unit="deg")).mas < 0.01
    assert row["s_fov"] == pytest.approx(2 * pixels * 0.05 / 3600)
    circle = regions.parse(str(row["s_region"]), parameter="s_region")
    centre, radius = circle.centre_and_radius() or (None, None)
    assert centre is not None
    assert place.separation(centre).mas < 1
    assert radius.deg == pytest.approx(pixels * 0.05 / 3600)
    reference = Time("1998-01-01T00:00:00", scale="tt").mjd
    assert row["t_min"] == pytest.approx(reference + min(starts) / 86400, abs=1e-9)
    assert row["t_max"] == pytest.approx(reference + max(stops) / 86400, abs=1e-9)
    assert row["access_estsize"] == round(path.stat().st_size / 1000)
    assert row["event_type"].startswith("FLAG b0")
    assert from_file(path, t_min=1.0, s_fov=2.0)["s_fov"] == 2.0
    assert problems(row.filled(**SOUND)) == ()


REGIONS = [
    'circle(150, 2, 40")',
    'annulus(150, 2, 60", 120")',
    'ellipse(150, 2, 60", 30", 40)',
    'box(150.01, 2, 60", 30", 25)',
    "polygon(150,2, 150.02,2, 150.02,2.01, 150.0,2.02)",
    'circle(150, 2, 40"); circle(150.02, 2.01, 20")',
    'circle(150, 2, 60"); -circle(150.003, 2, 20")',
]
PROJECTION = (
    ("REFXCTYP", "RA---TAN"),
    ("REFXCRPX", 25921.0),
    ("REFXCRVL", 150.0),
    ("REFXCDLT", -1.38888888888889e-5),
    ("REFYCTYP", "DEC--TAN"),
    ("REFYCRPX", 25921.0),
    ("REFYCRVL", 2.0),
    ("REFYCDLT", 1.38888888888889e-5),
)


@pytest.mark.parametrize("text", REGIONS)
def test_regions_that_we_write_are_read_back(tmp_path: Path, text: str) -> None:
    """Points of the sky are inside the region of the row where they are inside the region that was asked for."""
    path = tmp_path / "pn.fits"
    write_events(path, Epic(rows=5000, cards=PROJECTION))
    asked = regions.parse(f"icrs; {text}", parameter="source_region")
    with open_eventlist(path) as events:
        selection = choose(events, "0.2 12.0")
        placed = asked.on(events.wcs)
        subspace = dss.describe(events, selection, placed)
        spectrum = extract(events, selection, {"source_region": placed})["source_region"]
        write_spectrum(tmp_path / "spectrum.fits", spectrum, events, subspace)
        row = from_file(tmp_path / "spectrum.fits")
        read = regions.parse(str(row["s_region"]), parameter="s_region").on(events.wcs)
        x0, x1, y0, y1 = placed.bounds
        x, y = np.random.default_rng(1).uniform([x0 - 99, y0 - 99], [x1 + 99, y1 + 99], (20_000, 2)).T
        differ = placed.contains(x, y) != read.contains(x, y)
        assert placed.contains(x, y).mean() > 0.1
        assert differ.mean() < 0.002, "but for the 36 sides that an ellipse is written with"
        away = SkyCoord(row["s_ra"], row["s_dec"], unit="deg").separation(
            SkyCoord(*events.wcs.wcs_pix2world(x, y, 0), unit="deg", frame="fk5"))  # fmt: skip
        assert (away.deg[placed.contains(x, y)] <= row["s_fov"] / 2 * 1.0001).all()


def test_good_times_as_a_moc(shared: Path) -> None:
    """mocpy builds the same from the rows of the tables."""
    from astropy.time import TimeDelta
    from mocpy import TimeMOC

    path = shared / "real/nustar_b1937/dummy_evt.evt"
    with fits.open(path) as opened:
        header, rows = opened["GTI"].header, opened["GTI"].data
    reference = header["MJDREFI"] + header["MJDREFF"]
    edges = [Time(reference, rows[name].astype(float) / 86400, format="mjd", scale="tt") for name in ("START", "STOP")]
    expected = TimeMOC.from_time_ranges(*edges, delta_t=TimeDelta(1.0, format="sec"), order=41)
    found = TimeMOC.from_string(str(from_file(path)["t_intervals"]))
    coarser = int(str(from_file(path)["t_intervals"]).split("/")[-2].split()[-1])
    assert found == expected.degrade_to_order(coarser)
    exact = intervals.tmoc(np.array([[61100.0, 61100.1], [61100.2, 61100.3]]))
    times = [Time([61100.0, 61100.2], format="mjd", scale="tt"), Time([61100.1, 61100.3], format="mjd", scale="tt")]
    second = TimeDelta(1.0, format="sec")
    assert TimeMOC.from_string(exact) == TimeMOC.from_time_ranges(*times, delta_t=second, order=41)


def test_tables_that_lie_are_passed_over(tmp_path: Path) -> None:
    """Times and regions that cannot be: the row is that of the headers."""
    science = fits.BinTableHDU.from_columns([fits.Column("PI", "J", array=[1])], name="EVENTS", header=fits.Header(
        {**EPIC, "HDUCLAS1": "EVENTS", "MJDREF": 50814.0, "TSTART": 0.0, "TSTOP": 86400.0, "DSTYP1": "POS(X,Y)",
         "DSREF1": ":REG00101", "DSVAL1": "TABLE", "REFXCTYP": "RA---TAN", "REFXCRPX": 1.0, "REFXCRVL": 10.0,
         "REFXCDLT": -1e-5, "REFYCTYP": "DEC--TAN", "REFYCRPX": 1.0, "REFYCRVL": 20.0, "REFYCDLT": 1e-5}))  # fmt: skip
    for shape, x in (("CIRCLE", np.nan), ("HEART", 1.0), ("CIRCLE", 1e9), ("!CIRCLE", 1.0), ("CIRCLE", np.inf)):
        region = fits.BinTableHDU.from_columns(
            [fits.Column("SHAPE", "16A", array=[shape]), fits.Column("X", "D", array=[x]),
             fits.Column("Y", "D", array=[1.0]), fits.Column("R", "D", array=[5.0])], name="REG00101")  # fmt: skip
        gti = fits.BinTableHDU.from_columns(
            [fits.Column("START", "D", array=[np.nan, 9.0]), fits.Column("STOP", "D", array=[5.0, 3.0])], name="GTI"
        )
        path = tmp_path / "odd.fits"
        fits.HDUList([fits.PrimaryHDU(), science, region, gti]).writeto(path, overwrite=True)
        row = from_file(path)
        assert (row["t_min"], row["t_max"]) == (50814.0, 50815.0)
        assert "s_region" not in row
        assert "t_intervals" not in row
        assert obscore.invalid(row) == ()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A product with good time intervals and a region."""
    folder = tmp_path_factory.mktemp("product")
    path = folder / "pn.fits"
    write_events(path, Epic(rows=5000, cards=PROJECTION))
    with open_eventlist(path) as events:
        selection = choose(events, "0.2 12.0")
        placed = regions.parse('icrs; circle(150, 2, 40")', parameter="source_region").on(events.wcs)
        spectrum = extract(events, selection, {"source_region": placed})["source_region"]
        write_spectrum(folder / "s.fits", spectrum, events, dss.describe(events, selection, placed))
    return (folder / "s.fits").read_bytes()


@relaxed
@given(st.binary(min_size=1, max_size=60), st.integers(0, 200_000))
def test_no_file_is_too_damaged(tmp_path_factory: pytest.TempPathFactory, whole: bytes, noise: bytes, at: int) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged_product.fits"
    at %= len(whole)
    path.write_bytes(whole[:at] + noise + whole[at + len(noise) :])
    try:
        assert obscore.invalid(from_file(path)) == ()
    except ProvenanceError as error:
        assert str(error)


def test_the_high_energy_columns() -> None:
    assert [column.name for column in ALL_COLUMNS[60:]] == [
        "ev_xel",
        "energy_min",
        "energy_max",
        "obs_mode",
        "analysis_mode",
        "event_type",
        "t_intervals",
    ]
    keywords = [column.keyword for column in ALL_COLUMNS]
    assert len(set(keywords)) == len(keywords) == 67
    assert all(len(keyword) <= 8 and re.fullmatch(r"[A-Z0-9_]+", keyword) for keyword in keywords)
    row = ObsCoreRow(SOUND, ev_xel=5, energy_min=200.0, energy_max=12000.0)
    assert problems(row) == ()
    assert problems(row.replaced(energy_min=13000.0)) == ("energy_min is 13000.0, above energy_max, which is 12000.0",)
    assert problems(row.replaced(ev_xel=-1))[0].startswith("ev_xel is -1")


@pytest.mark.parametrize(
    ("exposure", "seconds"), [(1000.0, 1000.0), ("1000.0", 1000.0), (0.0, None), ("long", None), (None, None)]
)
def test_exposure_of_a_spectrum_is_read_as_its_preview_reads_it(exposure: object, seconds: float | None) -> None:
    header = {"XTENSION": "BINTABLE", "NAXIS": 2, "HDUCLAS1": "SPECTRUM", "EXPOSURE": exposure}
    assert from_science([{"NAXIS": 0}, header]).get("t_exptime") == seconds


def test_channels_of_a_type_ii_spectrum_are_those_of_its_arrays() -> None:
    """A row is a spectrum there, not a channel."""
    header = {"XTENSION": "BINTABLE", "NAXIS": 2, "NAXIS2": 12, "HDUCLAS1": "SPECTRUM", "HDUCLAS4": "TYPE:II",
              "TFIELDS": 2, "TTYPE1": "CHANNEL", "TFORM1": "8192I", "TTYPE2": "COUNTS", "TFORM2": "8192J"}  # fmt: skip
    assert from_science([{"NAXIS": 0}, header])["em_xel"] == 8192
