"""Responses: the real files as astropy reads them, what is written, folding and drawing, files that are broken."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from reduction import responses
from reduction.errors import ReductionError
from reduction.responses.grid import Camera, EnergyGrid
from reduction.responses.redistribution import Channels

RMFS = {
    "xmm_ngc7793_ulx4/PN.rmf": 0,
    "xmm_psrj0855/xmm_mos1_0605960101.rmf": 0,
    "xmm_psrj0855/xmm_mos2_0605960101.rmf": 0,
    "xmm_psrj0855/xmm_pn_0605960101.rmf": 0,
    "xmm_pn_canned/epn_ff20_dY9.rmf": 1,
}
"""Real matrices, and the number of the first channel in F_CHAN: the last has no TLMIN."""


def matrix_by_astropy(path: Path, first: int) -> np.ndarray:
    """The full matrix, row by row as CAL/GEN/92-002 describes it."""
    with fits.open(path) as hdus:
        (table,) = (hdu for hdu in hdus[1:] if hdu.header.get("HDUCLAS2") == "RSP_MATRIX")
        full = np.zeros((len(table.data), len(hdus["EBOUNDS"].data)))
        for row, line in enumerate(table.data):
            at = 0
            begins, lengths = np.atleast_1d(line["F_CHAN"]), np.atleast_1d(line["N_CHAN"])
            for begin, length in zip(begins[: line["N_GRP"]], lengths, strict=False):
                full[row, begin - first : begin - first + length] = line["MATRIX"][at : at + length]
                at += length
    return full


@pytest.mark.parametrize("name", RMFS)
def test_a_real_matrix_is_read_as_astropy_reads_it(shared: Path, name: str) -> None:
    path = shared / "real" / name
    matrix = responses.read_redistribution(path)
    expected = matrix_by_astropy(path, RMFS[name])
    np.testing.assert_array_equal(matrix.matrix(), expected)
    np.testing.assert_allclose(matrix.efficiency, expected.sum(axis=1), rtol=1e-9, atol=1e-12)
    photons = np.random.default_rng(1).random(matrix.energies.size)
    np.testing.assert_allclose(matrix.fold(photons), photons @ expected, rtol=1e-9, atol=1e-12)
    assert matrix.camera.telescope == "XMM"


def test_channels_without_tlmin_begin_at_1_so_that_lines_are_where_their_photons_are(shared: Path) -> None:
    """The canned matrix of pn: read as beginning at 0, all lines lie a channel of 5 eV too high."""
    matrix = responses.read_redistribution(shared / "real" / "xmm_pn_canned" / "epn_ff20_dY9.rmf")
    rows = np.flatnonzero((matrix.energies.middle > 5) & (matrix.energies.middle < 10))
    full, middle = matrix.matrix()[rows], 0.5 * (matrix.channels.low + matrix.channels.high)
    near = np.abs(middle - matrix.energies.middle[rows, None]) < 0.2
    centre = (full * near * middle).sum(axis=1) / (full * near).sum(axis=1)
    assert np.abs(np.median(centre - matrix.energies.middle[rows])) < 0.0025


@pytest.mark.parametrize("name", ["xmm_ngc7793_ulx4/PN.arf", "xmm_psrj0855/xmm_mos2_0605960101.arf"])
def test_a_real_area_is_read_as_astropy_reads_it(shared: Path, name: str) -> None:
    area = responses.read_effective_area(shared / "real" / name)
    with fits.open(shared / "real" / name) as hdus:
        table = hdus["SPECRESP"].data
        np.testing.assert_array_equal(area.area_cm2, table["SPECRESP"])
        np.testing.assert_array_equal(area.energies.low, table["ENERG_LO"])
        np.testing.assert_array_equal(area.energies.high, table["ENERG_HI"])


@pytest.mark.parametrize("name", ["xmm_ngc7793_ulx4/PN.rmf", "xmm_psrj0855/xmm_mos1_0605960101.rmf"])
def test_a_matrix_written_and_read_again_is_the_same(shared: Path, tmp_path: Path, name: str) -> None:
    matrix = responses.read_redistribution(shared / "real" / name)
    written = tmp_path / "again.rmf"
    responses.write_redistribution(written, matrix, [("OBS_ID", "0693760101", "")])
    again = responses.read_redistribution(written)
    np.testing.assert_array_equal(matrix_by_astropy(written, 0), matrix.matrix())
    np.testing.assert_array_equal(again.matrix(), matrix.matrix())
    np.testing.assert_array_equal(again.channels.low, matrix.channels.low)
    assert again.camera == matrix.camera
    with fits.open(written) as hdus:
        header = hdus["MATRIX"].header
        assert header["TLMIN4"] == 0 and header["NUMELT"] == matrix.values.size
        assert header["TFORM4"].rstrip("I") != ""  # a vector: some readers refuse a single number
    assert_verified(written)


def assert_verified(path: Path) -> None:
    """Have fitsverify look at a file, where it is installed."""
    if shutil.which("fitsverify"):
        found = subprocess.run(["fitsverify", "-q", str(path)], capture_output=True, text=True, check=False)
        assert "OK" in found.stdout, found.stdout


def small(first: int = 0) -> responses.Redistribution:
    """Three energies over six channels: one run, two runs, none."""
    matrix = np.array([[0, 0.5, 0.5, 0, 0, 0], [0.25, 0, 0, 0.25, 0.25, 0], [0, 0, 0, 0, 0, 0.0]])
    grid = EnergyGrid.of_edges(np.array([1.0, 2.0, 3.0, 4.0]))
    edges = np.linspace(1, 4, 7)
    channels = Channels(first, edges[:-1], edges[1:])
    return responses.Redistribution.of_matrix(grid, channels, matrix, Camera("XMM", "EPN"))


def test_a_small_matrix_is_kept_as_its_runs() -> None:
    matrix = small()
    assert matrix.rows.tolist() == [0, 1, 3, 3]
    assert matrix.starts.tolist() == [1, 0, 3] and matrix.lengths.tolist() == [2, 1, 2]
    assert matrix.fold(np.array([2.0, 4.0, 9.0])).tolist() == [1, 1, 1, 1, 1, 0]
    assert matrix.efficiency.tolist() == [1.0, 0.75, 0.0]


@pytest.mark.parametrize("first", [0, 1, 7])
def test_the_number_of_the_first_channel_is_kept(tmp_path: Path, first: int) -> None:
    responses.write_redistribution(tmp_path / "small.rmf", small(first))
    again = responses.read_redistribution(tmp_path / "small.rmf")
    assert again.channels.first == first and again.channels.numbers.tolist() == list(range(first, first + 6))
    np.testing.assert_array_equal(again.matrix(), small().matrix())
    assert_verified(tmp_path / "small.rmf")


def test_drawn_channels_follow_the_matrix() -> None:
    random = np.random.default_rng(20)
    energies = np.repeat([1.5, 2.5, 3.5, 0.5, 4.5], 40000)
    channels = small().draw(energies, random).reshape(5, -1)
    for row, expected in zip(channels, [[0, 0, 0.5, 0.5, 0, 0, 0], [0.25, 0.25, 0, 0, 0.25, 0.25, 0]], strict=False):
        found = np.bincount(row + 1, minlength=7) / row.size
        assert np.abs(found - expected).max() < 5 * 0.5 / np.sqrt(row.size), found
        assert (found[np.array(expected) == 0] == 0).all()
    assert (channels[2:] == -1).all()  # no efficiency, below the grid, above it


def test_gzipped_responses_are_read(shared: Path, tmp_path: Path) -> None:
    packed = tmp_path / "PN.arf.gz"
    packed.write_bytes(gzip.compress((shared / "real" / "xmm_ngc7793_ulx4" / "PN.arf").read_bytes()))
    assert responses.read_effective_area(packed).area_cm2.max() > 500


def test_an_area_written_and_read_again_is_the_same(tmp_path: Path) -> None:
    grid = EnergyGrid.of_edges(np.linspace(0.25, 10, 40, dtype=np.float32).astype(float))
    area = responses.EffectiveArea(grid, np.linspace(0, 900, 39, dtype=np.float32).astype(float), Camera("XMM", "EPN"))
    responses.write_effective_area(tmp_path / "a.arf", area)
    again = responses.read_effective_area(tmp_path / "a.arf")
    assert not again.energies.differs(grid)
    np.testing.assert_array_equal(again.area_cm2, area.area_cm2)
    assert area.at(np.array([0.1, 10.5])).tolist() == [0, 0]
    assert_verified(tmp_path / "a.arf")


def change(path: Path, column: str, row: int, value: Any) -> None:
    with fits.open(path, mode="update") as hdus:
        for hdu in hdus[1:]:
            if column in hdu.columns.names:
                hdu.data[column][row] = value


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("N_GRP", -1, "row 2 of table MATRIX of broken.rmf has N_GRP -1"),
        ("N_GRP", 3, "row 2 of table MATRIX of broken.rmf has N_GRP 3, and 2 values of F_CHAN"),
        ("F_CHAN", [5, 6], "channels outside of its 6"),
        ("N_CHAN", [2, 2], "row 2 of table MATRIX of broken.rmf has 3 probabilities for 4 channels"),
        ("ENERG_LO", 3.5, "do not ascend"),
        ("ENERG_HI", np.nan, "no numbers"),
        ("CHANNEL", 4, "do not follow one another"),
        ("E_MAX", np.inf, "energies E_MIN and E_MAX are no numbers"),
    ],
)
def test_a_matrix_that_contradicts_itself_is_refused(tmp_path: Path, column: str, value: Any, words: str) -> None:
    path = tmp_path / "broken.rmf"
    responses.write_redistribution(path, small())
    change(path, column, 1, value)
    with pytest.raises(ReductionError, match=words.replace("(", r"\(")) as caught:
        responses.read_redistribution(path)
    assert caught.value.parameter == "rmf"


def test_files_that_are_no_response_are_told_what_they_have(tmp_path: Path) -> None:
    responses.write_redistribution(tmp_path / "small.rmf", small())
    with pytest.raises(ReductionError, match=r"is no ancillary response.*it has .*EBOUNDS, MATRIX") as caught:
        responses.read_effective_area(tmp_path / "small.rmf", "response")
    assert caught.value.parameter == "response"
    (tmp_path / "text.rmf").write_text("hello")
    with pytest.raises(ReductionError, match="is not a FITS file"):
        responses.read_redistribution(tmp_path / "text.rmf")


def test_a_list_outside_of_the_heap_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.rmf"
    responses.write_redistribution(path, small())
    content = path.read_bytes()
    at = content.index(np.array([3, 8], dtype=">i4").tobytes())  # row 2: three numbers behind the two of row 1
    path.write_bytes(content[:at] + np.array([3, 80], dtype=">i4").tobytes() + content[at + 8 :])
    with pytest.raises(ReductionError, match="points outside of its table"):
        responses.read_redistribution(path)


@pytest.mark.parametrize("first", [1e20, -1e20, 1e299])
def test_a_first_channel_that_no_channel_has_is_refused(tmp_path: Path, first: float) -> None:
    path = tmp_path / "broken.rmf"
    responses.write_redistribution(path, small())
    fits.setval(path, "TLMIN4", value=first, ext=2)
    with pytest.raises(ReductionError, match=r"first channel is .*TLMIN of F_CHAN"):
        responses.read_redistribution(path)


@pytest.mark.parametrize("column", ["F_CHAN", "N_CHAN"])
@pytest.mark.parametrize("value", [2**63 - 1, 2**62, -(2**63)])
def test_runs_whose_numbers_overflow_are_refused(tmp_path: Path, column: str, value: int) -> None:
    path = tmp_path / "broken.rmf"
    responses.write_redistribution(path, small())
    with fits.open(path) as hdus:
        old = hdus["MATRIX"]
        columns = [fits.Column(each.name, "2K", array=old.data[each.name].astype(np.int64)) if each.name == column
                   else each for each in old.columns]  # fmt: skip
        wide = fits.BinTableHDU.from_columns(columns, old.header)
        wide.data[column][1] = value
        fits.HDUList([hdus[0].copy(), hdus["EBOUNDS"].copy(), wide]).writeto(tmp_path / "wide.rmf")
    with pytest.raises(ReductionError):
        responses.read_redistribution(tmp_path / "wide.rmf")


@pytest.mark.parametrize("pair", [(2**62, 0), (2**61 + 1, 2**62), (2, 2**63 - 4), (2**63 - 1, 2**63 - 1)])
def test_a_list_whose_end_overflows_is_refused(tmp_path: Path, pair: tuple[int, int]) -> None:
    path = tmp_path / "broken.rmf"
    responses.write_redistribution(path, small())
    with fits.open(path) as hdus:
        columns = [fits.Column("MATRIX", "QE()", array=hdus["MATRIX"].data["MATRIX"]) if each.name == "MATRIX"
                   else each for each in hdus["MATRIX"].columns]  # fmt: skip
        wide = fits.BinTableHDU.from_columns(columns, name="MATRIX")
        fits.HDUList([hdus[0].copy(), hdus["EBOUNDS"].copy(), wide]).writeto(tmp_path / "wide.rmf")
    assert responses.read_redistribution(tmp_path / "wide.rmf").energies.size == small().energies.size
    content = (tmp_path / "wide.rmf").read_bytes()
    at = content.index(np.array([3, 8], dtype=">i8").tobytes())
    (tmp_path / "wide.rmf").write_bytes(content[:at] + np.array(pair, dtype=">i8").tobytes() + content[at + 16 :])
    with pytest.raises(ReductionError, match="points outside of its table"):
        responses.read_redistribution(tmp_path / "wide.rmf")
