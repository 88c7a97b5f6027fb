"""The files and texts that a fit is given: which file belongs to which spectrum, the table of parameters, the curve."""

from __future__ import annotations

import gzip
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

import fitfiles
from reduction.errors import ReductionError
from reduction.fitting.confidence import chance_above, rise
from reduction.fitting.expression import parse_model
from reduction.fitting.foldedmodel import choose, folded_model
from reduction.fitting.inputs import NO_BACKGROUND, GivenFile, Inflated, read_spectra
from reduction.fitting.parameters import Setting, apply
from reduction.fitting.parametertable import of_models, read_table, written

ALL = ("0 12", "none", "1", "5")


def given(files: fitfiles.FitFiles) -> dict[str, list[GivenFile]]:
    return {name: [GivenFile(path.name, path)] for name, path in files.given.items()}


def test_files_are_taken_by_the_names_in_the_headers_in_any_order(tmp_path: Path) -> None:
    one, two = fitfiles.write(tmp_path, 1, name="one"), fitfiles.write(tmp_path, 2, name="two", norm=2e-3)
    files = {name: [*given(two)[name], *given(one)[name]] for name in given(one)}
    files["spectrum"].reverse()
    first, second = read_spectra(files)
    assert (first.name, second.name) == ("one.pha", "two.pha")
    assert first.background is not None and first.background.name == "one_background.pha"
    assert second.counts.sum() > 1.5 * first.counts.sum()


def test_one_file_is_for_all_and_as_many_as_spectra_are_in_their_order(tmp_path: Path) -> None:
    one, two = fitfiles.write(tmp_path, 1, name="one"), fitfiles.write(tmp_path, 2, name="two")
    strange = tmp_path / "strange.rmf"
    shutil.copy(one.response, strange)
    spectra = [GivenFile(each.spectrum.name, each.spectrum) for each in (one, two)]
    files = {"spectrum": spectra, "response": [GivenFile("strange.rmf", strange)]}
    assert len(read_spectra(files)) == 2
    others = [tmp_path / name for name in ("b.arf", "a.arf", "c.arf")]
    for path in others:
        shutil.copy(one.area, path)
    read_spectra({**files, "area": [GivenFile(path.name, path) for path in others[:2]]})
    with pytest.raises(ReductionError, match="3 files came for 2 spectra") as error:
        read_spectra({**files, "area": [GivenFile(path.name, path) for path in others]})
    assert error.value.parameter == "area"


def test_files_of_equal_names_are_taken_in_their_order(tmp_path: Path) -> None:
    """Products of several jobs are called alike: background_spectrum.fits of each."""
    sets = []
    for number in (1, 2, 3):
        folder = tmp_path / str(number)
        folder.mkdir()
        sets.append(fitfiles.write(folder, number))
    files = {name: [given(each)[name][0] for each in sets] for name in given(sets[0])}
    alone = [read_spectra(given(each))[0] for each in sets]
    for data, expected in zip(read_spectra(files), alone, strict=True):
        assert data.background is not None and expected.background is not None
        assert (data.counts == expected.counts).all()
        assert (data.background.counts == expected.background.counts).all()
    with pytest.raises(ReductionError, match=r"2 files are called source_background\.pha, which 3") as error:
        read_spectra({**files, "background": files["background"][:2]})
    assert error.value.parameter == "background"


def test_a_file_of_no_spectrum_is_refused(tmp_path: Path) -> None:
    files, strange = fitfiles.write(tmp_path), tmp_path / "strange.rmf"
    shutil.copy(files.response, strange)
    asked = given(files)
    asked["response"].append(GivenFile("strange.rmf", strange))
    with pytest.raises(ReductionError, match=r"strange\.rmf belongs to none"):
        read_spectra(asked)


def test_what_is_wrong_is_told_with_the_names_that_were_given(tmp_path: Path) -> None:
    """Uploaded files have other names on the disk: no error and no note tells those."""
    files = fitfiles.write(tmp_path)
    hidden = tmp_path / "x81c7"
    shutil.copy(files.spectrum, hidden)
    with pytest.raises(ReductionError, match=r"^my spectrum\.pha names") as error:
        read_spectra({"spectrum": [GivenFile("my spectrum.pha", _alone(hidden))]})
    assert "x81c7" not in str(error.value)
    broken = tmp_path / "x92d8"
    for content in (b"no FITS", gzip.compress(b"SIMPLE")[:-9], gzip.compress(bytes(5000))):
        broken.write_bytes(content)
        with pytest.raises(ReductionError, match=r"my file\.pha") as error:
            read_spectra({"spectrum": [GivenFile("my file.pha", broken)]}, Inflated(tmp_path))
        assert "x92d8" not in str(error.value)


def _alone(path: Path) -> Path:
    """Move a file to a folder of its own."""
    folder = path.parent / "alone"
    folder.mkdir()
    return Path(shutil.move(path, folder / path.name))


def test_files_beside_a_spectrum_are_found_also_gzipped(tmp_path: Path) -> None:
    source, plain = tmp_path / "archive", tmp_path / "plain"
    source.mkdir()
    plain.mkdir()
    files = fitfiles.write(source)
    for path in (files.spectrum, files.background, files.response):
        (source / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    packed = source / f"{files.spectrum.name}.gz"
    (data,) = read_spectra({"spectrum": [GivenFile("source.pha.gz", packed, source)]}, Inflated(plain))
    assert data.background is not None and data.counts.sum() > 0
    assert data.name == "source.pha.gz"


def test_links_beside_a_spectrum_are_followed_within_the_archive_alone(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    (archive / "one").mkdir(parents=True)
    (archive / "matrices").mkdir()
    files = fitfiles.write(archive / "one", 1)
    inside, outside = archive / "matrices" / "shared.rmf", tmp_path / "secret.rmf"
    shutil.move(files.response, inside)
    shutil.copy(inside, outside)
    files.response.symlink_to(inside)
    alone = GivenFile("a.pha", files.spectrum, files.spectrum.parent)
    in_archive = GivenFile("a.pha", files.spectrum, files.spectrum.parent, archive)
    assert len(read_spectra({"spectrum": [in_archive]})) == 1
    files.response.unlink()
    files.response.symlink_to(outside)
    for file in (alone, in_archive):
        with pytest.raises(ReductionError, match=r"^a[.]pha names \S+, which is a link that leads out of the archive"):
            read_spectra({"spectrum": [file]})


def test_a_background_can_be_left_out(tmp_path: Path) -> None:
    files = {**given(fitfiles.write(tmp_path)), "background": [NO_BACKGROUND]}
    assert read_spectra(files)[0].background is None


def test_no_spectrum_is_told_by_its_name(tmp_path: Path) -> None:
    for files in ({}, {"spectrum": [GivenFile("a.rmf", fitfiles.write(tmp_path).response)]}):
        with pytest.raises(ReductionError) as error:
            read_spectra(files)
        assert error.value.parameter == "spectrum"


# --- the table of parameters ------------------------------------------------------------------------------------


def test_a_table_says_value_limits_and_state() -> None:
    text = """
    # where it begins
    powerlaw.PhoIndex = 1.7 [0, 5] frozen
    powerlaw.norm=1e-3
    powerlaw2.norm = 0.5 * powerlaw.norm   # tied
    tbabs.nH = .05 [0 10] free
    """
    assert read_table(text) == {
        "powerlaw.PhoIndex": Setting(1.7, 0.0, 5.0, True, ""),
        "powerlaw.norm": Setting(1e-3, None, None, None, ""),
        "powerlaw2.norm": Setting(tied="0.5 * powerlaw.norm"),
        "tbabs.nH": Setting(0.05, 0.0, 10.0, False, ""),
    }


def test_a_written_table_is_read_as_it_was() -> None:
    model = parse_model("wabs*(powerlaw + gaussian)")
    asked = read_table("powerlaw.PhoIndex = 2.123456 [1, 3] frozen\ngaussian.norm = powerlaw.norm\nwabs.nH = 0.2")
    table = apply(model.parameters, asked)
    assert apply(model.parameters, read_table(written(table))) == table


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("powerlaw.PhoIndex 1.7", "line 1"),
        ("\npowerlaw.PhoIndex = 1.7 [0; 5", "line 2"),
        ("powerlaw.norm = 1\npowerlaw.NORM = 2", "a second time"),
        ("powerlaw.norm = 1 [0, 1] thawed", "frozen"),
        ("powerlaw.norm = nan", "None"),
    ],
)
def test_a_line_that_says_nothing_is_told_with_its_number(text: str, told: str) -> None:
    model = parse_model("powerlaw")
    with pytest.raises(ReductionError, match=told if told != "None" else "no parameter") as error:
        apply(model.parameters, read_table(text))
    assert error.value.parameter == "parameters"


def test_each_of_several_models_takes_its_own_lines() -> None:
    asked = {"powerlaw.norm": Setting(1.0), "bbody.kT": Setting(0.2), "typo.kT": Setting(3.0)}
    first, second = of_models(asked, [("powerlaw.PhoIndex", "powerlaw.norm"), ("bbody.kT", "bbody.norm")])
    assert set(first) == {"powerlaw.norm", "typo.kT"}, "a name of no model is left to the first, which refuses it"
    assert set(second) == {"bbody.kT"}


# --- the folded curve -------------------------------------------------------------------------------------------


def test_a_folded_curve_is_the_whole_matrix_times_the_model(tmp_path: Path) -> None:
    files = fitfiles.write(tmp_path)
    data = choose(read_spectra(given(files)), *ALL)
    table = f"powerlaw.PhoIndex = {fitfiles.INDEX}\npowerlaw.norm = {fitfiles.NORM}"
    (bins,) = folded_model(data, "powerlaw", table).bins
    assert bins.source == pytest.approx(fitfiles.expected(), rel=1e-5, abs=1e-9)
    width = np.diff(fitfiles.EDGES)
    assert bins.model_per_kev == pytest.approx(fitfiles.expected() / width / fitfiles.EXPOSURE_S, rel=1e-5, abs=1e-12)
    residual = bins.residual_sigma
    assert abs(residual.mean()) < 0.3 and 0.8 < residual.std() < 1.2, "the model is the truth"


def test_a_factor_of_the_second_spectrum_is_a_parameter(tmp_path: Path) -> None:
    one, two = fitfiles.write(tmp_path, 1, name="one"), fitfiles.write(tmp_path, 2, name="two")
    files = {name: [*given(one)[name], *given(two)[name]] for name in given(one)}
    folded = folded_model(choose(read_spectra(files), *ALL), "powerlaw", "crossnorm2 = 2")
    first, second = folded.bins
    assert second.source == pytest.approx(2 * first.source)
    assert [one.name for one in folded.parameters][-1] == "crossnorm2"


@pytest.mark.parametrize(
    ("change", "parameter", "told"),
    [
        ({"expression": "powrlaw"}, "model", "did you mean powerlaw"),
        ({"expression": "wabs*(powerlaw"}, "model", "column 6"),
        ({"table": "powerlaw.PhoIndex = 50"}, "parameters", "outside of its limits"),
        ({"table": "powerlaw.Index = 1"}, "parameters", "did you mean"),
        ({"statistic": "least squares"}, "statistic", "no statistic"),
        ({"abundance": "solar"}, "abundance", "wilm, angr, aspl"),
    ],
)
def test_what_is_wrong_with_a_curve_names_its_parameter(
    tmp_path: Path, change: dict[str, str], parameter: str, told: str
) -> None:
    data = choose(read_spectra(given(fitfiles.write(tmp_path))), *ALL)
    with pytest.raises(ReductionError, match=told.replace("(", r"\(")) as error:
        folded_model(data, **{"expression": "powerlaw", "table": "", **change})
    assert error.value.parameter == parameter


@pytest.mark.parametrize(
    ("asked", "parameter"),
    [
        (("10 0.3", "file", "1", "5"), "energy"),
        (("0.3", "file", "1", "5"), "energy"),
        (("a b", "file", "1", "5"), "energy"),
        (("20 30", "file", "1", "5"), "energy"),
        (("1 5", "some", "1", "5"), "grouping"),
        (("1 5", "mincounts", "2.5", "5"), "min_counts"),
        (("1 5", "mincounts", "0", "5"), "min_counts"),
    ],
)
def test_channels_that_cannot_be_chosen_name_their_parameter(
    tmp_path: Path, asked: tuple[str, str, str, str], parameter: str
) -> None:
    spectra = read_spectra(given(fitfiles.write(tmp_path)))
    with pytest.raises(ReductionError) as error:
        choose(spectra, *asked)
    assert error.value.parameter == parameter


# --- confidences ------------------------------------------------------------------------------------------------


def test_rises_of_a_statistic_are_those_of_the_tables() -> None:
    """Avni (1976); 2.706, 4.61 and 9.21 are what every user of XSPEC knows."""
    assert rise(0.6827) == pytest.approx(1.0, abs=1e-3)
    assert rise(0.90) == pytest.approx(2.706, abs=1e-3)
    assert [rise(level, 2) for level in (0.6827, 0.90, 0.99)] == pytest.approx([2.30, 4.61, 9.21], abs=0.005)


@pytest.mark.parametrize("dof", [2, 20, 110, 3000])
@pytest.mark.parametrize("part", [0.01, 0.5, 0.9, 1.0, 1.1, 1.5, 3.0])
def test_chances_of_chi_squared_are_sums_of_poisson_probabilities(dof: int, part: float) -> None:
    """For an even number of degrees of freedom it is the chance of a Poisson number to be below half of it."""
    half = part * dof / 2
    terms = [k * math.log(half) - half - math.lgamma(k + 1) for k in range(dof // 2)]
    assert chance_above(part * dof, dof) == pytest.approx(math.fsum(math.exp(term) for term in terms), rel=1e-9)


def test_chances_of_odd_degrees_are_those_of_the_normal_distribution() -> None:
    for sigmas in (0.1, 1.0, 2.0, 5.0):
        assert chance_above(sigmas**2, 1) == pytest.approx(math.erfc(sigmas / math.sqrt(2)), rel=1e-9)


def test_the_chance_of_a_fit_shown_on_the_slides() -> None:
    assert chance_above(22.0104, 20) == pytest.approx(0.339948, abs=2e-6)
