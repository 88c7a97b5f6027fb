"""The command `uws-server tag` on files from anywhere: what it shows, writes, finds wrong and takes out."""

from __future__ import annotations

import io
import json
import multiprocessing
import resource
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from provenance import obscore, votags
from provenance.steps import InputData, OutputData, Parameter, Step, dump
from uws_server import cli

STEP = Step((InputData(0, "event list", False, "https://x.org/data", "PN.fits", {"name": "eventlist"}),
             Parameter(1, "radius", True, 40, {"name": "radius", "unit": "arcsec"}),
             OutputData(2, "spectra", False, "results", ("a.fits", "b.fits"))),
            {"task": "spectrum", "version": "1.0"})  # fmt: skip

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the command in the test's folder: exit status, what it printed, what it complained of."""
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> tuple[int, str, str]:
        try:
            status = cli.main(["tag", *words])
        except SystemExit as end:  # argparse
            status = int(end.code or 0)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """An untagged spectrum."""
    header = fits.Header({"TELESCOP": "XMM", "INSTRUME": "EPN", "OBS_ID": "0693760101", "OBJECT": "M82",
                          "HDUCLASS": "OGIP", "HDUCLAS1": "SPECTRUM", "DETCHANS": 4096})  # fmt: skip
    table = fits.BinTableHDU.from_columns([fits.Column("COUNTS", "J", array=np.arange(9))], header, name="SPECTRUM")
    path = tmp_path / "product.fits"
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, checksum=True)
    return path


def test_write_show_check_strip(run: Run, product: Path, tmp_path: Path) -> None:
    original = product.read_bytes()
    (tmp_path / "steps.json").write_text(dump([STEP]))
    status, out, err = run("write", "product.fits", "--derive", "--set", "obs_publisher_did=ivo://x/y?1", "--set",
                           "target_class=galaxy", "--set", "t_exptime=12.5", "--steps", "steps.json")  # fmt: skip
    assert (status, err) == (0, "")
    assert "1 step written" in out
    tags = votags.read(product)
    assert tags is not None
    assert tags.steps == (STEP,)
    assert (tags.row["t_exptime"], tags.row["target_class"], tags.row["em_xel"]) == (12.5, "galaxy", 4096)
    assert tags.row == obscore.from_file(product, obs_publisher_did="ivo://x/y?1", target_class="galaxy",
                                         t_exptime=12.5, access_estsize=tags.row["access_estsize"])  # fmt: skip
    assert product.read_bytes().startswith(original)
    assert run("check", "product.fits") == (0, "product.fits: well tagged\n", "")
    status, out, err = run("show", "product.fits")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert (status, err, lines[0]) == (0, "", "product.fits")
    assert "t_exptime 12.5 s" in lines
    assert "energy_max 15000.0 eV" in lines
    assert lines[-4:] == [
        "step 1 of 1: spectrum 1.0",
        "0 input eventlist: https://x.org/data/PN.fits (locked)",
        "1 parameter radius = 40 arcsec",
        "2 output spectra: results/a.fits, b.fits",
    ]
    assert run("strip", "product.fits") == (0, "product.fits: VO-TAGS taken out\n", "")
    assert product.read_bytes() == original
    assert run("strip", "product.fits") == (0, "product.fits: had no VO-TAGS\n", "")


def test_writing_adds_to_what_is_there(run: Run, product: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    votags.write(product, obscore.ObsCoreRow(calib_level=3, obs_id="mine", target_class="x"), [STEP])
    later = Step((Parameter(0, "bins", True, 5),), {"task": "rebin"})
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(dump([STEP, later]).encode())))
    assert run("write", "product.fits", "--steps", "-", "--set", "target_class=", "--derive")[0] == 0
    tags = votags.read(product)
    assert tags is not None
    assert tags.steps == (STEP, later)
    assert (tags.row["calib_level"], tags.row["obs_id"], tags.row["instrument_name"]) == (3, "mine", "EPN")
    assert "target_class" not in tags.row


def test_json_for_programs(run: Run, product: Path, tmp_path: Path) -> None:
    votags.write(product, obscore.ObsCoreRow(calib_level=2), [STEP])
    shutil.copyfile(product, tmp_path / "other.fits")
    status, out, _ = run("show", "--json", "product.fits", "other.fits")
    told = [json.loads(line) for line in out.splitlines()]
    assert (status, [each["file"] for each in told]) == (0, ["product.fits", "other.fits"])
    assert told[0]["obscore"] == {"calib_level": 2}
    assert {"provenance": told[0]["provenance"]} == json.loads(dump([STEP]))


def test_each_file_is_told_of(run: Run, product: Path, tmp_path: Path) -> None:
    votags.write(product, obscore.ObsCoreRow(calib_level=2), [])
    (tmp_path / "text.fits").write_text("no FITS at all")
    fits.PrimaryHDU().writeto(tmp_path / "bare.fits")
    status, out, err = run("check", "product.fits", "absent.fits", "text.fits", "bare.fits")
    assert status == 1
    assert out.splitlines() == [
        "product.fits: the step list is empty",
        "product.fits: obs_collection is absent; ObsCore requires it",
        "product.fits: obs_id is absent; ObsCore requires it",
        "product.fits: obs_publisher_did is absent; ObsCore requires it",
        "text.fits: no FITS file: at byte 0 no header begins (SIMPLE is expected, b'no FITS ' came)",
        "bare.fits: there is no extension VO-TAGS",
    ]
    assert err == "uws-server: absent.fits: No such file or directory\n"
    status, out, err = run("show", "bare.fits", "text.fits", "product.fits")
    assert status == 1
    assert "uws-server: bare.fits: has no VO-TAGS\n" in err
    assert "uws-server: text.fits: no FITS file" in err
    assert out.startswith("product.fits\n")


@pytest.mark.parametrize(("words", "status", "complaint"), [
    (("--set", "s_raa=3"), 2, "ObsCore 1.1 has no column s_raa; did you mean s_ra?"),
    (("--set", "s_ra=3x"), 2, "--set s_ra: '3x' came; a number is expected"),
    (("--set", "em_xel=1.5"), 2, "--set em_xel: '1.5' came; a whole number is expected"),
    (("--set", "s_ra"), 2, "--set s_ra: COLUMN=VALUE is expected, such as target_name=M82"),
    (("--set", "s_ra=400", "--derive"), 1, "s_ra is 400.0; a number from 0.0 to 360.0 is expected"),
    (("--set", "t_xel=1"), 1, "calib_level is absent; ObsCore requires it"),
    (("--steps", "absent.json"), 2, "--steps absent.json: No such file or directory"),
    (("--steps", "product.fits"), 2, "the document: is not JSON"),
    ((), 2, "nothing to write: give --derive, --set COLUMN=VALUE or --steps FILE"),
])  # fmt: skip
def test_what_is_refused_changes_nothing(
    run: Run, product: Path, words: tuple[str, ...], status: int, complaint: str
) -> None:
    before = product.read_bytes()
    found, out, err = run("write", "product.fits", *words)
    assert (found, out) == (status, "")
    assert complaint in err
    assert err.count("\n") == 1
    assert product.read_bytes() == before


def test_what_a_terminal_would_obey(run: Run, product: Path) -> None:
    votags.write(product, obscore.ObsCoreRow(calib_level=2), [Step((Parameter(0, "a\x1b[31m\n", True, "b\x07"),))])
    status, out, _ = run("show", "product.fits")
    assert status == 0
    assert "\x1b" not in out
    assert "\x07" not in out


def test_a_read_only_file_and_a_gzipped_one(run: Run, product: Path, tmp_path: Path) -> None:
    before = product.read_bytes()
    product.chmod(stat.S_IRUSR)
    for action in (("write", "--derive"), ("strip",)):
        status, _, err = run(*action, "product.fits")
        assert (status, "read-only; make it writable (chmod u+w)" in err) == (1, True)
    assert product.read_bytes() == before
    assert run("write", "--derive", "absent.fits")[0] == 1
    assert not (tmp_path / "absent.fits").exists()


def test_tags_that_cannot_be_read_are_to_be_taken_out_first(run: Run, product: Path) -> None:
    votags.write(product, obscore.ObsCoreRow(calib_level=2), [STEP])
    product.write_bytes(product.read_bytes().replace(b'{"provenance"', b'{"provenanc!"'))
    status, _, err = run("write", "--set", "target_name=M82", "product.fits")
    assert (status, "; `uws-server tag strip` takes out what cannot be read" in err) == (1, True)
    assert run("strip", "product.fits")[0] == 0
    assert run("write", "--derive", "product.fits")[0] == 0
    product.write_text("no FITS")
    assert "tag strip" not in run("write", "--derive", "product.fits")[2]


def test_a_list_of_steps_that_cannot_be_read_is_named(run: Run, product: Path) -> None:
    before = product.read_bytes()
    assert run("write", "--steps", "absent.json", "product.fits")[2] == (
        "uws-server: --steps absent.json: No such file or directory\n"
    )
    (product.parent / "cut.json").write_text("[")
    status, _, err = run("write", "--steps", "cut.json", "product.fits")
    assert (status, "--steps cut.json: the document: is not JSON" in err) == (2, True)
    assert product.read_bytes() == before


def strip_with_little_room(path: Path, room: int, answers: multiprocessing.Queue[str]) -> None:
    """Take tags out in a process whose files may not grow beyond `room` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    answers.put(str(cli.main(["tag", "strip", str(path)])))


def test_taking_out_on_a_full_disk(product: Path) -> None:
    """Tags between other HDUs are taken out by writing anew: without room for that, the file is as it was."""
    votags.write(product, obscore.ObsCoreRow(calib_level=2), [STEP])
    fits.append(product, np.ones(9000), fits.Header({"EXTNAME": "LATER"}))
    before = product.read_bytes()
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[str] = context.Queue()
    process = context.Process(target=strip_with_little_room, args=(product, 8000, answers))
    process.start()
    assert answers.get(timeout=300) == "1"
    process.join()
    assert product.read_bytes() == before
    assert [path.name for path in product.parent.iterdir()] == ["product.fits"]


def test_help_says_what_to_write(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0
    for word in ("show", "write", "check", "strip", "--derive", "COLUMN=VALUE", "--steps", "exit status"):
        assert word in out
