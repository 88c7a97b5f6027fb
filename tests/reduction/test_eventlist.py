"""Opening event lists: real ones against astropy, and every way a file can be bad."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame

from provenance.fits import gzipped
from reduction import regions
from reduction.errors import ReductionError
from reduction.events.eventlist import open_eventlist
from reduction.events.goodtime import GTI
from reduction.missions import ACIS, EPN, FPMA, XTI
from synthetic import PN, Epic, gti_table, gtis, write

REAL = {
    "chandra_m82/acis_10027_events.fits": ACIS,
    "nustar_b1937/dummy_evt.evt": FPMA,
    "nicer/ngc300nicer_bary.evt": XTI,
    "nicer/J0218_nicer_2070030405_cleanfilt_cut_bary.evt": XTI,
}


@pytest.fixture
def epic(tmp_path: Path) -> Path:
    path = tmp_path / "pn.fits"
    write(path, Epic(rows=3000))
    return path


def refused(path: Path, words: str) -> None:
    with pytest.raises(ReductionError, match=words) as caught, open_eventlist(path):
        pass
    assert caught.value.parameter == "eventlist"


@pytest.mark.parametrize("name", REAL)
def test_real_lists_have_the_rows_that_astropy_reads(shared: Path, name: str) -> None:
    path = shared / "real" / name
    with open_eventlist(path) as events, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = fits.getdata(path, "EVENTS")
        assert events.mission is REAL[name]
        assert events.nrows == len(table)
        for column in (events.time, events.energy, events.channel, events.pattern, events.x):
            if column is None:
                continue
            ours = np.concatenate([column.values(rows) for rows in events.chunks(size_bytes=5000)])
            assert np.array_equal(ours, np.asarray(table[column.name]), equal_nan=True)


def test_nicer_has_no_sky_and_scaled_columns_are_scaled(shared: Path) -> None:
    path = shared / "real/nicer/ngc300nicer_bary.evt"
    with open_eventlist(path) as events:
        assert events.wcs is None
        assert events.x is None
        assert events.clock.system == "TDB"


@pytest.mark.parametrize("name", ["chandra_m82/acis_10027_events.fits", "nustar_b1937/dummy_evt.evt"])
def test_sky_projection_equals_that_of_astropy_for_pixel_lists(shared: Path, name: str) -> None:
    path = shared / "real" / name
    with open_eventlist(path) as events:
        assert events.x is not None
        assert events.y is not None
        assert events.wcs is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = fits.getheader(path, "EVENTS")
            oracle = WCS(header, keysel=["pixel"], colsel=[events.x.index, events.y.index])
        values = np.array([[4000.25, 3900.5], [450.0, 510.0]])
        ours = events.wcs.wcs_pix2world(values, 0)
        assert ours == pytest.approx(oracle.wcs_pix2world(values, 1), abs=1e-9)
        assert events.wcs.wcs.radesys == {"ACIS": "ICRS", "FPMA": "FK5"}[events.mission.instruments[0]]


def test_epic_frame_is_fk5_and_limits_of_a_bad_int16_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "pn.fits"
    write(path, Epic(rows=10, cards=(("REFXLMAX", -13696), ("REFXCRPX", 1))))
    with open_eventlist(path) as events:
        assert events.mission is EPN
        assert events.wcs is not None
        assert events.wcs.wcs.radesys == "FK5"
        assert events.wcs.wcs_pix2world([[25921, 25921]], 0)[0] == pytest.approx([150.0, 2.0])
        assert events.dtype.itemsize == 45
        assert set(events.gtis) == set(range(1, 13))


@pytest.mark.parametrize(
    "cards",
    [{"EQUINOX": 2000.0}, {"EQUINOX": 1950.0}, {"EQUINOX": 1991.25}, {}, {"RADESYS": "ICRS"},
     {"RADESYS": "FK4", "EQUINOX": 1950.0}, {"RADESYS": "FK5", "EQUINOX": 1950.0}],
)  # fmt: skip
def test_the_frame_of_the_sky_is_that_of_the_fits_standard(tmp_path: Path, cards: dict[str, Any]) -> None:
    """By astropy's reading of the same cards: an equinox of 1950 taken for ICRS is 0.6 degrees off."""
    theirs = wcs_to_celestial_frame(WCS(fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", **cards})))
    write(tmp_path / "pn.fits", Epic(rows=10))
    with fits.open(tmp_path / "pn.fits", mode="update") as hdus:
        del hdus["EVENTS"].header["RADECSYS"], hdus["EVENTS"].header["EQUINOX"]
        hdus["EVENTS"].header.update(cards)
    # of the reference point of X and Y, in the frame of the file
    place = SkyCoord(150.0, 2.0, unit="deg", frame=theirs).icrs
    with open_eventlist(tmp_path / "pn.fits") as events:
        region = regions.parse(f'icrs; circle({place.ra.deg:.8f}, {place.dec.deg:.8f}, 40")').on(events.wcs)
    assert np.mean(np.reshape(region.bounds, (2, 2)), axis=1) == pytest.approx([25921, 25921], abs=0.05)


def test_sky_projection_from_refx_keywords_alone(tmp_path: Path) -> None:
    refx = (("REFXCTYP", "RA---TAN"), ("REFXCRPX", 25921), ("REFXCRVL", 10.0), ("REFXCDLT", -1.4e-5),
            ("REFYCTYP", "DEC--TAN"), ("REFYCRPX", 25921), ("REFYCRVL", -30.0), ("REFYCDLT", 1.4e-5))  # fmt: skip
    path = tmp_path / "pn.fits"
    write(path, Epic(rows=10, cards=refx, sky=False))
    with open_eventlist(path) as events:
        assert events.wcs is not None
        assert events.wcs.wcs_pix2world([[25921, 25921]], 0)[0] == pytest.approx([10.0, -30.0])
    write(tmp_path / "none.fits", Epic(rows=10, sky=False))
    with open_eventlist(tmp_path / "none.fits") as events:
        assert events.wcs is None


def test_chunks_give_every_row_once(epic: Path) -> None:
    with open_eventlist(epic) as events:
        sizes = [rows.size for rows in events.chunks(size_bytes=45 * 700)]
        whole = b"".join(rows.tobytes() for rows in events.chunks(size_bytes=45 * 700))
        assert len(events.dtype.names or ()) == len(PN)
    assert sizes == [700, 700, 700, 700, 200]
    assert whole == fits.getdata(epic, "EVENTS").tobytes()


@pytest.mark.parametrize("ending", [".FTZ", ".fits.gz"])
def test_gzipped_list_is_inflated_into_the_scratch_folder_and_removed(epic: Path, tmp_path: Path, ending: str) -> None:
    packed = tmp_path / f"P0123456789PNS003PIEVLI0000{ending}"
    packed.write_bytes(gzip.compress(epic.read_bytes()))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with open_eventlist(packed, scratch=scratch) as events:
        assert events.name == packed.name
        assert sum(rows.size for rows in events.chunks()) == 3000
        assert any(scratch.rglob("*"))
    assert not any(scratch.iterdir())


def test_scaled_position_columns(tmp_path: Path) -> None:
    x = np.arange(5, dtype=np.uint32) + 25000
    header = fits.Header({"TELESCOP": "XMM", "INSTRUME": "EPN", "TSTART": 0.0, "TSTOP": 9.0})
    columns = [fits.Column("TIME", "D", array=np.arange(5.0)), fits.Column("PI", "I", array=np.full(5, 999)),
               fits.Column("X", "J", bzero=2**31, array=x),
               fits.Column("Y", "E", bscale=2.0, array=np.arange(5.0))]  # fmt: skip
    fits.BinTableHDU.from_columns(columns, header=header, name="EVENTS").writeto(tmp_path / "scaled.fits")
    with open_eventlist(tmp_path / "scaled.fits") as events:
        rows = next(events.chunks())
        assert events.x is not None
        assert events.y is not None
        assert events.x.values(rows).tolist() == x.tolist()
        assert events.y.values(rows) == pytest.approx(np.arange(5.0))
        assert events.notes == ("no good time intervals: TSTART to TSTOP is taken as good",)
        assert events.gtis[None].total == 9.0


@pytest.mark.parametrize(("content", "words"), [
    (b"", r"not a FITS file \(it is empty\)"),
    (b"SIMPLE but no FITS" * 300, "not a FITS file"),
    (b"<html><body>404</body></html>", "web page"),
    (b"BZh91AY&SY" + b"x" * 99, "bzip2"),
    (b"SIMPLE  =                    T" + b" " * 50, "truncated: it ends inside the header"),
])  # fmt: skip
def test_no_fits_file(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.fits"
    path.write_bytes(content)
    refused(path, words)


def test_missing_file(tmp_path: Path) -> None:
    refused(tmp_path / "absent.fits", "there is no file absent.fits")


def test_truncated_rows(epic: Path) -> None:
    epic.write_bytes(epic.read_bytes()[: 2880 * 12])
    refused(epic, r"truncated: HDU 1 \(EVENTS\).*declares data up to byte .*fetch it again")


def test_truncated_gzip(epic: Path, tmp_path: Path) -> None:
    packed = tmp_path / "P.FTZ"
    packed.write_bytes(gzip.compress(epic.read_bytes())[:-3000])
    refused(packed, r"P.FTZ cannot be inflated, it is truncated or broken")


def test_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = tmp_path / "bomb.gz"
    packed.write_bytes(gzip.compress(bytes(12_000_000)))
    monkeypatch.setattr(gzipped, "RATIO_FROM", 5_000_000)
    refused(packed, "bomb.gz inflates to more than .* from 1")
    monkeypatch.setattr(gzipped, "RATIO_FROM", 10**12)
    monkeypatch.setattr(gzipped, "MAX_ON_DISK", 5_000_000)
    refused(packed, "at most 5000000 bytes")


def test_no_event_table(tmp_path: Path) -> None:
    path = tmp_path / "image.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((3, 3)), name="SKY")]).writeto(path)
    refused(path, "image.fits has no table EVENTS, so it is no event list; it has PRIMARY, SKY")


def test_missing_column(tmp_path: Path) -> None:
    path = tmp_path / "e.fits"
    header = fits.Header({"TELESCOP": "NuSTAR", "INSTRUME": "FPMA", "TSTART": 0.0, "TSTOP": 1.0})
    columns = [fits.Column("TIME", "D", array=[1.0]), fits.Column("PI", "3J", array=[[1, 2, 3]])]
    fits.BinTableHDU.from_columns(columns, header=header, name="EVENTS").writeto(path)
    refused(path, "no column PI of numbers, which NuSTAR FPMA needs; it has TIME, PI")


@pytest.mark.parametrize(("old", "new", "words"), [
    (b"TFORM1  = 'D       '", b"TFORM1  = 'Z       '", "column TIME .* TFORM 'Z', which is no FITS format"),
    (b"TFORM1  = 'D       '", b"TFORM1  = '9999999D'", "wider than"),
    (b"TFORM2  = 'I       '", b"TFORM2  = 'D       '", "take 51 bytes, NAXIS1 says 45"),
    (b"NAXIS1  =                   45", b"NAXIS1  =                  -45", "NAXIS1 = -45"),
    (b"NAXIS2  =                 3000", b"NAXIS2  =  9000000000000000000", "NAXIS2 = 9000"),
    (b"NAXIS2  =                 3000", b"NAXIS2  = 'many               ", "NAXIS2"),
    (b"TFIELDS =                   15", b"TFIELDS =               999999", "TFIELDS = 999999"),
    (b"BITPIX  =                    8", b"BITPIX  =                    7", "BITPIX = 7"),
])  # fmt: skip
def test_absurd_headers(epic: Path, old: bytes, new: bytes, words: str) -> None:
    data = epic.read_bytes()
    at = data.index(b"XTENSION")
    assert old in data[at:]
    epic.write_bytes(data[:at] + data[at:].replace(old, new, 1))
    refused(epic, words)


@pytest.mark.parametrize("card", [b"LIVETIME= .. what ? /", b"XMMEA_EP= 'never closed", b"TIMEREF = \xff\xfe\x00",
                                  b"ZEROTIME= 1E999"])  # fmt: skip
def test_broken_cards_that_do_not_matter_are_passed_over(epic: Path, card: bytes) -> None:
    data = epic.read_bytes()
    at = data.index(b"OBJECT  =")
    epic.write_bytes(data[:at] + card.ljust(80)[:80] + data[at + 80 :])
    with open_eventlist(epic) as events:
        assert sum(rows.size for rows in events.chunks()) == 3000


def test_file_cut_while_it_is_read(epic: Path) -> None:
    with open_eventlist(epic) as events:
        with epic.open("rb+") as file:
            file.truncate(2880 * 12)
        with pytest.raises(ReductionError, match="became shorter"):
            list(events.chunks())


def test_bad_pixels_are_read_by_ccd_and_type_zero_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "pn.fits"
    write(path, Epic(rows=10, bad=((4, 10, 20, 1, 5), (4, 11, 21, 0, 1), (12, 1, 1, 3, 200))))
    with open_eventlist(path) as events:
        assert set(events.bad_pixels) == {4, 12}
        assert events.bad_pixels[4].rawx.tolist() == [10]
        assert events.bad_pixels[4].extent.tolist() == [5]


@pytest.mark.parametrize(
    ("column", "left"), [("RAWX", {11, 12}), ("RAWY", {11, 12}), ("YEXTENT", {11, 12}), ("TYPE", {10, 11, 12})]
)
def test_a_bad_pixel_without_a_place_is_none(tmp_path: Path, column: str, left: set[int]) -> None:
    """A null taken for a number would be a bad pixel elsewhere; one without a type is bad all the same."""
    path = tmp_path / "pn.fits"
    write(path, Epic(rows=10, bad=((4, 10, 20, 1, 5), (4, 11, 21, 2, 1), (4, 12, 22, 3, 1))))
    with fits.open(path, mode="update") as hdus:
        table = hdus["BADPIX04"]
        table.data[column][0] = 7  # a pixel of the CCD
        table.header[f"TNULL{table.columns.names.index(column) + 1}"] = 7
    assert np.ma.getmaskarray(Table.read(path, hdu="BADPIX04")[column]).tolist() == [True, False, False]
    with open_eventlist(path) as events:
        assert set(events.bad_pixels[4].rawx.tolist()) == left
        assert set(events.bad_pixels[4].rawy.tolist()) == {pixel + 10 for pixel in left}


def with_cards(path: Path, places: dict[str, dict[str, object]]) -> Path:
    """Change keywords of HDUs by name; None takes one out."""
    with fits.open(path, mode="update") as hdus:
        for name, cards in places.items():
            for hdu in hdus if name == "GTI" else [hdus[name]]:
                if name != "GTI" or hdu.name.startswith("STDGTI"):
                    hdu.header.update({key: value for key, value in cards.items() if value is not None})
                    for key in cards:
                        if cards[key] is None:
                            hdu.header.remove(key, ignore_missing=True)
    return path


SPLIT = {"MJDREF": None, "MJDREFI": 50814, "MJDREFF": "7.428703703703703D-04"}


@pytest.mark.parametrize("places", [
    {"EVENTS": SPLIT, "GTI": {**SPLIT, "MJDREFF": 7.428703703703703e-04}},
    {"EVENTS": {"MJDREF": None}, "GTI": {"MJDREF": None}, "PRIMARY": {"MJDREF": 50814.0}},
    {"EVENTS": {"MJDREF": None}, "PRIMARY": {"MJDREF": 50814.0}}, {"GTI": {"MJDREF": None}},
    {"EVENTS": {"TIMEZERO": "0.0", "TIMESYS": "TDT"}}, {"EVENTS": {"TIMEZERO": 5.0}, "GTI": {"TIMEZERO": "5.0"}},
    {"EVENTS": {"TIMEZERO": 5.0}, "GTI": {"MJDREF": None}}, {"EVENTS": {"TIMEUNIT": "SECONDS"}},
])  # fmt: skip
def test_good_times_of_an_event_list_stay_where_they_are(epic: Path, places: dict[str, dict[str, object]]) -> None:
    with_cards(epic, places)
    with open_eventlist(epic) as events:
        assert events.gtis == {ccd: GTI.of(*zip(*gtis(ccd), strict=True)) for ccd in range(1, 13)}
        assert events.notes == ()


@pytest.mark.parametrize(("places", "words"), [
    ({"EVENTS": {"TIMEREF": "SOLARSYSTEM"}, "GTI": {"TIMEREF": "LOCAL"}}, "STDGTI01 .*: its times are LOCAL"),
    ({"EVENTS": {"MJDREF": "soon"}}, "table EVENTS of pn.fits: MJDREF is 'soon'; a number is expected"),
    ({"EVENTS": {"TUNIT1": "d"}}, "the times of pn.fits are in d"), ({"EVENTS": {"TIMEUNIT": "DAYS"}}, "are in d"),
])  # fmt: skip
def test_clocks_of_an_event_list_that_cannot_be_right(
    epic: Path, places: dict[str, dict[str, object]], words: str
) -> None:
    refused(with_cards(epic, places), words)


def test_the_exposure_of_a_list_without_good_times(tmp_path: Path) -> None:
    path = tmp_path / "pn.fits"
    write(path, Epic(rows=10, stdgti=False, cards=(("TSTART", "1.0D8"), ("TSTOP", None), ("TSTOPI", 100001000),
                                                   ("TSTOPF", 0.5))))  # fmt: skip
    with open_eventlist(path) as events:
        assert events.gtis == {None: GTI.of([1e8], [1e8 + 1000.5])}


def test_start_and_stop_of_a_list_are_in_its_time_unit(tmp_path: Path) -> None:
    """The rows count in seconds (TUNIT), TSTART and TSTOP in days (TIMEUNIT)."""
    path = tmp_path / "pn.fits"
    write(path, Epic(rows=10, stdgti=False, cards=(("TSTART", 1000.0), ("TSTOP", 1000.5), ("TIMEUNIT", "d"))))
    with fits.open(path, mode="update") as hdus:
        hdus["EVENTS"].header["TUNIT1"] = "s"
    with open_eventlist(path) as events:
        assert events.gtis == {None: GTI.of([86_400_000.0], [86_443_200.0])}


def test_good_times_by_another_name_are_taken_and_told(tmp_path: Path) -> None:
    path = tmp_path / "pn.fits"
    write(path, Epic(rows=10, stdgti=False))
    with fits.open(path, mode="append") as hdus:
        hdus.append(gti_table("SRC_GTIS", [1e8], [1e8 + 500]))
    with open_eventlist(path) as events:
        assert events.gtis == {None: GTI.of([1e8], [1e8 + 500])}
        assert events.notes == ("the good times of pn.fits are those of SRC_GTIS",)


def test_what_only_the_primary_header_says_holds_and_what_another_table_says_does_not(tmp_path: Path) -> None:
    """The good times are in a table without reference in the middle, the last table is of something else."""
    path = tmp_path / "pn.fits"
    write(path, Epic(rows=10, stdgti=False))
    with fits.open(path, mode="update") as hdus:
        header = hdus["EVENTS"].header
        for keyword in ("TELESCOP", "INSTRUME", "OBS_ID", "FILTER", "MJDREF", "TIMESYS", "XMMEA_EP"):
            hdus[0].header[keyword] = header.pop(keyword)
        bare = gti_table("GTI", [1e8], [1e8 + 500])
        del bare.header["MJDREF"], bare.header["TIMESYS"]
        last = gti_table("SPAM", [0.0], [1.0], MJDREF=40000.0, TIMESYS="UTC", TELESCOP="CHANDRA", INSTRUME="ACIS",
                         XMMEA_EP="(FLAG & 0x1) == 0")  # fmt: skip
        hdus.append(bare)
        hdus.append(last)
    with open_eventlist(path) as events:
        assert events.mission is EPN
        assert (events.clock.day, events.clock.system) == (50814, "TT")
        assert events.gtis == {None: GTI.of([1e8], [1e8 + 500])}
        assert events.mission.flag_mask(events.keywords)[0] == 0xCFA0000
        assert (events.keywords["OBS_ID"], events.keywords["FILTER"]) == ("0123456789", "Medium")
