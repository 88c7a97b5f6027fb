"""VO-TAGS in files: read back by astropy, checked by fitsverify, and nothing else of the file changed or ever lost."""

from __future__ import annotations

import doctest
import gzip
import hashlib
import io
import multiprocessing
import os
import re
import resource
import shutil
import stat
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import provenance
from growth import bytes_moved
from provenance import votags
from provenance.fits import cards, hdus
from provenance.fits.digests import digests
from provenance.obscore import ObsCoreRow, from_science, high_energy
from provenance.obscore.columns import COLUMNS, ENUMERATIONS
from provenance.steps import InputData, OutputData, Parameter, Step, dump
from provenance.text.errors import ObsCoreError, ProvenanceError, TagsError

relaxed = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])

ROW = ObsCoreRow(
    dataproduct_type="spectrum",
    calib_level=2,
    target_name="NGC 7793 ULX4",
    obs_id="0693760101",
    obs_collection="XMM-Newton",
    obs_publisher_did="ivo://example/xmm?0693760101/spectrum",
    access_estsize=135,
    s_ra=359.4624976619713,
    s_dec=-32.62394707952248,
    t_min=56061.18591885538,
    em_xel=4096,
    em_min=1.0332016535833333e-10,
    em_max=1e-8,
)
STEPS = (
    Step(
        (
            InputData(0, "event list", True, "/data", "PN.fits"),
            Parameter(1, "radius, arcsec", True, 40),
            OutputData(2, "spectra", False, "results", ("source.fits", "background.fits")),
        ),
        {"task": "spectrum", "version": "1.0", "target": "α Cen"},
    ),
)
CIRCLES = " ".join(f"CIRCLE ICRS {359 + number / 100} -32.6 0.01" for number in range(12))
LONG_ROW = ROW.replaced(s_region=CIRCLES, target_name="Étoile d'α Cen – « O'Neill »", obs_title="It's " * 40)


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A small product with an image, a table with a heap, and checksums."""
    path = tmp_path / "product.fits"
    lists = np.array([np.arange(3), np.arange(5)], dtype=object)
    table = fits.BinTableHDU.from_columns([fits.Column("X", "PJ()", array=lists)], name="EVENTS")
    table.header["HDUCLAS1"] = "EVENTS"
    image = fits.ImageHDU(np.arange(1000, dtype=">i4").reshape(20, 50), name="IMAGE")
    fits.HDUList([fits.PrimaryHDU(), image, table]).writeto(path, checksum=True)
    return path


@pytest.fixture(scope="session")
def fitsverify() -> Callable[[Path], str]:
    """The verdict of fitsverify, such as `verification OK`."""
    program = shutil.which("fitsverify")
    if program is None:
        pytest.skip("install the Debian package fitsverify")

    def verdict(path: Path) -> str:
        done = subprocess.run([program, "-q", path.name], cwd=path.parent, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return verdict


def raw_card(text: str) -> bytes:
    return text.ljust(80).encode("ascii")


def raw_extension(lines: list[str], data: bytes) -> bytes:
    """An extension written by hand, as other programs write it."""
    header = b"".join(map(raw_card, [*lines, "END"]))
    return header.ljust(-(-len(header) // 2880) * 2880) + data.ljust(-(-len(data) // 2880) * 2880)


def ascii_table(cell: str, *more: str, name: str = "VO-TAGS", kind: str = "TABLE") -> bytes:
    lines = [
        f"XTENSION= '{kind:<8}'",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
        f"NAXIS1  = {len(cell):>20}",
        "NAXIS2  =                    1",
        "PCOUNT  =                    0",
        "GCOUNT  =                    1",
        "TFIELDS =                    1",
        "TIYPE1  = 'provenance'",
        f"TFORM1  = 'A{len(cell)}'",
        "TBCOL1  =                    1",
        f"EXTNAME = '{name}'",
        *more,
    ]
    return raw_extension(lines, cell.encode("ascii"))


def others(path: Path) -> list[bytes]:
    """The bytes of every HDU but VO-TAGS, where astropy finds them."""
    content = path.read_bytes()
    with fits.open(path) as opened:
        places = [hdu.fileinfo() for hdu in opened if hdu.name != "VO-TAGS"]
        return [content[place["hdrLoc"] : place["datLoc"] + place["datSpan"]] for place in places]


def test_astropy_reads_the_extension(product: Path) -> None:
    votags.write(product, ROW, STEPS)
    with fits.open(product) as opened:
        tags = opened["VO-TAGS"]
        assert isinstance(tags, fits.TableHDU)
        assert tags.data["provenance"][0] == dump(STEPS)
        assert tags.data.shape == (1,)
        for column in COLUMNS:
            assert tags.header.get(column.keyword) == ROW.get(column.name)
        assert tags.header.comments["S_RA"] == "s_ra (deg)"
        assert tags.header.comments["CAL_LV"] == "calib_level"


def test_read_gives_back_what_was_written(product: Path) -> None:
    assert votags.read(product) is None
    assert votags.check(product) == ("there is no extension VO-TAGS",)
    votags.write(product, ROW, STEPS)
    assert votags.read(product) == votags.Tags(ROW, STEPS)
    assert votags.check(product) == ()


@pytest.mark.parametrize("row", [ROW, LONG_ROW], ids=["short", "long"])
@pytest.mark.parametrize("steps", [STEPS, (), STEPS * 60], ids=["one", "none", "many"])
def test_fitsverify_finds_nothing(
    product: Path, fitsverify: Callable[[Path], str], row: ObsCoreRow, steps: tuple[Step, ...]
) -> None:
    votags.write(product, row, steps)
    assert fitsverify(product) == "verification OK: product.fits"
    tags = votags.read(product)
    assert tags is not None
    assert tags.steps == steps


def test_a_list_longer_than_cfitsio_reads(product: Path) -> None:
    votags.write(product, ROW, STEPS * 3000)
    assert fits.getdata(product, "VO-TAGS")["provenance"][0] == dump(STEPS * 3000)
    tags = votags.read(product)
    assert tags is not None
    assert len(tags.steps) == 3000
    (trouble,) = votags.check(product)
    assert trouble.endswith("programs on cfitsio read at most 28799")


def test_long_and_foreign_text(product: Path) -> None:
    votags.write(product, LONG_ROW, STEPS)
    header = fits.getheader(product, "VO-TAGS")
    assert header["S_REGION"] == CIRCLES
    assert header["TARG_NM"] == "Etoile d'alpha Cen - \" O'Neill \""
    assert header["OBS_TITL"] == ("It's " * 40).strip()
    assert header["LONGSTRN"] == "OGIP 1.0"
    tags = votags.read(product)
    assert tags is not None
    assert tags.row["s_region"] == CIRCLES


@pytest.mark.parametrize("name", ["PN_spectrum_grp20.fits", "MOS1_spectrum_grp.fits", "PN.rmf", "PN.arf"])
def test_real_products(shared: Path, tmp_path: Path, fitsverify: Callable[[Path], str], name: str) -> None:
    original = shared / "real/xmm_ngc7793_ulx4" / name
    path = tmp_path / name
    shutil.copyfile(original, path)
    verdict = fitsverify(path)
    row = from_science(hdus.headers(path), obs_publisher_did=f"ivo://example/{name}").filled(obs_id="0693760101")
    votags.write(path, row, STEPS)
    assert path.read_bytes().startswith(original.read_bytes())
    assert fitsverify(path) == verdict
    assert votags.check(path) == ()
    with fits.open(path) as tagged, fits.open(original) as untagged:
        assert len(tagged) == len(untagged) + 1
    again = from_science(hdus.headers(path), obs_publisher_did=f"ivo://example/{name}").filled(obs_id="0693760101")
    assert again == row, "VO-TAGS must not change what the science headers say"


def test_offsets_are_those_of_astropy(shared: Path) -> None:
    for path in sorted(shared.glob("real/*/*.fits")):
        with hdus.opened(path) as (stream, limit):
            layout = hdus.scan(stream, limit)
        with fits.open(path) as opened:
            places = [hdu.fileinfo() for hdu in opened]
            names = [hdu.name for hdu in opened][1:]
        assert [(hdu.start, hdu.data, hdu.end) for hdu in layout.hdus] == [
            (place["hdrLoc"], place["datLoc"], place["datLoc"] + place["datSpan"]) for place in places
        ]
        assert [hdu.name for hdu in layout.hdus][1:] == names
        assert not layout.fault


def test_replaced_as_the_last_hdu(product: Path) -> None:
    before = others(product)
    votags.write(product, ROW, STEPS)
    product.chmod(0o640)
    votags.write(product, ROW.replaced(target_name="other"), STEPS * 2)
    assert others(product) == before
    tags = votags.read(product)
    assert tags is not None
    assert (tags.row["target_name"], len(tags.steps)) == ("other", 2)
    assert product.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in product.parent.iterdir()] == ["product.fits"]


def test_replaced_between_others(product: Path) -> None:
    votags.write(product, ROW, STEPS)
    fits.append(product, np.ones(7), fits.Header({"EXTNAME": "LATER"}), checksum=True)
    before = others(product)
    assert len(before) == 4
    votags.write(product, ROW.replaced(target_name="other"), STEPS)
    assert others(product) == before
    with fits.open(product, checksum=True) as opened:  # a wrong checksum would be a warning, and that an error
        assert [hdu.name for hdu in opened][1:] == ["IMAGE", "EVENTS", "LATER", "VO-TAGS"]
        assert all(hdu.verify_checksum() == hdu.verify_datasum() == 1 for hdu in opened[:-1])


def test_strip_leaves_the_original(product: Path) -> None:
    original = product.read_bytes()
    assert votags.strip(product) is False
    votags.write(product, ROW, STEPS)
    assert votags.strip(product) is True
    assert product.read_bytes() == original
    votags.write(product, ROW, STEPS)
    fits.append(product, np.ones(7), fits.Header({"EXTNAME": "LATER"}))
    before = others(product)
    assert votags.strip(product) is True
    assert others(product) == before
    assert votags.read(product) is None


def test_a_symbolic_link_stays_one(product: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.fits"
    link.symlink_to(product.name)
    for _ in range(2):
        votags.write(link, ROW, STEPS)
        assert link.is_symlink()
        assert votags.read(product) == votags.Tags(ROW, STEPS)


def write_with_little_room(path: Path, room: int, answers: multiprocessing.Queue[str]) -> None:
    """Tag in a process whose files may not grow beyond `room` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        votags.write(path, ROW, STEPS)
        answers.put("written")
    except TagsError as error:
        answers.put(str(error))


@pytest.mark.parametrize("missing", [1, 2880, 4000])
@pytest.mark.parametrize("state", ["append", "replace", "gzipped"])
def test_a_full_disk_changes_nothing(product: Path, state: str, missing: int) -> None:
    if state == "replace":
        votags.write(product, ROW, STEPS)
    if state == "gzipped":  # the copy that is inflated needs most
        product.write_bytes(gzip.compress(product.read_bytes()))
    before = product.read_bytes()
    trial = product.with_name("trial.fits")
    shutil.copyfile(product, trial)
    votags.write(trial, ROW, STEPS)
    tagged = trial.read_bytes()
    needed = len(gzip.decompress(tagged) if state == "gzipped" else tagged)
    trial.unlink()
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[str] = context.Queue()
    process = context.Process(target=write_with_little_room, args=(product, needed - missing, answers))
    process.start()
    answer = answers.get(timeout=300)
    process.join()
    assert "File too large; the file is as it was" in answer
    assert product.read_bytes() == before
    assert [each.name for each in product.parent.iterdir()] == ["product.fits"]


def test_half_written_tags_are_replaced(product: Path) -> None:
    """A crash may leave any beginning of the extension behind the file."""
    original = product.read_bytes()
    votags.write(product, ROW, STEPS)
    whole = product.read_bytes()
    end_of_cell = len(whole.rstrip(b" "))
    for length in [len(original) + 800, len(original) + 2880, len(original) + 3000, end_of_cell - 1]:
        product.write_bytes(whole[:length])
        with pytest.raises(TagsError, match="cut short"):
            votags.read(product)
        votags.write(product, ROW, STEPS)
        assert product.read_bytes() == whole
        product.write_bytes(whole[:length])
        assert votags.strip(product) is True
        assert product.read_bytes() == original


def test_tags_whose_last_block_is_not_filled_up_are_whole(product: Path) -> None:
    original = product.read_bytes()
    votags.write(product, ROW, STEPS)
    whole = product.read_bytes()
    product.write_bytes(whole.rstrip(b" "))
    assert len(product.read_bytes()) < len(whole)
    assert votags.read(product) == votags.Tags(ROW, STEPS)
    assert votags.check(product) == ()
    assert digests(product).science == hashlib.sha256(original).hexdigest()
    votags.write(product, ROW, STEPS)
    assert product.read_bytes() == whole
    product.write_bytes(whole.rstrip(b" "))
    assert votags.strip(product) is True
    assert product.read_bytes() == original


UNTIDY: dict[str, Callable[[bytes], bytes]] = {
    "a block of NULs": lambda content: content + bytes(2880),
    "some NULs": lambda content: content + bytes(512),
    "some blanks": lambda content: content + b" " * 100,
    "a special record": lambda content: content + b"NOTES   of the operator".ljust(2880),
    "a block that lacks a byte": lambda content: content[:-1],
    "a block that is not filled up": lambda content: content.rstrip(b"\0").ljust(len(content) - 2880 + 1, b"\0"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", UNTIDY)
def test_a_sound_file_is_tagged_however_it_ends(product: Path, name: str, packed: bool) -> None:
    """FITS Standard 4.0, 3.5: special records may follow the last HDU."""
    whole = product.read_bytes()
    untidy = UNTIDY[name](whole)
    tail = untidy[len(whole) :]
    assert untidy != whole
    product.write_bytes(gzip.compress(untidy) if packed else untidy)
    assert votags.read(product) is None
    science = digests(product).science
    for _ in range(2):  # appended, then in the place of the first
        votags.write(product, ROW, STEPS)
        assert votags.read(product) == votags.Tags(ROW, STEPS)
        assert votags.check(product) == ()
        assert (digests(product).science, digests(product).is_fits) == (science, True)
        content = gzip.decompress(product.read_bytes()) if packed else product.read_bytes()
        assert content.startswith(whole)
        assert content.endswith(tail)
        with fits.open(io.BytesIO(content[: len(content) - len(tail)])) as opened:
            assert [hdu.name for hdu in opened] == ["PRIMARY", "IMAGE", "EVENTS", "VO-TAGS"]
    assert votags.strip(product) is True
    left = gzip.decompress(product.read_bytes()) if packed else product.read_bytes()
    assert left == whole + tail
    assert hashlib.sha256(left).hexdigest() == science


def test_a_header_that_fills_no_block_is_cut(tmp_path: Path) -> None:
    """Nothing tells such a file from one whose later HDUs are lost."""
    path = tmp_path / "bare.fits"
    path.write_bytes(b"".join(map(raw_card, ["SIMPLE  =                    T", "BITPIX  =                    8",
                                             "NAXIS   =                    0", "END"])))  # fmt: skip
    with pytest.raises(TagsError, match="a header fills no whole block: the file was cut short"):
        votags.write(path, ROW, STEPS)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda content: content[:-2880], "cut short"),
        (lambda content: content[:4000], "cut short"),
        (lambda content: content.replace(b"XTENSION= 'BIN", b"XTENZION= 'BIN"), "no header begins .*damaged"),
        (
            lambda content: content[:2880] + bytes(2880) + content[2880:],
            "no header begins .*, but one at byte .*: the file is damaged",
        ),
        (lambda content: b"", "the file is empty"),
        (lambda content: b"<VOTABLE/>" * 500, "no FITS file"),
        (lambda content: content.replace(b"END".ljust(80), b" " * 80), "no END"),
        (
            lambda content: content.replace(b"BITPIX  =                    8", b"BITPIX  = 'eight'             "),
            "'eight'",
        ),
        (lambda content: gzip.compress(content)[:-20], "gzip is damaged"),
        (lambda content: gzip.compress(content[:-2880]), "cut short"),
        (lambda content: gzip.compress(b"no FITS"), "no FITS file"),
        (lambda content: gzip.compress(content + bytes(300_000_000)), "inflates to more than 268435456 bytes"),
    ],
)
def test_what_cannot_be_tagged_is_refused_and_kept(product: Path, spoil: Callable[[bytes], bytes], words: str) -> None:
    product.write_bytes(spoil(product.read_bytes()))
    before = product.read_bytes()
    for change in (lambda: votags.write(product, ROW, STEPS), lambda: votags.strip(product)):
        with pytest.raises(TagsError, match=words):
            change()
    assert product.read_bytes() == before


def test_a_read_only_file(product: Path) -> None:
    votags.write(product, ROW, STEPS)
    before = product.read_bytes()
    product.chmod(0o444)
    with pytest.raises(TagsError, match="read-only; make it writable"):
        votags.write(product, ROW, STEPS)
    assert product.read_bytes() == before


def test_no_regular_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe):
        for use in (votags.read, votags.strip):
            with pytest.raises(TagsError, match="no regular file"):
                use(path)
        assert votags.check(path) == (f"{path}: is no regular file",)
    with pytest.raises(FileNotFoundError):
        votags.read(tmp_path / "absent.fits")


def test_rows_that_may_not_be_written(product: Path) -> None:
    before = product.read_bytes()
    with pytest.raises(ObsCoreError, match="calib_level is absent"):
        votags.write(product, ROW.replaced(calib_level=None), STEPS)
    with pytest.raises(ObsCoreError, match="dataproduct_type is 'SPECTRUM'"):
        votags.write(product, ROW.replaced(dataproduct_type="SPECTRUM"), STEPS)
    assert product.read_bytes() == before


def test_the_listing_of_the_slides(product: Path) -> None:
    """Their header as printed, slips and all."""
    listing = [
        "DP_TYPE = 'SPECTRUM'  / dataproduct_type",
        "CAL_LV  = 'NotSet'    / calib_level (0 to 4)",
        "TARG_NM = 'NotSet'    / target_name",
        "RELEA_DAT= '2022-10-11'   / obs_release_date (ISO 8601)",
        "PUB_ID  = 'NotSet'    / data_rights",
        "FORMAT  = 'application/fits' / access_format",
        "S_RA    = 'NotSet'    / s_ra ICRS (deg)",
        "S_UNIT  = 'deg'       / s_unit",
        "S_CALST = 'calibrated' / s_calib_status",
        "T_CALST = 'calibrated' / t_calib_status",
        "DISC_TYP= 'spectral'",
        "T_STERR = 'NotSet'    / t_stat_error",
    ]
    original = product.read_bytes()
    product.write_bytes(original + ascii_table(dump(STEPS), *listing))
    tags = votags.read(product)
    assert tags is not None
    assert tags.steps == STEPS
    assert dict(tags.row) == {
        "dataproduct_type": "spectrum",
        "obs_release_date": "2022-10-11T00:00:00",
        "s_unit": "deg",
        "access_format": "application/fits",
        "s_calib_status": "calibrated",
        "t_calib_status": "calibrated",
    }
    found = votags.check(product)
    assert "TTYPE1 is None; 'provenance' is expected" in found
    assert "S_RA (s_ra) is 'NotSet'; a value that is not known is left out" in found
    assert "DP_TYPE (dataproduct_type) is 'SPECTRUM'; 'spectrum' is expected" in found
    assert "RELEA_DAT is no keyword of VO-TAGS" in found
    assert "calib_level is absent; ObsCore requires it" in found
    votags.write(product, tags.row.filled(calib_level=2), tags.steps)
    assert product.read_bytes().startswith(original)


def test_the_whole_listing_of_the_slides(shared: Path, product: Path) -> None:
    """Every card that the slides print, and every keyword of their table, from the text they were given in."""
    text = next(text for path in sorted(shared.glob("seeds/*.txt")) if "TIYPE1" in (text := path.read_text()))
    listing = re.search(r"```\n(XTENSION= 'TABLE'.*?)```", text, re.DOTALL)
    assert listing is not None
    lines = [re.sub(r"^(.{10})\s*(\d+)\s*/", r"\1\2 /", line) for line in listing[1].splitlines()]
    assert len(lines) == 43
    cell = dump(STEPS).ljust(406)
    sized = [line.replace("406", f"{len(cell)}") for line in lines]
    product.write_bytes(product.read_bytes() + raw_extension(sized, cell.encode("ascii")))
    tags = votags.read(product)
    assert tags is not None
    assert tags.steps == STEPS
    assert dict(tags.row) == {
        "dataproduct_type": "spectrum",
        "access_format": "application/fits",
        "s_unit": "deg",
        "s_calib_status": "calibrated",
        "t_calib_status": "calibrated",
    }
    found = votags.check(product)
    words = [line[:9].partition("=")[0].strip() for line in lines if "'NotSet'" in line]
    assert len(words) == 26
    for word in words:
        told = "is no keyword of VO-TAGS" if word == "RELEA_DAT" else "a value that is not known is left out"
        assert any(line.startswith(f"{word} ") and told in line for line in found), word
    table = re.findall(r"^([A-Z_]{2,8})\t(\w+):? ", text, re.MULTILINE)
    names = {"dataprodct_type": "dataproduct_type", "dataprodct_subtype": "dataproduct_subtype",
             "obs_publisher_id": "publisher_id"}  # fmt: skip
    ours = {column.keyword: column.name for column in COLUMNS}
    assert {keyword: ours.get(keyword) for keyword, _ in table} == {
        keyword: None if keyword == "DISC_TYP" else names.get(name, name) for keyword, name in table
    }
    assert len(table) == 14


def test_two_of_them(product: Path) -> None:
    original = product.read_bytes()
    votags.write(product, ROW, STEPS)
    one = product.read_bytes()
    product.write_bytes(one + one[len(original) :])
    with pytest.raises(TagsError, match=r"2 extensions VO-TAGS, HDUs 3 and 4; one is expected"):
        votags.read(product)
    assert votags.check(product)[0].startswith("there are 2 extensions VO-TAGS")
    votags.write(product, ROW, STEPS)
    assert product.read_bytes() == one


@pytest.mark.parametrize(
    ("extension", "words"),
    [
        (
            ascii_table('{"provenance": [{"args": [{"index": 0, "parameter": {"description": 1}}]}]}'),
            r"provenance\[0\]\.args\[0\]\.parameter\.editable: is missing",
        ),
        (ascii_table('{"provenance": ['), "not JSON: Expecting value at character 16 of 16"),
        (
            ascii_table(dump(STEPS).replace('"index": 1', '"index": 7')),
            r"provenance\[0\]\.args\[1\]\.index: 1 is expected, not 7: indices count from 0",
        ),
        (ascii_table("[" * 100_000), "nested too deep"),
        (ascii_table('{"provenance": 1, "provenance": []}'), "has the key 'provenance' twice"),
        (
            ascii_table("x").replace(b"NAXIS1  =                    1", b"NAXIS1  =                   -1"),
            "numbers from 0",
        ),
        (ascii_table("x").replace(b"NAXIS2  =                    1", b"NAXIS2  =                    9"), "9 rows"),
        (ascii_table("x").replace(b"TFIELDS =                    1", b"TFIELDS =                    3"), "3 columns"),
        (ascii_table("x").replace(b"TFORM1  = 'A1'", b"TFORM1  = 'I1'"), "A<n> is expected"),
        (ascii_table("x", kind="BINTABLE"), "is a BINTABLE; an ASCII table"),
    ],
)
def test_cells_that_are_no_step_list(product: Path, extension: bytes, words: str) -> None:
    original = product.read_bytes()
    product.write_bytes(original + extension)
    with pytest.raises(TagsError, match=words) as caught:
        votags.read(product)
    assert str(product) in str(caught.value)
    assert any(trouble in str(caught.value) for trouble in votags.check(product))


def test_ten_megabytes_of_steps(product: Path) -> None:
    """A list of 10 MB is read; a cell beyond the limit is refused before it is read, and nothing is lost by either."""
    original = product.read_bytes()
    long = (Step((Parameter(0, "x" * 1000, False, 1),)),) * 9_500
    votags.write(product, ROW, long)
    assert product.stat().st_size > 10_000_000
    tags = votags.read(product)
    assert tags is not None
    assert tags.steps == long
    assert product.read_bytes().startswith(original)
    assert votags.strip(product)
    assert product.read_bytes() == original
    product.write_bytes(original + ascii_table(" " * 20_000_001))
    with pytest.raises(TagsError, match="has a row of 20000001 bytes; at most 20000000 are read"):
        votags.read(product)
    assert votags.read_row(product) == ObsCoreRow()
    assert product.read_bytes().startswith(original)


def test_the_row_is_read_whatever_the_steps_are(product: Path) -> None:
    assert votags.read_row(product) is None
    original = product.read_bytes()
    product.write_bytes(original + ascii_table('{"provenance": [', "CAL_LV  = 2", "EV_XEL  = 5", "T_INTVS = '3/1-2'"))
    assert votags.read_row(product) == ObsCoreRow(calib_level=2, ev_xel=5, t_intervals="3/1-2")
    product.write_bytes(original + ascii_table("", "CAL_LV  = 2") * 2)
    with pytest.raises(TagsError, match="2 extensions VO-TAGS"):
        votags.read_row(product)


def test_the_high_energy_columns_beside_the_sixty(product: Path, fitsverify: Callable[[Path], str]) -> None:
    more = {
        "ev_xel": 20421,
        "energy_min": 200.0,
        "energy_max": 12000.0,
        "obs_mode": "IMAGING PrimeFullWindow",
        "analysis_mode": "spectrum 1.0",
        "event_type": "PATTERN :4",
        "t_intervals": "30/1-5 41/7 " * 40,
    }
    assert more.keys() == {column.name for column in high_energy.COLUMNS}
    row = ROW.replaced(**more)
    votags.write(product, row, STEPS)
    assert votags.read(product) == votags.Tags(row, STEPS)
    assert votags.check(product) == ()
    header = fits.getheader(product, "VO-TAGS")
    for column in high_energy.COLUMNS:
        expected = more[column.name]
        assert header[column.keyword] == (expected.strip() if isinstance(expected, str) else expected)
    assert fitsverify(product) == "verification OK: product.fits"


def test_a_foreign_extension_of_this_name_is_not_destroyed(product: Path) -> None:
    columns = [fits.Column("A", "J", array=[1, 2]), fits.Column("B", "D", array=[1.0, 2.0])]
    with fits.open(product, mode="append") as opened:
        opened.append(fits.BinTableHDU.from_columns(columns, name="VO-TAGS"))
    before = product.read_bytes()
    with pytest.raises(TagsError, match=r"HDU 3 is named VO-TAGS but is no ASCII table of one cell \(BINTABLE\)"):
        votags.write(product, ROW, STEPS)
    assert product.read_bytes() == before


def test_an_empty_cell_has_no_steps(product: Path) -> None:
    product.write_bytes(product.read_bytes() + ascii_table("      ", "CAL_LV  = 2"))
    assert votags.read(product) == votags.Tags(ObsCoreRow(calib_level=2), ())
    assert "the step list is empty" in votags.check(product)


def test_a_gzipped_file_is_read(product: Path, tmp_path: Path) -> None:
    votags.write(product, ROW, STEPS)
    packed = tmp_path / "product.fits.gz"
    packed.write_bytes(gzip.compress(product.read_bytes()))
    assert votags.read(packed) == votags.Tags(ROW, STEPS)
    assert votags.check(packed) == ()
    packed.write_bytes(packed.read_bytes()[:-500])
    with pytest.raises(TagsError, match="gzip is damaged"):
        votags.read(packed)
    packed.write_bytes(gzip.compress(product.read_bytes()[:-2880]))
    with pytest.raises(TagsError, match="cut short"):
        votags.read(packed)


def test_a_gzipped_file_is_tagged_and_stripped_like_a_plain_one(product: Path, tmp_path: Path) -> None:
    plain = product.read_bytes()
    packed = tmp_path / "product.fits.gz"
    packed.write_bytes(gzip.compress(plain))
    packed.chmod(0o640)
    untagged = digests(packed)
    assert untagged.science == digests(product).science == hashlib.sha256(plain).hexdigest()
    contents = set()
    for _ in range(2):  # in the place of those it has
        votags.write(packed, ROW, STEPS)
        contents.add(packed.read_bytes())
        time.sleep(1.1)  # gzip writes the time to the second
    assert len(contents) == 1
    votags.write(product, ROW, STEPS)
    assert gzip.decompress(packed.read_bytes()) == product.read_bytes()
    assert votags.read(packed) == votags.Tags(ROW, STEPS)
    assert (digests(packed).science, digests(packed).is_fits) == (untagged.science, True)
    with fits.open(packed) as opened:
        assert [hdu.name for hdu in opened][-1] == "VO-TAGS"
    assert votags.strip(packed)
    assert gzip.decompress(packed.read_bytes()) == plain
    stripped = packed.read_bytes()
    assert not votags.strip(packed)
    assert packed.read_bytes() == stripped
    assert stat.S_IMODE(packed.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize("content", [b"no FITS", b"SIMPLE  = no more", b""])
def test_a_gzipped_file_that_is_no_fits_is_hashed_as_it_lies(tmp_path: Path, content: bytes) -> None:
    packed = tmp_path / "text.gz"
    for written in (gzip.compress(content), gzip.compress(content)[:-9]):
        packed.write_bytes(written)
        found = digests(packed)
        assert found.whole == hashlib.sha256(written).hexdigest()
        if not content.startswith(b"SIMPLE"):
            assert (found.science, found.is_fits) == (found.whole, False)


@settings(relaxed, max_examples=200)
@given(st.integers(0, 40_000), st.binary(min_size=1, max_size=100))
def test_damaged_files_are_told_never_a_crash(tmp_path_factory: pytest.TempPathFactory, at: int, noise: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.fits"
    tags = ascii_table(dump(STEPS), "CAL_LV  =                    2", "S_REGION= 'a&'", "CONTINUE  'b'")
    primary = raw_extension(["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   = 0"], b"")
    whole = primary + tags
    at %= len(whole)
    path.write_bytes(whole[:at] + noise + whole[at + len(noise) :])
    for use in (votags.read, votags.check, hdus.headers):
        try:
            use(path)
        except ProvenanceError as error:
            assert str(error)


def tag_often(path: Path, name: str) -> None:
    for _ in range(8):
        votags.write(path, ROW.replaced(target_name=name), STEPS)


def test_two_writers_at_once(product: Path) -> None:
    before = others(product)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=tag_often, args=(product, name)) for name in ("one", "two", "three")]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert others(product) == before
    tags = votags.read(product)
    assert tags is not None
    assert tags.row["target_name"] in ("one", "two", "three")
    assert [each.name for each in product.parent.iterdir()] == ["product.fits"]


def test_of_a_file_of_500_mb_next_to_nothing_is_read_or_written(tmp_path: Path) -> None:
    path = tmp_path / "large.fits"
    size = 500 * 1024**2 // 2880 * 2880
    primary = raw_extension(
        [
            "SIMPLE  =                    T",
            "BITPIX  =                    8",
            "NAXIS   =                    1",
            f"NAXIS1  = {size:>20}",
        ],
        b"",
    )
    with path.open("wb") as stream:
        stream.write(primary)
        stream.truncate(len(primary) + size)  # a hole in place of data
    before = bytes_moved()
    votags.write(path, ROW, STEPS)
    assert bytes_moved() - before < 1_000_000
    assert path.stat().st_size > len(primary) + size
    assert votags.read(path) == votags.Tags(ROW, STEPS)


numbers = st.floats(0, 1e300, allow_subnormal=True)
ascii_text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300)


@st.composite
def rows(draw: st.DrawFn) -> ObsCoreRow:
    values: dict[str, object] = {"calib_level": draw(st.integers(0, 4))}
    for column in draw(st.lists(st.sampled_from(COLUMNS), max_size=12, unique=True)):
        if column.name in ENUMERATIONS:
            values[column.name] = draw(st.sampled_from(ENUMERATIONS[column.name]))
        elif column.adql == "TIMESTAMP":
            values[column.name] = draw(st.datetimes()).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
        elif column.type == "str":
            values[column.name] = draw(ascii_text)
        elif column.type == "int" and column.name != "calib_level":
            values[column.name] = draw(st.integers(0, 2**63 - 1))
        elif column.name in ("s_ra", "s_dec"):
            values[column.name] = draw(st.floats(0, 90))
        elif column.name not in ("calib_level", "t_max", "em_max", "s_resolution_max", "em_res_power_max"):
            values[column.name] = draw(numbers)
    return ObsCoreRow(values)  # type: ignore[arg-type]


@relaxed
@given(rows())
def test_rows_round_trip_and_astropy_agrees(tmp_path_factory: pytest.TempPathFactory, row: ObsCoreRow) -> None:
    path = tmp_path_factory.getbasetemp() / "row.fits"
    fits.PrimaryHDU().writeto(path, overwrite=True)
    votags.write(path, row, STEPS)
    tags = votags.read(path)
    assert tags is not None
    identifiers = [column.name for column in COLUMNS if column.ucd in ("meta.ref.url", "meta.ref.ivoid")]
    expected = {
        name: value.strip() if isinstance(value, str) else value
        for name, value in row.items()
        if name not in identifiers
    }
    read = {name: value for name, value in tags.row.items() if name not in identifiers}
    assert read == {name: value for name, value in expected.items() if value != "" and str(value).lower() != "notset"}
    header = fits.getheader(path, "VO-TAGS")
    for column in COLUMNS:
        if column.name in tags.row:
            assert header[column.keyword] == tags.row[column.name]


@relaxed
@given(st.text(max_size=200))
def test_any_text_becomes_printable_ascii(text: str) -> None:
    made = votags.transliterated(text)
    assert all(" " <= letter <= "~" for letter in made)
    assert votags.transliterated(made) == made


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("η Carinæ", "eta Carinae"),
        ("Γ Cas", "Gamma Cas"),
        ("Weißensee Łódź", "Weissensee Lodz"),
        ("σ\N{COMBINING ACUTE ACCENT}", "sigma"),
        ("2′ × 3″", "2' ? 3''"),
        ("a\nb\tc", "a b c"),
        ("銀河", "??"),
        ("ς Tauri", "sigma Tauri"),
    ],
)
def test_names_spelt_out(text: str, expected: str) -> None:
    assert votags.transliterated(text) == expected


def test_urls_are_quoted_not_spelt_out(product: Path) -> None:
    votags.write(product, ROW.replaced(access_url="https://example.org/store/été 1.fits?a=%20&b=[1]&"), STEPS)
    tags = votags.read(product)
    assert tags is not None
    assert tags.row["access_url"] == "https://example.org/store/%C3%A9t%C3%A9%201.fits?a=%20&b=[1]&"
    assert fits.getheader(product, "VO-TAGS")["URL"] == tags.row["access_url"]


@relaxed
@given(
    st.dictionaries(
        st.from_regex(r"[A-Z][A-Z0-9_-]{0,7}", fullmatch=True).filter(
            lambda key: key not in ("CONTINUE", "COMMENT", "HISTORY", "END", "HIERARCH")
        ),
        ascii_text | st.integers(-(2**63), 2**63) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
        max_size=8,
    )
)
def test_cards_are_those_of_astropy(values: dict[str, str | int | float | bool]) -> None:
    """What we write astropy reads; what astropy writes we read."""
    # astropy takes a quote in a string for its end where a slash or a blank follows
    values = {
        key: value.replace("'/", "'").replace("' ", "'") if isinstance(value, str) else value
        for key, value in values.items()
    }
    text = "".join(cards.card(keyword, value, "a comment") for keyword, value in values.items())
    assert len(text) % 80 == 0
    theirs = fits.Header.fromstring(text)
    ours = cards.parse(text.encode("ascii"))
    for keyword, value in values.items():
        expected = value.rstrip(" ") if isinstance(value, str) else value
        assert ours[keyword] == theirs[keyword] == expected
        assert type(ours[keyword]) is type(value)
    short = {keyword: value for keyword, value in values.items() if not isinstance(value, float)}
    assert cards.parse(fits.Header(short).tostring().encode("ascii")) == {
        keyword: value.rstrip(" ") if isinstance(value, str) else value for keyword, value in short.items()
    }


@pytest.mark.parametrize(
    ("content", "looks"),
    [(b"SIMPLE  =                    T", True), (b"SIMPLE  =T", False), (b"", False), (b"\x1f\x8b", False)],
)
def test_a_file_looks_like_fits_by_its_first_card(tmp_path: Path, content: bytes, looks: bool) -> None:
    (tmp_path / "file").write_bytes(content)
    assert hdus.looks_like_fits(tmp_path / "file") is looks


def test_headers_are_those_of_astropy(shared: Path) -> None:
    """Every value of real SAS headers, long strings too."""
    path = shared / "real/xmm_ngc7793_ulx4/PN_spectrum_grp20.fits"
    with fits.open(path) as opened:
        for header, hdu in zip(hdus.headers(path), opened, strict=True):
            assert header == {
                card.keyword: card.value for card in hdu.header.cards if card.keyword not in ("HISTORY", "COMMENT", "")
            }


def test_the_examples_in_the_docstrings_run() -> None:
    for module in (provenance, votags):
        assert doctest.testmod(module).failed == 0


def test_the_package_is_light_and_needs_nothing_of_ours() -> None:
    code = (
        "import sys, provenance.votags; "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'reduction', 'uws_server', 'astropy'}))"
    )
    root = Path(provenance.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


def test_a_file_of_headers_alone_does_not_fill_the_memory(tmp_path: Path) -> None:
    def header(first: str, blocks: int) -> bytes:
        text = first + cards.card("BITPIX", 8) + cards.card("NAXIS", 0)
        return f"{text:<{blocks * cards.BLOCK - cards.SIZE}}{'END':<{cards.SIZE}}".encode()

    primary, extension = header(cards.card("SIMPLE", True), 1), header(cards.card("XTENSION", "IMAGE"), 400)
    many, more = tmp_path / "many.fits.gz", tmp_path / "more.fits.gz"
    for path, count in ((many, 40), (more, 80)):
        path.write_bytes(gzip.compress(primary + extension * count, 1, mtime=0))
    assert votags.read(many) is None
    tracemalloc.start()
    try:
        with pytest.raises(TagsError, match="the headers are longer than 64000000 bytes in all"):
            votags.read(more)
        assert tracemalloc.get_traced_memory()[1] < 1.2 * hdus.MAX_HEADERS
    finally:
        tracemalloc.stop()
