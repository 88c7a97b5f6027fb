"""The one reader of FITS files against astropy: places of HDUs, headers, columns of every kind, files that are odd."""

from __future__ import annotations

import gzip
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provenance import obscore
from provenance.fits import asciitable, bintable, gtitables, gzipped, hdus, image
from provenance.fits.faults import FaultKind
from provenance.text.errors import FitsError
from reduction.errors import ReductionError
from reduction.events import gti
from reduction.events.clock import Clock
from reduction.events.eventlist import open_eventlist
from synthetic import Epic, write

relaxed = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])

CLOCK = Clock(50814.0, 0.0, 0.0, "TT")
CARDS = {"TELESCOP": "XMM", "INSTRUME": "EPN", "MJDREF": 50814.0, "TIMESYS": "TT", "TIMEUNIT": "s", "HDUCLAS1": "GTI"}
START, STOP = np.array([1000.0, 3000.0]), np.array([2000.0, 3500.0])


def scanned(path: Path) -> hdus.Layout:
    with hdus.opened(path) as (stream, limit):
        return hdus.scan(stream, limit)


def gti_hdu(
    *more: fits.Column, form: str = "D", zero: float | None = None, unit: str | None = "s", **cards: object
) -> fits.BinTableHDU:
    columns = [fits.Column(name, form, unit=unit, bzero=zero, array=times)
               for name, times in (("START", START), ("STOP", STOP))]  # fmt: skip
    hdu = fits.BinTableHDU.from_columns([*columns, *more], name="STDGTI")
    hdu.header.update({**CARDS, **cards})
    return hdu


def random_groups() -> fits.GroupsHDU:
    """Visibilities with three parameters each, as radio astronomers write them."""
    data = fits.GroupData(np.arange(60, dtype=np.float32).reshape(5, 1, 3, 4), bitpix=-32,
                          parnames=["U", "V", "W"], pardata=[np.arange(5.0)] * 3)  # fmt: skip
    return fits.GroupsHDU(data)


def odd_bits() -> fits.HDUList:
    return fits.HDUList([fits.PrimaryHDU(), gti_hdu(fits.Column("BITS", "8X", array=np.ones((2, 8), dtype=bool)))])


def odd_lists() -> fits.HDUList:
    lists = np.array([np.arange(3.0), np.arange(1.0)], dtype=object)
    return fits.HDUList([fits.PrimaryHDU(), gti_hdu(fits.Column("LIST", "PE()", array=lists))])


ODD: dict[str, Callable[[], fits.HDUList]] = {
    "random groups before it": lambda: fits.HDUList([random_groups(), gti_hdu()]),
    "START and STOP with TZERO": lambda: fits.HDUList([fits.PrimaryHDU(), gti_hdu(form="J", zero=2**31)]),
    "START and STOP with another TZERO": lambda: fits.HDUList([fits.PrimaryHDU(), gti_hdu(zero=1e8)]),
    "a further column 8X": odd_bits,
    "a further column PE()": odd_lists,
}


@pytest.mark.parametrize("name", ODD)
def test_both_libraries_find_the_good_times_that_astropy_finds(tmp_path: Path, name: str) -> None:
    path = tmp_path / "odd.fits"
    ODD[name]().writeto(path)
    with fits.open(path) as opened:
        start, stop = (np.asarray(opened["STDGTI"].data[key], dtype=np.float64) for key in ("START", "STOP"))
        places = [(hdu.fileinfo()["hdrLoc"], hdu.fileinfo()["datLoc"]) for hdu in opened]
    assert start.tolist() == START.tolist(), "astropy reads what was written"
    assert [(hdu.start, hdu.data) for hdu in scanned(path).hdus] == places
    good = gti.read_file(path, CLOCK)[None]
    assert (good.start.tolist(), good.stop.tolist()) == (start.tolist(), stop.tolist())
    row = obscore.from_file(path)
    assert row["t_min"] == pytest.approx(50814 + start[0] / 86400, abs=1e-9)
    assert row["t_max"] == pytest.approx(50814 + stop[-1] / 86400, abs=1e-9)


def test_times_of_a_table_are_in_the_unit_of_its_columns(tmp_path: Path) -> None:
    """TUNITn is for the column, TIMEUNIT for what has no unit of its own (FITS Standard 4.0, 9.3)."""
    path = tmp_path / "days.fits"
    spellings: list[tuple[str | None, int, dict[str, str]]] = [
        ("d", 86400, {}), (None, 86400, {"TIMEUNIT": "d"}), ("DAYS", 86400, {}), ("sec", 1, {}),
        ("h", 3600, {"TIMEUNIT": "s"}), ("SECONDS", 1, {"TIMEUNIT": "d"})]  # fmt: skip
    for unit, seconds, cards in spellings:
        fits.HDUList([fits.PrimaryHDU(), gti_hdu(unit=unit, **cards)]).writeto(path, overwrite=True)
        row = obscore.from_file(path)
        assert row["t_min"] == pytest.approx(50814 + START[0] * seconds / 86400, abs=1e-9), unit
        assert row["t_max"] == pytest.approx(50814 + STOP[-1] * seconds / 86400, abs=1e-9), unit
        good = gti.read_file(path, CLOCK)[None]
        assert (good.start.tolist(), good.stop.tolist()) == ((START * seconds).tolist(), (STOP * seconds).tolist())
    fits.HDUList([fits.PrimaryHDU(), gti_hdu(unit="furlong")]).writeto(path, overwrite=True)
    assert "t_min" not in obscore.from_file(path)
    with pytest.raises(ReductionError, match="is in furlong; good times are read in s, min, h, d"):
        gti.read_file(path, CLOCK)


@pytest.mark.parametrize(("form", "values", "words"), [
    ("23A", ["2026-03-01T10:01:40.000"] * 2, r"START is text \(23A\); good times are numbers of seconds"),
    ("L", [True, False], r"START is logical \(1L\)"),
    ("M", [1 + 0j, 2 + 0j], r"START is complex \(1M\)"),
    ("2D", [[1.0, 2.0]] * 2, r"START is numbers \(2D\)"),
    ("PD()", np.array([np.arange(3.0), np.arange(1.0)], dtype=object), r"START is of variable length \(1P\)"),
])  # fmt: skip
def test_good_times_that_are_no_numbers(tmp_path: Path, form: str, values: Any, words: str) -> None:
    path = tmp_path / "bad.fits"
    columns = [fits.Column(name, form, array=values) for name in ("START", "STOP")]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="GTI")]).writeto(path)
    with pytest.raises(ReductionError, match=words) as caught:
        gti.read_file(path, CLOCK)
    assert caught.value.parameter == "gti"
    assert "t_min" not in obscore.from_file(path)


@pytest.mark.parametrize(("name", "cards", "columns", "expected"), [
    ("GTI", {}, ("START", "STOP"), True), ("STDGTI04", {}, ("START", "STOP"), True),
    ("GTI00103", {}, ("BEGIN",), True), ("GTI_FILT", {}, ("START", "STOP"), True),
    ("GTI_NOTES", {}, ("TEXT",), False), ("INTERVALS", {"HDUCLAS1": "GTI"}, ("START", "STOP"), True),
    ("EVENTS", {}, ("START", "STOP"), False), ("MYGTI", {}, ("START", "STOP"), False),
])  # fmt: skip
def test_which_tables_hold_good_times(
    tmp_path: Path, name: str, cards: dict[str, str], columns: tuple[str, ...], expected: bool
) -> None:
    path = tmp_path / "tables.fits"
    table = fits.BinTableHDU.from_columns([fits.Column(column, "D", array=[1.0]) for column in columns], name=name)
    table.header.update(cards)
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    assert [gtitables.is_gti(hdu) for hdu in scanned(path).hdus] == [False, expected]


def starts_and_stops(name: str, kind: type = fits.BinTableHDU) -> Any:
    form = {fits.BinTableHDU: "D", fits.TableHDU: "D25.6"}[kind]
    columns = [fits.Column(edge, form, array=[value]) for edge, value in (("START", 1000.0), ("STOP", 2000.0))]
    return kind.from_columns(columns, name=name)


@pytest.mark.parametrize(("names", "good", "any_intervals"), [
    (["FLAREGTI"], ["FLAREGTI"], ["FLAREGTI"]), (["SRC_GTIS"], ["SRC_GTIS"], ["SRC_GTIS"]),
    (["GTI", "FLAREGTI"], ["GTI"], ["GTI", "FLAREGTI"]), (["INTERVALS"], [], ["INTERVALS"]),
    (["BTI", "BADTIMES"], [], []), (["STDGTI01", "STDGTI02"], ["STDGTI01", "STDGTI02"], ["STDGTI01", "STDGTI02"]),
])  # fmt: skip
@pytest.mark.parametrize("kind", [fits.BinTableHDU, fits.TableHDU])
def test_tables_of_other_names_hold_good_times_where_no_table_does_by_convention(
    tmp_path: Path, names: list[str], good: list[str], any_intervals: list[str], kind: type
) -> None:
    path = tmp_path / "tables.fits"
    fits.HDUList([fits.PrimaryHDU(), *(starts_and_stops(name, kind) for name in names)]).writeto(path)
    found = scanned(path).hdus
    assert [hdu.name for hdu in gtitables.gti_tables(found)] == good
    assert [hdu.name for hdu in gtitables.interval_tables(found)] == any_intervals


numbers = st.floats(-1e9, 1e9, allow_nan=False) | st.integers(-1000, 1000).map(float)


@relaxed
@given(st.lists(numbers, min_size=1, max_size=5), st.sampled_from(["F25.6", "E25.15", "D25.15", "I12"]))
def test_numbers_of_an_ascii_table_are_those_of_astropy(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], form: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "ascii.fits"
    array = np.array(values).astype(int) if form[0] == "I" else np.array(values)
    columns = [fits.Column("NAME", "A5", array=["x"] * len(values)), fits.Column("START", form, unit="s", array=array)]
    fits.TableHDU.from_columns(columns).writeto(path, overwrite=True)
    theirs = np.asarray(fits.getdata(path, 1)["START"], dtype=float)
    with path.open("rb") as stream:
        table = asciitable.table(scanned(path).hdus[1])
        (ours,) = table.floats(stream, ["START"])
    assert ours.tolist() == theirs.tolist()
    assert (table.columns["NAME"].is_number, table.columns["START"].unit) == (False, "s")


def test_fields_of_an_ascii_table_by_the_standard(tmp_path: Path) -> None:
    """Nulls, blanks, scaling, exponents with D, the decimal point that a format implies (FITS Standard 4.0, 7.2)."""
    fields = ["   12345", "  1.5D+2", "        ", "     N/A", "    -2.5", "    what"]
    lines = {"XTENSION": "'TABLE   '", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 8, "NAXIS2": len(fields), "PCOUNT": 0,
             "GCOUNT": 1, "TFIELDS": 1, "TTYPE1": "'START'", "TBCOL1": 1, "TFORM1": "'F8.2'", "TNULL1": "'N/A'",
             "TSCAL1": 2.0, "TZERO1": 100.0}  # fmt: skip
    header = "".join(f"{key:<8}= {value!s:>20}".ljust(80) for key, value in lines.items()) + "END".ljust(80)
    path = tmp_path / "ascii.fits"
    fits.PrimaryHDU().writeto(path)
    path.write_bytes(path.read_bytes() + padded(header.encode(), b" ") + padded("".join(fields).encode(), b" "))
    with path.open("rb") as stream:
        (found,) = asciitable.table(scanned(path).hdus[1]).floats(stream, ["START"])
    assert np.array_equal(found, [100 + 2 * 123.45, 400.0, np.nan, np.nan, 95.0, np.nan], equal_nan=True)


INTEGERS = {"B": (0, 255), "I": (-(2**15), 2**15 - 1), "J": (-(2**31), 2**31 - 1), "K": (-(2**63), 2**63 - 1)}
UNSIGNED = {"B": -128, "I": 2**15, "J": 2**31, "K": 2**63}
TYPES = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8", "C": ">c8", "M": ">c16"}


def numbers(letter: str) -> st.SearchStrategy[Any]:
    if letter in INTEGERS:
        return st.integers(*INTEGERS[letter])
    width = 32 if letter in "EC" else 64
    real = st.floats(-1e6, 1e6, width=width) | st.sampled_from([float("nan"), float("inf")])
    return real if letter in "ED" else st.builds(complex, real, real)


@st.composite
def column_of(draw: st.DrawFn, index: int, rows: int) -> tuple[str, bytes, dict[str, object]]:
    """A column: its TFORM, the bytes of each row one after the other, and further cards."""
    letter = draw(st.sampled_from("LXBIJKAEDCM"))
    repeat = draw(st.sampled_from([1, 1, 1, 0, 2, 3, 8, 11]))
    form = f"{'' if repeat == 1 and draw(st.booleans()) else repeat}{letter}"
    cells = rows * repeat
    more: dict[str, object] = {}
    if letter == "X":
        width = -(-repeat // 8)
        return form, draw(st.binary(min_size=rows * width, max_size=rows * width)), more
    if letter in "AL":
        alphabet = "TF" if letter == "L" else "AZaz09.-"
        text = draw(st.text(alphabet, min_size=cells, max_size=cells))
        return form, text.encode("ascii"), more
    values = draw(st.lists(numbers(letter), min_size=cells, max_size=cells))
    if letter in INTEGERS and draw(st.booleans()):
        more[f"TZERO{index}"] = UNSIGNED[letter]
    elif letter != "K" and draw(st.booleans()):
        more |= {f"TSCAL{index}": draw(st.sampled_from([0.5, 2.0, -4.0])), f"TZERO{index}": draw(st.integers(-9, 9))}
    with np.errstate(all="ignore"):
        return form, np.array(values, dtype=TYPES[letter]).tobytes(), more


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, object], bytes]:
    """A binary table: the cards behind the mandatory ones, and its rows."""
    rows = draw(st.integers(0, 4))
    cards: dict[str, object] = {}
    parts = []
    for index in range(1, draw(st.integers(1, 5)) + 1):
        form, content, more = draw(column_of(index, rows))
        cards |= {f"TTYPE{index}": draw(st.sampled_from(["time", "X", "PI", "A B"])) + str(index),
                  f"TFORM{index}": form} | more  # fmt: skip
        parts.append((len(content) // rows if rows else 0, content))
    data = b"".join(part[row * width : (row + 1) * width] for row in range(rows) for width, part in parts)
    widths = [bintable.columns.field_type(bintable.columns.column(cards, index, "")).itemsize  # type: ignore[arg-type]
              for index in range(1, len(parts) + 1)]  # fmt: skip
    shape = {"BITPIX": 8, "NAXIS": 2, "NAXIS1": sum(widths), "NAXIS2": rows, "PCOUNT": 0, "GCOUNT": 1,
             "TFIELDS": len(parts)}  # fmt: skip
    return {**shape, **cards}, data


def padded(content: bytes, filling: bytes = b"\0") -> bytes:
    return content.ljust(-(-len(content) // 2880) * 2880, filling)


def file_of(*written: tuple[dict[str, object], bytes], primary: bytes = b"") -> bytes:
    """A file of binary tables behind a primary HDU, by the header writer of astropy."""
    parts = [primary or fits.PrimaryHDU().header.tostring().encode("ascii")]
    for cards, data in written:
        header = fits.Header([("XTENSION", "BINTABLE"), *cards.items()])
        parts += [header.tostring().encode("ascii"), padded(data)]
    return b"".join(parts)


@relaxed
@given(st.lists(tables(), min_size=1, max_size=3))
def test_columns_of_every_kind_are_those_of_astropy(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[dict[str, object], bytes]]
) -> None:
    wide = [(cards, data) for cards, data in written if cards["NAXIS1"]]
    path = tmp_path_factory.getbasetemp() / "tables.fits"
    path.write_bytes(file_of(*wide))
    layout = scanned(path)
    assert layout.fault is None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path) as opened, path.open("rb") as stream:
            places = [hdu.fileinfo() for hdu in opened]
            assert [(hdu.start, hdu.data, hdu.end) for hdu in layout.hdus] == [
                (place["hdrLoc"], place["datLoc"], place["datLoc"] + place["datSpan"]) for place in places
            ]
            for hdu, peer in zip(layout.hdus[1:], opened[1:], strict=True):
                assert {key: hdu.cards[key] for key in hdu.cards if key in peer.header} == dict(peer.header)
                table = bintable.table(hdu)
                rows = table.read(stream)
                chunks = [chunk.tobytes() for chunk in table.chunks(path, 2 * table.dtype.itemsize)]
                assert b"".join(chunks) == rows.tobytes()
                for number, column in enumerate(table.columns.values()):
                    compare(column.values(rows), np.asarray(peer.data.field(number)), column)


def compare(ours: np.ndarray, theirs: np.ndarray, column: bintable.Column) -> None:
    """Whether values are the same; a cell of a text and of no items has no shape of its own."""
    if column.letter == "A":
        assert [text.decode("ascii").rstrip() for text in ours] == [str(text).rstrip() for text in theirs]
        return
    assert ours.size == theirs.size
    if column.letter in "LX" or (ours.dtype.kind in "iu" and theirs.dtype.kind in "iu"):
        assert ours.ravel().tolist() == theirs.ravel().tolist()
    else:
        if column.letter in "CM" and column.scaled:
            ours = ours.real  # astropy loses the imaginary part of scaled numbers
        assert np.allclose(ours.ravel(), theirs.ravel(), rtol=1e-6, atol=1e-6, equal_nan=True)


@given(
    st.integers(-300, 300),
    st.integers(0, 300),
    st.sampled_from([(1.0, 0.0), (0.5, 3.0), (-2.0, 7.5), (0.0, 4.0), (0.1, 0.0), (1.0, 7.0), (1.0, -128.0)]),
    st.sampled_from("BIED"),
)
def test_a_range_of_values_is_that_of_every_row(
    low: int, length: int, scaling: tuple[float, float], letter: str
) -> None:
    cards: dict[str, Any] = {"TFORM1": letter, "TSCAL1": scaling[0], "TZERO1": scaling[1]}
    column = bintable.columns.column(cards, 1, "table")
    rows = np.arange(0, 256, dtype=TYPES[letter]).view([("c1", TYPES[letter])])
    values = column.values(rows)
    assert column.between(low, low + length)(rows).tolist() == ((values >= low) & (values <= low + length)).tolist()
    assert column.between(float("-inf"), float("inf"))(rows).all()


def test_a_range_of_unsigned_numbers_of_64_bits_is_exact() -> None:
    """Less 2**63 as floats, neighbours within 1024 are one."""
    column = bintable.columns.column({"TFORM1": "K", "TZERO1": float(2**63)}, 1, "table")
    values = np.array([0, 199, 200, 4000, 4001, 2**53 + 1], dtype=np.uint64)
    rows = (values ^ np.uint64(2**63)).view(np.int64).astype(">i8").view([("c1", ">i8")])
    assert column.between(200, 4000)(rows).tolist() == [False, False, True, True, False, False]
    assert column.between(199.5, 4000.5)(rows).tolist() == [False, False, True, True, False, False]
    assert column.between(5, 4)(rows).tolist() == [False] * 6


def test_null_integers_are_no_numbers(tmp_path: Path) -> None:
    column = fits.Column("PI", "I", null=-99, bscale=0.5, array=np.array([1.0, 2.5]))
    table = fits.BinTableHDU.from_columns([column])
    path = tmp_path / "null.fits"
    cards = {**dict(table.header), "NAXIS2": 3}
    del cards["XTENSION"]
    path.write_bytes(file_of((cards, np.array([2, -99, 5], dtype=">i2").tobytes())))
    (hdu,) = scanned(path).hdus[1:]
    found = bintable.table(hdu)
    with path.open("rb") as stream:
        rows = found.read(stream)
    pi = found.columns["PI"]
    assert np.array_equal(pi.floats(rows), [1.0, np.nan, 2.5], equal_nan=True)
    assert np.array_equal(pi.valid(rows), [True, False, True])


def test_a_flag_is_tested_by_its_value_however_it_is_stored(tmp_path: Path) -> None:
    """Unsigned numbers of 32 bits, as astropy writes them, and floats select the events that plain numbers do."""
    from reduction.events.gathering import Target, gather
    from reduction.events.selection import choose

    plain = tmp_path / "pn.fits"
    write(plain, Epic(rows=2000))
    kept = {}
    for name, form, zero in (("J", "J", None), ("unsigned", "J", 2**31), ("K", "K", None), ("float", "D", None)):
        path = tmp_path / f"{name}.fits"
        with fits.open(plain) as opened:
            events = opened["EVENTS"]
            flags = np.where(np.arange(2000) % 4 == 0, 0x800000, 0x40)
            columns = [fits.Column(column.name, form, bzero=zero, array=flags) if column.name == "FLAG" else column
                       for column in events.columns]  # fmt: skip
            header = events.header.copy(strip=True)
            opened["EVENTS"] = fits.BinTableHDU.from_columns(columns, header=header, name="EVENTS")
            opened.writeto(path)
        with open_eventlist(path) as found:
            kept[name] = [gather(found, choose(found, "0.2 12.0", "all", word), [Target(None)])[0].selected
                          for word in ("default", "strict", "none")]  # fmt: skip
    assert len(set(map(tuple, kept.values()))) == 1, kept
    assert 0 == kept["J"][1] < kept["J"][0] < kept["J"][2]


def of_every_kind() -> bytes:
    """A file with an HDU of each kind that astropy writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "all.fits"
        fits.HDUList([random_groups(), *odd_lists()[1:], fits.ImageHDU(np.arange(12.0).reshape(3, 4), name="SKY"),
                      fits.TableHDU.from_columns([fits.Column("NAME", "A5", array=["a", "b"])], name="TEXT"),
                      fits.CompImageHDU(np.ones((20, 20), dtype=np.int32), name="PACKED")]).writeto(path)  # fmt: skip
        return path.read_bytes()


WHOLE = of_every_kind()


def test_hdus_of_every_kind_lie_where_astropy_finds_them(tmp_path: Path) -> None:
    path = tmp_path / "all.fits"
    path.write_bytes(WHOLE)
    with fits.open(path, disable_image_compression=True) as opened:
        places = [hdu.fileinfo() for hdu in opened]
        names = [hdu.name for hdu in opened]
    layout = scanned(path)
    assert [(hdu.start, hdu.data, hdu.end) for hdu in layout.hdus] == [
        (place["hdrLoc"], place["datLoc"], place["datLoc"] + place["datSpan"]) for place in places
    ]
    assert [hdu.name for hdu in layout.hdus] == names
    assert [hdu.kind for hdu in layout.hdus] == ["", "BINTABLE", "IMAGE", "TABLE", "BINTABLE"]


def use_everything(path: Path) -> None:
    """Read all that the reader reads of a file."""
    with hdus.opened(path) as (stream, limit):
        layout = hdus.scan(stream, limit)
        for hdu in layout.readable:
            for use in (bintable.table, image.image):
                try:
                    found: Any = use(hdu)
                    if isinstance(found, image.Image):
                        list(found.strips(stream, 2))
                        continue
                    rows = found.read(stream)
                    for column in found.columns.values():
                        column.values(rows)
                        if column.is_number:
                            column.between(-1.0, 1.0)(rows)
                            column.whole(rows)
                except FitsError as error:
                    assert str(error)
            if gtitables.is_gti(hdu):
                try:
                    gtitables.read(stream, hdu)
                except FitsError as error:
                    assert str(error)


DIGITS = [b"         0", b"        -1", b"9999999999", b"  'x'     ", b"       1.5", b"         T", b"1E400     "]


@settings(relaxed, max_examples=250)
@given(st.integers(0, len(WHOLE) - 1), st.binary(max_size=90) | st.sampled_from(DIGITS), st.booleans(), st.booleans())
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_damaged_file_raises_nothing_but_the_readers_error(
    tmp_path_factory: pytest.TempPathFactory, at: int, noise: bytes, is_cut: bool, is_packed: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.fits"
    damaged = WHOLE[:at] + noise + (b"" if is_cut else WHOLE[at + len(noise) :])
    path.write_bytes(gzip.compress(damaged, 1) if is_packed else damaged)
    try:
        use_everything(path)
        obscore.from_file(path)
    except FitsError as error:
        assert str(error)
    try:
        gti.read_file(path, CLOCK)
    except ReductionError as error:
        assert error.parameter == "gti"


STRUCTURE = ["BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS", "TFORM1", "TFORM3", "TSCAL1",
             "TZERO2", "TNULL1", "TTYPE1", "EXTNAME", "XTENSION", "GROUPS", "MJDREF", "TIMEUNIT"]  # fmt: skip
VALUES = st.sampled_from(
    [
        "0",
        "1",
        "2",
        "3",
        "-1",
        "8",
        "64",
        "999",
        "1E308",
        "9" * 19,
        "9" * 60,
        "T",
        "F",
        "''",
        "'x'",
        "'D'",
        "'2D'",
        "'999999D'",
        "'PE()'",
        "'0X'",
        "'17X'",
        "'K'",
        "'d'",
        "''''",
    ]
)


@settings(relaxed, max_examples=250)
@given(st.lists(st.tuples(st.sampled_from(STRUCTURE), VALUES), min_size=1, max_size=4), st.integers(0, 200))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_absurd_keywords_raise_nothing_but_the_readers_error(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, str]], filling: int
) -> None:
    header = dict(gti_hdu(fits.Column("N", "I", array=[1, 2])).header)
    texts = {keyword: repr(value) if isinstance(value, str) else str(value) for keyword, value in header.items()}
    lines = {keyword: f"{keyword:<8}= {text:>20}" for keyword, text in texts.items()}
    for keyword, text in changes:
        lines[keyword] = f"{keyword:<8}= {text:>20}"
    extension = padded("".join(f"{line:<80}" for line in [*lines.values(), "END"]).encode(), b" ")
    path = tmp_path_factory.getbasetemp() / "absurd.fits"
    primary = fits.PrimaryHDU().header.tostring().encode("ascii")
    path.write_bytes(primary + extension + padded(bytes([filling]) * 36))
    try:
        use_everything(path)
        obscore.from_file(path)
    except FitsError as error:
        assert str(error)
    try:
        gti.read_file(path, CLOCK)
    except ReductionError as error:
        assert error.parameter == "gti"


@pytest.mark.parametrize(("spoil", "kind"), [
    (lambda content: b"", FaultKind.EMPTY),
    (lambda content: b"GIF89a" * 600, FaultKind.NOT_FITS),
    (lambda content: content[:1000], FaultKind.HEADER_CUT),
    (lambda content: content[:-2880], FaultKind.DATA_CUT),
    (lambda content: content[:-10], FaultKind.UNPADDED),
    (lambda content: content + bytes(2880), FaultKind.TRAILING),
    (lambda content: content + b" " * 100, FaultKind.TRAILING),
    (lambda content: content.replace(b"NAXIS1  =                   16", b"NAXIS1  =                   -6"),
     FaultKind.KEYWORD),
])  # fmt: skip
def test_why_a_file_is_not_read_to_its_end(tmp_path: Path, spoil: Callable[[bytes], bytes], kind: FaultKind) -> None:
    path = tmp_path / "spoilt.fits"
    fits.HDUList([fits.PrimaryHDU(), gti_hdu()]).writeto(path)
    whole = path.read_bytes()
    path.write_bytes(spoil(whole))
    layout = scanned(path)
    assert layout.fault is not None
    assert layout.fault.kind is kind
    if kind in (FaultKind.UNPADDED, FaultKind.TRAILING):  # astropy reads them, so do both libraries
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert fits.getdata(path, "STDGTI")["START"].tolist() == START.tolist()
        assert gti.read_file(path, CLOCK)[None].start.tolist() == START.tolist()
        assert obscore.from_file(path)["t_max"] == pytest.approx(50814 + STOP[-1] / 86400)


def test_letters_that_are_no_ascii_are_read_as_astropy_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "latin.fits"
    fits.PrimaryHDU(header=fits.Header({"OBJECT": "Etoile", "OBSERVER": "x"})).writeto(path)
    path.write_bytes(path.read_bytes().replace(b"Etoile", "Étoile".encode("latin-1")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert hdus.headers(path)[0]["OBJECT"] == fits.getheader(path)["OBJECT"] == "?toile"


@pytest.mark.parametrize("kind", ["u1", ">i2", ">i4", ">i8", ">f4", ">f8"])
def test_strips_of_an_image_are_the_rows_of_astropy(tmp_path: Path, kind: str) -> None:
    stored = np.arange(77).reshape(7, 11).astype(kind)
    hdu = fits.ImageHDU(stored)
    path = tmp_path / "image.fits"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    scaled = path.read_bytes().replace(b"END".ljust(80), b"BSCALE  = 2.5".ljust(80) + b"BZERO   = -3".ljust(80)
                                       + b"BLANK   = 5".ljust(80) + b"END".ljust(80))  # fmt: skip
    at = scaled.index(b"XTENSION")
    path.write_bytes(scaled[:2880] + scaled[at : at + 2880] + scaled[-2880:])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = fits.getdata(path, 1)
    with path.open("rb") as stream:
        ours = list(image.image(scanned(path).readable[1]).strips(stream, 3))
    assert [strip.shape for strip in ours] == [(3, 11), (3, 11)]
    assert np.array_equal(np.concatenate(ours), theirs[:6], equal_nan=True)


def test_a_gzipped_file_is_inflated_whole_or_not_at_all(tmp_path: Path) -> None:
    packed, target = tmp_path / "odd.fits.gz", tmp_path / "odd.fits"
    packed.write_bytes(gzip.compress(WHOLE))
    gzipped.inflate(packed, target)
    assert target.read_bytes() == WHOLE
    with pytest.raises(FileExistsError):
        gzipped.inflate(packed, target)
    assert target.read_bytes() == WHOLE
    packed.write_bytes(gzip.compress(WHOLE)[:-30])
    with pytest.raises(FitsError, match=r"odd.fits.gz cannot be inflated, it is truncated or broken"):
        gzipped.inflate(packed, tmp_path / "other.fits")
    assert not (tmp_path / "other.fits").exists()
